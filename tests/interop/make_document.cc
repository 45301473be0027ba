// SPDX-License-Identifier: Apache-2.0
// Makes an attestation document as an enclave of the platform under CASEMATE_HOME would be given one.
// usage: make_document HOME PCR0-HEX AGE-SECONDS [PUBLIC-KEY-DER]    prints base64
#include <cstdio>
#include <cstdlib>

#include "base/encoding.h"
#include "crypto/rng.h"
#include "os/file.h"
#include "pki/store.h"

namespace casemate {
namespace {

Result<std::string> make(int argc, char** argv) {
  if (argc < 4) return malformed("usage: make_document HOME PCR0-HEX AGE-SECONDS [PUBLIC-KEY-DER]");
  crypto::SystemRng rng;
  const WallTime now = SystemClock().now();
  const attestation::HierarchyNames names;
  const auto hierarchy = TRY(pki::load_current(os::Path(argv[1]) / "pki", names, now, rng));
  const std::string module_id = names.instance_id + "-enc0123456789abcdef";
  const auto signer = TRY(hierarchy.issue_leaf(module_id, now, rng));
  attestation::Statement statement;
  statement.module_id = module_id;
  statement.timestamp = now - std::chrono::seconds{std::atoi(argv[3])};
  statement.pcrs.push_back({0, TRY(decode_hex(argv[2]))});
  for (std::uint8_t i = 1; i < 16; ++i) statement.pcrs.push_back({i, Bytes(48, i)});
  std::string key;
  if (argc > 4) {
    key = TRY(os::read_file(argv[4], 4096));
    statement.public_key = as_bytes(key);
  }
  return encode_base64(attestation::create(statement, signer, rng));
}

}  // namespace
}  // namespace casemate

int main(int argc, char** argv) {
  const auto document = casemate::make(argc, argv);
  if (!document.ok()) {
    std::fprintf(stderr, "make_document: %s\n", document.error().message().c_str());
    return 1;
  }
  std::puts(document->c_str());
  return 0;
}
