// The stable words of all rules by which a thread is said to hold something (PyHeldLock::rule), in one place:
// a test fails for one that no scenario fires.
#pragma once

#include <array>

namespace pythreads::pyframes::hold_rule {

inline constexpr const char* with_block = "with-block";          // the lock is the block's own manager
inline constexpr const char* with_condition = "with-condition";  // … a Condition's lock
inline constexpr const char* with_semaphore = "with-semaphore";  // … a permit
inline constexpr const char* with_module_lock = "with-module-lock";
inline constexpr const char* generator_manager = "generator-manager";
inline constexpr const char* exit_stack = "exit-stack";
inline constexpr const char* wrapper_exit = "wrapper-exit";
inline constexpr const char* manager_attribute = "manager-attribute";
inline constexpr const char* released_inside = "with-block-then-release";
inline constexpr const char* suspended_generator = "suspended-generator";
inline constexpr const char* suspended_task = "suspended-task";  // of the asyncio loop that it runs
inline constexpr const char* with_entering = "with-entering";    // taken, and the block has not begun
inline constexpr const char* with_leaving = "with-leaving";      // __exit__ has only been called
inline constexpr const char* try_finally = "try-finally";
inline constexpr const char* acquired_before = "acquired-before";
inline constexpr const char* critical_section = "critical-section";  // free-threaded

inline constexpr std::array all{with_block,        with_condition,      with_semaphore,  with_module_lock,
                                generator_manager, exit_stack,          wrapper_exit,    manager_attribute,
                                released_inside,   suspended_generator, suspended_task,  with_entering,
                                with_leaving,      try_finally,         acquired_before, critical_section};

}  // namespace pythreads::pyframes::hold_rule
