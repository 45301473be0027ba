// SPDX-License-Identifier: Apache-2.0
// RootKey: the one key that everything at rest hangs on. It never encrypts anything itself; keys derived from it do.
#pragma once

#include <string_view>

#include "base/clock.h"
#include "base/secret.h"
#include "kms/key.h"

namespace casemate::kms {

class RootKey {
 public:
  static constexpr std::size_t kSize = 32;

  // from takes kSize bytes. Errors: kMalformed.
  static Result<RootKey> from(Secret bytes);
  static RootKey generate(Rng& rng);

  // expose is for the file that keeps it.
  const Secret& bytes() const { return root_; }
  // wrapping_key is for whoever keeps it out of swap.
  const Secret& wrapping_key() const { return wrapping_; }

  // derive gives a key for one purpose; keys of different purposes tell nothing of one another.
  Secret derive(std::string_view purpose) const;

  // check_value lets a database recognize its root key; it says nothing of the key.
  Bytes check_value() const;

  // wrap_material binds the material to the key that it belongs to and to its version: moved elsewhere it does not
  // open.
  Bytes wrap_material(std::string_view key_arn, const MaterialId& id, std::uint32_t version, const Secret& material,
                      Rng& rng) const;
  // Errors: kUntrusted.
  Result<Secret> unwrap_material(std::string_view key_arn, const MaterialId& id, std::uint32_t version,
                                 ByteView wrapped) const;

 private:
  explicit RootKey(Secret root);
  Secret root_;
  Secret wrapping_;
};

}  // namespace casemate::kms
