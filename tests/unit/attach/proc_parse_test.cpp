#include "attach/proc_parse.h"

#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <string>

namespace pythreads::attach {
namespace {

using namespace std::string_literals;

TEST(ParseMaps, ReadsEveryColumn) {
  Maps maps = parse_maps(
      "00400000-00420000 r--p 00000000 fe:01 1234                               /usr/bin/python3.11\n"
      "7ffd1000-7ffd3000 rw-p 00000000 00:00 0                                  [stack]\n"
      "7f0000000000-7f0000001000 rwxs 0001f000 00:05 9 /dev/zero (deleted)\n"
      "7f0000002000-7f0000003000 ---p 00000000 00:00 0 \n"
      "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n");
  ASSERT_FALSE(maps.bad_line);
  ASSERT_EQ(maps.mappings.size(), 5u);
  const Mapping& exe = maps.mappings[0];
  EXPECT_EQ(exe.range, (Range{Address(0x400000), 0x20000}));
  EXPECT_TRUE(exe.readable);
  EXPECT_FALSE(exe.writable || exe.executable || exe.shared || exe.deleted);
  EXPECT_EQ(exe.device, makedev(0xfe, 1));
  EXPECT_EQ(exe.inode, 1234u);
  EXPECT_EQ(exe.path, "/usr/bin/python3.11");
  EXPECT_EQ(maps.mappings[1].path, "[stack]");
  const Mapping& zero = maps.mappings[2];
  EXPECT_TRUE(zero.readable && zero.writable && zero.executable && zero.shared && zero.deleted);
  EXPECT_EQ(zero.path, "/dev/zero");
  EXPECT_EQ(zero.file_offset, 0x1f000u);
  EXPECT_EQ(maps.mappings[3].path, "");
  EXPECT_EQ(maps.mappings[4].range.begin, Address(0xffffffffff600000));
}

TEST(ParseMaps, UndoesOnlyTheEscapeOfALineEnd) {
  struct Case {
    const char* written;
    const char* path;
    bool deleted;
  };
  for (const Case& each : {
           Case{"/a b/c", "/a b/c", false},
           Case{"/a\\012b", "/a\nb", false},
           Case{"/a\\040b", "/a\\040b", false},
           Case{"/a\\", "/a\\", false},
           Case{"/a\\01", "/a\\01", false},
           Case{"/x (deleted)", "/x", true},
           Case{"/x (deleted) (deleted)", "/x (deleted)", true},
           Case{"/x (deleted)y", "/x (deleted)y", false},
           Case{" (deleted)", "(deleted)", false},
       }) {
    Maps maps = parse_maps("1000-2000 r-xp 00000000 fe:01 7 "s + each.written + "\n");
    ASSERT_EQ(maps.mappings.size(), 1u) << each.written;
    EXPECT_EQ(maps.mappings[0].path, each.path);
    EXPECT_EQ(maps.mappings[0].deleted, each.deleted) << each.written;
  }
}

TEST(ParseMaps, StopsAtALineThatIsNone) {
  for (const char* line : {"",
                           "garbage",
                           "1000",
                           "1000-",
                           "2000-1000 r--p 0 0:0 0",
                           "1000-1000 r--p 0 0:0 0",
                           "1000-2000",
                           "1000-2000 ",
                           "1000-2000 r--",
                           "1000-2000 r-- 00 00:00 0",
                           "1000-2000 q--p 0 0:0 0",
                           "1000-2000 r--p",
                           "1000-2000 r--p zz 0:0 0",
                           "1000-2000 r--p 0 00 0",
                           "1000-2000 r--p 0 0:0 ",
                           "1000-2000 r--p 0 0:0 5x",
                           "11111111111111111-2 r--p 0 0:0 0",
                           "1000-2000 r--p 0 fffffffff:0 0",
                           "-1000-2000 r--p 0 0:0 0",
                           "1000-2000 r--p 0 0:0 99999999999999999999"}) {
    Maps maps =
        parse_maps("1000-2000 r--p 00000000 00:00 0\n"s + line + "\n3000-4000 r--p 00000000 00:00 0\n");
    EXPECT_EQ(maps.bad_line, 2u) << line;
    EXPECT_EQ(maps.mappings.size(), 1u) << line;
  }
  EXPECT_TRUE(parse_maps("").mappings.empty());
  EXPECT_FALSE(parse_maps("").bad_line);
}

std::string stat_of(const std::string& comm, const std::string& rest) {
  return "42 (" + comm + ") " + rest;
}

const std::string good_rest =
    "S 7 42 42 0 -1 4194304 1 2 3 4 555 66 9 9 20 0 3 0 987654321 1000 2000 18446744073709551615\n";

TEST(ParseStat, TheNameEndsAtTheLastParenthesis) {
  for (const char* comm :
       {"python3", "", " ", ")", "(", ") S 1 (", "a) R 1 1 1 1 1", "x\ny", "((((((((((((((("}) {
    std::optional<StatLine> stat = parse_stat(stat_of(comm, good_rest));
    ASSERT_TRUE(stat) << comm;
    EXPECT_EQ(stat->pid, 42);
    EXPECT_EQ(stat->comm, comm);
    EXPECT_EQ(stat->state, 'S');
    EXPECT_EQ(stat->parent_pid, 7);
    EXPECT_EQ(stat->flags, 4194304u);
    EXPECT_EQ(stat->utime_ticks, 555u);
    EXPECT_EQ(stat->stime_ticks, 66u);
    EXPECT_EQ(stat->start_ticks, 987654321u);
  }
}

TEST(ParseStat, RefusesWhatIsCutShortOrStrange) {
  for (const std::string& text :
       {""s, "42"s, "42 (x"s, "42 x) S 1"s, ") (x"s, "x (y) "s + good_rest, "42 (x)"s, "42 (x) "s,
        "42 (x) S"s, "42 (x) S 7 42 42 0"s, "42 (x) S seven"s,
        stat_of("x", "S 7 42 42 0 -1 - 1 2 3 4 5 6 9 9 20 0 3 0 9")}) {
    EXPECT_FALSE(parse_stat(text)) << text;
  }
  std::string whole = stat_of("x", good_rest);
  for (std::size_t size = 0; size < whole.find("987654321"); ++size) {
    EXPECT_FALSE(parse_stat(std::string_view(whole).substr(0, size))) << size;
  }
}

TEST(ParseStatus, ReadsWhatItIsAskedFor) {
  Status status = parse_status(
      "Name:\tevil\\nUid:\t9 9 9 9\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t42\nTracerPid:\t7\n"
      "Uid:\t1000\t1001\t1002\t1003\nGid:\t1\t2\t3\t4\nNSpid:\t42\t5\t1\nThreads:\t12\n"
      "CapPrm:\t000001ffffffffff\nCapEff:\t0000000000080000\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t1\n"
      "Seccomp:\t2\nSeccomp_filters:\t3\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t545\n");
  EXPECT_EQ(status.state, 'S');
  EXPECT_EQ(status.tgid, 42);
  EXPECT_EQ(status.tracer_pid, 7);
  EXPECT_EQ(status.uids, (std::array<uid_t, 4>{1000, 1001, 1002, 1003}));
  EXPECT_EQ(status.gids, (std::array<gid_t, 4>{1, 2, 3, 4}));
  EXPECT_EQ(status.namespace_pids, (std::vector<pid_t>{42, 5, 1}));
  EXPECT_EQ(status.threads, 12u);
  EXPECT_EQ(status.permitted_capabilities, 0x1ffffffffffu);
  EXPECT_EQ(status.effective_capabilities, 0x80000u);
  EXPECT_EQ(status.bounding_capabilities, 0xa80425fbu);
  EXPECT_EQ(status.no_new_privileges, 1);
  EXPECT_EQ(status.seccomp, 2);
  EXPECT_EQ(status.seccomp_filters, 3);
  EXPECT_EQ(status.voluntary_switches, 150u);
  EXPECT_EQ(status.involuntary_switches, 545u);
}

TEST(ParseStatus, AMissingOrBadLineIsNone) {
  Status status =
      parse_status("State:\nTgid:\tx\nUid:\t1\t2\t3\nNSpid:\t\nSeccomp\nvoluntary_ctxt_switches:\t-1\n:\n");
  EXPECT_FALSE(status.state);
  EXPECT_FALSE(status.tgid);
  EXPECT_FALSE(status.uids);
  EXPECT_TRUE(status.namespace_pids.empty());
  EXPECT_FALSE(status.seccomp);
  EXPECT_FALSE(status.voluntary_switches);
}

TEST(ParseSyscall, ReadsItsThreeForms) {
  std::optional<SyscallLine> call =
      parse_syscall("202 0x7f00 0x189 0x0 0x0 0x0 0xffffffff 0x7ffc000 0x7f1234\n");
  ASSERT_TRUE(call);
  EXPECT_FALSE(call->running);
  EXPECT_EQ(call->number, 202);
  EXPECT_EQ(call->arguments, (std::array<std::uint64_t, 6>{0x7f00, 0x189, 0, 0, 0, 0xffffffff}));
  EXPECT_EQ(call->sp, 0x7ffc000u);
  EXPECT_EQ(call->pc, 0x7f1234u);

  call = parse_syscall("running\n");
  ASSERT_TRUE(call);
  EXPECT_TRUE(call->running);

  call = parse_syscall("-1 0x7ffc000 0x7f1234\n");
  ASSERT_TRUE(call);
  EXPECT_EQ(call->number, -1);
  EXPECT_EQ(call->sp, 0x7ffc000u);
}

TEST(ParseSyscall, RefusesTheRest) {
  for (const char* text : {"", "\n", "walking", "-2 0x1 0x2", "1", "1 0x1 0x2", "1 1 2 3 4 5 6 7 8", "-1 0x1",
                           "0x1 0x2", "99999999999999999999 0x1", "1 0x1 0x2 0x3 0x4 0x5 0x6 0x7",
                           "1 0x 0x2 0x3 0x4 0x5 0x6 0x7 0x8", "1 0x11111111111111111 0 0 0 0 0 0 0"}) {
    EXPECT_FALSE(parse_syscall(text)) << text;
  }
}

TEST(ParseCommandLine, KeepsEmptyArguments) {
  EXPECT_TRUE(parse_command_line("").empty());
  EXPECT_EQ(parse_command_line("a\0\0b\0"s), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(parse_command_line("\0"s), (std::vector<std::string>{""}));
  EXPECT_EQ(parse_command_line("nginx: worker"), (std::vector<std::string>{"nginx: worker"}));
  EXPECT_EQ(parse_command_line("\xff\xfe\0"s), (std::vector<std::string>{"\xff\xfe"}));
}

TEST(Cgroup, TheUnifiedPathComesFirst) {
  EXPECT_EQ(parse_cgroup("0::/user.slice\n"), "/user.slice");
  EXPECT_EQ(parse_cgroup("12:cpu:/a\n1:name=systemd:/b\n"), "/a");
  EXPECT_EQ(parse_cgroup("12:cpu:/a\n0::/u:v\n"), "/u:v");
  EXPECT_EQ(parse_cgroup(""), "");
  EXPECT_EQ(parse_cgroup("garbage"), "");
}

TEST(Cgroup, FindsTheInnermostContainer) {
  const std::string outer(64, 'a');
  const std::string inner = std::string(32, '1') + std::string(32, 'f');
  EXPECT_EQ(find_container_id("0::/docker/" + outer + "\n"), outer);
  EXPECT_EQ(find_container_id("0::/kubepods.slice/cri-containerd-" + inner + ".scope\n"), inner);
  EXPECT_EQ(find_container_id("0::/docker/" + outer + "/docker/" + inner), inner);
  EXPECT_EQ(find_container_id("5:cpu:/docker/" + outer + "\n0::/\n"), outer);
  EXPECT_EQ(find_container_id("0::/docker/" + outer + "0"), "");
  EXPECT_EQ(find_container_id("0::/docker/" + std::string(64, 'A')), "");
  EXPECT_EQ(find_container_id("0::/user.slice/user-1000.slice\n"), "");
  EXPECT_EQ(find_container_id(inner), "");
}

TEST(CutRoot, OnlyAtABorderOfNames) {
  auto cut = [](std::string path, std::string_view root) {
    cut_root(path, root);
    return path;
  };
  EXPECT_EQ(cut("/srv/jail/usr/bin/x", "/srv/jail"), "/usr/bin/x");
  EXPECT_EQ(cut("/srv/jail", "/srv/jail"), "/");
  EXPECT_EQ(cut("/srv/jailer/x", "/srv/jail"), "/srv/jailer/x");
  EXPECT_EQ(cut("/usr/bin/x", "/"), "/usr/bin/x");
  EXPECT_EQ(cut("[heap]", "/srv/jail"), "[heap]");
}

}  // namespace
}  // namespace pythreads::attach
