#include "unwinder/demangle.h"

#include <cstddef>

// Declared here and not by <libiberty/demangle.h>, which wants the whole of libiberty's environment. Their C
// code has unwind tables like all code for x86-64, and keeps nothing on the heap while it calls back for a
// C++ name, so that an exception passes through it (include/demangle.h, binutils 2.40).
extern "C" {
using DemangledPiece = void(const char* text, std::size_t size, void* into);
int cplus_demangle_v3_callback(const char* mangled, int options, DemangledPiece* piece, void* into);
int rust_demangle_callback(const char* mangled, int options, DemangledPiece* piece, void* into);
}

namespace pythreads::unwinder {

namespace {

constexpr std::size_t longest_mangled_name = 4096;
constexpr std::size_t longest_text = 16384;
constexpr int with_parameters = 1 | 2;  // DMGL_PARAMS | DMGL_ANSI

struct TooLong {};

void append(const char* text, std::size_t size, void* into) {
  std::string& whole = *static_cast<std::string*>(into);
  if (size > longest_text - whole.size()) throw TooLong{};
  whole.append(text, size);
}

}  // namespace

std::string demangle(std::string_view name) {
  const bool is_itanium = name.starts_with("_Z");
  const bool is_rust = name.starts_with("_R");
  if ((!is_itanium && !is_rust) || name.size() > longest_mangled_name) return std::string(name);
  const std::string mangled(name);
  try {
    std::string text;
    // Rust's old form is C++'s with a hash at the end: Rust's rules refuse what isn't it.
    if (rust_demangle_callback(mangled.c_str(), with_parameters, append, &text) != 0) return text;
    text.clear();
    if (is_itanium && cplus_demangle_v3_callback(mangled.c_str(), with_parameters, append, &text) != 0) {
      return text;
    }
  } catch (const TooLong&) {
    // The mangled name is the better one to print.
  }
  return mangled;
}

}  // namespace pythreads::unwinder
