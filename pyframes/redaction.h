// What must not be shown: values whose name looks like a secret, passwords in URLs and on command lines.
//
// Pure functions of text. They err on the side of hiding: a hidden harmless value costs a look with
// --no-redact, a shown password can't be taken back. Names are compared by words, for `tokenizer`,
// `password_file` and `sort_key` hold no secret while `apiKey`, `DB_PASSWORD` and `token` do. Text is taken
// as bytes; UTF-8 stays UTF-8, for only whole ASCII-delimited pieces are replaced.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pythreads::pyframes {

inline constexpr std::string_view redacted_text = "<redacted>";

// "password", "api_key", "AWS_SECRET_ACCESS_KEY", "authToken", "--client-secret".
bool is_secret_name(std::string_view name);

// Free text (messages, strings): `scheme://user:password@host`, `password=…`, `'token': '…'`,
// `Authorization: Bearer …`, `--secret …`.
std::string redact_text(std::string_view text);

// A command line, argument by argument: `--password X`, `--token=X`, `PASSWORD=X`, and `redact_text` of each.
std::vector<std::string> redact_command(const std::vector<std::string>& command);

}  // namespace pythreads::pyframes
