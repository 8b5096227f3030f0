// A code object: the name, the file, and the line of an instruction in it.
//
// Code objects don't change while they exist, so they are kept by address; those that frames run were touched
// while held (held_codes.h). Each is checked to be one first: an address of a corrupt frame may be anything.
// Source: Objects/codeobject.c (PyCode_Addr2Line), Include/cpython/code.h at v3.8.0 to v3.15.0.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "attach/address.h"
#include "attach/result.h"
#include "attach/shared_text.h"
#include "pyframes/line_table.h"

namespace pythreads::pyframes {

struct Reading;

struct Code {
  attach::Address address;
  attach::SharedText name;
  attach::SharedText qualified_name;  // the name before 3.11
  attach::SharedText file;
  bool name_unread = false, file_unread = false;  // else an empty text is what it is called
  std::int32_t first_line = 0;
  std::int32_t flags = 0;                     // co_flags
  std::int32_t first_traceable = 0;           // index of the first RESUME in 2-byte units; 0 before 3.11
  attach::Address instructions;               // 3.11 on: the first one; null before
  attach::Address thread_local_instructions;  // co_tlbc: null where there are none
  std::vector<std::uint8_t> line_table;
  std::string gap;  // what of it could not be read; empty if nothing
};

// From the reading's cache, else from `lasting`. ErrorCode::corrupt: no code object is there.
attach::Result<std::shared_ptr<const Code>> read_code(Reading& reading, attach::Address code);

// What the evaluation loop needs of a code object, and no text: cheap enough while the target is held. The
// other fields are empty.
attach::Result<std::shared_ptr<const Code>> read_code_head(Reading& reading, attach::Address code);

// co_name alone; empty if it can't be read.
const attach::SharedText& code_name(Reading& reading, attach::Address code);

// Whether an object is a code object: its type's tp_name is "code".
attach::Result<bool> is_code(Reading& reading, attach::Address object);

}  // namespace pythreads::pyframes
