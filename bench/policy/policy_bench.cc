// SPDX-License-Identifier: Apache-2.0
// Decisions a second on one core: the walkthrough's key policy, 30 and 300 statements with conditions; parsed once
// (cached) or each time (cold); and what a trace and a request's context cost. Processor time, so that neighbours do not
// count. Then an event in the audit log: its text, its seal and its line, with and without the wait for the disk.
#include <fmt/core.h>

#include <stdlib.h>

#include <ctime>
#include <filesystem>
#include <string>

#include "audit/trail.h"
#include "base/check.h"
#include "iam/trace.h"

namespace casemate::iam {
namespace {

constexpr std::string_view kKey = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

double processor_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

template <typename Run>
void measure(std::string_view what, Run run) {
  constexpr double kSeconds = 0.5;
  std::size_t count = 0;
  const double start = processor_seconds();
  double passed = 0;
  for (std::size_t batch = 1; passed < kSeconds; batch *= 2) {
    for (std::size_t i = 0; i < batch; ++i) run();
    count += batch;
    passed = processor_seconds() - start;
  }
  const double micros = passed * 1e6 / static_cast<double>(count);
  fmt::print("{:<48} {:>10.3f} us {:>12.0f} /s\n", what, micros, 1e6 / micros);
}

std::string walkthrough() {
  return fmt::format(
      R"({{"Version":"2012-10-17","Statement":[
        {{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:root"}},"Action":"kms:*","Resource":"*"}},
        {{"Sid":"Encrypt","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:role/casemate-parent"}},"Action":["kms:Encrypt","kms:DescribeKey"],"Resource":"*"}},
        {{"Sid":"Decrypt","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:role/casemate-parent"}},"Action":"kms:Decrypt","Resource":"*",
          "Condition":{{"StringEqualsIgnoreCase":{{"kms:RecipientAttestation:PCR0":"{}"}}}}}}]}})",
      std::string(96, 'a'));
}

// many makes statements of which only the last allows.
std::string many(int count) {
  std::string out = R"({"Version":"2012-10-17","Statement":[)";
  for (int i = 1; i <= count; ++i) {
    const std::string value = i == count ? std::string(96, 'a') : fmt::format("{:096x}", i);
    out += fmt::format(
        R"({}{{"Sid":"s{}","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:role/casemate-parent"}},"Action":["kms:Decrypt","kms:Generate*"],"Resource":"*","Condition":{{"StringEqualsIgnoreCase":{{"kms:RecipientAttestation:PCR0":"{}"}},"StringLike":{{"aws:userid":"AROA*:i-*"}}}}}})",
        i == 1 ? "" : ",", i, value);
  }
  return out + "]}";
}

RequestContext context_of(const Caller& caller) {
  RequestContext out;
  add_caller_keys(out, caller);
  for (int i = 0; i <= 8; ++i) out.set(fmt::format("kms:RecipientAttestation:PCR{}", i), std::string(96, i == 0 ? 'a' : 'b'));
  out.set("kms:RecipientAttestation:ImageSha384", std::string(96, 'a'));
  out.set("kms:CallerAccount", caller.principal.account);
  out.set("kms:KeySpec", "SYMMETRIC_DEFAULT");
  out.set("kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT");
  out.set("aws:SourceIp", "127.0.0.1");
  out.set_number("aws:EpochTime", 1'769'817'600);
  return out;
}

void run(std::string_view name, const std::string& text) {
  PolicyLimits limits;
  limits.bytes = 1024 * 1024;
  limits.values = 1'000'000;
  const auto parse = [&] { return parse_policy(text, PolicyType::kResource, limits); };
  Caller caller;
  caller.principal = assumed_role("111122223333", "/", "casemate-parent", "AROAEXAMPLE", "i-0123456789abcdef0");
  const NamedPolicy cached{"default", parse().take()};
  const RequestContext context = context_of(caller);
  RequestContext debug = context;
  debug.set("kms:RecipientAttestation:PCR0", std::string(96, '0'));
  const auto ask = [&](const NamedPolicy& policy, const RequestContext& keys) {
    AuthorizationRequest request{caller, "kms:Decrypt", kKey, "111122223333", keys};
    request.resource_policy = &policy;
    return request;
  };
  CASEMATE_CHECK(decide(ask(cached, context)).allowed());
  CASEMATE_CHECK(!decide(ask(cached, debug)).allowed());
  fmt::print("{} ({} bytes)\n", name, text.size());
  measure("  decide, cached, allowed", [&] { CASEMATE_CHECK(decide(ask(cached, context)).allowed()); });
  measure("  decide, cached, denied", [&] { CASEMATE_CHECK(!decide(ask(cached, debug)).allowed()); });
  measure("  decide, parsed each time", [&] {
    const NamedPolicy cold{"default", parse().take()};
    CASEMATE_CHECK(decide(ask(cold, context)).allowed());
  });
  measure("  parse", [&] { CASEMATE_CHECK(parse().ok()); });
  measure("  trace of a denial", [&] { CASEMATE_CHECK(trace(ask(cached, debug)).cause == Cause::kDebugEnclave); });
  measure("  context of a request", [&] { CASEMATE_CHECK(context_of(caller).size() > 10); });
}

// event is a Decrypt as the key service records it.
json::Object event() {
  return {{"eventVersion", "1.11"},
          {"userIdentity",
           json::Object{{"type", "AssumedRole"},
                        {"principalId", "AROAEXAMPLEEXAMPLE12:i-0123456789abcdef0"},
                        {"arn", "arn:aws:sts::111122223333:assumed-role/casemate-parent/i-0123456789abcdef0"},
                        {"accountId", "111122223333"},
                        {"accessKeyId", "ASIAEXAMPLEEXAMPLE12"}}},
          {"eventTime", "2026-11-24T12:00:00Z"},
          {"eventSource", "kms.amazonaws.com"},
          {"eventName", "Decrypt"},
          {"awsRegion", "us-east-1"},
          {"sourceIPAddress", "127.0.0.1"},
          {"userAgent", "aws-nitro_enclaves-sdk-c/0.4"},
          {"requestParameters", json::Object{{"encryptionAlgorithm", "SYMMETRIC_DEFAULT"}}},
          {"responseElements", json::Value()},
          {"additionalEventData",
           json::Object{{"recipient", json::Object{{"attestationDocumentModuleId", "i-0123456789abcdef0-enc0123456789abcdef0"},
                                                   {"attestationDocumentEnclaveImageDigest", std::string(96, 'a')}}}}},
          {"requestID", "01234567-89ab-4cde-8f01-23456789abcd"},
          {"eventID", "01234567-89ab-4cde-8f01-23456789abcd"},
          {"readOnly", true},
          {"resources", json::Array{json::Object{{"accountId", "111122223333"}, {"type", "AWS::KMS::Key"}, {"ARN", kKey}}}},
          {"eventType", "AwsApiCall"},
          {"managementEvent", true},
          {"recipientAccountId", "111122223333"},
          {"eventCategory", "Management"}};
}

void run_audit() {
  char name[] = "/tmp/casemate_policy_bench_XXXXXX";
  const std::filesystem::path folder = ::mkdtemp(name);
  {
    const auto trail = audit::Trail::open(folder / "audit.jsonl", WallTime{}).take();
    const json::Object read = event();
    json::Object write = read;
    write.set("readOnly", false);
    fmt::print("audit ({} bytes an event)\n", json::encode(read).size());
    measure("  make the event", [&] { CASEMATE_CHECK(event().size() > 10); });
    measure("  append a read", [&] { CASEMATE_CHECK(trail->append(read).ok()); });
    measure("  append a write (processor time; then it waits)", [&] { CASEMATE_CHECK(trail->append(write).ok()); });
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace casemate::iam

int main() {
  casemate::iam::run("walkthrough", casemate::iam::walkthrough());
  casemate::iam::run("30 statements", casemate::iam::many(30));
  casemate::iam::run("300 statements", casemate::iam::many(300));
  casemate::iam::run_audit();
  return 0;
}
