// SPDX-License-Identifier: Apache-2.0
#include "kms/api/recipient_keys.h"

namespace casemate::kms::api {

Result<crypto::RsaPublicKey> RecipientKeys::get(ByteView spki) {
  // Some KiB each.
  constexpr std::size_t kMost = 256;
  std::string name(as_text(spki));
  {
    const std::lock_guard lock(mutex_);
    const auto found = known_.find(name);
    if (found != known_.end()) return found->second;
  }
  crypto::RsaPublicKey key = TRY(crypto::RsaPublicKey::parse_spki(spki));
  const std::lock_guard lock(mutex_);
  if (known_.size() >= kMost) known_.clear();
  known_.emplace(std::move(name), key);
  return key;
}

}  // namespace casemate::kms::api
