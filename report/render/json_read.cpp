// What is read here was written by anybody. A scan of the text bounds its depth and its number of values
// before the library builds a tree of it; the library's exceptions end here.
#include <nlohmann/json.hpp>

#include "report/render/document_fields.h"
#include "report/render/json.h"
#include "report/render/words.h"
#include "report/text_encoding.h"

namespace pythreads::report {
namespace {

namespace doc = document;
using attach::Error;
using attach::ErrorCode;
using attach::Result;
using nlohmann::json;

constexpr std::size_t max_bytes = std::size_t{256} << 20U;
constexpr std::size_t max_depth = 32;
constexpr std::size_t max_values = 8'000'000;

// Of the text alone, before anything is allocated for it. An unbalanced text is left to the parser.
bool within_bounds(std::string_view text) {
  if (text.size() > max_bytes) return false;
  std::size_t depth = 0;
  std::size_t values = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') {
      ++values;
      if (++depth > max_depth) return false;
    }
    if ((c == '}' || c == ']') && depth > 0) --depth;
    if (c == ',' && ++values > max_values) return false;
  }
  return true;
}

template <typename T>
constexpr bool may_be_left_out = false;
template <typename T>
constexpr bool may_be_left_out<std::optional<T>> = true;
template <typename T>
constexpr bool may_be_left_out<std::vector<T>> = true;
template <typename T>
constexpr bool may_be_left_out<doc::Rare<T>> = true;
template <>
constexpr bool may_be_left_out<doc::OptionalText> = true;
template <>
constexpr bool may_be_left_out<doc::OptionalPosition> = true;

// Thrown to leave the nested visits at the first field that is wrong; never leaves this file.
struct WrongField {
  std::string path;
  std::string problem;
};

// Frames are nearly all of a large dump, so each leaves the library's tree as soon as it is complete: a
// binary value, which no JSON text can make, keeps its place and says where it went.
using ReadFrames = std::vector<doc::Frame>;

class Reader {
 public:
  Reader(const json& object, ReadFrames& frames) : object_(object), frames_(frames) {}

  template <typename T>
  void operator()(std::string_view name, T& value) {
    const auto found = object_.find(name);
    if (found == object_.end()) {
      // A field that a later release added, of a dump by an earlier one: it is null, or a list of nothing.
      if constexpr (may_be_left_out<T>) return;
      throw WrongField{std::string(name), "is missing"};
    }
    try {
      get(*found, value);
    } catch (WrongField& wrong) {
      wrong.path = wrong.path.empty() ? std::string(name) : std::string(name) + '.' + wrong.path;
      throw;
    }
  }

  template <typename A, typename B>
  void either(std::string_view name, std::optional<A>& value, std::string_view other_name,
              std::optional<B>& other) {
    if (object_.contains(other_name)) {
      (*this)(other_name, other);
    } else {
      (*this)(name, value);
    }
  }

 private:
  static void need(bool right, const char* problem) {
    if (!right) throw WrongField{"", problem};
  }

  void get(const json& from, std::string& value) {
    need(from.is_string(), "is no string");
    value = from.get_ref<const std::string&>();
  }
  void get(const json& from, attach::SharedText& value) {
    need(from.is_string(), "is no string");
    value = from.get_ref<const std::string&>();
  }
  void get(const json& from, doc::OptionalText& value) {
    attach::SharedText text;
    if (!from.is_null()) get(from, text);
    value = from.is_null() ? doc::OptionalText() : doc::OptionalText(std::move(text));
  }
  void get(const json& from, doc::OptionalPosition& value) {
    doc::Number number = 0;
    if (!from.is_null()) get(from, number);
    need(number >= 0 && number <= doc::OptionalPosition::largest, "is no line and no column");
    value = from.is_null() ? doc::OptionalPosition() : doc::OptionalPosition(number);
  }
  void get(const json& from, bool& value) {
    need(from.is_boolean(), "is no boolean");
    value = from.get<bool>();
  }
  void get(const json& from, doc::Number& value) {
    need(from.is_number_integer(), "is no integer");
    need(!from.is_number_unsigned() || from.get<std::uint64_t>() <= INT64_MAX, "is too large");
    value = from.get<doc::Number>();
  }
  void get(const json& from, double& value) {
    need(from.is_number(), "is no number");
    value = from.get<double>();
  }
  void get(const json& from, doc::Hex& value) {
    need(from.is_string(), "is no string");
    const std::string& text = from.get_ref<const std::string&>();
    need(text.size() > 2 && text.size() <= 18 && text.starts_with("0x"), "is no address");
    value.value = 0;
    for (const char c : text.substr(2)) {
      const std::size_t digit = std::string_view("0123456789abcdef").find(c);
      need(digit != std::string_view::npos, "is no address");
      value.value = value.value << 4U | digit;
    }
  }

  template <typename Enum>
  requires requires { Words<Enum>::all; }
  void get(const json& from, Enum& value) {
    need(from.is_string(), "is no string");
    const std::optional<Enum> known = from_word<Enum>(from.get_ref<const std::string&>());
    need(known.has_value(), "is a word that is not in its list");
    value = *known;
  }

  template <typename T>
  void get(const json& from, std::optional<T>& value) {
    value.reset();
    if (!from.is_null()) get(from, value.emplace());
  }

  template <typename T>
  void get(const json& from, doc::Rare<T>& value) {
    value.reset();
    if (!from.is_null()) get(from, value.emplace());
  }

  void get(const json& from, std::vector<doc::Detail>& details) {
    need(from.is_object(), "is no object");
    for (const auto& [name, value] : from.items()) {
      doc::Detail detail{name, {}};
      if (value.is_boolean()) {
        detail.value = value.get<bool>();
      } else if (value.is_number_integer()) {
        get(value, detail.value.emplace<doc::Number>());
      } else if (value.is_number()) {
        detail.value = value.get<double>();
      } else if (value.is_string()) {
        detail.value = value.get<std::string>();
      } else if (!value.is_null()) {
        continue;  // of a later release
      }
      details.push_back(std::move(detail));
    }
  }

  template <typename T>
  void get(const json& from, std::vector<T>& list) {
    need(from.is_array(), "is no list");
    list.reserve(from.size());
    for (const json& each : from) {
      try {
        get(each, list.emplace_back());
      } catch (WrongField& wrong) {
        const std::string index = std::to_string(list.size() - 1);
        wrong.path = wrong.path.empty() ? index : index + '.' + wrong.path;
        throw;
      }
    }
  }

  template <typename T>
  requires requires(Reader& reader, T& object) { fields(reader, object); }
  void get(const json& from, T& object) {
    if constexpr (std::is_same_v<T, doc::Frame>) {
      if (from.is_binary()) {
        object = std::move(frames_.at(from.get_binary().subtype()));
        return;
      }
    }
    need(from.is_object(), "is no object");
    Reader reader(from, frames_);
    fields(reader, object);
  }

  const json& object_;
  ReadFrames& frames_;
};

// What no single field shows: indexes that renderers follow.
void check_indexes(const Document& document) {
  for (const doc::Process& process : document.processes) {
    for (const doc::Thread& thread : process.threads) {
      for (const doc::Hold& hold : thread.holds) {
        if (hold.frame &&
            (*hold.frame < 0 || static_cast<std::size_t>(*hold.frame) >= thread.frames.size())) {
          throw WrongField{"processes.threads.holds.frame", "is no index of a frame"};
        }
      }
    }
  }
}

// The library calls this for each event. An object directly inside of a list named `frames` is a frame.
class FrameTaker {
 public:
  explicit FrameTaker(ReadFrames& frames) : frames_(frames) {}

  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::key) {
      is_frames_ = parsed.get_ref<const std::string&>() == "frames";
    } else if (event == json::parse_event_t::array_start) {
      if (is_frames_ && list_depth_ < 0) list_depth_ = depth;
      is_frames_ = false;
    } else if (event == json::parse_event_t::array_end) {
      if (depth == list_depth_) list_depth_ = -1;
    } else if (event == json::parse_event_t::object_start) {
      is_frames_ = false;
    } else if (event == json::parse_event_t::object_end && list_depth_ >= 0 && depth == list_depth_ + 1) {
      doc::Frame frame;
      Reader reader(parsed, frames_);
      fields(reader, frame);
      frames_.push_back(std::move(frame));
      parsed = json::binary({}, frames_.size() - 1);
    }
    return true;
  }

 private:
  ReadFrames& frames_;
  bool is_frames_ = false;  // the key that was just read
  int list_depth_ = -1;     // of the list of frames that we are in
};

Error wrong_dump(const std::string& why) {
  return {ErrorCode::not_python, "not a dump of pythreads: " + why, ""};
}

}  // namespace

Result<Document> parse_json(std::string_view text) {
  if (!within_bounds(text)) {
    return wrong_dump("it is larger or nested deeper than any dump");
  }
  try {
    ReadFrames frames;
    const json tree = json::parse(text.begin(), text.end(), FrameTaker(frames));
    if (!tree.is_object()) return wrong_dump("it is no JSON object");
    const auto schema = tree.find("schema");
    if (schema == tree.end() || !schema->is_string()) return wrong_dump("it names no schema");
    const std::string& name = schema->get_ref<const std::string&>();
    if (name != doc::schema_name) {
      if (name.starts_with("pythreads/")) {
        return Error{
            ErrorCode::unsupported,
            "the dump has the schema " + valid_utf8(name) + ", and this release reads " + doc::schema_name,
            ""};
      }
      return wrong_dump("its schema is another");
    }
    Document document;
    Reader reader(tree, frames);
    fields(reader, document);
    check_indexes(document);
    return document;
  } catch (const WrongField& wrong) {
    return wrong_dump("the field " + wrong.path + " " + wrong.problem);
  } catch (const json::exception& exception) {
    return wrong_dump("it is no JSON: " + valid_utf8(exception.what()));
  } catch (const std::bad_alloc&) {
    return wrong_dump("it needs more memory than there is");
  }
}

}  // namespace pythreads::report
