// SPDX-License-Identifier: Apache-2.0
// Policy documents: parse, decide, trace. An accepted document decides the same with and without its trace, and the
// trace survives its JSON form.
#include <cstdint>
#include <cstdlib>

#include "iam/evaluate.h"
#include "iam/trace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace casemate;
  using namespace casemate::iam;
  const std::string_view text = as_text({data, size});
  for (const PolicyType type : {PolicyType::kResource, PolicyType::kIdentity, PolicyType::kTrust}) {
    auto parsed = parse_policy(text, type);
    if (!parsed) continue;
    const NamedPolicy named{"fuzz", parsed.take()};
    Caller caller;
    caller.principal = assumed_role("111122223333", "/", "parent", "AROAEXAMPLE", "i-1");
    if (type == PolicyType::kIdentity) caller.identity_policies.push_back(named);
    RequestContext context;
    add_caller_keys(context, caller);
    context.set("kms:RecipientAttestation:PCR0", std::string(96, 'a'));
    context.set_list("kms:EncryptionContextKeys", {"a", "b"});
    context.set("aws:SourceIp", "192.0.2.1");
    context.set_number("aws:EpochTime", 1'769'817'600);
    AuthorizationRequest request{caller, "kms:Decrypt", "arn:aws:kms:us-east-1:111122223333:key/1", "111122223333", context};
    if (type != PolicyType::kIdentity) request.resource_policy = &named;
    const Decision decision = decide(request);
    const Trace traced = trace(request);
    if (traced.outcome != decision.outcome) std::abort();
    const auto again = trace_from_json(to_json(traced));
    if (!again || explain(*again) != explain(traced)) std::abort();
  }
  return 0;
}
