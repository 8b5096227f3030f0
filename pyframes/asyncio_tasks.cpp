#include "pyframes/asyncio_tasks.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pyframes/objects.h"
#include "pyframes/suspended_frames.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Range;
using attach::Result;

constexpr std::size_t max_tasks = 4096;  // of one process
constexpr std::size_t task_words = 24;   // of a TaskObj, without what subclasses add
constexpr std::uint64_t word = 8;

// _PyThreadStateImpl and TaskObj, which _Py_DebugOffsets does not have. A loop that does not stand at its
// place, or a task that is none, tells that a build is laid out otherwise.
struct TaskListRow {
  int minor = 0;
  std::uint64_t running_loop = 0, tasks_head = 0;  // in the thread state
};
constexpr std::array task_list_rows{TaskListRow{14, 864, 880}, TaskListRow{15, 1024, 1048}};
constexpr std::uint64_t task_node = 152, task_node_free_threaded = 168;

class Tasks {
 public:
  Tasks(Reading& reading, Address loop) : reading_(reading), loop_(loop) {}

  void add_weak_sets(const InterpreterCopy& interpreter) {
    const std::optional<Address> modules = interpreter.interpreter.pointer(layout().interpreter.modules);
    if (!modules || modules->is_null()) return;
    const Result<std::optional<Address>> module =
        find_in_dict(layout(), reading_.memory, *modules, "asyncio.tasks");
    if (!module || !*module) return;
    for (const char* name : {"_all_tasks", "_scheduled_tasks"}) {
      const Result<std::optional<Address>> weak_set =
          find_in_module(layout(), reading_.memory, **module, name);
      if (!weak_set || !*weak_set) continue;
      const Result<std::optional<Address>> data =
          find_attribute(layout(), reading_.memory, **weak_set, "data");
      if (!data || !*data) continue;
      const Result<Items> references = read_set(layout(), reading_.memory, **data, max_tasks);
      if (!references || !layout().weak_reference.wr_object.exists()) continue;
      touch(references->items, 64);
      for (const Address reference : references->items) {
        const Result<Address> task =
            reading_.memory.read_address(reference + at(layout().weak_reference.wr_object));
        if (task && !task->is_null()) tasks_.push_back(*task);
      }
    }
  }

  void add_list(const ThreadCopy& thread) {
    const TaskListRow* row = nullptr;
    for (const TaskListRow& each : task_list_rows) {
      if (each.minor == reading_.runtime.version.minor) row = &each;
    }
    if (row == nullptr) return;
    const Result<Address> running = reading_.memory.read_address(thread.tstate.at() + row->running_loop);
    if (!running || *running != loop_) return;
    const Address head = thread.tstate.at() + row->tasks_head;
    const std::uint64_t node_at = layout().free_threaded ? task_node_free_threaded : task_node;
    Result<Address> node = reading_.memory.read_address(head);
    while (node && !node->is_null() && *node != head && tasks_.size() < max_tasks) {
      const Address task(node->value - node_at);
      if (!is_task(task)) return;
      tasks_.push_back(task);
      node = reading_.memory.read_address(*node);
    }
  }

  std::vector<Address> coroutines() {
    touch(tasks_, task_words * word);
    std::vector<Address> found;
    for (const Address task : tasks_) {
      const std::optional<Address> coroutine = is_task(task) ? of_native(task) : of_python(task);
      if (coroutine) found.push_back(*coroutine);
    }
    return found;
  }

 private:
  const RuntimeLayout& layout() const { return reading_.layout(); }
  static std::uint64_t at(PointerField field) {
    return static_cast<std::uint64_t>(std::max(field.offset, 0));
  }

  void touch(const std::vector<Address>& objects, std::uint64_t size) {
    if (!reading_.held) return;
    std::vector<Range> wave;
    for (const Address object : objects) wave.push_back({object, size});
    reading_.memory.prefetch(wave);
  }

  bool is_task(Address object) {
    const Result<Address> type = type_of(layout(), reading_.memory, object);
    if (!type || type->is_null()) return false;
    if (*type == task_type_) return true;
    const Result<bool> is = type_or_base_is(layout(), reading_.lasting, *type, "_asyncio.Task");
    if (is && *is) task_type_ = *type;
    return is && *is;
  }

  // The loop comes first; of what follows, the coroutine alone is one.
  std::optional<Address> of_native(Address task) {
    const auto head = static_cast<std::uint64_t>(std::max(layout().object.size, 0));
    const Result<Address> loop = reading_.memory.read_address(task + head);
    if (!loop || *loop != loop_) return std::nullopt;
    for (std::size_t i = head / word + 1; i < task_words; ++i) {
      const Result<Address> value = reading_.memory.read_address(task + i * word);
      if (!value) return std::nullopt;
      if (!value->is_null() && value->value % word == 0 && is_generator(reading_, *value)) return *value;
    }
    return std::nullopt;
  }

  std::optional<Address> of_python(Address task) {
    const Result<std::optional<Address>> loop = find_attribute(layout(), reading_.memory, task, "_loop");
    if (!loop || *loop != loop_) return std::nullopt;
    const Result<std::optional<Address>> coroutine = find_attribute(layout(), reading_.memory, task, "_coro");
    return coroutine ? *coroutine : std::nullopt;
  }

  Reading& reading_;
  Address loop_, task_type_;
  std::vector<Address> tasks_;
};

}  // namespace

std::vector<Address> task_coroutines(Reading& reading, const InterpreterCopy& interpreter,
                                     const ThreadCopy& thread, Address loop) {
  Tasks tasks(reading, loop);
  tasks.add_weak_sets(interpreter);
  tasks.add_list(thread);
  return tasks.coroutines();
}

}  // namespace pythreads::pyframes
