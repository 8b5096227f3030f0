// Runs a fuzz target without a fuzzer: each file of the corpus, each of its beginnings, and mutations of it.
// The mutations come from a fixed seed, so that a failure comes again. The same targets link with clang's
// -fsanitize=fuzzer, which has its own main (`make fuzz`). An input that breaks something, or takes longer
// than any may, is left in fuzz_NAME.broken.
//
//   fuzz_NAME FOLDER|FILE [MUTATIONS]
#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr int usual_mutations = 4000;
constexpr time_t longest_run = 10;  // seconds of processor time, under sanitizers

// What a signal handler may still ask.
const std::uint8_t* now_running = nullptr;
std::size_t now_size = 0;
std::string left_in;

void leave_input() {
  const int file = ::open(left_in.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0 || ::write(file, now_running, now_size) < 0) return;
  ::close(file);
}

void on_signal(int number) {
  leave_input();
  static constexpr char late[] = "broken: an input takes too long\n";
  if (number == SIGVTALRM && ::write(STDERR_FILENO, late, sizeof late - 1) < 0) ::_exit(1);
  std::signal(number, SIG_DFL);
  std::raise(number);
}

// splitmix64: the same on every machine.
class Random {
 public:
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : next() % bound; }

 private:
  std::uint64_t state_ = 1;
};

void run(const std::string& input) {
  // A copy of exactly this size: AddressSanitizer sees a read past its end.
  std::vector<std::uint8_t> bytes(input.begin(), input.end());
  now_running = bytes.data();
  now_size = bytes.size();
  const itimerval bound{.it_interval = {}, .it_value = {.tv_sec = longest_run, .tv_usec = 0}};
  ::setitimer(ITIMER_VIRTUAL, &bound, nullptr);
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

std::string mutate(std::string text, const std::vector<std::string>& corpus, Random& random) {
  static const std::vector<std::string> splices = {"\n",
                                                   " ",
                                                   ")",
                                                   "(",
                                                   "\\012",
                                                   " (deleted)",
                                                   "0x",
                                                   "-",
                                                   "-1",
                                                   "18446744073709551615",
                                                   "99999999999999999999",
                                                   "ffffffffffffffff",
                                                   std::string(1, '\0'),
                                                   "\xff\xff\xff\xff",
                                                   std::string(4, '\0'),
                                                   "\x80",
                                                   std::string("\0\0\0\0\0\0\0\x80", 8)};
  for (std::size_t step = random.below(4) + 1; step > 0; --step) {
    std::size_t at = random.below(text.size() + 1);
    switch (random.below(6)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(random.next());
        break;
      case 1:
        if (at < text.size())
          text[at] = static_cast<char>(text[at] ^ static_cast<char>(1U << random.below(8)));
        break;
      case 2:
        text.erase(at, random.below(16));
        break;
      case 3:
        text.insert(at, splices[random.below(splices.size())]);
        break;
      case 4:
        text.insert(at, text.substr(random.below(text.size() + 1), random.below(64)));
        break;
      default: {
        const std::string& other = corpus[random.below(corpus.size())];
        text = text.substr(0, at) + other.substr(random.below(other.size() + 1));
        break;
      }
    }
  }
  return text;
}

}  // namespace

// AddressSanitizer and UndefinedBehaviorSanitizer end a process without a signal.
extern "C" void __sanitizer_set_death_callback(void (*)()) __attribute__((weak));

int main(int count, char** arguments) {
  if (count < 2) {
    std::cerr << "usage: " << arguments[0] << " FOLDER|FILE [MUTATIONS]\n";
    return 64;
  }
  int mutations = count > 2 ? std::atoi(arguments[2]) : usual_mutations;
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(arguments[1])) {
    for (const auto& entry : std::filesystem::directory_iterator(arguments[1])) files.push_back(entry.path());
  } else {
    files.emplace_back(arguments[1]);
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> corpus;
  for (const auto& file : files) {
    std::ifstream input(file, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(input), std::istreambuf_iterator<char>());
  }
  if (corpus.empty()) {
    std::cerr << arguments[1] << ": no corpus\n";
    return 1;
  }
  left_in = std::filesystem::path(arguments[0]).filename().string() + ".broken";
  for (const int number : {SIGABRT, SIGVTALRM}) std::signal(number, on_signal);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(leave_input);
  Random random;
  std::size_t runs = 0;
  for (const std::string& each : corpus) {
    const std::size_t step = each.size() / static_cast<std::size_t>(std::max(mutations, 1)) + 1;
    for (std::size_t size = 0; size < each.size(); size += step, ++runs) run(each.substr(0, size));
    run(each);
    ++runs;
    for (int i = 0; i < mutations; ++i, ++runs) run(mutate(each, corpus, random));
  }
  std::cout << corpus.size() << " files, " << runs << " inputs\n";
  return 0;
}
