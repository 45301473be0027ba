// SPDX-License-Identifier: Apache-2.0
// Policy lint: mistakes that AWS accepts silently, and key policies made right from the start.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iam/policy.h"

namespace casemate::iam {

enum class Severity { kError, kWarning };

// Finding is one mistake: a stable code, the element and a sentence.
struct Finding {
  Severity severity = Severity::kError;
  std::string code;   // `RegisterLength`
  std::string where;  // `Statement[1].Condition.StringEquals.kms:RecipientAttestation:PCR0`
  std::string what;
};

// LintOptions: `exists` says whether a principal exists; without it that is not asked.
struct LintOptions {
  std::function<bool(const PrincipalName&)> exists = nullptr;
};

// lint_policy looks for: registers of the wrong length, with 0x or not hexadecimal; zeros of a debug enclave; upper case
// under an operator that minds it; IfExists or a negated operator that lets requests without a document in; actions that
// carry no document under a register condition; grants that go around an attestation condition of the same policy;
// values that no operator can read; actions and condition keys that KMS does not have; variables where they are plain
// text; conditions that contradict each other; statements that a Deny makes vain or another Allow repeats; NotPrincipal
// with Allow; statements without effect; principals that do not exist; a key policy that nobody of the account may
// change. Empty when nothing is wrong.
std::vector<Finding> lint_policy(const Policy& policy, PolicyType type, const LintOptions& options = {});

// GenerateOptions is what a key policy for an enclave needs.
struct GenerateOptions {
  std::string principal;  // ARN of the role or user that the enclave's parent uses
  std::string account;    // of the key; empty: the principal's
  // Registers by number, each with the values that are let in (96 hexadecimal digits).
  std::vector<std::pair<unsigned, std::vector<std::string>>> registers;
};

// generate_key_policy writes a policy that lint finds nothing in: the account administers the key but leaves the attested
// operations to this statement, the principal may encrypt, and decrypts only from the enclave. Errors: kMalformed (a
// principal, a register), kUnsupported (no register).
Result<std::string> generate_key_policy(const GenerateOptions& options);

}  // namespace casemate::iam
