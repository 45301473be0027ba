// SPDX-License-Identifier: Apache-2.0
#include "iam/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/test_matchers.h"
#include "iam/messages.h"
#include "iam/trace.h"

namespace casemate::iam {
namespace {

using testing::Contains;
using testing::HasSubstr;

constexpr std::string_view kAccount = "111122223333";
constexpr std::string_view kKey = "arn:aws:kms:us-east-1:111122223333:key/1234abcd";
constexpr std::string_view kRole = "arn:aws:iam::111122223333:role/parent";

NamedPolicy policy(std::string_view statements, PolicyType type, std::string name) {
  auto parsed = parse_policy(fmt::format(R"({{"Version":"2012-10-17","Statement":[{}]}})", statements), type);
  EXPECT_THAT(parsed, IsOk()) << statements;
  return {std::move(name), parsed.ok() ? parsed.take() : nullptr};
}
NamedPolicy key_policy(std::string_view statements) {
  return policy(statements, PolicyType::kResource, "default");
}
NamedPolicy identity_policy(std::string_view statements) {
  return policy(statements, PolicyType::kIdentity, "managed");
}

std::string allow(std::string_view principal, std::string_view action, std::string_view more = {}) {
  return fmt::format(R"({{"Effect":"Allow","Principal":{{"AWS":"{}"}},"Action":"{}","Resource":"*"{}}})", principal, action, more);
}
std::string deny(std::string_view principal, std::string_view action, std::string_view more = {}) {
  return fmt::format(R"({{"Effect":"Deny","Principal":{{"AWS":"{}"}},"Action":"{}","Resource":"*"{}}})", principal, action, more);
}
const std::string kDelegate = allow("111122223333", "kms:*");
constexpr std::string_view kIdentityAllow = R"({"Effect":"Allow","Action":"kms:*","Resource":"*"})";
constexpr std::string_view kIdentityDeny = R"({"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"})";

Caller session() {
  Caller out;
  out.principal = assumed_role(kAccount, "/", "parent", "AROAEXAMPLE", "i-1");
  return out;
}
Caller alice(std::string_view account = kAccount) {
  Caller out;
  out.principal = user(account, "/", "alice", "AIDAEXAMPLE");
  return out;
}

Decision decide_key(const Caller& caller, const NamedPolicy& key, std::string_view action = "kms:Decrypt",
                    const RequestContext& context = {}, std::span<const Grant> grants = {}) {
  AuthorizationRequest request{caller, action, kKey, kAccount, context};
  request.resource_policy = &key;
  request.grants = grants;
  const Decision decision = decide(request);
  EXPECT_EQ(trace(request).outcome, decision.outcome);
  return decision;
}

TEST(Decide, NeedsTheKeyPolicy) {
  Caller caller = session();
  EXPECT_EQ(decide_key(caller, key_policy(kDelegate)).blame, Blame::kIdentity);
  EXPECT_TRUE(decide_key(caller, key_policy(allow(kRole, "kms:Decrypt"))).allowed());
  EXPECT_EQ(decide_key(caller, key_policy(allow(kRole, "kms:Encrypt"))).blame, Blame::kResource);
  caller.identity_policies.push_back(identity_policy(kIdentityAllow));
  EXPECT_TRUE(decide_key(caller, key_policy(kDelegate)).allowed());
  const Decision alone = decide_key(caller, key_policy(allow("arn:aws:iam::111122223333:role/other", "kms:*")));
  EXPECT_EQ(alone.outcome, Outcome::kImplicitlyDenied) << "an identity policy alone never suffices for a key";
  EXPECT_EQ(alone.blame, Blame::kResource);
}

TEST(Decide, RootNeedsNoIdentityPolicy) {
  Caller root;
  root.principal = root_user(kAccount);
  EXPECT_TRUE(decide_key(root, key_policy(kDelegate)).allowed());
  EXPECT_FALSE(decide_key(root, key_policy(allow(kRole, "kms:*"))).allowed());
}

TEST(Decide, DenyWinsWhereverItStands) {
  Caller caller = session();
  caller.identity_policies.push_back(identity_policy(kIdentityAllow));
  const NamedPolicy open = key_policy(allow("*", "kms:*"));
  EXPECT_EQ(decide_key(caller, key_policy(allow("*", "kms:*") + "," + deny("111122223333", "kms:Decrypt"))).outcome,
            Outcome::kExplicitlyDenied);
  Caller bound = caller;
  bound.permissions_boundary = identity_policy(std::string(kIdentityAllow) + "," + std::string(kIdentityDeny));
  EXPECT_EQ(decide_key(bound, open).blame, Blame::kBoundary);
  Caller narrowed = caller;
  narrowed.session_policies.push_back(identity_policy(kIdentityDeny));
  EXPECT_EQ(decide_key(narrowed, open).blame, Blame::kSession);
  caller.identity_policies.push_back(identity_policy(kIdentityDeny));
  EXPECT_EQ(decide_key(caller, open).blame, Blame::kIdentity);
  EXPECT_TRUE(decide_key(caller, open, "kms:Encrypt").allowed());
}

TEST(Decide, BoundariesAndSessionsNarrow) {
  const NamedPolicy nothing = identity_policy(R"({"Effect":"Allow","Action":"s3:*","Resource":"*"})");
  Caller caller = session();
  caller.permissions_boundary = nothing;
  EXPECT_EQ(decide_key(caller, key_policy(allow(kRole, "kms:*"))).blame, Blame::kBoundary);
  EXPECT_TRUE(decide_key(caller, key_policy(allow("arn:aws:sts::111122223333:assumed-role/parent/i-1", "kms:*"))).allowed())
      << "a policy that names the session is not narrowed";
  caller.permissions_boundary.reset();
  caller.session_policies = {nothing};
  EXPECT_EQ(decide_key(caller, key_policy(allow(kRole, "kms:*"))).blame, Blame::kSession);
  caller.session_policies.push_back(identity_policy(kIdentityAllow));
  EXPECT_TRUE(decide_key(caller, key_policy(allow(kRole, "kms:*"))).allowed()) << "session policies add up";
  Caller bounded = alice();
  bounded.permissions_boundary = nothing;
  EXPECT_TRUE(decide_key(bounded, key_policy(allow("arn:aws:iam::111122223333:user/alice", "kms:*"))).allowed());
  EXPECT_EQ(decide_key(bounded, key_policy(allow("*", "kms:*"))).blame, Blame::kBoundary);
}

TEST(Decide, AnotherAccountNeedsBoth) {
  Caller caller = alice("999988887777");
  EXPECT_EQ(decide_key(caller, key_policy(kDelegate)).blame, Blame::kResource);
  for (const char* principal : {"999988887777", "arn:aws:iam::999988887777:user/alice", "*"}) {
    const NamedPolicy key = key_policy(allow(principal, "kms:Decrypt"));
    EXPECT_EQ(decide_key(caller, key).blame, Blame::kIdentity) << principal;
    Caller permitted = caller;
    permitted.identity_policies.push_back(identity_policy(kIdentityAllow));
    EXPECT_TRUE(decide_key(permitted, key).allowed()) << principal;
  }
}

TEST(Decide, ActionsWithoutKeyAskIdentityPoliciesOnly) {
  Caller caller = alice();
  RequestContext context;
  AuthorizationRequest request{caller, "kms:CreateKey", "*", kAccount, context, Authority::kIdentityOnly};
  EXPECT_EQ(decide(request).blame, Blame::kIdentity);
  caller.identity_policies.push_back(identity_policy(kIdentityAllow));
  EXPECT_TRUE(decide(request).allowed());
  Caller root;
  root.principal = root_user(kAccount);
  EXPECT_TRUE(decide(AuthorizationRequest{root, "kms:CreateKey", "*", kAccount, context, Authority::kIdentityOnly}).allowed());
}

TEST(Decide, NotElementsAreComplements) {
  const Caller caller = session();
  const auto with = [](std::string_view text) { return key_policy(text); };
  EXPECT_TRUE(decide_key(caller, with(R"({"Effect":"Allow","Principal":"*","NotAction":"kms:Encrypt","Resource":"*"})")).allowed());
  EXPECT_FALSE(decide_key(caller, with(R"({"Effect":"Allow","Principal":"*","NotAction":"kms:dec*","Resource":"*"})")).allowed());
  EXPECT_FALSE(decide_key(caller, with(R"({"Effect":"Allow","Principal":"*","Action":"kms:*","NotResource":"arn:aws:kms:*:*:key/*"})")).allowed());
  EXPECT_TRUE(decide_key(caller, with(R"({"Effect":"Allow","Principal":"*","Action":"kms:*","NotResource":"arn:aws:kms:eu-*:*:key/*"})")).allowed());
  const std::string all = allow("*", "kms:*") + ",";
  const auto spared = [&](std::string_view list) {
    return decide_key(caller, with(all + fmt::format(R"({{"Effect":"Deny","NotPrincipal":{{"AWS":[{}]}},"Action":"kms:*","Resource":"*"}})", list)))
        .allowed();
  };
  EXPECT_FALSE(spared(R"("arn:aws:iam::111122223333:role/parent")"));
  EXPECT_FALSE(spared(R"("arn:aws:iam::111122223333:role/parent","111122223333")"));
  EXPECT_TRUE(spared(R"("arn:aws:iam::111122223333:role/parent","111122223333","arn:aws:sts::111122223333:assumed-role/parent/i-1")"));
  EXPECT_FALSE(decide_key(caller, with(R"({"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::111122223333:role/parent"},"Action":"kms:*","Resource":"*"})")).allowed());
}

TEST(Decide, StatementsWithoutActionOrResourceHaveNoEffect) {
  EXPECT_FALSE(decide_key(session(), key_policy(R"({"Effect":"Allow","Principal":"*","Action":"kms:*"})")).allowed());
  EXPECT_FALSE(decide_key(session(), key_policy(R"({"Effect":"Allow","Principal":"*","Resource":"*"})")).allowed());
}

TEST(Decide, ActionsMatchWithoutCaseResourcesWithIt) {
  EXPECT_TRUE(decide_key(session(), key_policy(allow(kRole, "KMS:deCRYPT"))).allowed());
  EXPECT_TRUE(decide_key(session(), key_policy(allow(kRole, "kms:D?cr*"))).allowed());
  const auto resource = [](std::string_view arn) {
    return key_policy(fmt::format(R"({{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"{}"}})", arn));
  };
  EXPECT_TRUE(decide_key(session(), resource(kKey)).allowed());
  EXPECT_FALSE(decide_key(session(), resource("arn:aws:kms:us-east-1:111122223333:key/1234ABCD")).allowed());
}

TEST(Decide, GrantsAllowWithinTheirConstraints) {
  const Caller caller = session();
  const NamedPolicy key = key_policy(kDelegate);
  Grant grant{"g-1", std::string(kRole), {"Decrypt"}, std::nullopt, std::nullopt};
  EXPECT_TRUE(decide_key(caller, key, "kms:Decrypt", {}, {&grant, 1}).allowed());
  EXPECT_EQ(decide_key(caller, key, "kms:Decrypt", {}, {&grant, 1}).grant_id, "g-1");
  EXPECT_FALSE(decide_key(caller, key, "kms:Encrypt", {}, {&grant, 1}).allowed());
  EXPECT_FALSE(decide_key(alice(), key, "kms:Decrypt", {}, {&grant, 1}).allowed());

  const RequestContext context;
  AuthorizationRequest request{caller, "kms:Decrypt", kKey, kAccount, context};
  request.resource_policy = &key;
  request.grants = {&grant, 1};
  const EncryptionContext presented = {{"a", "1"}, {"b", "2"}};
  request.encryption_context = &presented;
  grant.context_subset = EncryptionContext{{"a", "1"}};
  EXPECT_TRUE(decide(request).allowed());
  grant.context_subset = EncryptionContext{{"a", "2"}};
  EXPECT_FALSE(decide(request).allowed());
  EXPECT_EQ(trace(request).cause, Cause::kGrantConstraint);
  grant.context_subset.reset();
  grant.context_equals = EncryptionContext{{"b", "2"}, {"a", "1"}};
  EXPECT_TRUE(decide(request).allowed());
  grant.context_equals = EncryptionContext{{"a", "1"}};
  EXPECT_FALSE(decide(request).allowed());
  const NamedPolicy denying = key_policy(deny("*", "kms:*"));
  request.resource_policy = &denying;
  grant.context_equals.reset();
  EXPECT_EQ(decide(request).outcome, Outcome::kExplicitlyDenied);
}

TEST(Decide, ServicesNeedToBeNamed) {
  Caller caller;
  caller.principal = service("logs.us-east-1.amazonaws.com");
  EXPECT_TRUE(decide_key(caller, key_policy(R"({"Effect":"Allow","Principal":{"Service":"logs.us-east-1.amazonaws.com"},"Action":"kms:*","Resource":"*"})")).allowed());
  EXPECT_FALSE(decide_key(caller, key_policy(kDelegate)).allowed());
}

TEST(LockOut, AsksForTheCallerItself) {
  Caller root;
  root.principal = root_user(kAccount);
  RequestContext context;
  EXPECT_FALSE(locks_out(key_policy(kDelegate), root, kKey, kAccount, context));
  EXPECT_TRUE(locks_out(key_policy(allow(kRole, "kms:*")), root, kKey, kAccount, context));
  EXPECT_FALSE(locks_out(key_policy(allow(kRole, "kms:*")), session(), kKey, kAccount, context));
  EXPECT_TRUE(locks_out(key_policy(allow(kRole, "kms:Decrypt")), session(), kKey, kAccount, context));
  EXPECT_TRUE(locks_out(key_policy(kDelegate), alice(), kKey, kAccount, context)) << "alice has no identity policy";
}

TEST(Messages, AreAwsOwn) {
  const Principal who = session().principal;
  EXPECT_EQ(access_denied_text(who, "kms:Decrypt", kKey, {Outcome::kImplicitlyDenied, Blame::kResource, {}}),
            "User: arn:aws:sts::111122223333:assumed-role/parent/i-1 is not authorized to perform: kms:Decrypt on resource: "
            "arn:aws:kms:us-east-1:111122223333:key/1234abcd because no resource-based policy allows the kms:Decrypt action");
  EXPECT_THAT(access_denied_text(who, "kms:Decrypt", kKey, {Outcome::kImplicitlyDenied, Blame::kIdentity, {}}),
              testing::EndsWith("because no identity-based policy allows the kms:Decrypt action"));
  EXPECT_THAT(access_denied_text(who, "kms:Decrypt", kKey, {Outcome::kExplicitlyDenied, Blame::kResource, {}}),
              testing::EndsWith("with an explicit deny in a resource-based policy"));
  EXPECT_THAT(access_denied_text(who, "kms:Decrypt", kKey, {Outcome::kExplicitlyDenied, Blame::kIdentity, {}}),
              testing::EndsWith("with an explicit deny in an identity-based policy"));
}

// ---- The walkthrough's policy and the registers

const std::string kPcr = "8f3ad0" + std::string(90, 'b');

NamedPolicy register_policy(std::string_view key, std::string_view value, std::string_view op = "StringEqualsIgnoreCase") {
  return key_policy(kDelegate + "," +
                    allow(kRole, "kms:Decrypt",
                          fmt::format(R"(,"Condition":{{"{}":{{"kms:RecipientAttestation:{}":"{}"}}}})", op, key, value)));
}

RequestContext document(std::string_view key, std::string_view value) {
  RequestContext out;
  for (int i = 0; i <= 8; ++i) out.set(fmt::format("kms:RecipientAttestation:PCR{}", i), std::string(96, 'e'));
  out.set("kms:RecipientAttestation:ImageSha384", std::string(96, 'e'));
  out.set(fmt::format("kms:RecipientAttestation:{}", key), value);
  return out;
}

std::string upper(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

Trace trace_key(const NamedPolicy& key, const RequestContext& context, const Caller& caller = session()) {
  AuthorizationRequest request{caller, "kms:Decrypt", kKey, kAccount, context};
  request.resource_policy = &key;
  return trace(request);
}

TEST(Registers, AllowWhenEqualAndExplainOtherwise) {
  const std::vector<std::pair<std::string, Cause>> registers = {
      {"PCR0", Cause::kOtherImage},       {"ImageSha384", Cause::kOtherImage},  {"PCR1", Cause::kOtherImage},
      {"PCR2", Cause::kOtherImage},       {"PCR3", Cause::kRoleRegister},       {"PCR4", Cause::kInstanceRegister},
      {"PCR8", Cause::kSignerRegister},   {"PCR16", Cause::kOtherRegister}};
  std::string other = kPcr;
  other[5] = '1';
  for (const auto& [name, cause] : registers) {
    EXPECT_TRUE(decide_key(session(), register_policy(name, kPcr), "kms:Decrypt", document(name, kPcr)).allowed()) << name;
    EXPECT_FALSE(decide_key(session(), register_policy(name, kPcr), "kms:Decrypt", document(name, other)).allowed()) << name;
    EXPECT_TRUE(decide_key(session(), register_policy(name, upper(kPcr)), "kms:Decrypt", document(name, kPcr)).allowed());
    EXPECT_FALSE(decide_key(session(), register_policy(name, upper(kPcr), "StringEquals"), "kms:Decrypt", document(name, kPcr)).allowed());
    EXPECT_FALSE(decide_key(session(), register_policy(name, kPcr), "kms:Decrypt", {}).allowed()) << name;
    EXPECT_EQ(trace_key(register_policy(name, kPcr), document(name, other)).cause, cause) << name;
    EXPECT_EQ(trace_key(register_policy(name, kPcr), {}).cause, Cause::kNoDocument) << name;
    EXPECT_EQ(trace_key(register_policy(name, upper(kPcr), "StringEquals"), document(name, kPcr)).cause, Cause::kRegisterCase);
  }
}

TEST(Trace, ClassifiesCauses) {
  const std::string zero(96, '0');
  EXPECT_EQ(trace_key(register_policy("PCR0", kPcr), document("PCR0", zero)).cause, Cause::kDebugEnclave);
  EXPECT_EQ(trace_key(register_policy("PCR0", zero), document("PCR0", kPcr)).cause, Cause::kExpectsDebugEnclave);
  EXPECT_EQ(trace_key(register_policy("PCR0", "0x" + kPcr), document("PCR0", kPcr)).cause, Cause::kRegisterUnusable);
  EXPECT_EQ(trace_key(register_policy("PCR0", kPcr.substr(1)), document("PCR0", kPcr)).cause, Cause::kRegisterUnusable);
  EXPECT_EQ(trace_key(register_policy("PCR17", kPcr), document("PCR0", kPcr)).cause, Cause::kRegisterAbsent);
  EXPECT_EQ(trace_key(key_policy(kDelegate), {}).cause, Cause::kNoIdentityPolicy);
  EXPECT_EQ(trace_key(key_policy(allow("arn:aws:iam::111122223333:role/x", "kms:*")), {}).cause, Cause::kPrincipalNotNamed);
  EXPECT_EQ(trace_key(key_policy(allow(kRole, "kms:Encrypt")), {}).cause, Cause::kActionNotListed);
  EXPECT_EQ(trace_key(key_policy(R"({"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"arn:aws:kms:eu-west-1:1:key/1"})"), {}).cause,
            Cause::kResourceNotListed);
  EXPECT_EQ(trace_key(key_policy(allow(kRole, "kms:*", R"(,"Condition":{"StringEquals":{"kms:EncryptionContext:app":"a"}})")), {}).cause,
            Cause::kEncryptionContext);
  EXPECT_EQ(trace_key(key_policy(allow(kRole, "kms:*", R"(,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}})")), {}).cause,
            Cause::kCondition);
  const Trace denied = trace_key(
      key_policy(allow("*", "kms:*") + "," +
                 deny("*", "kms:Decrypt", fmt::format(R"(,"Condition":{{"StringNotEqualsIgnoreCase":{{"kms:RecipientAttestation:PCR0":"{}"}}}})", kPcr))),
      document("PCR0", zero));
  EXPECT_EQ(denied.cause, Cause::kExplicitDeny);
  EXPECT_EQ(denied.because, Cause::kDebugEnclave);
  Caller bound = session();
  bound.permissions_boundary = identity_policy(R"({"Effect":"Allow","Action":"s3:*","Resource":"*"})");
  EXPECT_EQ(trace_key(key_policy(allow(kRole, "kms:*")), {}, bound).cause, Cause::kBoundary);
}

TEST(Explain, AlignsTheRegistersAndMarksTheDigits) {
  std::string other = kPcr;
  other[5] = '1';
  const auto lines = explain(trace_key(register_policy("PCR0", kPcr), document("PCR0", other)));
  EXPECT_THAT(lines, Contains("Cause: the enclave runs another image than the policy allows."));
  EXPECT_THAT(lines, Contains("  policy:    " + kPcr));
  EXPECT_THAT(lines, Contains("  presented: " + other));
  EXPECT_THAT(lines, Contains("             " + std::string(5, ' ') + "^"));
  EXPECT_THAT(lines, Contains("  1 of 96 digits differs"));
  const auto folded = explain(trace_key(register_policy("PCR0", upper(kPcr)), document("PCR0", other)));
  EXPECT_THAT(folded, Contains("  1 of 96 digits differs")) << "case is not marked where it does not matter";
}

TEST(Explain, TellsWhichPartOfTheImageChanged) {
  const std::string condition = fmt::format(
      R"(,"Condition":{{"StringEqualsIgnoreCase":{{"kms:RecipientAttestation:PCR0":"{0}","kms:RecipientAttestation:PCR1":"{1}","kms:RecipientAttestation:PCR2":"{0}"}}}})",
      kPcr, std::string(96, 'e'));
  const auto lines = explain(trace_key(key_policy(allow(kRole, "kms:Decrypt", condition)), document("PCR0", std::string(96, 'a'))));
  EXPECT_THAT(lines, Contains("PCR1 is the same: kernel, command line and boot ramdisk are unchanged."));
  EXPECT_THAT(lines, Contains("PCR2 differs: the application changed."));
}

TEST(Explain, SaysSomethingForEveryCause) {
  for (int i = static_cast<int>(Cause::kDebugEnclave); i <= static_cast<int>(Cause::kKeyState); ++i) {
    const auto cause = static_cast<Cause>(i);
    const auto lines = explain(trace_of(cause, "detail", "arn:p", "kms:Decrypt", "arn:k"));
    ASSERT_GE(lines.size(), 4u);
    EXPECT_EQ(lines[0], "kms:Decrypt on arn:k was denied to arn:p.");
    EXPECT_GT(lines[1].size(), 12u) << to_string(cause);
    EXPECT_EQ(parse_cause(to_string(cause)), cause);
  }
}

TEST(TraceJson, RoundTrips) {
  std::string other = kPcr;
  other[5] = '1';
  for (const auto& context : {document("PCR0", other), document("PCR0", std::string(96, '0')), RequestContext()}) {
    const Trace before = trace_key(register_policy("PCR0", kPcr), context);
    const json::Value encoded = to_json(before);
    const auto parsed = json::parse(json::encode(encoded));
    ASSERT_THAT(parsed, IsOk());
    const auto after = trace_from_json(*parsed);
    ASSERT_THAT(after, IsOk());
    EXPECT_EQ(json::encode(to_json(*after)), json::encode(encoded));
    EXPECT_EQ(explain(*after), explain(before));
  }
  EXPECT_THAT(trace_from_json(json::Value(1)), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(trace_from_json(json::Object{{"decision", "Perhaps"}}), IsError(ErrorCode::kMalformed, HasSubstr("decision")));
}

TEST(Trace, KeepsTheClosestOfManyStatements) {
  std::string statements;
  for (int i = 0; i < 200; ++i) statements += allow("arn:aws:iam::111122223333:role/x", "kms:Encrypt") + ",";
  statements += allow(kRole, "kms:Decrypt", R"(,"Condition":{"Bool":{"aws:SecureTransport":"true"}})");
  const Trace got = trace_key(key_policy(statements), {});
  ASSERT_EQ(got.policies.size(), 1u);
  EXPECT_EQ(got.policies[0].statements.size(), kTraceStatements);
  EXPECT_EQ(got.policies[0].omitted, 201 - kTraceStatements);
  EXPECT_EQ(got.policies[0].statements[got.culprit->second].index, 200u);
}

// ---- Laws

std::string random_statement() {
  const auto effect = *rc::gen::element<std::string>("Allow", "Allow", "Deny");
  const auto principal = *rc::gen::element<std::string>(R"({"AWS":"111122223333"})", R"("*")",
                                                        R"({"AWS":"arn:aws:iam::111122223333:role/parent"})",
                                                        R"({"AWS":"arn:aws:iam::111122223333:user/alice"})");
  const auto sense = *rc::gen::element<std::string>("Action", "Action", "NotAction");
  const auto action = *rc::gen::element<std::string>("kms:Decrypt", "kms:*", "kms:Encrypt", "*");
  const auto condition = *rc::gen::element<std::string>(
      "", "", R"(,"Condition":{"StringEquals":{"k:a":["1","2"]}})", R"(,"Condition":{"StringNotEquals":{"k:a":"1"}})",
      R"(,"Condition":{"StringEqualsIfExists":{"k:b":"1"}})", R"(,"Condition":{"Null":{"k:a":"true"}})");
  return fmt::format(R"({{"Effect":"{}","Principal":{},"{}":"{}","Resource":"*"{}}})", effect, principal, sense, action, condition);
}

std::string join(const std::vector<std::string>& statements) {
  std::string out;
  for (const std::string& statement : statements) out += (out.empty() ? "" : ",") + statement;
  return out;
}

struct Scene {
  Caller caller;
  RequestContext context;
  std::vector<std::string> statements;
};

Scene random_scene() {
  Scene out;
  out.caller = *rc::gen::element(0, 1) == 0 ? session() : alice();
  if (*rc::gen::element(0, 1) == 0) out.caller.identity_policies.push_back(identity_policy(kIdentityAllow));
  if (*rc::gen::element(0, 1) == 0) out.context.set("k:a", *rc::gen::element<std::string>("1", "2", "3"));
  const auto count = *rc::gen::inRange(1, 6);
  for (int i = 0; i < count; ++i) out.statements.push_back(random_statement());
  return out;
}

Outcome outcome(const Scene& scene, const std::vector<std::string>& statements) {
  return decide_key(scene.caller, key_policy(join(statements)), "kms:Decrypt", scene.context).outcome;
}

RC_GTEST_PROP(DecisionLaw, DenyAlwaysWins, ()) {
  const Scene scene = random_scene();
  auto statements = scene.statements;
  statements.insert(statements.begin() + *rc::gen::inRange<std::ptrdiff_t>(0, static_cast<std::ptrdiff_t>(statements.size()) + 1), deny("*", "kms:Decrypt"));
  RC_ASSERT(outcome(scene, statements) == Outcome::kExplicitlyDenied);
}

RC_GTEST_PROP(DecisionLaw, OrderOfStatementsNeverMatters, ()) {
  const Scene scene = random_scene();
  auto reversed = scene.statements;
  std::reverse(reversed.begin(), reversed.end());
  RC_ASSERT(outcome(scene, reversed) == outcome(scene, scene.statements));
}

RC_GTEST_PROP(DecisionLaw, AddingAnAllowNeverRemovesAccess, ()) {
  const Scene scene = random_scene();
  auto more = scene.statements;
  std::string added = random_statement();
  RC_PRE(added.find("\"Deny\"") == std::string::npos);
  more.push_back(added);
  RC_ASSERT(outcome(scene, scene.statements) != Outcome::kAllowed || outcome(scene, more) == Outcome::kAllowed);
}

RC_GTEST_PROP(DecisionLaw, AddingADenyNeverGrants, ()) {
  const Scene scene = random_scene();
  auto more = scene.statements;
  std::string added = random_statement();
  RC_PRE(added.find("\"Deny\"") != std::string::npos);
  more.push_back(added);
  RC_ASSERT(outcome(scene, more) != Outcome::kAllowed || outcome(scene, scene.statements) == Outcome::kAllowed);
}

RC_GTEST_PROP(DecisionLaw, TheTraceAgreesAndIsJson, ()) {
  const Scene scene = random_scene();
  const Trace got = trace_key(key_policy(join(scene.statements)), scene.context, scene.caller);
  RC_ASSERT((got.outcome == Outcome::kAllowed) == (got.cause == Cause::kNone));
  const auto again = trace_from_json(to_json(got));
  RC_ASSERT(again.ok());
  RC_ASSERT(explain(*again) == explain(got));
}

}  // namespace
}  // namespace casemate::iam
