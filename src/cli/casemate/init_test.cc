// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/init.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>

#include "base/test_matchers.h"

namespace casemate::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Init, WritesAProjectWithNothingLeftToFillIn) {
  const auto files = project_files({"my-app", "eu-west-1", "/opt/case mate/bin"});
  ASSERT_THAT(files, IsOk());
  std::vector<std::string> paths;
  for (const auto& file : *files) {
    paths.push_back(file.path);
    EXPECT_THAT(file.content, Not(HasSubstr("@NAME@")));
    EXPECT_EQ(file.executable, file.path == "run");
    if (file.path == "run") {
      EXPECT_THAT(file.content, HasSubstr("/opt/case mate/bin"));
    }
    if (file.path == "server.cc") {
      EXPECT_THAT(file.content, HasSubstr("\"eu-west-1\""));
    }
  }
  EXPECT_THAT(paths, testing::UnorderedElementsAre("run", "Dockerfile", "CMakeLists.txt", "server.cc", "client.cc", "key_policy.json.in", "README.md", ".gitignore",
                                                   ".github/workflows/enclave.yml"));
}

TEST(Init, RefusesNamesThatAreNoWordAndFoldersThatAreThere) {
  for (const char* name : {"", "../x", "A", "a b", "-a", "a-", "a/b", "$(id)"}) {
    EXPECT_THAT(project_files({name, "us-east-1", "/bin"}), IsError(ErrorCode::kMalformed, HasSubstr("name")));
  }
  EXPECT_THAT(project_files({"a", "us east", "/bin"}), IsError(ErrorCode::kMalformed, HasSubstr("region")));
  const std::string where = testing::TempDir() + "/init_test." + std::to_string(::getpid());
  std::filesystem::create_directories(where);
  EXPECT_THAT(create_project({"a", "us-east-1", "/bin"}, where), IsOk());
  EXPECT_EQ(::access((where + "/a/run").c_str(), X_OK), 0);
  EXPECT_THAT(create_project({"a", "us-east-1", "/bin"}, where), IsError(ErrorCode::kConflict, HasSubstr("exists")));
  std::filesystem::remove_all(where);
}

}  // namespace
}  // namespace casemate::cli
