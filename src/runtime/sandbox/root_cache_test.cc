// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/root_cache.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/encoding.h"
#include "base/test_matchers.h"
#include "runtime/sandbox/tree.h"

namespace casemate::runtime::sandbox {
namespace {

namespace fs = std::filesystem;

RootKey key_of(std::uint8_t number) {
  RootKey key{};
  key.fill(number);
  return key;
}

class RootCacheTest : public testing::Test {
 protected:
  RootCacheTest() {
    std::string pattern = "/tmp/casemate-roots-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~RootCacheTest() override { EXPECT_TRUE(remove_tree(AT_FDCWD, folder_)); }

  RootCache cache(std::uint64_t most = std::uint64_t{64} << 20) const { return RootCache(folder_ + "/roots", most); }
  RootCache::Note note() {
    return [this](std::string_view text) { notes_ += std::string(text) + "\n"; };
  }

  // A tree with a file of `size` bytes, a folder, a link and a program.
  static Result<ListFiles> fill(int root, std::size_t size) {
    const UniqueFd file(::openat(root, "data", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    const std::string content(size, 'x');
    if (!file || ::write(file.get(), content.data(), size) != static_cast<ssize_t>(size)) return errno_error("data");
    if (::mkdirat(root, "inner", 0755) != 0 || ::symlinkat("../data", root, "inner/link") != 0) return errno_error("inner");
    const UniqueFd program(::openat(root, "inner/program", O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
    return ListFiles{"/app\nargument\n", "A=1\n"};
  }
  std::optional<CachedRoot> make(const RootCache& roots, std::uint8_t number, std::size_t size = 1000) {
    return roots.make(key_of(number), size, [size](int root) { return fill(root, size); }, note());
  }
  std::string tree(std::uint8_t number) const { return folder_ + "/roots/" + encode_hex(key_of(number)) + "/root"; }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_ + "/roots")) {
      if (entry.path().filename() != ".lock") found.push_back(entry.path().filename());
    }
    return found;
  }

  std::string folder_;
  std::string notes_;
};

TEST_F(RootCacheTest, GivesWhatWasMade) {
  const RootCache roots = cache();
  EXPECT_FALSE(roots.find(key_of(1), note()).has_value());
  const auto made = make(roots, 1);
  ASSERT_TRUE(made.has_value()) << notes_;
  EXPECT_EQ(made->lists.command, "/app\nargument\n");
  const auto found = roots.find(key_of(1), note());
  ASSERT_TRUE(found.has_value()) << notes_;
  EXPECT_EQ(found->path, tree(1));
  EXPECT_EQ(found->lists, made->lists);
  EXPECT_EQ(found->bytes, made->bytes);
  EXPECT_GE(found->bytes, 1000U);
  struct stat named {}, opened {};
  ASSERT_EQ(::stat(tree(1).c_str(), &named), 0);
  ASSERT_EQ(::fstat(found->tree.get(), &opened), 0);
  EXPECT_EQ(named.st_ino, opened.st_ino);
  EXPECT_FALSE(roots.find(key_of(2), note()).has_value());
  EXPECT_EQ(notes_, "");
  EXPECT_EQ(fs::status(folder_ + "/roots").permissions(), fs::perms::owner_all);
}

TEST_F(RootCacheTest, AnyChangeIsFoundAndTheEntryGone) {
  const RootCache roots = cache();
  struct Change {
    const char* what;
    std::function<void(const std::string&)> apply;
  };
  const auto overwrite = [](const std::string& file) {
    struct stat before {};
    ASSERT_EQ(::stat(file.c_str(), &before), 0);
    const UniqueFd opened(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(::pwrite(opened.get(), "y", 1, 5), 1);
    const timespec times[2] = {before.st_atim, before.st_mtim};
    ASSERT_EQ(::futimens(opened.get(), times), 0);
  };
  const std::vector<Change> changes = {
      {"a byte, with the mtime put back", [&](const std::string& root) { overwrite(root + "/data"); }},
      {"a mode", [](const std::string& root) { ::chmod((root + "/inner/program").c_str(), 04755); }},
      {"a mode of the root", [](const std::string& root) { ::chmod(root.c_str(), 0777); }},
      {"an added file", [](const std::string& root) { std::ofstream(root + "/inner/more") << "x"; }},
      {"a removed file", [](const std::string& root) { ::unlink((root + "/inner/program").c_str()); }},
      {"a link elsewhere", [](const std::string& root) {
         ::unlink((root + "/inner/link").c_str());
         ASSERT_EQ(::symlink("../DATA", (root + "/inner/link").c_str()), 0);
       }},
      {"a renamed file", [](const std::string& root) { fs::rename(root + "/data", root + "/date"); }},
      {"a second name", [](const std::string& root) { fs::create_hard_link(root + "/data", root + "/inner/data"); }},
      {"a file in place of a folder", [](const std::string& root) {
         fs::remove_all(root + "/inner");
         std::ofstream(root + "/inner") << "x";
       }},
      {"no tree", [](const std::string& root) { fs::rename(root, root + "s"); }},
      {"a record cut short", [](const std::string& root) { ASSERT_EQ(::truncate((root + "/../record").c_str(), 100), 0); }},
      {"no record", [](const std::string& root) { ::unlink((root + "/../record").c_str()); }},
      {"a link for a record", [](const std::string& root) {
         fs::rename(root + "/../record", root + "/../other");
         fs::create_symlink("other", root + "/../record");
       }},
  };
  for (const Change& change : changes) {
    ASSERT_TRUE(make(roots, 1).has_value()) << change.what << notes_;
    ASSERT_TRUE(roots.find(key_of(1), note()).has_value()) << change.what;
    notes_.clear();
    change.apply(tree(1));
    EXPECT_FALSE(roots.find(key_of(1), note()).has_value()) << change.what;
    EXPECT_THAT(notes_, testing::HasSubstr("made again")) << change.what;
    EXPECT_THAT(names(), testing::IsEmpty()) << change.what;
    notes_.clear();
  }
}

TEST_F(RootCacheTest, AnEntryOfAnotherBootIsNotUsed) {
  const RootCache roots = cache();
  ASSERT_TRUE(make(roots, 1).has_value());
  const std::string path = tree(1) + "/../record";
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  auto record = parse_root_record(as_bytes(text));
  ASSERT_THAT(record, IsOk());
  record->boot[3] ^= 1;
  const Bytes again = encode_root_record(*record);
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(again.data()), static_cast<std::streamsize>(again.size()));
  EXPECT_FALSE(roots.find(key_of(1), note()).has_value());
  EXPECT_THAT(names(), testing::IsEmpty());
  EXPECT_EQ(notes_, "");
}

TEST_F(RootCacheTest, TheLeastRecentlyUsedGoWhenRoomIsNeeded) {
  constexpr std::size_t kSize = 3 << 20;
  const RootCache roots = cache(10 << 20);
  for (const auto number : std::to_array<std::uint8_t>({1, 2, 3})) ASSERT_TRUE(make(roots, number, kSize).has_value()) << notes_;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ASSERT_TRUE(roots.find(key_of(1), note()).has_value());
  ASSERT_TRUE(make(roots, 4, kSize).has_value()) << notes_;
  EXPECT_TRUE(roots.find(key_of(1), note()).has_value());
  EXPECT_FALSE(roots.find(key_of(2), note()).has_value());
  EXPECT_TRUE(roots.find(key_of(3), note()).has_value());
  EXPECT_TRUE(roots.find(key_of(4), note()).has_value());
  // Larger than all that may be kept.
  EXPECT_FALSE(make(roots, 5, 11 << 20).has_value());
  EXPECT_EQ(names().size(), 3U);
}

TEST_F(RootCacheTest, AnEntryInUseStays) {
  constexpr std::size_t kSize = 3 << 20;
  const RootCache roots = cache(4 << 20);
  auto used = make(roots, 1, kSize);
  ASSERT_TRUE(used.has_value());
  EXPECT_FALSE(make(roots, 2, kSize).has_value());
  ASSERT_TRUE(fs::exists(tree(1) + "/data"));
  // Changed under its user it is neither given to another nor removed.
  ASSERT_EQ(::chmod((tree(1) + "/data").c_str(), 0600), 0);
  EXPECT_FALSE(roots.find(key_of(1), note()).has_value());
  EXPECT_FALSE(make(roots, 1, kSize).has_value());
  EXPECT_TRUE(fs::exists(tree(1) + "/data"));
  used.reset();
  EXPECT_TRUE(make(roots, 2, kSize).has_value()) << notes_;
  EXPECT_FALSE(fs::exists(tree(1)));
}

TEST_F(RootCacheTest, WhatAKilledProcessLeftIsRemoved) {
  const RootCache roots = cache();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    (void)roots.make(key_of(1), 1000, [&](int root) -> Result<ListFiles> {
      auto lists = fill(root, 1000);
      (void)!::write(ends[1], "f", 1);
      for (;;) ::pause();
      return lists;
    }, [](std::string_view) {});
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ends[0], &byte, 1), 1);
  // While it lives nobody else makes the same, nor takes it away.
  EXPECT_FALSE(make(roots, 1).has_value());
  EXPECT_TRUE(make(roots, 2).has_value());
  EXPECT_EQ(names().size(), 2U);
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(make(roots, 1).has_value()) << notes_;
  EXPECT_TRUE(roots.find(key_of(1), note()).has_value());
  EXPECT_EQ(names().size(), 2U);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(RootCacheTest, AKilledUsersLockIsNone) {
  const RootCache roots = cache(4 << 20);
  ASSERT_TRUE(make(roots, 1, 3 << 20).has_value());
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto used = roots.find(key_of(1), [](std::string_view) {});
    (void)!::write(ends[1], used ? "u" : "-", 1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ends[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'u');
  EXPECT_FALSE(make(roots, 2, 3 << 20).has_value());
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(make(roots, 2, 3 << 20).has_value());
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(RootCacheTest, AFillThatFailsLeavesNothing) {
  const RootCache roots = cache();
  const auto full = roots.make(key_of(1), 1000, [](int root) -> Result<ListFiles> {
    (void)fill(root, 1000).ok();
    return over_limit("no space left");
  }, note());
  EXPECT_FALSE(full.has_value());
  EXPECT_THAT(notes_, testing::HasSubstr("no space left"));
  EXPECT_THAT(names(), testing::IsEmpty());
}

TEST_F(RootCacheTest, GivingUpLastsForThisBoot) {
  const RootCache roots = cache();
  EXPECT_TRUE(roots.usable());
  roots.give_up();
  EXPECT_FALSE(roots.usable());
  std::ofstream(folder_ + "/roots/.unusable") << std::string(32, '0');
  EXPECT_TRUE(roots.usable());
}

TEST_F(RootCacheTest, ATreeTooDeepIsNotKept) {
  const RootCache roots = cache();
  const auto deep = roots.make(key_of(1), 1000, [](int root) -> Result<ListFiles> {
    UniqueFd at(::fcntl(root, F_DUPFD_CLOEXEC, 0));
    for (std::size_t i = 0; i < kMaxTreeDepth + 2; ++i) {
      if (::mkdirat(at.get(), "d", 0755) != 0) return errno_error("d");
      at.reset(::openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    return ListFiles{"a", ""};
  }, note());
  EXPECT_FALSE(deep.has_value());
  EXPECT_THAT(names(), testing::IsEmpty());
}

TEST(RootRecord, IsReadAsItWasWrittenAndNotOtherwise) {
  RootRecord record;
  record.boot.fill(1);
  record.key.fill(2);
  record.entries = 3;
  record.bytes = 4;
  record.tree.fill(5);
  record.lists = {"/app\n", "A=1\n"};
  const Bytes good = encode_root_record(record);
  const auto parsed = parse_root_record(good);
  ASSERT_THAT(parsed, IsOk());
  EXPECT_EQ(*parsed, record);
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= 0x40;
    EXPECT_FALSE(parse_root_record(bad).ok()) << at;
    EXPECT_FALSE(parse_root_record(ByteView(good).first(at)).ok()) << at;
  }
}

}  // namespace
}  // namespace casemate::runtime::sandbox
