// SPDX-License-Identifier: Apache-2.0
// What casemated keeps in its home: the root key and the administrator's access key, made at the first start.
#pragma once

#include "base/clock.h"
#include "identity/state_json.h"
#include "kms/root_key.h"
#include "os/paths.h"

namespace casemate::cli::casemated {

// load_root_key reads root.key (kms/root_key_file.h, mode 0600) or makes it, bare. `passphrase_file` (empty: none) holds
// the passphrase on its first line. A root.key.new left by a rewrapping that was cut short takes its place when it is
// the database's. Errors: kNotFound when a database exists but its key does not: a new key could never open it.
Result<kms::RootKey> load_root_key(const os::Path& home, const std::string& passphrase_file, Rng& rng);

struct AccessKey {
  std::string id;
  Secret secret;
  bool made = false;  // just now: there was no credentials file
};

// load_administrator reads the section [admin] of the credentials file, in the form of AWS's shared credentials, or
// makes the file. Errors: kMalformed, kDenied.
Result<AccessKey> load_administrator(const os::Paths& paths, std::string_view account, Rng& rng);

// load_identities reads identity.json and adds what the platform must have: its account with the administrator of the
// credentials file, the instance's role, and the accounts that `declaration` (a path; empty: none) declares. The access
// keys of new accounts go into the credentials file, in sections `ACCOUNT-USER`. An administrator or a key of it that
// was deleted stays deleted, unless the credentials file was too: whoever removes that file wants a new key.
Result<identity::State> load_identities(const os::Paths& paths, const os::Platform& platform,
                                        const std::string& declaration, const identity::TokenSealer& sealer, WallTime now,
                                        Rng& rng);
Result<void> save_identities(const os::Paths& paths, const identity::State& state);

}  // namespace casemate::cli::casemated
