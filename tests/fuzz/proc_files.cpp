// The parsers of /proc, each given every input: what they accept must keep their promises.
#include <cstdint>
#include <string>
#include <string_view>

#include "attach/proc_parse.h"
#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pythreads::attach;  // NOLINT: one function
  using pythreads::tests::require;
  std::string_view text(reinterpret_cast<const char*>(data), size);

  Maps maps = parse_maps(text);
  for (const Mapping& mapping : maps.mappings) {
    require(mapping.range.size > 0, "a mapping is not empty");
    require(mapping.range.begin < mapping.range.end(), "a mapping does not wrap around");
    require(mapping.path.size() <= size, "a path is part of the text");
  }
  if (maps.bad_line)
    require(*maps.bad_line == maps.mappings.size() + 1, "all lines before the bad one were read");

  if (std::optional<StatLine> stat = parse_stat(text))
    require(text.find("(" + stat->comm + ")") != std::string_view::npos, "the name is the one in the text");
  Status status = parse_status(text);
  require(status.namespace_pids.size() <= size, "no more pids than text");
  if (std::optional<SyscallLine> call = parse_syscall(text))
    require(!call->running || call->number == -1, "who runs is in no system call");

  std::size_t length = 0;
  for (const std::string& argument : parse_command_line(text)) length += argument.size() + 1;
  require(length <= size + 1, "the arguments are the text");
  require(parse_cgroup(text).size() <= size, "the path is part of the text");
  std::string id = find_container_id(text);
  require(id.empty() || (id.size() == 64 && text.find(id) != std::string_view::npos), "an id has 64 digits");
  std::string path(text);
  cut_root(path, text.substr(0, size / 2));
  require(path.size() <= size + 1, "a path does not grow");
  return 0;
}
