// SPDX-License-Identifier: Apache-2.0
#include "iam/diff.h"

#include <algorithm>
#include <map>
#include <set>

#include "iam/catalogue.h"
#include "iam/evaluate.h"
#include "iam/trace.h"

namespace casemate::iam {
namespace {

constexpr std::size_t kMostContexts = 512;
constexpr std::size_t kMostPrincipals = 64;
constexpr std::size_t kMostResources = 8;
constexpr std::size_t kMostActions = 256;
constexpr std::string_view kForeignAccount = "999999999999";

// Subject is a caller with what is said of it.
struct Subject {
  std::string words;
  Caller caller;
};

// Value is one possibility for a condition key.
struct Value {
  std::optional<std::vector<std::string>> presented;
  std::string words;
};
struct Key {
  std::string name;
  bool list = false;
  std::vector<Value> values;
};
struct Situation {
  RequestContext context;
  std::vector<std::string> words;
};

NamedPolicy allow_all() {
  return {"allows everything",
          parse_policy(R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}})",
                       PolicyType::kIdentity)
              .take()};
}

// sample makes a text that a pattern matches.
std::string sample(std::string_view pattern) {
  std::string out;
  for (const char c : pattern) out += c == '*' || c == '?' ? 'x' : c;
  return out;
}

class Differ {
 public:
  Differ(const Policy& before, const Policy& after, PolicyType type, const std::string& account)
      : before_{"before", std::make_shared<const Policy>(before)},
        after_{"after", std::make_shared<const Policy>(after)},
        type_(type),
        account_(account) {}

  Difference run() {
    const std::vector<Subject> subjects = find_subjects();
    const std::vector<std::string> actions = find_actions();
    const std::vector<std::string> resources = find_resources();
    const std::vector<Situation> situations = find_situations();
    for (const Subject& subject : subjects) {
      for (const std::string& resource : resources) {
        for (const std::string& action : actions) compare(subject, action, resource, situations);
      }
    }
    finish();
    return std::move(out_);
  }

 private:
  template <typename Visit>
  void each_statement(Visit visit) const {
    for (const NamedPolicy* policy : {&before_, &after_})
      for (const Statement& statement : policy->policy->statements) visit(statement);
  }

  std::vector<Subject> find_subjects() {
    std::vector<Subject> out;
    if (type_ != PolicyType::kResource && type_ != PolicyType::kTrust) {
      out.push_back({"whoever has the policy", {}});
      out.back().caller.principal = user(account_, "/", "someone", "AIDAEXAMPLE");
      return out;
    }
    std::set<std::string> seen;
    std::set<std::string> accounts{account_, std::string(kForeignAccount)};
    each_statement([&](const Statement& statement) {
      for (const PrincipalName& name : statement.principals) {
        if (name.text == "*" || out.size() >= kMostPrincipals || !seen.insert(name.text).second) continue;
        if (name.kind == PrincipalKind::kAws && is_account_id(name.text)) {
          accounts.insert(name.text);
          continue;
        }
        auto principal = name.kind == PrincipalKind::kService ? Result<Principal>(service(name.text)) : principal_of(name.text);
        if (!principal.ok()) continue;
        if (!principal->account.empty()) accounts.insert(principal->account);
        if (principal->type == PrincipalType::kRoot) continue;
        out.push_back({name.text, {}});
        out.back().caller.principal = principal.take();
      }
    });
    for (const std::string& account : accounts) {
      const bool foreign = account == kForeignAccount;
      Subject subject;
      subject.words = foreign ? std::string("whoever in other accounts has an identity-based policy that allows it")
                              : fmt::format("whoever in account {} has an identity-based policy that allows it", account);
      subject.caller.principal = user(account, "/", "someone", "AIDAEXAMPLE");
      subject.caller.identity_policies.push_back(allow_all());
      out.push_back(subject);
      if (foreign) continue;
      subject.words = fmt::format("everyone else in account {}", account);
      subject.caller.identity_policies.clear();
      out.push_back(std::move(subject));
    }
    return out;
  }

  std::vector<std::string> find_actions() {
    std::vector<std::string> out;
    const auto catalogue = type_ == PolicyType::kTrust ? sts_actions() : kms_actions();
    out.assign(catalogue.begin(), catalogue.end());
    const auto add = [&](const std::string& action) {
      const bool known = std::any_of(out.begin(), out.end(), [&](const std::string& one) { return fold(one) == fold(action); });
      if (!known && out.size() < kMostActions) out.push_back(action);
    };
    each_statement([&](const Statement& statement) {
      for (const std::string& action : statement.actions) {
        const std::string folded = fold(action);
        if (folded == "*") {
          add("other:Action");
        } else if (folded.starts_with("sts:")) {
          for (const std::string_view name : sts_actions()) add(std::string(name));
        } else if (!folded.starts_with("kms:") || action.find_first_of("*?") == std::string::npos) {
          add(sample(action));
        }
      }
    });
    return out;
  }

  std::vector<std::string> find_resources() {
    const std::string key = fmt::format("arn:aws:kms:us-east-1:{}:key/1234abcd-12ab-34cd-56ef-1234567890ab", account_);
    if (type_ == PolicyType::kResource) return {key};
    if (type_ == PolicyType::kTrust) return {fmt::format("arn:aws:iam::{}:role/this-role", account_)};
    std::vector<std::string> out{key};
    each_statement([&](const Statement& statement) {
      for (const std::string& resource : statement.resources) {
        if (resource == "*" || resource.find("${") != std::string::npos || out.size() >= kMostResources) continue;
        const std::string text = sample(resource);
        if (std::find(out.begin(), out.end(), text) == out.end()) out.push_back(text);
      }
    });
    return out;
  }

  std::vector<Key> find_keys() const {
    std::map<std::string, Key> keys;
    each_statement([&](const Statement& statement) {
      for (const Condition& condition : statement.conditions) {
        Key& key = keys[condition.folded];
        key.name = condition.key;
        key.list = key.list || condition.name.quantifier != Quantifier::kNone;
        for (const ConditionValue& value : condition.values) {
          if (condition.name.op == Operator::kNull || value.text.find("${") != std::string::npos) continue;
          std::string text = value.text;
          const bool wild = condition.name.op == Operator::kStringLike || condition.name.op == Operator::kStringNotLike ||
                            is_arn_operator(condition.name.op);
          if (wild) text = sample(text);
          if (std::holds_alternative<IpRange>(value.typed)) text = text.substr(0, text.find('/'));
          const bool known = std::any_of(key.values.begin(), key.values.end(),
                                         [&](const Value& one) { return one.presented->front() == text; });
          if (!known) key.values.push_back({std::vector<std::string>{text}, fmt::format("{} = {}", key.name, text)});
        }
      }
    });
    std::vector<Key> out;
    for (auto& [folded, key] : keys) {
      key.values.push_back({std::vector<std::string>{other_value(key)}, fmt::format("{} has another value", key.name)});
      key.values.push_back({std::nullopt, fmt::format("{} is absent", key.name)});
      out.push_back(std::move(key));
    }
    return out;
  }

  static bool is_arn_operator(Operator op) {
    return op == Operator::kArnEquals || op == Operator::kArnLike || op == Operator::kArnNotEquals || op == Operator::kArnNotLike;
  }

  // other_value is none of the values, but of their kind, so that typed operators can read it.
  static std::string other_value(const Key& key) {
    const std::string first = key.values.empty() ? std::string() : key.values.front().presented->front();
    if (register_of(key.name)) return std::string(96, 'f');
    if (first == "true") return "false";
    if (first == "false") return "true";
    if (parse_number(first)) return "987654321";
    if (parse_ip_range(first)) return "203.0.113.77";
    if (parse_date(first)) return "2099-01-01T00:00:00Z";
    if (parse_arn(first).ok()) return "arn:aws:other:us-east-1:999999999999:something/else";
    return "something else";
  }

  std::vector<Situation> find_situations() {
    const std::vector<Key> keys = find_keys();
    std::size_t count = 1;
    for (const Key& key : keys) {
      count *= key.values.size();
      if (count > kMostContexts) break;
    }
    std::vector<Situation> out;
    std::vector<std::size_t> choice(keys.size(), 0);
    if (count <= kMostContexts) {
      for (;;) {
        out.push_back(make(keys, choice));
        std::size_t i = 0;
        while (i < keys.size() && ++choice[i] == keys[i].values.size()) choice[i++] = 0;
        if (i == keys.size()) return out;
      }
    }
    // Too many to try all: from all first values and from all absent, one key at a time.
    out_.complete = false;
    for (const bool absent : {false, true}) {
      for (std::size_t k = 0; k < keys.size(); ++k) {
        for (std::size_t v = 0; v < keys[k].values.size() && out.size() < kMostContexts; ++v) {
          for (std::size_t i = 0; i < keys.size(); ++i) choice[i] = absent ? keys[i].values.size() - 1 : 0;
          choice[k] = v;
          out.push_back(make(keys, choice));
        }
      }
    }
    return out;
  }

  static Situation make(const std::vector<Key>& keys, const std::vector<std::size_t>& choice) {
    Situation out;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const Value& value = keys[i].values[choice[i]];
      out.words.push_back(value.words);
      if (!value.presented) continue;
      if (keys[i].list) {
        out.context.set_list(keys[i].name, *value.presented);
      } else {
        out.context.set(keys[i].name, value.presented->front());
      }
    }
    return out;
  }

  bool allowed(const Subject& subject, std::string_view action, std::string_view resource, const RequestContext& given,
               const NamedPolicy& policy) const {
    Caller caller = subject.caller;
    RequestContext context;
    add_caller_keys(context, caller);
    for (const RequestContext::Entry& entry : given) {
      if (entry.list) {
        context.set_list(entry.key, {entry.values().begin(), entry.values().end()});
      } else {
        context.set(entry.key, entry.values().front());
      }
    }
    AuthorizationRequest request{caller, action, resource, account_, context};
    const bool resource_based = type_ == PolicyType::kResource || type_ == PolicyType::kTrust;
    request.authority = resource_based ? Authority::kResourcePolicy : Authority::kIdentityOnly;
    if (resource_based) {
      request.resource_policy = &policy;
      return decide(request).allowed();
    }
    caller.identity_policies = {policy};
    return decide(request).allowed();
  }

  void compare(const Subject& subject, const std::string& action, const std::string& resource,
               const std::vector<Situation>& situations) {
    // A situation per sense in which anything changes; whether it is all of them tells whether conditions matter.
    std::map<Becomes, std::vector<const Situation*>> changed;
    for (const Situation& situation : situations) {
      const bool was = allowed(subject, action, resource, situation.context, before_);
      const bool is = allowed(subject, action, resource, situation.context, after_);
      if (was != is) changed[is ? Becomes::kAllowed : Becomes::kDenied].push_back(&situation);
    }
    for (const auto& [becomes, where] : changed) {
      if (where.size() == situations.size()) {
        add({becomes, subject.words, {action}, resource, {}});
        continue;
      }
      for (const auto& words : merge(where, situations)) add({becomes, subject.words, {action}, resource, words});
    }
  }

  // merge drops the keys that make no difference: those for which every value is among the changed situations.
  static std::set<std::vector<std::string>> merge(const std::vector<const Situation*>& where,
                                                  const std::vector<Situation>& all) {
    std::set<std::vector<std::string>> sets;
    for (const Situation* situation : where) sets.insert(situation->words);
    const std::size_t keys = all.front().words.size();
    for (std::size_t k = 0; k < keys; ++k) {
      std::set<std::string> values;
      for (const Situation& situation : all) values.insert(situation.words[k]);
      std::map<std::vector<std::string>, std::set<std::string>> by_rest;
      for (const auto& words : sets) {
        auto rest = words;
        rest[k].clear();
        by_rest[rest].insert(words[k]);
      }
      std::set<std::vector<std::string>> next;
      for (const auto& [rest, seen] : by_rest) {
        if (seen.size() == values.size()) {
          next.insert(rest);
          continue;
        }
        for (const std::string& value : seen) {
          auto words = rest;
          words[k] = value;
          next.insert(std::move(words));
        }
      }
      sets = std::move(next);
    }
    std::set<std::vector<std::string>> out;
    for (auto words : sets) {
      std::erase(words, std::string());
      out.insert(std::move(words));
    }
    return out;
  }

  void add(Change change) {
    const auto same = std::find_if(out_.changes.begin(), out_.changes.end(), [&](const Change& other) {
      return other.becomes == change.becomes && other.principal == change.principal && other.resource == change.resource &&
             other.when == change.when;
    });
    if (same == out_.changes.end()) {
      out_.changes.push_back(std::move(change));
    } else {
      same->actions.push_back(change.actions.front());
    }
  }

  void finish() {
    std::stable_sort(out_.changes.begin(), out_.changes.end(),
                     [](const Change& a, const Change& b) { return a.becomes < b.becomes; });
  }

  const NamedPolicy before_;
  const NamedPolicy after_;
  const PolicyType type_;
  const std::string account_;
  Difference out_;
};

}  // namespace

Difference diff_policies(const Policy& before, const Policy& after, PolicyType type, const std::string& account) {
  return Differ(before, after, type, account).run();
}

}  // namespace casemate::iam
