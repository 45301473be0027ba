// SPDX-License-Identifier: Apache-2.0
// HTTP responses: the verdict and the response do not depend on how the bytes arrive, and limits hold.
#include <algorithm>

#include "base/check.h"
#include "sdk/src/http_response.h"

namespace {

using namespace casemate;

struct Outcome {
  bool ok = false;
  std::size_t used = 0;
  http::Response response;
  bool keep_alive = false;
};

Outcome read(ByteView input, std::size_t step, const sdk::ResponseLimits& limits) {
  sdk::ResponseParser parser(limits);
  Outcome outcome;
  while (outcome.used < input.size() && !parser.done()) {
    const ByteView piece = input.subspan(outcome.used, std::min(step, input.size() - outcome.used));
    const auto count = parser.feed(piece);
    if (!count) return {};
    CASEMATE_CHECK(*count <= piece.size() && (*count != 0 || parser.done()));
    outcome.used += *count;
  }
  if (!parser.end()) return {};
  CASEMATE_CHECK(parser.done());
  outcome.ok = true;
  outcome.keep_alive = parser.keep_alive();
  outcome.response = parser.take();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  sdk::ResponseLimits limits;
  limits.head_bytes = 512;
  limits.headers = 8;
  limits.body_bytes = 1024;
  const Outcome whole = read(input, size == 0 ? 1 : size, limits);
  for (const std::size_t step : {std::size_t{1}, std::size_t{3}}) {
    const Outcome pieces = read(input, step, limits);
    CASEMATE_CHECK(pieces.ok == whole.ok && pieces.used == whole.used && pieces.keep_alive == whole.keep_alive);
    CASEMATE_CHECK(pieces.response.body == whole.response.body && pieces.response.status == whole.response.status);
    CASEMATE_CHECK(std::equal(pieces.response.headers.begin(), pieces.response.headers.end(), whole.response.headers.begin(), whole.response.headers.end()));
  }
  if (whole.ok) {
    CASEMATE_CHECK(whole.response.status >= 200 && whole.response.status <= 999);
    CASEMATE_CHECK(whole.response.body.size() <= limits.body_bytes && whole.response.headers.size() <= limits.headers);
  }
  return 0;
}
