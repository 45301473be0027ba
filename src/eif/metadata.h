// SPDX-License-Identifier: Apache-2.0
// The metadata section: who built the image from what. It is in no PCR.
#pragma once

#include <string>
#include <string_view>

#include "json/value.h"

namespace casemate::eif {

struct Metadata {
  std::string image_name;
  std::string image_version;
  std::string build_time;  // RFC 3339
  std::string build_tool;
  std::string build_tool_version;
  std::string operating_system;
  std::string kernel_version;
  json::Value docker_info;  // docker inspect's object, or null
  json::Value custom;       // the user's, or null
};

// encode_metadata writes compact JSON with AWS's order of members; docker_info's are sorted at every level.
std::string encode_metadata(const Metadata& metadata);

// parse_metadata reads a metadata section. Errors: kMalformed (naming the member), kLimit.
Result<Metadata> parse_metadata(std::string_view text);

// parse_custom_metadata reads the user's file: any JSON, at most 4,096 bytes.
Result<json::Value> parse_custom_metadata(std::string_view text);

// KernelName is what line 3 of a kernel's configuration says: "# Linux/x86 6.1.158 Kernel Configuration".
struct KernelName {
  std::string operating_system;
  std::string version;
};
Result<KernelName> parse_kernel_config(std::string_view config);

}  // namespace casemate::eif
