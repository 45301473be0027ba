// SPDX-License-Identifier: Apache-2.0
// What does not fit in memory comes and goes through these two interfaces; pure layers never see a file.
#pragma once

#include <span>

#include "base/bytes.h"

namespace casemate {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // read fills the front of `out` and returns how much; 0 means the end.
  virtual Result<std::size_t> read(std::span<std::uint8_t> out) = 0;
  // pass moves over `count` bytes, or as many as there are, and returns how many.
  virtual Result<std::uint64_t> pass(std::uint64_t count);
};

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // write takes all of `data` or fails.
  virtual Result<void> write(ByteView data) = 0;
};

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(ByteView data) : rest_(data) {}
  Result<std::size_t> read(std::span<std::uint8_t> out) override;

 private:
  ByteView rest_;
};

class MemorySink final : public ByteSink {
 public:
  Result<void> write(ByteView data) override {
    append(data_, data);
    return {};
  }
  const Bytes& data() const { return data_; }
  Bytes take() { return std::move(data_); }

 private:
  Bytes data_;
};

}  // namespace casemate
