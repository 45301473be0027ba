// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>

#include "base/test_matchers.h"
#include "cli/casemated/home.h"
#include "cli/casemated/options.h"
#include "cli/casemated/tls_identity.h"
#include "crypto/rng.h"

namespace casemate::cli::casemated {
namespace {

using testing::HasSubstr;

const WallTime kNow{std::chrono::seconds{1'800'000'000}};

class HomeTest : public testing::Test {
 protected:
  HomeTest() {
    char name[] = "/tmp/casemated_test_XXXXXX";
    home_ = ::mkdtemp(name);
  }
  ~HomeTest() override { std::filesystem::remove_all(home_); }
  std::string read(const char* name) { return os::read_file(home_ / name, 65536).take(); }
  std::string certificate(const std::string& region, WallTime now) {
    auto identity = load_tls_identity(home_ / "ca", server_names(region), now);
    EXPECT_THAT(identity, IsOk());
    return identity.ok() ? identity->certificate_pem : "";
  }

  os::Path home_;
  crypto::SystemRng rng_;
};

std::variant<Options, Exit> parse(const std::vector<const char*>& arguments) {
  std::vector<const char*> all{"casemated"};
  for (const char* argument : arguments) all.push_back(argument);
  return parse_options(static_cast<int>(all.size()), all.data());
}

TEST(Options, ReadsTheFlagsOfThePlatform) {
  const auto parsed = parse({"--listen", "127.0.0.1:0", "--imds", "8000", "--trust", "aws,local", "--services",
                             "kms,sts", "--document-age", "60"});
  const auto* options = std::get_if<Options>(&parsed);
  ASSERT_NE(options, nullptr);
  EXPECT_EQ(options->listen.port, 0);
  EXPECT_EQ(options->imds.host, "127.0.0.1");
  EXPECT_EQ(options->imds.port, 8000);
  EXPECT_THAT(options->trust, testing::ElementsAre("aws", "local"));
  EXPECT_TRUE(options->serve_kms && options->serve_sts && !options->serve_imds);
  EXPECT_EQ(options->document_age_seconds, 60U);
}

TEST(Options, TrustsAwsAloneUnlessTold) {
  const auto parsed = parse({});
  EXPECT_THAT(std::get<Options>(parsed).trust, testing::ElementsAre("aws"));
}

TEST(Options, RefusesWithOneLine) {
  for (const std::vector<const char*>& arguments : std::vector<std::vector<const char*>>{{"--nope"},
                                                                                         {"--listen", "a:b"},
                                                                                         {"--listen", "1:99999"},
                                                                                         {"--services", "s3"},
                                                                                         {"--account", "12"},
                                                                                         {"--region", "A B"},
                                                                                         {"extra"}}) {
    const auto parsed = parse(arguments);
    const auto* exit = std::get_if<Exit>(&parsed);
    ASSERT_NE(exit, nullptr) << arguments.front();
    EXPECT_EQ(exit->status, 2);
    EXPECT_EQ(std::count(exit->err.begin(), exit->err.end(), '\n'), 1) << exit->err;
  }
}

TEST_F(HomeTest, KeepsTheServersCertificateUntilItIsNoLongerFit) {
  const std::string first = certificate("us-east-1", kNow);
  EXPECT_EQ(certificate("us-east-1", kNow + std::chrono::days{366}), first);
  const std::string renewed = certificate("us-east-1", kNow + std::chrono::days{368});
  EXPECT_NE(renewed, first);
  EXPECT_NE(certificate("eu-west-1", kNow), first);
  const std::string authority = read("ca/ca.pem");
  EXPECT_EQ(read("ca/ca.pem"), authority);
  EXPECT_THAT(load_tls_identity(home_ / "ca", server_names("us-east-1"), kNow + std::chrono::days{3650}),
              IsError(ErrorCode::kUnavailable, HasSubstr("ca.pem: expired")));
}

TEST_F(HomeTest, UsesNoKeyThatOthersMayReadAndNoForeignCertificate) {
  const std::string first = certificate("us-east-1", kNow);
  std::filesystem::permissions(home_ / "ca/server.key", std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);
  EXPECT_THAT(load_tls_identity(home_ / "ca", server_names("us-east-1"), kNow), IsError(ErrorCode::kDenied));
  std::filesystem::remove(home_ / "ca/server.key");
  const std::string second = certificate("us-east-1", kNow);
  EXPECT_NE(second, first);
  std::filesystem::remove(home_ / "ca/ca.pem");
  std::filesystem::remove(home_ / "ca/ca.key");
  EXPECT_NE(certificate("us-east-1", kNow), second);
}

TEST_F(HomeTest, MakesTheRootKeyOnceAndNeverForAnExistingDatabase) {
  const auto first = load_root_key(home_, "", rng_);
  ASSERT_THAT(first, IsOk());
  const auto again = load_root_key(home_, "", rng_);
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(first->check_value(), again->check_value());
  ASSERT_THAT(os::write_file(home_ / "root.key", as_bytes("zz\n"), 0600), IsOk());
  EXPECT_THAT(load_root_key(home_, "", rng_), IsError(ErrorCode::kMalformed, HasSubstr("root.key")));
  std::filesystem::remove(home_ / "root.key");
  ASSERT_THAT(os::write_file(home_ / "kms.db", as_bytes("x"), 0600), IsOk());
  EXPECT_THAT(load_root_key(home_, "", rng_), IsError(ErrorCode::kNotFound, HasSubstr("put the key back")));
}

TEST_F(HomeTest, MakesAndReadsTheAdministratorsKey) {
  os::Paths paths;
  paths.home = home_;
  const auto made = load_administrator(paths, "111122223333", rng_);
  ASSERT_THAT(made, IsOk());
  EXPECT_THAT(made->id, testing::MatchesRegex("AKIA[A-Z2-7]{16}"));
  EXPECT_EQ(made->secret.size(), 40U);
  const auto again = load_administrator(paths, "111122223333", rng_);
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->id, made->id);
  EXPECT_TRUE(again->secret == made->secret);
  ASSERT_THAT(os::write_file(paths.credentials(), as_bytes("[other]\naws_access_key_id = x\n"), 0600), IsOk());
  EXPECT_THAT(load_administrator(paths, "111122223333", rng_), IsError(ErrorCode::kMalformed));
}

TEST_F(HomeTest, LeavesTheAdministratorsKeyAsAnOperatorLeftIt) {
  os::Paths paths;
  paths.home = home_;
  os::Platform platform;
  platform.account = "111122223333";
  const identity::TokenSealer sealer(Secret::copy_of(Bytes(32, 5)));
  const auto start = [&] {
    auto state = load_identities(paths, platform, "", sealer, WallTime{}, rng_);
    EXPECT_THAT(state, IsOk());
    return state.take();
  };
  const auto admin_of = [&](const identity::State& state) {
    return state.find(platform.account, identity::Kind::kUser, "admin");
  };
  const auto edit = [&](identity::State state, auto change) {
    identity::Entity admin = *admin_of(state);
    state.erase(admin);
    if (change(admin)) state.put(std::move(admin));
    ASSERT_THAT(save_identities(paths, state), IsOk());
  };
  identity::State state = start();
  ASSERT_EQ(admin_of(state)->keys.size(), 1U);
  const std::string key = admin_of(state)->keys.begin()->first;
  edit(state, [](identity::Entity& admin) {
    admin.keys.begin()->second.active = false;
    return true;
  });
  EXPECT_FALSE(admin_of(start())->keys.at(key).active);
  edit(state, [](identity::Entity& admin) {
    admin.keys.clear();
    return true;
  });
  EXPECT_TRUE(admin_of(start())->keys.empty());
  edit(state, [](identity::Entity&) { return false; });
  EXPECT_EQ(admin_of(start()), nullptr);
  // The way back: without the file there is a new administrator's key.
  std::filesystem::remove(paths.credentials());
  state = start();
  ASSERT_NE(admin_of(state), nullptr);
  ASSERT_EQ(admin_of(state)->keys.size(), 1U);
  EXPECT_NE(admin_of(state)->keys.begin()->first, key);
}

}  // namespace
}  // namespace casemate::cli::casemated
