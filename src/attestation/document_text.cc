// SPDX-License-Identifier: Apache-2.0
#include "attestation/document_text.h"

#include "base/encoding.h"

namespace casemate::attestation {

Result<Bytes> decode_document_text(std::string_view input) {
  // A COSE_Sign1 begins with an array of four or tag 18; neither is a character of hexadecimal or base64.
  if (!input.empty() && (static_cast<unsigned char>(input[0]) == 0x84 || static_cast<unsigned char>(input[0]) == 0xd2)) {
    return to_bytes(as_bytes(input));
  }
  std::string text;
  for (const char c : input) {
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t') text.push_back(c == '-' ? '+' : c == '_' ? '/' : c);
  }
  if (text.empty()) return malformed("empty, want an attestation document");
  if (auto bytes = decode_hex(text); bytes.ok()) return bytes;
  while (text.size() % 4 != 0) text.push_back('=');
  if (auto bytes = decode_base64(text); bytes.ok()) return bytes;
  return malformed("neither a COSE_Sign1 nor hexadecimal nor base64");
}

}  // namespace casemate::attestation
