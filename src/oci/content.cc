// SPDX-License-Identifier: Apache-2.0
#include "oci/content.h"

#include <algorithm>
#include <array>
#include <utility>

namespace casemate::oci {

namespace {

// Decompressing again costs as much as spooling once after about this many times.
constexpr int kMaxRestarts = 3;

Result<void> write_zeros(ByteSink& sink, std::uint64_t count) {
  static constexpr std::array<std::uint8_t, 65536> kZeros{};
  while (count > 0) {
    const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(count, kZeros.size()));
    TRY(sink.write(ByteView(kZeros).first(step)));
    count -= step;
  }
  return {};
}

}  // namespace

Result<void> Content::seek(Open& layer, std::uint64_t offset) {
  if (layer.stream && layer.position <= offset) {
    TRY(layer.stream->skip(offset - layer.position));
    layer.position = offset;
    return {};
  }
  LayerFile& file = layer.file;
  if (file.compression != Compression::kNone && layer.stream && ++layer.restarts > kMaxRestarts && spool_) {
    layer.stream.reset();
    const auto plain = TRY(open_plain(*file.blob, file.compression, file.plain_bytes));
    file.blob = TRY(spool_(*plain));
    file.compression = Compression::kNone;
  }
  if (file.compression == Compression::kNone) {
    layer.stream = TRY(file.blob->open(offset));
  } else {
    layer.stream = TRY(open_plain(*file.blob, file.compression, file.plain_bytes));
    TRY(layer.stream->skip(offset));
  }
  layer.position = offset;
  return {};
}

Result<void> Content::copy(const Inode& inode, ByteSink& sink) {
  if (inode.layer >= layers_.size()) return internal("content: layer {} of {}", inode.layer, layers_.size());
  Open& layer = layers_[inode.layer];
  buffer_.resize(kBufferBytes);
  std::uint64_t done = 0;
  for (const Segment& segment : inode.segments) {
    TRY(write_zeros(sink, segment.file_offset - done));
    TRY(seek(layer, segment.stream_offset));
    std::uint64_t left = segment.length;
    while (left > 0) {
      const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer_.size()));
      const std::size_t got = TRY(layer.stream->read(std::span(buffer_).first(want)));
      if (got == 0) return malformed("layer ends inside a file: it changed while it was read");
      TRY(sink.write(ByteView(buffer_).first(got)));
      left -= got;
      layer.position += got;
    }
    done = segment.file_offset + segment.length;
  }
  return write_zeros(sink, inode.size - done);
}

}  // namespace casemate::oci
