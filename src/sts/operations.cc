// SPDX-License-Identifier: Apache-2.0
#include "sts/operations.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "iam/arn.h"
#include "iam/evaluate.h"
#include "iam/messages.h"
#include "iam/trace.h"

namespace casemate::sts {
namespace {

using identity::EntityPtr;
using query::Check;
using query::Done;
using query::element;
using query::fault;
using query::invalid;
using query::Outcome;
using query::wrap;

constexpr std::size_t kMostTags = 50;
constexpr std::size_t kMostPolicyArns = 10;
constexpr std::size_t kLongestPolicy = 2048;
constexpr std::int64_t kLongestChained = 3600;

const json::Value* decision_of(const json::Value& event) {
  const json::Value* additional = event.find("additionalEventData");
  const json::Value* own = additional == nullptr ? nullptr : additional->find("casemate");
  return own == nullptr ? nullptr : own->find("decision");
}

bool is_plain(std::string_view text, std::string_view more) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || more.find(c) != std::string_view::npos;
  });
}

bool is_session_name(std::string_view text) {
  return text.size() >= 2 && text.size() <= 64 && is_plain(text, "_+=,.@-");
}

Outcome<std::int64_t> read_duration(const Call& call, std::int64_t most, std::int64_t otherwise) {
  const std::string* text = call.parameters.find("DurationSeconds");
  if (text == nullptr) return otherwise;
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), out);
  if (error != std::errc{} || end != text->data() + text->size() || out < 900 || out > most) {
    return invalid(query::constraint_text(is_plain(*text, "-.") ? *text : "", "durationSeconds",
                                          fmt::format("have value between 900 and {}", most)));
  }
  return out;
}

std::string credentials_xml(const identity::SessionCredentials& made) {
  return wrap("Credentials", element("AccessKeyId", made.access_key_id) +
                                 element("SecretAccessKey", as_text(made.secret_access_key.expose())) +
                                 element("SessionToken", made.session_token) +
                                 element("Expiration", query::time_text(made.expires)));
}

// authorize_own asks the caller's identity policies.
Check authorize_own(Call& call, std::string_view action, std::string_view resource = "*") {
  iam::RequestContext context;
  iam::add_caller_keys(context, call.caller);
  iam::add_request_keys(context, call.request, call.region, call.now);
  iam::AuthorizationRequest wanted{call.caller, action, resource, call.caller.principal.account, context};
  wanted.authority = iam::Authority::kIdentityOnly;
  const iam::Decision decided = iam::decide(wanted);
  if (decided.allowed()) return Done{};
  call.decision = iam::to_json(iam::trace(wanted));
  return fault(403, "AccessDenied", iam::access_denied_text(call.caller.principal, action, resource, decided));
}

Outcome<std::string> get_caller_identity(Call& call) {
  const iam::Principal& who = call.caller.principal;
  return element("Arn", who.arn) + element("UserId", who.user_id) + element("Account", who.account);
}

// packed_size is how full a session's policies and tags are, in percent. The limit itself is of AWS's making; 16 KiB
// holds the most that the other limits let through.
std::string packed_size(const identity::SessionRequest& wanted) {
  std::size_t packed = 0;
  for (const std::string& policy : wanted.policies) packed += policy.size();
  for (const auto& [key, value] : wanted.tags) packed += key.size() + value.size();
  return packed == 0 ? std::string() : element("PackedPolicySize", std::to_string((packed * 100 + 16383) / 16384));
}

// ---- AssumeRole

Outcome<iam::Tags> read_tags(const Call& call) {
  iam::Tags tags = call.parameters.pairs("Tags");
  if (tags.size() > kMostTags) {
    return invalid(query::constraint_text("", "tags", fmt::format("have length less than or equal to {}", kMostTags)));
  }
  for (std::size_t i = 0; i < tags.size(); ++i) {
    const auto& [key, value] = tags[i];
    constexpr std::string_view kCharacters = " _.:/=+-@";
    if (key.empty() || key.size() > 128 || value.size() > 256 || !is_plain(key, kCharacters) ||
        !is_plain(value, kCharacters) || iam::fold(key).starts_with("aws:")) {
      return invalid("Tag keys have 1 to 128 characters and do not begin with aws:, values have at most 256.");
    }
    const bool twice = std::any_of(tags.begin(), tags.begin() + static_cast<std::ptrdiff_t>(i),
                                   [&, k = key](const auto& tag) { return iam::fold(tag.first) == iam::fold(k); });
    if (twice)
      return fault(400, "InvalidParameterValue",
                   "Duplicate tag keys found. Please note that Tag keys are case insensitive.");
  }
  return tags;
}

bool has_key(const std::vector<std::string>& keys, std::string_view key) {
  return std::any_of(keys.begin(), keys.end(), [&](const std::string& one) { return iam::fold(one) == iam::fold(key); });
}

// inherit adds the transitive tags of the caller's own session, which a chain cannot change.
Check inherit_tags(const Call& call, identity::SessionRequest& wanted) {
  for (const auto& [key, value] : wanted.tags) {
    if (has_key(call.caller.transitive_tag_keys, key)) {
      return fault(400, "InvalidParameterValue",
                   "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key "
                   "from the calling session.");
    }
  }
  for (const std::string& key : wanted.transitive_tag_keys) {
    const bool given = std::any_of(wanted.tags.begin(), wanted.tags.end(),
                                   [&](const auto& tag) { return iam::fold(tag.first) == iam::fold(key); });
    if (!given) return fault(400, "InvalidParameterValue", "The specified transitive tag key must be included in the requested tags.");
  }
  for (const std::string& key : call.caller.transitive_tag_keys) {
    for (const auto& [name, value] : call.caller.principal.tags) {
      if (iam::fold(name) == iam::fold(key)) wanted.tags.emplace_back(name, value);
    }
    wanted.transitive_tag_keys.push_back(key);
  }
  return Done{};
}

Check read_policies(const Call& call, identity::SessionRequest& wanted) {
  if (const std::string* policy = call.parameters.find("Policy")) {
    if (policy->size() > kLongestPolicy) {
      return invalid(fmt::format("1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must "
                                 "have length less than or equal to {}",
                                 kLongestPolicy));
    }
    auto checked = iam::check_policy(*policy, iam::PolicyType::kSession);
    if (const auto* defect = std::get_if<iam::PolicyDefect>(&checked))
      return fault(400, "MalformedPolicyDocument", defect->aws_text);
    wanted.policies.push_back(*policy);
  }
  for (std::size_t i = 1; i <= kMostPolicyArns + 1; ++i) {
    const std::string* arn = call.parameters.find(fmt::format("PolicyArns.member.{}.arn", i));
    if (arn == nullptr) break;
    if (i > kMostPolicyArns) return invalid(fmt::format("At most {} policies may be given.", kMostPolicyArns));
    const auto policy = call.state->find_policy(*arn);
    const bool usable =
        policy != nullptr && (policy->account == "aws" || policy->account == call.caller.principal.account);
    if (!usable) return fault(400, "MalformedPolicyDocument", "The policy is not in the valid format.");
    wanted.policy_arns.push_back(*arn);
  }
  return Done{};
}

// ask_trust asks the role's trust policy, with the caller's identity policies where it leaves the word to them.
bool ask_trust(Call& call, const identity::Entity& role, std::string_view action, const iam::RequestContext& context) {
  const std::string arn = role.arn();
  const iam::NamedPolicy trust{arn, role.trust.policy};
  iam::AuthorizationRequest wanted{call.caller, action, arn, role.account, context};
  wanted.resource_policy = &trust;
  if (iam::decide(wanted).allowed()) return true;
  call.decision = iam::to_json(iam::trace(wanted));
  return false;
}

iam::RequestContext role_context(const Call& call, const identity::SessionRequest& wanted) {
  iam::RequestContext context;
  iam::add_caller_keys(context, call.caller);
  iam::add_request_keys(context, call.request, call.region, call.now);
  context.set("sts:RoleSessionName", wanted.session_name);
  if (const std::string* external = call.parameters.find("ExternalId")) context.set("sts:ExternalId", *external);
  if (!wanted.source_identity.empty()) context.set("sts:SourceIdentity", wanted.source_identity);
  std::vector<std::string> keys;
  for (const auto& [key, value] : wanted.tags) {
    context.set("aws:RequestTag/" + key, value);
    keys.push_back(key);
  }
  context.set_list("aws:TagKeys", std::move(keys));
  context.set_list("sts:TransitiveTagKeys", wanted.transitive_tag_keys);
  return context;
}

Check check_external_id(const Call& call) {
  const std::string* id = call.parameters.find("ExternalId");
  if (id == nullptr || (id->size() >= 2 && id->size() <= 1224 && is_plain(*id, "_+=,.@:/-"))) return Done{};
  return invalid(query::constraint_text("", "externalId", "satisfy regular expression pattern: [\\w+=,.@:\\/-]{2,1224}"));
}

Outcome<identity::SessionRequest> read_session(Call& call) {
  identity::SessionRequest wanted;
  wanted.session_name = call.parameters.get("RoleSessionName");
  if (!is_session_name(wanted.session_name)) {
    return invalid(query::constraint_text(is_plain(wanted.session_name, "_+=,.@- ") ? wanted.session_name : "",
                                          "roleSessionName",
                                          "satisfy regular expression pattern: [\\w+=,.@-]{2,64}"));
  }
  TRY(check_external_id(call));
  wanted.lifetime = std::chrono::seconds{TRY(read_duration(call, 43200, 3600))};
  if (call.parameters.find("SerialNumber") != nullptr || call.parameters.find("TokenCode") != nullptr)
    return fault(403, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code.");
  wanted.tags = TRY(read_tags(call));
  wanted.transitive_tag_keys = call.parameters.list("TransitiveTagKeys");
  TRY(inherit_tags(call, wanted));
  TRY(read_policies(call, wanted));
  wanted.source_identity = call.parameters.get("SourceIdentity");
  if (!wanted.source_identity.empty() && !is_session_name(wanted.source_identity))
    return invalid(query::constraint_text("", "sourceIdentity", "satisfy regular expression pattern: [\\w+=,.@-]{2,64}"));
  return wanted;
}

Outcome<std::string> assume_role(Call& call) {
  const std::string arn(call.parameters.get("RoleArn"));
  if (!is_plain(arn, "_+=,.@:/-") || !iam::parse_arn(arn).ok())
    return invalid(fmt::format("{} is invalid", is_plain(arn, "_+=,.@:/- ") ? arn : ""));
  identity::SessionRequest wanted = TRY(read_session(call));
  const iam::RequestContext context = role_context(call, wanted);
  const std::string& source = call.caller.source_identity;
  // A role that does not exist and one that may not be assumed give the same answer.
  const EntityPtr role = call.state->find_role(arn);
  const auto refuse = [&](std::string_view action) {
    return fault(403, "AccessDenied", fmt::format("User: {} is not authorized to perform: {} on resource: {}",
                                                  call.caller.principal.arn, action, arn));
  };
  if (call.caller.principal.type == iam::PrincipalType::kRoot)
    return fault(403, "AccessDenied", "Roles may not be assumed by root accounts.");
  if (role == nullptr || !ask_trust(call, *role, "sts:AssumeRole", context)) return refuse("sts:AssumeRole");
  if (!wanted.tags.empty() && !ask_trust(call, *role, "sts:TagSession", context)) return refuse("sts:TagSession");
  const bool renames = !wanted.source_identity.empty() && !source.empty() && wanted.source_identity != source;
  if (renames || (!wanted.source_identity.empty() && !ask_trust(call, *role, "sts:SetSourceIdentity", context)))
    return refuse("sts:SetSourceIdentity");
  if (wanted.source_identity.empty()) wanted.source_identity = source;
  const bool chained = call.caller.principal.type == iam::PrincipalType::kAssumedRole;
  if (chained && wanted.lifetime.count() > kLongestChained) {
    return invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining");
  }
  if (wanted.lifetime > role->max_session)
    return invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");

  const std::string packed = packed_size(wanted);
  const std::string name = wanted.session_name;
  const std::string new_source = wanted.source_identity;
  const identity::SessionCredentials made = call.directory.issue(*role, std::move(wanted), call.now, call.rng);
  std::string out = credentials_xml(made) +
                    wrap("AssumedRoleUser", element("AssumedRoleId", fmt::format("{}:{}", role->id, name)) +
                                                element("Arn", fmt::format("arn:aws:sts::{}:assumed-role/{}/{}",
                                                                           role->account, role->name, name)));
  out += packed;
  if (!new_source.empty()) out += element("SourceIdentity", new_source);
  return out;
}

// ---- the others

Outcome<std::string> get_session_token(Call& call) {
  if (call.caller.principal.type != iam::PrincipalType::kUser || call.caller.token_issue_time)
    return fault(403, "AccessDenied", "Cannot call GetSessionToken with session credentials");
  const std::int64_t lifetime = TRY(read_duration(call, 129600, 43200));
  if (call.parameters.find("SerialNumber") != nullptr || call.parameters.find("TokenCode") != nullptr)
    return fault(403, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code.");
  const EntityPtr user = call.state->find(call.caller.principal.account, identity::Kind::kUser, call.caller.principal.name);
  if (user == nullptr || user->id != call.caller.principal.user_id)
    return fault(403, "InvalidClientTokenId", "The security token included in the request is invalid.");
  identity::SessionRequest wanted;
  wanted.lifetime = std::chrono::seconds{lifetime};
  return credentials_xml(call.directory.issue(*user, std::move(wanted), call.now, call.rng));
}

Outcome<std::string> get_federation_token(Call& call) {
  const std::string name(call.parameters.get("Name"));
  if (name.size() < 2 || name.size() > 32 || !is_plain(name, "_+=,.@-")) {
    return invalid(query::constraint_text(is_plain(name, "_+=,.@- ") ? name : "", "name",
                                          "satisfy regular expression pattern: [\\w+=,.@-]{2,32}"));
  }
  identity::SessionRequest wanted;
  wanted.federated_name = name;
  wanted.lifetime = std::chrono::seconds{TRY(read_duration(call, 129600, 43200))};
  wanted.tags = TRY(read_tags(call));
  TRY(read_policies(call, wanted));
  if (call.caller.principal.type != iam::PrincipalType::kUser || call.caller.token_issue_time)
    return fault(403, "AccessDenied", "Cannot call GetFederationToken with session credentials");
  const std::string arn = fmt::format("arn:aws:sts::{}:federated-user/{}", call.caller.principal.account, name);
  TRY(authorize_own(call, "sts:GetFederationToken", arn));
  const EntityPtr user = call.state->find(call.caller.principal.account, identity::Kind::kUser, call.caller.principal.name);
  if (user == nullptr || user->id != call.caller.principal.user_id)
    return fault(403, "InvalidClientTokenId", "The security token included in the request is invalid.");
  const std::string packed = packed_size(wanted);
  return credentials_xml(call.directory.issue(*user, std::move(wanted), call.now, call.rng)) +
         wrap("FederatedUser", element("FederatedUserId", fmt::format("{}:{}", user->account, name)) + element("Arn", arn)) +
         packed;
}

// What AWS's model of STS has and this service does not: there is nobody outside whom it could trust.
Outcome<std::string> refuse_federation(Call& call) {
  return fault(400, "UnsupportedOperation", unsupported_text(call.parameters.get("Action")));
}

Outcome<std::string> get_access_key_info(Call& call) {
  const std::string id(call.parameters.get("AccessKeyId"));
  TRY(authorize_own(call, "sts:GetAccessKeyInfo"));
  const auto owner = call.state->key_owners.find(id);
  if (owner != call.state->key_owners.end()) return element("Account", call.state->entities.at(owner->second)->account);
  const auto account = identity::account_of_key(id);
  if (!account) return invalid("Invalid Access Key ID");
  return element("Account", *account);
}

Outcome<std::string> decode_authorization_message(Call& call) {
  const std::string message(call.parameters.get("EncodedMessage"));
  TRY(authorize_own(call, "sts:DecodeAuthorizationMessage"));
  const auto refused = fault(400, "InvalidAuthorizationMessageException", "Message is not valid.");
  if (message.size() != 36 || !is_plain(message, "-")) return refused;
  const auto event = call.options.find_event(message);
  if (!event.ok()) return refused;
  const std::string* account = event->string_at("recipientAccountId");
  if (account == nullptr || *account != call.caller.principal.account) return refused;
  const json::Value* decision = decision_of(*event);
  if (decision == nullptr) return refused;
  json::Object shown = decision->if_object() == nullptr ? json::Object() : decision->object();
  const auto trace = iam::trace_from_json(*decision);
  if (trace.ok()) {
    const auto lines = iam::explain(*trace);
    shown.set("explanation", json::Array(lines.begin(), lines.end()));
  }
  return element("DecodedMessage", json::encode(shown));
}

constexpr std::array<std::pair<std::string_view, Operation>, 9> kOperations = {{
    {"GetCallerIdentity", get_caller_identity},
    {"AssumeRole", assume_role},
    {"GetSessionToken", get_session_token},
    {"GetFederationToken", get_federation_token},
    {"AssumeRoot", refuse_federation},
    {"GetDelegatedAccessToken", refuse_federation},
    {"GetWebIdentityToken", refuse_federation},
    {"GetAccessKeyInfo", get_access_key_info},
    {"DecodeAuthorizationMessage", decode_authorization_message},
}};

}  // namespace

bool is_unsigned(std::string_view action) {
  return action == "AssumeRoleWithSAML" || action == "AssumeRoleWithWebIdentity";
}

std::string unsupported_text(std::string_view action) {
  return fmt::format("{} is not served here: there is no identity provider, organization or delegation to trust. Use "
                     "AssumeRole, GetSessionToken or GetFederationToken.",
                     action);
}

Operation find_operation(std::string_view action) {
  for (const auto& [name, operation] : kOperations) {
    if (name == action) return operation;
  }
  return nullptr;
}

}  // namespace casemate::sts
