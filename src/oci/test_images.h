// SPDX-License-Identifier: Apache-2.0
// Tar archives and images made in memory. Tests only.
#pragma once

#include <fmt/core.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "oci/files.h"

namespace casemate::oci::test {

struct Member {
  std::string path;
  char type = '0';
  std::string data = {};
  std::string link = {};
  unsigned mode = 0644;
  long long mtime = 1'700'000'000;
};

inline std::string octal(unsigned long long value, int digits) { return fmt::format("{:0{}o}", value, digits) + '\0'; }

// header makes one ustar block; names over 100 bytes are the caller's business.
inline std::string header(const Member& member) {
  std::string block(512, '\0');
  const auto put = [&block](std::size_t at, std::string_view text) { block.replace(at, text.size(), text); };
  put(0, std::string_view(member.path).substr(0, 100));
  put(100, octal(member.mode, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(member.data.size(), 11));
  put(136, octal(static_cast<unsigned long long>(member.mtime), 11));
  put(148, "        ");
  block[156] = member.type;
  put(157, std::string_view(member.link).substr(0, 100));
  put(257, std::string_view("ustar\00000", 8));
  put(329, octal(member.type == '3' ? 1 : 0, 7));
  put(337, octal(member.type == '3' ? 3 : 0, 7));
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, octal(sum, 6) + ' ');
  return block;
}

inline std::string padded(std::string data) {
  data.resize((data.size() + 511) / 512 * 512);
  return data;
}

inline std::string tar(const std::vector<Member>& members) {
  std::string out;
  for (const Member& member : members) out += header(member) + padded(member.data);
  return out + std::string(1024, '\0');
}

inline std::string digest_of(std::string_view data) { return "sha256:" + encode_hex(crypto::sha256(as_bytes(data))); }

class MemoryFiles final : public Files {
 public:
  std::map<std::string, std::string, std::less<>> files;
  Result<std::unique_ptr<Blob>> find(std::string_view path) const override {
    const auto found = files.find(path);
    if (found == files.end()) return not_found("{}: not there", path);
    return std::unique_ptr<Blob>(std::make_unique<MemoryBlob>(to_bytes(as_bytes(found->second))));
  }
  // add stores a blob under its digest and returns that.
  std::string add(const std::string& data) {
    const std::string digest = digest_of(data);
    files["blobs/sha256/" + digest.substr(7)] = data;
    return digest;
  }
};

// layout makes an OCI layout of uncompressed layers.
inline MemoryFiles layout(const std::vector<std::string>& layers, std::string config = R"({"Cmd":["/a"],"Env":["A=b"]})") {
  MemoryFiles files;
  std::string diff_ids;
  std::string descriptors;
  for (const std::string& layer : layers) {
    const std::string digest = files.add(layer);
    const std::string comma = diff_ids.empty() ? "" : ",";
    diff_ids += fmt::format("{}\"{}\"", comma, digest);
    descriptors += fmt::format(R"({}{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}})", comma, digest, layer.size());
  }
  const std::string config_digest = files.add(
      fmt::format(R"({{"architecture":"amd64","os":"linux","config":{},"rootfs":{{"type":"layers","diff_ids":[{}]}}}})", config, diff_ids));
  const std::string manifest =
      files.add(fmt::format(R"({{"schemaVersion":2,"config":{{"digest":"{}"}},"layers":[{}]}})", config_digest, descriptors));
  files.files["index.json"] =
      fmt::format(R"({{"schemaVersion":2,"manifests":[{{"digest":"{}","annotations":{{"org.opencontainers.image.ref.name":"latest"}}}}]}})", manifest);
  return files;
}

}  // namespace casemate::oci::test
