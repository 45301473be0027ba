// SPDX-License-Identifier: Apache-2.0
// Rates of P-384 and of documents made and verified, each as a ratio to what the provider can do, and memory of one
// verification. One thread, in its own CPU time, so that other work on the machine takes no part; all contenders run in
// turn in every round, and a ratio is the median over the rounds. Build with -DCMAKE_BUILD_TYPE=Release.
#include <fmt/core.h>
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <vector>

#include "attestation/hierarchy.h"
#include "attestation/profile.h"
#include "attestation/verify.h"
#include "cose/sign1.h"
#include "crypto/rng.h"

namespace {

using namespace casemate;
std::size_t g_live = 0;
std::size_t g_peak = 0;

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct Contender {
  std::string_view name;
  std::function<void()> work;
  std::vector<double> rates = {};  // calls a second, one a round
};

void measure(std::vector<Contender>& contenders) {
  constexpr int kRounds = 151;
  constexpr double kSlice = 0.005;
  for (int round = 0; round < kRounds; ++round) {
    for (Contender& contender : contenders) {
      const double begin = cpu_seconds();
      double spent = 0;
      std::size_t count = 0;
      do {
        contender.work();
        ++count;
        spent = cpu_seconds() - begin;
      } while (spent < kSlice);
      contender.rates.push_back(static_cast<double>(count) / spent);
    }
  }
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// row prints a rate and, if there is a base, the median of the rounds' ratios to `share` of it.
void row(const Contender& contender, const Contender* base = nullptr, double share = 1, std::string_view of = "") {
  const double rate = median(contender.rates);
  if (base == nullptr) {
    fmt::print("{:<44} {:>9.0f} /s {:>9.1f} us\n", contender.name, rate, 1e6 / rate);
    return;
  }
  std::vector<double> ratios;
  for (std::size_t i = 0; i < contender.rates.size(); ++i) ratios.push_back(contender.rates[i] / (base->rates[i] * share));
  fmt::print("{:<44} {:>9.0f} /s {:>9.1f} us  {:>5.3f} of {}\n", contender.name, rate, 1e6 / rate, median(ratios), of);
}

}  // namespace

// Not inlined: gcc 12 would see malloc's result given to delete, and warn.
[[gnu::noinline]] void* operator new(std::size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  g_live += malloc_usable_size(memory);
  g_peak = std::max(g_peak, g_live);
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
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

  attestation::ChainCache cache;
  const auto message = cose::parse_sign1(document).take();
  const Bytes payload = to_bytes(message.payload);

  std::vector<Contender> contenders = {
      {"  sign, provider (nettle)", [&] { key.sign(digest, rng); }},
      {"  verify, provider (nettle)", [&] { CASEMATE_CHECK(public_key.verify(digest, signature)); }},
      {"  sign, OpenSSL", [&] { crypto::reference::sign(key, digest); }},
      {"  verify, OpenSSL", [&] { CASEMATE_CHECK(crypto::reference::verify(public_key, digest, signature)); }},
      {"  create                       (goal 0.90)", [&] { attestation::create(statement, signer, rng); }},
      {"  verify, warm chain           (goal 0.90)", [&] { CASEMATE_CHECK(attestation::verify(document, anchors, policy, &cache).ok()); }},
      {"  verify, cold chain           (goal 0.90)", [&] { CASEMATE_CHECK(attestation::verify(document, anchors, policy).ok()); }},
  };
  measure(contenders);
  const Contender& sign = contenders[0];
  const Contender& verify = contenders[1];
  fmt::print("P-384, one core\n");
  row(sign);
  row(verify);
  row(contenders[2], &sign, 1, "provider");
  row(contenders[3], &verify, 1, "provider");
  fmt::print("documents of {} bytes, 5 certificates\n", document.size());
  row(contenders[4], &sign, 1, "raw sign");
  row(contenders[5], &verify, 1, "raw verify");
  row(contenders[6], &verify, 0.2, "a fifth of raw verify");

  std::vector<Contender> stages = {
      {"  parse COSE_Sign1", [&] { CASEMATE_CHECK(cose::parse_sign1(document).ok()); }},
      {"  parse document", [&] { CASEMATE_CHECK(attestation::parse_document(payload).ok()); }},
      {"  hash Sig_structure", [&] { cose::signed_digest(message.algorithm, message.protected_header, message.payload); }},
      {"  hash certificates for the cache", [&] {
         crypto::Hasher hasher(crypto::Hash::kSha256);
         hasher.update(signer.certificate);
         for (const Bytes& authority : signer.cabundle) hasher.update(authority);
         hasher.finish();
       }},
      {"  parse certificate", [&] { CASEMATE_CHECK(x509::parse_certificate(signer.certificate).ok()); }},
      {"  parse certificate and check profile",
       [&] { CASEMATE_CHECK(attestation::check_profile(x509::parse_certificate(signer.certificate).take(), attestation::Role::kLeaf, 0).ok()); }},
      {"  encode document", [&] { attestation::encode_document(statement, signer.certificate, signer.cabundle); }},
      {"  issue leaf", [&] { CASEMATE_CHECK(hierarchy.issue_leaf(module_id, now, rng).ok()); }},
  };
  measure(stages);
  fmt::print("stages\n");
  for (const Contender& stage : stages) row(stage);

  const std::size_t before = g_live;
  g_peak = g_live;
  CASEMATE_CHECK(attestation::verify(document, anchors, policy).ok());
  fmt::print("memory of one cold verification: {:.1f} KiB of heap above baseline (goal 256)\n", static_cast<double>(g_peak - before) / 1024);
  return 0;
}
