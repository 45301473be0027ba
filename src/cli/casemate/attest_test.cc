// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/attest.h"

#include "attestation/document_text.h"
#include "base/encoding.h"
#include "base/test_matchers.h"

namespace casemate::cli {
namespace {

using testing::HasSubstr;

constexpr WallTime kNow{std::chrono::milliseconds(1765000000123)};

TEST(DecodeDocumentInput, AcceptsEveryFormOfADocument) {
  const Bytes document = decode_hex("8444a1013822a0fbff").take();
  EXPECT_EQ(attestation::decode_document_text(as_text(document)).take(), document);
  EXPECT_EQ(attestation::decode_document_text("8444A1013822a0fbff\n").take(), document);
  EXPECT_EQ(attestation::decode_document_text("hEShATgi\noPv/\n").take(), document);
  EXPECT_EQ(attestation::decode_document_text("hEShATgioPv_").take(), document);
  EXPECT_EQ(attestation::decode_document_text("hEShATgioPs").take(), decode_hex("8444a1013822a0fb").take());
  EXPECT_THAT(attestation::decode_document_text(" \n"), IsError(ErrorCode::kMalformed, HasSubstr("empty")));
  EXPECT_THAT(attestation::decode_document_text("{}"), IsError(ErrorCode::kMalformed, HasSubstr("neither")));
}

TEST(MakePolicy, ReadsEveryOption) {
  PolicyOptions options;
  options.at = "2025-12-06T05:46:40Z";
  options.max_age = "5m";
  options.nonce = "0A0b";
  options.allow_debug = true;
  options.pcrs = {"0=" + std::string(96, 'A') + "," + std::string(96, 'b'), "8=" + std::string(96, '0')};
  const auto policy = make_policy(options, kNow).take();
  EXPECT_EQ(policy.at, WallTime(std::chrono::seconds(1765000000)));
  EXPECT_EQ(policy.max_age, std::chrono::minutes(5));
  EXPECT_EQ(policy.nonce, (Bytes{10, 11}));
  EXPECT_EQ(policy.pcrs.at(0).size(), 2U);
  EXPECT_EQ(policy.pcrs.at(8)[0], Bytes(48));
  options.at = "1765000000123";
  EXPECT_EQ(make_policy(options, {})->at, kNow);
  options.at = "1765000000";
  EXPECT_EQ(make_policy(options, {})->at, WallTime(std::chrono::seconds(1765000000)));
  EXPECT_EQ(make_policy({}, kNow)->at, kNow);
  PolicyOptions own;
  own.at_document_time = true;
  EXPECT_FALSE(make_policy(own, kNow)->at.has_value());
}

TEST(MakePolicy, NamesTheOptionThatIsWrong) {
  const auto error = [](auto&& change) {
    PolicyOptions options;
    change(options);
    const auto policy = make_policy(options, kNow);
    return policy.ok() ? std::string("a policy") : policy.error().message();
  };
  EXPECT_THAT(error([](auto& o) { o.pcrs = {"0"}; }), HasSubstr("--pcr 0: want N=HEX"));
  EXPECT_THAT(error([](auto& o) { o.pcrs = {"32=" + std::string(96, '0')}; }), HasSubstr("index 32"));
  EXPECT_THAT(error([](auto& o) { o.pcrs = {"0=00"}; }), HasSubstr("--pcr 0: 1 bytes, want 48"));
  EXPECT_THAT(error([](auto& o) { o.nonce = "xyz0"; }), HasSubstr("--nonce: hex"));
  EXPECT_THAT(error([](auto& o) { o.at = "yesterday"; }), HasSubstr("--at"));
  EXPECT_THAT(error([](auto& o) { o.max_age = "-1"; }), HasSubstr("--max-age"));
  EXPECT_THAT(error([](auto& o) { o.max_age = "1m"; o.at_document_time = true; }), HasSubstr("no meaning"));
}

TEST(ComparePcrs, SaysWhichPartDiffers) {
  const auto filled = [](std::uint8_t value) {
    crypto::Sha384 digest;
    digest.fill(value);
    return digest;
  };
  eif::Measurements image;
  image.pcr0 = filled(1);
  image.pcr1 = filled(2);
  image.pcr2 = filled(3);
  const auto document = [](std::uint8_t pcr0, std::uint8_t pcr1, std::uint8_t pcr2, std::uint8_t pcr8) {
    attestation::Document out;
    out.pcrs = {{0, Bytes(48, pcr0)}, {1, Bytes(48, pcr1)}, {2, Bytes(48, pcr2)}, {8, Bytes(48, pcr8)}};
    return out;
  };
  const auto differing = [&](const attestation::Document& other) { return compare_pcrs(image, other).differing; };
  EXPECT_TRUE(compare_pcrs(image, document(1, 2, 3, 0)).same());
  EXPECT_THAT(differing(document(9, 2, 9, 0)), testing::ElementsAre("application"));
  EXPECT_THAT(differing(document(9, 9, 3, 0)), testing::ElementsAre("kernel, command line or boot ramdisk"));
  EXPECT_THAT(differing(document(9, 9, 9, 0)), testing::SizeIs(2));
  EXPECT_THAT(differing(document(1, 2, 3, 7)), testing::ElementsAre("signing certificate (the image is not signed)"));
  EXPECT_THAT(differing(document(9, 2, 3, 0)), testing::ElementsAre("order of the image's parts"));
  image.pcr8 = filled(7);
  EXPECT_TRUE(compare_pcrs(image, document(1, 2, 3, 7)).same());
  EXPECT_THAT(differing(document(1, 2, 3, 0)), testing::ElementsAre("signing certificate"));
  EXPECT_THAT(comparison_text(compare_pcrs(image, document(9, 2, 9, 7))), HasSubstr("same    PCR1 (kernel, command line and boot ramdisk)\nDIFFER  PCR2 (application)\n"));
  EXPECT_THAT(comparison_text(compare_pcrs(image, document(9, 2, 9, 7))), testing::EndsWith("not of this image; what differs: application\n"));
  const auto debug = compare_pcrs(image, document(0, 0, 0, 7));
  EXPECT_FALSE(debug.same());
  EXPECT_THAT(comparison_text(debug), testing::EndsWith("debug mode, where PCR0, PCR1 and PCR2 are zero\n"));
  EXPECT_FALSE(compare_pcrs(image, attestation::Document()).same());
}

TEST(ReportText, IsOneLineACheck) {
  attestation::Report report;
  report.checks.push_back({"root", attestation::Check::Verdict::kPass, "aws", "a trust anchor (aws)"});
  report.checks.push_back({"nonce", attestation::Check::Verdict::kFail, "ab\x1b[31m", "cd"});
  EXPECT_EQ(report_text(report), "pass  root: aws (want a trust anchor (aws))\nFAIL  nonce: ab?[31m (want cd)\nNOT verified: 1 of 2 checks did not pass\n");
}

}  // namespace
}  // namespace casemate::cli
