// SPDX-License-Identifier: Apache-2.0
#include "iam/lint.h"

#include <algorithm>
#include <array>

#include "iam/catalogue.h"
#include "iam/evaluate.h"
#include "iam/trace.h"
#include "json/value.h"

namespace casemate::iam {
namespace {


// The operations that take a Recipient; only their requests can carry an attestation document.
constexpr std::array<std::string_view, 5> kAttested = {"kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyPair",
                                                       "kms:DeriveSharedSecret", "kms:GenerateRandom"};

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

// covers_text is whether every text that `inner` matches is matched by `outer`; both with wildcards as written. A `?` of
// the outer pattern might have to take a whole `*`: then only equality counts.
bool covers_text(std::string_view outer, std::string_view inner) {
  if (outer == inner) return true;
  const bool risky = outer.find('?') != std::string_view::npos && inner.find('*') != std::string_view::npos;
  return !risky && match_wildcards(compile_wildcards(outer), inner);
}

enum class Fold { kNo, kYes };

bool covers_list(const std::vector<std::string>& outer, const std::vector<std::string>& inner, Fold folding) {
  const auto text = [&](const std::string& one) { return folding == Fold::kYes ? fold(one) : one; };
  return std::all_of(inner.begin(), inner.end(), [&](const std::string& part) {
    return std::any_of(outer.begin(), outer.end(),
                       [&](const std::string& whole) { return covers_text(text(whole), text(part)); });
  });
}

// covers_principals: whether whoever is named by `inner` is named by `outer` at least as directly. A Deny that names an
// account reaches all of its principals.
bool covers_principals(const Statement& outer, const Statement& inner) {
  if (!outer.has_principal || !inner.has_principal) return outer.has_principal == inner.has_principal;
  if (outer.principal_sense == Sense::kNotIn || inner.principal_sense == Sense::kNotIn) return false;
  const auto account_of = [](const std::string& text) -> std::string {
    if (is_account_id(text)) return text;
    const auto arn = parse_arn(text);
    return arn.ok() ? std::string(arn->account) : std::string();
  };
  const auto is_account = [](const std::string& text) { return is_account_id(text) || text.ends_with(":root"); };
  return std::all_of(inner.principals.begin(), inner.principals.end(), [&](const PrincipalName& name) {
    return std::any_of(outer.principals.begin(), outer.principals.end(), [&](const PrincipalName& whole) {
      if (whole.text == "*" || (whole.text == name.text && whole.kind == name.kind)) return true;
      const bool same_account = is_account(whole.text) && account_of(whole.text) == account_of(name.text);
      return same_account && (outer.effect == Effect::kDeny || is_account(name.text));
    });
  });
}

bool same_conditions(const Statement& a, const Statement& b) {
  const auto less = [](const Condition& x, const Condition& y) {
    return std::pair(to_string(x.name), x.folded) < std::pair(to_string(y.name), y.folded);
  };
  std::vector<Condition> x = a.conditions;
  std::vector<Condition> y = b.conditions;
  std::sort(x.begin(), x.end(), less);
  std::sort(y.begin(), y.end(), less);
  const auto texts = [](const Condition& condition) {
    std::vector<std::string> out;
    for (const ConditionValue& value : condition.values) out.push_back(value.text);
    std::sort(out.begin(), out.end());
    return out;
  };
  return std::equal(x.begin(), x.end(), y.begin(), y.end(), [&](const Condition& one, const Condition& other) {
    return to_string(one.name) == to_string(other.name) && one.folded == other.folded && texts(one) == texts(other);
  });
}

// covers is whether `outer` applies to every request to which `inner` does.
bool covers(const Statement& outer, const Statement& inner) {
  const bool plain = outer.action_sense == Sense::kIn && inner.action_sense == Sense::kIn &&
                     outer.resource_sense == Sense::kIn && inner.resource_sense == Sense::kIn;
  if (!plain || outer.actions.empty() || inner.actions.empty() || !outer.has_resource || !inner.has_resource) return false;
  return covers_principals(outer, inner) && covers_list(outer.actions, inner.actions, Fold::kYes) &&
         covers_list(outer.resources, inner.resources, Fold::kNo) &&
         (outer.conditions.empty() || same_conditions(outer, inner));
}

class Linter {
 public:
  Linter(const Policy& policy, PolicyType type, const LintOptions& options)
      : policy_(policy), type_(type), options_(options) {}

  std::vector<Finding> run() {
    for (std::size_t i = 0; i < policy_.statements.size(); ++i) {
      where_ = fmt::format("Statement[{}]", i);
      const Statement& statement = policy_.statements[i];
      check_effect(statement);
      for (const Condition& condition : statement.conditions) check_condition(statement, condition);
      check_attested_actions(statement);
      check_names(statement);
      check_contradictions(statement);
      check_vain(statement, i);
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

  void check_names(const Statement& statement) {
    for (const std::string& action : statement.actions) {
      const std::string folded = fold(action);
      const bool kms = folded.starts_with("kms:");
      if (!kms && !folded.starts_with("sts:")) continue;
      const Pattern pattern(compile_wildcards(folded));
      const auto known = kms ? kms_actions() : sts_actions();
      const bool any = std::any_of(known.begin(), known.end(), [&](std::string_view name) { return pattern.matches(fold(name)); });
      if (!any) add(Severity::kError, "ActionUnknown", where_ + ".Action", fmt::format("{}: there is no such action", action.substr(0, 64)));
    }
    for (const Condition& condition : statement.conditions) {
      if (condition.folded.starts_with("kms:") && !is_kms_key(condition.folded)) {
        add(Severity::kError, "KeyUnknown", at(condition), "KMS has no such condition key: it is absent from every request");
      }
    }
    if (policy_.version == Version::k2008) {
      const auto has_variable = [](const std::string& text) { return text.find("${") != std::string::npos; };
      bool any = std::any_of(statement.resources.begin(), statement.resources.end(), has_variable);
      for (const Condition& condition : statement.conditions) {
        any = any || std::any_of(condition.values.begin(), condition.values.end(),
                                 [&](const ConditionValue& value) { return has_variable(value.text); });
      }
      if (any) add(Severity::kWarning, "VariableLiteral", where_, "${...} is plain text unless Version is 2012-10-17");
    }
    if (!options_.exists) return;
    for (const PrincipalName& name : statement.principals) {
      if (name.kind == PrincipalKind::kAny || name.text == "*" || options_.exists(name)) continue;
      add(Severity::kError, "PrincipalMissing", where_ + (statement.principal_sense == Sense::kIn ? ".Principal" : ".NotPrincipal"),
          fmt::format("{} does not exist: AWS refuses the policy", name.text.substr(0, 256)));
    }
  }

  // check_contradictions looks for conditions of one statement that no request can meet together.
  void check_contradictions(const Statement& statement) {
    const auto demands_value = [](const Condition& condition) {
      return (condition.name.op == Operator::kStringEquals || condition.name.op == Operator::kStringEqualsIgnoreCase) &&
             !condition.name.if_exists && condition.name.quantifier == Quantifier::kNone;
    };
    for (std::size_t i = 0; i < statement.conditions.size(); ++i) {
      const Condition& one = statement.conditions[i];
      for (std::size_t j = 0; j < statement.conditions.size(); ++j) {
        const Condition& other = statement.conditions[j];
        if (i == j || one.folded != other.folded || !demands_value(one)) continue;
        const bool wants_absent = other.name.op == Operator::kNull && !other.values.empty() &&
                                  std::all_of(other.values.begin(), other.values.end(),
                                              [](const ConditionValue& value) { return fold(value.text) == "true"; });
        const bool disjoint =
            demands_value(other) && i < j &&
            std::none_of(one.values.begin(), one.values.end(), [&](const ConditionValue& value) {
              return std::any_of(other.values.begin(), other.values.end(),
                                 [&](const ConditionValue& more) { return fold(more.text) == fold(value.text); });
            });
        const bool negated = (other.name.op == Operator::kStringNotEqualsIgnoreCase ||
                              (other.name.op == Operator::kStringNotEquals && one.name.op == Operator::kStringEquals)) &&
                             std::all_of(one.values.begin(), one.values.end(), [&](const ConditionValue& value) {
                               const bool minds = other.name.op == Operator::kStringNotEquals;
                               return std::any_of(other.values.begin(), other.values.end(), [&](const ConditionValue& more) {
                                 return minds ? more.text == value.text : fold(more.text) == fold(value.text);
                               });
                             });
        if (wants_absent || disjoint || negated) {
          add(Severity::kError, "Contradiction", at(one), fmt::format("contradicts {}: the statement never applies", to_string(other.name)));
        }
      }
    }
    // The image's digest is register 0 under another name.
    const Condition* digest = nullptr;
    const Condition* zero = nullptr;
    for (const Condition& condition : statement.conditions) {
      if (!demands_value(condition)) continue;
      if (condition.folded == "kms:recipientattestation:imagesha384") digest = &condition;
      if (condition.folded == "kms:recipientattestation:pcr0") zero = &condition;
    }
    if (digest == nullptr || zero == nullptr) return;
    const bool meets = std::any_of(digest->values.begin(), digest->values.end(), [&](const ConditionValue& value) {
      return std::any_of(zero->values.begin(), zero->values.end(),
                         [&](const ConditionValue& more) { return fold(more.text) == fold(value.text); });
    });
    if (!meets) add(Severity::kError, "Contradiction", at(*digest), "ImageSha384 is PCR0, and the two values differ: the statement never applies");
  }

  // check_vain looks for statements that change nothing beside others.
  void check_vain(const Statement& statement, std::size_t index) {
    for (std::size_t i = 0; i < policy_.statements.size(); ++i) {
      const Statement& other = policy_.statements[i];
      if (i == index || !covers(other, statement)) continue;
      if (statement.effect == Effect::kAllow && other.effect == Effect::kDeny) {
        add(Severity::kError, "Unreachable", where_, fmt::format("Statement[{}] denies all that this one allows", i));
        return;
      }
      if (other.effect != statement.effect) continue;
      // Of two that are equal the second is the one too many.
      if (i > index && covers(statement, other)) continue;
      add(Severity::kWarning, "Redundant", where_, fmt::format("Statement[{}] says the same or more", i));
      return;
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
    const bool changeable = std::any_of(policy_.statements.begin(), policy_.statements.end(), [this](const Statement& s) {
      if (s.effect == Effect::kDeny || !s.has_resource || !action_match(s, "kms:putkeypolicy") || demands_register(s)) return false;
      return std::none_of(policy_.statements.begin(), policy_.statements.end(), [&](const Statement& deny) {
        return deny.effect == Effect::kDeny && deny.conditions.empty() && deny.has_resource &&
               action_match(deny, "kms:putkeypolicy") && covers_principals(deny, s);
      });
    });
    if (!changeable) {
      add(Severity::kError, "LockOut", "Statement", "no statement allows kms:PutKeyPolicy: the policy could never be changed");
    }
  }

  const Policy& policy_;
  PolicyType type_;
  const LintOptions& options_;
  std::string where_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> lint_policy(const Policy& policy, PolicyType type, const LintOptions& options) {
  return Linter(policy, type, options).run();
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
