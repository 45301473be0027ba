// SPDX-License-Identifier: Apache-2.0
#include "crypto/kdf.h"

#include <algorithm>

#include "crypto/digest.h"
#include "crypto/openssl.h"

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

Result<Secret> scrypt(ByteView passphrase, ByteView salt, const ScryptCost& cost, std::size_t size) {
  constexpr std::uint64_t kMostN = std::uint64_t{1} << 20;
  constexpr std::uint64_t kMostMemory = std::uint64_t{3} << 30;
  if (cost.n > kMostN || cost.r > 16 || cost.p > 4)
    return over_limit("scrypt: cost {}, {}, {}, at most {}, 16, 4", cost.n, cost.r, cost.p, kMostN);
  if (cost.n < 2 || (cost.n & (cost.n - 1)) != 0 || cost.r == 0 || cost.p == 0)
    return malformed("scrypt: cost {}, {}, {}", cost.n, cost.r, cost.p);
  const ErrorQueueGuard guard;
  Secret out = Secret::of_size(size);
  const ByteView text = passphrase.empty() ? as_bytes("") : passphrase;
  if (EVP_PBE_scrypt(reinterpret_cast<const char*>(text.data()), text.size(), salt.data(), salt.size(), cost.n, cost.r,
                     cost.p, kMostMemory, out.expose_mutable().data(), out.size()) != 1) {
    return internal("scrypt failed");
  }
  return out;
}

}  // namespace casemate::crypto
