// SPDX-License-Identifier: Apache-2.0
#include "console/api.h"

#include <charconv>

#include "attestation/document_text.h"
#include "attestation/report_json.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "console/events.h"
#include "console/guard.h"
#include "iam/event.h"
#include "iam/lint.h"
#include "iam/messages.h"
#include "iam/simulate.h"
#include "iam/trace.h"
#include "image/inspect.h"
#include "runtime/client.h"
#include "sigv4/canonical.h"

namespace casemate::console {
namespace {

constexpr std::string_view kService = "casemate";
constexpr std::string_view kEventSource = "casemate.amazonaws.com";
// Of a console, in one answer.
constexpr std::size_t kConsoleBytes = 256 * 1024;
constexpr std::chrono::milliseconds kConsolePatience{1000};

http::Response answer(unsigned status, const json::Value& value) {
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", "application/json");
  response.headers.add("Cache-Control", "no-store");
  response.body = json::encode(value);
  return response;
}

http::Response refuse(unsigned status, std::string_view code, std::string_view message) {
  return answer(status, json::Object{{"error", json::Object{{"code", code}, {"message", message}}}});
}

http::Response refuse(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kMalformed:
    case ErrorCode::kUnsupported:
      return refuse(400, "Malformed", error.message());
    case ErrorCode::kLimit:
      return refuse(400, "LimitExceeded", error.message());
    case ErrorCode::kUntrusted:
    case ErrorCode::kDenied:
      return refuse(403, "AccessDenied", error.message());
    case ErrorCode::kNotFound:
      return refuse(404, "NotFound", error.message());
    case ErrorCode::kConflict:
      return refuse(409, "Conflict", error.message());
    case ErrorCode::kUnavailable:
      return refuse(503, "Unavailable", error.message());
    case ErrorCode::kInternal:
      return refuse(500, "InternalFailure", error.message());
  }
  return refuse(500, "InternalFailure", "");
}

Result<json::Value> parse_body(std::string_view body) {
  json::Value value = TRY(json::parse(body).in("body"));
  if (value.if_object() == nullptr) return malformed("body: a {}, want an object", value.type_name());
  return value;
}

Result<std::string> text_member(const json::Value& body, std::string_view name) {
  const std::string* text = body.string_at(name);
  if (text == nullptr) return malformed("{}: want a string", name);
  return *text;
}

Result<std::string> parameter(std::string_view query, std::string_view wanted) {
  const auto parameters = sigv4::parse_query(query);
  if (!parameters) return malformed("query: broken escape");
  for (const auto& [name, value] : *parameters) {
    if (name == wanted) return value;
  }
  return malformed("{}: missing", wanted);
}

Result<std::uint64_t> number(std::string_view name, std::string_view text) {
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size() || text.empty())
    return malformed("{}: want a number", name);
  return out;
}

json::Value findings_json(const std::vector<iam::Finding>& findings) {
  json::Array out;
  for (const iam::Finding& finding : findings) {
    out.emplace_back(
        json::Object{{"severity", finding.severity == iam::Severity::kError ? "error" : "warning"},
                     {"code", finding.code},
                     {"where", finding.where},
                     {"what", finding.what}});
  }
  return out;
}

json::Object image_json(const eif::Image& image) {
  json::Object pcrs{{"0", encode_hex(image.measurements.pcr0)},
                    {"1", encode_hex(image.measurements.pcr1)},
                    {"2", encode_hex(image.measurements.pcr2)}};
  if (image.measurements.pcr8) pcrs.set("8", encode_hex(*image.measurements.pcr8));
  json::Array violations(image.violations.begin(), image.violations.end());
  return {{"pcrs", std::move(pcrs)},
          {"size", image.file_size},
          {"signed", image.is_signed()},
          {"checksum", image.crc_ok()},
          {"cmdline", image.cmdline},
          {"violations", std::move(violations)}};
}

// Route: a method, a path and the action that it takes. A path that ends in `/` stands for all below it.
struct Route {
  std::string_view method;
  std::string_view path;
  std::string_view action;
};
constexpr Route kRoutes[] = {
    {"POST", "links", "casemate:CreateConsoleLink"},
    {"GET", "enclaves", "casemate:DescribeEnclaves"},
    {"GET", "enclaves/", "casemate:ReadEnclaveConsole"},
    {"GET", "image", "casemate:DescribeImage"},
    {"POST", "document", "casemate:VerifyDocument"},
    {"POST", "lint", "access-analyzer:ValidatePolicy"},
    {"POST", "simulate", "iam:SimulateCustomPolicy"},
    {"GET", "events", "cloudtrail:LookupEvents"},
    {"GET", "events/", "cloudtrail:LookupEvents"},
};

const Route* find_route(std::string_view method, std::string_view path) {
  for (const Route& route : kRoutes) {
    const bool below = route.path.ends_with('/');
    const bool same = below ? path.starts_with(route.path) && path.size() > route.path.size() : path == route.path;
    if (same && method == route.method) return &route;
  }
  return nullptr;
}

}  // namespace

Api::Api(Parts parts, Options options)
    : parts_(std::move(parts)), options_(std::move(options)), links_(options_.links) {}

http::Response Api::config(const http::Request& request) const {
  if (request.method != "GET") return refuse(405, "MethodNotAllowed", "GET only");
  return answer(200, json::Object{{"account", options_.account},
                                  {"region", options_.region},
                                  {"version", options_.version}});
}

http::Response Api::handle(const http::Request& request, std::string_view path) {
  if (path == "config") return config(request);
  if (path == "session" && request.method == "POST") return redeem(request);
  const Route* route = find_route(request.method, path);
  if (route == nullptr) return refuse(404, "NotFound", "no such operation");

  const WallTime now = parts_.clock.now();
  const sigv4::Expectation expectation{{std::string(kService)}, {options_.region}, options_.signature_skew};
  auto verdict = sigv4::verify(request, expectation, now, parts_.credentials);
  if (const auto* failure = std::get_if<sigv4::Failure>(&verdict)) {
    const sigv4::WireError error = sigv4::json_error(failure->kind);
    return refuse(error.status, error.code.empty() ? "BadRequest" : error.code, failure->message);
  }
  const iam::Caller& caller = *std::get<sigv4::Authenticated<iam::CallerPtr>>(verdict).identity;

  iam::RequestContext context;
  iam::add_caller_keys(context, caller);
  iam::add_request_keys(context, request, options_.region, now);
  const iam::AuthorizationRequest wanted{.caller = caller,
                                         .action = route->action,
                                         .resource = "*",
                                         .resource_account = options_.account,
                                         .context = context,
                                         .authority = iam::Authority::kIdentityOnly,
                                         .resource_policy = nullptr,
                                         .grants = {},
                                         .encryption_context = nullptr};
  const iam::Decision decision = iam::decide(wanted);
  if (!decision.allowed()) {
    const std::string message = iam::access_denied_text(caller.principal, route->action, "*", decision);
    const std::string_view name = route->action.substr(route->action.find(':') + 1);
    json::Object event = iam::event_head(caller, request, kEventSource, name, options_.region, now);
    event.set("errorCode", "AccessDenied");
    event.set("errorMessage", message);
    event.set("additionalEventData",
              json::Object{{"casemate", json::Object{{"decision", iam::to_json(iam::trace(wanted))}}}});
    if (const auto written = parts_.audit(event); !written.ok()) return refuse(written.error());
    return refuse(403, "AccessDenied", message);
  }

  const auto run = [&]() -> Result<json::Value> {
    if (path == "links") return make_link(request, caller, now);
    if (path == "enclaves") return enclaves();
    if (path.starts_with("enclaves/")) return enclave_console(path.substr(9), request.query());
    if (path == "image") return image(request.query());
    if (path == "document") return document(request.body, now);
    if (path == "lint") return lint(request, caller, now);
    if (path == "simulate") return iam::simulate(TRY(parse_body(request.body)));
    if (path == "events") return events(request.query());
    return event(path.substr(7));
  };
  const auto done = run();
  if (!done.ok()) {
    if (done.error().code() == ErrorCode::kInternal)
      parts_.log.error("console.failed", {{"action", std::string(route->action)}, {"error", done.error().message()}});
    return refuse(done.error());
  }
  return answer(200, *done);
}

Result<json::Value> Api::make_link(const http::Request& request, const iam::Caller& caller, WallTime now) {
  // The session that follows has all of the user's rights: whoever has fewer must not get it.
  const iam::Principal& principal = caller.principal;
  if (principal.type != iam::PrincipalType::kUser || principal.account != options_.account ||
      !caller.session_policies.empty())
    return denied("links are for users of account {}, signed with an access key of their own", options_.account);
  TRY(parts_.audit(iam::event_head(caller, request, kEventSource, "CreateConsoleLink", options_.region, now)));
  std::string token = links_.make(principal.name, now, parts_.rng);
  return json::Object{{"token", std::move(token)},
                      {"expires", format_rfc3339(now + options_.links.lifetime)}};
}

http::Response Api::redeem(const http::Request& request) {
  if (!is_our_page(request)) return refuse(403, "AccessDenied", "asked by another page");
  const std::string* type = request.headers.find("content-type");
  if (type == nullptr || !type->starts_with("application/json"))
    return refuse(415, "UnsupportedMediaType", "want application/json");
  const auto body = parse_body(request.body);
  if (!body.ok()) return refuse(body.error());
  const std::string* token = body->string_at("token");
  if (token == nullptr || token->size() > 128) return refuse(400, "Malformed", "token: want a string");
  const WallTime now = parts_.clock.now();
  const auto name = links_.redeem(*token, now);
  if (!name.ok()) {
    parts_.log.warn("console.link-refused", {{"peer", request.peer}});
    return refuse(name.error());
  }
  const auto session = parts_.issue(*name, now);
  if (!session.ok()) return refuse(session.error());
  const auto lookup = parts_.credentials.find(session->access_key_id, session->session_token, now);
  if (lookup.found != sigv4::Found::kCredential || lookup.identity == nullptr)
    return refuse(internal("console: the session that was issued is not known"));
  json::Object event =
      iam::event_head(*lookup.identity, request, "signin.amazonaws.com", "ConsoleLogin", options_.region, now);
  event.set("responseElements", json::Object{{"ConsoleLogin", "Success"}});
  if (const auto written = parts_.audit(event); !written.ok()) return refuse(written.error());
  return answer(200, json::Object{{"accessKeyId", session->access_key_id},
                                  {"secretAccessKey", as_text(session->secret_access_key.expose())},
                                  {"sessionToken", session->session_token},
                                  {"expires", format_rfc3339(session->expires)}});
}

Result<json::Value> Api::enclaves() const {
  runtime::Registry registry(options_.paths, {});
  const runtime::Listing listing = TRY(runtime::list_enclaves(registry, runtime::Metadata::kYes));
  json::Array list;
  for (const runtime::EnclaveInfo& info : listing.enclaves) list.emplace_back(runtime::describe_json(info));
  return json::Object{{"enclaves", std::move(list)}, {"failed", std::uint64_t{listing.failed}}};
}

Result<json::Value> Api::enclave_console(std::string_view path, std::string_view query) const {
  constexpr std::string_view kSuffix = "/console";
  if (!path.ends_with(kSuffix)) return not_found("no such operation");
  const std::string_view id = path.substr(0, path.size() - kSuffix.size());
  const std::uint64_t from = TRY(number("from", TRY(parameter(query, "from"))));
  runtime::Registry registry(options_.paths, {});
  runtime::Connection connection = TRY(runtime::open_enclave(registry, id));
  const json::Value reply = TRY(runtime::ask(
      connection, json::Object{{"command", "console"}, {"follow", false}, {"from", from}}, runtime::kReplyPatience));
  const std::int64_t* position = reply.int_at("Position");
  if (position == nullptr || *position < 0) return malformed("reply: Position missing");
  Bytes data;
  while (data.size() < kConsoleBytes) {
    const Bytes piece = TRY(connection.read_raw(kConsolePatience));
    if (piece.empty()) break;
    append(data, piece);
  }
  const auto begin = static_cast<std::uint64_t>(*position);
  return json::Object{{"data", encode_base64(data)},
                      {"lost", begin > from ? begin - from : 0},
                      {"next", begin + data.size()}};
}

Result<json::Value> Api::image(std::string_view query) const {
  const os::Path path = TRY(parameter(query, "path"));
  if (!path.is_absolute()) return malformed("path: want an absolute path on the machine of casemated");
  return image_json(TRY(image::inspect_file(path)));
}

Result<json::Value> Api::document(std::string_view body, WallTime now) const {
  const json::Value input = TRY(parse_body(body));
  const Bytes bytes = TRY(attestation::decode_document_text(TRY(text_member(input, "document"))).in("document"));
  const std::string* at = input.string_at("at");
  attestation::Policy policy = at != nullptr && *at == "document" ? attestation::Policy::at_document_time()
                                                                  : attestation::Policy::at_time(now);
  policy.allow_debug = attestation::AllowDebug::kYes;
  const attestation::Report report = attestation::examine(bytes, options_.trust, policy);
  return json::Object{{"trust", options_.trust.names()},
                      {"bytes", std::uint64_t{bytes.size()}},
                      {"report", attestation::to_json(report)},
                      {"document", report.document ? attestation::to_json(*report.document) : json::Value()}};
}

Result<json::Value> Api::lint(const http::Request& request, const iam::Caller& caller, WallTime now) const {
  const json::Value input = TRY(parse_body(request.body));
  const std::string text = TRY(text_member(input, "policy"));
  const auto checked = iam::check_policy(text, iam::PolicyType::kResource);
  if (const auto* defect = std::get_if<iam::PolicyDefect>(&checked)) {
    return json::Object{{"defect", json::Object{{"where", defect->where}, {"what", defect->what}}},
                        {"findings", json::Array{}},
                        {"locksOut", json::Value()}};
  }
  const iam::PolicyPtr& policy = std::get<iam::PolicyPtr>(checked);
  json::Value locks_out;
  if (const std::string* arn = input.string_at("keyArn"); arn != nullptr && iam::parse_arn(*arn).ok()) {
    iam::RequestContext context;
    iam::add_caller_keys(context, caller);
    iam::add_request_keys(context, request, options_.region, now);
    context.set("kms:CallerAccount", caller.principal.account);
    locks_out = iam::locks_out({"key policy", policy}, caller, *arn, options_.account, context);
  }
  return json::Object{{"defect", json::Value()},
                      {"findings", findings_json(iam::lint_policy(*policy, iam::PolicyType::kResource))},
                      {"locksOut", std::move(locks_out)}};
}

Result<json::Value> Api::events(std::string_view query) const {
  return read_events(options_.paths.audit(), TRY(parse_event_query(query)));
}

Result<json::Value> Api::event(std::string_view place) const {
  json::Value event = TRY(read_event(options_.paths.audit(), TRY(parse_place(place))));
  json::Array words;
  const json::Value* value = event.find("additionalEventData");
  value = value == nullptr ? nullptr : value->find("casemate");
  value = value == nullptr ? nullptr : value->find("decision");
  if (value != nullptr) {
    if (const auto trace = iam::trace_from_json(*value); trace.ok()) {
      for (std::string& line : iam::explain(*trace)) words.emplace_back(std::move(line));
    }
  }
  return json::Object{{"event", std::move(event)}, {"explanation", std::move(words)}};
}

}  // namespace casemate::console
