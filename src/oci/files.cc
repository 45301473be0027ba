// SPDX-License-Identifier: Apache-2.0
#include "oci/files.h"

#include <algorithm>
#include <array>

namespace casemate::oci {

namespace {

class MemoryStream final : public Stream {
 public:
  explicit MemoryStream(ByteView rest) : rest_(rest) {}
  Result<std::size_t> read(std::span<std::uint8_t> out) override {
    const std::size_t count = std::min(out.size(), rest_.size());
    std::copy_n(rest_.begin(), count, out.begin());
    rest_ = rest_.subspan(count);
    return count;
  }

 private:
  ByteView rest_;
};

}  // namespace

Result<void> Stream::skip(std::uint64_t count) {
  std::array<std::uint8_t, 16384> scratch;
  while (count > 0) {
    const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(count, scratch.size()));
    const std::size_t got = TRY(read(std::span(scratch).first(step)));
    if (got == 0) return {};
    count -= got;
  }
  return {};
}

Result<std::unique_ptr<Stream>> MemoryBlob::open(std::uint64_t offset) const {
  const ByteView all = data_;
  return std::unique_ptr<Stream>(
      std::make_unique<MemoryStream>(all.subspan(static_cast<std::size_t>(std::min<std::uint64_t>(offset, all.size())))));
}

}  // namespace casemate::oci
