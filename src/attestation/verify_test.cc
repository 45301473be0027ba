// SPDX-License-Identifier: Apache-2.0
#include "attestation/verify.h"

#include <functional>

#include "attestation/hierarchy.h"
#include "attestation/test_lab.h"
#include "base/encoding.h"
#include "base/test_matchers.h"
#include "cose/sign1.h"
#include "crypto/rng.h"
#include "x509/issue.h"

namespace casemate::attestation {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using testing::HasSubstr;

constexpr WallTime kNow = Lab::kNow;
constexpr std::int64_t kNowSeconds = Lab::kNowSeconds;

Bytes of_hex(std::string_view text) { return decode_hex(text).take(); }

testing::AssertionResult refused(Lab& lab, std::string_view text, ErrorCode code = ErrorCode::kUntrusted) {
  const auto verified = lab.verify_now();
  if (verified.ok()) return testing::AssertionFailure() << "verified";
  if (verified.error().code() == code && verified.error().message().find(text) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << verified.error().message();
}

TEST(Verify, AcceptsAChainOfTheProfile) {
  for (const std::size_t authorities : {1U, 2U, 4U, 8U}) {
    Lab lab(authorities);
    const auto verified = lab.verify_now();
    ASSERT_THAT(verified, IsOk()) << authorities;
    EXPECT_EQ(verified->anchor(), "lab");
  }
}

TEST(Verify, AcceptsTag18) {
  Lab lab;
  lab.issue();
  std::vector<Bytes> bundle;
  for (std::size_t i = 0; i < 4; ++i) bundle.push_back(lab.nodes[i].certificate);
  lab.statement.timestamp = kNow;
  lab.statement.module_id = "m";
  const Bytes input = cose::sign1(encode_document(lab.statement, lab.nodes[4].certificate, bundle), lab.nodes[4].key, lab.rng, cose::Tagging::kTagged);
  EXPECT_THAT(verify(input, lab.anchors(), Policy::at_time(kNow)), IsOk());
}

TEST(Verify, TrustsNothingByDefault) {
  Lab lab;
  const Bytes input = lab.document();
  const std::string fingerprint = encode_hex(crypto::sha256(lab.nodes[0].certificate));
  EXPECT_THAT(verify(input, TrustAnchors(), Policy::at_time(kNow)), IsError(ErrorCode::kUntrusted, HasSubstr(fingerprint + ", want a trust anchor (none)")));
  EXPECT_THAT(verify(input, TrustAnchors::aws(), Policy::at_time(kNow)), IsError(ErrorCode::kUntrusted, HasSubstr("(aws)")));
}

TEST(Verify, RejectsAChainOutOfOrder) {
  Lab lab;
  lab.issue();
  EXPECT_THAT(verify(lab.document_with({lab.nodes[0].certificate, lab.nodes[2].certificate, lab.nodes[1].certificate, lab.nodes[3].certificate}),
                     lab.anchors(), Policy::at_time(kNow)), IsError(ErrorCode::kUntrusted));
  EXPECT_THAT(verify(lab.document_with({lab.nodes[3].certificate, lab.nodes[2].certificate, lab.nodes[1].certificate, lab.nodes[0].certificate}),
                     lab.anchors(), Policy::at_time(kNow)), IsError(ErrorCode::kUntrusted, HasSubstr("root")));
}

TEST(Verify, RejectsALoop) {
  Lab lab;
  lab.issue();
  const auto& n = lab.nodes;
  EXPECT_THAT(verify(lab.document_with({n[0].certificate, n[1].certificate, n[2].certificate, n[1].certificate, n[2].certificate, n[3].certificate}),
                     lab.anchors(), Policy::at_time(kNow)), IsError(ErrorCode::kUntrusted));
  EXPECT_THAT(verify(lab.document_with({n[0].certificate, n[0].certificate, n[1].certificate, n[2].certificate, n[3].certificate}), lab.anchors(),
                     Policy::at_time(kNow)), IsError(ErrorCode::kUntrusted));
}

TEST(Verify, RejectsAnExtraOrAMissingCertificate) {
  Lab lab;
  lab.issue();
  Lab other;
  other.issue();
  const auto& n = lab.nodes;
  for (std::size_t at = 1; at <= 4; ++at) {
    std::vector<Bytes> bundle = {n[0].certificate, n[1].certificate, n[2].certificate, n[3].certificate};
    bundle.insert(bundle.begin() + static_cast<std::ptrdiff_t>(at), other.nodes[2].certificate);
    EXPECT_THAT(verify(lab.document_with(bundle), lab.anchors(), Policy::at_time(kNow)), IsError(ErrorCode::kUntrusted));
  }
  EXPECT_THAT(verify(lab.document_with({n[0].certificate, n[1].certificate, n[3].certificate}), lab.anchors(), Policy::at_time(kNow)),
              IsError(ErrorCode::kUntrusted, HasSubstr("cabundle[2]: issuer: C=US,CN=level 2, want the subject of cabundle[1]")));
}

TEST(Verify, RejectsAnotherCurve) {
  for (const std::size_t level : {1U, 3U, 4U}) {
    Lab lab;
    lab.nodes[level].key = crypto::EcPrivateKey::generate(crypto::Curve::kP256, lab.rng);
    lab.link();
    // A leaf on P-256 also makes the document ES256.
    EXPECT_TRUE(refused(lab, level == 4 ? "ES256, want ES384" : "profile: public key: P-256, want P-384", level == 4 ? ErrorCode::kUnsupported : ErrorCode::kUntrusted)) << level;
  }
}

TEST(Verify, RejectsAKeyThatIsNotOnP384) {
  Lab lab;
  lab.nodes[4].fields.public_key = crypto::EcPrivateKey::generate(crypto::Curve::kP256, lab.rng).public_key().spki_der();
  EXPECT_TRUE(refused(lab, "certificate: profile: public key: P-256, want P-384"));
  // An RSA SubjectPublicKeyInfo (cut short; its form is what counts).
  lab.nodes[4].fields.public_key = of_hex("301a300d06092a864886f70d0101010500030900300602010f020103");
  EXPECT_TRUE(refused(lab, "no SubjectPublicKeyInfo"));
}

TEST(Verify, RejectsAnotherSignatureAlgorithm) {
  Lab lab;
  lab.issue();
  // ecdsa-with-SHA256 in place of SHA384, in both places.
  Bytes& certificate = lab.nodes[2].certificate;
  const Bytes sha384 = of_hex("06082a8648ce3d040303");
  for (auto at = std::search(certificate.begin(), certificate.end(), sha384.begin(), sha384.end()); at != certificate.end();
       at = std::search(at, certificate.end(), sha384.begin(), sha384.end())) {
    at[9] = 2;
  }
  EXPECT_THAT(verify(lab.signed_document(), lab.anchors(), Policy::at_time(kNow)),
              IsError(ErrorCode::kUntrusted, HasSubstr("cabundle[2]: profile: signature algorithm: 1.2.840.10045.4.3.2")));
}

TEST(Verify, RejectsCaFalseInTheMiddle) {
  Lab lab;
  lab.nodes[2].fields.basic_constraints = x509::Certificate::BasicConstraints{true, false, std::nullopt};
  EXPECT_TRUE(refused(lab, "cabundle[2]: profile: basicConstraints: CA false, want true"));
  lab.nodes[2].fields.basic_constraints.reset();
  EXPECT_TRUE(refused(lab, "cabundle[2]: profile: basicConstraints: missing"));
  lab.nodes[2].fields.basic_constraints = x509::Certificate::BasicConstraints{false, true, 1};
  EXPECT_TRUE(refused(lab, "cabundle[2]: profile: basicConstraints: not critical"));
}

TEST(Verify, RejectsAPathLengthExceeded) {
  Lab lab;
  lab.nodes[1].fields.basic_constraints->path_length = 1;
  EXPECT_TRUE(refused(lab, "cabundle[1]: profile: basicConstraints: path length 1 exceeded, 2 authorities below"));
  lab.nodes[1].fields.basic_constraints->path_length.reset();
  EXPECT_TRUE(refused(lab, "no path length"));
  Lab rooted;
  rooted.nodes[0].fields.basic_constraints->path_length = 2;
  EXPECT_TRUE(refused(rooted, "cabundle[0]: profile: basicConstraints: path length 2 exceeded, 3 authorities below"));
}

TEST(Verify, RejectsAnAuthorityThatMayNotSign) {
  Lab lab;
  lab.nodes[3].fields.key_usage = x509::Certificate::KeyUsages{true, x509::kDigitalSignature};
  EXPECT_TRUE(refused(lab, "cabundle[3]: profile: keyUsage: 0x001, want keyCertSign"));
  lab.nodes[3].fields.key_usage = x509::Certificate::KeyUsages{false, x509::kKeyCertSign};
  EXPECT_TRUE(refused(lab, "keyUsage: not critical"));
  lab.nodes[3].fields.key_usage.reset();
  EXPECT_TRUE(refused(lab, "keyUsage: missing"));
}

TEST(Verify, RejectsALeafThatIsAnAuthority) {
  Lab lab;
  lab.nodes[4].fields.basic_constraints = x509::Certificate::BasicConstraints{true, true, std::nullopt};
  EXPECT_TRUE(refused(lab, "certificate: profile: basicConstraints: CA true, want false"));
  lab.nodes[4].fields.basic_constraints = x509::Certificate::BasicConstraints{true, false, 0};
  EXPECT_TRUE(refused(lab, "a path length, want none"));
  lab.nodes[4].fields.basic_constraints.reset();
  EXPECT_TRUE(refused(lab, "certificate: profile: basicConstraints: missing"));
  lab.nodes[4].fields.basic_constraints = x509::Certificate::BasicConstraints{true, false, std::nullopt};
  lab.nodes[4].fields.key_usage->bits = x509::kDigitalSignature | x509::kKeyCertSign;
  EXPECT_TRUE(refused(lab, "keyUsage: keyCertSign, want none"));
  lab.nodes[4].fields.key_usage->bits = x509::kNonRepudiation;
  EXPECT_TRUE(refused(lab, "want digitalSignature"));
}

TEST(Verify, RejectsALinkOutsideItsTime) {
  for (std::size_t level = 0; level < 5; ++level) {
    const std::string name = level == 4 ? "certificate" : fmt::format("cabundle[{}]", level);
    Lab lab;
    lab.nodes[level].fields.not_after = kNowSeconds - 1;
    EXPECT_TRUE(refused(lab, name + ": validity")) << level;
    lab.nodes[level].fields.not_after = kNowSeconds;
    EXPECT_THAT(lab.verify_now(), IsOk());
    lab.nodes[level].fields.not_before = kNowSeconds + 1;
    lab.nodes[level].fields.not_after = kNowSeconds + 10;
    EXPECT_TRUE(refused(lab, name + ": validity")) << level;
    lab.nodes[level].fields.not_before = kNowSeconds;
    EXPECT_THAT(lab.verify_now(), IsOk());
  }
}

TEST(Verify, RejectsALinkSignedByAnother) {
  for (std::size_t level = 1; level < 5; ++level) {
    Lab lab;
    Lab other;
    lab.issue();
    other.issue();
    lab.nodes[level].certificate = x509::issue_certificate(lab.nodes[level].fields, other.nodes[level - 1].key, lab.rng);
    EXPECT_THAT(verify(lab.signed_document(), lab.anchors(), Policy::at_time(kNow)), IsError(ErrorCode::kUntrusted, HasSubstr("signature does not verify"))) << level;
  }
}

TEST(Verify, RejectsAuthorityKeyIdsThatDiffer) {
  Lab lab;
  lab.nodes[2].fields.subject_key_id = Bytes(20, 1);
  lab.nodes[3].fields.authority_key_id = Bytes(20, 1);
  EXPECT_THAT(lab.verify_now(), IsOk());
  lab.nodes[3].fields.authority_key_id = Bytes(20, 2);
  EXPECT_TRUE(refused(lab, "cabundle[3]: authority key identifier"));
}

TEST(Verify, RejectsASignatureOfHalvesOutOfRange) {
  Lab lab;
  const Bytes good = lab.document();
  const Bytes order = of_hex("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973");
  for (const Bytes& half : {Bytes(48), order, Bytes(48, 0xff)}) {
    for (const std::size_t back : {96U, 48U}) {
      Bytes bad = good;
      std::copy(half.begin(), half.end(), bad.end() - static_cast<std::ptrdiff_t>(back));
      EXPECT_THAT(verify(bad, lab.anchors(), Policy::at_time(kNow)), IsError(ErrorCode::kUntrusted, HasSubstr("signature")));
    }
  }
}

TEST(Verify, RejectsARootThatIsNotSelfSigned) {
  Lab lab;
  lab.issue();
  TrustAnchors anchors;
  EXPECT_THAT(anchors.add_pem("middle", x509::certificate_pem(lab.nodes[1].certificate)), IsError(ErrorCode::kUntrusted, HasSubstr("self-signed")));
  // The right names, another key.
  Lab other;
  const Bytes forged = x509::issue_certificate(lab.nodes[0].fields, other.nodes[0].key, lab.rng);
  EXPECT_THAT(anchors.add_pem("forged", x509::certificate_pem(forged)), IsError(ErrorCode::kUntrusted, HasSubstr("does not verify")));
  EXPECT_THAT(anchors.add_pem("leaf", x509::certificate_pem(lab.nodes[4].certificate)), IsError(ErrorCode::kUntrusted));
  EXPECT_THAT(anchors.add_pem("none", ""), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(anchors.add_pem("two", x509::certificate_pem(lab.nodes[0].certificate) + x509::certificate_pem(lab.nodes[0].certificate)),
              IsError(ErrorCode::kMalformed, HasSubstr("2 certificates")));
  EXPECT_TRUE(anchors.list().empty());
}

TEST(Verify, RejectsOversizedInputAtOnce) {
  EXPECT_THAT(verify(Bytes(1 << 20), TrustAnchors::aws(), Policy::at_time(kNow)), IsError(ErrorCode::kLimit, HasSubstr("1048576 bytes")));
}

TEST(VerifyPolicy, CountsFreshness) {
  Lab lab;
  const Bytes input = lab.document();
  const TrustAnchors anchors = lab.anchors();
  Policy policy = Policy::at_time(kNow + minutes(5));
  policy.max_age = minutes(5);
  EXPECT_THAT(verify(input, anchors, policy), IsOk());
  policy.at = kNow + minutes(5) + milliseconds(1);
  EXPECT_THAT(verify(input, anchors, policy), IsError(ErrorCode::kUntrusted, HasSubstr("age: 300001 ms, want at most 300000 ms")));
  policy.at = kNow - minutes(5);
  EXPECT_THAT(verify(input, anchors, policy), IsOk());
  policy.at = kNow - minutes(5) - milliseconds(1);
  EXPECT_THAT(verify(input, anchors, policy), IsError(ErrorCode::kUntrusted, HasSubstr("timestamp: 2025-12-06T05:46:40.123Z, want at most")));
  EXPECT_THAT(verify(input, anchors, Policy::at_document_time()), IsOk());
}

TEST(VerifyPolicy, RefusesDebugUnlessAllowed) {
  Lab lab;
  for (std::size_t i = 0; i < 3; ++i) lab.statement.pcrs[i].value = Bytes(48);
  EXPECT_TRUE(refused(lab, "debug mode: yes", ErrorCode::kDenied));
  Policy policy = Policy::at_time(kNow);
  policy.allow_debug = AllowDebug::kYes;
  const auto verified = lab.verify_now(policy);
  ASSERT_THAT(verified, IsOk());
  EXPECT_TRUE(verified->is_debug());
}

TEST(VerifyPolicy, ComparesFieldsAndPcrs) {
  Lab lab;
  const Bytes nonce = {1, 2, 3};
  lab.statement.nonce = nonce;
  Policy policy = Policy::at_time(kNow);
  policy.nonce = nonce;
  EXPECT_THAT(lab.verify_now(policy), IsOk());
  policy.nonce = Bytes{1, 2, 4};
  EXPECT_THAT(lab.verify_now(policy), IsError(ErrorCode::kDenied, HasSubstr("nonce: 010203, want 010204")));
  policy.nonce.reset();
  policy.user_data = Bytes{};
  EXPECT_THAT(lab.verify_now(policy), IsError(ErrorCode::kDenied, HasSubstr("user_data: absent, want empty")));
  policy.user_data.reset();
  policy.pcrs[0] = {Bytes(48, 9), Bytes(48, 1)};
  EXPECT_THAT(lab.verify_now(policy), IsOk());
  policy.pcrs[0] = {Bytes(48, 9)};
  EXPECT_THAT(lab.verify_now(policy), IsError(ErrorCode::kDenied, HasSubstr("PCR0: 0101")));
  policy.pcrs.clear();
  policy.pcrs[8] = {Bytes(48)};
  EXPECT_THAT(lab.verify_now(policy), IsError(ErrorCode::kDenied, HasSubstr("PCR8: absent")));
  policy.pcrs = {{0, {}}};
  EXPECT_THAT(lab.verify_now(policy), IsError(ErrorCode::kDenied, HasSubstr("empty list")));
}

TEST(ChainCache, ServesTheSecondDocumentOfAnEnclave) {
  Lab lab;
  ChainCache cache;
  const Bytes first = lab.document();
  const TrustAnchors anchors = lab.anchors();
  EXPECT_THAT(verify(first, anchors, Policy::at_time(kNow), &cache), IsOk());
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(cache.hits(), 0U);
  EXPECT_THAT(verify(lab.signed_document(), anchors, Policy::at_time(kNow), &cache), IsOk());
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(cache.hits(), 1U);
}

TEST(ChainCache, KnowsTheHostOfAnotherEnclave) {
  Lab lab;
  ChainCache cache;
  const Bytes first = lab.document();
  const TrustAnchors anchors = lab.anchors();
  ASSERT_THAT(verify(first, anchors, Policy::at_time(kNow), &cache), IsOk());
  lab.nodes[4].key = crypto::EcPrivateKey::generate(crypto::Curve::kP384, lab.rng);
  lab.link();
  const auto leaf_by = [&lab](const crypto::EcPrivateKey& key) {
    lab.nodes[4].certificate = x509::issue_certificate(lab.nodes[4].fields, key, lab.rng);
    return lab.signed_document();
  };
  EXPECT_THAT(verify(leaf_by(lab.nodes[3].key), anchors, Policy::at_time(kNow), &cache), IsOk());
  EXPECT_EQ(cache.size(), 3U);
  EXPECT_EQ(cache.hits(), 0U);
  // The leaf itself is checked in full: its signature, its names, its profile, its time.
  const auto fields = lab.nodes[4].fields;
  EXPECT_THAT(verify(leaf_by(lab.nodes[2].key), anchors, Policy::at_time(kNow), &cache), IsError(ErrorCode::kUntrusted, HasSubstr("certificate: signature")));
  lab.nodes[4].fields.issuer = lab.nodes[2].fields.subject;
  EXPECT_THAT(verify(leaf_by(lab.nodes[3].key), anchors, Policy::at_time(kNow), &cache),
              IsError(ErrorCode::kUntrusted, HasSubstr("certificate: issuer: C=US,CN=level 2, want the subject of cabundle[3], C=US,CN=level 3")));
  lab.nodes[4].fields = fields;
  lab.nodes[4].fields.basic_constraints->ca = true;
  EXPECT_THAT(verify(leaf_by(lab.nodes[3].key), anchors, Policy::at_time(kNow), &cache), IsError(ErrorCode::kUntrusted, HasSubstr("certificate: profile")));
  lab.nodes[4].fields = fields;
  lab.nodes[4].fields.not_after = kNowSeconds - 1;
  EXPECT_THAT(verify(leaf_by(lab.nodes[3].key), anchors, Policy::at_time(kNow), &cache), IsError(ErrorCode::kUntrusted, HasSubstr("certificate: validity")));
  lab.nodes[4].fields = fields;
  // And the host's part of the chain in time.
  EXPECT_THAT(verify(leaf_by(lab.nodes[3].key), anchors, Policy::at_time(kNow + hours(2)), &cache), IsError(ErrorCode::kUntrusted, HasSubstr("certificate chain: valid")));
  EXPECT_EQ(cache.size(), 3U);
}

TEST(ChainCache, KeepsIssuersAndWholeChainsApart) {
  // The bundle of the second document is the whole chain of the first: under one kind of key it would be taken for known.
  Lab lab(3);
  ChainCache cache;
  for (const std::size_t level : {1U, 2U}) lab.nodes[level].fields.basic_constraints->path_length = 5;
  const Bytes first = lab.document();
  const TrustAnchors anchors = lab.anchors();
  ASSERT_THAT(verify(first, anchors, Policy::at_time(kNow), &cache), IsOk());
  const auto& n = lab.nodes;
  auto fields = n[3].fields;
  fields.issuer = n[3].fields.subject;
  Lab below(1);
  below.nodes[1].certificate = x509::issue_certificate(fields, n[3].key, lab.rng);
  EXPECT_THAT(verify(below.document_with({n[0].certificate, n[1].certificate, n[2].certificate, n[3].certificate}), anchors, Policy::at_time(kNow), &cache),
              IsError(ErrorCode::kUntrusted, HasSubstr("cabundle[3]: profile: basicConstraints: CA false")));
}

TEST(ChainCache, StillChecksTimeSignatureAndAnchor) {
  Lab lab;
  ChainCache cache;
  const Bytes good = lab.document();
  const TrustAnchors anchors = lab.anchors();
  ASSERT_THAT(verify(good, anchors, Policy::at_time(kNow), &cache), IsOk());
  EXPECT_THAT(verify(good, anchors, Policy::at_time(kNow + hours(2)), &cache), IsError(ErrorCode::kUntrusted, HasSubstr("certificate chain: valid")));
  EXPECT_THAT(verify(good, anchors, Policy::at_time(kNow - hours(2)), &cache), IsError(ErrorCode::kUntrusted));
  EXPECT_THAT(verify(good, TrustAnchors::aws(), Policy::at_time(kNow), &cache), IsError(ErrorCode::kUntrusted, HasSubstr("root")));
  Bytes bad = good;
  bad.back() ^= 1;
  EXPECT_THAT(verify(bad, anchors, Policy::at_time(kNow), &cache), IsError(ErrorCode::kUntrusted, HasSubstr("signature")));
}

TEST(ChainCache, IsNotPoisonedByAChainThatFailed) {
  Lab lab;
  lab.nodes[2].fields.not_after = kNowSeconds - 10;
  ChainCache cache;
  const Bytes expired = lab.document();
  EXPECT_THAT(verify(expired, lab.anchors(), Policy::at_time(kNow), &cache), IsError(ErrorCode::kUntrusted));
  EXPECT_EQ(cache.size(), 0U);
  // A chain that only another verifier trusts.
  Lab stranger;
  EXPECT_THAT(verify(stranger.document(), lab.anchors(), Policy::at_time(kNow), &cache), IsError(ErrorCode::kUntrusted));
  // A good chain with one signature bit turned in the middle.
  Lab forged;
  forged.issue();
  forged.nodes[2].certificate.back() ^= 1;
  EXPECT_THAT(verify(forged.signed_document(), forged.anchors(), Policy::at_time(kNow), &cache), IsError(ErrorCode::kUntrusted));
  EXPECT_EQ(cache.size(), 0U);
}

TEST(ChainCache, IsBounded) {
  ChainCache cache(2);
  std::vector<std::unique_ptr<Lab>> labs;
  for (int i = 0; i < 4; ++i) {
    labs.push_back(std::make_unique<Lab>(1));
    const Bytes input = labs.back()->document();
    EXPECT_THAT(verify(input, labs.back()->anchors(), Policy::at_time(kNow), &cache), IsOk());
  }
  EXPECT_EQ(cache.size(), 2U);
}

TEST(Examine, ListsEveryCheckAndAgreesWithVerify) {
  Lab lab;
  const Bytes input = lab.document();
  const Report report = examine(input, lab.anchors(), Policy::at_time(kNow));
  EXPECT_TRUE(report.verified.has_value());
  for (const Check& check : report.checks) EXPECT_EQ(check.verdict, Check::Verdict::kPass) << check.name;
  EXPECT_GE(report.checks.size(), 20U);
}

TEST(Examine, GoesOnAfterAFailure) {
  Lab lab;
  const Bytes input = lab.document();
  Policy policy = Policy::at_time(kNow + hours(5));
  policy.nonce = Bytes{1};
  const Report report = examine(input, TrustAnchors::aws(), policy);
  EXPECT_FALSE(report.verified.has_value());
  EXPECT_TRUE(report.document.has_value());
  std::vector<std::string> failed;
  for (const Check& check : report.checks) {
    if (check.verdict == Check::Verdict::kFail) failed.push_back(check.name);
  }
  EXPECT_THAT(failed, testing::IsSupersetOf({"root", "certificate: validity", "cabundle[0]: validity", "nonce"}));
  EXPECT_THAT(failed, testing::Not(testing::Contains("signature")));
}

TEST(Examine, AnIncompleteReportVerifiesNothing) {
  const Report report = examine(Bytes{1}, TrustAnchors::aws(), Policy::at_time(kNow));
  EXPECT_FALSE(report.verified.has_value());
  ASSERT_EQ(report.checks.size(), 1U);
  EXPECT_EQ(report.checks[0].verdict, Check::Verdict::kFail);
}

class LocalHierarchy : public testing::Test {
 protected:
  const std::string module_id_ = "i-0123456789abcdef0-enc019b54988b2d89ba";
  crypto::SystemRng rng_;
  Hierarchy hierarchy_ = Hierarchy::create({}, kNow, rng_);

  Result<VerifiedDocument> attest(WallTime now) {
    const Signer signer = TRY(hierarchy_.issue_leaf(module_id_, now, rng_));
    Statement statement{module_id_, now, {{0, Bytes(48, 1)}}, {}, {}, {}};
    TrustAnchors anchors;
    TRY(anchors.add_pem("local", hierarchy_.root_pem()));
    return verify(create(statement, signer, rng_), anchors, Policy::at_time(now));
  }
};

TEST_F(LocalHierarchy, HasTheShapeOfNitros) {
  const auto root = x509::parse_certificate(hierarchy_.authority(Level::kRoot).certificate).take();
  const auto regional = x509::parse_certificate(hierarchy_.authority(Level::kRegional).certificate).take();
  const auto zonal = x509::parse_certificate(hierarchy_.authority(Level::kZonal).certificate).take();
  const auto instance = x509::parse_certificate(hierarchy_.authority(Level::kInstance).certificate).take();
  EXPECT_EQ(x509::name_text(root.subject), "C=US,O=casemate,OU=local,CN=casemate.nitro-enclaves");
  EXPECT_THAT(x509::name_text(regional.subject), testing::MatchesRegex("C=US,O=casemate,OU=local,CN=[0-9a-f]{16}\\.us-east-1\\.casemate\\.nitro-enclaves"));
  EXPECT_THAT(x509::name_text(zonal.subject), testing::MatchesRegex("CN=[0-9a-f]{16}\\.zonal\\.us-east-1\\.casemate\\.nitro-enclaves,OU=local,O=casemate,C=US,ST=WA,L=Seattle"));
  EXPECT_EQ(x509::name_text(instance.subject), "C=US,ST=Washington,L=Seattle,O=casemate,OU=local,CN=i-0123456789abcdef0.us-east-1.casemate.nitro-enclaves");
  EXPECT_EQ(regional.basic_constraints->path_length, 2U);
  EXPECT_EQ(zonal.basic_constraints->path_length, 1U);
  EXPECT_EQ(instance.basic_constraints->path_length, 0U);
  EXPECT_FALSE(root.basic_constraints->path_length.has_value());
  EXPECT_EQ(instance.key_usage->bits, x509::kKeyCertSign);
  EXPECT_EQ(regional.not_after - regional.not_before, 20 * 86400 + 3600);
  EXPECT_EQ(instance.not_after - instance.not_before, 86400);
  EXPECT_GE(zonal.not_after - zonal.not_before, 133 * 3600);
  EXPECT_LE(zonal.not_after - zonal.not_before, 145 * 3600);
  EXPECT_EQ(instance.serial.size(), 20U);
}

TEST_F(LocalHierarchy, IssuesLeavesOfTheShapeOfNitros) {
  const Signer signer = hierarchy_.issue_leaf(module_id_, kNow, rng_).take();
  const auto leaf = x509::parse_certificate(signer.certificate).take();
  EXPECT_EQ(encode_hex(leaf.serial), "019b54988b2d89ba" "000000006933c340");
  EXPECT_EQ(x509::common_name(leaf.subject), module_id_ + ".us-east-1.casemate");
  EXPECT_EQ(leaf.not_after - leaf.not_before, 3 * 3600 + 3);
  EXPECT_EQ(leaf.key_usage->bits, x509::kDigitalSignature | x509::kNonRepudiation);
  EXPECT_FALSE(leaf.key_usage->critical);
  EXPECT_TRUE(leaf.basic_constraints->critical);
  EXPECT_FALSE(leaf.subject_key_id.has_value() || leaf.authority_key_id.has_value());
  EXPECT_EQ(signer.cabundle.size(), 4U);
  EXPECT_GE(signer.certificate.size(), 600U);
  EXPECT_LE(signer.certificate.size(), 700U);
}

TEST_F(LocalHierarchy, RotatesWhatWouldNotOutliveItsUse) {
  EXPECT_THAT(attest(kNow), IsOk());
  EXPECT_TRUE(hierarchy_.rotate(kNow, rng_).empty());
  EXPECT_TRUE(hierarchy_.rotate(kNow + hours(12), rng_).empty());
  const Bytes root = hierarchy_.authority(Level::kRoot).certificate;
  for (int day = 0; day < 60; ++day) {
    const WallTime now = kNow + hours(day * 23);
    hierarchy_.rotate(now, rng_);
    EXPECT_THAT(attest(now), IsOk()) << day;
    EXPECT_THAT(attest(now + hours(3)), IsOk()) << day;
  }
  EXPECT_EQ(hierarchy_.authority(Level::kRoot).certificate, root);
}

TEST_F(LocalHierarchy, RefusesALeafUnderAnExpiredInstance) {
  EXPECT_THAT(hierarchy_.issue_leaf(module_id_, kNow + hours(25), rng_), IsError(ErrorCode::kUntrusted, HasSubstr("rotated")));
  EXPECT_THAT(hierarchy_.issue_leaf("i-1", kNow, rng_), IsError(ErrorCode::kMalformed, HasSubstr("module_id")));
}

TEST_F(LocalHierarchy, SurvivesStorageAndRenamesItself) {
  const auto parts = [this] {
    std::vector<Hierarchy::Part> out;
    for (const Level level : kLevels) out.push_back({hierarchy_.authority(level).certificate, hierarchy_.authority(level).key.clone()});
    return out;
  };
  auto same = Hierarchy::from_parts({}, parts());
  ASSERT_THAT(same, IsOk());
  EXPECT_TRUE(same->rotate(kNow, rng_).empty());
  HierarchyNames names;
  names.instance_id = "i-0fedcba9876543210";
  EXPECT_THAT(Hierarchy::from_parts(names, parts())->rotate(kNow, rng_), testing::ElementsAre(Level::kInstance));
  names.region = "eu-west-1";
  EXPECT_THAT(Hierarchy::from_parts(names, parts())->rotate(kNow, rng_), testing::SizeIs(3));
  auto mixed = parts();
  std::swap(mixed[1].key, mixed[2].key);
  EXPECT_THAT(Hierarchy::from_parts({}, std::move(mixed)), IsError(ErrorCode::kUntrusted, HasSubstr("another key")));
}

TEST(ModuleId, HasTheShapeOfNitros) {
  crypto::SystemRng rng;
  const std::string id = make_module_id("i-0123456789abcdef0", kNow, rng);
  EXPECT_THAT(id, testing::MatchesRegex("i-0123456789abcdef0-enc019af232b27b[0-9a-f]{4}"));
  EXPECT_EQ(id.size(), 39U);
}

}  // namespace
}  // namespace casemate::attestation
