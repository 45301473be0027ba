// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "base/test_matchers.h"
#include "os/paths.h"
#include "os/process.h"

namespace casemate::os {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

class OsTest : public testing::Test {
 protected:
  OsTest() {
    std::string name = (std::filesystem::temp_directory_path() / "casemate-os-XXXXXX").native();
    CASEMATE_CHECK(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
  }
  ~OsTest() override { std::filesystem::remove_all(folder_); }
  Path folder_;
};

TEST_F(OsTest, WriteFileReplacesWholeAndKeepsTheMode) {
  const Path path = folder_ / "f";
  ASSERT_THAT(write_file(path, as_bytes("one"), 0600), IsOk());
  ASSERT_THAT(write_file(path, as_bytes("two"), 0640), IsOk());
  EXPECT_THAT(read_file(path, 3), IsOkAnd(std::string("two")));
  EXPECT_THAT(read_file(path, 2), IsError(ErrorCode::kLimit, HasSubstr("longer than 2 bytes")));
  EXPECT_THAT(list(folder_), IsOkAnd(ElementsAre("f")));
  EXPECT_EQ(static_cast<unsigned>(std::filesystem::status(path).permissions()), 0640U);
}

TEST_F(OsTest, CreateFileNeverReplaces) {
  const Path path = folder_ / "f";
  ASSERT_THAT(create_file(path, as_bytes("one"), 0600), IsOk());
  EXPECT_THAT(create_file(path, as_bytes("two"), 0600), IsError(ErrorCode::kConflict));
  EXPECT_THAT(read_file(path, 9), IsOkAnd(std::string("one")));
  EXPECT_THAT(list(folder_), IsOkAnd(ElementsAre("f")));
}

TEST_F(OsTest, SecretFilesMustBePrivate) {
  const Path path = folder_ / "key";
  ASSERT_THAT(write_file(path, as_bytes("k"), 0644), IsOk());
  EXPECT_THAT(read_secret_file(path, 10), IsError(ErrorCode::kDenied, HasSubstr("0644, want 0600")));
  ASSERT_THAT(write_file(path, as_bytes("k"), 0600), IsOk());
  EXPECT_THAT(read_secret_file(path, 10), IsOk());
}

TEST_F(OsTest, PrivateDirectoriesRefuseOthersFolders) {
  EXPECT_THAT(make_private_directories(folder_ / "a/b"), IsOk());
  EXPECT_EQ(static_cast<unsigned>(std::filesystem::status(folder_ / "a/b").permissions()), 0700U);
  ASSERT_EQ(::chmod((folder_ / "a").c_str(), 0777), 0);
  EXPECT_THAT(make_private_directories(folder_ / "a"), IsError(ErrorCode::kDenied));
}

TEST_F(OsTest, LockKeepsTheSecondOut) {
  auto first = FileLock::acquire(folder_ / "lock", milliseconds(0));
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(FileLock::acquire(folder_ / "lock", milliseconds(20)), IsError(ErrorCode::kUnavailable));
}

// in_child gives what `body` returns, of a process of its own.
template <typename F>
int in_child(F body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string status_line(std::string_view name) {
  const std::string text = read_file("/proc/self/status", 65536).take();
  const std::size_t at = text.find(name);
  return at == std::string::npos ? "" : text.substr(at, text.find('\n', at) - at);
}

TEST_F(OsTest, HardenedProcessesLeaveNoCore) {
  EXPECT_EQ(in_child([] {
              harden_process();
              rlimit core{1, 1};
              if (::getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0) return 1;
              return ::prctl(PR_GET_DUMPABLE) == 0 ? 0 : 2;
            }),
            0);
}

TEST_F(OsTest, MemoryIsLockedWhereAllowedAndNowhereElse) {
  const std::string nothing = "VmLck:\t       0 kB";
  ASSERT_EQ(status_line("VmLck"), nothing);
  const auto use_memory = [] {
    const std::string more(std::size_t{32} * 1024 * 1024, 'x');
    return more.back() == 'x';
  };
  // Without privilege and under a limit: refused, and memory beyond the limit is to be had as before.
  EXPECT_EQ(in_child([&] {
              const rlimit limit{65536, 65536};
              if (::setrlimit(RLIMIT_MEMLOCK, &limit) != 0) return 1;
              if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) return 2;
              if (lock_memory() || !use_memory() || status_line("VmLck") != nothing) return 3;
              rlimit now{};
              if (::getrlimit(RLIMIT_MEMLOCK, &now) != 0 || now.rlim_cur != 65536) return 4;
              const Bytes key(32, 7);
              if (!lock_pages(key) || status_line("VmLck") == nothing) return 5;
              const Bytes large(1024 * 1024, 7);
              return lock_pages(large) ? 6 : 0;
            }),
            0);
  // With privilege, or without a limit, all of it.
  EXPECT_EQ(in_child([&] {
              if (!lock_memory()) return ::geteuid() == 0 ? 1 : 0;
              return use_memory() && status_line("VmLck") != nothing ? 0 : 2;
            }),
            0);
}

TEST_F(OsTest, RunKeepsOutputAndStatus) {
  const auto output = run({"sh", "-c", "echo out; echo err >&2; exit 3"}, milliseconds(10000));
  ASSERT_THAT(output, IsOk());
  EXPECT_EQ(output->out, "out\n");
  EXPECT_EQ(output->err, "err\n");
  EXPECT_EQ(output->status, 3);
  EXPECT_THAT(run({"/no/such/program"}, milliseconds(10000)), IsError(ErrorCode::kNotFound, HasSubstr("/no/such/program")));
  EXPECT_THAT(run({"sleep", "60"}, milliseconds(50)), IsError(ErrorCode::kUnavailable));
}

TEST_F(OsTest, ProcessesAreKnownByStartTime) {
  SpawnOptions options;
  options.arguments = {"sleep", "60"};
  const auto child = spawn(options);
  ASSERT_THAT(child, IsOk());
  EXPECT_TRUE(alive(*child));
  EXPECT_FALSE(alive({child->pid, child->start_ticks + 1}));
  ASSERT_THAT(write_pid_file(folder_ / "pid", *child), IsOk());
  EXPECT_THAT(read_pid_file(folder_ / "pid"), IsOkAnd(*child));
  EXPECT_THAT(end(*child, milliseconds(5000)), IsOk());
  EXPECT_FALSE(alive(*child));
  EXPECT_THAT(end(*child, milliseconds(10)), IsOk());
}

TEST_F(OsTest, SpawnPassesOnlyTheNamedDescriptors) {
  const UniqueFd leaked(::open("/dev/null", O_RDONLY));
  const auto output = run({"sh", "-c", "ls /proc/self/fd | wc -l"}, milliseconds(10000));
  ASSERT_THAT(output, IsOk());
  EXPECT_THAT(output->out, HasSubstr("4"));  // 0, 1, 2 and ls's own
}

}  // namespace
}  // namespace casemate::os
