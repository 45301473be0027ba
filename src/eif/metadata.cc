// SPDX-License-Identifier: Apache-2.0
#include "eif/metadata.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "eif/format.h"

namespace casemate::eif {

namespace {

constexpr json::Limits kLimits{4 * 1024 * 1024, 64, 200'000};

json::Value sorted(const json::Value& value) {
  if (const auto* array = value.if_array()) {
    json::Array out;
    for (const json::Value& item : *array) out.push_back(sorted(item));
    return out;
  }
  const auto* object = value.if_object();
  if (object == nullptr) return value;
  std::vector<json::Object::Member> members(object->begin(), object->end());
  std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  json::Object out;
  for (auto& [name, member] : members) out.append(std::move(name), sorted(member));
  return out;
}

Result<std::string> text_at(const json::Value& object, std::string_view name) {
  const std::string* text = object.string_at(name);
  if (text == nullptr) return malformed("metadata: {}: missing, want a string", name);
  return *text;
}

}  // namespace

std::string encode_metadata(const Metadata& metadata) {
  json::Object build;
  build.set("BuildTime", metadata.build_time);
  build.set("BuildTool", metadata.build_tool);
  build.set("BuildToolVersion", metadata.build_tool_version);
  build.set("OperatingSystem", metadata.operating_system);
  build.set("KernelVersion", metadata.kernel_version);
  json::Object all;
  all.set("ImageName", metadata.image_name);
  all.set("ImageVersion", metadata.image_version);
  all.set("BuildMetadata", std::move(build));
  all.set("DockerInfo", sorted(metadata.docker_info));
  all.set("CustomMetadata", sorted(metadata.custom));
  return json::encode(all);
}

Result<Metadata> parse_metadata(std::string_view text) {
  const json::Value all = TRY(json::parse(text, kLimits).in("metadata"));
  Metadata metadata;
  metadata.image_name = TRY(text_at(all, "ImageName"));
  metadata.image_version = TRY(text_at(all, "ImageVersion"));
  const json::Value* build = all.find("BuildMetadata");
  if (build == nullptr) return malformed("metadata: BuildMetadata: missing, want an object");
  metadata.build_time = TRY(text_at(*build, "BuildTime"));
  metadata.build_tool = TRY(text_at(*build, "BuildTool"));
  metadata.build_tool_version = TRY(text_at(*build, "BuildToolVersion"));
  metadata.operating_system = TRY(text_at(*build, "OperatingSystem"));
  metadata.kernel_version = TRY(text_at(*build, "KernelVersion"));
  if (const auto* docker = all.find("DockerInfo")) metadata.docker_info = *docker;
  if (const auto* custom = all.find("CustomMetadata")) metadata.custom = *custom;
  return metadata;
}

Result<json::Value> parse_custom_metadata(std::string_view text) {
  if (text.size() > kMaxCustomMetadataBytes) return over_limit("metadata file: {} bytes, limit {}", text.size(), kMaxCustomMetadataBytes);
  return json::parse(text, kLimits).in("metadata file");
}

Result<KernelName> parse_kernel_config(std::string_view config) {
  for (int line = 1; line < 3; ++line) config.remove_prefix(std::min(config.find('\n'), config.size() - 1) + 1);
  config = config.substr(0, config.find('\n'));
  std::vector<std::string> words;
  while (!config.empty()) {
    const std::size_t end = std::min(config.find_first_of(" /-"), config.size());
    words.emplace_back(config.substr(0, end));
    config.remove_prefix(std::min(end + 1, config.size()));
  }
  if (words.size() < 4) return malformed("kernel configuration: line 3 does not name the kernel, want \"# Linux/x86 VERSION ...\"");
  return KernelName{words[1], words[3]};
}

}  // namespace casemate::eif
