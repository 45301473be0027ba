// SPDX-License-Identifier: Apache-2.0
// A trace in plain words.
#include <algorithm>

#include "iam/trace.h"

namespace casemate::iam {
namespace {

constexpr std::size_t kListed = 8;  // values of a list that are shown

using Lines = std::vector<std::string>;

// Words are what a cause is called, what it means and what to do about it.
struct Words {
  std::string_view cause;
  std::string_view meaning;
  std::string_view remedy;
};

Words words_for(Cause cause) {
  switch (cause) {
    case Cause::kNone: break;
    case Cause::kDebugEnclave:
      return {"the enclave runs in debug mode: the register is zero",
              "In debug mode the console is readable, so the hypervisor reports PCR0, PCR1 and PCR2 as zeros and no image "
              "can match.",
              "Terminate the enclave and run it again without --debug-mode."};
    case Cause::kOtherImage:
      return {"the enclave runs another image than the policy allows",
              "The measurements in the attestation document are those of a different build. Any change of the kernel, the "
              "command line or the application changes PCR0; PCR1 covers kernel, command line and boot ramdisk, PCR2 the "
              "application.",
              "Run the image whose measurements the policy names, or, if the new image is meant, put the PCR0 that "
              "`nitro-cli describe-eif` prints into the key policy."};
    case Cause::kRoleRegister:
      return {"the parent instance has another IAM role (PCR3)",
              "PCR3 is the SHA-384 of 48 zero bytes followed by the ARN of the parent's role.",
              "Run the enclave on an instance with the role that the policy names, or change the policy's PCR3."};
    case Cause::kInstanceRegister:
      return {"the enclave runs on another parent instance (PCR4)",
              "PCR4 is the SHA-384 of 48 zero bytes followed by the parent's instance ID: it changes with every instance.",
              "Run the enclave on that instance, or condition the key on PCR3 (the role) instead."};
    case Cause::kSignerRegister:
      return {"the image is signed by another certificate, or not at all (PCR8)",
              "PCR8 is the SHA-384 of 48 zero bytes followed by the signing certificate's digest; it is zero for unsigned "
              "images.",
              "Build the image with the --signing-certificate and --private-key that the policy expects."};
    case Cause::kOtherRegister:
      return {"a register differs from the policy's value",
              "Registers 16 to 31 belong to the application, which extends and locks them itself.",
              "Compare what the application extends with what the policy expects."};
    case Cause::kRegisterCase:
      return {"the values differ only in upper and lower case",
              "Registers are presented in lower-case hexadecimal and the operator minds case.",
              "Use StringEqualsIgnoreCase, or write the policy's value in lower case."};
    case Cause::kRegisterUnusable:
      return {"the policy's value can equal no register",
              "A register is 96 hexadecimal digits without 0x, spaces or line ends.",
              "Copy the value again from the Measurements that `nitro-cli build-enclave` printed."};
    case Cause::kExpectsDebugEnclave:
      return {"the policy expects a debug enclave (zeros) and this one runs in production mode",
              "The policy's value was probably copied from a document of a debug enclave.",
              "Put the image's real PCR0 into the policy: a policy of zeros lets every debug enclave in."};
    case Cause::kNoDocument:
      return {"the request carried no attestation document",
              "A condition on kms:RecipientAttestation is met only by requests with a Recipient: from inside an enclave, "
              "and only for Decrypt, GenerateDataKey, GenerateDataKeyPair, DeriveSharedSecret and GenerateRandom.",
              "Make the call from the enclave with its attestation document. A caller outside an enclave is locked out on "
              "purpose."};
    case Cause::kRegisterAbsent:
      return {"the attestation document has no such register",
              "A document lists the registers of its kind of platform; a register that is absent meets no condition.",
              "Check the register's number and kind (PCR or NitroTPMPCR) in the policy."};
    case Cause::kDocumentStale:
      return {"the attestation document is too old",
              "A document is accepted for a few minutes after it was made, so that a copied one is of no use later.",
              "Ask the NSM for a new document for each request, and check the clocks."};
    case Cause::kDocumentUntrusted:
      return {"the attestation document is signed under a root that is not trusted here",
              "The chain of certificates ends in another root than those this service accepts.",
              "Check that enclave and key service belong to the same platform (`casemate status`)."};
    case Cause::kDocumentInvalid:
      return {"the attestation document is not valid", "It could not be parsed or its signature or chain does not verify.",
              "Send the bytes that the NSM returned, unchanged."};
    case Cause::kEncryptionContext:
      return {"the encryption context is not the one that the policy demands",
              "The policy has a condition on kms:EncryptionContext; names compare without case, values as the operator says.",
              "Pass the same encryption context at encryption and decryption, as the policy states it."};
    case Cause::kCondition:
      return {"a condition of the statement is not met", "The statement names this caller and action, but its condition fails.",
              "Change the request to meet the condition, or the condition."};
    case Cause::kPrincipalNotNamed:
      return {"no statement of the resource's policy names this caller",
              "A key policy must name the caller, its role or its account; permissions of the caller alone do not suffice.",
              "Add the caller's role or user as a Principal of an Allow statement in the key policy."};
    case Cause::kActionNotListed:
      return {"the caller is named, but not for this action", "No Allow statement that names the caller lists the action.",
              "Add the action to the statement."};
    case Cause::kResourceNotListed:
      return {"the caller is named, but not for this resource", "In a key policy Resource is \"*\": this key.",
              "Set Resource to \"*\" or to the resource's ARN."};
    case Cause::kNoIdentityPolicy:
      return {"the caller has no identity-based policy that allows the action",
              "The key policy leaves the decision to the identity-based policies of the account, or the action has no "
              "resource policy at all.",
              "Attach a policy that allows the action to the user or role, or name the caller in the key policy."};
    case Cause::kBoundary:
      return {"the caller's permissions boundary does not allow the action",
              "A boundary grants nothing: it is the most that other policies can grant.", "Allow the action in the boundary."};
    case Cause::kSessionPolicy:
      return {"the session policy does not allow the action",
              "The session was made with a policy that narrows it.", "Make the session with a policy that allows the action."};
    case Cause::kGrantConstraint:
      return {"a grant would allow it, but its encryption context constraint is not met",
              "The grant holds only for requests with the encryption context that it was made for.",
              "Pass the encryption context of the grant."};
    case Cause::kExplicitDeny:
      return {"a statement denies it explicitly", "A Deny that matches wins over every Allow.",
              "Narrow the Deny statement, or make the request such that it no longer matches."};
    case Cause::kKeyState:
      return {"the key's state does not permit it", "This is not a matter of policy.",
              "Enable the key, or cancel its deletion."};
  }
  return {"", "", ""};
}

std::string policy_label(const PolicyTrace& policy) {
  std::string label = policy.type + (policy.type.ends_with("boundary") ? "" : " policy");
  if (!label.empty() && label.front() >= 'a') label.front() = static_cast<char>(label.front() - 'a' + 'A');
  return policy.name.empty() ? label : fmt::format("{} \"{}\"", label, policy.name);
}

std::string statement_label(const StatementTrace& statement) {
  std::string label = fmt::format("statement {}", statement.index + 1);
  if (!statement.sid.empty()) label += fmt::format(" \"{}\"", statement.sid);
  return label + (statement.effect == Effect::kDeny ? " (Deny)" : " (Allow)");
}

std::string list_text(const std::vector<std::string>& values) {
  std::string out;
  for (std::size_t i = 0; i < values.size() && i < kListed; ++i) {
    if (i > 0) out += ", ";
    out += values[i];
  }
  if (values.size() > kListed) out += fmt::format(", and {} more", values.size() - kListed);
  return values.empty() ? "(nothing)" : out;
}

enum class Case { kMinded, kIgnored };

std::size_t differing_digits(std::string_view a, std::string_view b) {
  std::size_t out = std::max(a.size(), b.size()) - std::min(a.size(), b.size());
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) out += a[i] != b[i] ? 1 : 0;
  return out;
}

void add_aligned(Lines& lines, const std::vector<std::string>& expected, const std::string& presented, Case mode) {
  const std::string& policy = nearest_value(expected, presented);
  const std::string a = mode == Case::kIgnored ? fold(policy) : policy;
  const std::string b = mode == Case::kIgnored ? fold(presented) : presented;
  lines.push_back("  policy:    " + policy);
  lines.push_back("  presented: " + presented);
  std::string marks;
  const std::size_t width = std::max(a.size(), b.size());
  for (std::size_t i = 0; i < width; ++i) marks += i < a.size() && i < b.size() && a[i] == b[i] ? ' ' : '^';
  marks.erase(marks.find_last_not_of(' ') + 1);
  if (marks.empty() && a.size() == b.size()) return;
  if (!marks.empty()) lines.push_back("             " + marks);
  const std::size_t differing = differing_digits(a, b);
  std::string note = fmt::format("  {} of {} digits {}", differing, width, differing == 1 ? "differs" : "differ");
  if (a.size() != b.size()) {
    note += fmt::format("; the policy's value has {} digits, the register {}", a.size(), b.size());
  }
  if (expected.size() > 1) note += fmt::format("; the nearest of {} values is shown", expected.size());
  lines.push_back(std::move(note));
}

void add_check(Lines& lines, const ConditionCheck& check) {
  lines.push_back(fmt::format("  {} {}: {}", check.op, check.key, check.held ? "met" : "not met"));
  const bool aligned = register_of(check.key) && check.presented && !check.presented->empty() && !check.expected.empty();
  if (aligned) {
    const bool ignored = check.op.find("IgnoreCase") != std::string::npos;
    add_aligned(lines, check.expected, check.presented->front(), ignored ? Case::kIgnored : Case::kMinded);
    return;
  }
  lines.push_back("  policy:    " + list_text(check.expected));
  lines.push_back("  presented: " + (check.presented ? list_text(*check.presented) : std::string("(absent)")));
}

const ConditionCheck* find_register(const StatementTrace& statement, unsigned number) {
  const auto it = std::find_if(statement.conditions.begin(), statement.conditions.end(),
                               [&](const ConditionCheck& check) { return register_of(check.key) == number; });
  return it == statement.conditions.end() ? nullptr : &*it;
}

// compare_parts says what the other registers of the same statement tell about an image that differs.
void compare_parts(Lines& lines, const StatementTrace& statement) {
  const ConditionCheck* kernel = find_register(statement, 1);
  const ConditionCheck* application = find_register(statement, 2);
  if (kernel != nullptr) {
    lines.push_back(kernel->held ? "PCR1 is the same: kernel, command line and boot ramdisk are unchanged."
                                 : "PCR1 differs too: kernel, command line or boot ramdisk changed.");
  }
  if (application != nullptr) {
    lines.push_back(application->held ? "PCR2 is the same: the application is unchanged."
                                      : "PCR2 differs: the application changed.");
  }
}

void add_statement(Lines& lines, const Trace& trace) {
  const PolicyTrace& policy = trace.policies[trace.culprit->first];
  const StatementTrace& statement = policy.statements[trace.culprit->second];
  const std::string label = fmt::format("{}, {}", policy_label(policy), statement_label(statement));
  const bool denied = statement.effect == Effect::kDeny;
  if (statement.missed.empty()) {
    lines.push_back(label + " applies.");
    for (const ConditionCheck& check : statement.conditions) add_check(lines, check);
    return;
  }
  if (statement.missed == "Condition") {
    lines.push_back(label + ": all but its condition matches.");
    for (const ConditionCheck& check : statement.conditions) {
      if (check.held == denied) add_check(lines, check);
    }
    compare_parts(lines, statement);
    return;
  }
  lines.push_back(fmt::format("{} came closest: its {} does not match.", label, statement.missed));
  lines.push_back("  policy:    " + list_text(statement.expected));
  std::string presented = trace.resource;
  if (statement.missed == "Principal") presented = trace.principal;
  if (statement.missed == "Action") presented = trace.action;
  lines.push_back("  presented: " + presented);
}

}  // namespace

const std::string& nearest_value(const std::vector<std::string>& expected, std::string_view presented) {
  const std::string folded = fold(presented);
  return *std::min_element(expected.begin(), expected.end(), [&](const std::string& a, const std::string& b) {
    return differing_digits(fold(a), folded) < differing_digits(fold(b), folded);
  });
}

std::vector<std::string> explain(const Trace& trace) {
  Lines lines;
  const bool allowed = trace.outcome == Outcome::kAllowed;
  lines.push_back(fmt::format("{} on {} was {}", trace.action, trace.resource, allowed ? "allowed to" : "denied to"));
  lines.back() += " " + trace.principal + ".";
  if (allowed) {
    if (trace.culprit) add_statement(lines, trace);
    return lines;
  }
  const Words words = words_for(trace.cause);
  const Words because = words_for(trace.because);
  std::string cause = fmt::format("Cause: {}", words.cause);
  if (!because.cause.empty()) cause += fmt::format(" ({})", because.cause);
  lines.push_back(cause + ".");
  if (!trace.detail.empty()) lines.push_back("  " + trace.detail);
  lines.emplace_back();
  if (trace.culprit) {
    add_statement(lines, trace);
    lines.emplace_back();
  }
  for (const GrantTrace& grant : trace.grants) {
    if (grant.missed == "Constraint") lines.push_back(fmt::format("Grant {}: its constraint is not met.", grant.grant_id));
  }
  lines.push_back(fmt::format("What it means:  {}", words.meaning));
  if (!because.meaning.empty()) lines.push_back(fmt::format("                {}", because.meaning));
  lines.push_back(fmt::format("What to change: {}", words.remedy));
  if (!because.remedy.empty()) lines.push_back(fmt::format("                {}", because.remedy));
  return lines;
}

}  // namespace casemate::iam
