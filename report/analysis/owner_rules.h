// The stable words of all rules by which a resource is said to have an owner (Resource::owner_evidence,
// Candidate::evidence), besides those of holds (pyframes/hold_rules.h): a test fails for one that no scenario
// fires.
#pragma once

#include <array>

namespace pythreads::report::owner_rule {

inline constexpr const char* thread_itself = "thread-itself";  // its end is waited for
inline constexpr const char* runs_work_item = "runs-work-item";
inline constexpr const char* rlock_field = "rlock-owner-field";
inline constexpr const char* stream_field = "stream-owner-field";
inline constexpr const char* import_lock_field = "import-lock-owner-field";
inline constexpr const char* importing = "import-lock-owner-field+importing";
inline constexpr const char* sem_lock_field = "sem-lock-owner-field";
inline constexpr const char* world_stopped_by = "stop-the-world-requester";  // free-threaded
inline constexpr const char* still_attached = "still-attached";              // … which has not stopped yet
inline constexpr const char* native_mutex = "native-mutex-owner";
inline constexpr const char* native_rwlock = "native-rwlock-writer";
inline constexpr const char* gil_holder = "gil-last-holder";
inline constexpr const char* mentioned = "mentioned";

inline constexpr std::array all{thread_itself,     runs_work_item, rlock_field,    stream_field,
                                import_lock_field, importing,      sem_lock_field, world_stopped_by,
                                still_attached,    native_mutex,   native_rwlock,  gil_holder,
                                mentioned};

}  // namespace pythreads::report::owner_rule
