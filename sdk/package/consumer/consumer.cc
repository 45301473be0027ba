// SPDX-License-Identifier: Apache-2.0
// What a user of the installed SDK writes: every header, and a call into each part of the library.
#include <casemate/attestation.h>
#include <casemate/credentials.h>
#include <casemate/encoding.h>
#include <casemate/kms.h>
#include <casemate/message.h>
#include <casemate/nsm.h>
#include <casemate/parent.h>
#include <casemate/result.h>
#include <casemate/vsock.h>

#include <cstdio>

int main() {
  using namespace casemate;
  const auto verifier = attestation::Verifier::create();
  if (!verifier) return std::puts(verifier.error().message().c_str()), 1;
  const auto claims = verifier->verify(Bytes{0x84}, {});
  if (claims) return 1;
  std::puts(claims.error().message().c_str());
  const auto module = nsm::Client::open();
  if (!module) std::puts(module.error().message().c_str());
  const auto host = kms::endpoint_host("us-east-1");
  if (!host || *host != "kms.us-east-1.amazonaws.com") return 1;
  if (message::encode({{"k", "v"}}) != "{\"k\": \"v\"}") return 1;
  if (encode_base64(Bytes{1, 2, 3}) != "AQID") return 1;
  const auto options = parent::kms_options("us-east-1");
  if (!options) return std::puts(options.error().message().c_str()), 1;
  return 0;
}
