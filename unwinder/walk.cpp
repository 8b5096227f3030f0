#include "unwinder/walk.h"

#include <array>
#include <optional>
#include <string>
#include <unordered_map>

#include "unwinder/cfi.h"
#include "unwinder/frame_guess.h"
#include "unwinder/frame_step.h"
#include "unwinder/loaded_modules.h"
#include "unwinder/symbolize.h"

namespace pythreads::unwinder {

namespace {

using attach::Address;
using attach::Memory;
using attach::Result;

constexpr std::size_t most_frames = 10000;
// A stack grows downwards, so each caller lies above. It may lie elsewhere where a signal handler runs on its
// own stack, or where a library switches stacks and its unwind table says so.
constexpr std::size_t most_stack_switches = 8;

std::string hex(Address at) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (std::uint64_t value = at.value; value != 0; value >>= 4) text.insert(text.begin(), digits[value & 15]);
  return "0x" + (text.empty() ? "0" : text);
}

// What the unwind tables say of one pc, or why they say nothing.
struct KnownRow {
  std::optional<CfiRow> row;
  LoadedModule* module = nullptr;
  std::string why_none;
};

}  // namespace

struct Unwinder::State {
  State(const std::vector<attach::Module>& module_list, attach::TargetFiles& target_files,
        const std::vector<attach::Mapping>& mappings)
      : modules(module_list, mappings), files(&target_files), symbolizer(modules, target_files) {}

  const KnownRow& find_row(Address pc, Memory& lasting);

  LoadedModules modules;
  attach::TargetFiles* files;
  Symbolizer symbolizer;
  std::unordered_map<std::uint64_t, KnownRow> rows;  // by the address that was looked up
};

const KnownRow& Unwinder::State::find_row(Address pc, Memory& lasting) {
  const auto [at, is_new] = rows.try_emplace(pc.value);
  KnownRow& known = at->second;
  if (!is_new) return known;
  known.module = modules.find(pc);
  if (known.module == nullptr) {
    known.why_none = "no module holds it";
    return known;
  }
  Result<CfiRow> row =
      find_cfi_row(known.module->contents(*files, lasting), known.module->facts().eh_frame_hdr, pc);
  if (row) {
    known.row = std::move(*row);
  } else {
    known.why_none = row.error().message;
    if (!known.module->why_no_file().empty()) known.why_none += "; " + known.module->why_no_file();
  }
  return known;
}

namespace {

// One thread's walk.
class Walk {
 public:
  Walk(LoadedModules& modules, attach::TargetFiles& files, Memory& memory, Memory& lasting)
      : modules_(modules), files_(files), lasting_(lasting), stack_(memory) {}

  template <typename FindRow>
  NativeStack run(CpuState state, FindRow find_row) {
    push(state);
    bool pc_is_exact = true;  // not a return address: the instruction at pc has not run
    while (true) {
      const Address looked_up = pc_is_exact ? state.pc() : state.pc() - 1;
      const KnownRow& known = find_row(looked_up, lasting_);
      const CpuState before = state;
      bool interrupted = false;
      if (known.row) {
        Result<StepOutcome> outcome =
            step_by_row(*known.row, known.module->contents(files_, lasting_), stack_, state);
        if (!outcome)
          return end("the caller of " + hex(before.pc()) + " can't be found: " + outcome.error().message);
        if (*outcome == StepOutcome::root) {
          result_.end = StackEnd::root;
          return std::move(result_);
        }
        interrupted = known.row->signal_frame;
      } else if (std::optional<CpuState> left =
                     leave_signal_trampoline(state, modules_, files_, lasting_, stack_)) {
        state = *left;
        interrupted = true;
      } else {
        const std::vector<CpuState> callers =
            guess_callers(state, pc_is_exact, modules_, files_, lasting_, stack_);
        if (callers.empty()) {
          return end("the caller of " + hex(state.pc()) + " can't be found: " + known.why_none);
        }
        trust_ = FrameTrust::scanned;
        for (std::size_t i = 0; i + 1 < callers.size(); ++i) push(callers[i]);
        state = callers.back();
      }
      if (interrupted) result_.frames.back().signal_trampoline = true;
      if (!modules_.may_be_code(interrupted ? state.pc() : state.pc() - 1) && !interrupted) {
        return end("the return address " + hex(state.pc()) + " is not in code");
      }
      if (state.sp() <= before.sp() && ++stack_switches_ > most_stack_switches) {
        return end("the stack doesn't get shorter at " + hex(state.pc()));
      }
      if (state.sp() == before.sp() && state.pc() == before.pc()) {
        return end("the caller of " + hex(state.pc()) + " would be itself");
      }
      if (result_.frames.size() >= most_frames) {
        return end("more than " + std::to_string(most_frames) + " frames");
      }
      push(state);
      pc_is_exact = interrupted;
    }
  }

 private:
  void push(const CpuState& state) {
    NativeFrame frame;
    frame.pc = state.pc();
    frame.sp = state.sp();
    frame.trust = trust_;
    result_.frames.push_back(std::move(frame));
  }

  NativeStack end(std::string why) {
    result_.end = StackEnd::gap;
    result_.gap = std::move(why);
    return std::move(result_);
  }

  LoadedModules& modules_;
  attach::TargetFiles& files_;
  Memory& lasting_;
  StackWindow stack_;
  NativeStack result_;
  FrameTrust trust_ = FrameTrust::exact;
  std::size_t stack_switches_ = 0;
};

}  // namespace

Unwinder::Unwinder(const std::vector<attach::Module>& modules, attach::TargetFiles& files,
                   const std::vector<attach::Mapping>& mappings)
    : state_(std::make_unique<State>(modules, files, mappings)) {}
Unwinder::~Unwinder() = default;
Unwinder::Unwinder(Unwinder&&) noexcept = default;
Unwinder& Unwinder::operator=(Unwinder&&) noexcept = default;

NativeStack Unwinder::walk(const attach::Registers& registers, Memory& memory, Memory& lasting) {
  Walk walk(state_->modules, *state_->files, memory, lasting);
  return walk.run(CpuState::from(registers),
                  [this](Address pc, Memory& from) -> const KnownRow& { return state_->find_row(pc, from); });
}

void Unwinder::symbolize(std::span<NativeStack* const> stacks, Detail detail) {
  state_->symbolizer.symbolize(stacks, detail == Detail::names_and_lines);
}

void Unwinder::learn(std::span<const NativeStack* const> stacks, Detail detail) {
  for (const NativeStack* stack : stacks) state_->symbolizer.learn(*stack, detail == Detail::names_and_lines);
}

void Unwinder::use_files(attach::TargetFiles& files) {
  state_->files = &files;
  state_->symbolizer.use_files(files);
}

void Unwinder::symbolize(NativeStack& stack, Detail detail) {
  NativeStack* const one = &stack;
  symbolize(std::span(&one, 1), detail);
}

}  // namespace pythreads::unwinder
