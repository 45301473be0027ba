// SPDX-License-Identifier: Apache-2.0
#include "kms/seal/root_key_file.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>

#include "base/test_matchers.h"
#include "crypto/rng.h"

namespace casemate::kms::seal {
namespace {

constexpr crypto::ScryptCost kCheap{.n = 16, .r = 1, .p = 1};

TEST(RootKeyFile, ComesBackFromBothForms) {
  crypto::SystemRng rng;
  const RootKey root = RootKey::generate(rng);
  const Secret bare = encode_root_key(root);
  const auto again = parse_root_key(as_text(bare.expose()), nullptr);
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->check_value(), root.check_value());

  const Secret passphrase = Secret::copy_of(as_bytes("correct horse"));
  const auto sealed = under_passphrase(root, passphrase, rng, kCheap);
  ASSERT_THAT(sealed, IsOk());
  const std::string text(as_text(sealed->expose()));
  const auto opened = parse_root_key(text, &passphrase);
  ASSERT_THAT(opened, IsOk());
  EXPECT_EQ(opened->check_value(), root.check_value());
  const Secret wrong = Secret::copy_of(as_bytes("wrong"));
  EXPECT_THAT(parse_root_key(text, &wrong), IsError(ErrorCode::kUntrusted));
  EXPECT_THAT(parse_root_key(text, nullptr), IsError(ErrorCode::kDenied));
  EXPECT_THAT(parse_root_key("{}", &passphrase), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(parse_root_key("xyz", nullptr), IsError(ErrorCode::kMalformed));
  std::string cheaper = text;
  cheaper.replace(cheaper.find("16"), 2, "32");
  EXPECT_THAT(parse_root_key(cheaper, &passphrase), IsError(ErrorCode::kUntrusted));
}

// SoftHSM keeps its tokens in a folder that its configuration names, read when the module is loaded.
class SoftToken : public testing::Test {
 protected:
  SoftToken() {
    char name[] = "/tmp/seal_test_XXXXXX";
    folder_ = ::mkdtemp(name);
    std::filesystem::create_directory(folder_ / "tokens");
    const std::string configuration =
        "directories.tokendir = " + (folder_ / "tokens").native() + "\nobjectstore.backend = file\nlog.level = ERROR\n";
    EXPECT_THAT(os::write_file(folder_ / "softhsm2.conf", as_bytes(configuration), 0600), IsOk());
    ::setenv("SOFTHSM2_CONF", (folder_ / "softhsm2.conf").c_str(), 1);
  }
  ~SoftToken() override {
    ::unsetenv("SOFTHSM2_CONF");
    std::filesystem::remove_all(folder_);
  }
  os::Path folder_;
};

constexpr const char* kModule = "/usr/lib/softhsm/libsofthsm2.so";

TEST_F(SoftToken, OpensWhatItSealedWithTheRightPinOnly) {
  if (!std::filesystem::exists(kModule)) GTEST_SKIP() << kModule << " is not installed";
  ASSERT_EQ(std::system("softhsm2-util --init-token --free --label casemate --so-pin 5678 --pin 1234 >/dev/null"), 0);
  crypto::SystemRng rng;
  const RootKey root = RootKey::generate(rng);
  const TokenKey name{kModule, "casemate", "root"};
  const Secret pin = Secret::copy_of(as_bytes("1234"));
  const auto sealed = under_token(root, name, pin, rng);
  ASSERT_THAT(sealed, IsOk());
  const std::string text(as_text(sealed->expose()));
  const auto opened = parse_root_key(text, &pin);
  ASSERT_THAT(opened, IsOk());
  EXPECT_EQ(opened->check_value(), root.check_value());
  const Secret wrong = Secret::copy_of(as_bytes("4321"));
  EXPECT_THAT(parse_root_key(text, &wrong), IsError(ErrorCode::kDenied));
  EXPECT_THAT(parse_root_key(text, nullptr), IsError(ErrorCode::kDenied));
  std::string damaged = text;
  char& digit = damaged[damaged.find("\"sealed\": \"") + 12];
  digit = digit == '0' ? '1' : '0';
  EXPECT_THAT(parse_root_key(damaged, &pin), IsError(ErrorCode::kUntrusted));
  EXPECT_THAT(under_token(root, {kModule, "none", "root"}, pin, rng), IsError(ErrorCode::kNotFound));
  EXPECT_THAT(under_token(root, {"/nonexistent.so", "casemate", "root"}, pin, rng), IsError(ErrorCode::kNotFound));
}

}  // namespace
}  // namespace casemate::kms::seal
