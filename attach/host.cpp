// read_host of attachment.h.
#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>

#include "attach/attachment.h"
#include "attach/scoped_fd.h"

namespace pythreads::attach {

Host read_host() {
  Host host;
  utsname names{};
  if (::uname(&names) == 0) {
    host.name = names.nodename;
    host.kernel = names.release;
    host.arch = names.machine;
  }
  ScopedFd file(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text{};
  ssize_t length = file.is_open() ? ::read(file.get(), text.data(), text.size()) : 0;
  if (length > 0) host.boot_id.assign(text.data(), static_cast<std::size_t>(length));
  while (host.boot_id.ends_with('\n')) host.boot_id.pop_back();
  return host;
}

}  // namespace pythreads::attach
