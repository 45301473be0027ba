// SPDX-License-Identifier: Apache-2.0
// Requests of IAM and STS after their signature: the body is what is fuzzed. An administrator asks, so that everything is
// reached. Lines are requests one after the other; the state survives its file form after each.
#include <cstdint>
#include <cstdlib>

#include "crypto/rng.h"
#include "iam/api/service.h"
#include "identity/state_json.h"
#include "sts/service.h"

namespace {

using namespace casemate;

const WallTime kNow{std::chrono::seconds{1'800'000'000}};

http::Response ask(auto& service, const char* name, std::string_view body) {
  http::Request request;
  request.method = "POST";
  request.target = "/";
  request.headers.add("Host", "localhost");
  request.body = body;
  if (!sigv4::sign(request, sigv4::Credentials::of("AKIAADMIN", "secret"), "us-east-1", name, kNow).ok()) std::abort();
  return service.handle(request);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 16 * 1024) return 0;
  crypto::SystemRng rng;
  const FixedClock clock(kNow);
  const identity::TokenSealer sealer(Secret::copy_of(Bytes(32, 5)));
  identity::State state;
  identity::Founder founder(state, sealer, kNow, rng);
  founder.found_account("111122223333");
  founder.add_key("111122223333", "admin", "AKIAADMIN", Secret::copy_of(as_bytes("secret")));
  if (!founder.add_instance_role("arn:aws:iam::111122223333:role/parent").ok()) std::abort();
  identity::Directory directory(identity::TokenSealer(Secret::copy_of(Bytes(32, 5))), std::move(state),
                                [&](const identity::State& next) {
                                  const std::string text = identity::encode_state(next);
                                  const auto again = identity::parse_state(text, &sealer);
                                  if (!again.ok() || identity::encode_state(*again) != text) std::abort();
                                  return Result<void>();
                                });
  const auto audit = [](const json::Object& event) {
    if (!json::parse(json::encode(event)).ok()) std::abort();
    return Result<void>();
  };
  iam::api::Service iam(directory, audit, clock, rng, Log{}, {});
  sts::Service sts(directory, audit, clock, rng, Log{}, {});
  std::string_view rest = as_text({data, size});
  for (int i = 0; i < 16 && !rest.empty(); ++i) {
    const std::size_t end = rest.find('\n');
    const std::string_view body = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const http::Response response =
        body.find("2011-06-15") != std::string_view::npos ? ask(sts, "sts", body) : ask(iam, "iam", body);
    if (response.status >= 500 || response.body.empty()) std::abort();
  }
  return 0;
}
