// A line on standard error that says what is being waited for, where that is a terminal and it takes longer
// than a second. It is erased when there is something to print, and at the end.
//
// It is written by a thread of its own, never by the one that may be holding a target. That thread takes no
// signal, and waits for no terminal: one that was stopped (Ctrl-S) takes nothing, and then nothing is
// written.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace pythreads::cli {

class Progress {
 public:
  // REQUIRES: no other thread of ours begins at the same time.
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // What is being done; shown a second after the beginning, or after what was printed last.
  void tell(std::string what);
  // Erased, for something is printed; silent until something is told.
  void hide();

 private:
  void run();
  void show(std::chrono::steady_clock::time_point now);
  void erase();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string what_;  // empty: nothing to tell
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
  bool shown_ = false, ends_ = false;
  std::thread thread_;  // none where standard error is no terminal
};

}  // namespace pythreads::cli
