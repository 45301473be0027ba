// SPDX-License-Identifier: Apache-2.0
#include "oci/archive_files.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "oci/tar.h"

namespace casemate::oci {

namespace {

constexpr std::size_t kMaxMembers = 100'000;
constexpr int kMaxLinks = 8;

// Part is a range of another blob.
class Part final : public Blob {
 public:
  Part(const Blob& whole, std::uint64_t offset, std::uint64_t size) : whole_(whole), offset_(offset), size_(size) {}
  std::uint64_t size() const override { return size_; }
  Result<std::unique_ptr<Stream>> open(std::uint64_t offset) const override {
    offset = std::min(offset, size_);
    return std::unique_ptr<Stream>(std::make_unique<PartStream>(TRY(whole_.open(offset_ + offset)), size_ - offset));
  }

 private:
  class PartStream final : public Stream {
   public:
    PartStream(std::unique_ptr<Stream> inner, std::uint64_t left) : inner_(std::move(inner)), left_(left) {}
    Result<std::size_t> read(std::span<std::uint8_t> out) override {
      out = out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), left_)));
      if (out.empty()) return std::size_t{0};
      const std::size_t got = TRY(inner_->read(out));
      left_ -= got;
      return got;
    }
    Result<void> skip(std::uint64_t count) override {
      count = std::min(count, left_);
      left_ -= count;
      return inner_->skip(count);
    }

   private:
    std::unique_ptr<Stream> inner_;
    std::uint64_t left_;
  };

  const Blob& whole_;
  std::uint64_t offset_;
  std::uint64_t size_;
};

// normalized joins `path` to the folder of `base` and resolves `.` and `..` within the archive.
std::string normalized(std::string_view base, std::string_view path) {
  std::vector<std::string_view> parts;
  const auto take = [&parts](std::string_view text) {
    while (!text.empty()) {
      const std::size_t slash = std::min(text.find('/'), text.size());
      const std::string_view part = text.substr(0, slash);
      text.remove_prefix(std::min(slash + 1, text.size()));
      if (part.empty() || part == ".") continue;
      if (part == "..") {
        if (!parts.empty()) parts.pop_back();
      } else {
        parts.push_back(part);
      }
    }
  };
  if (!path.starts_with('/')) take(base.substr(0, base.rfind('/') == std::string_view::npos ? 0 : base.rfind('/')));
  take(path);
  std::string out;
  for (const std::string_view part : parts) {
    if (!out.empty()) out.push_back('/');
    out += part;
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<ArchiveFiles>> ArchiveFiles::open(std::unique_ptr<Blob> archive) {
  std::unique_ptr<ArchiveFiles> files(new ArchiveFiles(std::move(archive)));
  const auto stream = TRY(files->archive_->open(0));
  TarReader reader(*stream);
  for (;;) {
    const std::optional<TarEntry> entry = TRY(reader.next());
    if (!entry) return files;
    Member member;
    if (entry->type == FileType::kRegular) {
      if (entry->segments.size() > 1 || (entry->segments.empty() && entry->size > 0)) return unsupported("{}: sparse member", entry->path);
      member.size = entry->size;
      if (!entry->segments.empty()) member.offset = entry->segments.front().stream_offset;
    } else if (entry->type == FileType::kSymlink) {
      member.link = normalized(entry->path, entry->link);
    } else if (entry->type == FileType::kHardLink) {
      member.link = normalized("", entry->link);
    } else {
      continue;
    }
    files->members_[normalized("", entry->path)] = std::move(member);
    if (files->members_.size() > kMaxMembers) return over_limit("archive of more than {} members", kMaxMembers);
  }
}

Result<std::unique_ptr<Blob>> ArchiveFiles::find(std::string_view path) const {
  std::string name = normalized("", path);
  for (int links = 0; links <= kMaxLinks; ++links) {
    const auto found = members_.find(name);
    if (found == members_.end()) return not_found("{}: not in the archive", path);
    if (found->second.link.empty()) {
      return std::unique_ptr<Blob>(std::make_unique<Part>(*archive_, found->second.offset, found->second.size));
    }
    name = found->second.link;
  }
  return malformed("{}: links in a circle", path);
}

}  // namespace casemate::oci
