// SPDX-License-Identifier: Apache-2.0
#include "oci/image.h"

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "oci/content.h"

namespace casemate::oci {

namespace {

constexpr std::size_t kDescriptionBytes = 8 * 1024 * 1024;
constexpr json::Limits kJson{kDescriptionBytes, 64, 200'000};
constexpr int kMaxIndexDepth = 4;
constexpr std::size_t kMaxLayers = 1024;

Result<std::string> read_all(const Blob& blob, std::size_t limit) {
  if (blob.size() > limit) return over_limit("{} bytes, limit {}", blob.size(), limit);
  std::string text(static_cast<std::size_t>(blob.size()), '\0');
  const auto stream = TRY(blob.open(0));
  std::size_t have = 0;
  while (have < text.size()) {
    const std::size_t got = TRY(stream->read({reinterpret_cast<std::uint8_t*>(text.data()) + have, text.size() - have}));
    if (got == 0) return malformed("{} bytes, want {}", have, text.size());
    have += got;
  }
  return text;
}

struct Digest {
  crypto::Hash hash;
  std::string_view hex;
  std::string_view algorithm;
};

// Digests become paths: nothing but lower-case hex of the right length passes.
Result<Digest> parse_digest(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view algorithm = text.substr(0, std::min(colon, text.size()));
  Digest digest{crypto::Hash::kSha256, {}, algorithm};
  if (algorithm == "sha512") {
    digest.hash = crypto::Hash::kSha512;
  } else if (algorithm != "sha256") {
    return unsupported("digest: want sha256 or sha512");
  }
  digest.hex = text.substr(std::min(colon + 1, text.size()));
  if (digest.hex.size() != 2 * crypto::digest_size(digest.hash) ||
      digest.hex.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return malformed("digest: want {} lower-case hex digits", 2 * crypto::digest_size(digest.hash));
  }
  return digest;
}

Result<std::string> blob_path(std::string_view digest) {
  const Digest parsed = TRY(parse_digest(digest));
  return fmt::format("blobs/{}/{}", parsed.algorithm, parsed.hex);
}

Result<void> compare_digest(const Digest& want, crypto::Hasher& hasher) {
  const std::string found = encode_hex(hasher.finish());
  if (found == want.hex) return {};
  return untrusted("digest is {}:{}, want {}:{}", want.algorithm, found, want.algorithm, want.hex);
}

Result<void> check_blob(const Blob& blob, std::string_view digest, const std::function<bool()>& stop = {}) {
  const Digest want = TRY(parse_digest(digest));
  crypto::Hasher hasher(want.hash);
  const auto stream = TRY(blob.open(0));
  Bytes buffer(kBufferBytes);
  for (;;) {
    if (stop && stop()) return conflict("digest: stopped");
    const std::size_t got = TRY(stream->read(buffer));
    if (got == 0) break;
    hasher.update(ByteView(buffer).first(got));
  }
  return compare_digest(want, hasher);
}

// read_description reads and checks a JSON blob that a descriptor names.
Result<std::string> read_description(const Files& files, std::string_view digest) {
  const std::string path = TRY(blob_path(digest));
  const auto blob = TRY(files.find(path));
  std::string text = TRY(read_all(*blob, kDescriptionBytes).in(path));
  const Digest want = TRY(parse_digest(digest));
  if (encode_hex(crypto::digest(want.hash, as_bytes(text))) != want.hex) return untrusted("{}: digest does not match", path);
  return text;
}

Result<std::string> string_member(const json::Value& object, std::string_view name) {
  const std::string* value = object.string_at(name);
  if (value == nullptr) return malformed("{}: missing, want a string", name);
  return *value;
}

Result<std::optional<std::vector<std::string>>> string_list(const json::Value& object, std::string_view name) {
  const json::Value* value = object.find(name);
  if (value == nullptr || value->is_null()) return std::optional<std::vector<std::string>>{};
  const json::Array* array = value->if_array();
  if (array == nullptr) return malformed("{}: {}, want an array of strings", name, value->type_name());
  std::vector<std::string> list;
  for (std::size_t i = 0; i < array->size(); ++i) {
    const std::string* item = (*array)[i].if_string();
    if (item == nullptr) return malformed("{}[{}]: {}, want a string", name, i, (*array)[i].type_name());
    if (item->find('\0') != std::string::npos) return malformed("{}[{}]: holds a NUL character", name, i);
    list.push_back(*item);
  }
  if (list.empty()) return std::optional<std::vector<std::string>>{};
  return std::optional<std::vector<std::string>>(std::move(list));
}

const json::Array* array_at(const json::Value& object, std::string_view name) {
  const json::Value* value = object.find(name);
  return value == nullptr ? nullptr : value->if_array();
}

struct Descriptor {
  std::string media_type;
  std::string digest;
  std::string architecture;
  std::string os;
  std::vector<std::string> names;
};

Result<Descriptor> parse_descriptor(const json::Value& value) {
  Descriptor descriptor;
  descriptor.digest = TRY(string_member(value, "digest"));
  TRY(parse_digest(descriptor.digest));
  if (const auto* type = value.string_at("mediaType")) descriptor.media_type = *type;
  if (const json::Value* platform = value.find("platform")) {
    if (const auto* text = platform->string_at("architecture")) descriptor.architecture = *text;
    if (const auto* text = platform->string_at("os")) descriptor.os = *text;
  }
  if (const json::Value* annotations = value.find("annotations")) {
    for (const std::string_view key : {"org.opencontainers.image.ref.name", "io.containerd.image.name"}) {
      if (const auto* name = annotations->string_at(key)) descriptor.names.push_back(*name);
    }
  }
  return descriptor;
}

Result<std::vector<Descriptor>> parse_index(std::string_view text) {
  const json::Value index = TRY(json::parse(text, kJson));
  const json::Array* manifests = array_at(index, "manifests");
  if (manifests == nullptr) return malformed("manifests: missing, want an array");
  std::vector<Descriptor> descriptors;
  for (std::size_t i = 0; i < manifests->size(); ++i) {
    descriptors.push_back(TRY(parse_descriptor((*manifests)[i]).in(fmt::format("manifests[{}]", i))));
  }
  return descriptors;
}

// A tag matches a name that is it, or ends in it after a colon: `latest`, `app:latest`, `docker.io/library/app:latest`.
bool has_tag(const std::vector<std::string>& names, std::string_view tag) {
  return std::any_of(names.begin(), names.end(), [tag](std::string_view name) {
    return name == tag || (name.size() > tag.size() && name.ends_with(tag) &&
                           (name[name.size() - tag.size() - 1] == ':' || name[name.size() - tag.size() - 1] == '/'));
  });
}

template <typename Item>
Result<const Item*> choose(const std::vector<Item>& items, const std::string& tag, std::string_view what) {
  std::string known;
  for (const Item& item : items) {
    for (const std::string& name : item.names) known += (known.empty() ? "" : ", ") + name;
  }
  if (items.empty()) return not_found("{}: holds no image", what);
  if (tag.empty()) {
    if (items.size() == 1) return &items.front();
    for (const Item& item : items) {
      if (has_tag(item.names, "latest")) return &item;
    }
    return not_found("{}: holds {} images, name one of: {}", what, items.size(), known);
  }
  for (const Item& item : items) {
    if (has_tag(item.names, tag)) return &item;
  }
  return not_found("{}: no image tagged {}, it has: {}", what, tag, known.empty() ? "no tags" : known);
}

Result<Descriptor> choose_platform(const std::vector<Descriptor>& descriptors, const std::string& architecture) {
  const std::string wanted = architecture.empty() ? "amd64" : architecture;
  std::string known;
  for (const Descriptor& descriptor : descriptors) {
    if (descriptor.os == "linux" && descriptor.architecture == wanted) return descriptor;
    if (descriptor.architecture.empty() && descriptors.size() == 1) return descriptor;
    known += fmt::format("{}{}/{}", known.empty() ? "" : ", ", descriptor.os, descriptor.architecture);
  }
  // One platform and no wish: take it, and let the architecture be what it is.
  if (architecture.empty()) {
    const auto real = [](const Descriptor& d) { return d.os == "linux"; };
    if (std::count_if(descriptors.begin(), descriptors.end(), real) == 1) {
      return *std::find_if(descriptors.begin(), descriptors.end(), real);
    }
  }
  return not_found("image index: no linux/{}, it has: {}", wanted, known.empty() ? "nothing" : known);
}

Result<Image> read_manifest(const Files& files, const json::Value& manifest) {
  Image image;
  const json::Value* config = manifest.find("config");
  if (config == nullptr) return malformed("config: missing, want a descriptor");
  image.id = TRY(parse_descriptor(*config).in("config")).digest;
  image.config = TRY(parse_config(TRY(read_description(files, image.id))).in("config"));
  const json::Array* layers = array_at(manifest, "layers");
  if (layers == nullptr) return malformed("layers: missing, want an array");
  if (layers->size() > kMaxLayers) return over_limit("layers: {}, limit {}", layers->size(), kMaxLayers);
  if (layers->size() != image.config.diff_ids.size()) {
    return malformed("layers: {}, the config lists {}", layers->size(), image.config.diff_ids.size());
  }
  for (std::size_t i = 0; i < layers->size(); ++i) {
    const Descriptor descriptor = TRY(parse_descriptor((*layers)[i]).in(fmt::format("layers[{}]", i)));
    if (!descriptor.media_type.empty() && descriptor.media_type.find("tar") == std::string::npos) {
      return unsupported("layers[{}]: media type is no tar archive", i);
    }
    image.layers.push_back({TRY(blob_path(descriptor.digest)), descriptor.digest, image.config.diff_ids[i]});
  }
  return image;
}

// HashingStream hashes what passes through into a hasher that outlives it.
class HashingStream final : public Stream {
 public:
  HashingStream(std::unique_ptr<Stream> inner, crypto::Hasher& hasher, std::uint64_t& count)
      : inner_(std::move(inner)), hasher_(hasher), count_(count) {}
  Result<std::size_t> read(std::span<std::uint8_t> out) override {
    const std::size_t got = TRY(inner_->read(out));
    hasher_.update(ByteView(out).first(got));
    count_ += got;
    return got;
  }

 private:
  std::unique_ptr<Stream> inner_;
  crypto::Hasher& hasher_;
  std::uint64_t& count_;
};

// HashingBlob is a blob that is read once, hashed on the way.
class HashingBlob final : public Blob {
 public:
  HashingBlob(const Blob& inner, const Digest& want) : inner_(inner), want_(want), hasher_(want.hash) {}
  std::uint64_t size() const override { return inner_.size(); }
  Result<std::unique_ptr<Stream>> open(std::uint64_t offset) const override {
    CASEMATE_CHECK(offset == 0 && count_ == 0);
    return std::unique_ptr<Stream>(std::make_unique<HashingStream>(TRY(inner_.open(0)), hasher_, count_));
  }
  // check reads what its reader has left, for data may follow the compressed stream.
  Result<void> check() {
    const auto rest = TRY(inner_.open(count_));
    Bytes buffer(kBufferBytes);
    while (const std::size_t got = TRY(rest->read(buffer))) hasher_.update(ByteView(buffer).first(got));
    return compare_digest(want_, hasher_);
  }

 private:
  const Blob& inner_;
  Digest want_;
  mutable crypto::Hasher hasher_;
  mutable std::uint64_t count_ = 0;
};

Result<std::uint64_t> apply_compressed(const Blob& blob, Compression compression, const Layer& layer, std::uint64_t limit, RootFs& rootfs) {
  // Where the archive gives no digest of its own there is only that of the content.
  HashingBlob input(blob, TRY(parse_digest(layer.digest.empty() ? layer.diff_id : layer.digest)));
  const Digest want = TRY(parse_digest(layer.diff_id));
  crypto::Hasher hasher(want.hash);
  std::uint64_t plain_bytes = 0;
  HashingStream stream(TRY(open_plain(input, compression, limit)), hasher, plain_bytes);
  TarReader reader(stream);
  TRY(rootfs.apply(reader));
  Bytes rest(kBufferBytes);
  while (TRY(stream.read(rest)) > 0) {
  }
  if (!layer.digest.empty()) TRY(input.check());
  TRY(compare_digest(want, hasher).in("after decompression"));
  return plain_bytes;
}

Result<std::uint64_t> apply_plain(const Blob& blob, std::uint64_t limit, RootFs& rootfs) {
  if (blob.size() > limit) return over_limit("{} bytes, limit {}", blob.size(), limit);
  const auto stream = TRY(blob.open(0));
  TarReader reader(*stream);
  TRY(rootfs.apply(reader));
  return blob.size();
}

// digests_of lists what the layer as it is stored must hash to.
std::vector<std::string> digests_of(const Layer& layer, Compression compression) {
  std::vector<std::string> digests;
  if (!layer.digest.empty()) digests.push_back(layer.digest);
  if (compression == Compression::kNone && layer.digest != layer.diff_id) digests.push_back(layer.diff_id);
  return digests;
}

Result<LayerFile> load_layer(const Files& files, const Layer& layer, std::uint64_t limit, RootFs& rootfs, const std::string& what,
                             std::vector<Check>* deferred) {
  LayerFile file;
  file.blob = TRY(files.find(layer.path));
  // What cannot be a layer may be one that was damaged, which is worth more to know.
  const auto damaged_or = [&](Error error, Compression compression) -> Error {
    for (const std::string& digest : digests_of(layer, compression)) {
      if (Result<void> checked = check_blob(*file.blob, digest); !checked) return std::move(checked).error();
    }
    return error;
  };
  const Result<Compression> compression = detect_compression(*file.blob);
  if (!compression) return damaged_or(compression.error(), Compression::kGzip);
  file.compression = *compression;
  Result<std::uint64_t> plain_bytes = std::uint64_t{0};
  if (file.compression != Compression::kNone) {
    plain_bytes = apply_compressed(*file.blob, file.compression, layer, limit, rootfs);
  } else {
    for (const std::string& digest : digests_of(layer, file.compression)) {
      if (deferred == nullptr) {
        TRY(check_blob(*file.blob, digest));
      } else {
        TRY(parse_digest(digest));
        deferred->push_back({what, TRY(files.find(layer.path)), digest});
      }
    }
    if (file.blob->size() > 0) plain_bytes = apply_plain(*file.blob, limit, rootfs);
  }
  if (!plain_bytes) return damaged_or(std::move(plain_bytes).error(), file.compression);
  file.plain_bytes = *plain_bytes;
  return file;
}

struct ArchivedImage {
  std::string config;
  std::vector<std::string> names;
  std::vector<std::string> layers;
};

Result<ArchivedImage> parse_archived(const json::Value& value) {
  ArchivedImage image;
  image.config = TRY(string_member(value, "Config"));
  image.names = TRY(string_list(value, "RepoTags")).value_or(std::vector<std::string>{});
  image.layers = TRY(string_list(value, "Layers")).value_or(std::vector<std::string>{});
  return image;
}

}  // namespace

Result<Config> parse_config(std::string_view text) {
  Config config;
  config.json = TRY(json::parse(text, kJson));
  if (config.json.if_object() == nullptr) return malformed("{}, want an object", config.json.type_name());
  config.architecture = TRY(string_member(config.json, "architecture"));
  if (const auto* os = config.json.string_at("os")) config.os = *os;
  if (const json::Value* rootfs = config.json.find("rootfs")) {
    config.diff_ids = TRY(string_list(*rootfs, "diff_ids")).value_or(std::vector<std::string>{});
  }
  for (std::size_t i = 0; i < config.diff_ids.size(); ++i) TRY(parse_digest(config.diff_ids[i]).in(fmt::format("diff_ids[{}]", i)));
  if (const json::Value* run = config.json.find("config"); run != nullptr && !run->is_null()) {
    config.command = TRY(string_list(*run, "Cmd"));
    config.entrypoint = TRY(string_list(*run, "Entrypoint"));
    config.environment = TRY(string_list(*run, "Env")).value_or(std::vector<std::string>{});
    if (const auto* directory = run->string_at("WorkingDir")) config.working_directory = *directory;
    if (const auto* user = run->string_at("User")) config.user = *user;
  }
  return config;
}

Result<Image> find_in_layout(const Files& files, const Wanted& wanted) {
  const auto index_blob = TRY(files.find("index.json"));
  const auto index = TRY(parse_index(TRY(read_all(*index_blob, kDescriptionBytes).in("index.json"))).in("index.json"));
  // A layout may list one image once for each platform without an index of its own.
  std::vector<Descriptor> candidates = index;
  const std::string architecture = wanted.architecture.empty() ? "amd64" : wanted.architecture;
  std::erase_if(candidates, [&](const Descriptor& d) { return !d.architecture.empty() && d.architecture != architecture; });
  if (candidates.empty()) candidates = index;
  Descriptor descriptor = *TRY(choose(candidates, wanted.tag, "index.json"));
  const std::vector<std::string> names = descriptor.names;
  for (int depth = 0; depth < kMaxIndexDepth; ++depth) {
    const std::string text = TRY(read_description(files, descriptor.digest).in("manifest"));
    const json::Value manifest = TRY(json::parse(text, kJson).in("manifest"));
    if (manifest.find("manifests") != nullptr) {
      descriptor = TRY(choose_platform(TRY(parse_index(text).in("image index")), wanted.architecture));
      continue;
    }
    Image image = TRY(read_manifest(files, manifest).in("manifest"));
    image.names = names;
    if (!wanted.architecture.empty() && image.config.architecture != wanted.architecture) {
      return not_found("image is for {}, want {}", image.config.architecture, wanted.architecture);
    }
    return image;
  }
  return malformed("image index: nested more than {} deep", kMaxIndexDepth);
}

Result<Image> find_in_docker_archive(const Files& files, const Wanted& wanted) {
  const auto manifest_blob = TRY(files.find("manifest.json"));
  const json::Value manifest = TRY(json::parse(TRY(read_all(*manifest_blob, kDescriptionBytes).in("manifest.json")), kJson).in("manifest.json"));
  const json::Array* list = manifest.if_array();
  if (list == nullptr) return malformed("manifest.json: {}, want an array", manifest.type_name());
  std::vector<ArchivedImage> archived;
  for (std::size_t i = 0; i < list->size(); ++i) archived.push_back(TRY(parse_archived((*list)[i]).in(fmt::format("manifest.json[{}]", i))));
  const ArchivedImage& chosen = *TRY(choose(archived, wanted.tag, "manifest.json"));
  const auto config_blob = TRY(files.find(chosen.config));
  const std::string config_text = TRY(read_all(*config_blob, kDescriptionBytes).in("config"));
  Image image;
  image.id = "sha256:" + encode_hex(crypto::sha256(as_bytes(config_text)));
  image.config = TRY(parse_config(config_text).in("config"));
  image.names = chosen.names;
  if (chosen.layers.size() > kMaxLayers) return over_limit("layers: {}, limit {}", chosen.layers.size(), kMaxLayers);
  if (chosen.layers.size() != image.config.diff_ids.size()) {
    return malformed("manifest.json: {} layers, the config lists {}", chosen.layers.size(), image.config.diff_ids.size());
  }
  for (std::size_t i = 0; i < chosen.layers.size(); ++i) {
    Layer layer{chosen.layers[i], {}, image.config.diff_ids[i]};
    // Newer engines store layers as OCI blobs, whose names are digests.
    constexpr std::string_view kBlobs = "blobs/sha256/";
    if (layer.path.starts_with(kBlobs)) layer.digest = "sha256:" + layer.path.substr(kBlobs.size());
    image.layers.push_back(std::move(layer));
  }
  if (!wanted.architecture.empty() && image.config.architecture != wanted.architecture) {
    return not_found("image is for {}, want {}", image.config.architecture, wanted.architecture);
  }
  return image;
}

Result<void> Check::run(const std::function<bool()>& stop) const { return check_blob(*blob, digest, stop).in(what); }

Result<LoadedImage> load(const Files& files, const Image& image, const LoadLimits& limits, std::vector<Check>* deferred) {
  LoadedImage loaded{RootFs(limits.rootfs), {}};
  std::uint64_t left = limits.plain_bytes;
  for (std::size_t i = 0; i < image.layers.size(); ++i) {
    const std::string what = fmt::format("layer {}", i + 1);
    LayerFile file = TRY(load_layer(files, image.layers[i], left, loaded.rootfs, what, deferred).in(what));
    left -= file.plain_bytes;
    loaded.layers.push_back(std::move(file));
  }
  return loaded;
}

}  // namespace casemate::oci
