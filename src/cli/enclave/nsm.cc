// SPDX-License-Identifier: Apache-2.0
#include "cli/enclave/nsm.h"

#include <memory>

#include "nsm/device.h"
#include "nsm/message.h"
#include "pki/store.h"

namespace casemate::cli::enclave {
namespace {

// Old enough for any verifier that asks for fresh documents, young enough for a leaf of that time to be valid still.
constexpr std::chrono::hours kStaleness{1};
// Longer than a leaf lives.
constexpr std::chrono::hours kExpired{4};

class EarlierClock final : public Clock {
 public:
  EarlierClock(const Clock& clock, std::chrono::milliseconds by) : clock_(clock), by_(by) {}
  WallTime now() const override { return clock_.now() - by_; }

 private:
  const Clock& clock_;
  std::chrono::milliseconds by_;
};

// leaves is where the device's leaf certificates come from; `clock` tells the true time.
attestation::LeafIssuer::Issue leaves(const os::Paths& paths, const attestation::HierarchyNames& names,
                                      const runtime::NsmIdentity& identity, const Clock& clock, Rng& rng) {
  const runtime::Faults faults = identity.faults;
  std::chrono::seconds earlier{0};
  if (faults.has(runtime::Fault::kStaleDocument)) earlier = kStaleness;
  if (faults.has(runtime::Fault::kExpiredLeaf)) earlier = kExpired;
  const bool foreign = faults.has(runtime::Fault::kForeignRoot);
  if (!foreign && earlier.count() == 0) return pki::leaf_source(paths.pki(), names, identity.module_id, rng);
  return [=, &clock, &rng, folder = paths.pki(), module_id = identity.module_id](WallTime) -> Result<attestation::Signer> {
    const WallTime now = clock.now();
    if (foreign) return attestation::Hierarchy::create(names, now, rng).issue_leaf(module_id, now, rng, earlier);
    const attestation::Hierarchy hierarchy = TRY(pki::load_current(folder, names, now, rng));
    return hierarchy.issue_leaf(module_id, now, rng, earlier);
  };
}

// The signature is the document's last 96 bytes; its first byte stays, so that r is not taken for too large.
Bytes break_signature(Bytes response) {
  auto parsed = nsm::parse_response(response);
  auto* reply = parsed ? std::get_if<nsm::AttestationResponse>(&*parsed) : nullptr;
  if (reply == nullptr || reply->document.empty()) return response;
  reply->document.back() ^= 1;
  return nsm::encode_response(*reply);
}

}  // namespace

Result<runtime::NsmHandler> make_nsm(const os::Paths& paths, const runtime::NsmIdentity& identity, const Clock& clock, Rng& rng) {
  const std::size_t instance_end = identity.module_id.rfind("-enc");
  const attestation::HierarchyNames names{.region = identity.region, .instance_id = identity.module_id.substr(0, instance_end)};
  // An enclave that could never attest must not start.
  auto current = pki::load_current(paths.pki(), names, clock.now(), rng);
  if (!current && current.error().code() == ErrorCode::kNotFound) {
    // Another process may make it at the same time: whose it is does not matter.
    const Result<void> made = pki::init(paths.pki(), names, clock.now(), rng);
    if (!made && made.error().code() != ErrorCode::kConflict) return made.error();
    current = pki::load_current(paths.pki(), names, clock.now(), rng);
  }
  TRY(std::move(current));

  const runtime::Faults faults = identity.faults;
  if (faults.has(runtime::Fault::kNsmError))
    return runtime::NsmHandler([](ByteView) { return nsm::encode_response(nsm::ErrorResponse{nsm::ErrorCode::kInternalError}); });

  nsm::PcrBank pcrs;
  for (std::uint16_t index = 0; index < nsm::kPlatformPcrs; ++index) pcrs.set(index, identity.pcrs.at(index));
  auto stale = std::make_shared<EarlierClock>(clock, kStaleness);
  auto device = std::make_shared<nsm::Device>(nsm::Device::Parts{
      .module_id = identity.module_id,
      .pcrs = pcrs,
      .signers = std::make_unique<attestation::LeafIssuer>(leaves(paths, names, identity, clock, rng)),
      .clock = faults.has(runtime::Fault::kStaleDocument) ? stale.get() : &clock,
      .rng = &rng});
  return runtime::NsmHandler([device, stale, faults](ByteView request) {
    Bytes response = device->handle(request);
    return faults.has(runtime::Fault::kBadSignature) ? break_signature(std::move(response)) : response;
  });
}

}  // namespace casemate::cli::enclave
