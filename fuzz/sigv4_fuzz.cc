// SPDX-License-Identifier: Apache-2.0
// Signature verification of hostile requests: method, target, Authorization, date and body on a line each. Nothing that
// was not signed with the secret may pass, and what sign() accepts must verify.
#include <array>
#include <cstdint>
#include <cstdlib>

#include "base/time_text.h"
#include "sigv4/canonical.h"
#include "sigv4/sigv4.h"

namespace {

using namespace casemate;

class OneKey final : public sigv4::CredentialSource<int> {
 public:
  sigv4::Lookup<int> find(std::string_view, std::optional<std::string_view>, WallTime) override {
    return {sigv4::Found::kCredential, Secret::copy_of(as_bytes("a secret that no input knows")), 1};
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest = as_text({data, size});
  std::array<std::string_view, 5> lines;
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t end = rest.find('\n');
    lines[i] = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  }
  http::Request request;
  request.method = lines[0];
  request.target = lines[1];
  request.headers.add("Host", "kms.us-east-1.amazonaws.com");
  request.headers.add("X-Odd", rest);
  request.body = rest;
  const WallTime now = parse_basic("20260131T120000Z").take();
  const sigv4::Expectation expectation{{"kms"}, {"us-east-1"}};
  OneKey keys;

  http::Request forged = request;
  forged.headers.add("Authorization", lines[2]);
  forged.headers.add("X-Amz-Date", lines[3]);
  (void)sigv4::scoped_service(forged);
  if (!std::holds_alternative<sigv4::Failure>(sigv4::verify<int>(forged, expectation, now, keys))) std::abort();
  forged = request;
  if (!std::holds_alternative<sigv4::Failure>(sigv4::verify<int>(forged, expectation, now, keys))) std::abort();

  const auto credentials = sigv4::Credentials::of("AKID", "a secret that no input knows");
  const auto query = sigv4::parse_query(request.query());
  bool signs_in_query = false;
  if (query) {
    for (const auto& [name, value] : *query) signs_in_query = signs_in_query || name.starts_with("X-Amz-");
  }
  if (signs_in_query || !sigv4::sign(request, credentials, "us-east-1", "kms", now)) return 0;
  const auto verdict = sigv4::verify<int>(request, expectation, now, keys);
  const auto* failure = std::get_if<sigv4::Failure>(&verdict);
  if (failure != nullptr && failure->kind != sigv4::FailureKind::kBadRequest) std::abort();
  return 0;
}
