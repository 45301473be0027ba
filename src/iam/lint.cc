// SPDX-License-Identifier: Apache-2.0
#include "iam/lint.h"

#include <algorithm>
#include <array>

#include "iam/evaluate.h"
#include "iam/trace.h"
#include "json/value.h"

namespace casemate::iam {
namespace {

constexpr std::size_t kRegisterDigits = 96;

// The operations that take a Recipient; only their requests can carry an attestation document.
constexpr std::array<std::string_view, 5> kAttested = {"kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyPair",
                                                       "kms:DeriveSharedSecret", "kms:GenerateRandom"};

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

bool is_zero(std::string_view text) {
  return !text.empty() && text.find_first_not_of('0') == std::string_view::npos;
}

bool has_register(const Statement& statement) {
  return std::any_of(statement.conditions.begin(), statement.conditions.end(),
                     [](const Condition& condition) { return register_of(condition.folded).has_value(); });
}

// demands_register is whether the statement can apply only to requests with a document.
bool demands_register(const Statement& statement) {
  return std::any_of(statement.conditions.begin(), statement.conditions.end(), [](const Condition& condition) {
    return register_of(condition.folded) && !condition.name.if_exists && !is_negated(condition.name.op) &&
           condition.name.op != Operator::kNull && condition.name.quantifier != Quantifier::kForAllValues;
  });
}

class Linter {
 public:
  Linter(const Policy& policy, PolicyType type) : policy_(policy), type_(type) {}

  std::vector<Finding> run() {
    for (std::size_t i = 0; i < policy_.statements.size(); ++i) {
      where_ = fmt::format("Statement[{}]", i);
      const Statement& statement = policy_.statements[i];
      check_effect(statement);
      for (const Condition& condition : statement.conditions) check_condition(statement, condition);
      check_attested_actions(statement);
    }
    check_detours();
    check_lock_out();
    return std::move(findings_);
  }

 private:
  void add(Severity severity, std::string_view code, std::string where, std::string what) {
    findings_.push_back({severity, std::string(code), std::move(where), std::move(what)});
  }
  std::string at(const Condition& condition) const {
    return fmt::format("{}.Condition.{}.{}", where_, to_string(condition.name), condition.key);
  }

  void check_effect(const Statement& statement) {
    if (statement.actions.empty()) add(Severity::kError, "NoAction", where_, "no Action: the statement has no effect");
    if (!statement.has_resource && type_ != PolicyType::kTrust) {
      add(Severity::kError, "NoResource", where_, "no Resource: the statement has no effect");
    }
    if (statement.effect == Effect::kAllow && statement.has_principal && statement.principal_sense == Sense::kNotIn) {
      add(Severity::kError, "NotPrincipalAllow", where_ + ".NotPrincipal",
          "Allow with NotPrincipal lets in everyone else, of every account");
    }
    const bool everyone = std::any_of(statement.principals.begin(), statement.principals.end(),
                                      [](const PrincipalName& name) { return name.text == "*"; });
    if (statement.effect == Effect::kAllow && everyone && statement.principal_sense == Sense::kIn &&
        statement.conditions.empty()) {
      add(Severity::kError, "Everyone", where_ + ".Principal", "Allow to \"*\" without a condition");
    }
  }

  void check_condition(const Statement& statement, const Condition& condition) {
    const std::string where = at(condition);
    if (condition.values.empty()) {
      add(Severity::kError, "NoValue", where, "no value: the condition is never met, or always if its operator is negated");
    }
    check_typed(condition, where);
    if (!register_of(condition.folded)) return;
    const bool allows = statement.effect == Effect::kAllow;
    if (condition.name.op == Operator::kNull) return;
    if (allows && condition.name.if_exists) {
      add(Severity::kError, "RegisterIfExists", where, "IfExists lets requests without an attestation document in");
    }
    if (allows && condition.name.quantifier == Quantifier::kForAllValues) {
      add(Severity::kError, "RegisterForAllValues", where, "ForAllValues lets requests without an attestation document in");
    }
    if (allows && is_negated(condition.name.op)) {
      add(Severity::kError, "RegisterNegated", where, "a negated operator lets requests without an attestation document in");
    }
    for (const ConditionValue& value : condition.values) check_register(condition, value.text, where);
  }

  void check_register(const Condition& condition, std::string_view value, const std::string& where) {
    const bool like = condition.name.op == Operator::kStringLike || condition.name.op == Operator::kStringNotLike;
    const bool minds_case = condition.name.op == Operator::kStringEquals || condition.name.op == Operator::kStringNotEquals || like;
    if (like && value.find_first_of("*?") != std::string_view::npos) {
      add(Severity::kWarning, "RegisterWildcard", where, "a wildcard lets in every image whose register begins or ends alike");
      return;
    }
    if (value.starts_with("0x") || value.starts_with("0X")) {
      add(Severity::kError, "RegisterPrefix", where, "begins with 0x: registers are presented without it");
    } else if (!is_hex(value)) {
      add(Severity::kError, "RegisterDigits", where, "not hexadecimal: it can equal no register");
    } else if (value.size() != kRegisterDigits) {
      add(Severity::kError, "RegisterLength", where, fmt::format("{} digits, a register has {}", value.size(), kRegisterDigits));
    } else if (is_zero(value) && *register_of(condition.folded) <= 2) {
      add(Severity::kError, "RegisterZero", where, "zeros are the register of every debug enclave, whatever its image");
    } else if (minds_case && fold(value) != value) {
      add(Severity::kError, "RegisterCase", where,
          "upper-case digits under an operator that minds case: registers are presented in lower case");
    }
  }

  void check_typed(const Condition& condition, const std::string& where) {
    const std::string op = to_string({condition.name.op, Quantifier::kNone, false});
    const bool typed = op.starts_with("Numeric") || op.starts_with("Date") || op.ends_with("IpAddress") ||
                       op == "BinaryEquals" || op == "Null";
    for (const ConditionValue& value : condition.values) {
      if (typed && std::holds_alternative<std::monostate>(value.typed)) {
        add(Severity::kError, "ValueUnreadable", where, fmt::format("{} cannot read one of the values: it matches nothing", op));
        return;
      }
      const bool arn = op.starts_with("Arn") && !value.pattern.has_variables();
      if (arn && std::count(value.text.begin(), value.text.end(), ':') < 5) {
        add(Severity::kError, "ValueUnreadable", where, "not the six parts of an ARN: it matches nothing");
        return;
      }
    }
  }

  void check_attested_actions(const Statement& statement) {
    if (statement.effect != Effect::kAllow || !demands_register(statement) || statement.action_sense == Sense::kNotIn) return;
    for (const std::string& action : statement.actions) {
      const Pattern pattern(compile_wildcards(fold(action)));
      const bool any = std::any_of(kAttested.begin(), kAttested.end(),
                                   [&](std::string_view attested) { return pattern.matches(fold(attested)); });
      if (any) continue;
      add(Severity::kWarning, "ActionWithoutDocument", where_ + ".Action",
          fmt::format("{} takes no attestation document: under this condition it is never allowed", action.substr(0, 64)));
    }
  }

  // check_detours looks for statements that allow what another one allows only to an enclave.
  void check_detours() {
    for (const std::string_view action : kAttested) {
      const std::string folded = fold(action);
      const bool attested = std::any_of(policy_.statements.begin(), policy_.statements.end(), [&](const Statement& s) {
        return s.effect == Effect::kAllow && demands_register(s) && action_match(s, folded);
      });
      const bool denied = std::any_of(policy_.statements.begin(), policy_.statements.end(), [&](const Statement& s) {
        return s.effect == Effect::kDeny && has_register(s) && action_match(s, folded);
      });
      if (!attested || denied) continue;
      for (std::size_t i = 0; i < policy_.statements.size(); ++i) {
        const Statement& statement = policy_.statements[i];
        if (statement.effect == Effect::kDeny || demands_register(statement) || !action_match(statement, folded)) continue;
        add_detour(statement, i, action);
      }
    }
  }

  void add_detour(const Statement& statement, std::size_t index, std::string_view action) {
    const std::string where = fmt::format("Statement[{}]", index);
    const bool seen = std::any_of(findings_.begin(), findings_.end(), [&](const Finding& finding) {
      return finding.where == where && (finding.code == "Detour" || finding.code == "DelegatedDetour");
    });
    if (seen) return;
    const bool delegates = std::all_of(statement.principals.begin(), statement.principals.end(), [](const PrincipalName& name) {
      return is_account_id(name.text) || name.text.ends_with(":root");
    });
    if (delegates && statement.has_principal) {
      add(Severity::kWarning, "DelegatedDetour", where,
          fmt::format("leaves {} to the account's identity-based policies: one that allows it goes around the attestation "
                      "condition",
                      action));
      return;
    }
    add(Severity::kError, "Detour", where, fmt::format("allows {} without the attestation condition", action));
  }

  void check_lock_out() {
    if (type_ != PolicyType::kResource) return;
    const bool changeable = std::any_of(policy_.statements.begin(), policy_.statements.end(), [](const Statement& s) {
      return s.effect == Effect::kAllow && s.has_resource && action_match(s, "kms:putkeypolicy") && !demands_register(s);
    });
    if (!changeable) {
      add(Severity::kError, "LockOut", "Statement", "no statement allows kms:PutKeyPolicy: the policy could never be changed");
    }
  }

  const Policy& policy_;
  PolicyType type_;
  std::string where_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> lint_policy(const Policy& policy, PolicyType type) {
  return Linter(policy, type).run();
}

Result<std::string> generate_key_policy(const GenerateOptions& options) {
  TRY(check_principal_name({PrincipalKind::kAws, options.principal}).in("principal"));
  const Arn arn = TRY(parse_arn(options.principal).in("principal"));
  const std::string account = options.account.empty() ? std::string(arn.account) : options.account;
  if (!is_account_id(account)) return malformed("account: want 12 digits");
  if (options.registers.empty()) return unsupported("registers: none given; a policy without one protects nothing");

  json::Object values;
  for (const auto& [number, wanted] : options.registers) {
    if (number > 31) return malformed("register {}: want 0 to 31", number);
    if (wanted.empty()) return malformed("register {}: no value", number);
    json::Array list;
    for (const std::string& value : wanted) {
      if (value.size() != kRegisterDigits || !is_hex(value)) {
        return malformed("register {}: {} characters, want {} hexadecimal digits", number, value.size(), kRegisterDigits);
      }
      if (number <= 2 && is_zero(value)) return malformed("register {}: zeros, the register of every debug enclave", number);
      list.emplace_back(fold(value));
    }
    const std::string key = fmt::format("kms:RecipientAttestation:PCR{}", number);
    values.set(key, list.size() == 1 ? list.front() : json::Value(list));
  }
  const json::Object principal{{"AWS", options.principal}};
  const json::Object administer{
      {"Sid", "Administer without using"},
      {"Effect", "Allow"},
      {"Principal", json::Object{{"AWS", root_arn(account, arn.partition)}}},
      {"NotAction", json::Array{"kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DeriveSharedSecret",
                                "kms:GenerateRandom", "kms:CreateGrant"}},
      {"Resource", "*"}};
  const json::Object encrypt{{"Sid", "Encrypt from anywhere"},
                             {"Effect", "Allow"},
                             {"Principal", principal},
                             {"Action", json::Array{"kms:Encrypt", "kms:DescribeKey"}},
                             {"Resource", "*"}};
  const json::Object decrypt{{"Sid", "Decrypt in the enclave only"},
                             {"Effect", "Allow"},
                             {"Principal", principal},
                             {"Action", json::Array{"kms:Decrypt", "kms:GenerateDataKey"}},
                             {"Resource", "*"},
                             {"Condition", json::Object{{"StringEqualsIgnoreCase", std::move(values)}}}};
  return json::encode_pretty(json::Object{{"Version", "2012-10-17"}, {"Statement", json::Array{administer, encrypt, decrypt}}});
}

}  // namespace casemate::iam
