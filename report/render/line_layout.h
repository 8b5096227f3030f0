// How lines are laid out in a terminal's columns. Text is what `escaped` gives: valid UTF-8 without control
// characters.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pythreads::report {

// Wide characters (Unicode Standard Annex 11) take two, marks that combine with the one before take none.
// Roughly: by blocks, for what a terminal does itself differs.
std::size_t terminal_columns(std::string_view text);

// Broken at spaces into pieces that fit; the later ones are set in further than the line itself. A word that
// is longer than that stays whole.
std::vector<std::string> broken_line(std::string_view line, std::size_t width);

// The end of a path, from a '/' on, behind "…", so that it takes no more than that; its last part is always
// there.
std::string shortened_path(std::string_view path, std::size_t width);

}  // namespace pythreads::report
