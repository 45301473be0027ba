// SPDX-License-Identifier: Apache-2.0
// Grants: permissions on one key for one principal, given and taken back without touching the key's policy.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "iam/evaluate.h"
#include "kms/key.h"

namespace casemate::kms {

struct GrantConstraints {
  std::optional<iam::EncryptionContext> equals;
  std::optional<iam::EncryptionContext> subset;
  std::string source_arn;

  bool empty() const { return !equals && !subset && source_arn.empty(); }
  bool operator==(const GrantConstraints&) const = default;
};

struct Grant {
  std::string id;        // 64 hexadecimal digits
  std::string name;      // empty: none
  std::string grantee;   // an ARN, or the name of a service
  std::string retiring;  // the same; empty: none
  std::string issuing_account;
  std::vector<std::string> operations;  // in the order of the request
  GrantConstraints constraints;
  WallTime created;

  bool operator==(const Grant&) const = default;
};

// is_service: whether a principal of a grant is a service and no ARN.
bool is_service_principal(std::string_view principal);

// The store's forms of lists and constraints. Errors: kMalformed.
std::string encode_operations(const std::vector<std::string>& operations);
std::vector<std::string> parse_operations(std::string_view text);
std::string encode_constraints(const GrantConstraints& constraints);
Result<GrantConstraints> parse_constraints(std::string_view text);

// within: whether `inner` gives nothing that `outer` does not give: no other operations, constraints at least as
// strict.
bool within(const Grant& inner, const Grant& outer);

// suits: whether keys of that spec and usage have an operation that grants may name.
bool suits(KeySpec spec, KeyUsage usage, std::string_view operation);

}  // namespace casemate::kms
