// SPDX-License-Identifier: Apache-2.0
// Documents that real enclaves asked for, against what another implementation found in them.
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <thread>

#include "attestation/hierarchy.h"
#include "attestation/verify.h"
#include "base/encoding.h"
#include "base/test_matchers.h"
#include "base/time_text.h"
#include "cose/sign1.h"
#include "crypto/rng.h"
#include "json/value.h"

namespace casemate::attestation {
namespace {

using testing::HasSubstr;

std::filesystem::path vectors() {
  const char* named = std::getenv("CASEMATE_VECTORS");
  const std::filesystem::path root = named != nullptr ? named : CASEMATE_SOURCE_DIR "/../shared/vectors";
  return root / "attestation";
}

Bytes read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

struct Sample {
  std::string file;
  Bytes bytes;
  json::Object facts;
  bool mock() const { return file.find("MOCKROOT") != std::string::npos; }
  bool debug() const { return file.find("-debug") != std::string::npos; }
  std::string text(std::string_view key) const { return *facts.find(key)->if_string(); }
  std::optional<std::int64_t> number(std::string_view key) const {
    const auto* value = facts.find(key)->if_int64();
    return value != nullptr ? std::optional(*value) : std::nullopt;
  }
};

class Genuine : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(vectors() / "manifest.json")) {
      GTEST_SKIP() << "no documents in " << vectors() << "; CASEMATE_VECTORS names their folder";
    }
    const Bytes manifest = read_file(vectors() / "manifest.json");
    const json::Value parsed = json::parse(as_text(manifest)).take();
    for (const json::Value& entry : parsed.array()) {
      Sample sample;
      sample.facts = entry.object();
      sample.file = sample.text("file");
      sample.bytes = read_file(vectors() / sample.file);
      samples_.push_back(std::move(sample));
    }
    ASSERT_EQ(samples_.size(), 33U);
    policy_.allow_debug = AllowDebug::kYes;
  }

  std::vector<Sample> samples_;
  Policy policy_ = Policy::at_document_time();
  crypto::SystemRng rng_;
  SystemClock clock_;
};

TEST_F(Genuine, VerifyAtTheirOwnTimeUnderAws) {
  ChainCache cache;
  for (const Sample& sample : samples_) {
    if (sample.mock()) continue;
    const auto verified = verify(sample.bytes, TrustAnchors::aws(), policy_, &cache);
    ASSERT_THAT(verified, IsOk()) << sample.file;
    EXPECT_EQ(verified->anchor(), "aws");
    EXPECT_EQ(verified->is_debug(), sample.debug()) << sample.file;
    EXPECT_TRUE(examine(sample.bytes, TrustAnchors::aws(), policy_).verified.has_value()) << sample.file;
  }
}

TEST_F(Genuine, DebugOnesAreRefusedByDefault) {
  for (const Sample& sample : samples_) {
    if (!sample.debug() || sample.mock()) continue;
    EXPECT_THAT(verify(sample.bytes, TrustAnchors::aws(), Policy::at_document_time()), IsError(ErrorCode::kDenied, HasSubstr("debug mode"))) << sample.file;
  }
}

TEST_F(Genuine, FailNow) {
  for (const Sample& sample : samples_) {
    if (sample.mock()) continue;
    Policy policy = Policy::at_time(clock_.now());
    policy.allow_debug = AllowDebug::kYes;
    EXPECT_THAT(verify(sample.bytes, TrustAnchors::aws(), policy), IsError(ErrorCode::kUntrusted, HasSubstr("validity"))) << sample.file;
  }
}

TEST_F(Genuine, FailUnderALocalRootAndUnderGovCloud) {
  TrustAnchors local;
  ASSERT_THAT(local.add_pem("local", Hierarchy::create({}, clock_.now(), rng_).root_pem()), IsOk());
  ASSERT_THAT(local.add_builtin("aws-us-gov"), IsOk());
  for (const Sample& sample : samples_) {
    EXPECT_THAT(verify(sample.bytes, local, policy_), IsError(ErrorCode::kUntrusted, HasSubstr("want a trust anchor (local, aws-us-gov)"))) << sample.file;
  }
}

TEST_F(Genuine, TheMockRootIsRefusedByItsFingerprint) {
  std::size_t seen = 0;
  for (const Sample& sample : samples_) {
    if (!sample.mock()) continue;
    ++seen;
    const auto verified = verify(sample.bytes, TrustAnchors::aws(), policy_);
    EXPECT_THAT(verified, IsError(ErrorCode::kUntrusted, HasSubstr("root: SHA-256 " + sample.text("root_sha256_prefix"))));
  }
  EXPECT_EQ(seen, 1U);
}

TEST_F(Genuine, TheManifestIsReproduced) {
  for (const Sample& sample : samples_) {
    SCOPED_TRACE(sample.file);
    const crypto::Sha256 digest = crypto::sha256(sample.bytes);
    EXPECT_EQ(encode_hex(digest), sample.text("sha256"));
    const cose::Sign1 message = cose::parse_sign1(sample.bytes).take();
    EXPECT_EQ(encode_hex(message.payload.first(1)), sample.text("payload_header"));
    const Document document = parse_document(message.payload).take();
    EXPECT_EQ(document.module_id, sample.text("module_id"));
    EXPECT_EQ(document.timestamp.time_since_epoch().count(), sample.number("timestamp_ms"));
    EXPECT_EQ(format_rfc3339_millis(document.timestamp), sample.text("time"));
    EXPECT_EQ(static_cast<std::int64_t>(document.pcrs.size()), sample.number("pcr_count"));
    const auto length = [](const std::optional<Bytes>& value) {
      return value ? std::optional(static_cast<std::int64_t>(value->size())) : std::nullopt;
    };
    EXPECT_EQ(length(document.public_key), sample.number("public_key_len"));
    EXPECT_EQ(length(document.user_data), sample.number("user_data_len"));
    EXPECT_EQ(length(document.nonce), sample.number("nonce_len"));
    std::map<std::string, std::string> nonzero;
    for (const Pcr& pcr : document.pcrs) {
      if (!all_zero(pcr.value)) nonzero[std::to_string(pcr.index)] = encode_hex(pcr.value);
    }
    std::map<std::string, std::string> expected;
    for (const auto& [index, value] : sample.facts.find("nonzero_pcrs")->object()) expected[index] = *value.if_string();
    EXPECT_EQ(nonzero, expected);
  }
}

// What is read and written again is the same bytes: the writer's shape is the real one.
TEST_F(Genuine, ThePayloadIsReproducedByOurWriter) {
  for (const Sample& sample : samples_) {
    const cose::Sign1 message = cose::parse_sign1(sample.bytes).take();
    const Document document = parse_document(message.payload).take();
    Statement statement{document.module_id, document.timestamp, document.pcrs, document.public_key, document.user_data, document.nonce};
    const WireForm form = document.form == cbor::MapForm::kEither ? WireForm::kIndefinite : WireForm::kDefinite;
    EXPECT_EQ(encode_document(statement, document.certificate, document.cabundle, form), to_bytes(message.payload)) << sample.file;
  }
}

TEST_F(Genuine, EveryFlippedBitFails) {
  const TrustAnchors anchors = TrustAnchors::aws();
  ChainCache cache;
  std::mutex mutex;
  std::vector<std::string> verified;
  std::atomic<std::size_t> flipped = 0;
  std::size_t bits = 0;
  const unsigned workers = std::max(1U, std::thread::hardware_concurrency());
  // One with a definite map, one with a public key and user data, one with an indefinite map.
  for (const std::size_t index : {std::size_t{2}, std::size_t{13}, std::size_t{31}}) {
    const Sample& sample = samples_[index];
    ASSERT_FALSE(sample.mock());
    // The chain is known from here on, so that a flip costs one or two signature checks.
    ASSERT_THAT(verify(sample.bytes, anchors, policy_, &cache), IsOk());
    bits += sample.bytes.size() * 8;
    std::vector<std::thread> threads;
    for (unsigned worker = 0; worker < workers; ++worker) {
      threads.emplace_back([&, worker] {
        Bytes bytes = sample.bytes;
        for (std::size_t at = worker; at < bytes.size(); at += workers) {
          for (unsigned bit = 0; bit < 8; ++bit) {
            const auto flip = static_cast<std::uint8_t>(1U << bit);
            bytes[at] ^= flip;
            ++flipped;
            if (verify(bytes, anchors, policy_, &cache).ok()) {
              const std::lock_guard lock(mutex);
              verified.push_back(fmt::format("{}: byte {} ^ {:#04x}", sample.file, at, flip));
            }
            bytes[at] ^= flip;
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_THAT(verified, testing::IsEmpty());
  EXPECT_EQ(flipped, bits);
  // Nothing that failed was remembered: three enclaves, each on a host of its own.
  EXPECT_EQ(cache.size(), 6U);
}

}  // namespace
}  // namespace casemate::attestation
