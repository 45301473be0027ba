// SPDX-License-Identifier: Apache-2.0
#include "cpio/cpio.h"

#include <gtest/gtest.h>

#include "base/test_matchers.h"

namespace casemate::cpio {
namespace {

using testing::HasSubstr;

Entry file(std::string name, std::uint32_t mode = kRegular | 0644) {
  Entry entry;
  entry.name = std::move(name);
  entry.mode = mode;
  entry.mtime = 1492533000;
  return entry;
}

Bytes archive_of(std::initializer_list<std::pair<Entry, std::string>> entries) {
  MemorySink sink;
  Writer writer(sink);
  for (const auto& [entry, data] : entries) EXPECT_THAT(writer.add(entry, as_bytes(data)), IsOk());
  EXPECT_THAT(writer.finish(), IsOk());
  return sink.take();
}

// Bytes of linuxkit 1.5.2 for a folder and two files (the boot ramdisk of a Nitro enclave).
TEST(CpioWriter, WritesWhatLinuxkitWrites) {
  const Bytes archive = archive_of({{file("dev", kDirectory | 0755), ""}, {file("init", kRegular | 0755), "I am init\n"}});
  EXPECT_EQ(archive.size(), 512U);
  EXPECT_EQ(as_text(ByteView(archive).first(114)),
            "070701000002d1000041ed0000000000000000000000025""8f63f080000000000000003000000010000000000000000"
            "0000000400000000dev" + std::string(1, '\0'));
  EXPECT_EQ(as_text(ByteView(archive).subspan(116, 110)),
            "070701000002d2000081ed0000000000000000000000015""8f63f080000000a00000003000000010000000000000000"
            "0000000500000000");
}

TEST(CpioReader, ReadsWhatTheWriterWrote) {
  Entry device = file("dev/null", kCharacterDevice | 0666);
  device.rdev_major = 1;
  device.rdev_minor = 3;
  const Bytes archive = archive_of({{file("a", kDirectory | 0700), ""}, {device, ""}, {file("a/b"), "hello"}, {file("l", kSymlink | 0777), "a/b"}});
  MemorySource source(archive);
  Reader reader(source);
  auto entry = reader.next();
  ASSERT_THAT(entry, IsOk());
  ASSERT_TRUE(entry->has_value());
  EXPECT_EQ((*entry)->name, "a");
  EXPECT_EQ((*entry)->nlink, 2U);
  EXPECT_EQ((*entry)->ino, 721U);
  entry = reader.next();
  ASSERT_THAT(entry, IsOk());
  EXPECT_EQ((*entry)->rdev_minor, 3U);
  entry = reader.next();
  ASSERT_THAT(entry, IsOk());
  EXPECT_EQ((*entry)->size, 5U);
  Bytes data(3);
  EXPECT_THAT(reader.read_data(data), IsOkAnd(3U));
  EXPECT_EQ(as_text(data), "hel");
  EXPECT_EQ(reader.remaining(), 2U);
  entry = reader.next();
  ASSERT_THAT(entry, IsOk());
  EXPECT_EQ((*entry)->type(), kSymlink);
  data.resize(16);
  EXPECT_THAT(reader.read_data(data), IsOkAnd(3U));
  EXPECT_THAT(reader.read_data(data), IsOkAnd(0U));
  entry = reader.next();
  ASSERT_THAT(entry, IsOk());
  EXPECT_FALSE(entry->has_value());
}

TEST(CpioReader, ReadsConcatenatedArchives) {
  Bytes archive = archive_of({{file("one"), "1"}});
  archive.insert(archive.end(), 8, 0);
  append(archive, archive_of({{file("two"), "2"}}));
  MemorySource source(archive);
  Reader reader(source);
  EXPECT_EQ(reader.next().value()->name, "one");
  EXPECT_EQ(reader.next().value()->name, "two");
  EXPECT_FALSE(reader.next().value().has_value());
}

Result<void> read_all(ByteView archive, const Limits& limits = {}) {
  MemorySource source(archive);
  Reader reader(source, limits);
  while (TRY(reader.next())) {
  }
  return {};
}

TEST(CpioReader, RefusesTruncationAnywhere) {
  const Bytes archive = archive_of({{file("one"), "12345"}, {file("two"), "2"}});
  const std::size_t content = 116 + 8 + 116 + 4 + 124;
  for (std::size_t size = 1; size < content - 3; ++size) {
    EXPECT_THAT(read_all(ByteView(archive).first(size)), IsError(ErrorCode::kMalformed)) << size;
  }
  EXPECT_THAT(read_all(archive), IsOk());
}

TEST(CpioReader, RefusesWhatTheKernelWouldSkip) {
  Bytes archive = archive_of({{file("one"), "1"}});
  Bytes bad = archive;
  bad[20] = 'g';
  EXPECT_THAT(read_all(bad), IsError(ErrorCode::kMalformed, HasSubstr("hex digit")));
  bad = archive;
  bad[5] = '7';
  EXPECT_THAT(read_all(bad), IsError(ErrorCode::kUnsupported));
  bad = archive;
  bad[111] = 0;
  EXPECT_THAT(read_all(bad), IsError(ErrorCode::kMalformed, HasSubstr("terminated")));
  bad.assign({0x1f, 0x8b, 8, 0, 0, 0, 0, 0});
  EXPECT_THAT(read_all(bad), IsError(ErrorCode::kUnsupported, HasSubstr("gzip")));
  bad = archive;
  bad.insert(bad.begin(), 2, 0);
  EXPECT_THAT(read_all(bad), IsError(ErrorCode::kMalformed, HasSubstr("multiple of 4")));
  EXPECT_THAT(read_all(archive, {.name_bytes = 3, .entries = 10}), IsError(ErrorCode::kLimit));
  EXPECT_THAT(read_all(archive_of({{file("a"), ""}, {file("b"), ""}}), {.name_bytes = 100, .entries = 1}), IsError(ErrorCode::kLimit));
}

TEST(CpioWriter, RefusesMoreDataThanAnnounced) {
  MemorySink sink;
  Writer writer(sink);
  Entry entry = file("a");
  entry.size = 2;
  EXPECT_THAT(writer.begin(entry), IsOk());
  EXPECT_THAT(writer.write(as_bytes("123")), IsError(ErrorCode::kInternal));
  EXPECT_THAT(writer.finish(), IsError(ErrorCode::kInternal));
  entry.size = std::uint64_t{1} << 32;
  MemorySink other;
  EXPECT_THAT(Writer(other).begin(entry), IsError(ErrorCode::kLimit));
}

}  // namespace
}  // namespace casemate::cpio
