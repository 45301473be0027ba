// SPDX-License-Identifier: Apache-2.0
// Verification of Nitro attestation documents, for relying parties: signature, certificate chain to a root trusted by
// name, freshness, and what you expect of the enclave.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>

#include "casemate/result.h"

namespace casemate::attestation {

// Verifier holds the trusted roots and remembers chains that held, so further documents of the same enclave cost one
// signature check. It may be shared by threads.
class Verifier {
 public:
  struct Trust {
    // Roots built in: `aws`, `aws-us-gov`.
    std::vector<std::string> builtin = {"aws"};
    // Further roots under names of yours: PEM text of one certificate each.
    std::map<std::string, std::string> pem;
  };
  enum class Debug { kRefused, kAllowed };

  // What a document must be beside genuine; what is absent is not asked for.
  struct Expectation {
    // An enclave in debug mode measures nothing: PCR0, PCR1 and PCR2 are zero.
    Debug debug = Debug::kRefused;
    std::chrono::milliseconds max_age = std::chrono::minutes{5};
    std::optional<Bytes> nonce;
    std::optional<Bytes> user_data;
    std::optional<Bytes> public_key;
    // Any of the values passes; a register that is absent does not.
    std::map<std::uint8_t, std::vector<Bytes>> pcrs;
  };

  // Claims is what a verified document says.
  struct Claims {
    std::string module_id;
    std::chrono::sys_time<std::chrono::milliseconds> timestamp;
    std::map<std::uint8_t, Bytes> pcrs;
    std::optional<Bytes> public_key;
    std::optional<Bytes> user_data;
    std::optional<Bytes> nonce;
    bool debug = false;
    std::string anchor;  // the name of the root that vouched for it
  };

  // Errors: kNotFound (no such builtin root), kMalformed, kUntrusted (PEM).
  static Result<Verifier> create(const Trust& trust);
  static Result<Verifier> create() { return create(Trust{}); }

  // verify takes a COSE_Sign1 as received and the time at which it must hold. Errors: kMalformed, kUnsupported, kLimit,
  // kUntrusted (signature, chain, time), kDenied (your expectation); the message names the field, what was found and what
  // was wanted.
  Result<Claims> verify(ByteView document, const Expectation& expectation, std::chrono::sys_time<std::chrono::milliseconds> now) const;
  Result<Claims> verify(ByteView document, const Expectation& expectation) const {
    return verify(document, expectation, std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()));
  }

 private:
  struct State;
  explicit Verifier(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace casemate::attestation
