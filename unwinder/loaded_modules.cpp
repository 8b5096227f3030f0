#include "unwinder/loaded_modules.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>

namespace pythreads::unwinder {

namespace {

using attach::Address;
using attach::Error;
using attach::ErrorCode;
using attach::Range;
using attach::Result;

constexpr std::uint64_t most_vdso_bytes = 64u << 10;
constexpr std::uint64_t first_user_address = 1u << 16;
constexpr std::uint64_t last_user_address = 0x00ff'ffff'ffff'ffff;  // with 5-level page tables

}  // namespace

ElfFile* LoadedModule::file(attach::TargetFiles& files, attach::Memory& lasting) {
  if (!tried_) {
    tried_ = true;
    Result<ElfFile> opened = open(files, lasting);
    if (opened) {
      elf_ = std::make_unique<ElfFile>(std::move(*opened));
      contents_.emplace(*elf_, facts_.bias);
    } else {
      why_no_file_ = opened.error().message;
    }
  }
  return elf_.get();
}

attach::Memory& LoadedModule::contents(attach::TargetFiles& files, attach::Memory& lasting) {
  if (file(files, lasting) == nullptr) return lasting;
  return *contents_;
}

Result<ElfFile> LoadedModule::open(attach::TargetFiles& files, attach::Memory& lasting) const {
  if (facts_.path == "[vdso]") {
    if (facts_.range.size > most_vdso_bytes) return Error{ErrorCode::corrupt, "the vdso is too large", {}};
    std::vector<std::byte> image(static_cast<std::size_t>(facts_.range.size));
    Result<void> done = lasting.read(facts_.range.begin, image);
    if (!done) return std::move(done).error().within("the vdso");
    return ElfFile::from_bytes(std::move(image));
  }
  Result<attach::ScopedFd> opened = files.open_mapping(facts_.first_mapping);
  if (!opened) return std::move(opened).error();
  struct stat status {};
  if (::fstat(opened->get(), &status) != 0) return Error{ErrorCode::unreadable, "its file can't be read", {}};
  Result<ElfFile> elf = ElfFile::open(std::move(*opened));
  if (!elf) return elf;
  const std::string build_id = elf->build_id();
  if (build_id != facts_.build_id) {
    return Error{ErrorCode::corrupt, "its file is not the one that is mapped (another build id)", {}};
  }
  if (build_id.empty() && !has_same_headers(*elf, lasting) && status.st_ino != facts_.first_mapping.inode) {
    return Error{ErrorCode::corrupt, "its file is not the one that is mapped (other headers)", {}};
  }
  return elf;
}

// The ELF header has the place of the section headers, the program headers have all sizes: another build of
// the same library differs in them. (Inode numbers judge only where the memory can't be read: overlayfs and
// btrfs give stat(2) others than maps.)
bool LoadedModule::has_same_headers(const ElfFile& elf, attach::Memory& lasting) const {
  if (facts_.first_mapping.file_offset != 0) return false;
  std::array<std::byte, 1024> mapped{};
  std::array<std::byte, 1024> in_file{};
  const std::size_t got = lasting.read_up_to(facts_.first_mapping.range.begin, mapped);
  const std::size_t wanted = sizeof(Elf64_Ehdr) + elf.segments().size() * sizeof(Elf64_Phdr);
  const std::size_t count = std::min(wanted, mapped.size());
  return got >= count && elf.read_at(0, in_file) >= count &&
         std::equal(mapped.begin(), mapped.begin() + static_cast<std::ptrdiff_t>(count), in_file.begin());
}

LoadedModules::LoadedModules(const std::vector<attach::Module>& modules,
                             const std::vector<attach::Mapping>& mappings)
    : mappings_known_(!mappings.empty()) {
  modules_.reserve(modules.size());
  for (const attach::Module& module : modules) {
    if (module.range.size != 0) modules_.emplace_back(module);
  }
  std::sort(modules_.begin(), modules_.end(), [](const LoadedModule& a, const LoadedModule& b) {
    return a.facts().range.begin < b.facts().range.begin;
  });
  for (const attach::Mapping& mapping : mappings) {
    if (mapping.executable) executable_.push_back(mapping.range);
  }
  std::sort(executable_.begin(), executable_.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
}

LoadedModule* LoadedModules::find(Address at) {
  auto after = std::upper_bound(
      modules_.begin(), modules_.end(), at,
      [](Address wanted, const LoadedModule& module) { return wanted < module.facts().range.begin; });
  if (after == modules_.begin()) return nullptr;
  LoadedModule& found = *std::prev(after);
  return found.facts().range.contains(at) ? &found : nullptr;
}

bool LoadedModules::may_be_code(Address at) const {
  if (!mappings_known_) return at.value >= first_user_address && at.value <= last_user_address;
  const auto after =
      std::upper_bound(executable_.begin(), executable_.end(), at,
                       [](Address wanted, const Range& range) { return wanted < range.begin; });
  return after != executable_.begin() && std::prev(after)->contains(at);
}

}  // namespace pythreads::unwinder
