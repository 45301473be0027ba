// SPDX-License-Identifier: Apache-2.0
// A parsed message has the sizes that it promises, lies within the input, and verifies under no key that did not sign it.
#include "base/encoding.h"
#include "cose/sign1.h"

using namespace casemate;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto key = crypto::EcPrivateKey::from_scalar(crypto::Curve::kP384, Secret(Bytes(48, 0x11))).take();
  const ByteView input(data, size);
  const auto message = cose::parse_sign1(input);
  if (!message.ok()) {
    CASEMATE_CHECK(!message.error().message().empty());
    return 0;
  }
  const auto within = [&](ByteView part) { return part.data() >= input.data() && part.data() + part.size() <= input.data() + input.size(); };
  CASEMATE_CHECK(within(message->payload) && within(message->protected_header) && within(message->signature));
  CASEMATE_CHECK(!message->payload.empty() && message->payload.size() <= cose::Limits().payload_bytes);
  CASEMATE_CHECK(message->signature.size() == 2 * crypto::field_size(cose::curve_of(message->algorithm)));
  CASEMATE_CHECK(!cose::verify_signature(*message, key.public_key()).ok());
  return 0;
}
