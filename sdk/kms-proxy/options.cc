// SPDX-License-Identifier: Apache-2.0
#include "sdk/kms-proxy/options.h"

#include <algorithm>
#include <charconv>

namespace casemate::kms_proxy {
namespace {

constexpr const char* kUsage =
    "usage: casemate-kms-proxy [options] [-- COMMAND [ARGUMENT...]]\n"
    "\n"
    "Serves KMS over HTTP on the enclave's loopback to any AWS SDK: requests are signed with the enclave's credentials, the\n"
    "operations that take a Recipient are attested, and their answers are opened. With COMMAND, runs it with\n"
    "AWS_ENDPOINT_URL_KMS set and ends with its exit status.\n"
    "\n"
    "  --listen ADDRESS:PORT     loopback address to serve on (127.0.0.1:8090; port 0: any)\n"
    "  --proxy-port PORT         vsock-proxy's port on the parent (8000)\n"
    "  --credentials SOURCE      vsock[:PORT], the parent's casemate-credentials-server (default, port 8001);\n"
    "                            imds[:PORT], a vsock-proxy route to 169.254.169.254:80 (port 8002);\n"
    "                            env, AWS_ACCESS_KEY_ID and the like\n"
    "  --region REGION           AWS_REGION, else the one that a request is signed for\n"
    "  --endpoint-host HOST      name of the KMS endpoint (that of the region)\n"
    "  --ca-file FILE            trusted certificates, PEM (SSL_CERT_FILE, else the image's)\n"
    "  --workers N               requests at a time (16)\n";

template <typename T>
bool parse_number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return !text.empty() && error == std::errc{} && end == text.data() + text.size();
}

Result<void> set_listen(std::string_view value, Options& options) {
  const auto colon = value.rfind(':');
  if (colon == std::string_view::npos || !parse_number(value.substr(colon + 1), options.port)) return malformed("want ADDRESS:PORT");
  std::string_view address = value.substr(0, colon);
  if (address == "[::1]") address = "::1";
  // Anything wider would offer the enclave's keys to whoever can connect.
  if (address != "::1" && !address.starts_with("127.")) return malformed("\"{}\" is no loopback address, want 127.0.0.1 or [::1]", address);
  options.address = address;
  return {};
}

Result<void> set_credentials(std::string_view value, Options& options) {
  const auto colon = value.find(':');
  const std::string_view kind = value.substr(0, colon);
  if (kind == "vsock") {
    options.credentials = CredentialsFrom::kVsock;
    options.credentials_port = 8001;
  } else if (kind == "imds") {
    options.credentials = CredentialsFrom::kMetadata;
    options.credentials_port = 8002;
  } else if (value == "env") {
    options.credentials = CredentialsFrom::kEnvironment;
  } else {
    return malformed("\"{}\", want vsock[:PORT], imds[:PORT] or env", value);
  }
  if (colon != std::string_view::npos && !parse_number(value.substr(colon + 1), options.credentials_port)) return malformed("port: want a number");
  return {};
}

Result<void> set(std::string_view name, std::string_view value, Options& options) {
  if (name == "--listen") return set_listen(value, options);
  if (name == "--credentials") return set_credentials(value, options);
  if (name == "--proxy-port") {
    if (!parse_number(value, options.proxy_port)) return malformed("want a number");
  } else if (name == "--region") {
    options.region = value;
  } else if (name == "--endpoint-host") {
    options.host = value;
  } else if (name == "--ca-file") {
    options.ca_file = value;
  } else if (name == "--workers") {
    if (!parse_number(value, options.workers) || options.workers == 0 || options.workers > 256) return malformed("want 1 to 256");
  } else {
    return malformed("unknown option");
  }
  return {};
}

Exit usage_error(const std::string& text) {
  return {2, "casemate-kms-proxy: " + text + " (--help lists the options)\n"};
}

bool defines(const std::vector<std::string>& environment, std::string_view name) {
  return std::any_of(environment.begin(), environment.end(), [&](const std::string& each) {
    return each.size() > name.size() && each.starts_with(name) && each[name.size()] == '=';
  });
}

}  // namespace

std::variant<Options, Exit> parse_options(std::span<const char* const> arguments, const std::function<std::string(const char*)>& environment) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--help" || argument == "-h") return Exit{0, kUsage};
    if (argument == "--") {
      options.command.assign(arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1, arguments.end());
      if (options.command.empty()) return usage_error("--: no command");
      break;
    }
    const auto equals = argument.find('=');
    const std::string_view name = argument.substr(0, equals);
    if (equals == std::string_view::npos && i + 1 == arguments.size()) return usage_error(std::string(name) + ": value missing, or unknown");
    const std::string_view value = equals == std::string_view::npos ? std::string_view(arguments[++i]) : argument.substr(equals + 1);
    if (const auto done = set(name, value, options); !done) return usage_error(fmt::format("{}: {}", name, done.error().message()));
  }
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (options.region.empty()) options.region = environment(name);
  }
  return options;
}

std::vector<std::string> child_environment(std::vector<std::string> inherited, const std::string& url, const std::string& region) {
  std::erase_if(inherited, [](const std::string& each) { return each.starts_with("AWS_ENDPOINT_URL_KMS="); });
  inherited.push_back("AWS_ENDPOINT_URL_KMS=" + url);
  if (!defines(inherited, "AWS_ACCESS_KEY_ID")) {
    inherited.emplace_back("AWS_ACCESS_KEY_ID=casemate-kms-proxy");
    inherited.emplace_back("AWS_SECRET_ACCESS_KEY=not-used");
  }
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (!region.empty() && !defines(inherited, name)) inherited.push_back(std::string(name) + "=" + region);
  }
  return inherited;
}

}  // namespace casemate::kms_proxy
