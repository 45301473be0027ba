// SPDX-License-Identifier: Apache-2.0
// The root file system that an image's layers add up to (OCI image spec, layer.md), as an index: names, metadata and
// where the content lies. Nothing is unpacked.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "oci/tar.h"

namespace casemate::oci {

struct RootFsLimits {
  std::uint64_t entries = 4'000'000;  // over all layers; bounds memory at about entries × 300 bytes
  std::size_t path_bytes = 4095;      // PATH_MAX without its NUL
  std::size_t name_bytes = 255;       // NAME_MAX
};

// Inode: what all names of a file share.
struct Inode {
  FileType type = FileType::kRegular;  // never kHardLink
  std::uint32_t mode = 0;              // permissions, setuid, setgid, sticky
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int64_t mtime = 0;
  std::uint64_t size = 0;
  std::uint32_t rdev_major = 0;
  std::uint32_t rdev_minor = 0;
  std::string target;             // of a symbolic link
  std::uint32_t layer = 0;        // that holds the content
  std::vector<Segment> segments;  // within that layer
};

class RootFs {
 public:
  explicit RootFs(const RootFsLimits& limits = {});
  RootFs(RootFs&&) noexcept;
  RootFs& operator=(RootFs&&) noexcept;
  ~RootFs();

  // apply adds one layer on top of what is there, whiteouts included. Symbolic links in a path are followed within the
  // root, as an engine that unpacks it would. Errors: kMalformed (naming the entry: an absolute path, `..`, a parent
  // that is no folder, a hard link to nothing, a whiteout of nothing), kLimit, and those of TarReader.
  Result<void> apply(TarReader& layer);

  // Edits after the last layer. Paths are relative, without symbolic links in them.
  const Inode* find(std::string_view path) const;
  // remove_unless_directory drops a name that is no folder.
  void remove_unless_directory(std::string_view path);
  // ensure adds `path` with its missing parents; what exists stays.
  void ensure(std::string_view path, const Inode& inode, const Inode& parent);
  // ensure_directory adds a folder and its missing parents, following symbolic links; a path that leads through a file
  // is kMalformed.
  Result<void> ensure_directory(std::string_view path, const Inode& folder);

  struct Visit {
    std::string_view path;      // relative, without a trailing slash
    const Inode& inode;
    std::string_view hard_link_to;  // path of an earlier name of the same file, else empty
  };
  // walk visits every name in the order of a sorted recursive listing: names of a folder by byte value, each folder
  // before what is in it. The root itself is left out.
  Result<void> walk(const std::function<Result<void>(const Visit&)>& visit) const;

  std::uint64_t names() const { return names_; }

 private:
  struct Node;
  struct Walker;

  Result<void> apply_entry(const TarEntry& entry);
  Result<void> white_out(Node& parent, std::string_view name);
  void remove_lower(Node& node) const;
  Result<Node*> resolve(const std::vector<std::string>& components, std::size_t count, const Inode& missing);
  Result<std::shared_ptr<Inode>> hard_link_target(const std::string& link);

  RootFsLimits limits_;
  std::unique_ptr<Node> root_;
  std::uint32_t layer_ = 0;  // number of the layer being applied, from 1 in nodes
  std::uint64_t names_ = 0;
  std::uint64_t entries_ = 0;
};

}  // namespace casemate::oci
