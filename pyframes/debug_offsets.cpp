#include "pyframes/debug_offsets.h"

#include <array>
#include <cstring>
#include <string>
#include <string_view>

namespace pythreads::pyframes {
namespace {

using attach::Error;
using attach::ErrorCode;
using attach::Result;

constexpr std::uint64_t most_large = 8 << 20;  // no PyInterpreterState is larger (270 KB in 3.13)
constexpr std::uint64_t most_small = 1 << 16;  // no other struct is (PyHeapTypeObject: 1 KB)

// The groups of _Py_DebugOffsets; each begins with the size of its struct.
enum Group : std::uint8_t {
  runtime_state,
  interpreter_state,
  thread_state,
  err_stackitem,  // has no size
  interpreter_frame,
  code_object,
  pyobject,
  type_object,
  heap_type_object,
  tuple_object,
  list_object,
  set_object,
  dict_object,
  float_object,
  long_object,
  bytes_object,
  unicode_object,
  gc,
  gen_object,
  group_count,
};

struct GroupPlace {
  std::array<std::int16_t, 3> position;  // of its `size` in bytes: 3.13, 3.14, 3.15; -1: no such group
  std::uint64_t most;
};

constexpr std::array<GroupPlace, group_count> groups = {{
    {{24, 24, 24}, most_large},     // runtime_state
    {{48, 48, 48}, most_large},     // interpreter_state
    {{152, 176, 176}, most_small},  // thread_state
    {{-1, -1, -1}, most_small},     // err_stackitem
    {{224, 248, 312}, most_small},  // interpreter_frame
    {{272, 312, 376}, most_small},  // code_object
    {{352, 400, 464}, most_small},  // pyobject
    {{368, 416, 480}, most_small},  // type_object
    {{-1, -1, 528}, most_small},    // heap_type_object
    {{400, 448, 544}, most_small},  // tuple_object
    {{424, 472, 568}, most_small},  // list_object
    {{-1, 496, 592}, most_small},   // set_object
    {{448, 528, 624}, most_small},  // dict_object
    {{472, 552, 648}, most_small},  // float_object
    {{488, 568, 664}, most_small},  // long_object
    {{512, 592, 688}, most_small},  // bytes_object
    {{536, 616, 712}, most_small},  // unicode_object
    {{568, 648, 752}, most_small},  // gc
    {{-1, 664, 792}, most_small},   // gen_object
}};
constexpr std::array<std::size_t, 3> sizes = {584, 760, 888};

// One value of _Py_DebugOffsets and the field of the layout that it tells.
struct Value {
  std::string_view name;
  std::array<std::int16_t, 3> position;  // in bytes: 3.13, 3.14, 3.15; -1: not told
  Group group;
  std::uint8_t width;  // of the field; its offset is a multiple of it
  std::int32_t& (*field)(RuntimeLayout&);
  bool zero_is_absent = false;
};

#define PYTHREADS_FIELD(path) [](RuntimeLayout& layout) -> std::int32_t& { return layout.path; }

constexpr Value values[] = {
    {"finalizing", {32, 32, 32}, runtime_state, 8, PYTHREADS_FIELD(runtime.finalizing.offset)},
    {"interpreters_head", {40, 40, 40}, runtime_state, 8, PYTHREADS_FIELD(runtime.interpreters_head.offset)},

    {"id", {56, 56, 56}, interpreter_state, 8, PYTHREADS_FIELD(interpreter.id.offset)},
    {"next", {64, 64, 64}, interpreter_state, 8, PYTHREADS_FIELD(interpreter.next.offset)},
    {"threads_head", {72, 72, 72}, interpreter_state, 8, PYTHREADS_FIELD(interpreter.threads_head.offset)},
    {"threads_main", {-1, 80, 80}, interpreter_state, 8, PYTHREADS_FIELD(interpreter.threads_main.offset)},
    {"imports_modules", {88, 96, 96}, interpreter_state, 8, PYTHREADS_FIELD(interpreter.modules.offset)},
    {"sysdict", {96, 104, 104}, interpreter_state, 8, PYTHREADS_FIELD(interpreter.sysdict.offset)},
    {"builtins", {104, 112, 112}, interpreter_state, 8, PYTHREADS_FIELD(interpreter.builtins.offset)},
    {"ceval_gil", {112, 120, 120}, interpreter_state, 8, PYTHREADS_FIELD(interpreter.ceval_gil.offset)},

    {"prev", {160, 184, 184}, thread_state, 8, PYTHREADS_FIELD(thread_state.prev.offset)},
    {"next", {168, 192, 192}, thread_state, 8, PYTHREADS_FIELD(thread_state.next.offset)},
    {"interp", {176, 200, 200}, thread_state, 8, PYTHREADS_FIELD(thread_state.interp.offset)},
    {"current_frame", {184, 208, 208}, thread_state, 8, PYTHREADS_FIELD(thread_state.current_frame.offset)},
    {"base_frame", {-1, -1, 216}, thread_state, 8, PYTHREADS_FIELD(thread_state.base_frame.offset)},
    {"thread_id", {192, 216, 240}, thread_state, 8, PYTHREADS_FIELD(thread_state.thread_id.offset)},
    {"native_thread_id",
     {200, 224, 248},
     thread_state,
     8,
     PYTHREADS_FIELD(thread_state.native_thread_id.offset)},
    {"datastack_chunk",
     {208, 232, 256},
     thread_state,
     8,
     PYTHREADS_FIELD(thread_state.datastack_chunk.offset)},
    {"holds_gil", {-1, -1, 272}, thread_state, 4, PYTHREADS_FIELD(thread_state.holds_gil.offset)},
    {"gil_requested", {-1, -1, 280}, thread_state, 4, PYTHREADS_FIELD(thread_state.gil_requested.offset)},
    {"current_exception",
     {-1, -1, 288},
     thread_state,
     8,
     PYTHREADS_FIELD(thread_state.current_exception.offset)},
    {"exc_value", {-1, -1, 304}, err_stackitem, 8, PYTHREADS_FIELD(err_stack_item.exc_value.offset)},

    {"previous", {232, 256, 320}, interpreter_frame, 8, PYTHREADS_FIELD(interpreter_frame.previous.offset)},
    {"executable",
     {240, 264, 328},
     interpreter_frame,
     8,
     PYTHREADS_FIELD(interpreter_frame.f_executable.offset)},
    {"instr_ptr", {248, 272, 336}, interpreter_frame, 8, PYTHREADS_FIELD(interpreter_frame.instr_ptr.offset)},
    {"localsplus",
     {256, 280, 344},
     interpreter_frame,
     8,
     PYTHREADS_FIELD(interpreter_frame.localsplus.offset)},
    {"owner", {264, 288, 352}, interpreter_frame, 1, PYTHREADS_FIELD(interpreter_frame.owner.offset)},
    {"stackpointer",
     {-1, 296, 360},
     interpreter_frame,
     8,
     PYTHREADS_FIELD(interpreter_frame.stackpointer.offset)},
    {"tlbc_index",
     {-1, 304, 368},
     interpreter_frame,
     4,
     PYTHREADS_FIELD(interpreter_frame.tlbc_index.offset),
     true},

    {"filename", {280, 320, 384}, code_object, 8, PYTHREADS_FIELD(code.co_filename.offset)},
    {"name", {288, 328, 392}, code_object, 8, PYTHREADS_FIELD(code.co_name.offset)},
    {"qualname", {296, 336, 400}, code_object, 8, PYTHREADS_FIELD(code.co_qualname.offset)},
    {"linetable", {304, 344, 408}, code_object, 8, PYTHREADS_FIELD(code.co_linetable.offset)},
    {"firstlineno", {312, 352, 416}, code_object, 4, PYTHREADS_FIELD(code.co_firstlineno.offset)},
    {"argcount", {320, 360, 424}, code_object, 4, PYTHREADS_FIELD(code.co_argcount.offset)},
    {"localsplusnames", {328, 368, 432}, code_object, 8, PYTHREADS_FIELD(code.co_localsplusnames.offset)},
    {"localspluskinds", {336, 376, 440}, code_object, 8, PYTHREADS_FIELD(code.co_localspluskinds.offset)},
    {"co_code_adaptive", {344, 384, 448}, code_object, 2, PYTHREADS_FIELD(code.co_code_adaptive.offset)},
    {"co_tlbc", {-1, 392, 456}, code_object, 8, PYTHREADS_FIELD(code.co_tlbc.offset), true},

    {"ob_type", {360, 408, 472}, pyobject, 8, PYTHREADS_FIELD(object.ob_type.offset)},
    {"tp_name", {376, 424, 488}, type_object, 8, PYTHREADS_FIELD(type.tp_name.offset)},
    {"tp_flags", {392, 440, 504}, type_object, 8, PYTHREADS_FIELD(type.tp_flags.offset)},
    {"tp_basicsize", {-1, -1, 512}, type_object, 8, PYTHREADS_FIELD(type.tp_basicsize.offset)},
    {"tp_dictoffset", {-1, -1, 520}, type_object, 8, PYTHREADS_FIELD(type.tp_dictoffset.offset)},
    {"ht_cached_keys", {-1, -1, 536}, heap_type_object, 8, PYTHREADS_FIELD(heap_type.ht_cached_keys.offset)},
    {"tuple ob_item", {408, 456, 552}, tuple_object, 8, PYTHREADS_FIELD(tuple.ob_item.offset)},
    {"tuple ob_size", {416, 464, 560}, tuple_object, 8, PYTHREADS_FIELD(tuple.ob_size.offset)},
    {"list ob_item", {432, 480, 576}, list_object, 8, PYTHREADS_FIELD(list.ob_item.offset)},
    {"list ob_size", {440, 488, 584}, list_object, 8, PYTHREADS_FIELD(list.ob_size.offset)},
    {"set used", {-1, 504, 600}, set_object, 8, PYTHREADS_FIELD(set.used.offset)},
    {"set table", {-1, 512, 608}, set_object, 8, PYTHREADS_FIELD(set.table.offset)},
    {"set mask", {-1, 520, 616}, set_object, 8, PYTHREADS_FIELD(set.mask.offset)},
    {"ma_keys", {456, 536, 632}, dict_object, 8, PYTHREADS_FIELD(dict.ma_keys.offset)},
    {"ma_values", {464, 544, 640}, dict_object, 8, PYTHREADS_FIELD(dict.ma_values.offset)},
    {"ob_fval", {480, 560, 656}, float_object, 8, PYTHREADS_FIELD(floating.ob_fval.offset)},
    {"lv_tag", {496, 576, 672}, long_object, 8, PYTHREADS_FIELD(integer.lv_tag.offset)},
    {"ob_digit", {504, 584, 680}, long_object, 4, PYTHREADS_FIELD(integer.ob_digit.offset)},
    {"bytes ob_size", {520, 600, 696}, bytes_object, 8, PYTHREADS_FIELD(bytes.ob_size.offset)},
    {"ob_sval", {528, 608, 704}, bytes_object, 1, PYTHREADS_FIELD(bytes.ob_sval.offset)},
    {"str length", {552, 632, 728}, unicode_object, 8, PYTHREADS_FIELD(unicode.length.offset)},
    {"gi_name", {-1, 672, 800}, gen_object, 8, PYTHREADS_FIELD(generator.gi_name.offset)},
    {"gi_iframe", {-1, 680, 808}, gen_object, 8, PYTHREADS_FIELD(generator.gi_iframe.offset)},
    {"gi_frame_state", {-1, 688, 816}, gen_object, 1, PYTHREADS_FIELD(generator.gi_frame_state.offset)},
};

// The ends of structs that grow at their ends from one minor to the next, of which no value tells.
struct Untold {
  Group group;
  std::int32_t& (*field)(RuntimeLayout&);
};

constexpr Untold untold[] = {
    {code_object, PYTHREADS_FIELD(code.co_executors.offset)},
    {code_object, PYTHREADS_FIELD(code.co_monitoring.offset)},
    {code_object, PYTHREADS_FIELD(code.co_firsttraceable.offset)},
    {type_object, PYTHREADS_FIELD(type.tp_mro.offset)},
    {heap_type_object, PYTHREADS_FIELD(heap_type.ht_name.offset)},
    {heap_type_object, PYTHREADS_FIELD(heap_type.ht_qualname.offset)},
    {heap_type_object, PYTHREADS_FIELD(heap_type.ht_module.offset)},
};

// Values that are no field of the layout as they stand.
constexpr std::array<std::int16_t, 3> gil_runtime_state = {120, 128, 128};
constexpr std::array<std::int16_t, 3> gil_locked = {136, 144, 144};
constexpr std::array<std::int16_t, 3> gil_holder = {144, 152, 152};
constexpr std::array<std::int16_t, 3> interpreter_gc = {80, 88, 88};
constexpr std::array<std::int16_t, 3> gc_collecting = {576, 656, 760};
constexpr std::array<std::int16_t, 3> gc_frame = {-1, -1, 768};
constexpr std::array<std::int16_t, 3> thread_status = {216, 240, 264};
constexpr std::array<std::int16_t, 3> str_state = {544, 624, 720};
constexpr std::array<std::int16_t, 3> ascii_size = {560, 640, 736};
constexpr std::array<std::int16_t, 3> compact_size = {-1, -1, 744};

std::size_t shape_of(int minor) {
  if (minor <= 13) return 0;
  return minor == 14 ? 1 : 2;
}

Error corrupt(std::string_view what) {
  return Error{ErrorCode::corrupt, "_Py_DebugOffsets can't be right: " + std::string(what), ""};
}

std::uint64_t word_at(std::span<const std::byte> bytes, std::size_t at) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + at, sizeof word);
  return word;
}

// The bytes in one known shape; all positions lie inside them.
class Told {
 public:
  Told(std::span<const std::byte> bytes, std::size_t shape) : bytes_(bytes), shape_(shape) {}

  bool has(const std::array<std::int16_t, 3>& position) const { return position[shape_] >= 0; }
  std::uint64_t at(const std::array<std::int16_t, 3>& position) const {
    return word_at(bytes_, static_cast<std::size_t>(position[shape_]));
  }
  // How large the struct of a group is; the bound where it isn't told.
  std::uint64_t size(Group group) const {
    return has(groups[group].position) ? at(groups[group].position) : groups[group].most;
  }
  bool fits(std::uint64_t offset, Group group, std::uint64_t width) const {
    std::uint64_t end = size(group);
    return offset % width == 0 && offset <= end && end - offset >= width;
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t shape_;
};

std::int32_t table_size(const RuntimeLayout& table, Group group) {
  switch (group) {
    case code_object:
      return table.code.size;
    case type_object:
      return table.type.size;
    case heap_type_object:
      return table.heap_type.size;
    default:
      return 0;
  }
}

// A place in a struct that the bytes tell, and how far it lies from where the table has it.
struct Anchor {
  std::int32_t in_table = 0;
  std::int32_t moved = 0;
};

Anchor end_of(const Told& told, const RuntimeLayout& table, Group group) {
  const std::int32_t size = table_size(table, group);
  return {size, static_cast<std::int32_t>(told.size(group)) - size};
}

// A field that no value tells moves with what is told in front of it and behind it, where both moved alike.
// Otherwise something came or went between them, and it is absent: unread, not misread.
void place_untold(const Told& told, const RuntimeLayout& table, RuntimeLayout& layout) {
  RuntimeLayout before = table;
  for (const Untold& each : untold) {
    const std::int32_t offset = each.field(before);
    if (offset < 0 || !told.has(groups[each.group].position)) continue;
    // A heap type begins with a whole type.
    Anchor front = each.group == heap_type_object ? end_of(told, table, type_object) : Anchor{};
    Anchor behind = end_of(told, table, each.group);
    for (const Value& value : values) {
      if (value.group != each.group || !told.has(value.position)) continue;
      const Anchor anchor{value.field(before), value.field(layout) - value.field(before)};
      if (anchor.in_table < 0) continue;
      if (anchor.in_table <= offset && anchor.in_table >= front.in_table) front = anchor;
      if (anchor.in_table > offset && anchor.in_table < behind.in_table) behind = anchor;
    }
    each.field(layout) = front.moved == behind.moved ? offset + front.moved : -1;
  }
}

void move_bits(BitField& field, std::int32_t from, std::int32_t to) {
  if (field.exists()) field.offset += to - from;
}

// What is put together from two values, or is a bit-field.
Result<void> lay_over_derived(const Told& told, RuntimeLayout& layout) {
  auto as_offset = [](std::uint64_t value) { return static_cast<std::int32_t>(value); };

  std::uint64_t gil = told.at(gil_runtime_state);
  std::uint64_t locked = told.at(gil_locked), holder = told.at(gil_holder);
  if (!told.fits(locked, interpreter_state, 4) || !told.fits(holder, interpreter_state, 8) || locked < gil ||
      holder < gil || locked - gil > most_small || holder - gil > most_small)
    return corrupt("the GIL");
  layout.gil.locked.offset = as_offset(locked - gil);
  layout.gil.last_holder.offset = as_offset(holder - gil);

  // The collector's state is a part of the interpreter's where both agree with the table about that.
  std::uint64_t collector = told.at(interpreter_gc), collecting = told.at(gc_collecting);
  if (!told.fits(collector, interpreter_state, 8) || !told.fits(collecting, gc, 4))
    return corrupt("the garbage collector");
  if (told.fits(collector + collecting, interpreter_state, 4))
    layout.interpreter.gc_collecting.offset = as_offset(collector + collecting);
  if (told.has(gc_frame)) {
    std::uint64_t frame = told.at(gc_frame);
    if (!told.fits(frame, gc, 8)) return corrupt("the garbage collector's frame");
    if (told.fits(collector + frame, interpreter_state, 8))
      layout.interpreter.gc_frame.offset = as_offset(collector + frame);
  }

  std::uint64_t status = told.at(thread_status);
  if (!told.fits(status, thread_state, 4)) return corrupt("the status of a thread");
  std::int32_t known = layout.thread_state.status_active.offset;
  move_bits(layout.thread_state.status_active, known, as_offset(status));
  move_bits(layout.thread_state.status_holds_gil, known, as_offset(status));
  move_bits(layout.thread_state.status_finalizing, known, as_offset(status));

  // Where `state` begins differs from where its word of bit-fields does on free-threaded builds: what the
  // table has is moved only when it is elsewhere altogether.
  std::uint64_t state = told.at(str_state);
  if (!told.fits(state, unicode_object, 4)) return corrupt("the state of a str");
  std::int32_t distance = layout.unicode.kind.offset - as_offset(state);
  if (distance < 0 || distance >= 4) {
    known = layout.unicode.kind.offset;
    move_bits(layout.unicode.kind, known, as_offset(state));
    move_bits(layout.unicode.compact, known, as_offset(state));
    move_bits(layout.unicode.ascii, known, as_offset(state));
  }
  std::uint64_t header = told.at(ascii_size);
  if (header == 0 || header % 8 != 0 || header > told.size(unicode_object))
    return corrupt("the size of a str");
  layout.unicode.size = as_offset(header);
  if (told.has(compact_size)) {
    header = told.at(compact_size);
    if (header == 0 || header % 8 != 0 || header > told.size(unicode_object))
      return corrupt("the size of a compact str");
    layout.compact_unicode.size = as_offset(header);
  }
  return {};
}

}  // namespace

PyVersion version_of_hex(std::uint32_t hex) {
  PyVersion version;
  version.major = static_cast<int>(hex >> 24);
  version.minor = static_cast<int>(hex >> 16 & 255);
  version.micro = static_cast<int>(hex >> 8 & 255);
  version.hex = hex;
  return version;
}

Result<DebugOffsetsHeader> parse_debug_offsets_header(std::span<const std::byte> bytes) {
  constexpr std::string_view cookie = debug_offsets_cookie;
  if (bytes.size() < debug_offsets_header_size ||
      std::memcmp(bytes.data(), cookie.data(), cookie.size()) != 0)
    return corrupt("no cookie");
  std::uint64_t version = word_at(bytes, 8);
  std::uint64_t free_threaded = word_at(bytes, 16);
  if (version >> 32 != 0 || free_threaded > 1) return corrupt("the version");
  DebugOffsetsHeader header;
  header.version = version_of_hex(static_cast<std::uint32_t>(version));
  header.free_threaded = free_threaded != 0;
  if (header.version.major != 3 || header.version.minor < 13) return corrupt("the version");
  return header;
}

std::size_t debug_offsets_size(int minor) {
  return sizes[shape_of(minor)];
}

Result<RuntimeLayout> lay_over(const RuntimeLayout& table, std::span<const std::byte> bytes,
                               TableOf table_of) {
  Result<DebugOffsetsHeader> header = parse_debug_offsets_header(bytes);
  if (!header) return std::move(header).error();
  std::size_t shape = shape_of(header->version.minor);
  if (bytes.size() < sizes[shape]) return corrupt("cut short");
  Told told(bytes, shape);
  for (const GroupPlace& group : groups) {
    if (!told.has(group.position)) continue;
    std::uint64_t size = told.at(group.position);
    if (size == 0 || size > group.most) return corrupt("the size of a struct");
  }

  RuntimeLayout layout = table;
  for (const Value& value : values) {
    if (!told.has(value.position)) continue;
    std::uint64_t offset = told.at(value.position);
    if (offset == 0 && value.zero_is_absent) continue;
    if (!told.fits(offset, value.group, value.width)) return corrupt(value.name);
    value.field(layout) = static_cast<std::int32_t>(offset);
  }
  Result<void> derived = lay_over_derived(told, layout);
  if (!derived) return std::move(derived).error();

  if (table_of == TableOf::another_version) place_untold(told, table, layout);

  auto size_of = [&](Group group) { return static_cast<std::int32_t>(told.size(group)); };
  layout.runtime.size = size_of(runtime_state);
  layout.interpreter.size = size_of(interpreter_state);
  layout.thread_state.size = size_of(thread_state);
  layout.interpreter_frame.size = size_of(interpreter_frame);
  layout.code.size = size_of(code_object);
  layout.object.size = size_of(pyobject);
  layout.type.size = size_of(type_object);
  if (told.has(groups[heap_type_object].position)) layout.heap_type.size = size_of(heap_type_object);
  return layout;
}

#undef PYTHREADS_FIELD

}  // namespace pythreads::pyframes
