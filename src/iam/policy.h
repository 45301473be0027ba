// SPDX-License-Identifier: Apache-2.0
// Policy documents (IAM JSON policy grammar, versions 2008-10-17 and 2012-10-17), parsed into immutable shared values.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "iam/condition.h"
#include "iam/pattern.h"
#include "iam/principal.h"

namespace casemate::iam {

// PolicyType decides which elements a document must and must not have, and how texts name it.
enum class PolicyType {
  kResource,  // a key policy
  kIdentity,
  kBoundary,
  kSession,
  kTrust,  // who may assume a role: resource policy without Resource
};

enum class Effect { kAllow, kDeny };
enum class Sense { kIn, kNotIn };  // Action or NotAction, and so on

struct Statement {
  std::string sid;
  Effect effect = Effect::kAllow;

  bool has_principal = false;
  Sense principal_sense = Sense::kIn;
  std::vector<PrincipalName> principals;

  Sense action_sense = Sense::kIn;
  std::vector<std::string> actions;  // as written
  std::vector<Pattern> action_patterns;  // folded

  bool has_resource = false;
  Sense resource_sense = Sense::kIn;
  std::vector<std::string> resources;  // as written
  std::vector<ResourcePattern> resource_patterns;

  std::vector<Condition> conditions;
};

enum class Version { k2008, k2012 };

// Policy never changes after parse_policy: share it freely between threads.
struct Policy {
  Version version = Version::k2008;
  std::string id;
  std::string text;  // the document as given
  std::vector<Statement> statements;
};
using PolicyPtr = std::shared_ptr<const Policy>;

struct PolicyLimits {
  std::size_t bytes = 32 * 1024;
  std::size_t statements = 4096;
  std::size_t depth = 16;
  std::size_t values = 20'000;
};

// PolicyDefect says why a document is refused: `aws_text` is MalformedPolicyDocument's message on the wire, `where` the
// element (`Statement[2].Condition.StringEquals`) and `what` the reason for people.
struct PolicyDefect {
  ErrorCode code = ErrorCode::kMalformed;
  std::string aws_text;
  std::string where;
  std::string what;

  Error error() const;  // `policy: where: what`
};

// check_policy reads a document: JSON with unique names, the grammar of its version, what its type demands. Nothing is
// said about whether principals or keys exist.
std::variant<PolicyPtr, PolicyDefect> check_policy(std::string_view text, PolicyType type,
                                                   const PolicyLimits& limits = {});

// parse_policy is check_policy for those who need no wire text. Errors: kMalformed, kLimit, kUnsupported.
Result<PolicyPtr> parse_policy(std::string_view text, PolicyType type, const PolicyLimits& limits = {});

// find_invalid_principal gives the first AWS or service principal for which `exists` says no (and every group or partial
// wildcard); it is asked with the text as written, accounts as twelve digits.
std::optional<PolicyDefect> find_invalid_principal(const Policy& policy,
                                                   const std::function<bool(const PrincipalName&)>& exists);

// default_key_policy is the text that KMS stores when CreateKey is given none.
std::string default_key_policy(std::string_view account, std::string_view partition = "aws");

// pin_principal gives the document with a unique id (AIDA..., AROA...) in place of the ARN of that user or role wherever a
// Principal or NotPrincipal names it, or nothing when none does. It is what AWS shows of a policy that names someone who
// was deleted: a successor of the same name is not meant. The result is not longer than 32 KiB if the document is not.
std::optional<std::string> pin_principal(std::string_view document, std::string_view arn, std::string_view unique_id);

}  // namespace casemate::iam
