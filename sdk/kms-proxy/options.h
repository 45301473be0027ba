// SPDX-License-Identifier: Apache-2.0
// Command line of casemate-kms-proxy as values.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"

namespace casemate::kms_proxy {

enum class CredentialsFrom { kVsock, kMetadata, kEnvironment };

struct Options {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8090;  // 0: any free one
  std::uint32_t proxy_port = 8000;
  std::string region;
  std::string host;
  std::string ca_file;
  CredentialsFrom credentials = CredentialsFrom::kVsock;
  std::uint32_t credentials_port = 8001;
  unsigned workers = 16;
  // Run with the proxy's address in its environment; the proxy ends with it.
  std::vector<std::string> command;
};

// Exit is a command line that ends the program: help on stdout with status 0, an error on stderr with status 2.
struct Exit {
  int status = 0;
  std::string text;
};

// `environment` finds AWS_REGION and AWS_DEFAULT_REGION where no flag names the region.
std::variant<Options, Exit> parse_options(std::span<const char* const> arguments, const std::function<std::string(const char*)>& environment);

// child_environment is the command's: `inherited` (NAME=VALUE) with AWS_ENDPOINT_URL_KMS, and, where they are not set, a region
// and credentials that only have to exist for an SDK to sign with them.
std::vector<std::string> child_environment(std::vector<std::string> inherited, const std::string& url, const std::string& region);

}  // namespace casemate::kms_proxy
