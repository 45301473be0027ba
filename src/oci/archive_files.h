// SPDX-License-Identifier: Apache-2.0
// The members of a tar archive as files: an OCI layout or a docker-archive in one file.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "oci/files.h"

namespace casemate::oci {

class ArchiveFiles final : public Files {
 public:
  // open indexes an uncompressed archive. Links between members are followed, as older engines store equal layers once.
  // Errors: those of TarReader, kLimit (100,000 members).
  static Result<std::unique_ptr<ArchiveFiles>> open(std::unique_ptr<Blob> archive);

  Result<std::unique_ptr<Blob>> find(std::string_view path) const override;

 private:
  struct Member {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::string link;  // path of another member; empty for a file
  };

  explicit ArchiveFiles(std::unique_ptr<Blob> archive) : archive_(std::move(archive)) {}

  std::unique_ptr<Blob> archive_;
  std::map<std::string, Member, std::less<>> members_;
};

}  // namespace casemate::oci
