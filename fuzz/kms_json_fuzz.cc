// SPDX-License-Identifier: Apache-2.0
// Requests of every operation: the first byte chooses the operation, the rest is the body. A request is read or
// refused; what the audit log would show of it is JSON again and holds nothing of its blobs.
#include "kms/api/operations.h"
#include "kms/identifier.h"

using namespace casemate;
using namespace casemate::kms;
using namespace casemate::kms::api;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto operations = all_operations();
  const Operation& operation = operations[data[0] % operations.size()];
  auto input = read_input(as_text(ByteView(data, size).subspan(1)), operation.members);
  if (!input.ok()) {
    const FaultKind kind = input.error().kind;
    CASEMATE_CHECK(kind == FaultKind::kSerialization || kind == FaultKind::kValidation);
    CASEMATE_CHECK(!input.error().message || json::parse(json::encode_string(*input.error().message)).ok());
    return 0;
  }
  const json::Object shown = input->parameters();
  CASEMATE_CHECK(json::parse(json::encode(json::Value(shown))).ok());
  CASEMATE_CHECK(shown.find("plaintext") == nullptr && shown.find("ciphertextBlob") == nullptr &&
                 shown.find("recipient") == nullptr);
  if (const std::string* id = input->text("KeyId")) {
    const Realm realm{"111122223333", "us-east-1"};
    auto reference = parse_key_reference(*id, realm, AllowAlias::kYes);
    if (reference.ok()) CASEMATE_CHECK(reference->realm.region == realm.region);
  }
  return 0;
}
