// SPDX-License-Identifier: Apache-2.0
#include "image/source.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <utility>

#include "image/files.h"
#include "image/unix_http.h"
#include "oci/archive_files.h"
#include "oci/decompress.h"
#include "os/process.h"

namespace casemate::image {

namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint64_t kMaxArchiveBytes = std::uint64_t{64} << 30;
constexpr std::size_t kReplyBytes = 8 * 1024 * 1024;
// An engine may need long before the first byte of a large image, a registry likewise.
constexpr milliseconds kPatience = minutes(30);
constexpr std::string_view kApi = "/v1.24";  // every engine since 2016 speaks it

// split_tag takes `PATH[:TAG]` apart; a colon in an existing path's own name belongs to the path.
std::pair<std::string, std::string> split_tag(const std::string& text) {
  std::error_code error;
  if (std::filesystem::exists(text, error)) return {text, ""};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || text.find('/', colon) != std::string::npos) return {text, ""};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                       c == '_' || c == '~' || c == '/' || c == ':' || c == '@';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

// A reference has nothing that could be taken for an option or for another request.
Result<void> check_reference(const std::string& name) {
  if (name.empty() || name.front() == '-' || name.size() > 512) return malformed("image name: want NAME[:TAG]");
  for (const char c : name) {
    if (c <= ' ' || c > '~') return malformed("image name: holds a character that no name has");
  }
  return {};
}

// open_archive indexes an archive and says whether it is an OCI layout. A compressed one is stored plain first.
Result<std::unique_ptr<oci::ArchiveFiles>> open_archive(std::unique_ptr<oci::Blob> blob) {
  const oci::Compression compression = TRY(oci::detect_compression(*blob));
  if (compression != oci::Compression::kNone) {
    const auto plain = TRY(oci::open_plain(*blob, compression, kMaxArchiveBytes));
    blob = TRY(spool(*plain, kMaxArchiveBytes));
  }
  return oci::ArchiveFiles::open(std::move(blob));
}

Result<Source> source_of(std::unique_ptr<oci::Files> files, oci::Image image, std::string name) {
  Source source{std::move(files), std::move(image), std::move(name), {}};
  source.inspect = describe(source.image);
  return source;
}

Result<Source> from_archive(std::unique_ptr<oci::Blob> blob, const oci::Wanted& wanted, std::string name) {
  std::unique_ptr<oci::Files> files = TRY(open_archive(std::move(blob)));
  const bool docker = files->find("manifest.json").ok();
  // Newer engines save both descriptions; manifest.json carries the tags as users know them.
  oci::Image image = docker ? TRY(oci::find_in_docker_archive(*files, wanted)) : TRY(oci::find_in_layout(*files, wanted));
  return source_of(std::move(files), std::move(image), std::move(name));
}

class StandardInput final : public ByteSource {
 public:
  Result<std::size_t> read(std::span<std::uint8_t> out) override { return os::read_some(0, out); }
};

std::string file_name(const std::string& path) {
  os::Path name = os::Path(path).lexically_normal();
  if (!name.has_filename()) name = name.parent_path();
  return name.filename().stem().native();
}

// tagged adds `:latest` as nitro-cli does.
std::string tagged(const std::string& name) { return name.find(':') == std::string::npos ? name + ":latest" : name; }

std::string before_colon(const std::string& name) { return name.substr(0, name.find(':')); }

// last_line shortens a tool's output to what it said at the end.
std::string last_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text.substr(text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1);
}

bool engine_answers(const os::Path& socket) {
  const auto reply = unix_http(socket, "GET", "/_ping", seconds(10));
  return reply.ok() && reply.value().status == 200;
}

// engine_inspect gives the engine's description; nothing when it has no such image.
Result<std::optional<json::Value>> engine_inspect(const os::Path& socket, const std::string& name) {
  HttpReply reply = TRY(unix_http(socket, "GET", fmt::format("{}/images/{}/json", kApi, percent_encoded(name)), seconds(60)));
  const std::string text = TRY(read_text(*reply.body, kReplyBytes));
  if (reply.status == 404) return std::optional<json::Value>{};
  if (reply.status != 200) return unavailable("Docker engine: status {} for the image's description", reply.status);
  return std::optional<json::Value>(TRY(json::parse(text, {kReplyBytes, 64, 200'000}).in("Docker engine: image description")));
}

Result<Source> from_engine(const std::string& name, json::Value inspect, const SourceOptions& options) {
  const std::string* id = inspect.string_at("Id");
  if (id == nullptr) return malformed("Docker engine: image description without Id");
  // By its id the image cannot change between the description and the content.
  HttpReply reply = TRY(unix_http(options.engine_socket, "GET", fmt::format("{}/images/{}/get", kApi, percent_encoded(*id)), kPatience));
  if (reply.status != 200) return unavailable("Docker engine: status {} for the image's content", reply.status);
  auto blob = TRY(spool(*reply.body, kMaxArchiveBytes).in("Docker engine"));
  Source source = TRY(from_archive(std::move(blob), {"", options.architecture}, before_colon(name)).in("Docker engine"));
  source.image.id = *id;
  source.inspect = std::move(inspect);
  return source;
}

Result<void> engine_pull(const os::Path& socket, const std::string& name) {
  const std::size_t slash = name.rfind('/') == std::string::npos ? 0 : name.rfind('/');
  const std::size_t colon = name.find(':', slash);
  const std::string repository = name.substr(0, colon);
  const std::string tag = colon == std::string::npos ? "latest" : name.substr(colon + 1);
  HttpReply reply = TRY(unix_http(socket, "POST", fmt::format("{}/images/create?fromImage={}&tag={}", kApi, percent_encoded(repository), percent_encoded(tag)), kPatience));
  const std::string text = TRY(read_text(*reply.body, kReplyBytes));
  // The reply is a sequence of JSON objects, one a line; an error may come last under status 200.
  std::string problem;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (const auto line = json::parse(std::string_view(text).substr(at, end - at)); line.ok()) {
      for (const std::string_view key : {"error", "message"}) {
        if (const auto* message = line.value().string_at(key)) problem = *message;
      }
    }
    at = end + 1;
  }
  if (reply.status == 200 && problem.empty()) return {};
  return not_found("{}: not in the Docker engine, and pulling it failed: {}", name, problem.empty() ? fmt::format("status {}", reply.status) : last_line(problem));
}

// find_program looks a tool up as a shell would.
std::optional<std::string> find_program(const char* name) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    const os::Path candidate = os::Path(rest.substr(0, colon)) / name;
    std::error_code error;
    if (std::filesystem::is_regular_file(candidate, error)) return candidate.native();
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return std::nullopt;
}

// from_storage copies an image out of the storage that buildah and Podman share; nothing when it is not there.
Result<std::optional<Source>> from_storage(const std::string& name, const SourceOptions& options) {
  const std::optional<std::string> buildah = find_program("buildah");
  if (!buildah) return std::optional<Source>{};
  const os::Output known = TRY(os::run({*buildah, "images", "--quiet", "--", name}, minutes(1)));
  if (known.status != 0 || known.out.empty()) return std::optional<Source>{};
  const TemporaryDirectory directory = TRY(TemporaryDirectory::create());
  const os::Path layout = directory.path() / "image";
  const os::Output pushed = TRY(os::run({*buildah, "push", "--quiet", "--disable-compression", "--", name, "oci-archive:" + layout.native()}, kPatience));
  if (pushed.status != 0) return unavailable("buildah: {}", last_line(pushed.err));
  return std::optional<Source>(TRY(from_archive(TRY(open_blob(layout)), {"", options.architecture}, before_colon(name)).in("buildah")));
}

Result<Source> from_name(const std::string& uri, const SourceOptions& options) {
  TRY(check_reference(uri));
  const std::string name = tagged(uri);
  const bool engine = engine_answers(options.engine_socket);
  if (engine) {
    if (auto inspect = TRY(engine_inspect(options.engine_socket, name))) {
      options.tell("Using the locally available Docker image...");
      return from_engine(name, std::move(*inspect), options);
    }
  }
  if (auto stored = TRY(from_storage(name, options))) {
    options.tell("Using the locally available image of buildah's storage...");
    return std::move(*stored);
  }
  if (!engine) {
    return not_found("{}: no Docker engine answers at {}, and buildah has no such image (oci:DIR, oci-archive:FILE and "
                     "docker-archive:FILE need neither)", name, options.engine_socket.native());
  }
  TRY(engine_pull(options.engine_socket, name));
  auto inspect = TRY(engine_inspect(options.engine_socket, name));
  if (!inspect) return not_found("{}: pulled, but the Docker engine does not have it", name);
  return from_engine(name, std::move(*inspect), options);
}

}  // namespace

json::Value describe(const oci::Image& image) {
  json::Object out;
  out.set("Architecture", image.config.architecture);
  const json::Value* config = image.config.json.find("config");
  out.set("Config", config == nullptr ? json::Value() : *config);
  if (const auto* created = image.config.json.string_at("created")) out.set("Created", *created);
  out.set("Id", image.id);
  out.set("Os", image.config.os);
  json::Array tags;
  for (const std::string& name : image.names) tags.emplace_back(name);
  out.set("RepoTags", std::move(tags));
  json::Array layers;
  for (const std::string& id : image.config.diff_ids) layers.emplace_back(id);
  json::Object rootfs;
  rootfs.set("Layers", std::move(layers));
  rootfs.set("Type", "layers");
  out.set("RootFS", std::move(rootfs));
  return out;
}

Result<Source> open_source(const std::string& uri, const SourceOptions& options) {
  const auto scheme = [&uri](std::string_view prefix) { return uri.starts_with(prefix) ? std::optional(uri.substr(prefix.size())) : std::nullopt; };
  if (uri == "-") {
    StandardInput input;
    auto blob = TRY(spool(input, kMaxArchiveBytes).in("standard input"));
    if (blob->size() == 0) return malformed("standard input: empty, want an OCI or docker archive");
    return from_archive(std::move(blob), {"", options.architecture}, "stdin").in("standard input");
  }
  if (const auto rest = scheme("oci:")) {
    const auto [path, tag] = split_tag(*rest);
    auto files = TRY(open_directory(path));
    oci::Image image = TRY(oci::find_in_layout(*files, {tag, options.architecture}).in(path));
    return source_of(std::move(files), std::move(image), file_name(path));
  }
  for (const bool docker : {false, true}) {
    const auto rest = scheme(docker ? "docker-archive:" : "oci-archive:");
    if (!rest) continue;
    const auto [path, tag] = split_tag(*rest);
    std::unique_ptr<oci::Files> files = TRY(open_archive(TRY(open_blob(path))).in(path));
    const oci::Wanted wanted{tag, options.architecture};
    oci::Image image = TRY((docker ? oci::find_in_docker_archive(*files, wanted) : oci::find_in_layout(*files, wanted)).in(path));
    return source_of(std::move(files), std::move(image), file_name(path));
  }
  return from_name(uri, options);
}

Result<void> build_in_directory(const std::string& uri, const os::Path& directory, const SourceOptions& options) {
  std::error_code error;
  if (!std::filesystem::is_directory(directory, error)) return not_found("{}: no such folder", directory.native());
  TRY(check_reference(uri));
  const std::string name = tagged(uri);
  const std::string folder = std::filesystem::absolute(directory).native();
  std::vector<std::string> command;
  const std::optional<std::string> docker = find_program("docker");
  const std::optional<std::string> buildah = find_program("buildah");
  if (docker && engine_answers(options.engine_socket)) {
    command = {*docker, "--host", "unix://" + options.engine_socket.native(), "build", "--tag", name};
  } else if (buildah) {
    command = {*buildah, "bud", "--tag", name};
  } else {
    return not_found("no Docker engine answers at {}, and buildah is not installed", options.engine_socket.native());
  }
  if (!options.architecture.empty()) command.insert(command.end(), {"--platform", "linux/" + options.architecture});
  command.push_back(folder);
  const os::Output built = TRY(os::run(command, std::chrono::hours(2), 64 * 1024 * 1024));
  if (built.status != 0) return internal("{}: {}", command.front(), last_line(built.err.empty() ? built.out : built.err));
  return {};
}

Result<os::Path> engine_socket_from_environment() {
  const char* host = std::getenv("DOCKER_HOST");
  if (host == nullptr || *host == '\0') return os::Path("/var/run/docker.sock");
  constexpr std::string_view kUnix = "unix://";
  const std::string_view text = host;
  if (!text.starts_with(kUnix)) return unsupported("DOCKER_HOST: {}, want unix://PATH", text);
  return os::Path(text.substr(kUnix.size()));
}

}  // namespace casemate::image
