// SPDX-License-Identifier: Apache-2.0
#include "identity/state_json.h"

#include "iam/arn.h"

namespace casemate::identity {
namespace {

constexpr std::int64_t kStateVersion = 1;

json::Object encode_tags(const Tags& tags) {
  json::Object out;
  for (const auto& [key, value] : tags) out.append(key, value);
  return out;
}

json::Object encode_entity(const Entity& entity) {
  json::Object out{{"kind", to_string(entity.kind)},
                   {"account", entity.account},
                   {"path", entity.path},
                   {"name", entity.name},
                   {"id", entity.id},
                   {"created", to_milliseconds(entity.created)},
                   {"tags", encode_tags(entity.tags)},
                   {"attached", json::Array(entity.attached.begin(), entity.attached.end())},
                   {"boundary", entity.boundary}};
  json::Object policies;
  for (const auto& [name, document] : entity.inline_policies) policies.append(name, document.text);
  out.set("policies", std::move(policies));
  if (entity.kind == Kind::kUser) {
    out.set("groups", json::Array(entity.groups.begin(), entity.groups.end()));
    json::Array keys;
    for (const auto& [id, key] : entity.keys) {
      keys.emplace_back(json::Object{
          {"id", id}, {"secret", key.sealed}, {"active", key.active}, {"created", to_milliseconds(key.created)}});
    }
    out.set("keys", std::move(keys));
  }
  if (entity.kind == Kind::kRole) {
    out.set("trust", entity.trust.text);
    out.set("description", entity.description);
    out.set("maxSession", std::int64_t{entity.max_session.count()});
  }
  return out;
}

json::Object encode_policy(const ManagedPolicy& policy) {
  json::Array versions;
  for (const PolicyVersion& version : policy.versions) {
    versions.emplace_back(json::Object{{"number", version.number},
                                       {"document", version.document.text},
                                       {"created", to_milliseconds(version.created)}});
  }
  return {{"account", policy.account},
          {"path", policy.path},
          {"name", policy.name},
          {"id", policy.id},
          {"description", policy.description},
          {"created", to_milliseconds(policy.created)},
          {"updated", to_milliseconds(policy.updated)},
          {"default", policy.default_version},
          {"next", policy.next_version},
          {"tags", encode_tags(policy.tags)},
          {"versions", std::move(versions)}};
}

// Fields reads the members of one object.
class Fields {
 public:
  explicit Fields(const json::Value& value) : value_(value) {}

  Result<std::string> text(std::string_view name) const {
    const std::string* member = value_.string_at(name);
    if (member == nullptr) return malformed("{}: want a string", name);
    return *member;
  }
  std::string text_or(std::string_view name, std::string_view otherwise) const {
    const std::string* member = value_.string_at(name);
    return std::string(member == nullptr ? otherwise : std::string_view(*member));
  }
  Result<std::int64_t> number(std::string_view name) const {
    const std::int64_t* member = value_.int_at(name);
    if (member == nullptr) return malformed("{}: want an integer", name);
    return *member;
  }
  Result<WallTime> time(std::string_view name) const { return WallTime{std::chrono::milliseconds{TRY(number(name))}}; }
  // A list or an object that is missing is empty.
  Result<json::Array> list(std::string_view name) const {
    const json::Value* member = value_.find(name);
    if (member == nullptr) return json::Array{};
    if (member->if_array() == nullptr) return malformed("{}: want an array", name);
    return member->array();
  }
  Result<json::Object> object(std::string_view name) const {
    const json::Value* member = value_.find(name);
    if (member == nullptr) return json::Object{};
    if (member->if_object() == nullptr) return malformed("{}: want an object", name);
    return member->object();
  }
  Result<std::vector<std::string>> texts(std::string_view name) const {
    std::vector<std::string> out;
    for (const json::Value& item : TRY(list(name))) {
      if (item.if_string() == nullptr) return malformed("{}: want strings", name);
      out.push_back(*item.if_string());
    }
    return out;
  }
  Result<Tags> tags() const {
    Tags out;
    for (const auto& [key, value] : TRY(object("tags"))) {
      if (value.if_string() == nullptr) return malformed("tags: want strings");
      out[key] = *value.if_string();
    }
    return out;
  }

 private:
  const json::Value& value_;
};

// document_of takes a document as JSON or as its text.
Result<Document> document_of(const json::Value& value, iam::PolicyType type) {
  std::string text = value.if_string() != nullptr ? *value.if_string() : json::encode(value);
  iam::PolicyPtr policy = TRY(iam::parse_policy(text, type));
  return Document{std::move(text), std::move(policy)};
}

Result<Kind> kind_of(std::string_view text) {
  for (const Kind kind : {Kind::kUser, Kind::kGroup, Kind::kRole}) {
    if (text == to_string(kind)) return kind;
  }
  return malformed("kind: want user, group or role");
}

Result<Entity> read_entity(const json::Value& value, const TokenSealer* sealer) {
  const Fields fields(value);
  Entity entity;
  entity.kind = TRY(kind_of(TRY(fields.text("kind"))));
  entity.account = TRY(fields.text("account"));
  entity.path = TRY(fields.text("path"));
  entity.name = TRY(fields.text("name"));
  entity.id = TRY(fields.text("id"));
  entity.created = TRY(fields.time("created"));
  entity.tags = TRY(fields.tags());
  entity.attached = TRY(fields.texts("attached"));
  entity.boundary = TRY(fields.text("boundary"));
  for (const auto& [name, document] : TRY(fields.object("policies")))
    entity.inline_policies[name] = TRY(document_of(document, iam::PolicyType::kIdentity).in(name));
  for (std::string& group : TRY(fields.texts("groups"))) entity.groups.insert(std::move(group));
  for (const json::Value& item : TRY(fields.list("keys"))) {
    const Fields key(item);
    AccessKey access;
    access.id = TRY(key.text("id"));
    access.sealed = TRY(key.text("secret"));
    if (sealer != nullptr)
      access.secret = std::make_shared<const Secret>(TRY(sealer->open_secret(access.id, access.sealed).in(access.id)));
    access.created = TRY(key.time("created"));
    const json::Value* active = item.find("active");
    access.active = active != nullptr && active->if_bool() != nullptr && *active->if_bool();
    entity.keys[access.id] = std::move(access);
  }
  if (entity.kind == Kind::kRole) {
    entity.trust = TRY(document_of(json::Value(TRY(fields.text("trust"))), iam::PolicyType::kTrust).in("trust"));
    entity.description = TRY(fields.text("description"));
    entity.max_session = std::chrono::seconds{TRY(fields.number("maxSession"))};
  }
  return entity;
}

Result<ManagedPolicy> read_policy(const json::Value& value) {
  const Fields fields(value);
  ManagedPolicy policy;
  policy.account = TRY(fields.text("account"));
  policy.path = TRY(fields.text("path"));
  policy.name = TRY(fields.text("name"));
  policy.id = TRY(fields.text("id"));
  policy.description = TRY(fields.text("description"));
  policy.created = TRY(fields.time("created"));
  policy.updated = TRY(fields.time("updated"));
  policy.default_version = static_cast<unsigned>(TRY(fields.number("default")));
  policy.next_version = static_cast<unsigned>(TRY(fields.number("next")));
  policy.tags = TRY(fields.tags());
  for (const json::Value& item : TRY(fields.list("versions"))) {
    const Fields version(item);
    const json::Value text(TRY(version.text("document")));
    policy.versions.push_back({static_cast<unsigned>(TRY(version.number("number"))),
                               TRY(document_of(text, iam::PolicyType::kIdentity).in(policy.name)),
                               TRY(version.time("created"))});
  }
  if (policy.find_version(policy.default_version) == nullptr) return malformed("{}: no default version", policy.name);
  return policy;
}

Result<InstanceProfile> read_profile(const json::Value& value) {
  const Fields fields(value);
  InstanceProfile profile;
  profile.account = TRY(fields.text("account"));
  profile.path = TRY(fields.text("path"));
  profile.name = TRY(fields.text("name"));
  profile.id = TRY(fields.text("id"));
  profile.created = TRY(fields.time("created"));
  profile.tags = TRY(fields.tags());
  profile.role = TRY(fields.text("role"));
  return profile;
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 128 &&
         text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+=,.@_-") ==
             std::string_view::npos;
}

bool is_path(std::string_view text) {
  return text.size() <= 512 && text.starts_with('/') && text.ends_with('/');
}

std::string_view id_prefix(Kind kind) {
  switch (kind) {
    case Kind::kUser: return "AIDA";
    case Kind::kGroup: return "AGPA";
    case Kind::kRole: return "AROA";
  }
  return "AIDA";
}

constexpr std::string_view kInstanceTrust =
    R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]})";

}  // namespace

std::string encode_state(const State& state) {
  json::Object accounts;
  for (const auto& [id, alias] : state.accounts) accounts.append(id, alias);
  json::Array entities;
  for (const auto& [key, entity] : state.entities) entities.emplace_back(encode_entity(*entity));
  json::Array policies;
  for (const auto& [arn, policy] : state.policies) policies.emplace_back(encode_policy(*policy));
  json::Array profiles;
  for (const auto& [key, profile] : state.profiles) {
    profiles.emplace_back(json::Object{{"account", profile->account},
                                       {"path", profile->path},
                                       {"name", profile->name},
                                       {"id", profile->id},
                                       {"created", to_milliseconds(profile->created)},
                                       {"tags", encode_tags(profile->tags)},
                                       {"role", profile->role}});
  }
  return json::encode(json::Object{{"version", kStateVersion},
                                   {"accounts", std::move(accounts)},
                                   {"entities", std::move(entities)},
                                   {"policies", std::move(policies)},
                                   {"instanceProfiles", std::move(profiles)}});
}

Result<State> parse_state(std::string_view text, const TokenSealer* sealer) {
  json::Limits limits;
  limits.input_bytes = kLongestState;
  limits.values = 4'000'000;
  const json::Value value = TRY(json::parse(text, limits));
  const Fields fields(value);
  if (TRY(fields.number("version")) != kStateVersion) return unsupported("version: want {}", kStateVersion);
  State state;
  for (const auto& [id, alias] : TRY(fields.object("accounts")))
    state.accounts[id] = alias.if_string() == nullptr ? std::string() : *alias.if_string();
  const json::Array entities = TRY(fields.list("entities"));
  for (std::size_t i = 0; i < entities.size(); ++i)
    state.put(TRY(read_entity(entities[i], sealer).in(fmt::format("entities[{}]", i))));
  const json::Array policies = TRY(fields.list("policies"));
  for (std::size_t i = 0; i < policies.size(); ++i)
    state.put(TRY(read_policy(policies[i]).in(fmt::format("policies[{}]", i))));
  const json::Array profiles = TRY(fields.list("instanceProfiles"));
  for (std::size_t i = 0; i < profiles.size(); ++i)
    state.put(TRY(read_profile(profiles[i]).in(fmt::format("instanceProfiles[{}]", i))));
  return state;
}

void Founder::found_account(std::string_view account, std::string_view alias) {
  state_.accounts.emplace(account, alias);
  if (state_.find(account, Kind::kUser, "admin") != nullptr) return;
  Entity admin;
  admin.account = account;
  admin.name = "admin";
  admin.id = make_unique_id("AIDA", admin.arn());
  admin.created = now_;
  admin.attached = {"arn:aws:iam::aws:policy/AdministratorAccess"};
  state_.put(std::move(admin));
}

void Founder::add_key(std::string_view account, std::string_view user, std::string_view id, const Secret& secret) {
  const EntityPtr found = state_.find(account, Kind::kUser, user);
  CASEMATE_CHECK(found != nullptr);
  if (!id.empty() && state_.key_owners.contains(id)) return;
  Entity changed = *found;
  AccessKey key;
  key.id = id.empty() ? make_access_key_id("AKIA", account, rng_) : std::string(id);
  key.secret = std::make_shared<const Secret>(id.empty() ? make_secret_access_key(rng_) : secret.clone());
  key.sealed = sealer_.seal_secret(key.id, *key.secret, rng_);
  key.created = now_;
  keys_.push_back({std::string(account), changed.name, key.id, key.secret});
  changed.keys[key.id] = std::move(key);
  state_.put(std::move(changed));
}

Result<void> Founder::add_instance_role(std::string_view role_arn) {
  const iam::Arn arn = TRY(iam::parse_arn(role_arn));
  if (arn.service != "iam" || !arn.resource.starts_with("role/") || !iam::is_account_id(arn.account))
    return malformed("{}: want the ARN of a role", role_arn);
  const std::string_view rest = arn.resource.substr(4);  // from the slash on
  const std::string_view name = rest.substr(rest.rfind('/') + 1);
  if (!is_name(name)) return malformed("{}: no name of a role", role_arn);
  if (state_.find(arn.account, Kind::kRole, name) == nullptr) {
    Entity role;
    role.kind = Kind::kRole;
    role.account = arn.account;
    role.path = rest.substr(0, rest.rfind('/') + 1);
    role.name = name;
    role.id = make_unique_id("AROA", role_arn);
    role.created = now_;
    role.description = "Role of the parent instance";
    role.trust = TRY(document_of(json::Value(kInstanceTrust), iam::PolicyType::kTrust));
    state_.put(std::move(role));
  }
  if (state_.find_profile(arn.account, name) != nullptr) return {};
  InstanceProfile profile;
  profile.account = arn.account;
  profile.name = name;
  profile.id = make_unique_id("AIPA", role_arn);
  profile.created = now_;
  profile.role = name;
  state_.put(std::move(profile));
  return {};
}

Result<void> Founder::declare(const json::Value& declaration) {
  const Fields fields(declaration);
  const json::Array accounts = TRY(fields.list("accounts"));
  for (std::size_t i = 0; i < accounts.size(); ++i)
    TRY(declare_account(accounts[i]).in(fmt::format("accounts[{}]", i)));
  return {};
}

Result<void> Founder::declare_account(const json::Value& value) {
  const Fields fields(value);
  const std::string account = TRY(fields.text("id"));
  if (!iam::is_account_id(account)) return malformed("id: want 12 digits");
  if (state_.accounts.contains(account)) return {};
  found_account(account, fields.text_or("alias", ""));
  add_key(account, "admin", "", {});
  for (const json::Value& item : TRY(fields.list("policies"))) {
    const Fields declared(item);
    ManagedPolicy policy;
    policy.account = account;
    policy.name = TRY(declared.text("name").in("policies"));
    policy.path = declared.text_or("path", "/");
    if (!is_name(policy.name) || !is_path(policy.path)) return malformed("policies: {}: no name or path", policy.name);
    const json::Value* document = item.find("document");
    if (document == nullptr) return malformed("policies: {}: document: missing", policy.name);
    policy.versions = {{1, TRY(document_of(*document, iam::PolicyType::kIdentity).in(policy.name)), now_}};
    policy.id = make_random_id("ANPA", rng_);
    policy.created = policy.updated = now_;
    if (state_.find_policy(policy.arn()) != nullptr) return conflict("policies: {}: declared twice", policy.name);
    state_.put(std::move(policy));
  }
  // Groups come first: users name them.
  for (const auto& [name, kind] :
       {std::pair{"groups", Kind::kGroup}, std::pair{"users", Kind::kUser}, std::pair{"roles", Kind::kRole}}) {
    const json::Array items = TRY(fields.list(name));
    for (std::size_t i = 0; i < items.size(); ++i)
      TRY(declare_entity(items[i], account, kind).in(fmt::format("{}[{}]", name, i)));
  }
  for (const json::Value& item : TRY(fields.list("instanceProfiles"))) {
    const Fields declared(item);
    InstanceProfile profile;
    profile.account = account;
    profile.name = TRY(declared.text("name").in("instanceProfiles"));
    profile.path = declared.text_or("path", "/");
    profile.role = declared.text_or("role", "");
    if (!is_name(profile.name) || !is_path(profile.path)) return malformed("instanceProfiles: {}: no name", profile.name);
    if (!profile.role.empty() && state_.find(account, Kind::kRole, profile.role) == nullptr)
      return not_found("instanceProfiles: {}: role {}", profile.name, profile.role);
    profile.id = make_random_id("AIPA", rng_);
    profile.created = now_;
    state_.put(std::move(profile));
  }
  return {};
}

Result<void> Founder::declare_entity(const json::Value& value, std::string_view account, Kind kind) {
  const Fields fields(value);
  Entity entity;
  entity.kind = kind;
  entity.account = account;
  entity.name = TRY(fields.text("name"));
  entity.path = fields.text_or("path", "/");
  if (!is_name(entity.name) || !is_path(entity.path)) return malformed("{}: no name or path", entity.name);
  if (state_.find(account, kind, entity.name) != nullptr) return conflict("{}: exists", entity.name);
  entity.id = make_random_id(id_prefix(kind), rng_);
  entity.created = now_;
  if (kind != Kind::kGroup) entity.tags = TRY(fields.tags());
  for (const auto& [name, document] : TRY(fields.object("policies")))
    entity.inline_policies[name] = TRY(document_of(document, iam::PolicyType::kIdentity).in(name));
  for (std::string& arn : TRY(fields.texts("managedPolicies"))) {
    if (state_.find_policy(arn) == nullptr) return not_found("{}: policy {}", entity.name, arn);
    entity.attached.push_back(std::move(arn));
  }
  entity.boundary = fields.text_or("boundary", "");
  if (!entity.boundary.empty() && state_.find_policy(entity.boundary) == nullptr)
    return not_found("{}: policy {}", entity.name, entity.boundary);
  for (std::string& group : TRY(fields.texts("groups"))) {
    const EntityPtr found = state_.find(account, Kind::kGroup, group);
    if (found == nullptr) return not_found("{}: group {}", entity.name, group);
    entity.groups.insert(found->name);
  }
  if (kind == Kind::kRole) {
    const json::Value* trust = value.find("trust");
    if (trust == nullptr) return malformed("{}: trust: missing", entity.name);
    entity.trust = TRY(document_of(*trust, iam::PolicyType::kTrust).in(entity.name));
    entity.description = fields.text_or("description", "");
    if (const std::int64_t* seconds = value.int_at("maxSessionDuration"); seconds != nullptr) {
      if (*seconds < 3600 || *seconds > 43200) return malformed("{}: maxSessionDuration: want 3600 to 43200", entity.name);
      entity.max_session = std::chrono::seconds{*seconds};
    }
  }
  const std::string name = entity.name;
  state_.put(std::move(entity));
  const json::Value* key = value.find("accessKey");
  if (kind == Kind::kUser && key != nullptr && key->if_bool() != nullptr && *key->if_bool())
    add_key(account, name, "", {});
  return {};
}

}  // namespace casemate::identity
