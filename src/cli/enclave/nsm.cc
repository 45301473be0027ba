// SPDX-License-Identifier: Apache-2.0
#include "cli/enclave/nsm.h"

#include <memory>

#include "nsm/device.h"
#include "pki/store.h"

namespace casemate::cli::enclave {

Result<runtime::NsmHandler> make_nsm(const os::Paths& paths, const runtime::NsmIdentity& identity, const Clock& clock, Rng& rng) {
  const std::size_t instance_end = identity.module_id.rfind("-enc");
  const attestation::HierarchyNames names{.region = identity.region, .instance_id = identity.module_id.substr(0, instance_end)};
  // Another process may make it at the same time: whose it is does not matter.
  const Result<void> made = pki::init(paths.pki(), names, clock.now(), rng);
  if (!made && made.error().code() != ErrorCode::kConflict) return made.error();
  // An enclave that could never attest must not start.
  TRY(pki::load_current(paths.pki(), names, clock.now(), rng));

  nsm::PcrBank pcrs;
  for (std::uint16_t index = 0; index < nsm::kPlatformPcrs; ++index) pcrs.set(index, identity.pcrs.at(index));
  auto device = std::make_shared<nsm::Device>(nsm::Device::Parts{
      .module_id = identity.module_id,
      .pcrs = pcrs,
      .signers = std::make_unique<attestation::LeafIssuer>(pki::leaf_source(paths.pki(), names, identity.module_id, rng)),
      .clock = &clock,
      .rng = &rng});
  return runtime::NsmHandler([device](ByteView request) { return device->handle(request); });
}

}  // namespace casemate::cli::enclave
