// Runs a fuzz target without a fuzzer: each file of the corpus, each of its beginnings, and mutations of it.
// The mutations come from a fixed seed, so that a failure comes again. The same targets link with clang's
// -fsanitize=fuzzer, which has its own main.
//
//   fuzz_NAME FOLDER|FILE [MUTATIONS]
#include <algorithm>
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

constexpr std::size_t most_prefixes = 4096;
constexpr int usual_mutations = 4000;

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
                                                   "\x80"};
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
  Random random;
  std::size_t runs = 0;
  for (const std::string& each : corpus) {
    for (std::size_t size = 0; size <= std::min(each.size(), most_prefixes); ++size, ++runs)
      run(each.substr(0, size));
    run(each);
    for (int i = 0; i < mutations; ++i, ++runs) run(mutate(each, corpus, random));
  }
  std::cout << corpus.size() << " files, " << runs << " inputs\n";
  return 0;
}
