// Looks at a live Python once, and then again and again at what was read of it with words of it flipped:
//
//   flipped_target PID RUNS [FIRST_SEED]
//
// Each look is a whole one: (now and then) the search for CPython, then interpreters, threads, frames, locks,
// names, locals, native stacks, analysis, text and JSON. It must not crash, and not take more memory or time
// than any may. The seed of one that does is printed; with it as FIRST_SEED, and RUNS 1, the same look is
// made of a target that is the same. Prints one line of JSON at its end.
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "report/analysis/analyse.h"
#include "report/compose.h"
#include "report/render/graph.h"
#include "report/render/json.h"
#include "report/render/text.h"
#include "tests/flipped/flipped_memory.h"
#include "tests/flipped/recorded_target.h"

namespace {

using namespace pythreads;  // NOLINT: one file

constexpr std::size_t most_bytes = std::size_t{512} << 20;
constexpr double most_seconds = 20;  // of processor time, under sanitizers

std::atomic<std::size_t> live_bytes{0}, peak_bytes{0};
std::uint64_t seed_now = 0;

void tell_seed() {
  std::fprintf(stderr, "the seed is %llu\n", static_cast<unsigned long long>(seed_now));
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "broken: %s\n", what);
  tell_seed();
  std::abort();
}

double processor_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

class Flipped {
 public:
  explicit Flipped(const tests::RecordedTarget& recorded) : recorded_(recorded) {}

  // How many words were other ones.
  std::size_t look(std::uint64_t seed) {
    constexpr std::uint64_t rarities[] = {100, 1000, 10'000, 100'000};
    const std::uint64_t rarity = rarities[tests::scrambled(seed) % 4];
    const auto flipped = [&](const tests::FakeMemory& sound, std::uint64_t which) {
      return std::make_unique<tests::FlippedMemory>(const_cast<tests::FakeMemory&>(sound), seed * 4 + which,
                                                    rarity, recorded_.places);
    };
    attach::Target target;
    target.process = recorded_.process;
    target.mappings = recorded_.mappings;
    target.modules = recorded_.modules;
    target.threads = recorded_.threads;
    target.files = std::make_unique<Borrowed>(*recorded_.files);
    pyframes::Runtime runtime = recorded_.runtime;
    if (seed % 16 == 0) {
      target.memory = flipped(recorded_.before, 0);
      if (auto found = pyframes::find_runtime(target)) runtime = *found;
    }
    auto held = flipped(recorded_.held, 1), lasting = flipped(recorded_.lasting, 2);
    const tests::FlippedMemory &held_now = *held, &lasting_now = *lasting;
    target.memory = std::move(held);
    target.lasting = std::move(lasting);
    if (seed % 4 == 0) flip_registers(seed, target.threads);

    const pyframes::ReadOptions options{.locals = seed % 2 == 0, .redact = seed % 3 != 0};
    if (seed % 8 == 1) pyframes::fetch_python(runtime, options, target);
    std::vector<report::Snapshot> snapshots(1);
    report::Snapshot& snapshot = snapshots[0];
    snapshot.process = target.process;
    snapshot.runtime = pyframes::read_python(runtime, options, target);
    std::vector<unwinder::NativeStack> stacks(target.threads.size());
    if (seed % 4 == 0) {
      unwinder::Unwinder unwinder(target.modules, *target.files, target.mappings);
      stacks = tests::walk_all(unwinder, target);
    }
    for (std::size_t i = 0; i < target.threads.size(); ++i)
      snapshot.threads.push_back(
          {.os = target.threads[i], .native = std::move(stacks[i]), .native_walked = seed % 4 == 0});
    show(seed, snapshots, options);
    return held_now.flips() + lasting_now.flips();
  }

  std::size_t frames() const { return frames_; }
  std::size_t gaps() const { return gaps_; }

 private:
  // A look owns its files; these outlive all looks.
  class Borrowed : public attach::TargetFiles {
   public:
    explicit Borrowed(attach::TargetFiles& files) : files_(files) {}
    attach::Result<attach::ScopedFd> open_mapping(const attach::Mapping& mapping) override {
      return files_.open_mapping(mapping);
    }
    attach::Result<attach::ScopedFd> open_path(std::string_view path) override {
      return files_.open_path(path);
    }
    attach::Result<attach::ScopedFd> open_debug_file(std::string_view build_id) override {
      return files_.open_debug_file(build_id);
    }

   private:
    attach::TargetFiles& files_;
  };

  void flip_registers(std::uint64_t seed, std::vector<attach::ThreadState>& threads) const {
    std::uint64_t chance = tests::scrambled(seed ^ 0x5eed);
    for (attach::ThreadState& thread : threads) {
      chance = tests::scrambled(chance);
      if (!thread.registers || chance % 2 == 0) continue;
      auto& value = thread.registers->values[chance / 2 % attach::register_count];
      value = chance / 64 % 2 == 0
                  ? value ^ (chance >> 7 & 0xff8)
                  : recorded_.places[(chance >> 7) % recorded_.places.size()] + (chance & 0xff8);
    }
  }

  void show(std::uint64_t seed, const std::vector<report::Snapshot>& snapshots,
            const pyframes::ReadOptions& options) {
    const report::Findings findings = report::analyse(snapshots);
    report::DocumentSource source;
    source.native = seed % 4 == 0;
    source.locals = options.locals;
    const report::Document document = report::compose(snapshots, findings, source);
    const report::Style style{
        .native = source.native, .locals = source.locals, .explain = true, .full = true};
    const std::string text = report::render_text(document, style);
    for (const char each : text) {
      if (static_cast<unsigned char>(each) < 0x20 && each != '\n') fail("a control character in the text");
    }
    if (seed % 4 == 1) {
      if (!report::parse_json(report::render_json(document))) fail("what we write we can't read");
      if (report::render_dot(document).empty()) fail("no graph");
    }
    for (const report::document::Process& process : document.processes) {
      gaps_ += process.gaps.size();
      for (const report::document::Thread& thread : process.threads) frames_ += thread.frames.size();
    }
  }

  const tests::RecordedTarget& recorded_;
  std::size_t frames_ = 0, gaps_ = 0;
};

}  // namespace

// What is had by new, which is nearly all: each block begins with its size. All forms, for the sanitizers
// have some of their own.
namespace {

constexpr std::size_t head = alignof(std::max_align_t);

void* counted(std::size_t size) {
  auto* block = static_cast<std::byte*>(std::malloc(size + head));
  if (block == nullptr) return nullptr;
  *reinterpret_cast<std::size_t*>(block) = size;
  const std::size_t now = live_bytes += size;
  if (now > peak_bytes) peak_bytes = now;
  return block + head;
}

}  // namespace

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return counted(size);
}
void* operator new(std::size_t size) {
  void* block = counted(size);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void* operator new[](std::size_t size) {
  return operator new(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return counted(size);
}
void operator delete(void* pointer) noexcept {
  if (pointer == nullptr) return;
  std::byte* block = static_cast<std::byte*>(pointer) - head;
  live_bytes -= *reinterpret_cast<std::size_t*>(block);
  std::free(block);
}
void operator delete(void* pointer, std::size_t) noexcept {
  operator delete(pointer);
}
void operator delete[](void* pointer) noexcept {
  operator delete(pointer);
}
void operator delete[](void* pointer, std::size_t) noexcept {
  operator delete(pointer);
}

extern "C" void __sanitizer_set_death_callback(void (*)()) __attribute__((weak));

int main(int count, char** arguments) {
  if (count < 3) return std::fprintf(stderr, "usage: %s PID RUNS [FIRST_SEED]\n", arguments[0]), 64;
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(tell_seed);
  std::string failed;
  const auto recorded = tests::record(std::atoi(arguments[1]), {.locals = true}, failed);
  if (!recorded) return std::fprintf(stderr, "%s\n", failed.c_str()), 1;
  const auto runs = static_cast<std::uint64_t>(std::atoll(arguments[2]));
  const auto first = count > 3 ? static_cast<std::uint64_t>(std::atoll(arguments[3])) : 1;
  Flipped flipped(*recorded);
  std::size_t flips = 0;
  double longest = 0;
  std::size_t largest = 0;
  for (seed_now = first; seed_now < first + runs; ++seed_now) {
    const std::size_t before = live_bytes;
    peak_bytes = before;
    const double began = processor_seconds();
    flips += flipped.look(seed_now);
    longest = std::max(longest, processor_seconds() - began);
    largest = std::max(largest, peak_bytes - before);
    if (longest > most_seconds) fail("a look takes too long");
    if (largest > most_bytes) fail("a look takes too much memory");
  }
  std::printf(
      "{\"runs\": %llu, \"flips\": %zu, \"frames\": %zu, \"gaps\": %zu, \"longest_s\": %.3f, \"most_mib\": "
      "%.1f}\n",
      static_cast<unsigned long long>(runs), flips, flipped.frames(), flipped.gaps(), longest,
      static_cast<double>(largest) / (1 << 20));
  return 0;
}
