// SPDX-License-Identifier: Apache-2.0
// The reasons of a decision: what was considered, what did not match, and one classified cause. For the audit log and for
// those allowed to read it; never for the wire.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "iam/evaluate.h"
#include "json/value.h"

namespace casemate::iam {

// Cause is the one sentence that a user wants first.
enum class Cause {
  kNone,                    // allowed
  kDebugEnclave,            // PCR0 to PCR2 are zero: the enclave runs in debug mode
  kOtherImage,              // PCR0 (ImageSha384), PCR1 or PCR2 differs
  kRoleRegister,            // PCR3
  kInstanceRegister,        // PCR4
  kSignerRegister,          // PCR8
  kOtherRegister,           // any other
  kRegisterCase,            // equal but for case, under an operator that minds it
  kRegisterUnusable,        // the policy's value can equal no register: wrong length, 0x, not hexadecimal
  kExpectsDebugEnclave,     // the policy's value is zero and the enclave runs in production mode
  kNoDocument,              // a condition on registers and no attestation document
  kRegisterAbsent,          // the document has no such register
  kDocumentStale,
  kDocumentUntrusted,       // signed under a root that is not trusted
  kDocumentInvalid,
  kEncryptionContext,
  kCondition,               // any other condition
  kPrincipalNotNamed,
  kActionNotListed,
  kResourceNotListed,
  kNoIdentityPolicy,        // the key policy leaves it to identity policies and none allows
  kBoundary,
  kSessionPolicy,
  kGrantConstraint,
  kExplicitDeny,
  kKeyState,                // disabled or pending deletion; not a matter of policy
};

std::string_view to_string(Cause cause);  // `DebugEnclave`
std::optional<Cause> parse_cause(std::string_view text);
std::string_view to_string(Outcome outcome);  // `Allowed`, `ImplicitlyDenied`, `ExplicitlyDenied`

// ConditionCheck is one condition of a statement as it was evaluated.
struct ConditionCheck {
  std::string op;   // `StringEqualsIgnoreCase`
  std::string key;  // as written in the policy
  std::vector<std::string> expected;
  std::optional<std::vector<std::string>> presented;  // absent: the request had no such key
  bool held = false;
};

// StatementTrace: `missed` is the first element that did not match (Principal, Action, Resource, Condition), empty when
// the statement applied. Conditions are listed when the elements before them matched.
struct StatementTrace {
  std::size_t index = 0;
  std::string sid;
  Effect effect = Effect::kAllow;
  std::string missed;
  std::vector<std::string> expected;  // of the element that missed
  std::string naming;                 // how the principal matched: Direct, Role, Everyone, Account
  std::vector<ConditionCheck> conditions;
};

struct PolicyTrace {
  std::string type;  // `resource-based`, `identity-based`, `permissions boundary`, `session`
  std::string name;
  std::vector<StatementTrace> statements;  // at most kTraceStatements; those closest to matching first kept
  std::size_t omitted = 0;
};
inline constexpr std::size_t kTraceStatements = 64;

struct GrantTrace {
  std::string grant_id;
  std::string missed;  // Grantee, Operation, Constraint; empty when it applied
};

struct Trace {
  Outcome outcome = Outcome::kImplicitlyDenied;
  Blame blame = Blame::kNone;
  Cause cause = Cause::kNone;
  Cause because = Cause::kNone;  // of an explicit deny, boundary or session policy: the condition behind it, if one is
  std::string detail;  // of causes that are not a matter of policy: the verifier's or the key state's sentence

  std::string principal;
  std::string action;
  std::string resource;
  std::vector<PolicyTrace> policies;
  std::vector<GrantTrace> grants;

  // The statement that decided or came closest, as positions in `policies` and its statements.
  std::optional<std::pair<std::size_t, std::size_t>> culprit;
};

// trace evaluates again, keeping notes; the outcome equals decide's. Costs several decisions.
Trace trace(const AuthorizationRequest& request);

// trace_of is the trace of a refusal that no policy made: key state, or a document that was not accepted.
Trace trace_of(Cause cause, std::string_view detail, std::string_view principal, std::string_view action,
               std::string_view resource);

// register_of is the number of the register that a condition key names (0 for ImageSha384), or nothing.
std::optional<unsigned> register_of(std::string_view condition_key);

// A register's value in a policy: SHA-384 in hexadecimal, zeros in a debug enclave's registers 0 to 2.
inline constexpr std::size_t kRegisterDigits = 96;
constexpr bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}
constexpr bool is_zero(std::string_view text) {
  return !text.empty() && text.find_first_not_of('0') == std::string_view::npos;
}

// nearest_value is the expected value with the fewest differing digits from the presented one.
const std::string& nearest_value(const std::vector<std::string>& expected, std::string_view presented);

// explain says it in plain words: what was refused, why, both values aligned with the differing digits marked, what it
// means and what to change. Lines have no line ends and hold nothing that the trace does not.
std::vector<std::string> explain(const Trace& trace);

// to_json and trace_from_json are the form in audit logs. Errors: kMalformed naming the member.
json::Value to_json(const Trace& trace);
Result<Trace> trace_from_json(const json::Value& value);

}  // namespace casemate::iam
