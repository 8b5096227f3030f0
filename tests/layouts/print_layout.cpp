// Prints the layout table that a version gets, as JSON, for layout_test.py to compare with DWARF:
// print_layout MAJOR.MINOR.MICRO [debug] [free-threaded] [linked-objects]. Status 3: there is no table.
#include <cstdio>
#include <cstring>

#include "pyframes/layouts.h"

namespace {

using pythreads::pyframes::PyVersion;
using pythreads::pyframes::RuntimeLayout;

const char* comma = "";

void begin_entry(const char* group, const char* member) {
  std::printf("%s\n\"%s.%s\": ", comma, group, member);
  comma = ",";
}

void print_size(const char* group, const char* member, int size) {
  begin_entry(group, member);
  std::printf("%d", size);
}

template <typename Field>
void print_field(const char* group, const char* member, const Field& field) {
  begin_entry(group, member);
  std::printf("%d", field.offset);
}

void print_bits(const char* group, const char* member, const pythreads::pyframes::BitField& field) {
  begin_entry(group, member);
  if (field.exists()) {
    std::printf("[%d, %d, %d]", field.offset, field.shift, field.bits);
  } else {
    std::printf("-1");
  }
}

void print_layout(const RuntimeLayout& layout) {
  std::printf("{\"source\": \"%s\"", layout.source);
  comma = ",";
  print_size("traits", "frame_style", static_cast<int>(layout.frame_style));
  print_size("traits", "instruction_style", static_cast<int>(layout.instruction_style));
  print_size("traits", "line_table", static_cast<int>(layout.line_table));
  print_size("traits", "entry_style", static_cast<int>(layout.entry_style));
  print_size("traits", "attribute_style", static_cast<int>(layout.attribute_style));
  print_size("traits", "runtime_in_variables", layout.runtime_in_variables);
  print_size("traits", "tagged_stackrefs", layout.tagged_stackrefs);
  print_size("traits", "free_threaded", layout.free_threaded);
  print_size("traits", "first_shim_owner", layout.first_shim_owner);
#define SIZE(group, member) print_size(#group, #member, layout.group.member);
#define FIELD(group, member) print_field(#group, #member, layout.group.member);
#define BITS(group, member) print_bits(#group, #member, layout.group.member);
#include "layout_fields.inc"  // made by generate.py --fields
  std::printf("}\n");
}

}  // namespace

int main(int argc, char** argv) {
  PyVersion version;
  if (argc < 2 || std::sscanf(argv[1], "%d.%d.%d", &version.major, &version.minor, &version.micro) != 3) {
    std::fprintf(stderr, "usage: print_layout MAJOR.MINOR.MICRO [debug] [free-threaded] [linked-objects]\n");
    return 2;
  }
  pythreads::pyframes::BuildKind kind;
  for (int i = 2; i < argc; ++i) {
    kind.debug = kind.debug || std::strcmp(argv[i], "debug") == 0;
    kind.free_threaded = kind.free_threaded || std::strcmp(argv[i], "free-threaded") == 0;
    kind.linked_objects = kind.linked_objects || std::strcmp(argv[i], "linked-objects") == 0;
  }
  const RuntimeLayout* layout = pythreads::pyframes::find_layout(version, kind);
  if (layout == nullptr) return 3;
  print_layout(*layout);
  return 0;
}
