// Containers that objects.h leaves out for they are nobody's but a few rules': collections.deque, and what
// the cells of a function's closure hold.
//
// A deque is a list of blocks of 64 items each. Source: Modules/_collectionsmodule.c at v3.8.0 to v3.15.0,
// whose struct did not change.
#pragma once

#include <cstddef>
#include <vector>

#include "attach/address.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// From the left, at most `limit`; empty for what is no deque.
std::vector<attach::Address> deque_items(Reading& reading, attach::Address deque, std::size_t limit);

// Empty for what is no function, or has no closure.
std::vector<attach::Address> closure_of(Reading& reading, attach::Address function);

}  // namespace pythreads::pyframes
