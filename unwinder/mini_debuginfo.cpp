#include "unwinder/mini_debuginfo.h"

#include <lzma.h>

#include <array>
#include <vector>

namespace pythreads::unwinder {

namespace {

using attach::Error;
using attach::ErrorCode;
using attach::Result;

constexpr std::uint64_t most_packed_bytes = 8u << 20;
constexpr std::size_t most_unpacked_bytes = 16u << 20;
constexpr std::uint64_t most_decoder_memory = 16u << 20;  // xz -6, as objcopy's users call it, needs 9 MiB

class Decoder {
 public:
  Decoder() { usable_ = lzma_stream_decoder(&stream_, most_decoder_memory, 0) == LZMA_OK; }
  ~Decoder() { lzma_end(&stream_); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  bool is_usable() const { return usable_; }
  lzma_stream& stream() { return stream_; }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool usable_ = false;
};

}  // namespace

Result<ElfFile> read_mini_debuginfo(ElfFile& elf) {
  const ElfFile::Section* section = elf.find_section(".gnu_debugdata");
  if (section == nullptr) return Error{ErrorCode::unsupported, "no .gnu_debugdata", {}};
  if (section->header.sh_size > most_packed_bytes) {
    return Error{ErrorCode::corrupt, ".gnu_debugdata is too large", {}};
  }
  Decoder decoder;
  if (!decoder.is_usable()) return Error{ErrorCode::internal, "liblzma gives no decoder", {}};
  lzma_stream& stream = decoder.stream();

  std::vector<std::byte> image;
  std::array<std::uint8_t, 32768> packed{};
  std::array<std::uint8_t, 32768> unpacked{};
  std::uint64_t taken = 0;
  lzma_ret state = LZMA_OK;
  while (state == LZMA_OK) {
    if (stream.avail_in == 0 && taken < section->header.sh_size) {
      const std::size_t wanted =
          static_cast<std::size_t>(std::min<std::uint64_t>(packed.size(), section->header.sh_size - taken));
      const std::size_t got = elf.read_at(section->header.sh_offset + taken,
                                          std::as_writable_bytes(std::span(packed)).first(wanted));
      taken = got == wanted ? taken + got : section->header.sh_size;
      stream.next_in = packed.data();
      stream.avail_in = got;
    }
    stream.next_out = unpacked.data();
    stream.avail_out = unpacked.size();
    state = lzma_code(&stream, taken < section->header.sh_size ? LZMA_RUN : LZMA_FINISH);
    const std::size_t made = unpacked.size() - stream.avail_out;
    if (made > most_unpacked_bytes - image.size()) {
      return Error{ErrorCode::corrupt, ".gnu_debugdata unpacks to too much", {}};
    }
    const std::span<const std::byte> bytes = std::as_bytes(std::span(unpacked)).first(made);
    image.insert(image.end(), bytes.begin(), bytes.end());
  }
  if (state != LZMA_STREAM_END) return Error{ErrorCode::corrupt, ".gnu_debugdata can't be unpacked", {}};
  return ElfFile::from_bytes(std::move(image));
}

}  // namespace pythreads::unwinder
