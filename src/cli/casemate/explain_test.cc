// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/files.h"
#include "base/test_matchers.h"
#include "cli/casemate/policy.h"
#include "iam/trace.h"

namespace casemate::cli {
namespace {

using testing::Contains;
using testing::HasSubstr;

std::string event(std::string_view id, iam::Cause cause) {
  json::Object out{{"eventTime", "2026-01-31T12:00:00Z"}, {"eventName", "Decrypt"}, {"requestID", id}};
  if (cause != iam::Cause::kNone) {
    const auto trace = iam::trace_of(cause, "", "arn:p", "kms:Decrypt", "arn:k");
    out.set("errorCode", "AccessDenied");
    out.set("additionalEventData", json::Object{{"casemate", json::Object{{"decision", iam::to_json(trace)}}}});
  }
  return json::encode(out) + "\n";
}

TEST(Explain, FindsTheEvent) {
  const std::string log = event("a", iam::Cause::kDebugEnclave) + event("b", iam::Cause::kNone) + "{\"torn";
  EXPECT_THAT(audit::find_event(log, {"a", false}), IsOk());
  const auto last = audit::find_event(log, {});
  ASSERT_THAT(last, IsOk());
  EXPECT_EQ(*last->string_at("requestID"), "b");
  EXPECT_THAT(explain_event(*last), Contains("The request was allowed."));
  const auto denied = audit::find_event(log, {"", true});
  ASSERT_THAT(denied, IsOk());
  EXPECT_EQ(*denied->string_at("requestID"), "a");
  EXPECT_THAT(explain_event(*denied), Contains("Cause: the enclave runs in debug mode: the register is zero."));
  EXPECT_THAT(audit::find_event(log, {"c", false}), IsError(ErrorCode::kNotFound, HasSubstr("request c")));
  EXPECT_THAT(audit::find_event("", {}), IsError(ErrorCode::kNotFound));
}

TEST(Simulate, TakesOneCaseOrOneALine) {
  const std::string one =
      R"({"request":{"principal":"111122223333","action":"kms:ListKeys","resource":"*"}})";
  const Simulated single = simulate_text(one, SimulateForm::kJson);
  EXPECT_FALSE(single.failed);
  EXPECT_THAT(single.output, testing::StartsWith(R"({"decision":"Allowed")"));
  const Simulated many = simulate_text(one + "\n\nnonsense\n" + one + "\n", SimulateForm::kJson);
  EXPECT_TRUE(many.failed);
  EXPECT_EQ(std::count(many.output.begin(), many.output.end(), '\n'), 3);
  EXPECT_THAT(many.output, HasSubstr("case 2: json"));
  EXPECT_THAT(simulate_text(one, SimulateForm::kWords).output, HasSubstr("was allowed to arn:aws:iam::111122223333:root"));
  EXPECT_TRUE(simulate_text("", SimulateForm::kJson).failed);
}

}  // namespace
}  // namespace casemate::cli
