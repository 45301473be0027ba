// SPDX-License-Identifier: Apache-2.0
#include "kms/api/service.h"

#include "base/secret.h"
#include "crypto/rng.h"
#include "iam/event.h"
#include "kms/api/errors.h"
#include "kms/api/metrics.h"
#include "kms/api/operations.h"
#include "sigv4/sigv4.h"

namespace casemate::kms::api {
namespace {

constexpr std::string_view kTargetPrefix = "TrentService.";

// Names in an event begin with a lower-case letter, at every depth.
json::Value event_form(const json::Value& value) {
  if (const json::Object* object = value.if_object()) {
    json::Object out;
    for (const auto& [name, member] : *object) out.append(lower_camel(name), event_form(member));
    return out;
  }
  // A time would be a number with a fraction, which JSON writers spell differently.
  if (value.is_number() && value.if_int64() == nullptr) return fmt::format("{:.3f}", value.as_double());
  return value;
}

enum class Recording { kWrite, kHold };

// Work is a call of which all is done but giving the answer.
struct Work {
  std::string request_id;
  const Operation* operation = nullptr;  // none: the request names none, and nothing is recorded
  std::chrono::steady_clock::time_point begun;
  http::Response response;
  bool recorded = false;  // an event tells of it
  std::vector<KeyName> used;
  LastUse use;
};

struct Held {
  Work work;
  Service::Done done;
};

}  // namespace

struct Service::State {
  State(ServiceParts service_parts, ServiceOptions service_options)
      : parts(std::move(service_parts)), options(std::move(service_options)), quotas(options.quotas), published(parts.rng) {}

  ServiceParts parts;
  ServiceOptions options;
  attestation::ChainCache chains;
  RecipientKeys recipient_keys;
  sigv4::SigningKeys signing_keys;
  Quotas quotas;
  Metrics metrics;
  crypto::BufferedRng published;

  std::vector<Held> held;

  Work dispatch(const http::Request& request, Recording recording);
  void answer(const http::Request& request, Recording recording, Work& work);
  Outcome<Answer> run(Call& call);
  json::Object event_of(const http::Request& request, const Call& call, const Outcome<Answer>& outcome,
                        const std::string& request_id, const std::string& event_id) const;
  void withhold(Work& work, const Error& why) const;
  http::Response conclude(Work work);
};

Service::Service(ServiceParts parts, ServiceOptions options)
    : state_(new State(std::move(parts), std::move(options))) {}
Service::~Service() = default;

bool Service::is_target(const http::Request& request) {
  const std::string* target = request.headers.find("x-amz-target");
  return target != nullptr && target->starts_with(kTargetPrefix);
}

bool Service::answers_quickly(const http::Request& request) {
  const std::string* target = request.headers.find("x-amz-target");
  if (target == nullptr || !target->starts_with(kTargetPrefix)) return false;
  const Operation* operation = find_operation(std::string_view(*target).substr(kTargetPrefix.size()));
  return operation == nullptr || operation->quick;
}

std::string Service::metrics() const {
  return state_->metrics.text();
}

http::Response Service::handle(const http::Request& request) {
  return state_->conclude(state_->dispatch(request, Recording::kWrite));
}

void Service::hold(const http::Request& request, Done done) {
  state_->held.push_back({state_->dispatch(request, Recording::kHold), std::move(done)});
}

void Service::settle() {
  const auto written = state_->parts.audit.put_held();
  // An answer may bring the next call of its connection, which is then held.
  std::vector<Held> settled;
  settled.swap(state_->held);
  state_->held.reserve(settled.size());
  for (Held& each : settled) {
    if (!written.ok() && each.work.recorded) state_->withhold(each.work, written.error());
    each.done(state_->conclude(std::move(each.work)));
  }
}

http::Response Service::State::conclude(Work work) {
  http::Response& response = work.response;
  if (work.operation != nullptr) {
    metrics.count(*work.operation,
                  response.status < 400   ? Metrics::Result::kOk
                  : response.status < 500 ? Metrics::Result::kRefused
                                          : Metrics::Result::kFailed,
                  std::chrono::steady_clock::now() - work.begun);
  }
  for (const KeyName& name : work.used) parts.keyring.note_use(name, work.use);
  response.headers.set("x-amzn-RequestId", work.request_id);
  response.headers.set("Content-Type", "application/x-amz-json-1.1");
  response.headers.set("Cache-Control", "no-cache, no-store, must-revalidate, private");
  response.headers.set("Expires", "0");
  response.headers.set("Pragma", "no-cache");
  return std::move(response);
}

// No answer without its event: neither a plaintext nor a refusal leaves unrecorded.
void Service::State::withhold(Work& work, const Error& why) const {
  parts.log.error("kms.audit-failed", {{"operation", std::string(work.operation->name)},
                                       {"request", work.request_id},
                                       {"error", why.message()}});
  zeroize(work.response.body.data(), work.response.body.size());
  work.response = error_response(silent_fault(FaultKind::kInternal));
  work.used.clear();
}

Work Service::State::dispatch(const http::Request& request, Recording recording) {
  Work work;
  work.request_id = make_uuid(published);
  const std::string* target = request.headers.find("x-amz-target");
  if (request.method == "POST" && request.path() == "/" && target != nullptr && target->starts_with(kTargetPrefix)) {
    work.operation = find_operation(std::string_view(*target).substr(kTargetPrefix.size()));
  }
  if (work.operation == nullptr) {
    work.response = error_response(silent_fault(FaultKind::kUnknownOperation));
    return work;
  }
  work.begun = std::chrono::steady_clock::now();
  answer(request, recording, work);
  return work;
}

void Service::State::answer(const http::Request& request, Recording recording, Work& work) {
  const Operation& operation = *work.operation;
  const WallTime now = parts.clock.now();
  const sigv4::Expectation expectation{{"kms"}, options.regions, options.signature_skew};
  auto verdict = sigv4::verify(request, expectation, now, parts.credentials, &signing_keys);
  if (const auto* failure = std::get_if<sigv4::Failure>(&verdict)) {
    const sigv4::WireError error = sigv4::json_error(failure->kind);
    metrics.count_unauthenticated();
    parts.log.info("kms.unauthenticated", {{"operation", std::string(operation.name)},
                                           {"peer", request.peer},
                                           {"error", std::string(error.code)},
                                           {"request", work.request_id}});
    work.response = error_response(error.code, failure->message, error.status);
    if (error.code.empty()) work.response.body.clear();
    return;
  }
  auto& authenticated = std::get<sigv4::Authenticated<iam::CallerPtr>>(verdict);

  if (!quotas.admit(authenticated.identity->principal.account, authenticated.region, operation.name, now)) {
    metrics.count_throttled();
    work.response = error_response(
        fault(FaultKind::kThrottling,
              "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."));
    return;
  }

  Input input;
  std::optional<Fault> unreadable;
  if (auto read = read_input(request.body, operation.members); read.ok()) {
    input = read.take();
  } else {
    unreadable = std::move(read).error();
  }
  iam::RequestContext context;
  iam::add_caller_keys(context, *authenticated.identity);
  iam::add_request_keys(context, request, authenticated.region, now);
  context.set("kms:CallerAccount", authenticated.identity->principal.account);
  Realm realm{authenticated.identity->principal.account, authenticated.region};
  Call call({parts, options, chains, recipient_keys, published}, operation, std::move(input), authenticated.identity, std::move(realm),
            std::move(context), now);
  Outcome<Answer> outcome = unreadable ? Outcome<Answer>(std::move(*unreadable)) : run(call);

  if (!outcome.ok() && outcome.error().kind == FaultKind::kInternal) {
    parts.log.error(
        "kms.failed",
        {{"operation", std::string(operation.name)}, {"request", work.request_id}, {"error", outcome.error().detail}});
  }
  const std::string event_id = make_uuid(published);
  const json::Object event = event_of(request, call, outcome, work.request_id, event_id);
  const auto recorded = recording == Recording::kHold ? parts.audit.hold(event) : parts.audit.append(event);
  if (!recorded.ok()) return withhold(work, recorded.error());
  work.recorded = true;
  if (!outcome.ok()) {
    work.response = error_response(outcome.error());
    return;
  }
  if (*outcome) work.response.body = json::encode(**outcome);
  work.used = call.notes().used;
  if (!work.used.empty()) work.use = {std::string(operation.name), now, event_id, work.request_id};
}

Outcome<Answer> Service::State::run(Call& call) {
  if (!call.operation().read_only && !parts.audit.has_room_for_changes()) return over_limit("audit log: no space");
  return call.operation().handler(call);
}

json::Object Service::State::event_of(const http::Request& request, const Call& call, const Outcome<Answer>& outcome,
                                      const std::string& request_id, const std::string& event_id) const {
  json::Object event = iam::event_head(call.caller(), request, "kms.amazonaws.com", call.operation().name,
                                       call.realm().region, call.now());
  event.reserve(24);
  if (!outcome.ok()) {
    const Fault& fault = outcome.error();
    event.set("errorCode", fault.kind == FaultKind::kAccessDenied ? "AccessDenied" : error_name(fault.kind));
    if (fault.message) event.set("errorMessage", *fault.message);
  }
  event.set("requestParameters", call.input().parameters());
  event.set("responseElements", json::Value());
  if (outcome.ok() && !call.operation().read_only) {
    if (const Answer& answer = outcome.value()) event.set("responseElements", event_form(*answer));
  }
  json::Object additional;
  if (call.notes().recipient) additional.set("recipient", *call.notes().recipient);
  json::Object own;
  if (call.notes().decision) own.set("decision", *call.notes().decision);
  if (!outcome.ok() && !outcome.error().detail.empty()) own.set("detail", outcome.error().detail);
  if (!own.empty()) additional.set("casemate", std::move(own));
  if (!additional.empty()) event.set("additionalEventData", std::move(additional));
  event.set("requestID", request_id);
  event.set("eventID", event_id);
  event.set("readOnly", call.operation().read_only);
  json::Array resources;
  for (const auto& [arn, account] : call.notes().resources) {
    resources.emplace_back(
        json::Object{{"accountId", account},
                     {"type", arn.find(":alias/") == std::string::npos ? "AWS::KMS::Key" : "AWS::KMS::Alias"},
                     {"ARN", arn}});
  }
  event.set("resources", std::move(resources));
  event.set("eventType", "AwsApiCall");
  event.set("managementEvent", true);
  event.set("recipientAccountId", call.realm().account);
  event.set("eventCategory", "Management");
  return event;
}

}  // namespace casemate::kms::api
