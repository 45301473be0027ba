// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/test_instructions.h"
#include "base/test_matchers.h"
#include "base/time_text.h"

namespace casemate {
namespace {

using testing::HasSubstr;

Result<int> half(int value) {
  if (value % 2 != 0) return malformed("{}: want an even number", value);
  return value / 2;
}

Result<int> quarter(int value) {
  return TRY(half(TRY(half(value))));
}

TEST(Result, TryReturnsTheErrorOfTheFirstStepThatFails) {
  EXPECT_THAT(quarter(8), IsOkAnd(2));
  EXPECT_THAT(quarter(6), IsError(ErrorCode::kMalformed, "3: want an even number"));
  EXPECT_THAT(half(1).in("first").in("all"), IsError(ErrorCode::kMalformed, "all: first: 1: want an even number"));
}

TEST(Result, HoldsMoveOnlyValues) {
  Result<Secret> secret = Secret::copy_of(as_bytes("abc"));
  EXPECT_EQ(as_text(secret.take().expose()), "abc");
}

TEST(Hex, RoundTripsAndRefusesOddOrForeign) {
  EXPECT_EQ(encode_hex(Bytes{0x00, 0xab, 0xff}), "00abff");
  EXPECT_THAT(decode_hex("00ABff"), IsOkAnd(Bytes{0x00, 0xab, 0xff}));
  EXPECT_THAT(decode_hex("abc"), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(decode_hex("0x"), IsError(ErrorCode::kMalformed, HasSubstr("offset 1")));
}

TEST(Base64, MatchesRfc4648Vectors) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},         {"f", "Zg=="},         {"fo", "Zm8="},        {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) {
    EXPECT_EQ(encode_base64(as_bytes(plain)), coded);
    EXPECT_THAT(decode_base64(coded), IsOkAnd(to_bytes(as_bytes(plain))));
  }
}

TEST(Base64, RefusesLooseForms) {
  for (const char* text : {"Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zm9v\n", "Zm 9", "Zm9v====", "Zg==Zg=="}) {
    EXPECT_THAT(decode_base64(text), IsError(ErrorCode::kMalformed)) << text;
  }
}

TEST(Secret, IsEmptyAfterMoveAndComparesByContent) {
  Secret a = Secret::copy_of(as_bytes("key"));
  const Secret b = std::move(a);
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): the state after a move is what is tested
  EXPECT_TRUE(b == Secret::copy_of(as_bytes("key")));
  EXPECT_FALSE(b == Secret::copy_of(as_bytes("kez")));
  EXPECT_FALSE(b == Secret::copy_of(as_bytes("keys")));
}

TEST(TimeText, RoundTripsAndRefusesWhatIsNoDate) {
  const WallTime time = std::chrono::sys_days{std::chrono::year{2026} / 2 / 28} + std::chrono::hours{23} + std::chrono::milliseconds{7};
  EXPECT_EQ(format_rfc3339(time), "2026-02-28T23:00:00Z");
  EXPECT_EQ(format_rfc3339_millis(time), "2026-02-28T23:00:00.007Z");
  EXPECT_EQ(format_basic(time), "20260228T230000Z");
  EXPECT_THAT(parse_rfc3339("2026-03-01T00:00:00.007+01:00"), IsOkAnd(time));
  EXPECT_THAT(parse_basic("20260228T230000Z"), IsOkAnd(time - std::chrono::milliseconds{7}));
  for (const char* text : {"20260230T000000Z", "20260228T240000Z", "2026022T0000000Z", "20260228T230000", "20260228T230000ZZ"}) {
    EXPECT_THAT(parse_basic(text), IsError(ErrorCode::kMalformed)) << text;
  }
}

TEST(Log, QuotesValuesSoThatAnEventIsOneLine) {
  std::string out;
  const FixedClock clock{WallTime{}};
  const Log log(clock, LogLevel::kInfo, [&](std::string_view line) { out += line; });
  log.info("start", {{"path", "/a b"}, {"evil", "x\ny=\"z"}, {"n", "1"}});
  log.debug("hidden");
  EXPECT_EQ(out, "1970-01-01T00:00:00.000Z info start path=\"/a b\" evil=\"x\\x0ay=\\\"z\" n=1\n");
}

TEST(ByteReader, ReadsBigEndianAndNamesWhatIsMissing) {
  const Bytes input{1, 2, 3};
  ByteReader reader(input);
  EXPECT_THAT(reader.read_u16(), IsOkAnd(0x0102));
  EXPECT_THAT(reader.read_u32(), IsError(ErrorCode::kMalformed, "offset 2: 4 bytes wanted, 1 left"));
  EXPECT_THAT(reader.read_u8(), IsOkAnd(3));
}

#if CASEMATE_COUNTS_INSTRUCTIONS
TEST(EqualConstantTime, TakesTheSameStepsWhereverTheDifferenceIs) {
  const Bytes one(64, 0x5a);
  Bytes other = one;
  bool same = false;
  const auto steps = [&](std::size_t changed_from, std::size_t changed_to) {
    return count_instructions(
        [&] {
          for (std::size_t i = changed_from; i < changed_to; ++i) other[i] ^= 0xff;
        },
        [&] { same = equal_constant_time(one, other); });
  };
  const std::uint64_t equal_steps = steps(0, 0);
  ASSERT_GT(equal_steps, 64U);
  EXPECT_EQ(steps(0, 1), equal_steps);
  EXPECT_EQ(steps(63, 64), equal_steps);
  EXPECT_EQ(steps(0, 64), equal_steps);
  // The counter does see what stops early.
  const auto early = [&](std::size_t changed) {
    return count_instructions([&] { other[changed] ^= 0xff; },
                              [&] { same = std::equal(one.begin(), one.end(), other.begin()); });
  };
  EXPECT_NE(early(0), early(63));
}
#endif

}  // namespace
}  // namespace casemate
