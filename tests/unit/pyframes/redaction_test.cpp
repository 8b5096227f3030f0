#include "pyframes/redaction.h"

#include <gtest/gtest.h>

namespace pythreads::pyframes {
namespace {

TEST(Redaction, TellsSecretNamesFromTheirNeighbours) {
  for (const char* name :
       {"password",      "PASSWORD",    "db_password", "dbPassword",    "passwd",
        "pwd",           "user_pwd",    "secret",      "client_secret", "AWS_SECRET_ACCESS_KEY",
        "token",         "authToken",   "APIKey",      "api_key",       "API_KEY",
        "apikey",        "private_key", "privateKey",  "credential",    "credentials",
        "creds",         "stripe_key",  "key",         "passphrase",    "--token",
        "Authorization", "secret_id",   "_password2"}) {
    EXPECT_TRUE(is_secret_name(name)) << name;
  }
  for (const char* name : {"", "name", "tokenizer", "tokenize", "keyboard", "monkey", "keys", "sort_key",
                           "primary_key", "public_key", "password_file", "token_count", "compass", "bypass",
                           "passenger", "author", "key_type", "x", "lock"}) {
    EXPECT_FALSE(is_secret_name(name)) << name;
  }
}

TEST(Redaction, HidesPasswordsInUrls) {
  EXPECT_EQ(redact_text("postgres://bob:hunter2@db:5432/x?y=1"), "postgres://bob:<redacted>@db:5432/x?y=1");
  EXPECT_EQ(redact_text("at redis://:pw@h, then http://a:b@c"),
            "at redis://:<redacted>@h, then http://a:<redacted>@c");
  EXPECT_EQ(redact_text("amqp://u:p@ss@host/"), "amqp://u:<redacted>@host/");
  EXPECT_EQ(redact_text("amqp://u:p/a#s@host/"), "amqp://u:<redacted>@host/");
  EXPECT_EQ(redact_text("https://ghp_0123456789abcdefghij@github.com/x"), "https://<redacted>@github.com/x");
}

TEST(Redaction, HidesAPasswordThatIsCutOff) {
  EXPECT_EQ(redact_text("amqp://user:hunt"), "amqp://user:<redacted>");
  EXPECT_EQ(redact_text("password='hunt"), "password='<redacted>");
}

TEST(Redaction, LeavesOtherUrlsAlone) {
  for (const char* text :
       {"http://host:8080/a@b", "ssh://git@host/x", "http://host/", "://", "a://b:", "file:///x@y"}) {
    EXPECT_EQ(redact_text(text), text);
  }
}

TEST(Redaction, HidesNamedValuesInText) {
  EXPECT_EQ(redact_text("connect(password='a b\\'c', x=1)"), "connect(password='<redacted>', x=1)");
  EXPECT_EQ(redact_text("{'token': 'abc', 'n': 3}"), "{'token': '<redacted>', 'n': 3}");
  EXPECT_EQ(redact_text("password: hunter2 and so on"), "password: <redacted> and so on");
  EXPECT_EQ(redact_text("GET /x?api_key=abc&y=2"), "GET /x?api_key=<redacted>&y=2");
  EXPECT_EQ(redact_text("Authorization: Bearer abc.def"), "Authorization: Bearer <redacted>");
  EXPECT_EQ(redact_text("['mysql', '--password', 'pw']"), "['mysql', '--password', '<redacted>']");
  EXPECT_EQ(redact_text("run --token abc --x"), "run --token <redacted> --x");
  EXPECT_EQ(redact_text("secret = b'\\x00'"), "secret = b'<redacted>'");
}

TEST(Redaction, KeepsWhatIsNoPair) {
  for (const char* text : {"bad key: 42", "the token is wrong", "no password", "password=", "tokenizer=x", "",
                           "caf\xc3\xa9 password"}) {
    EXPECT_EQ(redact_text(text), text);
  }
}

TEST(Redaction, IsIdempotent) {
  for (const char* text : {"http://a:b@c", "password=x y", "token: 'q'", "run --secret a b"}) {
    const std::string once = redact_text(text);
    EXPECT_EQ(redact_text(once), once);
  }
}

TEST(Redaction, HidesArgumentsOfCommands) {
  const std::vector<std::string> command{"python3",  "x.py",      "--password", "a",          "--token=b",
                                         "SECRET=c", "--verbose", "u://v:w@x",  "--password", "--next",
                                         "-pass",    "y",         "a=b",        "--key"};
  const std::vector<std::string> expected{"python3",
                                          "x.py",
                                          "--password",
                                          "<redacted>",
                                          "--token=<redacted>",
                                          "SECRET=<redacted>",
                                          "--verbose",
                                          "u://v:<redacted>@x",
                                          "--password",
                                          "--next",
                                          "-pass",
                                          "<redacted>",
                                          "a=b",
                                          "--key"};
  EXPECT_EQ(redact_command(command), expected);
}

}  // namespace
}  // namespace pythreads::pyframes
