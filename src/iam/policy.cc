// SPDX-License-Identifier: Apache-2.0
#include "iam/policy.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "iam/messages.h"
#include "json/value.h"

namespace casemate::iam {
namespace {

constexpr std::string_view kSyntaxText = "Syntax errors in policy.";

PolicyDefect defect(std::string where, std::string what, std::string_view aws_text = kSyntaxText) {
  return {ErrorCode::kMalformed, std::string(aws_text), std::move(where), std::move(what)};
}

using Check = std::optional<PolicyDefect>;

bool is_resource_based(PolicyType type) {
  return type == PolicyType::kResource || type == PolicyType::kTrust;
}

// scalar_text is a condition value: strings, and the numbers and booleans that people write without quotes.
std::optional<std::string> scalar_text(const json::Value& value) {
  if (const std::string* text = value.if_string()) return *text;
  if (const bool* flag = value.if_bool()) return *flag ? "true" : "false";
  if (value.is_number()) return json::encode(value);
  return std::nullopt;
}

// Parser reads one document; each function adds to the statement or says what is wrong and where.
class Parser {
 public:
  Parser(PolicyType type, const PolicyLimits& limits) : type_(type), limits_(limits) {}

  std::variant<PolicyPtr, PolicyDefect> parse(std::string_view text);

 private:
  Check read_document(const json::Value& root);
  Check read_statement(const json::Value& value, const std::string& where);
  Check read_member(Statement& statement, const std::string& name, const json::Value& value, const std::string& where);
  Check read_sid(Statement& statement, const json::Value& value, const std::string& where);
  Check read_principals(Statement& statement, const json::Value& value, const std::string& where);
  Check read_actions(Statement& statement, const json::Value& value, const std::string& where);
  Check read_resources(Statement& statement, const json::Value& value, const std::string& where);
  Check read_conditions(Statement& statement, const json::Value& value, const std::string& where);
  Check check_whole(const Statement& statement, const std::string& where);
  Check read_texts(std::vector<std::string>& out, const json::Value& value, const std::string& where);

  Variables variables() const { return policy_.version == Version::k2012 ? Variables::kActive : Variables::kLiteral; }

  PolicyType type_;
  const PolicyLimits& limits_;
  Policy policy_;
  std::set<std::string> sids_;
};

std::variant<PolicyPtr, PolicyDefect> Parser::parse(std::string_view text) {
  if (text.size() > limits_.bytes) {
    return PolicyDefect{ErrorCode::kLimit, "Policy document exceeds the maximum size.", "document",
                        fmt::format("{} bytes, at most {}", text.size(), limits_.bytes)};
  }
  auto root = json::parse(text, {limits_.bytes, limits_.depth, limits_.values});
  if (!root) return PolicyDefect{root.error().code(), std::string(kSyntaxText), "document", root.error().message()};
  policy_.text = text;
  if (auto bad = read_document(*root)) return std::move(*bad);
  return std::make_shared<const Policy>(std::move(policy_));
}

Check Parser::read_document(const json::Value& root) {
  const json::Object* document = root.if_object();
  if (document == nullptr) return defect("document", fmt::format("a JSON {}, want an object", root.type_name()));
  for (const auto& [name, value] : *document) {
    if (name == "Version") {
      const std::string* version = value.if_string();
      if (version != nullptr && *version == "2012-10-17") {
        policy_.version = Version::k2012;
      } else if (version == nullptr || *version != "2008-10-17") {
        return defect("Version", "want \"2012-10-17\" or \"2008-10-17\"",
                      "Policy document must be version 2012-10-17 or greater.");
      }
    } else if (name == "Id") {
      const std::string* id = value.if_string();
      if (id == nullptr) return defect("Id", fmt::format("a {}, want a string", value.type_name()));
      policy_.id = *id;
    } else if (name != "Statement") {
      return defect("document", fmt::format("unknown element {}, want Version, Id and Statement",
                                            json::encode_string(name.substr(0, 64))));
    }
  }
  const json::Value* statements = document->find("Statement");
  if (statements == nullptr) return defect("Statement", "missing", "Missing required field Statement");
  if (statements->if_object() != nullptr) return read_statement(*statements, "Statement");
  const json::Array* list = statements->if_array();
  if (list == nullptr) {
    return defect("Statement", fmt::format("a {}, want an object or an array", statements->type_name()));
  }
  if (list->empty()) return defect("Statement", "empty", "Missing required field Statement");
  if (list->size() > limits_.statements) {
    return PolicyDefect{ErrorCode::kLimit, std::string(kSyntaxText), "Statement",
                        fmt::format("{} statements, at most {}", list->size(), limits_.statements)};
  }
  policy_.statements.reserve(list->size());
  for (std::size_t i = 0; i < list->size(); ++i) {
    if (auto bad = read_statement((*list)[i], fmt::format("Statement[{}]", i))) return bad;
  }
  return std::nullopt;
}

Check Parser::read_statement(const json::Value& value, const std::string& where) {
  const json::Object* object = value.if_object();
  if (object == nullptr) return defect(where, fmt::format("a {}, want an object", value.type_name()));
  Statement statement;
  const json::Value* effect = object->find("Effect");
  const std::string* effect_text = effect == nullptr ? nullptr : effect->if_string();
  if (effect == nullptr) return defect(where + ".Effect", "missing", "Missing required field Effect");
  if (effect_text == nullptr || (*effect_text != "Allow" && *effect_text != "Deny")) {
    return defect(where + ".Effect", "want \"Allow\" or \"Deny\"",
                  fmt::format("Invalid effect: {}", effect_text == nullptr ? "" : effect_text->substr(0, 64)));
  }
  statement.effect = *effect_text == "Allow" ? Effect::kAllow : Effect::kDeny;
  for (const auto& [name, member] : *object) {
    if (name == "Effect") continue;
    if (auto bad = read_member(statement, name, member, where)) return bad;
  }
  if (auto bad = check_whole(statement, where)) return bad;
  // A trust policy speaks of its role without naming it.
  if (type_ == PolicyType::kTrust) {
    auto everything = ResourcePattern::compile("*", Variables::kLiteral);
    CASEMATE_CHECK(everything.has_value());
    statement.has_resource = true;
    statement.resource_patterns.push_back(std::move(*everything));
  }
  policy_.statements.push_back(std::move(statement));
  return std::nullopt;
}

Check Parser::read_member(Statement& statement, const std::string& name, const json::Value& value,
                          const std::string& where) {
  const std::string path = where + "." + name;
  const auto twice = [&](std::string_view one, std::string_view other) {
    return defect(where, fmt::format("both {} and {}, want one of them", one, other));
  };
  if (name == "Sid") return read_sid(statement, value, path);
  if (name == "Condition") return read_conditions(statement, value, path);
  if (name == "Principal" || name == "NotPrincipal") {
    if (!is_resource_based(type_)) {
      return defect(path, "not allowed in this type of policy", "Policy document should not specify a principal.");
    }
    if (statement.has_principal) return twice("Principal", "NotPrincipal");
    statement.principal_sense = name == "Principal" ? Sense::kIn : Sense::kNotIn;
    return read_principals(statement, value, path);
  }
  if (name == "Action" || name == "NotAction") {
    if (!statement.actions.empty()) return twice("Action", "NotAction");
    statement.action_sense = name == "Action" ? Sense::kIn : Sense::kNotIn;
    return read_actions(statement, value, path);
  }
  if (name == "Resource" || name == "NotResource") {
    if (type_ == PolicyType::kTrust) {
      return defect(path, "not allowed in a trust policy", fmt::format("Has prohibited field {}", name));
    }
    if (statement.has_resource) return twice("Resource", "NotResource");
    statement.resource_sense = name == "Resource" ? Sense::kIn : Sense::kNotIn;
    return read_resources(statement, value, path);
  }
  return defect(where, fmt::format("unknown element {}", json::encode_string(name.substr(0, 64))));
}

Check Parser::read_sid(Statement& statement, const json::Value& value, const std::string& where) {
  const std::string* sid = value.if_string();
  if (sid == nullptr) return defect(where, fmt::format("a {}, want a string", value.type_name()));
  const bool plain = std::all_of(sid->begin(), sid->end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
  if (!plain && !is_resource_based(type_)) {
    return defect(where, "want letters and digits only",
                  "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
                  "[0-9A-Za-z]*");
  }
  if (!sid->empty() && !sids_.insert(*sid).second) {
    return defect(where, "occurs twice", "Statement IDs (SID) in a single policy must be unique.");
  }
  statement.sid = *sid;
  return std::nullopt;
}

Check Parser::read_texts(std::vector<std::string>& out, const json::Value& value, const std::string& where) {
  if (const std::string* text = value.if_string()) {
    out.push_back(*text);
    return std::nullopt;
  }
  const json::Array* list = value.if_array();
  if (list == nullptr) return defect(where, fmt::format("a {}, want a string or an array", value.type_name()));
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string* text = (*list)[i].if_string();
    if (text == nullptr) {
      return defect(fmt::format("{}[{}]", where, i), fmt::format("a {}, want a string", (*list)[i].type_name()));
    }
    out.push_back(*text);
  }
  return std::nullopt;
}

Check Parser::read_principals(Statement& statement, const json::Value& value, const std::string& where) {
  if (const std::string* text = value.if_string()) {
    if (*text != "*") return defect(where, "a string, want \"*\" or an object", kInvalidPrincipalText);
    statement.principals.push_back({PrincipalKind::kAny, *text});
  } else if (const json::Object* object = value.if_object()) {
    for (const auto& [name, member] : *object) {
      const std::string path = where + "." + name;
      PrincipalKind kind = PrincipalKind::kAws;
      if (name == "Service") {
        kind = PrincipalKind::kService;
      } else if (name == "Federated") {
        kind = PrincipalKind::kFederated;
      } else if (name == "CanonicalUser") {
        kind = PrincipalKind::kCanonicalUser;
      } else if (name != "AWS") {
        return defect(path, "want AWS, Service, Federated or CanonicalUser", kInvalidPrincipalText);
      }
      std::vector<std::string> texts;
      if (auto bad = read_texts(texts, member, path)) return bad;
      for (std::string& named : texts) {
        PrincipalName principal{kind, std::move(named)};
        if (const auto shape = check_principal_name(principal); !shape) {
          return defect(path, shape.error().message(), kInvalidPrincipalText);
        }
        statement.principals.push_back(std::move(principal));
      }
    }
  } else {
    return defect(where, fmt::format("a {}, want \"*\" or an object", value.type_name()));
  }
  if (statement.principals.empty()) return defect(where, "empty", kNoPrincipalText);
  statement.has_principal = true;
  return std::nullopt;
}

Check Parser::read_actions(Statement& statement, const json::Value& value, const std::string& where) {
  if (auto bad = read_texts(statement.actions, value, where)) return bad;
  for (const std::string& action : statement.actions) {
    const std::size_t colon = action.find(':');
    const std::string_view vendor = std::string_view(action).substr(0, colon);
    const bool plain = std::all_of(vendor.begin(), vendor.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    });
    const bool whole = colon != std::string::npos && colon + 1 < action.size() && !vendor.empty() && plain;
    if (action != "*" && action != "*:*" && !whole) {
      return defect(where, fmt::format("{} is no action, want service:Name", json::encode_string(action.substr(0, 64))),
                    "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
    }
    statement.action_patterns.emplace_back(compile_wildcards(fold(action)));
  }
  if (statement.actions.empty()) return defect(where, "empty", "Policy statement must contain actions.");
  return std::nullopt;
}

Check Parser::read_resources(Statement& statement, const json::Value& value, const std::string& where) {
  if (auto bad = read_texts(statement.resources, value, where)) return bad;
  for (const std::string& resource : statement.resources) {
    if (resource != "*" && !resource.starts_with("arn:") && !resource.starts_with("${")) {
      return defect(where, fmt::format("{} is no resource, want an ARN or \"*\"", json::encode_string(resource.substr(0, 64))),
                    fmt::format("Resource {} must be in ARN format or \"*\".", resource.substr(0, 256)));
    }
    auto pattern = ResourcePattern::compile(resource, variables());
    if (!pattern) return defect(where, "a policy variable that is empty, not closed or has a default without quotes");
    statement.resource_patterns.push_back(std::move(*pattern));
  }
  if (statement.resources.empty()) return defect(where, "empty", "Policy statement must contain resources.");
  statement.has_resource = true;
  return std::nullopt;
}

Check Parser::read_conditions(Statement& statement, const json::Value& value, const std::string& where) {
  const json::Object* operators = value.if_object();
  if (operators == nullptr) return defect(where, fmt::format("a {}, want an object", value.type_name()));
  for (const auto& [op, keys] : *operators) {
    const std::string path = where + "." + op.substr(0, 64);
    const auto name = parse_operator(op);
    if (!name) return defect(path, name.error().message(), fmt::format("Invalid Condition type : {}.", op.substr(0, 64)));
    const json::Object* pairs = keys.if_object();
    if (pairs == nullptr) return defect(path, fmt::format("a {}, want an object", keys.type_name()));
    for (const auto& [key, wanted] : *pairs) {
      const std::string key_path = path + "." + key.substr(0, 128);
      if (key.find(':') == std::string::npos) {
        return defect(key_path, "no condition key, want service:name",
                      "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
      }
      std::vector<std::string> values;
      const json::Array* list = wanted.if_array();
      const std::size_t count = list == nullptr ? 1 : list->size();
      for (std::size_t i = 0; i < count; ++i) {
        const json::Value& item = list == nullptr ? wanted : (*list)[i];
        if (item.is_number() && !std::isfinite(item.as_double()))
          return defect(key_path, "a number beyond those that a double holds");
        auto text = scalar_text(item);
        if (!text) return defect(key_path, fmt::format("a {}, want a string, a number or a boolean", item.type_name()));
        values.push_back(std::move(*text));
      }
      auto condition = compile_condition(*name, key, values, variables());
      if (!condition) return defect(key_path, condition.error().message());
      statement.conditions.push_back(condition.take());
    }
  }
  return std::nullopt;
}

Check Parser::check_whole(const Statement& statement, const std::string& where) {
  if (is_resource_based(type_) && !statement.has_principal) {
    return defect(where + ".Principal", "missing", kNoPrincipalText);
  }
  // KMS takes a statement without Action or Resource: it has no effect.
  if (type_ == PolicyType::kResource) return std::nullopt;
  if (statement.actions.empty()) return defect(where + ".Action", "missing", "Policy statement must contain actions.");
  if (type_ != PolicyType::kTrust && !statement.has_resource) {
    return defect(where + ".Resource", "missing", "Policy statement must contain resources.");
  }
  return std::nullopt;
}

}  // namespace

Error PolicyDefect::error() const {
  return {code, fmt::format("policy: {}: {}", where, what)};
}

std::variant<PolicyPtr, PolicyDefect> check_policy(std::string_view text, PolicyType type, const PolicyLimits& limits) {
  return Parser(type, limits).parse(text);
}

Result<PolicyPtr> parse_policy(std::string_view text, PolicyType type, const PolicyLimits& limits) {
  auto checked = check_policy(text, type, limits);
  if (const auto* bad = std::get_if<PolicyDefect>(&checked)) return bad->error();
  return std::move(std::get<PolicyPtr>(checked));
}

std::optional<PolicyDefect> find_invalid_principal(const Policy& policy,
                                                   const std::function<bool(const PrincipalName&)>& exists) {
  for (std::size_t i = 0; i < policy.statements.size(); ++i) {
    for (const PrincipalName& name : policy.statements[i].principals) {
      if (name.kind == PrincipalKind::kAny || name.kind == PrincipalKind::kCanonicalUser || name.text == "*") continue;
      if (check_principal_name(name) && exists(name)) continue;
      return defect(fmt::format("Statement[{}].Principal", i),
                    fmt::format("{} does not exist", json::encode_string(name.text.substr(0, 256))), kInvalidPrincipalText);
    }
  }
  return std::nullopt;
}

std::string default_key_policy(std::string_view account, std::string_view partition) {
  // The spacing is that of the text which GetKeyPolicy returns.
  return fmt::format(
      "{{\n"
      "  \"Version\" : \"2012-10-17\",\n"
      "  \"Id\" : \"key-default-1\",\n"
      "  \"Statement\" : [ {{\n"
      "    \"Sid\" : \"Enable IAM User Permissions\",\n"
      "    \"Effect\" : \"Allow\",\n"
      "    \"Principal\" : {{\n"
      "      \"AWS\" : \"{}\"\n"
      "    }},\n"
      "    \"Action\" : \"kms:*\",\n"
      "    \"Resource\" : \"*\"\n"
      "  }} ]\n"
      "}}",
      root_arn(account, partition));
}

namespace {

bool pin_names(json::Value& names, std::string_view arn, std::string_view unique_id) {
  if (std::string* text = names.if_string()) {
    if (*text != arn) return false;
    *text = unique_id;
    return true;
  }
  bool pinned = false;
  if (json::Array* list = names.if_array()) {
    for (json::Value& name : *list) pinned = pin_names(name, arn, unique_id) || pinned;
  }
  return pinned;
}

bool pin_statement(json::Value& statement, std::string_view arn, std::string_view unique_id) {
  json::Object* members = statement.if_object();
  bool pinned = false;
  for (const std::string_view element : {"Principal", "NotPrincipal"}) {
    json::Value* principal = members == nullptr ? nullptr : members->find(element);
    json::Object* kinds = principal == nullptr ? nullptr : principal->if_object();
    json::Value* names = kinds == nullptr ? nullptr : kinds->find("AWS");
    pinned = (names != nullptr && pin_names(*names, arn, unique_id)) || pinned;
  }
  return pinned;
}

}  // namespace

std::optional<std::string> pin_principal(std::string_view document, std::string_view arn, std::string_view unique_id) {
  // Without an escape an ARN that is there is there as it is: most documents need not be parsed.
  if (document.find(arn) == std::string_view::npos && document.find('\\') == std::string_view::npos) return std::nullopt;
  auto parsed = json::parse(document);
  json::Object* members = parsed.ok() ? parsed->if_object() : nullptr;
  json::Value* statements = members == nullptr ? nullptr : members->find("Statement");
  if (statements == nullptr) return std::nullopt;
  bool pinned = false;
  if (json::Array* list = statements->if_array()) {
    for (json::Value& statement : *list) pinned = pin_statement(statement, arn, unique_id) || pinned;
  } else {
    pinned = pin_statement(*statements, arn, unique_id);
  }
  if (!pinned) return std::nullopt;
  std::string pretty = json::encode_pretty(*parsed);
  return pretty.size() <= PolicyLimits{}.bytes ? std::move(pretty) : json::encode(*parsed);
}

}  // namespace casemate::iam
