// SPDX-License-Identifier: Apache-2.0
#include "console/links.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"

namespace casemate::console {

std::string Links::make(std::string_view user, WallTime now, Rng& rng) {
  std::array<std::uint8_t, 32> random{};
  rng.fill(random);
  std::string token = encode_base64(random);
  token.resize(43);  // without padding
  for (char& c : token) c = c == '+' ? '-' : c == '/' ? '_' : c;
  const std::lock_guard lock(mutex_);
  while (links_.size() >= limits_.open) links_.pop_front();
  links_.push_back({crypto::sha256(as_bytes(token)), std::string(user), now + limits_.lifetime});
  return token;
}

Result<std::string> Links::redeem(std::string_view token, WallTime now) {
  // Only hashes are compared, so the time of the look-up tells nothing of a token.
  const crypto::Sha256 hash = crypto::sha256(as_bytes(token));
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(links_.begin(), links_.end(), [&](const Link& link) { return link.hash == hash; });
  if (found == links_.end()) return denied("link: unknown, used or expired");
  const Link link = *found;
  links_.erase(found);
  if (now >= link.expires || now + limits_.lifetime < link.expires) return denied("link: unknown, used or expired");
  return link.user;
}

}  // namespace casemate::console
