#include "attach/c_library.h"

#include <algorithm>
#include <string_view>

#include "attach/architecture.h"

namespace pythreads::attach {
namespace {

constexpr std::size_t most_threads_asked = 4;
constexpr std::uint64_t self_offset = 16;

template <typename Ask>
bool any_thread(const Target& target, Ask ask) {
  std::size_t asked = 0;
  for (const ThreadState& thread : target.threads) {
    if (!thread.registers || thread.registers->pthread_self == 0) continue;
    if (ask(thread, Address(thread.registers->pthread_self))) return true;
    if (++asked == most_threads_asked) break;
  }
  return false;
}

bool is_named_glibc(const Module& module) {
  const std::string_view path = module.path;
  const std::string_view name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
  return name == "libc.so.6" || name.starts_with("libc-2.");
}

}  // namespace

void add_thread_heads(const Target& target, std::vector<Range>& wave) {
  any_thread(target, [&](const ThreadState&, Address head) {
    wave.push_back({head, pthread_tid_offset + sizeof(std::uint32_t)});
    return false;
  });
}

bool is_glibc(const Target& target) {
  if (std::any_of(target.modules.begin(), target.modules.end(), is_named_glibc)) return true;
  return any_thread(target, [&](const ThreadState& thread, Address head) {
    if (pthread_points_to_itself) {
      const Result<Address> itself = target.memory->read_address(head);
      const Result<Address> self = target.memory->read_address(head + self_offset);
      if (!itself || !self || *itself != head || *self != head) return false;
    }
    const Result<std::uint32_t> tid = target.memory->read_value<std::uint32_t>(head + pthread_tid_offset);
    return tid && static_cast<pid_t>(*tid) == thread.namespace_tid;
  });
}

}  // namespace pythreads::attach
