// The resources of one process: an entry for each object that a thread waits for or holds, each once, found
// by its address. What an object says of itself is copied; who owns it is found by owners.h.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "report/analysis/findings.h"
#include "report/snapshot.h"

namespace pythreads::report {

// The contract's resources.kind: "RLock".
std::string_view resource_kind(pyframes::PySyncKind kind);

class ResourceTable {
 public:
  ResourceTable(const pyframes::PyRuntimeState& runtime, ProcessFindings& findings)
      : runtime_(runtime), findings_(findings) {}

  // The index in findings.resources; made when it is asked for first.
  std::size_t of_object(attach::Address object);
  std::size_t of_word(attach::Address word, std::string_view kind);  // what is no Python object

  Resource& at(std::size_t index) { return findings_.resources[index]; }
  const pyframes::PySyncObject* object_of(std::size_t index) const;  // null: of a word
  std::size_t size() const { return findings_.resources.size(); }

 private:
  std::size_t add(attach::Address address, std::string_view kind);

  const pyframes::PyRuntimeState& runtime_;
  ProcessFindings& findings_;
  std::map<attach::Address, std::size_t> places_;
};

}  // namespace pythreads::report
