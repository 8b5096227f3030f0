// unwind_bench PID [--print]: holds a process once, walks and symbolizes all of its threads, and says what it
// cost.
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

#include "attach/attachment.h"
#include "unwinder/walk.h"

namespace {

// Processor time: a busy machine must not change the figures.
double now() {
  struct timespec time {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

double microseconds_since(double begin) {
  return now() - begin;
}

long peak_kib() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

void print(pid_t tid, const pythreads::unwinder::NativeStack& stack) {
  std::printf("thread %d: %s%s\n", static_cast<int>(tid),
              stack.end == pythreads::unwinder::StackEnd::root ? "root" : "gap: ", stack.gap.c_str());
  for (const pythreads::unwinder::NativeFrame& frame : stack.frames) {
    std::printf("  %016llx %s%s%s+0x%llx (%s+0x%llx) %s:%d\n",
                static_cast<unsigned long long>(frame.pc.value),
                frame.trust == pythreads::unwinder::FrameTrust::scanned ? "~" : " ",
                frame.inlined ? "[inlined] " : "", frame.function.empty() ? "?" : frame.function.c_str(),
                static_cast<unsigned long long>(frame.symbol_offset), frame.module.c_str(),
                static_cast<unsigned long long>(frame.module_offset), frame.file.c_str(), frame.line);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const bool printing = argc > 2 && std::strcmp(argv[2], "--print") == 0;
  auto attachment = pythreads::attach::Attachment::prepare(std::atoi(argv[1]));
  if (!attachment) {
    std::fprintf(stderr, "%s\n", attachment.error().message.c_str());
    return 1;
  }
  auto stop = attachment->hold({}, [](pythreads::attach::Target&) {});
  if (!stop) {
    std::fprintf(stderr, "%s\n", stop.error().message.c_str());
    return 1;
  }
  pythreads::attach::Target& target = attachment->target();
  const long before_kib = peak_kib();

  {
    const double begin = now();
    pythreads::unwinder::Unwinder unwinder(target.modules, *target.files, target.mappings);
    for (const char* state : {"cold", "warm"}) {
      std::vector<pythreads::unwinder::NativeStack> stacks;
      const double walk_begin = std::strcmp(state, "cold") == 0 ? begin : now();
      std::size_t frames = 0;
      for (const pythreads::attach::ThreadState& thread : target.threads) {
        if (!thread.registers) continue;
        stacks.push_back(unwinder.walk(*thread.registers, *target.memory, *target.lasting));
        frames += stacks.back().frames.size();
      }
      const double walk_us = microseconds_since(walk_begin);
      const double names_begin = now();
      std::vector<pythreads::unwinder::NativeStack*> all;
      for (pythreads::unwinder::NativeStack& stack : stacks) all.push_back(&stack);
      unwinder.symbolize(all);
      const double names_us = microseconds_since(names_begin);
      std::printf(
          "%s: %zu stacks, %zu frames; walk %.0f us (%.3f us a frame), names %.0f us; peak %ld KiB, "
          "%ld before\n",
          state, stacks.size(), frames, walk_us, walk_us / static_cast<double>(frames), names_us, peak_kib(),
          before_kib);
      if (printing && std::strcmp(state, "cold") == 0) {
        std::size_t at = 0;
        for (const pythreads::attach::ThreadState& thread : target.threads) {
          if (thread.registers) print(thread.tid, stacks[at++]);
        }
      }
    }
  }
  return 0;
}
