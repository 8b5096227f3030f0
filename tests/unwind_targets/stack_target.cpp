// A program that stands still in a known place: `stack_target MODE` prints READY and goes no further. Built
// without sanitizers, optimised, so that its frames look like those of real programs.
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

volatile int keep_frame = 0;
volatile bool go_on = false;

void say_ready() {
  std::puts("READY");
  std::fflush(stdout);
}

}  // namespace

// Each does something after its call, so that it is no tail call.
#define NOINLINE __attribute__((noinline, noclone))

namespace shapes {

NOINLINE void wait_for_signal() {
  pause();
  keep_frame = keep_frame + 1;
}

template <typename T>
struct Circle {
  NOINLINE static void draw(T radius) {
    keep_frame = keep_frame + static_cast<int>(radius);
    wait_for_signal();
    keep_frame = keep_frame + 1;
  }
};

NOINLINE void draw_all(int count) {
  keep_frame = keep_frame + count;
  Circle<double>::draw(2.0);
  keep_frame = keep_frame + 1;
}

NOINLINE static void local_function(int count) {
  draw_all(count);
  keep_frame = keep_frame + 1;
}

__attribute__((always_inline)) inline void inlined_innermost(int count) {
  keep_frame = keep_frame + count;
  wait_for_signal();
  keep_frame = keep_frame + 1;
}

__attribute__((always_inline)) inline void inlined_middle(int count) {
  keep_frame = keep_frame + 2;
  inlined_innermost(count);
  keep_frame = keep_frame + 3;
}

NOINLINE void calls_inlined(int count) {
  keep_frame = keep_frame + 4;
  inlined_middle(count);
  keep_frame = keep_frame + 5;
}

}  // namespace shapes

extern "C" {

// Two names of one place.
NOINLINE void __plain_wait(void) {
  pause();
  keep_frame = keep_frame + 1;
}
void plain_wait(void) __attribute__((alias("__plain_wait")));

NOINLINE void call_back(void (*function)(void)) {
  keep_frame = keep_frame + 1;
  function();
  keep_frame = keep_frame + 1;
}

// Without call frame information: one with a frame pointer, one without a frame, one that nothing can leave.
void without_cfi_with_frame_pointer(void (*function)(void));
void without_cfi_leaf(void);
void without_cfi_without_frame_pointer(void (*function)(void));
}

#if defined(__x86_64__)
asm(R"(
.text
.globl without_cfi_with_frame_pointer
.type without_cfi_with_frame_pointer, @function
without_cfi_with_frame_pointer:
  push %rbp
  mov %rsp, %rbp
  sub $32, %rsp
  call *%rdi
  leave
  ret
.size without_cfi_with_frame_pointer, .-without_cfi_with_frame_pointer
.globl without_cfi_leaf
.type without_cfi_leaf, @function
without_cfi_leaf:
  pause
  jmp without_cfi_leaf
.size without_cfi_leaf, .-without_cfi_leaf
.globl without_cfi_without_frame_pointer
.type without_cfi_without_frame_pointer, @function
without_cfi_without_frame_pointer:
  sub $40, %rsp
  xor %ebp, %ebp
  inc %rbp
  call *%rdi
  add $40, %rsp
  ret
.size without_cfi_without_frame_pointer, .-without_cfi_without_frame_pointer
)");
#else
asm(R"(
.text
.globl without_cfi_with_frame_pointer
.type without_cfi_with_frame_pointer, @function
without_cfi_with_frame_pointer:
  stp x29, x30, [sp, #-48]!
  mov x29, sp
  blr x0
  ldp x29, x30, [sp], #48
  ret
.size without_cfi_with_frame_pointer, .-without_cfi_with_frame_pointer
.globl without_cfi_leaf
.type without_cfi_leaf, @function
without_cfi_leaf:
  yield
  b without_cfi_leaf
.size without_cfi_leaf, .-without_cfi_leaf
.globl without_cfi_without_frame_pointer
.type without_cfi_without_frame_pointer, @function
without_cfi_without_frame_pointer:
  str x30, [sp, #-48]!
  mov x29, #1
  blr x0
  ldr x30, [sp], #48
  ret
.size without_cfi_without_frame_pointer, .-without_cfi_without_frame_pointer
)");
#endif

namespace {

NOINLINE void spin_in_leaf() {
  keep_frame = keep_frame + 1;
  without_cfi_leaf();
  keep_frame = keep_frame + 1;
}

void* wait_in_pause(void*) {
  shapes::draw_all(1);
  return nullptr;
}

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

void* wait_for_condition(void*) {
  pthread_mutex_lock(&mutex);
  while (!go_on) pthread_cond_wait(&condition, &mutex);
  pthread_mutex_unlock(&mutex);
  return nullptr;
}

void* wait_for_semaphore(void*) {
  sem_t semaphore;
  sem_init(&semaphore, 0, 0);
  sem_wait(&semaphore);
  return nullptr;
}

NOINLINE void in_signal_handler(int) {
  say_ready();
  shapes::wait_for_signal();
  _exit(0);
}

NOINLINE void interrupted_function() {
  while (!go_on) keep_frame = keep_frame + 1;
}

void handle_on_own_stack(int signal_number) {
  constexpr std::size_t size = 64 * 1024;
  stack_t stack{};
  stack.ss_sp = std::malloc(size);
  stack.ss_size = size;
  sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_handler = in_signal_handler;
  action.sa_flags = SA_ONSTACK;
  sigaction(signal_number, &action, nullptr);
}

NOINLINE void call_through_null() {
  void (*volatile function)() = nullptr;
  keep_frame = keep_frame + 1;
  function();
  keep_frame = keep_frame + 1;
}

using Code = void (*)(void (*)(void));

Code make_code(const unsigned char* bytes, std::size_t size) {
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) std::abort();
  std::memcpy(page, bytes, size);
  mprotect(page, 4096, PROT_READ | PROT_EXEC);
  __builtin___clear_cache(static_cast<char*>(page), static_cast<char*>(page) + size);
  return reinterpret_cast<Code>(page);
}

#if defined(__x86_64__)
// push %rbp; mov %rsp, %rbp; call *%rdi; pop %rbp; ret
constexpr unsigned char code_with_frame_pointer[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
// push %rbx; mov $1, %ebp; call *%rdi; (never comes back)
constexpr unsigned char code_without_frame_pointer[] = {0x53, 0xbd, 1, 0, 0, 0, 0xff, 0xd7, 0x0f, 0x0b};
#else
// stp x29, x30, [sp, #-16]!; mov x29, sp; blr x0; ldp x29, x30, [sp], #16; ret
constexpr unsigned char code_with_frame_pointer[] = {0xfd, 0x7b, 0xbf, 0xa9, 0xfd, 0x03, 0x00,
                                                     0x91, 0x00, 0x00, 0x3f, 0xd6, 0xfd, 0x7b,
                                                     0xc1, 0xa8, 0xc0, 0x03, 0x5f, 0xd6};
// stp x19, x30, [sp, #-16]!; mov x29, #1; blr x0; brk #0 (never comes back)
constexpr unsigned char code_without_frame_pointer[] = {0xf3, 0x7b, 0xbf, 0xa9, 0x3d, 0x00, 0x80, 0xd2,
                                                        0x00, 0x00, 0x3f, 0xd6, 0x00, 0x00, 0x20, 0xd4};
#endif

void ready_and_wait() {
  say_ready();
  shapes::wait_for_signal();
  _exit(0);
}

NOINLINE void run_made_code(Code code) {
  keep_frame = keep_frame + 1;
  code(ready_and_wait);
  keep_frame = keep_frame + 1;
}

NOINLINE __attribute__((optimize("no-omit-frame-pointer"))) void corrupts_its_return_address() {
  auto* frame = static_cast<std::uint64_t*>(__builtin_frame_address(0));
  const_cast<volatile std::uint64_t&>(frame[1]) = 0x4141'4141'4141;
  ready_and_wait();
  keep_frame = keep_frame + 1;
}

NOINLINE int recurse(int depth) {
  if (depth == 0) {
    ready_and_wait();
  }
  return recurse(depth - 1) + keep_frame;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return 2;
  const std::string_view mode = arguments[1];
  if (mode == "threads") {
    pthread_t thread;
    pthread_create(&thread, nullptr, wait_in_pause, nullptr);
    pthread_create(&thread, nullptr, wait_for_condition, nullptr);
    pthread_create(&thread, nullptr, wait_for_semaphore, nullptr);
    say_ready();
    shapes::local_function(count);
  } else if (mode == "alias") {
    say_ready();
    call_back(plain_wait);
  } else if (mode == "inlined") {
    say_ready();
    shapes::calls_inlined(count);
  } else if (mode == "signal") {
    signal(SIGALRM, in_signal_handler);
    ualarm(50000, 0);
    interrupted_function();
  } else if (mode == "signal_stack") {
    handle_on_own_stack(SIGALRM);
    ualarm(50000, 0);
    interrupted_function();
  } else if (mode == "null_call") {
    handle_on_own_stack(SIGSEGV);
    call_through_null();
  } else if (mode == "frame_pointer") {
    without_cfi_with_frame_pointer(ready_and_wait);
  } else if (mode == "leaf") {
    say_ready();
    spin_in_leaf();
  } else if (mode == "nothing") {
    without_cfi_without_frame_pointer(ready_and_wait);
  } else if (mode == "made_code") {
    run_made_code(make_code(code_with_frame_pointer, sizeof code_with_frame_pointer));
  } else if (mode == "made_code_without_frame_pointer") {
    run_made_code(make_code(code_without_frame_pointer, sizeof code_without_frame_pointer));
  } else if (mode == "corrupt") {
    corrupts_its_return_address();
  } else if (mode == "deep") {
    return recurse(20000);
  }
  return 2;
}
