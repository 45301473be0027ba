// SPDX-License-Identifier: Apache-2.0
#include "casemate/nsm.h"

#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/test_matchers.h"
#include "casemate/kms.h"
#include "nsm/message.h"

namespace casemate::nsm {
namespace {

using testing::HasSubstr;

Client answering(Response response, std::string* request = nullptr) {
  return Client([response = std::move(response), request](ByteView encoded) -> Result<Bytes> {
    if (request != nullptr) *request = encode_hex(encoded);
    return encode_response(response);
  });
}

TEST(NsmClient, SendsTheWireFormOfTheApi) {
  std::string request;
  EXPECT_THAT(answering(AttestationResponse{Bytes{1, 2}}, &request).attest(), IsOkAnd(Bytes{1, 2}));
  EXPECT_EQ(request, "a16b4174746573746174696f6ea369757365725f64617461f6656e6f6e6365f66a7075626c69635f6b6579f6");
  EXPECT_THAT(answering(LockPcrsResponse{}, &request).lock_pcrs(32), IsOk());
  EXPECT_EQ(request, "a1684c6f636b50435273a16572616e67651820");
}

TEST(NsmClient, ReadsEveryReply) {
  const auto description = answering(DescribeNsmResponse{1, 2, 3, "i-1-enc2", 32, {0, 1, 2}, "SHA384"}).describe();
  ASSERT_THAT(description, IsOk());
  EXPECT_EQ(description->module_id, "i-1-enc2");
  EXPECT_EQ(description->locked_pcrs.size(), 3u);
  const auto pcr = answering(DescribePcrResponse{true, Bytes(48, 7)}).describe_pcr(0);
  ASSERT_THAT(pcr, IsOk());
  EXPECT_TRUE(pcr->locked);
  EXPECT_EQ(pcr->value[47], 7);
  EXPECT_THAT(answering(ExtendPcrResponse{Bytes(48, 1)}).extend_pcr(16, Bytes{1}), IsOk());
  EXPECT_THAT(answering(LockPcrResponse{}).lock_pcr(16), IsOk());
  const auto random = answering(GetRandomResponse{Bytes(256, 9)}).random(300);
  ASSERT_THAT(random, IsOk());
  EXPECT_EQ(random->expose().back(), 9);
}

TEST(NsmClient, GivesTheModulesOwnErrorName) {
  EXPECT_THAT(answering(ErrorResponse{ErrorCode::kReadOnlyIndex}).extend_pcr(0, Bytes{1}),
              IsError(casemate::ErrorCode::kDenied, "nsm: ExtendPCR: ReadOnlyIndex"));
  EXPECT_THAT(answering(LockPcrResponse{}).attest(), IsError(casemate::ErrorCode::kMalformed, HasSubstr("another kind")));
  EXPECT_THAT(answering(DescribePcrResponse{true, Bytes(47)}).describe_pcr(0), IsError(casemate::ErrorCode::kMalformed, HasSubstr("47 bytes")));
  EXPECT_THAT(answering(GetRandomResponse{}).random(1), IsError(casemate::ErrorCode::kMalformed));
  EXPECT_THAT(answering(AttestationResponse{}).attest({Bytes(5000), {}, {}}), IsError(casemate::ErrorCode::kLimit, HasSubstr("at most 4096")));
  EXPECT_THAT(Client::open("/nonexistent"), IsError(casemate::ErrorCode::kNotFound, HasSubstr("runs in an enclave")));
  EXPECT_THAT(Client::open("/dev/null")->attest(), IsError(casemate::ErrorCode::kInternal, HasSubstr("/dev/nsm")));
}

TEST(Recipient, KeepsItsKeyUntilItIsTimeToRenew) {
  std::vector<Bytes> keys;
  const auto transport = [&](ByteView encoded) -> Result<Bytes> {
    const auto request = parse_request(encoded);
    keys.push_back(std::get<AttestationRequest>(*request).public_key.value());
    return encode_response(AttestationResponse{Bytes{1}});
  };
  const auto kept = kms::Recipient::create(Client(transport));
  ASSERT_THAT(kept, IsOk());
  ASSERT_THAT((*kept)->attest(), IsOk());
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0], keys[1]);

  const auto renewed = kms::Recipient::create(Client(transport), {std::chrono::seconds{0}});
  ASSERT_THAT((*renewed)->attest(), IsOk());
  ASSERT_EQ(keys.size(), 4u);
  EXPECT_NE(keys[2], keys[3]);
}

}  // namespace
}  // namespace casemate::nsm
