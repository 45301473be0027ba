// SPDX-License-Identifier: Apache-2.0
#include "oci/decompress.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <string_view>

namespace casemate::oci {

namespace {

constexpr std::size_t kInputBytes = 256 * 1024;

struct ArchiveDeleter {
  void operator()(archive* handle) const { archive_read_free(handle); }
};

// Decompressor is libarchive with one filter and the raw format: no format detection on hostile input.
class Decompressor final : public Stream {
 public:
  Decompressor(std::unique_ptr<Stream> input, std::uint64_t limit) : input_(std::move(input)), left_(limit), buffer_(kInputBytes) {}

  Result<void> start(Compression compression) {
    handle_.reset(archive_read_new());
    if (!handle_) return internal("decompression: out of memory");
    const int filter = compression == Compression::kGzip ? archive_read_support_filter_gzip(handle_.get())
                                                         : archive_read_support_filter_zstd(handle_.get());
    if (filter != ARCHIVE_OK) return unsupported("decompression: this build has no such filter");
    if (archive_read_support_format_raw(handle_.get()) != ARCHIVE_OK) return failed();
    if (archive_read_open(handle_.get(), this, nullptr, &Decompressor::pull, nullptr) != ARCHIVE_OK) return failed();
    archive_entry* entry = nullptr;
    const int got = archive_read_next_header(handle_.get(), &entry);
    if (got == ARCHIVE_EOF) return finished();
    if (got != ARCHIVE_OK) return failed();
    return {};
  }

  Result<std::size_t> read(std::span<std::uint8_t> out) override {
    if (out.empty() || ended_) return std::size_t{0};
    if (rest_.empty()) {
      const void* data = nullptr;
      std::size_t size = 0;
      la_int64_t offset = 0;
      const int got = archive_read_data_block(handle_.get(), &data, &size, &offset);
      if (got == ARCHIVE_EOF) {
        TRY(finished());
        return std::size_t{0};
      }
      if (got != ARCHIVE_OK) return failed();
      if (size > left_) return over_limit("decompression: more than the {} bytes allowed", taken_ + left_);
      left_ -= size;
      taken_ += size;
      rest_ = {static_cast<const std::uint8_t*>(data), size};
      if (rest_.empty()) return read(out);
    }
    const std::size_t count = std::min(out.size(), rest_.size());
    std::copy_n(rest_.begin(), count, out.begin());
    rest_ = rest_.subspan(count);
    return count;
  }

 private:
  static la_ssize_t pull(archive* handle, void* self, const void** data) {
    auto& own = *static_cast<Decompressor*>(self);
    Result<std::size_t> got = own.input_->read(own.buffer_);
    if (!got) {
      own.input_error_ = got.error();
      archive_set_error(handle, EIO, "input failed");
      return ARCHIVE_FATAL;
    }
    *data = own.buffer_.data();
    return static_cast<la_ssize_t>(*got);
  }

  Error failed() {
    if (input_error_) return *input_error_;
    const char* text = archive_error_string(handle_.get());
    return malformed("decompression: {}", text == nullptr ? "damaged data" : text);
  }

  // finished is reached at the end of the output; libarchive takes garbage after the compressed data for its end, too.
  Result<void> finished() {
    ended_ = true;
    if (input_error_) return *input_error_;
    return {};
  }

  std::unique_ptr<Stream> input_;
  std::unique_ptr<archive, ArchiveDeleter> handle_;
  std::uint64_t left_;
  std::uint64_t taken_ = 0;
  Bytes buffer_;
  ByteView rest_;
  std::optional<Error> input_error_;
  bool ended_ = false;
};

}  // namespace

Result<Compression> detect_compression(const Blob& blob) {
  const auto stream = TRY(blob.open(0));
  std::array<std::uint8_t, 6> front{};
  std::size_t have = 0;
  while (have < front.size()) {
    const std::size_t count = TRY(stream->read(std::span(front).subspan(have)));
    if (count == 0) break;
    have += count;
  }
  const std::string_view text = as_text(ByteView(front).first(have));
  if (text.starts_with("\x1f\x8b")) return Compression::kGzip;
  if (text.starts_with("\x28\xb5\x2f\xfd")) return Compression::kZstd;
  if (text.starts_with("BZh")) return unsupported("bzip2 data, want tar, gzip or zstd");
  if (text.starts_with(std::string_view("\xfd" "7zXZ\0", 6))) return unsupported("xz data, want tar, gzip or zstd");
  return Compression::kNone;
}

Result<std::unique_ptr<Stream>> open_plain(const Blob& blob, Compression compression, std::uint64_t limit) {
  std::unique_ptr<Stream> input = TRY(blob.open(0));
  if (compression == Compression::kNone) {
    if (blob.size() > limit) return over_limit("{} bytes, limit {}", blob.size(), limit);
    return input;
  }
  auto stream = std::make_unique<Decompressor>(std::move(input), limit);
  TRY(stream->start(compression));
  return std::unique_ptr<Stream>(std::move(stream));
}

}  // namespace casemate::oci
