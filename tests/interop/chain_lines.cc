// SPDX-License-Identifier: Apache-2.0
// Reads one question a line, `UNIX-TIME ROOT-DER-HEX DOCUMENT-HEX`, and says `yes` or `no` to whether the document's
// certificate chain holds under that root at that time, whatever its signature. The report, the plain verifier and one
// with a chain cache of the whole run must agree.
#include <iostream>
#include <sstream>

#include "attestation/verify.h"
#include "base/encoding.h"
#include "x509/certificate.h"

namespace {

using namespace casemate;
using namespace casemate::attestation;

// held: the chain comes before the document's own signature, so what fails there or later had a chain that held.
bool held(const Result<VerifiedDocument>& verified) { return verified.ok() || verified.error().message().starts_with("signature: COSE_Sign1: signature does not verify"); }

Result<bool> judge(const std::string& line, ChainCache& cache) {
  std::istringstream words(line);
  std::int64_t at = 0;
  std::string root;
  std::string document;
  if (!(words >> at >> root >> document)) return malformed("want TIME ROOT DOCUMENT");
  TrustAnchors anchors;
  TRY(anchors.add_pem("asked", x509::certificate_pem(TRY(decode_hex(root)))));
  Policy policy = Policy::at_time(WallTime(std::chrono::seconds(at)));
  policy.allow_debug = AllowDebug::kYes;
  policy.max_ahead = std::chrono::hours(24 * 365 * 100);
  const Bytes input = TRY(decode_hex(document));
  bool listed = false;
  bool all = true;
  for (const Check& check : examine(input, anchors, policy).checks) {
    if (!check.name.starts_with("certificate") && !check.name.starts_with("cabundle")) continue;
    listed = true;
    all = all && check.verdict == Check::Verdict::kPass;
  }
  const bool verdict = listed && all;
  if (held(verify(input, anchors, policy)) != verdict) return internal("the plain verifier differs from the report");
  if (held(verify(input, anchors, policy, &cache)) != verdict) return internal("the verifier with a cache differs from the report");
  return verdict;
}

}  // namespace

int main() {
  ChainCache cache;
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto verdict = judge(line, cache);
    std::cout << (!verdict.ok() ? verdict.error().message() : *verdict ? "yes" : "no") << '\n';
  }
}
