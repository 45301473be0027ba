// SPDX-License-Identifier: Apache-2.0
#include "console/guard.h"

#include <algorithm>

namespace casemate::console {
namespace {

constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types default";

}  // namespace

std::string host_name(std::string_view host) {
  if (host.empty() || host.size() > 255) return {};
  std::string_view name = host;
  if (host.front() == '[') {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return {};
    name = host.substr(0, end + 1);
  } else {
    name = host.substr(0, host.find(':'));
  }
  const std::string_view rest = host.substr(name.size());
  const bool port = rest.size() > 1 && rest.size() <= 6 && rest.front() == ':' &&
                    rest.find_first_not_of("0123456789", 1) == std::string_view::npos;
  if (!rest.empty() && !port) return {};
  std::string out(name);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

bool is_our_host(const http::Request& request, const std::vector<std::string>& hosts) {
  const std::string* host = request.headers.find("host");
  if (host == nullptr || request.headers.count("host") != 1) return false;
  return std::find(hosts.begin(), hosts.end(), host_name(*host)) != hosts.end();
}

bool is_our_page(const http::Request& request) {
  if (const std::string* site = request.headers.find("sec-fetch-site"); site != nullptr && *site != "same-origin")
    return false;
  const std::string* origin = request.headers.find("origin");
  if (origin == nullptr) return true;
  const std::string* host = request.headers.find("host");
  return host != nullptr && *origin == std::string(request.secure ? "https://" : "http://") + *host;
}

void confine(http::Response& response) {
  response.headers.set("Content-Security-Policy", kPolicy);
  response.headers.set("X-Frame-Options", "DENY");
  response.headers.set("X-Content-Type-Options", "nosniff");
  response.headers.set("Referrer-Policy", "no-referrer");
  response.headers.set("Cross-Origin-Opener-Policy", "same-origin");
  response.headers.set("Cross-Origin-Resource-Policy", "same-origin");
  response.headers.set("Permissions-Policy", "camera=(), geolocation=(), microphone=()");
}

}  // namespace casemate::console
