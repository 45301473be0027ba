// SPDX-License-Identifier: Apache-2.0
// What an image is read from: named files that can be opened again and again, wherever they lie.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/stream.h"

namespace casemate::oci {

// Stream is a source that can pass over bytes more cheaply than by reading them.
class Stream : public ByteSource {
 public:
  // skip passes over `count` bytes; beyond the end is reported by the next read as the end. The default reads.
  virtual Result<void> skip(std::uint64_t count);
};

// Blob is one file of known size. Streams opened from it must not outlive it.
class Blob {
 public:
  virtual ~Blob() = default;
  virtual std::uint64_t size() const = 0;
  // open starts reading at `offset`.
  virtual Result<std::unique_ptr<Stream>> open(std::uint64_t offset) const = 0;
};

// Files finds a blob by its path: `index.json`, `blobs/sha256/...`, `manifest.json`.
class Files {
 public:
  virtual ~Files() = default;
  // Errors: kNotFound.
  virtual Result<std::unique_ptr<Blob>> find(std::string_view path) const = 0;
};

// MemoryBlob and its stream serve tests and small inputs.
class MemoryBlob final : public Blob {
 public:
  explicit MemoryBlob(Bytes data) : data_(std::move(data)) {}
  std::uint64_t size() const override { return data_.size(); }
  Result<std::unique_ptr<Stream>> open(std::uint64_t offset) const override;

 private:
  Bytes data_;
};

}  // namespace casemate::oci
