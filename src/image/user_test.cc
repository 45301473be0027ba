// SPDX-License-Identifier: Apache-2.0
#include "image/user.h"

#include "base/test_matchers.h"

namespace casemate::image {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "broken line\n"
    "app:x:1000:100:An app:/srv/app:/bin/false\n"
    "1001:x:2000:2000::/odd:\n"
    "no:x:number:1:::\n";
constexpr std::string_view kGroup =
    "root:x:0:\n"
    "staff:x:50:app,other\n"
    "audio:x:29:other\n"
    "video:x:44:app\n";

TEST(FindUser, NothingIsRoot) {
  const auto user = find_user("", kPasswd, kGroup);
  ASSERT_THAT(user, IsOk());
  EXPECT_EQ(user->uid, 0U);
  EXPECT_EQ(user->home, "/root");
  EXPECT_EQ(find_user("", "", "")->home, "/");
}

TEST(FindUser, NamesComeWithTheirGroups) {
  const auto user = find_user("app", kPasswd, kGroup);
  ASSERT_THAT(user, IsOk());
  EXPECT_EQ(user->uid, 1000U);
  EXPECT_EQ(user->gid, 100U);
  EXPECT_EQ(user->home, "/srv/app");
  EXPECT_THAT(user->groups, ElementsAre(50U, 44U));
}

TEST(FindUser, NumbersAreNamesFirst) {
  EXPECT_EQ(find_user("1000", kPasswd, kGroup)->home, "/srv/app");
  EXPECT_EQ(find_user("1001", kPasswd, kGroup)->uid, 2000U) << "a name that looks like a number";
  const auto nobody = find_user("65000", kPasswd, kGroup);
  ASSERT_THAT(nobody, IsOk());
  EXPECT_EQ(nobody->uid, 65000U);
  EXPECT_EQ(nobody->gid, 0U);
  EXPECT_THAT(nobody->groups, IsEmpty());
}

TEST(FindUser, ANamedGroupStandsAlone) {
  const auto user = find_user("app:video", kPasswd, kGroup);
  ASSERT_THAT(user, IsOk());
  EXPECT_EQ(user->gid, 44U);
  EXPECT_THAT(user->groups, IsEmpty());
  EXPECT_EQ(find_user("app:7", kPasswd, kGroup)->gid, 7U);
}

TEST(FindUser, WhatIsNotThereIsNamed) {
  EXPECT_THAT(find_user("who", kPasswd, kGroup), IsError(ErrorCode::kNotFound, HasSubstr("USER who")));
  EXPECT_THAT(find_user("no", kPasswd, kGroup), IsError(ErrorCode::kNotFound));
  EXPECT_THAT(find_user("app:who", kPasswd, kGroup), IsError(ErrorCode::kNotFound, HasSubstr("group who")));
  EXPECT_THAT(find_user("4294967295", kPasswd, kGroup), IsError(ErrorCode::kNotFound)) << "(uid_t)-1 means no change";
  EXPECT_THAT(find_user("a\nb", kPasswd, kGroup), IsError(ErrorCode::kNotFound, HasSubstr("a?b")));
}

}  // namespace
}  // namespace casemate::image
