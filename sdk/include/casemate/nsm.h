// SPDX-License-Identifier: Apache-2.0
// The Nitro Secure Module: attestation documents, PCRs and random bytes through /dev/nsm.
#pragma once

#include <array>
#include <functional>
#include <optional>

#include "casemate/result.h"

namespace casemate::nsm {

// Client may be used from several threads at once: the device serves one request at a time.
class Client {
 public:
  using PcrValue = std::array<std::uint8_t, 48>;
  // A transport takes an encoded request to a device and brings back its reply.
  using Transport = std::function<Result<Bytes>(ByteView request)>;

  struct Pcr {
    bool locked = false;
    PcrValue value{};
  };
  struct Description {
    std::uint16_t version_major = 0;
    std::uint16_t version_minor = 0;
    std::uint16_t version_patch = 0;
    std::string module_id;
    std::uint16_t max_pcrs = 0;
    std::vector<std::uint16_t> locked_pcrs;  // ascending
    std::string digest;
  };
  // Each at most 1024 bytes; an absent field is null in the document, an empty one is empty.
  struct Claims {
    std::optional<Bytes> user_data;
    std::optional<Bytes> nonce;
    std::optional<Bytes> public_key;
  };

  // open uses the device of this enclave. Errors: kNotFound (no device: not in an enclave), kDenied, kInternal.
  static Result<Client> open(const std::string& path = "/dev/nsm");
  explicit Client(Transport transport) : transport_(std::move(transport)) {}

  // attest returns the COSE_Sign1 attestation document. Errors of all requests: kMalformed or kDenied with the module's
  // own error name (`nsm: Attestation: InputTooLarge`), kInternal.
  Result<Bytes> attest(const Claims& claims = {}) const;
  Result<Description> describe() const;
  Result<Pcr> describe_pcr(std::uint16_t index) const;
  // extend_pcr returns the new value: SHA-384(old || data).
  Result<PcrValue> extend_pcr(std::uint16_t index, ByteView data) const;
  Result<void> lock_pcr(std::uint16_t index) const;
  // lock_pcrs locks registers 0 up to, not including, `range`.
  Result<void> lock_pcrs(std::uint16_t range) const;
  // random returns `size` bytes from the module, asking as often as it takes.
  Result<Secret> random(std::size_t size) const;

 private:
  Transport transport_;
};

}  // namespace casemate::nsm
