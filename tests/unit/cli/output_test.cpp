#include "cli/output.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

namespace pythreads::cli {
namespace {

class OutputFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "pythreads-output-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string at(const std::string& name) const { return (folder_ / name).string(); }

  std::filesystem::path folder_;
};

TEST_F(OutputFile, IsWholeAndPrivate) {
  ASSERT_TRUE(write_file(at("dump"), "text\n").ok());
  EXPECT_EQ(*read_input(at("dump"), 100), "text\n");
  struct stat status {};
  ASSERT_EQ(::stat(at("dump").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(OutputFile, ReplacesALinkAndLeavesWhatItPointsTo) {
  std::ofstream(at("victim")) << "precious";
  std::filesystem::create_symlink(at("victim"), at("dump"));
  ASSERT_TRUE(write_file(at("dump"), "text").ok());
  EXPECT_FALSE(std::filesystem::is_symlink(at("dump")));
  EXPECT_EQ(*read_input(at("victim"), 100), "precious");
}

TEST_F(OutputFile, LeavesNothingBehindWhenItFails) {
  std::filesystem::create_directory(at("dump"));
  const attach::Result<void> done = write_file(at("dump"), "text");
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, attach::ErrorCode::output_failed);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(OutputFile, IsThereOnlyWhenItIsFinished) {
  {
    Output output(at("dump"));
    output.write("one ");
    output.write("two");
    EXPECT_FALSE(std::filesystem::exists(at("dump")));
    ASSERT_TRUE(output.finish().ok());
    EXPECT_EQ(*read_input(at("dump"), 100), "one two");
  }
  {
    Output output(at("other"));
    output.write("given up");
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(OutputFile, InputHasABound) {
  std::ofstream(at("large")) << std::string(1000, 'x');
  const attach::Result<std::string> read = read_input(at("large"), 999);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, attach::ErrorCode::corrupt);
  EXPECT_EQ(read_input(at("large"), 1000)->size(), 1000U);
}

TEST_F(OutputFile, MissingInputIsToldApart) {
  const attach::Result<std::string> read = read_input(at("none"), 10);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, attach::ErrorCode::no_such_process);
}

}  // namespace
}  // namespace pythreads::cli
