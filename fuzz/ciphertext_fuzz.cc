// SPDX-License-Identifier: Apache-2.0
// Ciphertext blobs: raw input, and edits of a genuine blob. Only the genuine one opens.
#include "crypto/rng.h"
#include "fuzz/edits.h"
#include "kms/ciphertext.h"

using namespace casemate;
using namespace casemate::kms;

namespace {

const Secret& key() {
  static const Secret value = Secret::copy_of(Bytes(32, 1));
  return value;
}

void check(ByteView input, ByteView genuine) {
  const auto blob = parse_ciphertext(input);
  if (!blob.ok()) return;
  CASEMATE_CHECK(blob->header.size() + 4 < input.size());
  const auto opened = open_ciphertext(key(), *blob, {{"k", "v"}});
  CASEMATE_CHECK(opened.ok() == equal(input, genuine));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Bytes genuine = [] {
    crypto::SystemRng rng;
    return seal_ciphertext(key(), MaterialId{1}, {{"k", "v"}}, Secret::copy_of(Bytes(100, 2)), rng);
  }();
  const ByteView input(data, size);
  check(input, genuine);
  check(fuzz::apply_edits(genuine, input), genuine);
  return 0;
}
