// An ELF file of the target (64-bit, little-endian), read piece by piece: headers when it is opened,
// everything else only where it is asked for. Nothing is mapped (a file cut short under a mapping is SIGBUS)
// and no section is read whole: a library with 20 MB of DWARF costs the few pages that hold the answer.
//
// The file is untrusted: every count and size is bounded, offsets are never added without a check, and what
// can't be read is short, never a crash. Format: elf(5), the System V gABI, chapters 4 and 5.
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attach/memory.h"
#include "attach/result.h"
#include "attach/scoped_fd.h"

namespace pythreads::unwinder {

class ElfFile {
 public:
  // Takes the descriptor; it is only ever read by pread. ErrorCode::corrupt when it is no such ELF file.
  static attach::Result<ElfFile> open(attach::ScopedFd file);
  // An image that is in our own memory already: the vdso, an unpacked .gnu_debugdata.
  static attach::Result<ElfFile> from_bytes(std::vector<std::byte> image);

  // As much of [offset, offset + into.size()) as there is.
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> into) const;
  // Up to the terminating zero, at most `limit` bytes; empty if there is none.
  std::string read_string_at(std::uint64_t offset, std::size_t limit) const;

  const std::vector<Elf64_Phdr>& segments() const { return segments_; }

  struct Section {
    std::string name;
    Elf64_Shdr header{};
    bool has_bytes() const { return header.sh_type != SHT_NOBITS && header.sh_size != 0; }
  };
  // Read at the first call.
  const std::vector<Section>& sections();
  const Section* find_section(std::string_view name);
  const Section* find_section(std::uint32_t type);

  // Hex digits of the GNU build id; empty if there is none.
  std::string build_id();

 private:
  ElfFile() = default;
  attach::Result<void> read_headers();
  void read_sections();
  std::string find_build_id_in(std::uint64_t offset, std::uint64_t size, std::uint64_t align) const;

  attach::ScopedFd file_;
  std::vector<std::byte> image_;
  Elf64_Ehdr header_{};
  std::vector<Elf64_Phdr> segments_;
  std::optional<std::vector<Section>> sections_;
};

// The load segments of a file as the target sees them: reads of a target's address are answered from the
// file, so that whoever parses unwind tables doesn't know whether they came from a file or from the target.
// Only what is not writable is the same in both; nothing else is ever asked here.
class FileMemory final : public attach::Memory {
 public:
  // `elf` must outlive this. `bias` as in attach::Module.
  FileMemory(const ElfFile& elf, std::uint64_t bias) : elf_(&elf), bias_(bias) {}

 private:
  std::size_t read_some(attach::Address from, std::span<std::byte> into) override;

  const ElfFile* elf_;
  std::uint64_t bias_;
};

}  // namespace pythreads::unwinder
