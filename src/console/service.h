// SPDX-License-Identifier: Apache-2.0
// Service: everything under /console: the page and its API, behind one set of checks and headers.
#pragma once

#include <optional>

#include "console/api.h"
#include "console/assets.h"

namespace casemate::console {

class Service {
 public:
  // Without assets the API works and the page says that it was not built.
  Service(Parts parts, Options options, std::optional<Assets> assets);

  // owns: whether a request is for the console: its paths, and a browser's bare visit of `/`, which is sent there.
  static bool owns(const http::Request& request);

  // handle may be called by several threads at once; it blocks on enclaves and the disk.
  http::Response handle(const http::Request& request);

 private:
  http::Response dispatch(const http::Request& request);

  const std::vector<std::string> hosts_;
  Api api_;
  const std::optional<Assets> assets_;
};

}  // namespace casemate::console
