// SPDX-License-Identifier: Apache-2.0
// ConsoleRing: the last part of what an enclave has written on its console.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace casemate::runtime {

class ConsoleRing {
 public:
  // Bytes kept: what a reader who comes late sees, and how far a slow one may fall behind.
  explicit ConsoleRing(std::size_t capacity = 1024 * 1024) : capacity_(capacity) {}

  void write(ByteView data);
  // Positions count all bytes ever written; those before begin() are lost.
  std::uint64_t begin() const { return end_ - kept_; }
  std::uint64_t end() const { return end_; }
  // read is a part of what follows `position`, in one piece and not necessarily all of it; empty at end(). The view holds
  // until the next write.
  ByteView read(std::uint64_t position) const;

 private:
  std::size_t capacity_;
  std::size_t kept_ = 0;
  std::uint64_t end_ = 0;
  Bytes data_;  // grows up to capacity_; the byte of position p is at p % capacity_
};

}  // namespace casemate::runtime
