// The mappings of a live process, read before the stop and compared at the stop: by the text of `maps`,
// through a descriptor that was opened before, since nothing is opened while a target is held.
//
// Paths are as the target sees them. A text that was read while held names them as the kernel does, so those
// that were known keep the name that they had. ErrorCodes: process_ended, unreadable, corrupt.
//
// proc(5), /proc/PID/maps.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "attach/mapping.h"
#include "attach/proc_dir.h"
#include "attach/result.h"
#include "attach/scoped_fd.h"

namespace pythreads::attach {

// What `Module`s are made of: are the same files mapped in both, at the same places?
bool same_files(const std::vector<Mapping>& a, const std::vector<Mapping>& b);

class LiveMappings {
 public:
  // `maps` is opened for reading; without it every read fails.
  explicit LiveMappings(ScopedFd maps = ScopedFd()) : maps_(std::move(maps)) {}

  // `mappings` as they are now. True when files came or went since the last time, or when this is the first.
  Result<bool> refresh(const ProcDir& dir, std::vector<Mapping>& mappings);

  // The same without opening anything. True when anything changed since `refresh`; on an error they stay.
  Result<bool> refresh_held(std::vector<Mapping>& mappings);

 private:
  ScopedFd maps_;
  std::string text_;
};

}  // namespace pythreads::attach
