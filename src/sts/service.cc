// SPDX-License-Identifier: Apache-2.0
#include "sts/service.h"

#include <algorithm>
#include <charconv>

#include "base/encoding.h"
#include "base/time_text.h"
#include "iam/event.h"
#include "iam/messages.h"
#include "iam/trace.h"
#include "sigv4/canonical.h"

namespace casemate::sts {
namespace {

constexpr std::string_view kVersion = "2011-06-15";
constexpr std::string_view kNamespace = "https://sts.amazonaws.com/doc/2011-06-15/";

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&apos;";
        break;
      default:
        // XML 1.0 has no other control characters.
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\t' || c == '\n' || c == '\r') out += c;
    }
  }
  return out;
}

std::string element(std::string_view name, std::string_view text) {
  return fmt::format("<{0}>{1}</{0}>", name, escape(text));
}

std::string make_request_id(Rng& rng) {
  std::array<std::uint8_t, 16> bytes;
  rng.fill(bytes);
  std::string text = encode_hex(bytes);
  for (const std::size_t dash : {std::size_t{8}, std::size_t{13}, std::size_t{18}, std::size_t{23}})
    text.insert(dash, 1, '-');
  return text;
}

bool is_session_name(std::string_view text) {
  return text.size() >= 2 && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view("_+=,.@-").find(c) != std::string_view::npos;
         });
}

}  // namespace

// Parameters of the query protocol, from the body of a POST or the query of a GET.
struct Service::Parameters {
  sigv4::Parameters list;

  const std::string* find(std::string_view name) const {
    const auto it =
        std::find_if(list.begin(), list.end(), [&](const auto& parameter) { return parameter.first == name; });
    return it == list.end() ? nullptr : &it->second;
  }
  std::string_view get(std::string_view name) const {
    const std::string* value = find(name);
    return value == nullptr ? std::string_view{} : std::string_view(*value);
  }
  // A list is `Name.member.1`, `Name.member.2`, ...
  bool has_list(std::string_view name) const {
    const std::string prefix = std::string(name) + ".";
    return std::any_of(list.begin(), list.end(),
                       [&](const auto& parameter) { return parameter.first.starts_with(prefix); });
  }

  static std::optional<Parameters> read(const http::Request& request) {
    std::string text(request.method == "POST" ? std::string_view(request.body) : request.query());
    std::replace(text.begin(), text.end(), '+', ' ');
    auto parsed = sigv4::parse_query(text);
    if (!parsed) return std::nullopt;
    return Parameters{std::move(*parsed)};
  }
};

// Answer is a result element's content, or an error.
struct Service::Answer {
  std::string result;
  std::string code;
  std::string message;
  unsigned status = 200;
  std::optional<json::Value> decision;

  static Answer error(unsigned status, std::string_view code, std::string message) {
    Answer answer;
    answer.status = status;
    answer.code = code;
    answer.message = std::move(message);
    return answer;
  }
  static Answer invalid(std::string message) { return error(400, "ValidationError", std::move(message)); }
};

namespace {

http::Response error_response(unsigned status, std::string_view code, std::string_view message,
                              std::string_view request_id) {
  http::Response response;
  response.status = status;
  response.body = fmt::format("<ErrorResponse xmlns=\"{}\"><Error><Type>{}</Type>{}{}</Error>{}</ErrorResponse>\n",
                              kNamespace, status >= 500 ? "Receiver" : "Sender", element("Code", code),
                              element("Message", message), element("RequestId", request_id));
  return response;
}

}  // namespace

http::Response Service::handle(const http::Request& request) {
  const std::string request_id = make_request_id(rng_);
  const WallTime now = clock_.now();
  const auto finish = [&](http::Response response) {
    response.headers.set("x-amzn-RequestId", request_id);
    response.headers.set("Content-Type", "text/xml");
    return response;
  };
  const auto verdict = sigv4::verify(request, {{"sts"}, options_.regions, options_.signature_skew}, now, directory_);
  if (const auto* failure = std::get_if<sigv4::Failure>(&verdict)) {
    const sigv4::WireError error = sigv4::query_error(failure->kind);
    log_.info("sts.unauthenticated",
              {{"peer", request.peer}, {"error", std::string(error.code)}, {"request", request_id}});
    http::Response response = error_response(error.status, error.code, failure->message, request_id);
    if (error.code.empty()) response.body.clear();
    return finish(std::move(response));
  }
  const auto& authenticated = std::get<sigv4::Authenticated<iam::CallerPtr>>(verdict);
  const auto parameters = Parameters::read(request);
  if (!parameters)
    return finish(error_response(400, "MalformedQueryString", "The query string is malformed.", request_id));

  const iam::Caller& caller = *authenticated.identity;
  Answer answer = run(*parameters, caller, request, now);
  const std::string_view action = parameters->get("Action");
  if (answer.code != "InvalidAction") {
    json::Object event = iam::event_head(caller, request, "sts.amazonaws.com", action, authenticated.region, now);
    if (!answer.code.empty()) {
      event.set("errorCode", answer.code);
      event.set("errorMessage", answer.message);
    }
    json::Object shown;
    for (const char* name : {"RoleArn", "RoleSessionName", "DurationSeconds"}) {
      if (const std::string* value = parameters->find(name)) {
        std::string key(name);
        key[0] = static_cast<char>(key[0] - 'A' + 'a');
        shown.set(key, *value);
      }
    }
    event.set("requestParameters", shown.empty() ? json::Value() : json::Value(std::move(shown)));
    event.set("responseElements", json::Value());
    if (answer.decision)
      event.set("additionalEventData", json::Object{{"casemate", json::Object{{"decision", *answer.decision}}}});
    event.set("requestID", request_id);
    event.set("eventID", make_request_id(rng_));
    event.set("readOnly", true);
    event.set("eventType", "AwsApiCall");
    event.set("managementEvent", true);
    event.set("recipientAccountId", caller.principal.account);
    event.set("eventCategory", "Management");
    if (const auto written = audit_(std::move(event)); !written.ok()) {
      log_.error("sts.audit-failed", {{"request", request_id}, {"error", written.error().message()}});
      return finish(error_response(500, "InternalFailure",
                                   "The request processing has failed because of an unknown error.", request_id));
    }
  }
  if (!answer.code.empty()) return finish(error_response(answer.status, answer.code, answer.message, request_id));
  http::Response response;
  response.body = fmt::format(
      "<{0}Response xmlns=\"{1}\"><{0}Result>{2}</{0}Result><ResponseMetadata>{3}</ResponseMetadata></{0}Response>\n",
      action, kNamespace, answer.result, element("RequestId", request_id));
  return finish(std::move(response));
}

Service::Answer Service::run(const Parameters& parameters, const iam::Caller& caller, const http::Request& request,
                             WallTime now) {
  const std::string_view action = parameters.get("Action");
  const std::string_view version = parameters.get("Version");
  if (version == kVersion && action == "GetCallerIdentity") {
    Answer answer;
    answer.result = element("Arn", caller.principal.arn) + element("UserId", caller.principal.user_id) +
                    element("Account", caller.principal.account);
    return answer;
  }
  if (version == kVersion && action == "AssumeRole") return assume_role(parameters, caller, request, now);
  return Answer::error(400, "InvalidAction",
                       fmt::format("Could not find operation {} for version {}", action, version));
}

Service::Answer Service::assume_role(const Parameters& parameters, const iam::Caller& caller,
                                     const http::Request& request, WallTime now) {
  const std::string_view arn = parameters.get("RoleArn");
  const std::string_view name = parameters.get("RoleSessionName");
  if (!iam::parse_arn(arn).ok()) return Answer::invalid(fmt::format("{} is invalid", arn));
  if (!is_session_name(name)) {
    return Answer::invalid(
        fmt::format("1 validation error detected: Value '{}' at 'roleSessionName' failed to satisfy constraint: "
                    "Member must satisfy regular expression pattern: [\\w+=,.@-]{{2,64}}",
                    name.substr(0, 128)));
  }
  std::int64_t lifetime = 3600;
  if (const std::string* text = parameters.find("DurationSeconds")) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), lifetime);
    if (error != std::errc{} || end != text->data() + text->size() || lifetime < 900 || lifetime > 43200) {
      return Answer::invalid(
          fmt::format("1 validation error detected: Value '{}' at 'durationSeconds' failed to satisfy constraint: "
                      "Member must have value between 900 and 43200",
                      text->substr(0, 32)));
    }
  }
  for (const char* unsupported : {"PolicyArns", "Tags", "TransitiveTagKeys", "ProvidedContexts"}) {
    if (parameters.has_list(unsupported))
      return Answer::invalid(fmt::format("{} is not supported by this service.", unsupported));
  }
  std::vector<std::string> policies;
  if (const std::string* policy = parameters.find("Policy")) {
    auto checked = iam::check_policy(*policy, iam::PolicyType::kSession);
    if (const auto* defect = std::get_if<iam::PolicyDefect>(&checked))
      return Answer::error(400, "MalformedPolicyDocument", defect->aws_text);
    policies.push_back(*policy);
  }

  iam::RequestContext context;
  iam::add_caller_keys(context, caller);
  iam::add_request_keys(context, request, options_.regions.front(), now);
  context.set("sts:RoleSessionName", name);
  if (const std::string* external = parameters.find("ExternalId")) context.set("sts:ExternalId", *external);
  // A role that does not exist and one that may not be assumed give the same answer.
  const Role* role = directory_.find_role(arn);
  const iam::NamedPolicy trust{std::string(arn), role == nullptr ? nullptr : role->trust};
  const iam::AuthorizationRequest authorization{
      .caller = caller,
      .action = "sts:AssumeRole",
      .resource = arn,
      .resource_account = role == nullptr ? caller.principal.account : role->account,
      .context = context,
      .authority = iam::Authority::kResourcePolicy,
      .resource_policy = trust.policy == nullptr ? nullptr : &trust,
      .grants = {},
      .encryption_context = nullptr};
  const bool allowed = trust.policy != nullptr && iam::decide(authorization).allowed();
  if (!allowed) {
    Answer answer = Answer::error(403, "AccessDenied",
                                  fmt::format("User: {} is not authorized to perform: sts:AssumeRole on resource: {}",
                                              caller.principal.arn, arn));
    if (trust.policy != nullptr) answer.decision = iam::to_json(iam::trace(authorization));
    return answer;
  }
  const SessionCredentials credentials =
      directory_.issue(*role, name, std::move(policies), std::chrono::seconds{lifetime}, now, rng_);
  Answer answer;
  answer.result = fmt::format(
      "<AssumedRoleUser>{}{}</AssumedRoleUser><Credentials>{}{}{}{}</Credentials>",
      element("AssumedRoleId", fmt::format("{}:{}", make_unique_id("AROA", arn), name)),
      element("Arn", fmt::format("arn:aws:sts::{}:assumed-role/{}/{}", role->account, role->name, name)),
      element("AccessKeyId", credentials.access_key_id),
      element("SecretAccessKey", as_text(credentials.secret_access_key.expose())),
      element("SessionToken", credentials.session_token), element("Expiration", format_rfc3339(credentials.expires)));
  return answer;
}

}  // namespace casemate::sts
