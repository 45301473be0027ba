// SPDX-License-Identifier: Apache-2.0
// Assets: the built page, read once at start from its manifest, kept in memory and served from there. No path of a request
// ever reaches the file system.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "os/file.h"

namespace casemate::console {

struct AssetLimits {
  std::size_t manifest_bytes = 256 * 1024;
  std::size_t files = 1024;
  std::size_t file_bytes = 8 * 1024 * 1024;
  std::size_t total_bytes = 64 * 1024 * 1024;  // of all encodings: the memory that the page takes
};

// ManifestEntry: one file of the page. `path` is relative, of A-Z a-z 0-9 . _ - and /, no part beginning with a dot.
struct ManifestEntry {
  std::string path;
  std::string type;            // media type
  bool immutable = false;      // its name holds a hash of its content
  std::vector<std::string> encodings;  // of br and gzip, there as `path.br` and `path.gz`
};

// parse_manifest reads {"files": [{"path", "type", "immutable", "encodings"}]}. Errors: kMalformed naming the member,
// kLimit.
Result<std::vector<ManifestEntry>> parse_manifest(std::string_view text, const AssetLimits& limits = {});

// choose_encoding picks `br`, `gzip` or nothing (identity) by an Accept-Encoding header (RFC 9110, 12.5.3) of those that
// exist; the smaller one wins.
std::string_view choose_encoding(std::string_view accept_encoding, const std::vector<std::string>& existing);

class Assets {
 public:
  // load reads `directory`/manifest.json and every file that it names. Errors: kNotFound (not built), kMalformed, kLimit.
  static Result<Assets> load(const os::Path& directory, const AssetLimits& limits = {});

  // serve answers GET and HEAD for a path relative to the page; the empty path is index.html. 404 for what is not there.
  http::Response serve(const http::Request& request, std::string_view path) const;

  std::size_t size() const { return assets_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Representation {
    std::string body;
    std::string etag;
  };
  struct Asset {
    ManifestEntry entry;
    std::map<std::string, Representation, std::less<>> bodies;  // by encoding, identity under ""
  };
  std::map<std::string, Asset, std::less<>> assets_;
  std::size_t bytes_ = 0;
};

}  // namespace casemate::console
