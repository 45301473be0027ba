// SPDX-License-Identifier: Apache-2.0
// Rates of P-384 and of documents made and verified, each as a ratio to what the provider can do, and memory of one
// verification. One core; build with -DCMAKE_BUILD_TYPE=Release.
#include <fmt/core.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <vector>

#include "attestation/hierarchy.h"
#include "attestation/profile.h"
#include "attestation/verify.h"
#include "cose/sign1.h"
#include "crypto/rng.h"

namespace {

using namespace casemate;
using SteadyClock = std::chrono::steady_clock;

std::size_t g_live = 0;
std::size_t g_peak = 0;

// rate is the best of five rounds of about 0.3 s, in calls a second: the machine's other work only ever slows a round.
template <typename Work>
double rate(Work&& work) {
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    const auto begin = SteadyClock::now();
    std::size_t count = 0;
    std::chrono::duration<double> spent{};
    do {
      for (int i = 0; i < 8; ++i) work();
      count += 8;
      spent = SteadyClock::now() - begin;
    } while (spent.count() < 0.3);
    best = std::max(best, static_cast<double>(count) / spent.count());
  }
  return best;
}

void row(std::string_view name, double value, double base, std::string_view of) {
  if (base > 0) {
    fmt::print("{:<44} {:>9.0f} /s {:>9.1f} us  {:>5.3f} of {}\n", name, value, 1e6 / value, value / base, of);
  } else {
    fmt::print("{:<44} {:>9.0f} /s {:>9.1f} us\n", name, value, 1e6 / value);
  }
}

}  // namespace

void* operator new(std::size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  g_live += malloc_usable_size(memory);
  g_peak = std::max(g_peak, g_live);
  return memory;
}
void operator delete(void* memory) noexcept {
  if (memory != nullptr) g_live -= malloc_usable_size(memory);
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

int main() {
  crypto::SystemRng rng;
  const WallTime now = SystemClock().now();
  const auto key = crypto::EcPrivateKey::generate(crypto::Curve::kP384, rng);
  const crypto::Sha384 digest = crypto::sha384(as_bytes("casemate"));
  const Bytes signature = key.sign(digest, rng);
  const crypto::EcPublicKey& public_key = key.public_key();

  const double raw_sign = rate([&] { key.sign(digest, rng); });
  const double raw_verify = rate([&] { CASEMATE_CHECK(public_key.verify(digest, signature)); });
  const double openssl_sign = rate([&] { crypto::reference::sign(key, digest); });
  const double openssl_verify = rate([&] { CASEMATE_CHECK(crypto::reference::verify(public_key, digest, signature)); });

  const auto hierarchy = attestation::Hierarchy::create({}, now, rng);
  const auto module_id = attestation::make_module_id("i-0123456789abcdef0", now, rng);
  const auto signer = hierarchy.issue_leaf(module_id, now, rng).take();
  const Bytes spki(294, 1);
  const Bytes nonce(32, 2);
  attestation::Statement statement{module_id, now, {}, spki, {}, nonce};
  for (attestation::PcrIndex i = 0; i < 16; ++i) statement.pcrs.push_back({i, Bytes(48, static_cast<std::uint8_t>(i + 1))});
  attestation::TrustAnchors anchors;
  CASEMATE_CHECK(anchors.add_pem("local", hierarchy.root_pem()).ok());
  const Bytes document = attestation::create(statement, signer, rng);
  const auto policy = attestation::Policy::at_time(now);

  const double create = rate([&] { attestation::create(statement, signer, rng); });
  const double cold = rate([&] { CASEMATE_CHECK(attestation::verify(document, anchors, policy).ok()); });
  attestation::ChainCache cache;
  const double warm = rate([&] { CASEMATE_CHECK(attestation::verify(document, anchors, policy, &cache).ok()); });

  fmt::print("P-384, one core\n");
  row("  sign, provider (nettle)", raw_sign, 0, "");
  row("  verify, provider (nettle)", raw_verify, 0, "");
  row("  sign, OpenSSL", openssl_sign, raw_sign, "provider");
  row("  verify, OpenSSL", openssl_verify, raw_verify, "provider");
  fmt::print("documents of {} bytes, 5 certificates\n", document.size());
  row("  create                       (goal 0.90)", create, raw_sign, "raw sign");
  row("  verify, warm chain           (goal 0.90)", warm, raw_verify, "raw verify");
  row("  verify, cold chain           (goal 0.90)", cold, raw_verify / 5, "a fifth of raw verify");

  fmt::print("stages\n");
  const auto message = cose::parse_sign1(document).take();
  const Bytes payload = to_bytes(message.payload);
  row("  parse COSE_Sign1", rate([&] { CASEMATE_CHECK(cose::parse_sign1(document).ok()); }), 0, "");
  row("  parse document", rate([&] { CASEMATE_CHECK(attestation::parse_document(payload).ok()); }), 0, "");
  row("  encode document", rate([&] { attestation::encode_document(statement, signer.certificate, signer.cabundle); }), 0, "");
  row("  hash Sig_structure", rate([&] { cose::signed_digest(message.algorithm, message.protected_header, message.payload); }), 0, "");
  row("  parse certificate and check profile",
      rate([&] { CASEMATE_CHECK(attestation::check_profile(x509::parse_certificate(signer.certificate).take(), attestation::Role::kLeaf, 0).ok()); }), 0, "");
  row("  issue leaf", rate([&] { CASEMATE_CHECK(hierarchy.issue_leaf(module_id, now, rng).ok()); }), 0, "");

  const std::size_t before = g_live;
  g_peak = g_live;
  CASEMATE_CHECK(attestation::verify(document, anchors, policy).ok());
  fmt::print("memory of one cold verification: {:.1f} KiB of heap above baseline (goal 256)\n", static_cast<double>(g_peak - before) / 1024);
  return 0;
}
