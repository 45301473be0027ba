// SPDX-License-Identifier: Apache-2.0
// Root key files: raw input, and edits of a genuine file that is sealed under a passphrase. Whatever opens a sealed form
// gives the genuine key.
#include "crypto/rng.h"
#include "fuzz/edits.h"
#include "json/value.h"
#include "kms/seal/root_key_file.h"

using namespace casemate;
using namespace casemate::kms;

namespace {

const RootKey& root() {
  static const RootKey value = RootKey::from(Secret::copy_of(Bytes(32, 1))).take();
  return value;
}

// A costly scrypt would leave no time for anything else, and a PKCS#11 module of any name is no matter of parsing.
bool is_out_of_scope(std::string_view file) {
  const auto value = json::parse(file);
  if (!value.ok()) return false;
  const std::string* kdf = value->string_at("kdf");
  if (kdf != nullptr && *kdf == "pkcs11") return true;
  for (const std::string_view name : {"n", "r", "p"}) {
    const std::int64_t* number = value->int_at(name);
    if (number != nullptr && *number > 16) return true;
  }
  return false;
}

void check(ByteView input) {
  const std::string_view file = as_text(input);
  if (is_out_of_scope(file)) return;
  static const Secret passphrase = Secret::copy_of(as_bytes("correct horse"));
  const auto opened = seal::parse_root_key(file, &passphrase);
  if (!opened.ok()) return;
  if (file.starts_with('{')) {
    CASEMATE_CHECK(equal(opened->bytes().expose(), root().bytes().expose()));
    return;
  }
  const Secret again = seal::encode_root_key(*opened);
  const auto same = seal::parse_root_key(as_text(again.expose()), nullptr);
  CASEMATE_CHECK(same.ok() && equal(same->bytes().expose(), opened->bytes().expose()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Bytes genuine = [] {
    crypto::SystemRng rng;
    const auto file =
        seal::under_passphrase(root(), Secret::copy_of(as_bytes("correct horse")), rng, {.n = 2, .r = 1, .p = 1});
    return to_bytes(file->expose());
  }();
  const ByteView input(data, size);
  check(input);
  check(fuzz::apply_edits(genuine, input));
  return 0;
}
