// The objects that a look wants names for, whose frames are likely to know them, and the best name that was
// found of each.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "attach/address.h"
#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// From what says most to what says least.
enum class NameRank { module_variable, class_variable, attribute, element, local_variable, inside, none };

struct ThreadAt {
  std::size_t interpreter = 0, thread = 0;  // indices into RuntimeCopy
  bool operator==(const ThreadAt&) const = default;
};

class WantedNames {
 public:
  WantedNames(Reading& reading, const RuntimeCopy& copy, const PyRuntimeState& state);

  bool empty() const { return wanted_.empty(); }
  bool contains(attach::Address object) const { return wanted_.contains(object); }

  // Who waits for them or holds them; and who holds what nobody waits for, which is named only in passing.
  const std::vector<ThreadAt>& threads() const { return threads_; }
  const std::vector<ThreadAt>& threads_in_passing() const { return in_passing_; }

  void next_search() { ++search_; }  // the frames of another thread
  // An empty text is none. Of two names of one rank the first stays that a search found, and of two searches
  // the least: which thread comes first is chance, and a name must be the same in each run.
  void found(attach::Address object, NameRank rank, const std::string& text);

  // Once all have a name, nothing more is looked through. The Condition inside of an Event (a Semaphore, a
  // Queue) that is wanted itself is called after it.
  bool all_named() const { return are_named(true); }
  bool all_named_in_passing() const { return are_named(false); }
  // Whether a lock is left without a name of the program's own; a pool's queue or a future is nobody's
  // variable.
  bool seeks_locks() const;

  void tell(PyRuntimeState& state);  // PySyncObject::name

 private:
  struct Name {
    NameRank rank = NameRank::none;
    std::string text;
    bool asked = false;  // else it is welcome in passing
    std::size_t search = 0;
    PySyncKind kind = PySyncKind::lock;
    bool unnamed() const { return rank > NameRank::attribute; }
  };

  void want(attach::Address object, ThreadAt at);
  void want_in_passing(attach::Address object, ThreadAt at);
  void collect(Reading& reading, const RuntimeCopy& copy);
  void find_parts();
  void name_insides();
  bool are_named(bool asked) const;

  const PyRuntimeState& state_;
  std::unordered_map<attach::Address, Name> wanted_;
  std::unordered_set<attach::Address> parts_;
  std::unordered_map<attach::Address, std::size_t> asked_;
  std::vector<ThreadAt> threads_, in_passing_;
  std::size_t search_ = 0;
};

}  // namespace pythreads::pyframes
