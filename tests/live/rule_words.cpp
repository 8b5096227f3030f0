// Prints the stable words of every rule that says something of a wait, a hold, an owner or a cause, one a
// line: lock_test.py fails for one that no scenario fires.
#include <iostream>

#include "pyframes/hold_rules.h"
#include "report/analysis/cause_kinds.h"
#include "report/analysis/owner_rules.h"
#include "report/analysis/wait_rules.h"

int main() {
  for (const auto& rule : pythreads::report::wait_rules()) std::cout << rule.rule << '\n';
  for (const char* rule : pythreads::pyframes::hold_rule::all) std::cout << rule << '\n';
  for (const char* rule : pythreads::report::owner_rule::all) std::cout << rule << '\n';
  for (const auto& cause : pythreads::report::cause_kinds) std::cout << "cause:" << cause.kind << '\n';
}
