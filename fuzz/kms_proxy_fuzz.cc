// SPDX-License-Identifier: Apache-2.0
// What casemate-kms-proxy does with bodies of clients and of the service, and with scopes and credentials: no plaintext
// passes that was not opened, and what is passed on is JSON.
#include "base/check.h"
#include "base/encoding.h"
#include "casemate/credentials.h"
#include "json/value.h"
#include "sdk/kms-proxy/service.h"

using namespace casemate;

namespace {

// Opens nothing but one envelope of its own.
class Attested final : public kms::Recipient::Attested {
 public:
  ByteView document() const override { return document_; }
  Result<Secret> open(ByteView envelope) const override {
    if (!equal(envelope, document_)) return untrusted("no");
    return Secret::copy_of(as_bytes(std::string_view("opened")));
  }

 private:
  Bytes document_ = to_bytes(as_bytes(std::string_view("document")));
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text(ByteView(data, size));
  const Attested attested;
  if (const auto body = kms_proxy::attested_body(text, attested.document()); body.ok() && body->has_value()) {
    const auto value = json::parse(**body);
    CASEMATE_CHECK(value.ok() && value->find("Recipient") != nullptr);
    CASEMATE_CHECK(*value->find("Recipient")->string_at("AttestationDocument") == encode_base64(attested.document()));
  }
  if (const auto opened = kms_proxy::opened_body(text, "Plaintext", attested); opened.ok()) {
    const auto value = json::parse(*opened);
    CASEMATE_CHECK(value.ok() && value->find("CiphertextForRecipient") == nullptr);
    CASEMATE_CHECK(*value->string_at("Plaintext") == encode_base64(as_bytes(std::string_view("opened"))));
  }
  const std::string region = kms_proxy::scope_region(text);
  CASEMATE_CHECK(region.size() <= text.size() && region.find('/') == std::string::npos);
  if (const auto credentials = parse_credentials(text); credentials.ok()) {
    CASEMATE_CHECK(!credentials->access_key_id.empty() && credentials->access_key_id.find_first_of("\r\n") == std::string::npos);
    CASEMATE_CHECK(credentials->session_token.find_first_of("\r\n") == std::string::npos);
  }
  return 0;
}
