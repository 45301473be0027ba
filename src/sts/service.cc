// SPDX-License-Identifier: Apache-2.0
#include "sts/service.h"

#include <algorithm>

#include "iam/event.h"
#include "sts/operations.h"

namespace casemate::sts {
namespace {

constexpr std::string_view kVersion = "2011-06-15";
constexpr std::string_view kNamespace = "https://sts.amazonaws.com/doc/2011-06-15/";

json::Value shown_parameters(const query::Parameters& parameters) {
  json::Object out;
  for (const char* name :
       {"RoleArn", "RoleSessionName", "Name", "DurationSeconds", "SourceIdentity", "AccessKeyId", "EncodedMessage"}) {
    const std::string* value = parameters.find(name);
    if (value == nullptr || !json::parse(json::encode_string(value->substr(0, 2048))).ok()) continue;
    std::string key(name);
    key[0] = static_cast<char>(key[0] - 'A' + 'a');
    out.set(key, value->substr(0, 2048));
  }
  return out.empty() ? json::Value() : json::Value(std::move(out));
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
  const auto refuse = [&](const query::Fault& why) {
    return finish(query::error_response(why, kNamespace, request_id));
  };

  if (request.headers.find("authorization") == nullptr) {
    const auto unsigned_call = query::Parameters::read(request);
    if (unsigned_call && is_unsigned(unsigned_call->get("Action")))
      return refuse(query::fault(400, "UnsupportedOperation", unsupported_text(unsigned_call->get("Action"))));
  }
  const auto verdict = sigv4::verify(request, {{"sts"}, options_.regions, options_.signature_skew}, now, directory_);
  if (const auto* failure = std::get_if<sigv4::Failure>(&verdict)) {
    const sigv4::WireError error = sigv4::query_error(failure->kind);
    log_.info("sts.unauthenticated",
              {{"peer", request.peer}, {"error", std::string(error.code)}, {"request", request_id}});
    return refuse(query::fault(error.status, error.code, failure->message));
  }
  const auto& authenticated = std::get<sigv4::Authenticated<iam::CallerPtr>>(verdict);
  const auto parameters = query::Parameters::read(request);
  if (!parameters) return refuse(query::fault(400, "MalformedQueryString", "The query string is malformed."));
  const std::string_view action = parameters->get("Action");
  const auto operation = parameters->get("Version") == kVersion ? find_operation(action) : nullptr;
  if (operation == nullptr) {
    return refuse(query::fault(400, "InvalidAction", fmt::format("Could not find operation {} for version {}",
                                                                 action.substr(0, 64),
                                                                 parameters->get("Version").substr(0, 32))));
  }

  const iam::Caller& caller = *authenticated.identity;
  Call call{*parameters, caller, request, authenticated.region, now, directory_, directory_.state(), rng_, options_, {}};
  const query::Outcome<std::string> outcome = operation(call);
  json::Object event = iam::event_head(caller, request, "sts.amazonaws.com", action, authenticated.region, now);
  if (!outcome.ok()) {
    event.set("errorCode", outcome.error().code);
    event.set("errorMessage", outcome.error().message);
  }
  event.set("requestParameters", shown_parameters(*parameters));
  event.set("responseElements", json::Value());
  if (call.decision)
    event.set("additionalEventData", json::Object{{"casemate", json::Object{{"decision", *call.decision}}}});
  event.set("requestID", request_id);
  event.set("eventID", query::make_request_id(rng_));
  event.set("readOnly", true);
  event.set("eventType", "AwsApiCall");
  event.set("managementEvent", true);
  event.set("recipientAccountId", caller.principal.account);
  event.set("eventCategory", "Management");
  if (const auto written = audit_(event); !written.ok()) {
    log_.error("sts.audit-failed", {{"request", request_id}, {"error", written.error().message()}});
    return refuse(
        query::fault(500, "InternalFailure", "The request processing has failed because of an unknown error."));
  }
  if (!outcome.ok()) return refuse(outcome.error());
  return finish(query::result_response(action, kNamespace, outcome.value(), request_id));
}

}  // namespace casemate::sts
