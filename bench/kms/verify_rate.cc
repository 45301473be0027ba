// SPDX-License-Identifier: Apache-2.0
// Prints how many P-384 signatures a second the provider verifies on one core: what an attested call is measured by.
//
// usage: kms_verify_rate SECONDS
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "crypto/digest.h"
#include "crypto/ecdsa.h"
#include "crypto/rng.h"

int main(int argc, char** argv) {
  using namespace casemate;
  if (argc != 2) {
    std::fprintf(stderr, "usage: kms_verify_rate SECONDS\n");
    return 2;
  }
  crypto::SystemRng rng;
  const auto key = crypto::EcPrivateKey::generate(crypto::Curve::kP384, rng);
  const crypto::Sha384 digest = crypto::sha384(as_bytes("casemate"));
  const Bytes signature = key.sign(digest, rng);
  const std::chrono::duration<double> wanted(std::atof(argv[1]));
  const auto begun = std::chrono::steady_clock::now();
  std::chrono::duration<double> spent{};
  std::size_t count = 0;
  while ((spent = std::chrono::steady_clock::now() - begun) < wanted) {
    CASEMATE_CHECK(key.public_key().verify(digest, signature));
    ++count;
  }
  std::printf("%.0f\n", static_cast<double>(count) / spent.count());
  return 0;
}
