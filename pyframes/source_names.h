// How a person writes what is in memory: modules, classes, keys between brackets.
//
// A module that ran as a script is named after its file and not `__main__`, as other modules would import it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "attach/address.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

class SourceNames {
 public:
  SourceNames(Reading& reading, const RuntimeCopy& copy);

  std::string module(const FrameCopy& frame);
  std::string module(const std::string& name) const { return name == "__main__" ? main_module_ : name; }
  std::string class_of(attach::Address type);  // "bank.Account"; empty: not read

  // Of a str; none: it is something else.
  std::optional<std::string> text(attach::Address object);

  // What a person would write between the brackets; "…" for what only the program has at hand.
  std::string key(attach::Address object);

  // Whether the function is the standard library's: a program's author does not look for its variables.
  bool is_library(const std::string& module, std::string_view file) const;
  bool is_library_file(std::string_view file) const;

 private:
  void find_main_module(const RuntimeCopy& copy);
  void find_library(const RuntimeCopy& copy);
  std::string main_module_of(const FrameCopy& frame);

  Reading& reading_;
  std::map<attach::Address, std::string> class_names_;
  std::string main_module_ = "__main__";
  std::string library_directory_;  // "/usr/lib/python3.11/"; empty: not known
};

}  // namespace pythreads::pyframes
