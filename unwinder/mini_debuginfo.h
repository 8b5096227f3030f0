// .gnu_debugdata: a small ELF file with the symbols of local functions, compressed by xz, inside a stripped
// one (Fedora and RHEL ship it; "MiniDebugInfo" in gdb's manual). Unpacked with a bound on text and on
// memory: a few kilobytes of a hostile file can stand for terabytes.
#pragma once

#include "attach/result.h"
#include "unwinder/elf_file.h"

namespace pythreads::unwinder {

// ErrorCode::unsupported when the file has none; corrupt when it can't be unpacked.
attach::Result<ElfFile> read_mini_debuginfo(ElfFile& elf);

}  // namespace pythreads::unwinder
