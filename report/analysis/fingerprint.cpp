#include "report/analysis/fingerprint.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace pythreads::report {
namespace {

// FNV-1a, 64 bits (RFC 9923), with a final mix so that short texts spread over all digits.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3U;
  }
  hash ^= hash >> 33U;
  hash *= 0xff51afd7ed558ccdU;
  hash ^= hash >> 33U;
  return hash;
}

// Where the least of all rotations begins: two places are compared, and the one that loses skips what was
// compared. In time proportional to the number of parts.
std::size_t least_rotation(const std::vector<std::string>& parts) {
  const std::size_t size = parts.size();
  std::size_t one = 0, other = 1, same = 0;
  while (one < size && other < size && same < size) {
    const int order = parts[(one + same) % size].compare(parts[(other + same) % size]);
    if (order == 0) {
      ++same;
      continue;
    }
    (order > 0 ? one : other) += same + 1;
    if (one == other) ++other;
    same = 0;
  }
  return std::min(one, other);
}

}  // namespace

std::string fingerprint(std::string_view cause_kind, std::span<const CauseLink> links) {
  // Unit and record separators, which no name holds.
  std::vector<std::string> parts;
  for (const CauseLink& link : links) {
    parts.push_back(link.wait_kind + '\x1f' + link.lock_name + '\x1f' + link.module + '\x1f' + link.function);
  }
  const std::size_t start = least_rotation(parts);
  std::rotate(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(start), parts.end());

  std::string text(cause_kind);
  for (const std::string& part : parts) text += '\x1e' + part;
  char digits[24];
  std::snprintf(digits, sizeof digits, "fp1:%016llx", static_cast<unsigned long long>(hash_of(text)));
  return digits;
}

}  // namespace pythreads::report
