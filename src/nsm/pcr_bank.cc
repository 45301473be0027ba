// SPDX-License-Identifier: Apache-2.0
#include "nsm/pcr_bank.h"

namespace casemate::nsm {

PcrValue extend_pcr(const PcrValue& old, ByteView data) {
  const Bytes digest = crypto::Hasher(crypto::Hash::kSha384).update(old).update(data).finish();
  PcrValue value;
  std::copy(digest.begin(), digest.end(), value.begin());
  return value;
}

PcrValue pcr_of_digest(const crypto::Sha384& digest) { return extend_pcr({}, digest); }

PcrValue pcr_of_text(std::string_view text) { return extend_pcr({}, as_bytes(text)); }

PcrBank::PcrBank() {
  for (std::uint16_t i = 0; i < kPlatformPcrs; ++i) registers_[i].locked = true;
}

void PcrBank::set(std::uint16_t index, const PcrValue& value) {
  CASEMATE_CHECK(index < kPlatformPcrs);
  registers_[index].value = value;
}

ErrorCode PcrBank::describe(std::uint16_t index, Register& out) const {
  if (index >= kPcrCount) return ErrorCode::kInvalidIndex;
  out = registers_[index];
  return ErrorCode::kSuccess;
}

ErrorCode PcrBank::extend(std::uint16_t index, ByteView data, PcrValue& out) {
  if (index >= kPcrCount) return ErrorCode::kInvalidIndex;
  Register& target = registers_[index];
  if (target.locked) return ErrorCode::kReadOnlyIndex;
  target.value = extend_pcr(target.value, data);
  out = target.value;
  return ErrorCode::kSuccess;
}

ErrorCode PcrBank::lock(std::uint16_t index) {
  if (index >= kPcrCount) return ErrorCode::kInvalidIndex;
  if (registers_[index].locked) return ErrorCode::kReadOnlyIndex;
  registers_[index].locked = true;
  return ErrorCode::kSuccess;
}

ErrorCode PcrBank::lock_range(std::uint16_t range) {
  if (range > kPcrCount) return ErrorCode::kInvalidIndex;
  for (std::uint16_t i = 0; i < range; ++i) registers_[i].locked = true;
  return ErrorCode::kSuccess;
}

std::vector<std::uint16_t> PcrBank::locked() const {
  std::vector<std::uint16_t> out;
  for (std::uint16_t i = 0; i < kPcrCount; ++i) {
    if (registers_[i].locked) out.push_back(i);
  }
  return out;
}

std::vector<attestation::Pcr> PcrBank::attested() const {
  std::vector<attestation::Pcr> out;
  for (const std::uint16_t index : locked()) {
    out.push_back({static_cast<attestation::PcrIndex>(index), to_bytes(registers_[index].value)});
  }
  return out;
}

}  // namespace casemate::nsm
