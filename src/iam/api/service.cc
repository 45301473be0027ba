// SPDX-License-Identifier: Apache-2.0
#include "iam/api/service.h"

#include "iam/api/call.h"
#include "iam/event.h"
#include "sigv4/sigv4.h"

namespace casemate::iam::api {
namespace {

constexpr std::string_view kVersion = "2010-05-08";
constexpr std::string_view kNamespace = "https://iam.amazonaws.com/doc/2010-05-08/";
constexpr std::size_t kShownParameter = 4096;

// No parameter of these operations is a secret; documents are shown as CloudTrail does.
json::Value shown_parameters(const query::Parameters& parameters) {
  json::Object out;
  for (const auto& [name, value] : parameters.all()) {
    if (name.empty() || name == "Action" || name == "Version") continue;
    std::string key = name.substr(0, 128);
    key[0] = key[0] >= 'A' && key[0] <= 'Z' ? static_cast<char>(key[0] - 'A' + 'a') : key[0];
    const std::string_view shown = std::string_view(value).substr(0, kShownParameter);
    const bool readable = json::parse(json::encode_string(shown)).ok() && json::parse(json::encode_string(key)).ok();
    if (readable) out.set(key, shown);
  }
  return out.empty() ? json::Value() : json::Value(std::move(out));
}

json::Object make_event(const Call& call, const Operation& operation, const Outcome<std::string>& outcome,
                        std::string_view request_id, std::string_view event_id) {
  json::Object event =
      event_head(call.caller, call.request, "iam.amazonaws.com", operation.name, call.region, call.now);
  if (!outcome.ok()) {
    event.set("errorCode", outcome.error().code);
    event.set("errorMessage", outcome.error().message);
  }
  event.set("requestParameters", shown_parameters(call.parameters));
  event.set("responseElements", json::Value());
  if (call.decision) event.set("additionalEventData", json::Object{{"casemate", json::Object{{"decision", *call.decision}}}});
  event.set("requestID", request_id);
  event.set("eventID", event_id);
  event.set("readOnly", operation.read_only);
  event.set("eventType", "AwsApiCall");
  event.set("managementEvent", true);
  event.set("recipientAccountId", call.account());
  event.set("eventCategory", "Management");
  return event;
}

}  // namespace

http::Response Service::handle(const http::Request& request) {
  const std::string request_id = query::make_request_id(rng_);
  const WallTime now = clock_.now();
  const auto finish = [&](http::Response response) {
    response.headers.set("x-amzn-RequestId", request_id);
    response.headers.set("Content-Type", "text/xml");
    return response;
  };
  const auto refuse = [&](const Fault& why) { return finish(query::error_response(why, kNamespace, request_id)); };

  const auto verdict = sigv4::verify(request, {{"iam"}, options_.regions, options_.signature_skew}, now, directory_);
  if (const auto* failure = std::get_if<sigv4::Failure>(&verdict)) {
    const sigv4::WireError error = sigv4::query_error(failure->kind);
    log_.info("iam.unauthenticated", {{"peer", request.peer}, {"error", std::string(error.code)}, {"request", request_id}});
    return refuse(fault(error.status, error.code, failure->message));
  }
  const auto& authenticated = std::get<sigv4::Authenticated<CallerPtr>>(verdict);
  const auto parameters = query::Parameters::read(request);
  if (!parameters) return refuse(fault(400, "MalformedQueryString", "The query string is malformed."));
  const std::string_view action = parameters->get("Action");
  const Operation* operation = parameters->get("Version") == kVersion ? find_operation(action) : nullptr;
  if (operation == nullptr) {
    return refuse(fault(400, "InvalidAction", fmt::format("Could not find operation {} for version {}", action.substr(0, 64),
                                                          parameters->get("Version").substr(0, 32))));
  }

  Call call(*parameters, *authenticated.identity, request, operation->name, authenticated.region, now, directory_, rng_,
            options_);
  const Outcome<std::string> outcome = operation->handler(call);
  if (const auto written = audit_(make_event(call, *operation, outcome, request_id, query::make_request_id(rng_)));
      !written.ok()) {
    log_.error("iam.audit-failed", {{"request", request_id}, {"error", written.error().message()}});
    return refuse(fault(500, "ServiceFailure", "The request processing has failed because of an unknown error."));
  }
  if (!outcome.ok()) return refuse(outcome.error());
  return finish(query::result_response(operation->name, kNamespace, outcome.value(), request_id));
}

}  // namespace casemate::iam::api
