// SPDX-License-Identifier: Apache-2.0
// Recipient envelopes: raw input, and edits of a genuine envelope. Every refusal is the same; what opens is no longer
// than what was read.
#include "crypto/cms.h"
#include "crypto/rng.h"
#include "fuzz/edits.h"

using namespace casemate;
using namespace casemate::crypto;

namespace {

const RsaPrivateKey& key() {
  static const RsaPrivateKey value = RsaPrivateKey::generate(2048).take();
  return value;
}

void check(ByteView input) {
  SystemRng rng;
  const auto opened = open_enveloped_data(input, key(), rng);
  if (opened.ok()) {
    CASEMATE_CHECK(opened->size() < input.size());
  } else {
    CASEMATE_CHECK(opened.error().code() == ErrorCode::kUntrusted);
    CASEMATE_CHECK(opened.error().message() == "enveloped data: not for this key, or damaged");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Bytes genuine = [] {
    SystemRng rng;
    return encode_enveloped_data(key().public_key(), Secret::copy_of(Bytes(100, 2)), rng).take();
  }();
  const ByteView input(data, size);
  check(input);
  check(fuzz::apply_edits(genuine, input));
  if (const auto spki = RsaPublicKey::parse_spki(input); spki.ok()) CASEMATE_CHECK(spki->bits() >= 2048);
  return 0;
}
