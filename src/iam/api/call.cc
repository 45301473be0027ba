// SPDX-License-Identifier: Apache-2.0
#include "iam/api/call.h"

#include <algorithm>
#include <charconv>

#include "base/encoding.h"
#include "iam/evaluate.h"
#include "iam/messages.h"
#include "iam/trace.h"

namespace casemate::iam::api {
namespace {

constexpr std::size_t kMostTags = 50;
constexpr std::string_view kNameCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+=,.@_-";

std::string member_of(std::string_view parameter) {
  std::string out(parameter);
  if (!out.empty() && out.front() >= 'A' && out.front() <= 'Z') out.front() = static_cast<char>(out.front() - 'A' + 'a');
  return out;
}

bool is_text(std::string_view text) {
  return json::parse(json::encode_string(text)).ok();
}

Fault null_member(std::string_view parameter) {
  return invalid(fmt::format("1 validation error detected: Value null at '{}' failed to satisfy constraint: Member must "
                             "not be null",
                             member_of(parameter)));
}

std::size_t solid_size(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return c != ' ' && c != '\t' && c != '\n' && c != '\r'; }));
}

}  // namespace

Check Call::authorize(const Target& target) {
  RequestContext context;
  add_caller_keys(context, caller);
  add_request_keys(context, request, region, now);
  if (target.tags != nullptr) {
    for (const auto& [key, value] : *target.tags) {
      context.set("aws:ResourceTag/" + key, value);
      context.set("iam:ResourceTag/" + key, value);
    }
  }
  std::vector<std::string> keys = parameters.list("TagKeys");
  for (const auto& [key, value] : parameters.pairs("Tags")) {
    context.set("aws:RequestTag/" + key, value);
    keys.push_back(key);
  }
  context.set_list("aws:TagKeys", std::move(keys));
  for (const auto& [key, value] : target.keys) context.set(key, value);
  const std::string full = fmt::format("iam:{}", action);
  // Temporary credentials of a user, got without a second factor, may not change identities (IAM user guide, comparison
  // of STS API operations).
  const bool user_session = caller.principal.type == PrincipalType::kUser && caller.token_issue_time.has_value();
  if (user_session && !caller.multi_factor.value_or(false)) {
    return fault(403, "InvalidClientTokenId", "The security token included in the request is invalid");
  }
  AuthorizationRequest wanted{caller, full, target.arn, account(), context};
  wanted.authority = Authority::kIdentityOnly;
  const Decision decided = decide(wanted);
  if (decided.allowed()) return Done{};
  decision = to_json(trace(wanted));
  return fault(403, "AccessDenied", access_denied_text(caller.principal, full, target.arn, decided));
}

Check Call::change(const std::function<Check(State&)>& edit) {
  std::optional<Fault> refused;
  const auto changed = directory.change([&](State& next) {
    Check check = edit(next);
    if (!check.ok()) refused = std::move(check).error();
    return !refused.has_value();
  });
  if (refused) return std::move(*refused);
  if (!changed.ok())
    return fault(500, "ServiceFailure", "The request processing has failed because of an unknown error.");
  return Done{};
}

Outcome<std::string> Call::name(std::string_view parameter, std::size_t longest) const {
  const std::string* value = parameters.find(parameter);
  if (value == nullptr) return null_member(parameter);
  if (value->empty() || value->find_first_not_of(kNameCharacters) != std::string::npos) {
    return invalid(fmt::format("The specified value for {} is invalid. It must contain only alphanumeric characters "
                               "and/or the following: +=,.@_-",
                               member_of(parameter)));
  }
  if (value->size() > longest) {
    return invalid(query::constraint_text(*value, member_of(parameter),
                                          fmt::format("have length less than or equal to {}", longest)));
  }
  return *value;
}

Outcome<std::string> Call::path() const {
  const std::string* value = parameters.find("Path");
  if (value == nullptr) return std::string("/");
  const bool printable = std::all_of(value->begin(), value->end(), [](char c) { return c >= '!' && c <= '~'; });
  if (value->size() > 512 || !value->starts_with('/') || !value->ends_with('/') || !printable) {
    return invalid("The specified value for path is invalid. It must begin and end with / and contain only alphanumeric "
                   "characters and/or / characters.");
  }
  return *value;
}

Outcome<std::string> Call::text(std::string_view parameter, std::size_t longest) const {
  const std::string_view value = parameters.get(parameter);
  if (value.size() > longest || !is_text(value)) {
    return invalid(fmt::format("1 validation error detected: Value at '{}' failed to satisfy constraint: Member must have "
                               "length less than or equal to {}",
                               member_of(parameter), longest));
  }
  return std::string(value);
}

Outcome<std::int64_t> Call::number(std::string_view parameter, std::int64_t least, std::int64_t most,
                                   std::int64_t otherwise) const {
  const std::string* value = parameters.find(parameter);
  if (value == nullptr) return otherwise;
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), out);
  if (error != std::errc{} || end != value->data() + value->size() || out < least || out > most) {
    return invalid(query::constraint_text(is_text(*value) ? *value : "", member_of(parameter),
                                          fmt::format("have value between {} and {}", least, most)));
  }
  return out;
}

Outcome<Document> Call::document(std::string_view parameter, PolicyType type, std::size_t longest) const {
  const std::string* value = parameters.find(parameter);
  if (value == nullptr) return null_member(parameter);
  auto checked = check_policy(*value, type);
  if (const auto* defect = std::get_if<PolicyDefect>(&checked)) return fault(400, "MalformedPolicyDocument", defect->aws_text);
  if (solid_size(*value) > longest)
    return fault(409, "LimitExceeded", fmt::format("Cannot exceed quota for PolicySize: {}", longest));
  return Document{*value, std::get<iam::PolicyPtr>(std::move(checked))};
}

Outcome<identity::Tags> Call::tags() const {
  identity::Tags out;
  std::vector<std::string> folded;
  for (const auto& [key, value] : parameters.pairs("Tags")) {
    if (key.empty() || key.size() > 128 || value.size() > 256 || !is_text(key) || !is_text(value) ||
        fold(key).starts_with("aws:")) {
      return fault(400, "InvalidInput", "Tag keys have 1 to 128 characters and do not begin with aws:, values at most 256.");
    }
    if (std::find(folded.begin(), folded.end(), fold(key)) != folded.end())
      return fault(400, "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.");
    folded.push_back(fold(key));
    out[key] = value;
  }
  if (out.size() > kMostTags)
    return fault(400, "InvalidInput", fmt::format("At most {} tags may be given.", kMostTags));
  return out;
}

Outcome<std::vector<std::string>> Call::tag_keys() const {
  std::vector<std::string> keys = parameters.list("TagKeys");
  if (keys.empty() || keys.size() > kMostTags) {
    return invalid("1 validation error detected: Value at 'tagKeys' failed to satisfy constraint: Member must have length "
                   "between 1 and 50");
  }
  return keys;
}

Outcome<std::string> page(const Call& call, std::string_view name,
                          std::vector<std::pair<std::string, std::string>> items) {
  const auto most = static_cast<std::size_t>(TRY(call.number("MaxItems", 1, 1000, 100)));
  std::sort(items.begin(), items.end());
  auto from = items.begin();
  if (const std::string* marker = call.parameters.find("Marker")) {
    const auto decoded = decode_base64(*marker);
    if (!decoded.ok()) return invalid("Invalid Marker.");
    const std::string after(as_text(*decoded));
    from = std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.first > after; });
  }
  std::vector<std::string> shown;
  std::string last;
  for (; from != items.end() && shown.size() < most; ++from) {
    shown.push_back(std::move(from->second));
    last = from->first;
  }
  const bool more = from != items.end();
  std::string out = element("IsTruncated", more ? "true" : "false") + query::members(name, shown);
  if (more) out += element("Marker", encode_base64(as_bytes(last)));
  return out;
}

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kUser: return "User";
    case Kind::kGroup: return "Group";
    case Kind::kRole: return "Role";
  }
  return "User";
}

std::string name_parameter(Kind kind) {
  return std::string(kind_name(kind)) + "Name";
}

Fault no_such_entity(std::string message) {
  return fault(404, "NoSuchEntity", std::move(message));
}
Fault no_such(Kind kind, std::string_view name) {
  return no_such_entity(fmt::format("The {} with name {} cannot be found.", identity::to_string(kind), name));
}
Fault delete_conflict(std::string_view what) {
  return fault(409, "DeleteConflict", fmt::format("Cannot delete entity, must {}", what));
}
Fault limit_exceeded(std::string_view what, std::size_t most) {
  return fault(409, "LimitExceeded", fmt::format("Cannot exceed quota for {}: {}", what, most));
}

std::string arn_of(const Call& call, Kind kind, std::string_view name) {
  if (const EntityPtr entity = call.state->find(call.account(), kind, name)) return entity->arn();
  return fmt::format("arn:aws:iam::{}:{}/{}", call.account(), identity::to_string(kind), name);
}

Target target_of(const Call& call, Kind kind, const std::string& name) {
  const EntityPtr entity = call.state->find(call.account(), kind, name);
  // The call holds the state, and with it the tags.
  return {arn_of(call, kind, name), entity == nullptr ? nullptr : &entity->tags, {}};
}

std::string tags_xml(const identity::Tags& tags) {
  std::vector<std::string> items;
  for (const auto& [key, value] : tags) items.push_back(element("Key", key) + element("Value", value));
  return query::members("Tags", items);
}

Check merge_tags(identity::Tags& tags, const identity::Tags& more) {
  for (const auto& [key, value] : more) {
    std::erase_if(tags, [&, folded = fold(key)](const auto& tag) { return fold(tag.first) == folded; });
    tags[key] = value;
  }
  if (tags.size() > kMostTags) return limit_exceeded("TagsPerResource", kMostTags);
  return Done{};
}

void remove_tags(identity::Tags& tags, const std::vector<std::string>& keys) {
  for (const std::string& key : keys)
    std::erase_if(tags, [&, folded = fold(key)](const auto& tag) { return fold(tag.first) == folded; });
}

Check edit_entity(Call& call, Kind kind, std::string_view name, const std::function<Check(Entity&, State&)>& edit) {
  return call.change([&](State& state) -> Check {
    const EntityPtr found = state.find(call.account(), kind, name);
    if (found == nullptr) return no_such(kind, name);
    Entity changed = *found;
    TRY(edit(changed, state));
    // The name may have changed, and keys gone.
    state.erase(*found);
    state.put(std::move(changed));
    return Done{};
  });
}

const Operation* find_operation(std::string_view name) {
  static const std::map<std::string_view, Operation> kOperations = [] {
    std::map<std::string_view, Operation> out;
    for (const auto& table : {entity_operations(), policy_operations(), profile_operations()})
      for (const Operation& operation : table) out.emplace(operation.name, operation);
    return out;
  }();
  const auto it = kOperations.find(name);
  return it == kOperations.end() ? nullptr : &it->second;
}

}  // namespace casemate::iam::api
