// SPDX-License-Identifier: Apache-2.0
// Attestation document: the payload that an NSM signs (NSM attestation process, 2.2 and 3.2.2), read and written.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cbor/reader.h"

namespace casemate::attestation {

// PcrIndex is 0..31.
using PcrIndex = std::uint8_t;
inline constexpr PcrIndex kPcrCount = 32;

struct Pcr {
  PcrIndex index;
  Bytes value;
};

// Limits of the fields. Where AWS's text contradicts itself the bound is the one that real NSMs keep.
struct Limits {
  std::size_t payload_bytes = 16384;  // 3.2.2.2
  std::size_t certificate_bytes = 1024;
  std::size_t cabundle_count = 8;  // real ones hold 4; each costs a signature check
  // 3.2.2.2 allows 512 bytes of user_data and nonce, 2.2 allows 1024; genuine documents hold 1024.
  std::size_t user_data_bytes = 1024;
  std::size_t nonce_bytes = 1024;
  std::size_t public_key_bytes = 1024;  // may be empty, as some genuine ones are
};

// Document owns its fields. It is untrusted: only verify() makes a VerifiedDocument.
struct Document {
  std::string module_id;
  WallTime timestamp{};
  std::vector<Pcr> pcrs;  // ascending; only the indices present
  Bytes certificate;      // DER
  std::vector<Bytes> cabundle;  // DER, root first
  // Absent (null on the wire) and empty differ.
  std::optional<Bytes> public_key;
  std::optional<Bytes> user_data;
  std::optional<Bytes> nonce;
  cbor::MapForm form = cbor::MapForm::kDefinite;  // kEither: the map was of indefinite length

  // find_pcr is null if the document has no such PCR.
  const Bytes* find_pcr(PcrIndex index) const;
  // is_debug: PCR0, PCR1 and PCR2 are zero or absent, as for an enclave started in debug mode. PCR3 and PCR4 keep
  // their values there.
  bool is_debug() const;
};

// parse_document reads a payload: shape, then content; no signature or chain is checked. A NitroTPM document is
// refused by name. Errors: kMalformed (naming the field), kLimit, kUnsupported (digest other than SHA384).
Result<Document> parse_document(ByteView payload, const Limits& limits = {});

// Statement is what an NSM attests; views are borrowed for the call.
struct Statement {
  std::string_view module_id;
  WallTime timestamp{};
  std::vector<Pcr> pcrs;  // locked ones, ascending
  std::optional<ByteView> public_key;
  std::optional<ByteView> user_data;
  std::optional<ByteView> nonce;
};

// WireForm: NSMs wrote a definite map until mid-2025 and write an indefinite one since.
enum class WireForm { kDefinite, kIndefinite };

// encode_document writes the payload as real NSMs do: key order, eight-byte timestamp, null for absent fields.
Bytes encode_document(const Statement& statement, ByteView certificate, const std::vector<Bytes>& cabundle,
                      WireForm form = WireForm::kIndefinite);

}  // namespace casemate::attestation
