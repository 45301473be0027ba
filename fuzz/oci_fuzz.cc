// SPDX-License-Identifier: Apache-2.0
// Image layers and descriptions. The first byte chooses: layers (several archives, cut at 0xff bytes' count), a config, or
// an index. Whatever merges can be listed, and every file's segments lie within its size.
#include <cstdint>
#include <cstdlib>

#include "oci/archive_files.h"
#include "oci/decompress.h"
#include "oci/image.h"

namespace {

using namespace casemate;

class OneFile final : public oci::Files {
 public:
  explicit OneFile(ByteView data) : data_(data) {}
  Result<std::unique_ptr<oci::Blob>> find(std::string_view path) const override {
    if (path != "index.json" && path != "manifest.json") return not_found("no such file");
    return std::unique_ptr<oci::Blob>(std::make_unique<oci::MemoryBlob>(to_bytes(data_)));
  }

 private:
  ByteView data_;
};

void merge(ByteView input, std::size_t layers) {
  oci::RootFs rootfs({.entries = 20'000, .path_bytes = 4095, .name_bytes = 255});
  for (std::size_t i = 0; i < layers; ++i) {
    const std::size_t begin = input.size() / layers / 512 * 512 * i;
    const std::size_t end = i + 1 == layers ? input.size() : input.size() / layers / 512 * 512 * (i + 1);
    const oci::MemoryBlob blob(to_bytes(input.subspan(begin, end - begin)));
    const auto stream = blob.open(0);
    oci::TarReader reader(**stream);
    if (!rootfs.apply(reader)) return;
  }
  const auto walked = rootfs.walk([](const oci::RootFs::Visit& visit) -> Result<void> {
    if (visit.path.empty() || visit.path.front() == '/' || visit.path.size() > 1024 * 1024) std::abort();
    std::uint64_t end = 0;
    for (const oci::Segment& segment : visit.inode.segments) {
      if (segment.file_offset < end || segment.length > visit.inode.size - segment.file_offset) std::abort();
      end = segment.file_offset + segment.length;
    }
    return {};
  });
  if (!walked) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView input{data + 1, size - 1};
  switch (data[0] % 4) {
    case 0: merge(input, 1); break;
    case 1: merge(input, 2); break;
    case 2: {
      (void)oci::parse_config(as_text(input)).ok();
      const OneFile files(input);
      (void)oci::find_in_layout(files, {}).ok();
      (void)oci::find_in_docker_archive(files, {}).ok();
      break;
    }
    default: {
      auto files = oci::ArchiveFiles::open(std::make_unique<oci::MemoryBlob>(to_bytes(input)));
      if (files) (void)(*files)->find("manifest.json").ok();
      const oci::MemoryBlob blob(to_bytes(input));
      const auto compression = oci::detect_compression(blob);
      if (!compression) break;
      const auto stream = oci::open_plain(blob, *compression, 1 << 20);
      if (!stream) break;
      Bytes buffer(65536);
      for (std::uint64_t total = 0;;) {
        const auto got = (*stream)->read(buffer);
        if (!got || *got == 0) break;
        total += *got;
        if (total > 1 << 20) std::abort();
      }
    }
  }
  return 0;
}
