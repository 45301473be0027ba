// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "base/test_matchers.h"
#include "oci/archive_files.h"
#include "oci/image.h"
#include "oci/test_images.h"

namespace casemate::oci {
namespace {

using test::Member;
using testing::ElementsAre;
using testing::HasSubstr;

std::string pax(const std::vector<std::pair<std::string, std::string>>& records) {
  std::string text;
  for (const auto& [key, value] : records) {
    const std::size_t rest = key.size() + value.size() + 3;
    std::size_t length = rest + 1;
    while (fmt::format("{}", length).size() + rest != length) ++length;
    text += fmt::format("{} {}={}\n", length, key, value);
  }
  Member member{"pax", 'x', text};
  return test::header(member) + test::padded(text);
}

Result<std::vector<TarEntry>> read_tar(const std::string& data) {
  const MemoryBlob blob(to_bytes(as_bytes(data)));
  const auto stream = TRY(blob.open(0));
  TarReader reader(*stream);
  std::vector<TarEntry> entries;
  while (auto entry = TRY(reader.next())) entries.push_back(std::move(*entry));
  return entries;
}

// Listing of a merged root: path, then what tells entries apart.
Result<std::vector<std::string>> merge(const std::vector<std::vector<Member>>& layers, const RootFsLimits& limits = {}) {
  RootFs rootfs(limits);
  for (const auto& members : layers) {
    const MemoryBlob blob(to_bytes(as_bytes(test::tar(members))));
    const auto stream = TRY(blob.open(0));
    TarReader reader(*stream);
    TRY(rootfs.apply(reader));
  }
  std::vector<std::string> listing;
  TRY(rootfs.walk([&](const RootFs::Visit& visit) -> Result<void> {
    std::string line(visit.path);
    if (visit.inode.type == FileType::kDirectory) line += "/";
    if (visit.inode.type == FileType::kSymlink) line += " -> " + visit.inode.target;
    if (!visit.hard_link_to.empty()) line += " = " + std::string(visit.hard_link_to);
    listing.push_back(std::move(line));
    return {};
  }));
  return listing;
}

TEST(TarReader, ReadsTypesAndPlacesData) {
  const auto entries = read_tar(test::tar({{"d/", '5', "", "", 0755}, {"d/f", '0', "hello"}, {"s", '2', "", "d/f"}, {"h", '1', "", "d/f"}, {"n", '3'}, {"p", '6'}}));
  ASSERT_THAT(entries, IsOk());
  ASSERT_EQ(entries->size(), 6U);
  EXPECT_EQ((*entries)[0].type, FileType::kDirectory);
  EXPECT_EQ((*entries)[1].size, 5U);
  EXPECT_THAT((*entries)[1].segments, ElementsAre(Segment{0, 5, 1024}));
  EXPECT_EQ((*entries)[2].link, "d/f");
  EXPECT_EQ((*entries)[3].type, FileType::kHardLink);
  EXPECT_EQ((*entries)[4].rdev_minor, 3U);
  EXPECT_EQ((*entries)[5].type, FileType::kFifo);
  EXPECT_EQ((*entries)[5].mtime, 1'700'000'000);
}

TEST(TarReader, PaxRecordsOverrideTheHeader) {
  const std::string name(3000, 'n');
  const auto entries = read_tar(pax({{"path", name}, {"mtime", "12.9"}, {"uid", "70000"}, {"size", "3"}}) + test::header({"short", '0', "abc"}) + test::padded("abc"));
  ASSERT_THAT(entries, IsOk());
  ASSERT_EQ(entries->size(), 1U);
  EXPECT_EQ(entries->front().path, name);
  EXPECT_EQ(entries->front().mtime, 12);
  EXPECT_EQ(entries->front().uid, 70000U);
  const auto negative = read_tar(pax({{"mtime", "-1.5"}}) + test::header({"f"}));
  ASSERT_THAT(negative, IsOk());
  EXPECT_EQ(negative->front().mtime, -2);
}

TEST(TarReader, ReadsGnuLongNames) {
  const std::string name(200, 'l');
  const auto entries = read_tar(test::header({"././@LongLink", 'L', name + '\0'}) + test::padded(name + '\0') + test::header({"cut", '0', "x"}) + test::padded("x"));
  ASSERT_THAT(entries, IsOk());
  EXPECT_EQ(entries->front().path, name);
}

TEST(TarReader, ReadsSparseFilesOfEveryFormat) {
  const std::string data = std::string(512, 'a') + std::string(512, 'b');
  const std::string map = "2\n0\n512\n4096\n512\n";
  const auto v1 = read_tar(pax({{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.name", "real"}, {"GNU.sparse.realsize", "8192"}}) +
                           test::header({"GNUSparseFile/real", '0', test::padded(map) + data}) + test::padded(map) + data);
  ASSERT_THAT(v1, IsOk());
  EXPECT_EQ(v1->front().path, "real");
  EXPECT_EQ(v1->front().size, 8192U);
  ASSERT_EQ(v1->front().segments.size(), 2U);
  EXPECT_EQ(v1->front().segments[1].file_offset, 4096U);
  EXPECT_EQ(v1->front().segments[1].stream_offset - v1->front().segments[0].stream_offset, 512U);
  const auto v01 = read_tar(pax({{"GNU.sparse.size", "8192"}, {"GNU.sparse.map", "0,512,4096,512"}}) + test::header({"f", '0', data}) + data);
  ASSERT_THAT(v01, IsOk());
  EXPECT_EQ(v01->front().segments.size(), 2U);
  const auto overlapping = read_tar(pax({{"GNU.sparse.size", "8192"}, {"GNU.sparse.map", "0,512,100,512"}}) + test::header({"f", '0', data}) + data);
  EXPECT_THAT(overlapping, IsError(ErrorCode::kMalformed, HasSubstr("sparse map")));
  const auto beyond = read_tar(pax({{"GNU.sparse.size", "600"}, {"GNU.sparse.map", "0,512,512,512"}}) + test::header({"f", '0', data}) + data);
  EXPECT_THAT(beyond, IsError(ErrorCode::kMalformed, HasSubstr("sparse map")));
}

TEST(TarReader, RefusesDamage) {
  const std::string good = test::tar({{"file", '0', "hello"}, {"other", '0', "world"}});
  for (const std::size_t at : {0, 100, 124, 156, 257, 1024, 1100}) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    EXPECT_THAT(read_tar(bad), IsError(ErrorCode::kMalformed, HasSubstr("checksum"))) << at;
  }
  for (std::size_t size = 1; size < 2048; size += 77) {
    if (size % 1024 == 0) continue;
    EXPECT_THAT(read_tar(good.substr(0, size)), IsError(ErrorCode::kMalformed)) << size;
  }
  EXPECT_THAT(read_tar(test::tar({{"v", 'V'}})), IsError(ErrorCode::kUnsupported));
  EXPECT_THAT(read_tar(pax({{"path", "x"}})), IsError(ErrorCode::kMalformed, HasSubstr("belongs to no entry")));
  EXPECT_THAT(read_tar(pax({{"path", std::string("a\0b", 3)}}) + test::header({"f"})), IsError(ErrorCode::kMalformed, HasSubstr("NUL")));
}

TEST(RootFs, ListsAsARecursiveSortedListingDoes) {
  EXPECT_THAT(merge({{{"a.c"}, {"a-b"}, {"a/", '5'}, {"a/x"}, {"Z"}}}), IsOkAnd(ElementsAre("Z", "a/", "a/x", "a-b", "a.c")));
}

TEST(RootFs, WhiteoutsRemoveLowerLayersOnly) {
  EXPECT_THAT(merge({{{"d/", '5'}, {"d/low"}, {"d/gone"}, {"e/", '5'}, {"e/f"}}, {{"d/.wh.gone"}, {"d/new"}, {".wh.e"}, {".wh.never"}}}),
              IsOkAnd(ElementsAre("d/", "d/low", "d/new")));
  EXPECT_THAT(merge({{{"d/", '5'}, {"d/low"}, {"d/s/", '5'}, {"d/s/x"}}, {{"d/new"}, {"d/.wh..wh..opq"}, {"d/s/y"}}}),
              IsOkAnd(ElementsAre("d/", "d/new", "d/s/", "d/s/y")));
  EXPECT_THAT(merge({{{"f"}}, {{".wh..wh.plnk"}, {".wh..wh.aufs"}}}), IsOkAnd(ElementsAre("f")));
}

TEST(RootFs, LaterEntriesReplaceEarlierOnes) {
  EXPECT_THAT(merge({{{"x/", '5'}, {"x/y"}}, {{"x", '2', "", "z"}}}), IsOkAnd(ElementsAre("x -> z")));
  EXPECT_THAT(merge({{{"x", '2', "", "z"}}, {{"x/", '5'}, {"x/y"}}}), IsOkAnd(ElementsAre("x/", "x/y")));
  EXPECT_THAT(merge({{{"x/", '5'}, {"x/y"}}, {{"x/", '5', "", "", 0700}}}), IsOkAnd(ElementsAre("x/", "x/y")));
}

TEST(RootFs, HardLinksShareTheFirstName) {
  EXPECT_THAT(merge({{{"b", '0', "1"}, {"a", '1', "", "b"}}}), IsOkAnd(ElementsAre("a", "b = a")));
  EXPECT_THAT(merge({{{"b", '0', "1"}, {"a", '1', "", "b"}}, {{"a", '0', "2"}}}), IsOkAnd(ElementsAre("a", "b")));
}

TEST(RootFs, FollowsLinksInsideTheRootOnly) {
  EXPECT_THAT(merge({{{"usr/lib/", '5'}, {"lib", '2', "", "usr/lib"}}, {{"lib/f"}}}), IsOkAnd(ElementsAre("lib -> usr/lib", "usr/", "usr/lib/", "usr/lib/f")));
  EXPECT_THAT(merge({{{"etc/", '5'}, {"up", '2', "", "../../../../etc"}}, {{"up/passwd"}}}), IsOkAnd(ElementsAre("etc/", "etc/passwd", "up -> ../../../../etc")));
  EXPECT_THAT(merge({{{"etc/", '5'}, {"abs", '2', "", "/etc"}, {"abs/passwd"}}}), IsOkAnd(ElementsAre("abs -> /etc", "etc/", "etc/passwd")));
}

// What hostile archives try; each is refused with the entry's name.
TEST(RootFs, RefusesHostileEntries) {
  const auto refused = [](const std::vector<std::vector<Member>>& layers, std::string_view why) {
    const auto merged = merge(layers);
    ASSERT_FALSE(merged.ok()) << why;
    EXPECT_THAT(merged.error().message(), HasSubstr(std::string(why)));
  };
  refused({{{"../evil"}}}, "\"..\"");
  refused({{{"a/../../evil"}}}, "\"..\"");
  refused({{{"/etc/passwd"}}}, "absolute");
  refused({{{"a", '2', "", "b"}, {"b", '2', "", "a"}, {"a/x"}}}, "symbolic links");
  refused({{{"dangling", '2', "", "nowhere"}, {"dangling/x"}}}, "symbolic link to nothing");
  refused({{{"f"}, {"f/x"}}}, "not a folder");
  refused({{{".wh."}}}, "whiteout of nothing");
  refused({{{".wh.."}}}, "whiteout of nothing or of a parent");
  refused({{{".wh..."}}}, "whiteout of nothing or of a parent");
  refused({{{"h", '1', "", "nothing"}}}, "does not exist");
  refused({{{"h", '1', "", "../etc/passwd"}}}, "\"..\"");
  refused({{{"d/", '5'}, {"h", '1', "", "d"}}}, "folder");
  refused({{{"s", '2', "", ""}}}, "symbolic link to nothing");
  refused({{{"./", '0'}}}, "root is not a folder");
}

TEST(RootFs, RefusesFloodsAndLongNames) {
  std::vector<Member> flood;
  for (int i = 0; i < 200; ++i) flood.push_back({fmt::format("p{}", i), '6'});
  EXPECT_THAT(merge({flood}, {.entries = 100}), IsError(ErrorCode::kLimit, HasSubstr("more than 100")));
  EXPECT_THAT(merge({{{std::string(90, 'a'), '6'}}}, {.name_bytes = 80}), IsError(ErrorCode::kLimit, HasSubstr("name of 90 bytes")));
  EXPECT_THAT(merge({{{"a/b/c/d/e/f"}}}, {.path_bytes = 8}), IsError(ErrorCode::kLimit, HasSubstr("path of 11 bytes")));
}

TEST(RootFs, KeepsNamesWithLineEndsAndEscapesThemInErrors) {
  EXPECT_THAT(merge({{{"a\nb"}}}), IsOkAnd(ElementsAre("a\nb")));
  EXPECT_THAT(merge({{{"x\n/../y"}}}), IsError(ErrorCode::kMalformed, HasSubstr("\"x\\x0a/../y\"")));
}

TEST(Image, LoadsALayout) {
  const auto files = test::layout({test::tar({{"a", '0', "one"}}), test::tar({{"b", '0', "two"}})});
  const auto image = find_in_layout(files, {});
  ASSERT_THAT(image, IsOk());
  EXPECT_EQ(image->config.command, std::vector<std::string>{"/a"});
  EXPECT_THAT(image->names, ElementsAre("latest"));
  auto loaded = load(files, *image);
  ASSERT_THAT(loaded, IsOk());
  const Inode* b = loaded->rootfs.find("b");
  ASSERT_NE(b, nullptr);
  Content content(std::move(loaded->layers), {});
  MemorySink sink;
  ASSERT_THAT(content.copy(*b, sink), IsOk());
  ASSERT_THAT(content.copy(*loaded->rootfs.find("a"), sink), IsOk());
  EXPECT_EQ(as_text(sink.data()), "twoone");
}

TEST(Image, ChecksDigestsBeforeOpening) {
  auto files = test::layout({test::tar({{"a", '0', "one"}})});
  const auto image = find_in_layout(files, {});
  ASSERT_THAT(image, IsOk());
  auto& layer = files.files[image->layers[0].path];
  layer[600] = static_cast<char>(layer[600] ^ 1);
  EXPECT_THAT(load(files, *image), IsError(ErrorCode::kUntrusted, HasSubstr("layer 1: digest is sha256:")));
  std::vector<Check> deferred;
  ASSERT_THAT(load(files, *image, {}, &deferred), IsOk());
  ASSERT_EQ(deferred.size(), 1U);
  EXPECT_THAT(deferred[0].run({}), IsError(ErrorCode::kUntrusted, HasSubstr("layer 1: digest is sha256:")));
  EXPECT_THAT(deferred[0].run([] { return true; }), IsError(ErrorCode::kConflict));
  layer[150] = static_cast<char>(layer[150] ^ 1);
  EXPECT_THAT(load(files, *image, {}, &deferred), IsError(ErrorCode::kUntrusted, HasSubstr("layer 1: digest is sha256:")))
      << "malformed because it is damaged";
  files.files.erase(image->layers[0].path);
  EXPECT_THAT(load(files, *image), IsError(ErrorCode::kNotFound));
  auto config = files.files.find("blobs/sha256/" + image->id.substr(7));
  config->second += " ";
  EXPECT_THAT(find_in_layout(files, {}), IsError(ErrorCode::kUntrusted));
}

TEST(Image, RefusesHostileDescriptions) {
  auto files = test::layout({});
  EXPECT_THAT(find_in_layout(files, {"other", ""}), IsError(ErrorCode::kNotFound, HasSubstr("it has: latest")));
  files.files["index.json"] = R"({"manifests":[{"digest":"sha256:../../../../etc/passwd"}]})";
  EXPECT_THAT(find_in_layout(files, {}), IsError(ErrorCode::kMalformed, HasSubstr("hex digits")));
  files.files["index.json"] = R"({"manifests":[{"digest":"md5:00"}]})";
  EXPECT_THAT(find_in_layout(files, {}), IsError(ErrorCode::kUnsupported));
  files.files["index.json"] = std::string(10'000, '[') + std::string(10'000, ']');
  EXPECT_THAT(find_in_layout(files, {}), IsError(ErrorCode::kLimit));
  files.files["index.json"] = std::string(100'000'000, ' ');
  EXPECT_THAT(find_in_layout(files, {}), IsError(ErrorCode::kLimit));
  files.files["index.json"] = R"({"manifests":[]})";
  EXPECT_THAT(find_in_layout(files, {}), IsError(ErrorCode::kNotFound, HasSubstr("no image")));
  EXPECT_THAT(parse_config(R"({"architecture":"amd64","config":{"Cmd":[1]}})"), IsError(ErrorCode::kMalformed, HasSubstr("Cmd[0]")));
  EXPECT_THAT(parse_config("[]"), IsError(ErrorCode::kMalformed));
}

// gzip of test::tar({{"a", '0', "one"}}) by Python's zlib would hide what matters here: a bomb must end.
TEST(Image, EndsDecompressionAtTheLimit) {
  // 1 MiB of zeros as gzip: stored once as a fixed Huffman run is long to write by hand, so a zstd RLE frame serves.
  std::string bomb("\x28\xb5\x2f\xfd", 4);
  bomb += std::string("\xa0\x00\x00\x10\x00", 5);  // single segment, content size 1 MiB
  for (int block = 0; block < 8; ++block) {
    const unsigned head = (131072U << 3) | (1U << 1) | (block == 7 ? 1U : 0U);  // RLE block of 128 KiB
    bomb += std::string{static_cast<char>(head & 0xff), static_cast<char>(head >> 8 & 0xff), static_cast<char>(head >> 16)};
    bomb += '\0';
  }
  const MemoryBlob blob(to_bytes(as_bytes(bomb)));
  ASSERT_THAT(detect_compression(blob), IsOkAnd(Compression::kZstd));
  const auto drain = [&blob](std::uint64_t limit) -> Result<std::uint64_t> {
    const auto stream = TRY(open_plain(blob, Compression::kZstd, limit));
    Bytes buffer(65536);
    std::uint64_t total = 0;
    for (;;) {
      const std::size_t got = TRY(stream->read(buffer));
      if (got == 0) return total;
      total += got;
    }
  };
  EXPECT_THAT(drain(1 << 20), IsOkAnd(std::uint64_t{1} << 20));
  EXPECT_THAT(drain((1 << 20) - 1), IsError(ErrorCode::kLimit));
}

TEST(ArchiveFiles, FindsMembersThroughLinks) {
  auto files = ArchiveFiles::open(std::make_unique<MemoryBlob>(to_bytes(as_bytes(test::tar({{"a/layer.tar", '0', "data"}, {"b/layer.tar", '2', "", "../a/layer.tar"}, {"loop", '2', "", "loop"}})))));
  ASSERT_THAT(files, IsOk());
  const auto blob = (*files)->find("./b/layer.tar");
  ASSERT_THAT(blob, IsOk());
  EXPECT_EQ((*blob)->size(), 4U);
  EXPECT_THAT((*files)->find("loop"), IsError(ErrorCode::kMalformed));
  EXPECT_THAT((*files)->find("none"), IsError(ErrorCode::kNotFound));
}

}  // namespace
}  // namespace casemate::oci
