// The variables of a frame by name: its fast locals, cells and free variables, or the dict of a module's or a
// class's body.
//
// Names belong to the code object and are kept for the look; values are read from the frame. A variable whose
// cell has not been made yet has its value in the slot itself. Sources: Include/cpython/code.h
// (co_localsplusnames, co_localspluskinds from 3.11; co_varnames, co_cellvars, co_freevars before),
// Objects/frameobject.c (PyFrame_FastToLocalsWithError) at v3.8.0 to v3.15.0.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attach/address.h"
#include "attach/result.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

struct VariableName {
  std::string name;
  bool cell = false;  // a cell or a free variable: its slot refers to a cell
};

inline constexpr std::size_t max_variables = 200;  // of one frame

// In the order of the frame's slots, at most `max_variables`.
attach::Result<std::shared_ptr<const std::vector<VariableName>>> variable_names(Reading& reading,
                                                                                attach::Address code);

struct FrameVariable {
  std::string name;
  attach::Address object;
};

struct FrameVariables {
  std::vector<FrameVariable> variables;  // those that have a value
  std::string gap;                       // why some are missing; empty if none is
};
FrameVariables frame_variables(Reading& reading, const FrameCopy& frame);

// One variable; none: there is no such one, it has no value, or it could not be read.
std::optional<attach::Address> find_variable(Reading& reading, const FrameCopy& frame, std::string_view name);

// What a cell holds; the object itself if it is no cell. None for an empty cell.
std::optional<attach::Address> follow_cell(Reading& reading, attach::Address object);

// Touches what frame_variables will need of these frames, in two waves; the objects themselves are not
// touched. While held.
void fetch_frame_variables(Reading& reading, const std::vector<const FrameCopy*>& frames);

}  // namespace pythreads::pyframes
