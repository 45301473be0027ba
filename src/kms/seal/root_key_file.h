// SPDX-License-Identifier: Apache-2.0
// The forms in which a file holds the root key: bare, for its owner's eyes only; sealed under a passphrase; sealed
// under a key in a PKCS#11 token.
#pragma once

#include <optional>
#include <string_view>

#include "crypto/kdf.h"
#include "kms/root_key.h"
#include "kms/seal/token.h"
#include "os/file.h"

namespace casemate::kms::seal {

// parse_root_key reads any of the forms. `passphrase` (null: none) opens a sealed one; for a token it is the PIN.
// Errors: kMalformed, kDenied (a passphrase is needed, a wrong PIN), kUntrusted (the wrong one), those of Token::open.
Result<RootKey> parse_root_key(std::string_view file, const Secret* passphrase);

// encode_root_key is the bare form: 64 hexadecimal digits and a line end.
Secret encode_root_key(const RootKey& root);
// under_passphrase is the form with scrypt and AES-256-GCM. Errors: those of scrypt.
Result<Secret> under_passphrase(const RootKey& root, const Secret& passphrase, Rng& rng,
                                const crypto::ScryptCost& cost = {});
// under_token is the form that the token's key opens, which is made when it is not there.
Result<Secret> under_token(const RootKey& root, const TokenKey& name, const Secret& pin, Rng& rng);

// read_passphrase gives the first line of a file. Errors: kMalformed (empty), those of reading.
Result<Secret> read_passphrase(const os::Path& path);

}  // namespace casemate::kms::seal
