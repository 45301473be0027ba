// SPDX-License-Identifier: Apache-2.0
// Whatever the request, the device answers with one well-formed response within the limit; what parses means the same
// after being written again.
#include "attestation/hierarchy.h"
#include "crypto/rng.h"
#include "nsm/device.h"

using namespace casemate;

namespace {

// NoSigners keeps signing, which takes long and is fuzzed elsewhere, out of the loop.
class NoSigners final : public attestation::SignerSource {
 public:
  Result<std::shared_ptr<const attestation::Signer>> signer(WallTime) override { return unavailable("none"); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static crypto::SystemRng rng;
  static const FixedClock clock{WallTime(std::chrono::seconds(1765000000))};
  const ByteView input(data, size);
  nsm::Device device({"i-0123456789abcdef0-enc0123456789abcdef", {}, std::make_unique<NoSigners>(), &clock, &rng});
  const Bytes response = device.handle(input);
  CASEMATE_CHECK(response.size() <= nsm::kMaxResponseBytes);
  CASEMATE_CHECK(nsm::parse_response(response).ok());
  const auto request = nsm::parse_request(input);
  if (request.ok()) {
    const Bytes written = nsm::encode_request(*request);
    CASEMATE_CHECK(nsm::encode_request(nsm::parse_request(written).take()) == written);
  }
  // The platform's registers never move.
  nsm::PcrBank::Register found;
  CASEMATE_CHECK(device.pcrs().describe(0, found) == nsm::ErrorCode::kSuccess && found.locked && all_zero(found.value));
  return 0;
}
