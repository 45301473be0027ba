// SPDX-License-Identifier: Apache-2.0
// More than a day of calls in fast-forward: an enclave's KMS client, its module, the instance's metadata and KMS share one
// clock that moves on between calls. Role sessions, leaf certificates, the hierarchy above them and the recipient's key are
// all renewed on the way, and no call fails.
#include <gmock/gmock.h>

#include "base/test_matchers.h"
#include "tests/channel/stack.h"

namespace casemate::channel {
namespace {

TEST(Day, PassesWithoutAFailedCall) {
  FixedClock clock{WallTime{1'800'000'000s}};
  Stack stack(clock);

  // What KMS sees of the enclave.
  std::set<Bytes> leaves;
  std::set<Bytes> instances;
  std::set<Bytes> keys;
  const auto look_at = [&](const http::Request& request) {
    const auto body = json::parse(request.body);
    const json::Value* recipient = body ? body->find("Recipient") : nullptr;
    if (recipient == nullptr) return;
    const Bytes encoded = decode_base64(*recipient->string_at("AttestationDocument")).value();
    const auto sign1 = cose::parse_sign1(encoded);
    const auto document = attestation::parse_document(sign1.value().payload);
    leaves.insert(document.value().certificate);
    instances.insert(document.value().cabundle.back());
    keys.insert(*document.value().public_key);
  };
  Wire metadata([&](const http::Request& request) { return stack.metadata->handle(request); });
  Wire wire([&](const http::Request& request) {
    look_at(request);
    return stack.service->handle(request);
  });

  const std::string key = create_key(*stack.service, clock);
  auto options = stack.client_options(wire);
  const auto sealed = kms::Client::create(options).take().encrypt({key, Secret::copy_of(as_bytes(std::string_view("value"))), {}});
  ASSERT_THAT(sealed, IsOk());

  options.credentials = stack.role_credentials(metadata);
  kms::Recipient::Options recipient;
  recipient.renew_after = 8h;
  recipient.now = stack.now();
  options.recipient = kms::Recipient::create(nsm::Client([&](ByteView request) -> Result<Bytes> { return stack.device->handle(request); }), recipient).take();
  const auto enclave = kms::Client::create(options).take();
  for (std::chrono::minutes passed = 0min; passed <= 26h; passed += 6min) {
    const auto opened = enclave.decrypt({sealed->ciphertext, {}, {}, {}});
    ASSERT_THAT(opened, IsOk()) << passed.count() << " minutes on";
    EXPECT_EQ(as_text(opened->plaintext.expose()), "value");
    clock.advance(6min);
  }
  EXPECT_GE(stack.callers.issued(), 24U);
  EXPECT_GE(leaves.size(), 8U);
  EXPECT_GE(instances.size(), 2U);
  EXPECT_GE(keys.size(), 3U);
}

}  // namespace
}  // namespace casemate::channel
