// A live target, looked at once, with every byte that the look read kept: what is read again is answered from
// here, and the target need not be there any more.
#pragma once

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "attach/attachment.h"
#include "pyframes/python_reader.h"
#include "tests/support/fake_memory.h"
#include "unwinder/walk.h"

namespace pythreads::tests {

// What is read through it is kept in `kept`.
class RecordingMemory : public attach::Memory {
 public:
  RecordingMemory(attach::Memory& source, FakeMemory& kept, std::set<std::uint64_t>& places)
      : source_(source), kept_(kept), places_(places) {}

  void prefetch(std::span<const attach::Range> ranges) override { source_.prefetch(ranges); }
  bool begin(attach::HeldPart part) override { return source_.begin(part); }

 private:
  std::size_t read_some(attach::Address from, std::span<std::byte> into) override {
    const std::size_t done = source_.read_up_to(from, into);
    if (done != 0) kept_.put_bytes(from, into.first(done));
    for (std::uint64_t page = from.value / 4096; done != 0 && page <= (from.value + done - 1) / 4096; ++page)
      places_.insert(page * 4096);
    return done;
  }

  attach::Memory& source_;
  FakeMemory& kept_;
  std::set<std::uint64_t>& places_;
};

// The target's files, each opened once and kept open.
class KeptFiles : public attach::TargetFiles {
 public:
  explicit KeptFiles(attach::TargetFiles* source) : source_(source) {}
  void end_recording() { source_ = nullptr; }

  attach::Result<attach::ScopedFd> open_mapping(const attach::Mapping& mapping) override {
    return kept("mapping " + mapping.path + std::to_string(mapping.inode),
                [&] { return source_->open_mapping(mapping); });
  }
  attach::Result<attach::ScopedFd> open_path(std::string_view path) override {
    return kept("path " + std::string(path), [&] { return source_->open_path(path); });
  }
  attach::Result<attach::ScopedFd> open_debug_file(std::string_view build_id) override {
    return kept("debug " + std::string(build_id), [&] { return source_->open_debug_file(build_id); });
  }

 private:
  template <typename Open>
  attach::Result<attach::ScopedFd> kept(const std::string& name, Open open) {
    const auto known = files_.find(name);
    if (known == files_.end()) {
      if (source_ == nullptr) return gone();
      attach::Result<attach::ScopedFd> opened = open();
      if (!opened) return opened;
      files_.emplace(name, std::move(*opened));
      return kept(name, open);
    }
    attach::ScopedFd copy(::fcntl(known->second.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy.is_open()) return gone();
    return copy;
  }
  static attach::Error gone() { return {attach::ErrorCode::unreadable, "it was not recorded", ""}; }

  attach::TargetFiles* source_;
  std::map<std::string, attach::ScopedFd> files_;
};

struct RecordedTarget {
  attach::Process process;
  std::vector<attach::Mapping> mappings;
  std::vector<attach::Module> modules;
  std::vector<attach::ThreadState> threads;
  pyframes::Runtime runtime;
  FakeMemory before, held, lasting;   // the stop; as it was while held; what doesn't change
  std::vector<std::uint64_t> places;  // every page of them
  std::unique_ptr<KeptFiles> files;
};

inline std::vector<unwinder::NativeStack> walk_all(unwinder::Unwinder& unwinder, attach::Target& target) {
  std::vector<unwinder::NativeStack> stacks;
  std::vector<unwinder::NativeStack*> walked;
  stacks.reserve(target.threads.size());
  for (const attach::ThreadState& thread : target.threads) {
    stacks.emplace_back();
    if (thread.registers) stacks.back() = unwinder.walk(*thread.registers, *target.memory, *target.lasting);
    walked.push_back(&stacks.back());
  }
  unwinder.symbolize(walked, unwinder::Detail::names_and_lines);
  return stacks;
}

// Nothing when it can't be looked at; why is in `failed`.
inline std::unique_ptr<RecordedTarget> record(pid_t pid, const pyframes::ReadOptions& options,
                                              std::string& failed) {
  auto recorded = std::make_unique<RecordedTarget>();
  std::set<std::uint64_t> places;
  const auto through = [&](std::unique_ptr<attach::Memory>& memory, FakeMemory& kept, const auto& read) {
    std::unique_ptr<attach::Memory> source = std::move(memory);
    memory = std::make_unique<RecordingMemory>(*source, kept, places);
    read();
    memory = std::move(source);
  };

  attach::Result<attach::Attachment> attachment = attach::Attachment::prepare(pid);
  if (!attachment) return failed = attachment.error().message, nullptr;
  attach::Target& target = attachment->target();
  recorded->files = std::make_unique<KeptFiles>(target.files.get());
  bool found = false;
  through(target.memory, recorded->before, [&] {
    std::unique_ptr<attach::TargetFiles> source = std::exchange(target.files, std::move(recorded->files));
    if (auto runtime = pyframes::find_runtime(target)) {
      recorded->runtime = *runtime;
      found = true;
    } else {
      failed = runtime.error().message;
    }
    recorded->files.reset(static_cast<KeptFiles*>(target.files.release()));
    target.files = std::move(source);
  });
  if (!found) return nullptr;

  const auto stop = attachment->hold({.pause_budget = std::chrono::seconds(60)}, [&](attach::Target& held) {
    through(held.memory, recorded->held, [&] { pyframes::fetch_python(recorded->runtime, options, held); });
  });
  if (!stop) return failed = stop.error().message, nullptr;
  through(target.memory, recorded->held, [&] {
    through(target.lasting, recorded->lasting, [&] {
      pyframes::read_python(recorded->runtime, options, target);
      unwinder::Unwinder unwinder(target.modules, *recorded->files, target.mappings);
      walk_all(unwinder, target);
    });
  });
  recorded->files->end_recording();
  recorded->process = target.process;
  recorded->mappings = target.mappings;
  recorded->modules = target.modules;
  recorded->threads = target.threads;
  recorded->places.assign(places.begin(), places.end());
  return recorded;
}

}  // namespace pythreads::tests
