// SPDX-License-Identifier: Apache-2.0
#include "console/service.h"

#include "console/guard.h"

namespace casemate::console {
namespace {

constexpr std::string_view kRoot = "/console";
constexpr std::string_view kPage = "/console/";
constexpr std::string_view kApi = "/console/api/";

http::Response text(unsigned status, std::string_view body) {
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", "text/plain; charset=utf-8");
  response.headers.add("Cache-Control", "no-store");
  response.body = body;
  return response;
}

}  // namespace

Service::Service(Parts parts, Options options, std::optional<Assets> assets)
    : hosts_(options.hosts), api_(std::move(parts), std::move(options)), assets_(std::move(assets)) {}

bool Service::owns(const http::Request& request) {
  const std::string_view path = request.path();
  if (path == kRoot || path.starts_with(kPage)) return true;
  return path == "/" && request.query().empty() && request.method == "GET" &&
         request.headers.find("authorization") == nullptr;
}

http::Response Service::handle(const http::Request& request) {
  http::Response response = dispatch(request);
  confine(response);
  return response;
}

http::Response Service::dispatch(const http::Request& request) {
  if (!is_our_host(request, hosts_)) return text(421, "the console is not served under this name\n");
  const std::string_view path = request.path();
  if (path == kRoot || path == "/") {
    http::Response response = text(302, "");
    response.headers.add("Location", kPage);
    return response;
  }
  if (path.starts_with(kApi)) return api_.handle(request, path.substr(kApi.size()));
  if (!assets_) {
    return text(503,
                "The console was not built. In the source tree: tools/build_console.sh, then start casemated again.\n"
                "KMS, STS and IMDS work without it.\n");
  }
  return assets_->serve(request, path.substr(kPage.size()));
}

}  // namespace casemate::console
