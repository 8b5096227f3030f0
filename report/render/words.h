// The words of the document's closed lists, and the way back.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "report/analysis/findings.h"

namespace pythreads::report {

template <typename Enum>
struct Words;

template <>
struct Words<Verdict> {
  static constexpr std::array all{
      std::pair{Verdict::running, std::string_view("running")},
      std::pair{Verdict::waiting, std::string_view("waiting")},
      std::pair{Verdict::unknown, std::string_view("unknown")},
      std::pair{Verdict::stalled, std::string_view("stalled")},
      std::pair{Verdict::possible_deadlock, std::string_view("possible-deadlock")},
      std::pair{Verdict::deadlock, std::string_view("deadlock")}};
};

template <>
struct Words<Certainty> {
  static constexpr std::array all{std::pair{Certainty::possible, std::string_view("possible")},
                                  std::pair{Certainty::likely, std::string_view("likely")},
                                  std::pair{Certainty::recorded, std::string_view("recorded")},
                                  std::pair{Certainty::inferred, std::string_view("inferred")},
                                  std::pair{Certainty::certain, std::string_view("certain")}};
};

template <>
struct Words<Status> {
  static constexpr std::array all{std::pair{Status::running, std::string_view("running")},
                                  std::pair{Status::blocked, std::string_view("blocked")},
                                  std::pair{Status::waiting, std::string_view("waiting")},
                                  std::pair{Status::idle, std::string_view("idle")}};
};

template <typename Enum>
constexpr std::string_view word(Enum value) {
  for (const auto& [each, text] : Words<Enum>::all) {
    if (each == value) return text;
  }
  return "unknown";
}

template <typename Enum>
constexpr std::optional<Enum> from_word(std::string_view text) {
  for (const auto& [each, name] : Words<Enum>::all) {
    if (name == text) return each;
  }
  return std::nullopt;
}

}  // namespace pythreads::report
