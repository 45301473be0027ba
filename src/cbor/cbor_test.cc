// SPDX-License-Identifier: Apache-2.0
#include "base/encoding.h"
#include "base/test_matchers.h"
#include "cbor/reader.h"
#include "cbor/writer.h"

namespace casemate::cbor {
namespace {

using testing::Eq;
using testing::HasSubstr;

Bytes hex(std::string_view text) { return decode_hex(text).take(); }

Result<void> skip_all(std::string_view text) {
  const Bytes input = hex(text);
  Reader reader(input);
  TRY(reader.skip());
  return reader.finish();
}

// RFC 8949, appendix A, without the indefinite forms.
TEST(CborReader, AcceptsTheExamplesOfRfc8949) {
  for (const auto* item :
       {"00", "01", "0a", "17", "1818", "1819", "1864", "1903e8", "1a000f4240", "1b000000e8d4a51000", "1bffffffffffffffff",
        "c249010000000000000000", "3bffffffffffffffff", "20", "29", "3863", "3903e7", "f90000", "f98000", "fb3ff199999999999a",
        "fa47c35000", "f97e00", "f4", "f5", "f6", "f7", "f0", "f8ff", "c074323031332d30332d32315432303a30343a30305a",
        "d74401020304", "40", "4401020304", "60", "6161", "62225c", "62c3bc", "63e6b0b4", "64f0908591", "80", "83010203",
        "8301820203820405", "98190102030405060708090a0b0c0d0e0f101112131415161718181819", "a0", "a201020304",
        "a26161016162820203", "826161a161626163"}) {
    EXPECT_THAT(skip_all(item), IsOk()) << item;
  }
}

TEST(CborReader, RejectsIndefiniteLengths) {
  for (const auto* item : {"5f42010243030405ff", "7f657374726561646d696e67ff", "9fff", "9f018202039f0405ffff", "bf61610161629f0203ffff"}) {
    EXPECT_THAT(skip_all(item), IsError(ErrorCode::kMalformed, HasSubstr("indefinite"))) << item;
  }
  EXPECT_THAT(skip_all("ff"), IsError(ErrorCode::kMalformed, HasSubstr("break")));
  EXPECT_THAT(skip_all("81ff"), IsError(ErrorCode::kMalformed, HasSubstr("break")));
}

TEST(CborReader, RejectsWhatIsNotShortest) {
  for (const auto* item : {"1817", "1900ff", "1a0000ffff", "1b00000000ffffffff", "3800", "5800", "780161", "980100", "b8010102",
                           "d80001"}) {
    EXPECT_THAT(skip_all(item), IsError(ErrorCode::kMalformed, HasSubstr("shortest"))) << item;
  }
}

TEST(CborReader, TakesLongerHeadsOnlyWhereAsked) {
  const auto read = [](std::string_view text) {
    const Bytes input = hex(text);
    return Reader(input, {.depth = 16, .heads = HeadForm::kAny}).read_unsigned();
  };
  for (const auto* five : {"05", "1805", "190005", "1a00000005", "1b0000000000000005"}) EXPECT_THAT(read(five), IsOkAnd(Eq(5U))) << five;
  const Bytes text = hex("7a0000000161");
  EXPECT_THAT(Reader(text, {.depth = 16, .heads = HeadForm::kAny}).read_text(), IsOkAnd(Eq("a")));
  // What is no question of the shortest form stays refused.
  for (const auto* item : {"1c", "f800", "5b00000000000000ff00", "9b7fffffffffffffff00", "5f4100ff"}) {
    const Bytes input = hex(item);
    EXPECT_THAT(Reader(input, {.depth = 16, .heads = HeadForm::kAny}).skip(), IsError(ErrorCode::kMalformed)) << item;
  }
}

TEST(CborReader, RejectsReservedHeads) {
  for (const auto* item : {"1c", "1d", "1e", "1f", "3f", "df", "fc", "fd", "fe"}) {
    EXPECT_THAT(skip_all(item), IsError(ErrorCode::kMalformed)) << item;
  }
  EXPECT_THAT(skip_all("f818"), IsError(ErrorCode::kMalformed, HasSubstr("simple value 24")));
}

TEST(CborReader, RejectsCountBeyondInput) {
  for (const auto* item : {"9affffffff", "9bffffffffffffffff00", "baffffffff0000", "a20102", "8201", "5affffffff00", "7bffffffffffffffff61"}) {
    EXPECT_THAT(skip_all(item), IsError(ErrorCode::kMalformed)) << item;
  }
}

TEST(CborReader, RejectsEveryTruncation) {
  const Bytes item = hex("a26161c11a514b67b0616283f5fb3ff199999999999a43010203");
  for (std::size_t size = 0; size < item.size(); ++size) {
    Reader reader(ByteView(item).first(size));
    EXPECT_THAT(reader.skip(), IsError(ErrorCode::kMalformed)) << size;
  }
}

TEST(CborReader, RejectsTrailingBytes) { EXPECT_THAT(skip_all("0000"), IsError(ErrorCode::kMalformed, HasSubstr("1 bytes after"))); }

TEST(CborReader, RejectsDuplicateKeysWhileSkipping) {
  EXPECT_THAT(skip_all("a201000100"), IsError(ErrorCode::kMalformed, HasSubstr("twice")));
  EXPECT_THAT(skip_all("81a2616100616101"), IsError(ErrorCode::kMalformed, HasSubstr("twice")));
}

TEST(CborReader, BoundsDepth) {
  EXPECT_THAT(skip_all("8181818181818181818181818181818100"), IsOk());
  EXPECT_THAT(skip_all("818181818181818181818181818181818100"), IsError(ErrorCode::kLimit, HasSubstr("17 deep")));
  const Bytes deep(1 << 20, 0x81);
  Reader reader(deep);
  EXPECT_THAT(reader.skip(), IsError(ErrorCode::kLimit));
}

TEST(CborReader, RejectsInvalidUtf8) {
  for (const auto* item : {"6180", "61ff", "62c080", "62c328", "63eda080", "63e28228", "64f0288cbc", "64f4908080", "64f8888080", "62e282", "61c3"}) {
    EXPECT_THAT(skip_all(item), IsError(ErrorCode::kMalformed, HasSubstr("UTF-8"))) << item;
  }
}

TEST(CborReader, ReadsEitherMapFormOnlyWhereAsked) {
  const Bytes definite = hex("a2616101616202");
  const Bytes indefinite = hex("bf616101616202ff");
  for (const Bytes& input : {definite, indefinite}) {
    Reader reader(input);
    auto map = reader.read_map(MapForm::kEither).take();
    std::string keys;
    std::uint64_t sum = 0;
    while (reader.next(map).take()) {
      keys += reader.read_text().take();
      sum += reader.read_unsigned().take();
    }
    EXPECT_EQ(keys, "ab");
    EXPECT_EQ(sum, 3U);
    EXPECT_THAT(reader.finish(), IsOk());
  }
  Reader reader(indefinite);
  EXPECT_THAT(reader.read_map(), IsError(ErrorCode::kMalformed, HasSubstr("indefinite")));
  EXPECT_EQ(reader.offset(), 0U);
}

TEST(CborReader, FindsAMissingBreak) {
  const Bytes input = hex("bf616101");
  Reader reader(input);
  auto map = reader.read_map(MapForm::kEither).take();
  ASSERT_TRUE(reader.next(map).take());
  reader.read_text().take();
  reader.read_unsigned().take();
  EXPECT_THAT(reader.next(map), IsError(ErrorCode::kMalformed, HasSubstr("want a break")));
}

TEST(CborReader, NamesTheTypeFoundAndWanted) {
  const Bytes input = hex("6161");
  Reader reader(input);
  EXPECT_THAT(reader.read_bytes(), IsError(ErrorCode::kMalformed, Eq("offset 0: text string, want a byte string")));
  EXPECT_THAT(reader.read_integer(), IsError(ErrorCode::kMalformed, HasSubstr("want an integer")));
  EXPECT_THAT(reader.read_text(), IsOkAnd(Eq("a")));
}

TEST(CborReader, BoundsSignedIntegers) {
  const auto read = [](std::string_view text) {
    const Bytes input = hex(text);
    return Reader(input).read_integer();
  };
  EXPECT_THAT(read("3822"), IsOkAnd(Eq(-35)));
  EXPECT_THAT(read("1b7fffffffffffffff"), IsOkAnd(Eq(INT64_MAX)));
  EXPECT_THAT(read("3b7fffffffffffffff"), IsOkAnd(Eq(INT64_MIN)));
  EXPECT_THAT(read("1b8000000000000000"), IsError(ErrorCode::kLimit));
  EXPECT_THAT(read("3b8000000000000000"), IsError(ErrorCode::kLimit));
}

TEST(CborTextKeys, RejectsTheSecondOfAKind) {
  TextKeys keys;
  EXPECT_THAT(keys.add("pcrs"), IsOk());
  EXPECT_THAT(keys.add("nonce"), IsOk());
  EXPECT_THAT(keys.add("pcrs"), IsError(ErrorCode::kMalformed, HasSubstr("\"pcrs\" twice")));
}

TEST(CborWriter, WritesShortestHeads) {
  Writer writer;
  for (const std::uint64_t value : {0ULL, 23ULL, 24ULL, 255ULL, 256ULL, 65535ULL, 65536ULL, 4294967295ULL, 4294967296ULL}) writer.unsigned_integer(value);
  EXPECT_EQ(encode_hex(writer.take()), "0017181818ff19010019ffff1a000100001affffffff1b0000000100000000");
}

TEST(CborWriter, WritesWhatTheReaderReads) {
  Writer writer;
  writer.map(4).text("n").integer(-500).text("b").bytes(hex("0102")).text("l").array(3).boolean(true).boolean(false).null();
  writer.text("t").tag(18).encoded(hex("80"));
  const Bytes item = writer.take();
  EXPECT_EQ(encode_hex(item), "a4616e3901f36162420102616c83f5f4f66174d280");
  Reader reader(item);
  EXPECT_THAT(reader.skip(), IsOk());
  EXPECT_THAT(reader.finish(), IsOk());
}

TEST(CborWriter, WritesTheIndefiniteMapForm) {
  Writer writer;
  writer.indefinite_map().text("a").unsigned_integer(1).end_indefinite();
  EXPECT_EQ(encode_hex(writer.view()), "bf616101ff");
}

}  // namespace
}  // namespace casemate::cbor
