#include "pyframes/redaction.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>

namespace pythreads::pyframes {
namespace {

bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return is_upper(c) || is_lower(c);
}
bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
bool is_quote(char c) {
  return c == '\'' || c == '"';
}
char to_lower(char c) {
  return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
}

// Nowhere else in English or in code: found anywhere in a name, they speak of a secret.
constexpr std::array secret_stems{
    std::string_view("password"),   std::string_view("passwd"),     std::string_view("passphrase"),
    std::string_view("passcode"),   std::string_view("secret"),     std::string_view("credential"),
    std::string_view("apikey"),     std::string_view("privatekey"), std::string_view("accesskey"),
    std::string_view("signingkey"), std::string_view("authkey"),    std::string_view("authorization"),
};

constexpr std::array secret_words{
    std::string_view("pwd"),   std::string_view("pass"),   std::string_view("pw"),
    std::string_view("token"), std::string_view("tokens"), std::string_view("creds"),
    std::string_view("jwt"),   std::string_view("bearer"), std::string_view("cookie"),
    std::string_view("otp"),
};

// A name that ends so says something about a secret and is none: password_file, token_count.
constexpr std::array harmless_ends{
    std::string_view("file"),   std::string_view("filename"), std::string_view("path"),
    std::string_view("dir"),    std::string_view("type"),     std::string_view("count"),
    std::string_view("length"), std::string_view("len"),      std::string_view("size"),
    std::string_view("limit"),  std::string_view("prompt"),   std::string_view("policy"),
    std::string_view("ttl"),    std::string_view("expiry"),   std::string_view("expires"),
};

// `key` is a secret unless one of these stands before it.
constexpr std::array harmless_keys{
    std::string_view("sort"),  std::string_view("primary"), std::string_view("foreign"),
    std::string_view("cache"), std::string_view("public"),  std::string_view("partition"),
    std::string_view("dict"),  std::string_view("group"),   std::string_view("lookup"),
};

template <std::size_t count>
bool holds(const std::array<std::string_view, count>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// "dbPassword", "DB_PASSWORD" and "--db-password" are all {db, password}.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words;
  bool open = false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (!is_letter(c)) {
      open = false;
      continue;
    }
    const bool hump =
        is_upper(c) && i > 0 &&
        (is_lower(name[i - 1]) || (is_upper(name[i - 1]) && i + 1 < name.size() && is_lower(name[i + 1])));
    if (!open || hump) words.emplace_back();
    open = true;
    words.back().push_back(to_lower(c));
  }
  return words;
}

enum class NameKind { plain, key, secret };

NameKind name_kind(std::string_view name) {
  if (name.size() > 256) return NameKind::plain;
  const std::vector<std::string> words = words_of(name);
  if (words.empty() || holds(harmless_ends, words.back())) return NameKind::plain;
  std::string joined;
  for (const std::string& word : words) {
    if (holds(secret_words, word)) return NameKind::secret;
    joined += word;
  }
  for (const std::string_view stem : secret_stems) {
    if (joined.find(stem) != std::string::npos) return NameKind::secret;
  }
  if (words.back() == "key") {
    if (words.size() == 1) return NameKind::key;
    if (!holds(harmless_keys, words[words.size() - 2])) return NameKind::secret;
  }
  return NameKind::plain;
}

// Where the password inside `scheme://user:password@host` lies, for the authority that begins at `begin`.
struct Piece {
  std::size_t begin = 0;
  std::size_t end = 0;
};

Piece url_password(std::string_view text, std::size_t begin) {
  std::size_t end = begin;
  while (end < text.size() && !is_space(text[end]) && !is_quote(text[end]) && text[end] != '<' &&
         text[end] != '>')
    ++end;
  const std::string_view rest = text.substr(begin, end - begin);
  std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  std::size_t at = authority.rfind('@');
  const std::size_t colon = authority.find(':');
  if (at == std::string_view::npos && colon != std::string_view::npos) {
    // A password with an unescaped '/', '?' or '#': what follows the colon is then no port.
    const std::string_view port = authority.substr(colon + 1);
    if (!std::all_of(port.begin(), port.end(), is_digit)) {
      at = rest.rfind('@');
      // Text that was cut inside of the password.
      if (at == std::string_view::npos && end == text.size()) return {begin + colon + 1, end};
    }
  }
  if (at == std::string_view::npos) return {begin, begin};
  if (colon < at) return {begin + colon + 1, begin + at};
  // https://ghp_…@host: a token in the place of the user.
  if (at >= 20) return {begin, begin + at};
  return {begin, begin};
}

bool is_name_char(char c) {
  return is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == '.';
}

std::size_t skip_spaces(std::string_view text, std::size_t at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
  return at;
}

// The value that follows a secret's name; an empty piece if none does.
Piece value_after(std::string_view text, std::size_t at, NameKind kind, bool option) {
  const bool name_quoted = at < text.size() && is_quote(text[at]);
  if (name_quoted) ++at;
  std::size_t from = skip_spaces(text, at);
  if (from >= text.size()) return {at, at};
  const char separator = text[from];
  if (separator == '=' || (separator == ':' && (kind == NameKind::secret || name_quoted))) {
    ++from;
    while (from < text.size() && (text[from] == '=' || text[from] == '>')) ++from;
  } else if (option && name_quoted && separator == ',') {
    ++from;
  } else if (!option || name_quoted || from == at) {
    return {at, at};
  }
  from = skip_spaces(text, from);
  // b'…', r"…"
  if (from + 1 < text.size() && is_letter(text[from]) && is_quote(text[from + 1])) ++from;
  if (from < text.size() && is_quote(text[from])) {
    const char quote = text[from];
    std::size_t end = from + 1;
    while (end < text.size() && text[end] != quote) end += text[end] == '\\' ? 2 : 1;
    return {from + 1, std::min(end, text.size())};
  }
  constexpr std::string_view ends = " \t\r\n,;&)]}'\"<";
  for (const std::string_view scheme : {"Bearer ", "Basic ", "Token ", "bearer ", "basic ", "token "}) {
    if (text.substr(from).starts_with(scheme)) from += scheme.size();
  }
  return {from, std::min(text.find_first_of(ends, from), text.size())};
}

}  // namespace

bool is_secret_name(std::string_view name) {
  return name_kind(name) != NameKind::plain;
}

std::string redact_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::size_t i = 0;
  const auto replace = [&](Piece piece) {
    out.append(text.substr(i, piece.begin - i));
    if (text.substr(piece.begin, piece.end - piece.begin) != redacted_text) {
      out.append(redacted_text);
    } else {
      out.append(text.substr(piece.begin, piece.end - piece.begin));
    }
    i = piece.end;
  };
  while (i < text.size()) {
    if (text.substr(i).starts_with("://")) {
      const Piece password = url_password(text, i + 3);
      if (password.end > password.begin) {
        replace(password);
      } else {
        out.append("://");
        i += 3;
      }
      continue;
    }
    if (!is_name_char(text[i])) {
      out.push_back(text[i++]);
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && is_name_char(text[end])) ++end;
    const std::string_view name = text.substr(i, end - i);
    const NameKind kind = name_kind(name);
    Piece value{end, end};
    if (kind != NameKind::plain) value = value_after(text, end, kind, name.starts_with('-'));
    if (value.end > value.begin) {
      replace(value);
    } else if (kind == NameKind::secret && name == "Bearer" && end + 1 < text.size() && text[end] == ' ') {
      const std::size_t stop = std::min(text.find_first_of(" \t\r\n,;'\"", end + 1), text.size());
      if (stop - end > 16) {
        replace({end + 1, stop});
      } else {
        out.append(name);
        i = end;
      }
    } else {
      out.append(name);
      i = end;
    }
  }
  return out;
}

std::vector<std::string> redact_command(const std::vector<std::string>& command) {
  std::vector<std::string> out;
  out.reserve(command.size());
  bool secret_follows = false;
  for (const std::string& argument : command) {
    if (secret_follows && !argument.starts_with("--")) {
      out.emplace_back(redacted_text);
      secret_follows = false;
      continue;
    }
    secret_follows = false;
    const std::size_t equals = argument.find('=');
    const std::string_view name = std::string_view(argument).substr(0, equals);
    const bool is_name = !name.empty() && std::all_of(name.begin(), name.end(), is_name_char);
    if (!is_name || !is_secret_name(name)) {
      out.push_back(redact_text(argument));
    } else if (equals != std::string::npos) {
      out.push_back(argument.substr(0, equals + 1) + std::string(redacted_text));
    } else {
      secret_follows = argument.starts_with('-');
      out.push_back(argument);
    }
  }
  return out;
}

}  // namespace pythreads::pyframes
