// SPDX-License-Identifier: Apache-2.0
#include "runtime/measured_images.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/test_matchers.h"

namespace casemate::runtime {
namespace {

ImageRecord image_record() {
  ImageRecord record;
  record.boot.fill(7);
  record.file = {1, 2, 3, 4, 5, -6, 7};
  record.measured.pcr0.fill(1);
  record.measured.pcr1.fill(2);
  record.measured.pcr2.fill(3);
  record.measured.crc = 0xfeedf00d;
  return record;
}

class MeasuredImagesTest : public testing::Test {
 protected:
  MeasuredImagesTest() {
    std::string pattern = "/tmp/casemate-measured-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~MeasuredImagesTest() override { std::filesystem::remove_all(folder_); }

  FileIdentity write(std::string_view text) {
    const UniqueFd file(::open((folder_ / "image").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    EXPECT_EQ(::write(file.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    return identity();
  }
  FileIdentity identity() {
    struct stat status {};
    EXPECT_EQ(::stat((folder_ / "image").c_str(), &status), 0);
    return identity_of(status);
  }

  os::Path folder_;
};

TEST(ImageRecord, IsReadAsItWasWritten) {
  const auto parsed = parse_image_record(encode_image_record(image_record()));
  ASSERT_THAT(parsed, IsOk());
  EXPECT_TRUE(*parsed == image_record());
}

TEST(ImageRecord, EveryChangedByteAndEveryOtherLengthIsRefused) {
  const Bytes good = encode_image_record(image_record());
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= 1;
    EXPECT_FALSE(parse_image_record(bad).ok()) << at;
    EXPECT_FALSE(parse_image_record(ByteView(good).first(at)).ok()) << at;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(parse_image_record(longer).ok());
}

TEST(FileIdentity, IsSettledOnceAWriteWouldShow) {
  FileIdentity file;
  file.ctime_s = 100;
  file.ctime_ns = 990'000'000;
  EXPECT_FALSE(is_settled(file, {100, 995'000'000}));
  EXPECT_FALSE(is_settled(file, {101, 30'000'000}));
  EXPECT_TRUE(is_settled(file, {101, 60'000'000}));
  // From the future: the clock was set back.
  EXPECT_FALSE(is_settled(file, {90, 0}));
  file.ctime_ns = 0;
  EXPECT_FALSE(is_settled(file, {102, 0}));
  EXPECT_TRUE(is_settled(file, {104, 0}));
}

TEST_F(MeasuredImagesTest, FindsAFileOnlyAsItWas) {
  const MeasuredImages records(folder_ / "records");
  const FileIdentity file = write("content");
  EXPECT_FALSE(records.find(file).has_value());
  records.keep(file, image_record().measured);
  const auto found = records.find(file);
  ASSERT_TRUE(found.has_value());
  EXPECT_TRUE(*found == image_record().measured);

  // Written again in place, with its mtime put back: the ctime gives it away.
  const timespec times[2] = {{file.mtime_s, file.mtime_ns}, {file.mtime_s, file.mtime_ns}};
  FileIdentity again;
  do {
    again = write("CONTENT");
    ASSERT_EQ(::utimensat(AT_FDCWD, (folder_ / "image").c_str(), times, 0), 0);
    again = identity();
  } while (again.ctime_s == file.ctime_s && again.ctime_ns == file.ctime_ns);
  EXPECT_EQ(again.mtime_ns, file.mtime_ns);
  EXPECT_FALSE(records.find(again).has_value());
}

TEST_F(MeasuredImagesTest, ARecordOfAnotherBootIsNone) {
  const MeasuredImages records(folder_);
  const FileIdentity file = write("content");
  records.keep(file, image_record().measured);
  const os::Path path = folder_ / fmt::format("{:x}-{:x}", file.device, file.inode);
  auto text = os::read_file(path, 4096);
  ASSERT_THAT(text, IsOk());
  auto record = parse_image_record(as_bytes(*text));
  ASSERT_THAT(record, IsOk());
  record->boot[0] ^= 1;
  ASSERT_THAT(os::write_file(path, encode_image_record(*record), 0600), IsOk());
  EXPECT_FALSE(records.find(file).has_value());
}

TEST_F(MeasuredImagesTest, TheNumberOfRecordsIsBounded) {
  const MeasuredImages records(folder_ / "records");
  FileIdentity file = image_record().file;
  for (std::size_t i = 0; i < MeasuredImages::kMostRecords + 20; ++i) {
    file.inode = i;
    records.keep(file, image_record().measured);
  }
  const auto names = os::list(folder_ / "records");
  ASSERT_THAT(names, IsOk());
  EXPECT_LE(names->size(), MeasuredImages::kMostRecords);
  EXPECT_TRUE(records.find(file).has_value());
}

}  // namespace
}  // namespace casemate::runtime
