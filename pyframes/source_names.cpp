#include "pyframes/source_names.h"

#include <algorithm>
#include <cstddef>
#include <memory>

#include "pyframes/code.h"
#include "pyframes/frames.h"
#include "pyframes/library_modules.h"
#include "pyframes/objects.h"
#include "pyframes/values.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::string_view unwritten = "…";

}  // namespace

SourceNames::SourceNames(Reading& reading, const RuntimeCopy& copy) : reading_(reading) {
  find_main_module(copy);
  find_library(copy);
}

std::string SourceNames::module(const FrameCopy& frame) {
  return module(module_of(reading_, frame));
}

std::string SourceNames::class_of(Address type) {
  const auto known = class_names_.find(type);
  if (known != class_names_.end()) return known->second;
  const Result<std::string> name = qualified_type_name(reading_.layout(), reading_.lasting, type);
  std::string text = name ? *name : std::string();
  constexpr std::string_view main = "__main__.";
  if (text.starts_with(main)) text = main_module_ + '.' + text.substr(main.size());
  class_names_.emplace(type, text);
  return text;
}

std::optional<std::string> SourceNames::text(Address object) {
  const Result<std::uint64_t> flags = object_flags(reading_.layout(), reading_.lasting, object);
  if (!flags || (*flags & type_flag::unicode_subclass) == 0) return std::nullopt;
  const Result<StrValue> text = read_str(reading_.layout(), reading_.lasting, object, max_name_length);
  if (!text) return std::nullopt;
  return text->text;
}

std::string SourceNames::key(Address object) {
  constexpr std::uint64_t written = type_flag::unicode_subclass | type_flag::bytes_subclass |
                                    type_flag::long_subclass | type_flag::tuple_subclass;
  const Result<std::uint64_t> flags = object_flags(reading_.layout(), reading_.memory, object);
  if (!flags || (*flags & written) == 0) return std::string(unwritten);
  const PyValue value = read_value(reading_, object, {40, 4, 1, 8, 100});
  // An address is in no source, and another in the next run.
  const bool has_address = value.text.find(" at 0x") != std::string::npos;
  return has_address || value.text.empty() ? std::string(unwritten) : value.text;
}

bool SourceNames::is_library_file(std::string_view file) const {
  if (file.starts_with("<frozen ")) return true;
  if (library_directory_.empty() || !file.starts_with(library_directory_)) return false;
  return file.find("-packages/") == std::string_view::npos;
}

bool SourceNames::is_library(const std::string& module, std::string_view file) const {
  return is_library_module(module) || is_library_file(file);
}

// `__main__` is called as other modules would import it: after its package and its file.
void SourceNames::find_main_module(const RuntimeCopy& copy) {
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    for (const ThreadCopy& thread : interpreter.threads) {
      for (auto frame = thread.frames.rbegin(); frame != thread.frames.rend(); ++frame) {
        if (module_of(reading_, *frame) != "__main__") continue;
        main_module_ = main_module_of(*frame);
        return;
      }
    }
  }
}

// Where threading.py lies: nearly every thread begins in it.
void SourceNames::find_library(const RuntimeCopy& copy) {
  constexpr std::string_view module = "threading", file = "threading.py";
  constexpr std::size_t outermost = 3;
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    for (const ThreadCopy& thread : interpreter.threads) {
      const std::size_t count = std::min(thread.frames.size(), outermost);
      for (std::size_t i = 0; i < count; ++i) {
        const FrameCopy& frame = thread.frames[thread.frames.size() - 1 - i];
        if (module_of(reading_, frame) != module) continue;
        const Result<std::shared_ptr<const Code>> code = read_code(reading_, frame.code);
        if (!code || !(*code)->file.ends_with("/threading.py")) continue;
        library_directory_ = (*code)->file.str().substr(0, (*code)->file.size() - file.size());
        return;
      }
    }
  }
}

// `__file__` is deleted when the script has come to its end; its code still knows the file.
std::string SourceNames::main_module_of(const FrameCopy& frame) {
  const Address globals = globals_of(reading_.layout(), frame);
  const auto text_under = [&](std::string_view key) {
    const Result<std::optional<Address>> value =
        find_in_dict(reading_.layout(), reading_.lasting, globals, key);
    return value && *value ? text(**value).value_or("") : std::string();
  };
  const std::string package = text_under("__package__");
  std::string file = text_under("__file__");
  if (file.empty()) {
    const Result<std::shared_ptr<const Code>> code = read_code(reading_, frame.code);
    if (code && (*code)->file.ends_with(".py")) file = (*code)->file;
  }
  std::string stem = file.substr(file.rfind('/') + 1);
  if (stem.ends_with(".py")) stem.resize(stem.size() - 3);
  if (stem == "__main__") stem.clear();
  if (package.empty()) return stem.empty() ? "__main__" : stem;
  return stem.empty() ? package : package + '.' + stem;
}

}  // namespace pythreads::pyframes
