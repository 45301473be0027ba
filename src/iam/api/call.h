// SPDX-License-Identifier: Apache-2.0
// Call: one operation of IAM while it runs, and what operations share: authorization, checks of parameters, pages.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iam/api/service.h"
#include "identity/directory.h"
#include "json/value.h"
#include "query/query.h"

namespace casemate::iam::api {

using identity::Document;
using identity::Entity;
using identity::EntityPtr;
using identity::InstanceProfile;
using identity::Kind;
using identity::ManagedPolicy;
using identity::State;
using query::Check;
using query::Done;
using query::element;
using query::fault;
using query::Fault;
using query::invalid;
using query::Outcome;
using query::wrap;

// Target is what an operation asks permission for.
struct Target {
  std::string arn;
  const identity::Tags* tags = nullptr;
  std::vector<std::pair<std::string, std::string>> keys = {};  // condition keys, such as iam:PolicyARN
};

class Call {
 public:
  Call(const query::Parameters& parameters_of, const Caller& caller_of, const http::Request& request_of,
       std::string_view action_of, std::string_view region_of, WallTime at, identity::Directory& directory_of, Rng& random,
       const ServiceOptions& service_options)
      : parameters(parameters_of),
        caller(caller_of),
        request(request_of),
        action(action_of),
        region(region_of),
        now(at),
        directory(directory_of),
        rng(random),
        options(service_options),
        state(directory_of.state()) {}

  const query::Parameters& parameters;
  const Caller& caller;
  const http::Request& request;
  const std::string_view action;
  const std::string_view region;
  const WallTime now;
  identity::Directory& directory;
  Rng& rng;
  const ServiceOptions& options;
  const identity::StatePtr state;
  std::optional<json::Value> decision;  // the trace of a refusal, for the audit log

  const std::string& account() const { return caller.principal.account; }

  // authorize asks the caller's policies. Errors: AccessDenied.
  Check authorize(const Target& target);

  // change applies an edit to the newest state; what the edit refuses, or cannot be saved, changes nothing.
  Check change(const std::function<Check(State&)>& edit);

  // name reads a required name: letters, digits and `+=,.@_-`, at most `longest`.
  Outcome<std::string> name(std::string_view parameter, std::size_t longest = 128) const;
  Outcome<std::string> path() const;  // Path, `/` unless given
  // text reads an optional text, of at most `longest` characters.
  Outcome<std::string> text(std::string_view parameter, std::size_t longest) const;
  Outcome<std::int64_t> number(std::string_view parameter, std::int64_t least, std::int64_t most,
                               std::int64_t otherwise) const;
  // document reads a required policy document. Errors: MalformedPolicyDocument, LimitExceeded (white space not counted).
  Outcome<Document> document(std::string_view parameter, PolicyType type, std::size_t longest) const;
  Outcome<identity::Tags> tags() const;              // Tags
  Outcome<std::vector<std::string>> tag_keys() const;  // TagKeys
};

// Operation is one action of the service.
struct Operation {
  std::string_view name;
  Outcome<std::string> (*handler)(Call&);  // gives the result's XML
  bool read_only;
};
const Operation* find_operation(std::string_view name);

// Tables of the parts of the service.
std::vector<Operation> entity_operations();
std::vector<Operation> policy_operations();
std::vector<Operation> profile_operations();

// page gives `<NAME>` with the items after Marker, at most MaxItems, and whether there are more. Items are ordered by key.
Outcome<std::string> page(const Call& call, std::string_view name,
                          std::vector<std::pair<std::string, std::string>> items);

// kind_name is `User`, `Group`, `Role`; name_parameter `UserName` and so on.
std::string_view kind_name(Kind kind);
std::string name_parameter(Kind kind);
Fault no_such(Kind kind, std::string_view name);
Fault no_such_entity(std::string message);
Fault delete_conflict(std::string_view what);
Fault limit_exceeded(std::string_view what, std::size_t most);

// arn_of is the entity's ARN, or what it would be if it existed.
std::string arn_of(const Call& call, Kind kind, std::string_view name);
// target_of asks for an entity, whether it exists or not.
Target target_of(const Call& call, Kind kind, const std::string& name);

std::string tags_xml(const identity::Tags& tags);
std::string role_xml(const Entity& role);

// merge_tags adds and replaces; at most 50. Errors: LimitExceeded.
Check merge_tags(identity::Tags& tags, const identity::Tags& more);
void remove_tags(identity::Tags& tags, const std::vector<std::string>& keys);

// edit_entity changes an entity that exists. Errors: NoSuchEntity, and the edit's.
Check edit_entity(Call& call, Kind kind, std::string_view name, const std::function<Check(Entity&, State&)>& edit);

}  // namespace casemate::iam::api
