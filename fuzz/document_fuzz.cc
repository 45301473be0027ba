// SPDX-License-Identifier: Apache-2.0
// A payload that parses keeps every limit and survives being written and read again; an unsigned one never verifies.
#include "attestation/verify.h"

using namespace casemate;
using namespace casemate::attestation;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  CASEMATE_CHECK(!verify(input, TrustAnchors::aws(), Policy::at_time(WallTime(std::chrono::seconds(4000000000)))).ok());
  const auto document = parse_document(input);
  if (!document.ok()) return 0;
  CASEMATE_CHECK(!document->module_id.empty() && !document->cabundle.empty() && !document->pcrs.empty());
  CASEMATE_CHECK(document->pcrs.size() <= kPcrCount && document->timestamp.time_since_epoch().count() > 0);
  for (std::size_t i = 1; i < document->pcrs.size(); ++i) CASEMATE_CHECK(document->pcrs[i - 1].index < document->pcrs[i].index);
  Statement statement{document->module_id, document->timestamp, document->pcrs, {}, {}, {}};
  if (document->public_key) statement.public_key = *document->public_key;
  if (document->user_data) statement.user_data = *document->user_data;
  if (document->nonce) statement.nonce = *document->nonce;
  for (const WireForm form : {WireForm::kDefinite, WireForm::kIndefinite}) {
    const Bytes written = encode_document(statement, document->certificate, document->cabundle, form);
    // What was near the limit may pass it with the optional fields written out.
    if (written.size() > Limits().payload_bytes) continue;
    const auto again = parse_document(written);
    CASEMATE_CHECK(again.ok() && again->nonce == document->nonce && again->cabundle == document->cabundle && again->module_id == document->module_id);
  }
  return 0;
}
