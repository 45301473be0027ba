// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 requests: however the bytes are cut, the reader finds the same requests and the same end, and it never holds
// more than its limits. The first byte chooses the cuts.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "http/request_parser.h"

namespace {

using casemate::http::RequestLimits;
using casemate::http::RequestParser;

struct Outcome {
  std::vector<std::string> requests;
  bool rejected = false;
  bool operator==(const Outcome&) const = default;
};

std::string flatten(const casemate::http::Request& request) {
  std::string out = request.method + ' ' + request.target + '\n';
  for (const auto& [name, value] : request.headers) out += name + ':' + value + '\n';
  return out + '\n' + request.body;
}

Outcome read(std::string_view input, std::size_t step, const RequestLimits& limits) {
  RequestParser parser(limits);
  Outcome out;
  std::string pending;
  while (true) {
    const std::size_t used = parser.feed(pending);
    if (used > pending.size()) std::abort();
    pending.erase(0, used);
    if (parser.state() == RequestParser::State::kRejected) {
      if (parser.rejection().status < 400 || parser.rejection().status > 599) std::abort();
      out.rejected = true;
      return out;
    }
    if (parser.state() == RequestParser::State::kDone) {
      const auto request = parser.take();
      if (request.body.size() > limits.body_bytes || request.headers.size() > limits.header_fields) std::abort();
      if (request.headers.count("content-length") > 1) std::abort();
      out.requests.push_back(flatten(request));
      continue;
    }
    if (input.empty()) return out;
    pending.append(input.substr(0, step));
    input.remove_prefix(std::min(step, input.size()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const RequestLimits limits{.head_bytes = 512, .header_fields = 8, .body_bytes = 256};
  const std::string_view input = casemate::as_text({data + 1, size - 1});
  const Outcome whole = read(input, input.size() + 1, limits);
  if (read(input, 1, limits) != whole || read(input, data[0] % 16U + 2U, limits) != whole) std::abort();
  return 0;
}
