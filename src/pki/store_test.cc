// SPDX-License-Identifier: Apache-2.0
#include "pki/store.h"

#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "base/test_matchers.h"
#include "crypto/rng.h"
#include "x509/certificate.h"

namespace casemate::pki {
namespace {

using attestation::Level;
using testing::HasSubstr;

constexpr WallTime kNow{std::chrono::milliseconds(1765000000123)};

class PkiStore : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/casemate-pki-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    base_ = name;
    folder_ = base_ / "pki";
  }
  void TearDown() override { std::filesystem::remove_all(base_); }

  mode_t mode(const char* file) const {
    struct stat info {};
    EXPECT_EQ(stat((folder_ / file).c_str(), &info), 0) << file;
    return info.st_mode & 07777;
  }

  os::Path base_;
  os::Path folder_;
  crypto::SystemRng rng_;
};

TEST_F(PkiStore, MakesAHierarchyOnceWithPrivateKeys) {
  ASSERT_THAT(init(folder_, {}, kNow, rng_), IsOk());
  for (const char* file : {"root.key", "regional.key", "zonal.key", "instance.key"}) EXPECT_EQ(mode(file), 0600U) << file;
  EXPECT_EQ(mode("root.pem"), 0644U);
  const std::string root = root_pem(folder_).take();
  EXPECT_THAT(init(folder_, {}, kNow, rng_), IsError(ErrorCode::kConflict, HasSubstr("never replaced")));
  EXPECT_EQ(root_pem(folder_).take(), root);
  EXPECT_EQ(load(folder_, {})->root_pem(), root);
}

TEST_F(PkiStore, NamesWhatIsMissing) {
  EXPECT_THAT(load(folder_, {}), IsError(ErrorCode::kNotFound, HasSubstr("casemate pki init")));
  EXPECT_THAT(load_current(folder_, {}, kNow, rng_), IsError(ErrorCode::kNotFound));
  EXPECT_THAT(root_pem(folder_), IsError(ErrorCode::kNotFound));
}

TEST_F(PkiStore, RenewsOnDiskWhatIsTooOld) {
  ASSERT_THAT(init(folder_, {}, kNow, rng_), IsOk());
  const Bytes instance = load(folder_, {})->authority(Level::kInstance).certificate;
  EXPECT_EQ(load_current(folder_, {}, kNow, rng_)->authority(Level::kInstance).certificate, instance);
  const Bytes renewed = load_current(folder_, {}, kNow + std::chrono::hours(23), rng_)->authority(Level::kInstance).certificate;
  EXPECT_NE(renewed, instance);
  EXPECT_EQ(load(folder_, {})->authority(Level::kInstance).certificate, renewed);
}

TEST_F(PkiStore, MendsALevelThatWasCutOff) {
  ASSERT_THAT(init(folder_, {}, kNow, rng_), IsOk());
  const std::string root = root_pem(folder_).take();
  std::filesystem::remove(folder_ / "zonal.key");
  std::filesystem::remove(folder_ / "root.pem");
  EXPECT_THAT(load_current(folder_, {}, kNow, rng_), IsOk());
  EXPECT_TRUE(std::filesystem::exists(folder_ / "zonal.key"));
  EXPECT_EQ(root_pem(folder_).take(), root);
  // A regional authority that was renewed without those below it.
  auto hierarchy = load(folder_, {}).take();
  const Bytes zonal = hierarchy.authority(Level::kZonal).certificate;
  ASSERT_THAT(rotate(folder_, {}, kNow, rng_), IsOk());
  std::string old = x509::certificate_pem(zonal) + std::string(as_text(hierarchy.authority(Level::kZonal).key.pkcs8_pem().expose()));
  ASSERT_THAT(os::write_file(folder_ / "zonal.key", as_bytes(old), 0600), IsOk());
  EXPECT_THAT(load_current(folder_, {}, kNow, rng_)->issue_leaf("i-0-enc0123456789abcdef", kNow, rng_), IsOk());
}

TEST_F(PkiStore, RefusesAKeyThatOthersMayRead) {
  ASSERT_THAT(init(folder_, {}, kNow, rng_), IsOk());
  ASSERT_EQ(chmod((folder_ / "regional.key").c_str(), 0644), 0);
  EXPECT_THAT(load_current(folder_, {}, kNow, rng_), IsError(ErrorCode::kDenied, HasSubstr("regional.key")));
}

TEST_F(PkiStore, OneOfSeveralInitsMakesIt) {
  std::vector<std::thread> threads;
  std::atomic<int> made = 0;
  std::atomic<int> refused = 0;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      const auto result = init(folder_, {}, kNow, rng_);
      if (result.ok()) ++made;
      if (!result.ok() && result.error().code() == ErrorCode::kConflict) ++refused;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(made, 1);
  EXPECT_EQ(refused, 5);
  const auto hierarchy = load(folder_, {}).take();
  EXPECT_TRUE(hierarchy.complete());
  EXPECT_EQ(hierarchy.root_pem(), root_pem(folder_).take());
}

TEST_F(PkiStore, ServesSeveralProcessesAtOnce) {
  ASSERT_THAT(init(folder_, {}, kNow, rng_), IsOk());
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      auto issue = leaf_source(folder_, {}, "i-0123456789abcdef0-enc0123456789abcdef", rng_);
      for (int day = 1; day < 5; ++day) good += issue(kNow + std::chrono::hours(24 * day)).ok() ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  // Threads ahead may have rotated past a slower one's day; the instance is then from its future.
  EXPECT_GE(good.load(), 4);
  EXPECT_THAT(load(folder_, {}), IsOk());
}

}  // namespace
}  // namespace casemate::pki
