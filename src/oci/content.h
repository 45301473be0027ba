// SPDX-License-Identifier: Apache-2.0
// File content out of layers that stay where they are.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "oci/decompress.h"
#include "oci/rootfs.h"

namespace casemate::oci {

// What is read or copied at a time.
inline constexpr std::size_t kBufferBytes = 256 * 1024;

struct LayerFile {
  std::unique_ptr<Blob> blob;
  Compression compression = Compression::kNone;
  std::uint64_t plain_bytes = 0;
};

// Spool stores a stream where it can be read at random: for compressed layers whose files are wanted in another order
// than they lie in.
using Spool = std::function<Result<std::unique_ptr<Blob>>(Stream& stream)>;

// Content copies files out of layers. Asked in the order in which files lie, it reads each layer once; a compressed
// layer is started over at most a few times before it is spooled.
class Content {
 public:
  Content(std::vector<LayerFile> layers, Spool spool) : spool_(std::move(spool)) {
    for (LayerFile& layer : layers) layers_.push_back({std::move(layer), nullptr, 0, 0});
  }

  // copy writes exactly inode.size bytes, zeros where a sparse file has holes.
  Result<void> copy(const Inode& inode, ByteSink& sink);

 private:
  struct Open {
    LayerFile file;
    std::unique_ptr<Stream> stream;
    std::uint64_t position = 0;
    int restarts = 0;
  };

  Result<void> seek(Open& layer, std::uint64_t offset);

  std::vector<Open> layers_;
  Spool spool_;
  Bytes buffer_;
};

}  // namespace casemate::oci
