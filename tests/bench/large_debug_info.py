"""A library with very much debug information, made from one that has a little.

The new .debug_info lies behind the end of the file: the units that were there, and then as many empty ones as are asked
for, each of a mebibyte. The file has holes where these are empty, so it takes no room on the disk. DWARF 5, section 7.5.1;
elf(5).
"""

import os
import struct

UNIT = 1 << 20
SECTION = "<IIQQQQIIQQ"  # Elf64_Shdr
NULL = 0  # SHT_NULL: who looks for a section by its name finds one without bytes


def sections_of(data):
    begin, = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from(SECTION, data, begin + i * size) for i in range(count)]
    text = headers[names][4]
    found = {}
    for i, header in enumerate(headers):
        at = text + header[0]
        found[data[at : data.index(0, at)].decode()] = (begin + i * size, list(header))
    return found


def empty_unit(abbreviations):
    """The header of a compilation unit of version 4 which has no entry but ends of lists: a zero is one."""
    return struct.pack("<IHIB", UNIT - 4, 4, abbreviations, 8)


def grow(path, mebibytes, with_ranges=True):
    """`with_ranges`: .debug_aranges says which unit has which code; clang writes none."""
    with open(path, "r+b") as file:
        data = file.read()
        sections = sections_of(data)
        at, header = sections[".debug_info"]
        units = data[header[4] : header[4] + header[5]]
        begin = (len(data) + 4095) // 4096 * 4096
        header[4], header[5] = begin, len(units) + mebibytes * UNIT
        file.seek(at)
        file.write(struct.pack(SECTION, *header))
        if not with_ranges:
            at, ranges = sections[".debug_aranges"]
            ranges[1] = NULL
            file.seek(at)
            file.write(struct.pack(SECTION, *ranges))
        file.seek(begin)
        file.write(units)
        for number in range(mebibytes):
            file.seek(begin + len(units) + number * UNIT)
            file.write(empty_unit(0))
        file.truncate(begin + header[5])
    return os.stat(path).st_size
