// SPDX-License-Identifier: Apache-2.0
// Images by their descriptions: OCI layouts (index, manifest, config) and docker-archives (manifest.json, config).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json/value.h"
#include "oci/content.h"
#include "oci/files.h"
#include "oci/rootfs.h"

namespace casemate::oci {

struct Config {
  std::string architecture;  // "amd64", "arm64"
  std::string os;
  std::optional<std::vector<std::string>> command;     // Cmd; absent when null, missing or empty
  std::optional<std::vector<std::string>> entrypoint;  // Entrypoint, likewise
  std::vector<std::string> environment;                // Env
  std::string working_directory;
  std::string user;
  std::vector<std::string> diff_ids;
  json::Value json;  // all of it
};

struct Layer {
  std::string path;     // of the blob in Files
  std::string digest;   // of the blob as it is; empty where the format has none
  std::string diff_id;  // of the blob after decompression
};

struct Image {
  std::string id;  // "sha256:..." of the config
  Config config;
  std::vector<Layer> layers;       // lowest first
  std::vector<std::string> names;  // tags that the source gives it
};

struct Wanted {
  std::string tag;           // empty: the only image, or the one tagged latest
  std::string architecture;  // empty: amd64 where there is a choice
};

// find_in_layout reads an OCI image layout: `index.json`, then manifests by digest, nested indexes included. Every
// description is checked against its digest. Errors: kNotFound (naming what there is), kMalformed, kUnsupported, kLimit.
Result<Image> find_in_layout(const Files& files, const Wanted& wanted);

// find_in_docker_archive reads what `docker save` writes.
Result<Image> find_in_docker_archive(const Files& files, const Wanted& wanted);

// parse_config reads an image config. Errors: kMalformed, kLimit.
Result<Config> parse_config(std::string_view text);

struct LoadLimits {
  RootFsLimits rootfs;
  // Of all layers after decompression: four times the largest image that is likely, so that a bomb ends.
  std::uint64_t plain_bytes = std::uint64_t{64} << 30;
};

struct LoadedImage {
  RootFs rootfs;
  std::vector<LayerFile> layers;
};

// Check is a digest that load() left to its caller: a whole read of a layer, which can go on while the content is used.
struct Check {
  std::string what;  // "layer 3"
  std::unique_ptr<Blob> blob;
  std::string digest;

  // run reads the blob; `stop` is asked now and then. Errors: kUntrusted (another digest), kConflict (stopped).
  Result<void> run(const std::function<bool()>& stop) const;
};

// load indexes each layer and merges it over those below; the digests of a compressed layer, before and after
// decompression, are computed on the way. Digests of uncompressed layers are checked first, or go to `deferred`, if
// given: then nothing that came of the layers may be trusted, let alone left behind, before every Check has run. A layer
// that is damaged as well as malformed is reported as damaged. Errors: kMalformed (naming the layer), kUntrusted
// (digest), kLimit, kNotFound.
Result<LoadedImage> load(const Files& files, const Image& image, const LoadLimits& limits = {}, std::vector<Check>* deferred = nullptr);

}  // namespace casemate::oci
