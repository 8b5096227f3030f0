#include "cli/duration.h"

#include <charconv>
#include <string>

namespace pythreads::cli {
namespace {

attach::Error wrong_duration(std::string_view text) {
  return {attach::ErrorCode::wrong_usage,
          "'" + std::string(text) + "' is no duration: a number and ms, s or m, such as 500ms or 2s", ""};
}

}  // namespace

attach::Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    long milliseconds;
  };
  constexpr Unit kUnits[] = {{"ms", 1}, {"s", 1000}, {"m", 60'000}};
  constexpr long kLongest = 24L * 60 * 60 * 1000;

  long number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || number < 0 || number > kLongest) return wrong_duration(text);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const Unit& known : kUnits) {
    if (unit == known.name && number <= kLongest / known.milliseconds) {
      return std::chrono::milliseconds(number * known.milliseconds);
    }
  }
  return wrong_duration(text);
}

}  // namespace pythreads::cli
