// SPDX-License-Identifier: Apache-2.0
#include "attestation/document.h"

#include "base/encoding.h"
#include "base/test_matchers.h"
#include "cbor/writer.h"

namespace casemate::attestation {
namespace {

using cbor::Writer;
using testing::HasSubstr;

Bytes hex(std::string_view text) { return decode_hex(text).take(); }

// Payload is a document by its encoded fields, to be spoilt one at a time.
class Payload {
 public:
  Payload() {
    set("module_id", Writer().text("i-0123456789abcdef0-enc0123456789abcdef").take());
    set("digest", Writer().text("SHA384").take());
    set("timestamp", Writer().unsigned_integer(1765000000123).take());
    set("pcrs", pcrs(16));
    set("certificate", Writer().bytes(Bytes(600, 1)).take());
    set("cabundle", Writer().array(2).bytes(Bytes(500, 2)).bytes(Bytes(700, 3)).take());
    set("public_key", Writer().null().take());
    set("user_data", Writer().bytes({}).take());
    set("nonce", Writer().bytes(Bytes(20, 4)).take());
  }

  static Bytes pcrs(std::uint64_t count, std::size_t size = 48) {
    Writer writer;
    writer.map(count);
    for (std::uint64_t i = 0; i < count; ++i) writer.unsigned_integer(i).bytes(Bytes(size, 5));
    return writer.take();
  }

  Payload& set(std::string_view key, Bytes value) {
    for (auto& [name, encoded] : fields_) {
      if (name == key) {
        encoded = std::move(value);
        return *this;
      }
    }
    fields_.emplace_back(key, std::move(value));
    return *this;
  }
  Payload& add(std::string_view key, Bytes value) {
    fields_.emplace_back(key, std::move(value));
    return *this;
  }
  Payload& remove(std::string_view key) {
    std::erase_if(fields_, [key](const auto& field) { return field.first == key; });
    return *this;
  }

  Bytes encode(WireForm form = WireForm::kDefinite) const {
    Writer writer;
    if (form == WireForm::kDefinite) writer.map(fields_.size());
    if (form == WireForm::kIndefinite) writer.indefinite_map();
    for (const auto& [key, value] : fields_) writer.text(key).encoded(value);
    if (form == WireForm::kIndefinite) writer.end_indefinite();
    return writer.take();
  }

 private:
  std::vector<std::pair<std::string, Bytes>> fields_;
};

testing::AssertionResult refused(const Payload& payload, ErrorCode code, std::string_view text) {
  const auto parsed = parse_document(payload.encode());
  if (parsed.ok()) return testing::AssertionFailure() << "parsed";
  if (parsed.error().code() == code && parsed.error().message().find(text) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << parsed.error().message();
}

TEST(Document, ReadsBothMapForms) {
  for (const WireForm form : {WireForm::kDefinite, WireForm::kIndefinite}) {
    const auto document = parse_document(Payload().encode(form)).take();
    EXPECT_EQ(document.module_id, "i-0123456789abcdef0-enc0123456789abcdef");
    EXPECT_EQ(document.timestamp.time_since_epoch().count(), 1765000000123);
    EXPECT_EQ(document.pcrs.size(), 16U);
    EXPECT_EQ(document.certificate, Bytes(600, 1));
    EXPECT_EQ(document.cabundle.size(), 2U);
    EXPECT_FALSE(document.public_key.has_value());
    EXPECT_EQ(document.user_data, Bytes());
    EXPECT_EQ(document.nonce, Bytes(20, 4));
  }
}

TEST(Document, WritesTheBytesOfRealOnes) {
  Statement statement;
  statement.module_id = "i-0123456789abcdef0-enc0123456789abcdef";
  statement.timestamp = WallTime(std::chrono::milliseconds(0x019b54988b2d));
  statement.pcrs = {{0, Bytes(48)}, {4, Bytes(48)}};
  const Bytes nonce = {1};
  statement.nonce = nonce;
  const Bytes payload = encode_document(statement, Bytes(640, 9), {Bytes(533, 8)});
  const std::string text = encode_hex(payload);
  EXPECT_EQ(text.substr(0, 26), "bf69" "6d6f64756c655f69" "64" "7827");
  EXPECT_THAT(text, HasSubstr("66646967657374" "66534841333834" "6974696d657374616d70" "1b0000019b54988b2d" "6470637273" "a200" "5830"));
  EXPECT_THAT(text, HasSubstr("6b6365727469666963617465" "590280"));
  EXPECT_THAT(text, HasSubstr("68636162756e646c65" "81" "590215"));
  EXPECT_EQ(text.substr(text.size() - 64), "6a7075626c69635f6b6579f6" "69757365725f64617461f6" "656e6f6e6365" "4101" "ff");
  EXPECT_THAT(parse_document(payload), IsOk());
  EXPECT_EQ(encode_hex(encode_document(statement, Bytes(640, 9), {Bytes(533, 8)}, WireForm::kDefinite)).substr(0, 4), "a969");
}

TEST(Document, RejectsMissingDuplicateAndUnknownKeys) {
  for (const auto* key : {"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"}) {
    EXPECT_TRUE(refused(Payload().remove(key), ErrorCode::kMalformed, std::string(key) + ": missing"));
  }
  EXPECT_THAT(parse_document(Payload().remove("public_key").remove("user_data").remove("nonce").encode()), IsOk());
  EXPECT_TRUE(refused(Payload().add("nonce", Writer().null().take()), ErrorCode::kMalformed, "\"nonce\" twice"));
  EXPECT_TRUE(refused(Payload().add("extra", Writer().null().take()), ErrorCode::kMalformed, "extra: unknown key"));
}

TEST(Document, RefusesANitroTpmsByName) {
  EXPECT_TRUE(refused(Payload().remove("pcrs").add("nitrotpm_pcrs", Payload::pcrs(24)), ErrorCode::kMalformed, "NitroTPM"));
}

TEST(Document, RejectsTrailingBytesAndAMissingBreak) {
  Bytes payload = Payload().encode();
  payload.push_back(0);
  EXPECT_THAT(parse_document(payload), IsError(ErrorCode::kMalformed, HasSubstr("after the end")));
  payload = Payload().encode(WireForm::kIndefinite);
  payload.pop_back();
  EXPECT_THAT(parse_document(payload), IsError(ErrorCode::kMalformed, HasSubstr("want a break")));
}

TEST(Document, RejectsEveryTruncation) {
  const Bytes payload = Payload().encode();
  for (std::size_t size = 0; size < payload.size(); ++size) EXPECT_FALSE(parse_document(ByteView(payload).first(size)).ok()) << size;
}

TEST(Document, RejectsWhatCborForbids) {
  EXPECT_TRUE(refused(Payload().set("timestamp", hex("1b0000000000000001")), ErrorCode::kMalformed, "timestamp: offset"));
  EXPECT_TRUE(refused(Payload().set("pcrs", hex("bf00ff")), ErrorCode::kMalformed, "pcrs: offset"));
  EXPECT_TRUE(refused(Payload().set("nonce", hex("5f4101ff")), ErrorCode::kMalformed, "indefinite"));
  EXPECT_TRUE(refused(Payload().set("cabundle", hex("9f4101ff")), ErrorCode::kMalformed, "indefinite"));
  EXPECT_TRUE(refused(Payload().set("module_id", hex("62c328")), ErrorCode::kMalformed, "UTF-8"));
  EXPECT_TRUE(refused(Payload().set("nonce", hex("5affffffff")), ErrorCode::kMalformed, "4294967295 bytes"));
  EXPECT_TRUE(refused(Payload().set("cabundle", hex("9bffffffffffffffff")), ErrorCode::kMalformed, "items in"));
  EXPECT_TRUE(refused(Payload().set("pcrs", hex("baffffffff")), ErrorCode::kMalformed, "items in"));
  EXPECT_TRUE(refused(Payload().set("certificate", Bytes(400, 0x81)), ErrorCode::kMalformed, "certificate: offset"));
  EXPECT_THAT(parse_document(Bytes(10000, 0x81)), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(parse_document(Bytes(10000, 0xbf)), IsError(ErrorCode::kMalformed));
}

TEST(Document, ChecksTheTimestamp) {
  EXPECT_TRUE(refused(Payload().set("timestamp", Writer().integer(-1).take()), ErrorCode::kMalformed, "negative integer"));
  EXPECT_TRUE(refused(Payload().set("timestamp", Writer().unsigned_integer(0).take()), ErrorCode::kMalformed, "timestamp: 0 ms"));
  EXPECT_TRUE(refused(Payload().set("timestamp", Writer().unsigned_integer(UINT64_MAX).take()), ErrorCode::kMalformed, "timestamp: 1844674407370955161"));
  EXPECT_TRUE(refused(Payload().set("timestamp", Writer().unsigned_integer(253402300800000).take()), ErrorCode::kMalformed, "timestamp"));
  EXPECT_TRUE(refused(Payload().set("timestamp", hex("fb3ff199999999999a")), ErrorCode::kMalformed, "float"));
}

TEST(Document, ChecksThePcrs) {
  EXPECT_TRUE(refused(Payload().set("pcrs", Payload::pcrs(0)), ErrorCode::kMalformed, "pcrs: 0 entries"));
  EXPECT_TRUE(refused(Payload().set("pcrs", Payload::pcrs(33)), ErrorCode::kMalformed, "pcrs: 33 entries"));
  EXPECT_THAT(parse_document(Payload().set("pcrs", Payload::pcrs(32)).encode()), IsOk());
  EXPECT_TRUE(refused(Payload().set("pcrs", Payload::pcrs(16, 47)), ErrorCode::kMalformed, "pcrs[0]: 47 bytes, want 32, 48 or 64"));
  EXPECT_TRUE(refused(Payload().set("pcrs", Writer().map(1).unsigned_integer(32).bytes(Bytes(48)).take()), ErrorCode::kMalformed, "index 32"));
  EXPECT_TRUE(refused(Payload().set("pcrs", Writer().map(1).integer(-1).bytes(Bytes(48)).take()), ErrorCode::kMalformed, "index -1"));
  EXPECT_TRUE(refused(Payload().set("pcrs", Writer().map(1).text("0").bytes(Bytes(48)).take()), ErrorCode::kMalformed, "text string, want an integer"));
  EXPECT_TRUE(refused(Payload().set("pcrs", Writer().map(2).unsigned_integer(7).bytes(Bytes(48)).unsigned_integer(7).bytes(Bytes(48)).take()),
                      ErrorCode::kMalformed, "index 7 twice"));
  const auto turned = parse_document(Payload().set("pcrs", Writer().map(2).unsigned_integer(9).bytes(Bytes(48, 9)).unsigned_integer(1).bytes(Bytes(48, 1)).take()).encode()).take();
  EXPECT_EQ(turned.pcrs[0].index, 1);
  EXPECT_EQ(turned.pcrs[1].index, 9);
}

TEST(Document, ChecksEverySizeAgainstTheTable) {
  const auto bytes = [](std::size_t size) { return Writer().bytes(Bytes(size)).take(); };
  for (const auto* key : {"public_key", "user_data", "nonce"}) {
    EXPECT_THAT(parse_document(Payload().set(key, bytes(0)).encode()), IsOk());
    EXPECT_THAT(parse_document(Payload().set(key, bytes(1024)).encode()), IsOk());
    EXPECT_TRUE(refused(Payload().set(key, bytes(1025)), ErrorCode::kLimit, std::string(key) + ": 1025 bytes, want at most 1024"));
    EXPECT_TRUE(refused(Payload().set(key, Writer().text("x").take()), ErrorCode::kMalformed, std::string(key) + ": offset"));
  }
  EXPECT_TRUE(refused(Payload().set("certificate", bytes(0)), ErrorCode::kMalformed, "certificate: empty"));
  EXPECT_TRUE(refused(Payload().set("certificate", bytes(1025)), ErrorCode::kLimit, "certificate: 1025 bytes"));
  EXPECT_TRUE(refused(Payload().set("cabundle", Writer().array(0).take()), ErrorCode::kMalformed, "cabundle: empty"));
  EXPECT_TRUE(refused(Payload().set("cabundle", Writer().array(1).bytes({}).take()), ErrorCode::kMalformed, "cabundle[0]: empty"));
  EXPECT_TRUE(refused(Payload().set("cabundle", Writer().array(1).bytes(Bytes(1025)).take()), ErrorCode::kLimit, "cabundle[0]: 1025"));
  EXPECT_TRUE(refused(Payload().set("cabundle", Writer().array(9).encoded(Bytes(9, 0x40)).take()), ErrorCode::kLimit, "9 certificates"));
  EXPECT_TRUE(refused(Payload().set("module_id", Writer().text("").take()), ErrorCode::kMalformed, "module_id: empty"));
  EXPECT_TRUE(refused(Payload().set("digest", Writer().text("SHA256").take()), ErrorCode::kUnsupported, "digest"));
  EXPECT_THAT(parse_document(Bytes(1 << 20)), IsError(ErrorCode::kLimit, HasSubstr("1048576")));
}

TEST(Document, DebugIsAboutTheFirstThreePcrs) {
  const auto with = [](std::initializer_list<std::pair<std::uint64_t, std::uint8_t>> values) {
    Writer writer;
    writer.map(values.size());
    for (const auto& [index, fill] : values) writer.unsigned_integer(index).bytes(Bytes(48, fill));
    return parse_document(Payload().set("pcrs", writer.take()).encode()).take().is_debug();
  };
  EXPECT_TRUE(with({{0, 0}, {1, 0}, {2, 0}, {3, 7}, {4, 7}}));
  EXPECT_TRUE(with({{4, 7}}));
  EXPECT_FALSE(with({{0, 0}, {1, 0}, {2, 1}}));
  EXPECT_FALSE(with({{0, 1}, {1, 0}, {2, 0}}));
}

}  // namespace
}  // namespace casemate::attestation
