// SPDX-License-Identifier: Apache-2.0
#include "crypto/kdf.h"

#include <algorithm>

#include "crypto/digest.h"

namespace casemate::crypto {

Secret hkdf_sha256(ByteView key, ByteView salt, std::string_view info, std::size_t size) {
  CASEMATE_CHECK(size <= std::size_t{255} * 32);
  static constexpr std::uint8_t kNoSalt[32] = {};
  const Secret extracted(hmac(Hash::kSha256, salt.empty() ? ByteView(kNoSalt) : salt, key));

  Secret out = Secret::of_size(size);
  Secret block;
  std::size_t done = 0;
  for (std::uint8_t counter = 1; done < size; ++counter) {
    Bytes input = to_bytes(block.expose());
    append(input, as_bytes(info));
    input.push_back(counter);
    block = Secret(hmac(Hash::kSha256, extracted.expose(), input));
    zeroize(input.data(), input.size());
    const std::size_t take = std::min(block.size(), size - done);
    std::copy_n(block.expose().begin(), take, out.expose_mutable().begin() + static_cast<std::ptrdiff_t>(done));
    done += take;
  }
  return out;
}

}  // namespace casemate::crypto
