// SPDX-License-Identifier: Apache-2.0
#include "iam/principal.h"

#include <algorithm>

namespace casemate::iam {
namespace {

std::string_view last_segment(std::string_view text) {
  return text.substr(text.rfind('/') + 1);
}

// after removes a prefix, or gives nothing when the text does not begin with it.
std::string_view after(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : std::string_view{};
}

bool is_unique_id(std::string_view text) {
  if (text.size() < 16 || text.size() > 128 || (!text.starts_with("AIDA") && !text.starts_with("AROA"))) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); });
}

Naming naming_by_arn(const Arn& arn, std::string_view text, const Principal& caller) {
  if (arn.partition != caller.partition || arn.account != caller.account || caller.account.empty()) return Naming::kNone;
  if (arn.service == "iam" && arn.resource == "root") {
    return caller.type == PrincipalType::kRoot ? Naming::kDirect : Naming::kAccount;
  }
  if (text == caller.arn) return Naming::kDirect;
  if (caller.type == PrincipalType::kAssumedRole && arn.service == "iam") {
    const std::string_view role = after(arn.resource, "role/");
    if (!role.empty() && last_segment(role) == caller.name) return Naming::kRole;
  }
  return Naming::kNone;
}

}  // namespace

std::string_view to_string(PrincipalType type) {
  switch (type) {
    case PrincipalType::kRoot: return "Account";
    case PrincipalType::kUser: return "User";
    case PrincipalType::kAssumedRole: return "AssumedRole";
    case PrincipalType::kFederatedUser: return "FederatedUser";
    case PrincipalType::kService: return "Service";
    case PrincipalType::kAnonymous: return "Anonymous";
  }
  return "Anonymous";
}

Principal root_user(std::string_view account, std::string_view partition) {
  Principal out;
  out.type = PrincipalType::kRoot;
  out.partition = partition;
  out.account = account;
  out.arn = root_arn(account, partition);
  out.identity_arn = out.arn;
  out.user_id = account;
  return out;
}

Principal user(std::string_view account, std::string_view path, std::string_view name, std::string_view user_id, Tags tags,
               std::string_view partition) {
  Principal out;
  out.type = PrincipalType::kUser;
  out.partition = partition;
  out.account = account;
  out.arn = fmt::format("arn:{}:iam::{}:user{}{}", partition, account, path, name);
  out.identity_arn = out.arn;
  out.user_id = user_id;
  out.name = name;
  out.tags = std::move(tags);
  return out;
}

Principal assumed_role(std::string_view account, std::string_view path, std::string_view role_name,
                       std::string_view role_id, std::string_view session_name, Tags tags, std::string_view partition) {
  Principal out;
  out.type = PrincipalType::kAssumedRole;
  out.partition = partition;
  out.account = account;
  out.arn = fmt::format("arn:{}:sts::{}:assumed-role/{}/{}", partition, account, role_name, session_name);
  out.identity_arn = fmt::format("arn:{}:iam::{}:role{}{}", partition, account, path, role_name);
  out.user_id = fmt::format("{}:{}", role_id, session_name);
  out.name = role_name;
  out.session_name = session_name;
  out.tags = std::move(tags);
  return out;
}

Principal federated_user(std::string_view account, std::string_view name, Tags tags, std::string_view partition) {
  Principal out;
  out.type = PrincipalType::kFederatedUser;
  out.partition = partition;
  out.account = account;
  out.arn = fmt::format("arn:{}:sts::{}:federated-user/{}", partition, account, name);
  out.identity_arn = out.arn;
  out.user_id = fmt::format("{}:{}", account, name);
  out.name = name;
  out.tags = std::move(tags);
  return out;
}

Principal service(std::string_view name) {
  Principal out;
  out.type = PrincipalType::kService;
  out.arn = name;
  out.identity_arn = name;
  out.user_id = name;
  out.name = name;
  return out;
}

Principal anonymous() {
  Principal out;
  out.arn = "anonymous";
  out.identity_arn = out.arn;
  out.user_id = out.arn;
  return out;
}

Result<Principal> principal_of(std::string_view text) {
  if (is_account_id(text)) return root_user(text);
  if (!text.starts_with("arn:")) {
    if (text.find('.') == std::string_view::npos || text.find(':') != std::string_view::npos) {
      return malformed("principal: neither an account id, an ARN nor a service's name");
    }
    return service(text);
  }
  const Arn arn = TRY(parse_arn(text));
  if (!is_account_id(arn.account)) return malformed("principal: account is not 12 digits");
  const auto split_path = [](std::string_view rest) {
    const std::size_t slash = rest.rfind('/');
    return slash == std::string_view::npos ? std::string("/") : fmt::format("/{}", rest.substr(0, slash + 1));
  };
  if (arn.service == "iam" && arn.resource == "root") return root_user(arn.account, arn.partition);
  if (arn.service == "iam") {
    if (const auto rest = after(arn.resource, "user/"); !last_segment(rest).empty()) {
      return user(arn.account, split_path(rest), last_segment(rest), "AIDACASEMATESIMULATED", {}, arn.partition);
    }
    if (const auto rest = after(arn.resource, "role/"); !last_segment(rest).empty()) {
      return assumed_role(arn.account, split_path(rest), last_segment(rest), "AROACASEMATESIMULATED", "session", {},
                          arn.partition);
    }
  }
  if (arn.service == "sts") {
    if (const auto rest = after(arn.resource, "assumed-role/"); std::count(rest.begin(), rest.end(), '/') == 1) {
      const std::size_t slash = rest.find('/');
      if (slash > 0 && slash + 1 < rest.size()) {
        return assumed_role(arn.account, "/", rest.substr(0, slash), "AROACASEMATESIMULATED", rest.substr(slash + 1), {},
                            arn.partition);
      }
    }
    if (const auto rest = after(arn.resource, "federated-user/"); !rest.empty()) {
      return federated_user(arn.account, rest, {}, arn.partition);
    }
  }
  return malformed("principal: ARN of a kind that makes no requests, want root, user, role, assumed-role or federated-user");
}

Naming naming_of(const PrincipalName& name, const Principal& caller) {
  const std::string_view text = name.text;
  switch (name.kind) {
    case PrincipalKind::kAny: return Naming::kEveryone;
    case PrincipalKind::kService:
      if (text == "*" && caller.type == PrincipalType::kService) return Naming::kEveryone;
      return caller.type == PrincipalType::kService && text == caller.name ? Naming::kDirect : Naming::kNone;
    case PrincipalKind::kFederated:
    case PrincipalKind::kCanonicalUser: return Naming::kNone;
    case PrincipalKind::kAws: break;
  }
  if (text == "*") return Naming::kEveryone;
  if (is_account_id(text)) {
    if (text != caller.account) return Naming::kNone;
    return caller.type == PrincipalType::kRoot ? Naming::kDirect : Naming::kAccount;
  }
  if (is_unique_id(text)) {
    if (caller.type == PrincipalType::kUser && text == caller.user_id) return Naming::kDirect;
    if (caller.type == PrincipalType::kAssumedRole &&
        text == std::string_view(caller.user_id).substr(0, caller.user_id.find(':'))) {
      return Naming::kRole;
    }
    return Naming::kNone;
  }
  const auto arn = parse_arn(text);
  return arn ? naming_by_arn(*arn, text, caller) : Naming::kNone;
}

Result<void> check_principal_name(const PrincipalName& name) {
  const std::string_view text = name.text;
  if (name.kind == PrincipalKind::kAny) return {};
  if (text.empty()) return malformed("empty");
  if (name.kind == PrincipalKind::kFederated || name.kind == PrincipalKind::kCanonicalUser) return {};
  if (name.kind == PrincipalKind::kService) {
    const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
    });
    if (!plain || text.find('.') == std::string_view::npos) return malformed("not a service's name, as kms.amazonaws.com");
    return {};
  }
  if (text == "*" || is_account_id(text) || is_unique_id(text)) return {};
  if (text.find_first_of("*?") != std::string_view::npos) {
    return malformed("a wildcard within a principal, want \"*\" alone or a whole ARN");
  }
  const Arn arn = TRY(parse_arn(text));
  if (!is_account_id(arn.account)) return malformed("account is not 12 digits");
  if (!arn.region.empty()) return malformed("a region in a principal's ARN");
  if (arn.service == "iam") {
    if (arn.resource == "root") return {};
    for (const std::string_view kind : {"user/", "role/"}) {
      if (!last_segment(after(arn.resource, kind)).empty()) return {};
    }
    if (arn.resource.starts_with("group/")) return malformed("a group, want users or roles");
  }
  if (arn.service == "sts") {
    const std::string_view session = after(arn.resource, "assumed-role/");
    const std::size_t slash = session.find('/');
    if (slash != std::string_view::npos && slash > 0 && slash + 1 < session.size()) return {};
    if (!after(arn.resource, "federated-user/").empty()) return {};
  }
  return malformed("not the ARN of an account's root, a user, a role or a session");
}

}  // namespace casemate::iam
