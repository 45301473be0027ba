// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include "attestation/hierarchy.h"
#include "attestation/verify.h"
#include "base/encoding.h"
#include "base/test_matchers.h"
#include "crypto/rng.h"
#include "nsm/device.h"

namespace casemate::nsm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

Bytes hex(std::string_view text) { return decode_hex(text).take(); }

// Requests as AWS's NSM API encodes them.
TEST(NsmRequest, HasTheBytesOfTheNsmApi) {
  const std::pair<Request, std::string> cases[] = {
      {DescribePcrRequest{0}, "a16b4465736372696265504352a165696e64657800"},
      {DescribePcrRequest{31}, "a16b4465736372696265504352a165696e646578181f"},
      {DescribePcrRequest{256}, "a16b4465736372696265504352a165696e646578190100"},
      {ExtendPcrRequest{16, {1, 2, 3}}, "a169457874656e64504352a265696e64657810646461746143010203"},
      {LockPcrRequest{16}, "a1674c6f636b504352a165696e64657810"},
      {LockPcrsRequest{32}, "a1684c6f636b50435273a16572616e67651820"},
      {DescribeNsmRequest{}, "6b44657363726962654e534d"},
      {GetRandomRequest{}, "6947657452616e646f6d"},
      {AttestationRequest{}, "a16b4174746573746174696f6ea369757365725f64617461f6656e6f6e6365f66a7075626c69635f6b6579f6"},
  };
  for (const auto& [request, bytes] : cases) {
    EXPECT_EQ(encode_hex(encode_request(request)), bytes);
    const auto parsed = parse_request(hex(bytes));
    ASSERT_THAT(parsed, IsOk());
    EXPECT_EQ(parsed->index(), request.index());
    EXPECT_EQ(encode_hex(encode_request(*parsed)), bytes);
  }
}

TEST(NsmResponse, HasTheBytesOfTheNsmApi) {
  EXPECT_EQ(encode_hex(encode_response(ErrorResponse{ErrorCode::kInvalidIndex})), "a1654572726f726c496e76616c6964496e646578");
  EXPECT_EQ(encode_hex(encode_response(LockPcrResponse{})), "674c6f636b504352");
  EXPECT_EQ(encode_hex(encode_response(LockPcrsResponse{})), "684c6f636b50435273");
  EXPECT_EQ(encode_hex(encode_response(DescribePcrResponse{true, Bytes(48)})),
            "a16b4465736372696265504352a2646c6f636bf564646174615830" + std::string(96, '0'));
  EXPECT_EQ(encode_hex(encode_response(ExtendPcrResponse{Bytes(48)})), "a169457874656e64504352a164646174615830" + std::string(96, '0'));
  // The kernel's random source wants exactly this beginning.
  EXPECT_EQ(encode_hex(encode_response(GetRandomResponse{Bytes(256)})).substr(0, 46), "a16947657452616e646f6da16672616e646f6d59010000");
}

TEST(NsmResponse, SurvivesTheWay) {
  DescribeNsmResponse description;
  description.module_id = "i-0123456789abcdef0-enc0123456789abcdef";
  description.locked_pcrs = {0, 1, 31};
  const Response responses[] = {DescribePcrResponse{true, Bytes(48, 1)}, ExtendPcrResponse{Bytes(48, 2)}, LockPcrResponse{}, LockPcrsResponse{},
                                description, AttestationResponse{Bytes(5000, 3)}, GetRandomResponse{Bytes(256, 4)},
                                ErrorResponse{ErrorCode::kInputTooLarge}};
  for (const Response& response : responses) {
    const Bytes bytes = encode_response(response);
    const auto parsed = parse_response(bytes);
    ASSERT_THAT(parsed, IsOk());
    EXPECT_EQ(encode_response(*parsed), bytes);
  }
}

TEST(NsmResponse, OrderOfKeysDoesNotMatter) {
  // As another device writes it: digest first, versions last.
  const Bytes bytes = hex("a16b44657363726962654e534da766646967657374665348413338346" "86d61785f70637273182069" "6d6f64756c655f69646161" "6b6c6f636b65645f706372738100"
                          "6d76657273696f6e5f6d616a6f7201" "6d76657273696f6e5f6d696e6f7200" "6d76657273696f6e5f706174636800");
  const auto parsed = parse_response(bytes);
  ASSERT_THAT(parsed, IsOk());
  EXPECT_EQ(std::get<DescribeNsmResponse>(*parsed).max_pcrs, 32);
}

TEST(NsmResponse, IntegersMayBeLongerThanNeeded) {
  const auto parsed = parse_response(hex("a16947657452616e646f6da16672616e646f6d5a0000000101"));
  ASSERT_THAT(parsed, IsOk());
  EXPECT_EQ(std::get<GetRandomResponse>(*parsed).random, Bytes{1});
}

TEST(NsmResponse, RejectsWhatIsNotOne) {
  for (const auto* bytes : {"", "f6", "60", "a0", "6947657452616e646f6d", "a16947657452616e646f6df6", "a16947657452616e646f6da0",
                            "a1654572726f726161", "674c6f636b50435200", "a1654572726f726c496e76616c6964496e64657800",
                            "a26947657452616e646f6da16672616e646f6d40654572726f726c496e76616c6964496e646578"}) {
    EXPECT_FALSE(parse_response(hex(bytes)).ok()) << bytes;
  }
}

TEST(PcrBank, ExtendsAsTheReferenceVector) {
  EXPECT_EQ(encode_hex(extend_pcr({}, hex("010203"))),
            "cb178fcd3f328244c05c6248723fd068b3a1dda878e1ab8be911098f199958add55d0c27f04826d27b44d949a650694e");
}

// Both outputs are printed in AWS's user guide.
TEST(PcrBank, MeasuresRoleAndInstanceAsTheUserGuide) {
  EXPECT_EQ(encode_hex(pcr_of_text("arn:aws:iam::123456789012:role/Webserver")),
            "78fce75db17cd4e0a3fb8dad3ad128ca5e77edbb2b2c7f75329dccd99aa5f6ef4fc1f1a452e315b9e98f9e312e6921e6");
  EXPECT_EQ(encode_hex(pcr_of_text("i-1234567890abcdef0")),
            "08f996b5d43e047a9eb51e7f548bfee7e164fd7dc8f65541f2ac09d6545ac812719327281c401a67a10fcba87ae79ce0");
}

class NsmDevice : public testing::Test {
 protected:
  NsmDevice() : hierarchy_(attestation::Hierarchy::create({}, clock_.now(), rng_)) {
    Device::Parts parts;
    parts.module_id = attestation::make_module_id("i-0123456789abcdef0", clock_.now(), rng_);
    PcrValue image;
    image.fill(0xaa);
    for (const std::uint16_t index : {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{2}}) parts.pcrs.set(index, image);
    parts.signers = std::make_unique<attestation::LeafIssuer>(attestation::fixed_issuer(hierarchy_, parts.module_id, rng_));
    parts.clock = &clock_;
    parts.rng = &rng_;
    device_ = std::make_unique<Device>(std::move(parts));
  }

  Response ask(const Request& request) { return parse_response(device_->handle(encode_request(request))).take(); }
  ErrorCode error_of(const Request& request) {
    const Response response = ask(request);
    const auto* error = std::get_if<ErrorResponse>(&response);
    return error != nullptr ? error->code : ErrorCode::kSuccess;
  }
  std::string raw(std::string_view request) { return encode_hex(device_->handle(hex(request))); }

  static std::string error_bytes(ErrorCode code) { return encode_hex(encode_response(ErrorResponse{code})); }

  FixedClock clock_{WallTime(std::chrono::milliseconds(1765000000123))};
  crypto::SystemRng rng_;
  attestation::Hierarchy hierarchy_;
  std::unique_ptr<Device> device_;
};

TEST_F(NsmDevice, DescribesItself) {
  const auto description = std::get<DescribeNsmResponse>(ask(DescribeNsmRequest{}));
  EXPECT_EQ(description.module_id, device_->module_id());
  EXPECT_EQ(description.max_pcrs, 32);
  EXPECT_THAT(description.locked_pcrs, SizeIs(16));
  EXPECT_EQ(description.digest, "SHA384");
}

// What nsm-check asserts on real hardware.
TEST_F(NsmDevice, KeepsTheRulesOfTheRegisters) {
  EXPECT_TRUE(std::get<DescribePcrResponse>(ask(DescribePcrRequest{0})).lock);
  EXPECT_EQ(std::get<DescribePcrResponse>(ask(DescribePcrRequest{0})).data, Bytes(48, 0xaa));
  EXPECT_FALSE(std::get<DescribePcrResponse>(ask(DescribePcrRequest{16})).lock);
  EXPECT_EQ(error_of(DescribePcrRequest{32}), ErrorCode::kInvalidIndex);
  EXPECT_EQ(error_of(DescribePcrRequest{65535}), ErrorCode::kInvalidIndex);
  EXPECT_EQ(error_of(ExtendPcrRequest{32, {1}}), ErrorCode::kInvalidIndex);
  EXPECT_EQ(error_of(ExtendPcrRequest{15, {1}}), ErrorCode::kReadOnlyIndex);
  EXPECT_EQ(error_of(LockPcrRequest{15}), ErrorCode::kReadOnlyIndex);
  EXPECT_EQ(error_of(LockPcrRequest{32}), ErrorCode::kInvalidIndex);
  EXPECT_EQ(error_of(LockPcrsRequest{33}), ErrorCode::kInvalidIndex);
  EXPECT_EQ(encode_hex(std::get<ExtendPcrResponse>(ask(ExtendPcrRequest{16, {1, 2, 3}})).data).substr(0, 8), "cb178fcd");
  EXPECT_EQ(error_of(ExtendPcrRequest{16, {}}), ErrorCode::kSuccess);
  EXPECT_EQ(error_of(ExtendPcrRequest{16, Bytes(4000)}), ErrorCode::kSuccess);
  EXPECT_EQ(error_of(LockPcrRequest{16}), ErrorCode::kSuccess);
  EXPECT_EQ(error_of(LockPcrRequest{16}), ErrorCode::kReadOnlyIndex);
  EXPECT_EQ(error_of(ExtendPcrRequest{16, {1}}), ErrorCode::kReadOnlyIndex);
  EXPECT_EQ(error_of(LockPcrsRequest{0}), ErrorCode::kSuccess);
  EXPECT_EQ(error_of(LockPcrsRequest{32}), ErrorCode::kSuccess);
  EXPECT_EQ(error_of(LockPcrsRequest{32}), ErrorCode::kSuccess);
  EXPECT_EQ(error_of(ExtendPcrRequest{31, {1}}), ErrorCode::kReadOnlyIndex);
}

TEST_F(NsmDevice, GivesFreshRandomBytes) {
  const Bytes first = std::get<GetRandomResponse>(ask(GetRandomRequest{})).random;
  const Bytes second = std::get<GetRandomResponse>(ask(GetRandomRequest{})).random;
  EXPECT_THAT(first, SizeIs(256));
  EXPECT_NE(first, second);
}

TEST_F(NsmDevice, AttestsInEveryShapeOfTheOptionals) {
  attestation::TrustAnchors anchors;
  ASSERT_THAT(anchors.add_pem("local", hierarchy_.root_pem()), IsOk());
  const AttestationRequest requests[] = {{}, {Bytes{}, Bytes{}, Bytes{}}, {Bytes(1024, 1), Bytes(1024, 2), Bytes(1024, 3)}, {Bytes(64), {}, {}}};
  for (const AttestationRequest& request : requests) {
    const Bytes document = std::get<AttestationResponse>(ask(request)).document;
    EXPECT_EQ(encode_hex(ByteView(document).first(8)), "8444a1013822a059");
    const auto verified = attestation::verify(document, anchors, attestation::Policy::at_time(clock_.now()));
    ASSERT_THAT(verified, IsOk());
    EXPECT_EQ(verified->document().user_data, request.user_data);
    EXPECT_EQ(verified->document().nonce, request.nonce);
    EXPECT_EQ(verified->document().public_key, request.public_key);
    EXPECT_EQ(verified->document().module_id, device_->module_id());
    EXPECT_EQ(verified->document().timestamp, clock_.now());
    EXPECT_THAT(verified->document().pcrs, SizeIs(16));
    EXPECT_EQ(verified->anchor(), "local");
  }
}

TEST_F(NsmDevice, ListsARegisterOnceItIsLocked) {
  ask(ExtendPcrRequest{20, {1}});
  ask(LockPcrRequest{20});
  attestation::TrustAnchors anchors;
  ASSERT_THAT(anchors.add_pem("local", hierarchy_.root_pem()), IsOk());
  const Bytes document = std::get<AttestationResponse>(ask(AttestationRequest{})).document;
  const auto verified = attestation::verify(document, anchors, attestation::Policy::at_time(clock_.now())).take();
  ASSERT_THAT(verified.document().pcrs, SizeIs(17));
  EXPECT_EQ(verified.document().pcrs.back().index, 20);
}

TEST_F(NsmDevice, ReusesALeafAndThenIssuesAnother) {
  const auto leaf = [this] {
    attestation::TrustAnchors anchors;
    EXPECT_THAT(anchors.add_pem("local", hierarchy_.root_pem()), IsOk());
    return attestation::verify(std::get<AttestationResponse>(ask(AttestationRequest{})).document, anchors, attestation::Policy::at_time(clock_.now()))
        .take()
        .document()
        .certificate;
  };
  const Bytes first = leaf();
  clock_.advance(std::chrono::hours(2));
  EXPECT_EQ(leaf(), first);
  clock_.advance(std::chrono::minutes(30));
  EXPECT_NE(leaf(), first);
}

TEST_F(NsmDevice, IsTolerantAsRealOnesAre) {
  const std::string extended = "a169457874656e64504352a164646174615830";
  // Keys turned round; text for bytes; an unknown key; maps of indefinite length.
  EXPECT_THAT(raw("a169457874656e64504352a2646461746143010203" "65696e64657810"), HasSubstr(extended));
  EXPECT_THAT(raw("a169457874656e64504352a265696e64657811646461746163616263"), HasSubstr(extended));
  EXPECT_THAT(raw("a169457874656e64504352a365696e6465781264646174614101" "6178f6"), HasSubstr(extended));
  EXPECT_THAT(raw("bf69457874656e64504352bf65696e6465781364646174614101ffff"), HasSubstr(extended));
  // An index in three, five and nine bytes; data whose length takes two bytes more than needed; a name with a long head.
  EXPECT_THAT(raw("a169457874656e64504352a265696e64657819001464646174614101"), HasSubstr(extended));
  EXPECT_THAT(raw("a169457874656e64504352a265696e6465781a0000001564646174614101"), HasSubstr(extended));
  EXPECT_THAT(raw("a169457874656e64504352a265696e6465781b0000000000000016646461746159000101"), HasSubstr(extended));
  EXPECT_THAT(raw("a1780b4465736372696265504352b801780565696e64657800"), error_bytes(ErrorCode::kInvalidOperation));
  EXPECT_THAT(raw("a1780b4465736372696265504352b8017805696e6465781800"), HasSubstr("646c6f636bf5"));
  // An attestation request without its optional keys, and with texts.
  EXPECT_THAT(raw("a16b4174746573746174696f6ea0"), HasSubstr("68646f63756d656e74"));
  EXPECT_THAT(raw("a16b4174746573746174696f6ea1656e6f6e6365626869"), HasSubstr("656e6f6e6365426869"));
}

TEST_F(NsmDevice, AnswersEveryMisuseWithItsCode) {
  const std::string invalid = error_bytes(ErrorCode::kInvalidOperation);
  for (const auto* request : {"", "00", "ff", "60", "a0", "80", "6161", "a16161a0", "f6", "6b44657363726962654e534d00",
                              // A map where a string is due, and a string where a map is.
                              "a16b44657363726962654e534da0", "6b4465736372696265504352",
                              // A missing index, one that is text, one beyond 16 bits, one that is negative.
                              "a16b4465736372696265504352a0", "a16b4465736372696265504352a165696e6465786130",
                              "a16b4465736372696265504352a165696e6465781a00010000", "a16b4465736372696265504352a165696e64657820",
                              // Twice the same key; two requests in one.
                              "a16b4465736372696265504352a265696e6465780065696e64657801",
                              "a16b4465736372696265504352a265696e646578007805696e64657801",
                              "a2674c6f636b504352a165696e64657810684c6f636b50435273a16572616e67651820",
                              "a16b4174746573746174696f6ef6", "a16b4174746573746174696f6ea1656e6f6e636500"}) {
    EXPECT_EQ(raw(request), invalid) << request;
  }
  EXPECT_EQ(encode_hex(device_->handle(Bytes(0x1001))), error_bytes(ErrorCode::kInputTooLarge));
  EXPECT_EQ(encode_hex(device_->handle(Bytes(0x1000))), invalid);
}

TEST_F(NsmDevice, AnswersTheLargestRequestWithinTheLimit) {
  AttestationRequest request;
  request.user_data = Bytes(0x1000 - 200, 7);
  const Bytes encoded = encode_request(request);
  ASSERT_LE(encoded.size(), kMaxRequestBytes);
  EXPECT_LE(device_->handle(encoded).size(), kMaxResponseBytes);
}

TEST_F(NsmDevice, ServesConcurrentCallers) {
  std::vector<std::thread> threads;
  for (std::uint16_t t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 50; ++i) {
        ask(ExtendPcrRequest{static_cast<std::uint16_t>(16 + t), {1}});
        ask(AttestationRequest{});
        ask(DescribeNsmRequest{});
      }
    });
  }
  for (auto& thread : threads) thread.join();
  PcrValue expected{};
  for (int i = 0; i < 50; ++i) expected = extend_pcr(expected, hex("01"));
  for (std::uint16_t t = 0; t < 4; ++t) {
    EXPECT_EQ(std::get<DescribePcrResponse>(ask(DescribePcrRequest{static_cast<std::uint16_t>(16 + t)})).data, to_bytes(expected));
  }
}

}  // namespace
}  // namespace casemate::nsm
