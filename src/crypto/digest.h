// SPDX-License-Identifier: Apache-2.0
// SHA-2 digests and HMAC (FIPS 180-4, RFC 2104).
#pragma once

#include <array>
#include <memory>

#include "base/bytes.h"
#include "base/secret.h"

namespace casemate::crypto {

enum class Hash { kSha224, kSha256, kSha384, kSha512 };

std::size_t digest_size(Hash hash);

using Sha256 = std::array<std::uint8_t, 32>;
using Sha384 = std::array<std::uint8_t, 48>;

Sha256 sha256(ByteView data);
Sha384 sha384(ByteView data);
Bytes digest(Hash hash, ByteView data);

// hmac of a key of any length.
Bytes hmac(Hash hash, ByteView key, ByteView data);

// Hasher takes data in pieces. A copy continues independently from the same state.
class Hasher {
 public:
  explicit Hasher(Hash hash);
  Hasher(const Hasher& other);
  Hasher& operator=(const Hasher& other);
  Hasher(Hasher&&) noexcept = default;
  Hasher& operator=(Hasher&&) noexcept = default;
  ~Hasher();

  Hasher& update(ByteView data);
  // finish ends this hasher; further use is a bug.
  Bytes finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace casemate::crypto
