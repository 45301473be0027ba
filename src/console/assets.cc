// SPDX-License-Identifier: Apache-2.0
#include "console/assets.h"

#include <algorithm>
#include <charconv>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "json/value.h"

namespace casemate::console {
namespace {

constexpr std::size_t kPathBytes = 200;

bool is_asset_path(std::string_view path) {
  if (path.empty() || path.size() > kPathBytes) return false;
  bool begins = true;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (begins ? !plain : !(plain || c == '.' || c == '/')) return false;
    begins = c == '/';
  }
  return !begins;
}

bool is_media_type(std::string_view type) {
  return !type.empty() && type.size() <= 100 &&
         std::all_of(type.begin(), type.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

Result<ManifestEntry> parse_entry(const json::Value& value) {
  if (value.if_object() == nullptr) return malformed("a {}, want an object", value.type_name());
  ManifestEntry entry;
  const std::string* path = value.string_at("path");
  if (path == nullptr || !is_asset_path(*path)) return malformed("path: want a relative path of plain characters");
  const std::string* type = value.string_at("type");
  if (type == nullptr || !is_media_type(*type)) return malformed("type: want a media type");
  const json::Value* immutable = value.find("immutable");
  if (immutable == nullptr || immutable->if_bool() == nullptr) return malformed("immutable: want a boolean");
  entry.path = *path;
  entry.type = *type;
  entry.immutable = *immutable->if_bool();
  const json::Value* encodings = value.find("encodings");
  if (encodings == nullptr || encodings->if_array() == nullptr) return malformed("encodings: want an array");
  for (const json::Value& encoding : encodings->array()) {
    const std::string* name = encoding.if_string();
    if (name == nullptr || (*name != "br" && *name != "gzip")) return malformed("encodings: want br or gzip");
    if (std::find(entry.encodings.begin(), entry.encodings.end(), *name) != entry.encodings.end())
      return malformed("encodings: {} twice", *name);
    entry.encodings.push_back(*name);
  }
  return entry;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

// acceptable is whether a coding's weight is above zero; `*` speaks for codings that are not named.
bool acceptable(std::string_view header, std::string_view coding) {
  bool star = false;
  for (int parts = 0; !header.empty() && parts < 32; ++parts) {
    const std::size_t comma = std::min(header.find(','), header.size());
    std::string_view part = trim(header.substr(0, comma));
    header.remove_prefix(std::min(comma + 1, header.size()));
    const std::size_t semicolon = std::min(part.find(';'), part.size());
    const std::string name = lower(trim(part.substr(0, semicolon)));
    const std::string parameter = lower(trim(part.substr(std::min(semicolon + 1, part.size()))));
    const bool refused = parameter.starts_with("q=0") && parameter.find_first_not_of("0.", 2) == std::string::npos;
    if (name == coding) return !refused;
    if (name == "*") star = !refused;
  }
  return star;
}

bool etag_matches(std::string_view header, std::string_view etag) {
  for (int parts = 0; !header.empty() && parts < 32; ++parts) {
    const std::size_t comma = std::min(header.find(','), header.size());
    std::string_view part = trim(header.substr(0, comma));
    header.remove_prefix(std::min(comma + 1, header.size()));
    if (part.starts_with("W/")) part.remove_prefix(2);
    if (part == etag || part == "*") return true;
  }
  return false;
}

http::Response plain(unsigned status, std::string_view text) {
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", "text/plain; charset=utf-8");
  response.body = text;
  return response;
}

}  // namespace

Result<std::vector<ManifestEntry>> parse_manifest(std::string_view text, const AssetLimits& limits) {
  json::Limits json_limits;
  json_limits.input_bytes = limits.manifest_bytes;
  const json::Value manifest = TRY(json::parse(text, json_limits));
  const json::Value* files = manifest.find("files");
  if (files == nullptr || files->if_array() == nullptr) return malformed("files: want an array");
  if (files->array().size() > limits.files)
    return over_limit("files: {}, limit {}", files->array().size(), limits.files);
  std::vector<ManifestEntry> out;
  std::map<std::string, bool> seen;
  for (const json::Value& file : files->array()) {
    ManifestEntry entry = TRY(parse_entry(file).in(fmt::format("files[{}]", out.size())));
    if (!seen.emplace(entry.path, true).second) return malformed("files[{}]: {} twice", out.size(), entry.path);
    out.push_back(std::move(entry));
  }
  return out;
}

std::string_view choose_encoding(std::string_view accept_encoding, const std::vector<std::string>& existing) {
  for (const std::string_view coding : {std::string_view("br"), std::string_view("gzip")}) {
    if (std::find(existing.begin(), existing.end(), coding) != existing.end() && acceptable(accept_encoding, coding))
      return coding;
  }
  return {};
}

Result<Assets> Assets::load(const os::Path& directory, const AssetLimits& limits) {
  const std::string manifest = TRY(os::read_file(directory / "manifest.json", limits.manifest_bytes));
  const auto entries = TRY(parse_manifest(manifest, limits).in((directory / "manifest.json").native()));
  Assets assets;
  for (const ManifestEntry& entry : entries) {
    Asset asset{entry, {}};
    std::vector<std::string> encodings = entry.encodings;
    encodings.emplace_back();
    for (const std::string& encoding : encodings) {
      const std::string suffix = encoding == "br" ? ".br" : encoding == "gzip" ? ".gz" : "";
      std::string body = TRY(os::read_file(directory / (entry.path + suffix), limits.file_bytes));
      assets.bytes_ += body.size();
      if (assets.bytes_ > limits.total_bytes)
        return over_limit("{}: more than {} bytes in all", directory.native(), limits.total_bytes);
      std::string etag = fmt::format("\"{}\"", encode_hex(crypto::sha256(as_bytes(body))).substr(0, 32));
      asset.bodies.emplace(encoding, Representation{std::move(body), std::move(etag)});
    }
    assets.assets_.emplace(entry.path, std::move(asset));
  }
  if (!assets.assets_.contains("index.html")) return malformed("{}: no index.html", directory.native());
  return assets;
}

http::Response Assets::serve(const http::Request& request, std::string_view path) const {
  if (request.method != "GET" && request.method != "HEAD") {
    http::Response refused = plain(405, "GET and HEAD only\n");
    refused.headers.add("Allow", "GET, HEAD");
    return refused;
  }
  const auto found = assets_.find(path.empty() ? "index.html" : path);
  if (found == assets_.end()) return plain(404, "no such file\n");
  const Asset& asset = found->second;
  const std::string* accepted = request.headers.find("accept-encoding");
  const std::string_view encoding =
      accepted == nullptr ? std::string_view{} : choose_encoding(*accepted, asset.entry.encodings);
  const Representation& chosen = asset.bodies.find(encoding)->second;
  http::Response response;
  response.headers.add("ETag", chosen.etag);
  response.headers.add("Cache-Control", asset.entry.immutable ? "public, max-age=31536000, immutable" : "no-cache");
  response.headers.add("Vary", "Accept-Encoding");
  const std::string* known = request.headers.find("if-none-match");
  if (known != nullptr && etag_matches(*known, chosen.etag)) {
    response.status = 304;
    return response;
  }
  response.headers.add("Content-Type", asset.entry.type);
  if (!encoding.empty()) response.headers.add("Content-Encoding", encoding);
  if (request.method == "GET") response.body = chosen.body;
  return response;
}

}  // namespace casemate::console
