// SPDX-License-Identifier: Apache-2.0
#include "casemate/parent.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "base/bytes.h"
#include "base/test_matchers.h"
#include "fabric/fabric.h"
#include "sdk/src/stream.h"

namespace casemate::parent {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

// FakeMetadata answers HTTP on loopback: one connection a request.
class FakeMetadata {
 public:
  using Handler = std::function<std::string(const std::string& request)>;

  explicit FakeMetadata(Handler handler) : handler_(std::move(handler)) {
    listener_.reset(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    socklen_t size = sizeof address;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    endpoint_ = fmt::format("http://127.0.0.1:{}", ntohs(address.sin_port));
    thread_ = std::thread([this] {
      while (!stop_) {
        pollfd entry{listener_.get(), POLLIN, 0};
        if (::poll(&entry, 1, 10) != 1) continue;
        const UniqueFd fd(::accept(listener_.get(), nullptr, nullptr));
        std::uint8_t buffer[4096];
        const auto count = sdk::read_some(fd.get(), buffer, sdk::Deadline(1s));
        if (!count) continue;
        ++requests;
        const std::string answer = handler_(std::string(as_text(ByteView(buffer, *count))));
        if (!sdk::write_all(fd.get(), as_bytes(answer), sdk::Deadline(1s))) continue;
      }
    });
  }
  ~FakeMetadata() {
    stop_ = true;
    thread_.join();
  }

  const std::string& endpoint() const { return endpoint_; }
  MetadataOptions options() const { return {endpoint_, 2s}; }
  std::atomic<int> requests = 0;

 private:
  Handler handler_;
  UniqueFd listener_;
  std::string endpoint_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

std::string ok(std::string_view body) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
}

constexpr char kDocument[] =
    R"({"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"ASIA1","SecretAccessKey":"s","Token":"t","Expiration":"2999-01-01T00:00:00Z"})";

std::string version2(const std::string& request) {
  if (request.starts_with("PUT /latest/api/token ")) {
    return request.find("X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n") == std::string::npos ? "HTTP/1.1 400 Bad\r\n\r\n" : ok("TOKEN");
  }
  if (request.find("X-aws-ec2-metadata-token: TOKEN\r\n") == std::string::npos) return "HTTP/1.1 401 No\r\n\r\n";
  if (request.starts_with("GET /latest/meta-data/iam/security-credentials/ ")) return ok("role\n");
  if (request.starts_with("GET /latest/meta-data/iam/security-credentials/role ")) return ok(kDocument);
  if (request.starts_with("GET /latest/meta-data/placement/region ")) return ok("eu-central-1");
  return "HTTP/1.1 404 None\r\n\r\n";
}

TEST(InstanceCredentials, ComeWithATokenAndAreKept) {
  FakeMetadata metadata(version2);
  const auto provider = instance_credentials(metadata.options());
  const auto credentials = provider->get(2s);
  ASSERT_THAT(credentials, IsOk());
  EXPECT_EQ((*credentials)->access_key_id, "ASIA1");
  EXPECT_EQ((*credentials)->session_token, "t");
  EXPECT_THAT(provider->get(2s), IsOk());
  EXPECT_EQ(metadata.requests, 3);
}

TEST(InstanceCredentials, FallBackToVersion1) {
  FakeMetadata metadata([](const std::string& request) {
    if (request.starts_with("PUT")) return std::string("HTTP/1.1 404 None\r\n\r\n");
    return request.starts_with("GET /latest/meta-data/iam/security-credentials/ ") ? ok("role") : ok(kDocument);
  });
  EXPECT_THAT(instance_credentials(metadata.options())->get(2s), IsOk());
}

TEST(InstanceCredentials, NameWhatIsWrong) {
  FakeMetadata refused([](const std::string&) { return std::string("HTTP/1.1 400 Bad\r\n\r\n"); });
  EXPECT_THAT(instance_credentials(refused.options())->get(2s), IsError(ErrorCode::kUnavailable, HasSubstr("HTTP status 400")));
  FakeMetadata no_role([](const std::string& request) { return request.starts_with("PUT") ? ok("T") : std::string("HTTP/1.1 404 None\r\n\r\n"); });
  EXPECT_THAT(instance_credentials(no_role.options())->get(2s), IsError(ErrorCode::kNotFound));
  FakeMetadata failed([](const std::string& request) {
    return request.starts_with("PUT") ? ok("T") : request.find("credentials/role") == std::string::npos ? ok("role") : ok(R"({"Code":"AssumeRoleUnauthorizedAccess"})");
  });
  EXPECT_THAT(instance_credentials(failed.options())->get(2s), IsError(ErrorCode::kUnavailable, HasSubstr("AssumeRoleUnauthorizedAccess")));
  EXPECT_THAT(instance_credentials({"http://127.0.0.1:1", 2s})->get(2s), IsError(ErrorCode::kUnavailable, HasSubstr("instance metadata")));
  EXPECT_THAT(instance_credentials({"https://127.0.0.1", 2s})->get(2s), IsError(ErrorCode::kMalformed, HasSubstr("http://")));
}

class Environment : public testing::Test {
 protected:
  void TearDown() override {
    for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID",
                             "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_CA_BUNDLE"}) {
      ::unsetenv(name);
    }
  }
};

TEST_F(Environment, GivesTheRegionBeforeTheInstance) {
  FakeMetadata metadata(version2);
  EXPECT_THAT(find_region(metadata.options()), IsOkAnd("eu-central-1"));
  ::setenv("AWS_REGION", "us-west-2", 1);
  EXPECT_THAT(find_region(metadata.options()), IsOkAnd("us-west-2"));
}

TEST_F(Environment, GivesCredentials) {
  EXPECT_THAT(environment_credentials(), IsError(ErrorCode::kNotFound));
  ::setenv("AWS_ACCESS_KEY_ID", "AKIA", 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
  const auto provider = environment_credentials();
  ASSERT_THAT(provider, IsOk());
  EXPECT_EQ((*(*provider)->get(1s))->access_key_id, "AKIA");
}

TEST_F(Environment, GivesTheEndpoint) {
  const auto usual = kms_options("us-east-1");
  ASSERT_THAT(usual, IsOk());
  EXPECT_EQ(usual->host, "kms.us-east-1.amazonaws.com");
  ::setenv("AWS_ENDPOINT_URL_KMS", "https://localhost:4566", 1);
  ::setenv("AWS_CA_BUNDLE", "/ca.pem", 1);
  const auto local = kms_options("us-east-1");
  ASSERT_THAT(local, IsOk());
  EXPECT_EQ(local->host, "localhost");
  EXPECT_EQ(local->port, 4566);
  EXPECT_EQ(local->ca_file, "/ca.pem");
  ::setenv("AWS_ENDPOINT_URL_KMS", "localhost", 1);
  EXPECT_THAT(kms_options("us-east-1"), IsError(ErrorCode::kMalformed, HasSubstr("AWS_ENDPOINT_URL_KMS")));
}

class Folder {
 public:
  Folder() { EXPECT_NE(::mkdtemp(path_.data()), nullptr); }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = testing::TempDir() + "/parentXXXXXX";
};

TEST(DescribeEnclaves, ReadsNitroClisAnswer) {
  const Folder folder;
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", folder.path().c_str(), 1);
  EXPECT_THAT(describe_enclaves(5s), IsError(ErrorCode::kNotFound, HasSubstr("nitro-cli")));
  const auto script = [&](const std::string& text) {
    std::ofstream(folder.path() + "/nitro-cli") << "#!/bin/sh\n" << text << "\n";
    std::filesystem::permissions(folder.path() + "/nitro-cli", std::filesystem::perms::owner_all);
  };
  script(R"(echo '[{"EnclaveID":"i-1-enc2","EnclaveName":"n","EnclaveCID":16,"State":"RUNNING","Flags":"DEBUG_MODE"},{"EnclaveCID":17}]')");
  const auto first = first_enclave(5s);
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->cid, 16u);
  EXPECT_EQ(first->flags, "DEBUG_MODE");
  script("echo '[]'");
  EXPECT_THAT(first_enclave(5s), IsError(ErrorCode::kNotFound, HasSubstr("no enclave is running")));
  script("echo broken >&2; exit 3");
  EXPECT_THAT(describe_enclaves(5s), IsError(ErrorCode::kUnavailable, HasSubstr("status 3: broken")));
  script("echo '[{\"EnclaveCID\":-1}]'");
  EXPECT_THAT(describe_enclaves(5s), IsError(ErrorCode::kMalformed));
  ::setenv("PATH", path.c_str(), 1);
}

TEST(Connect, GoesThroughTheLocalPlatformWhenItIsUp) {
  const Folder folder;
  ::setenv("CASEMATE_RUN_DIR", folder.path().c_str(), 1);
  ASSERT_THAT(fabric::Root::open(folder.path() + "/vsock"), IsOk());
  EXPECT_THAT(connect({16, 5000}, 1s), IsError(ErrorCode::kNotFound, HasSubstr("enclave")));
  const auto root = fabric::Root::open(folder.path() + "/vsock");
  ASSERT_THAT(root->add_cid(16), IsOk());
  EXPECT_THAT(connect({16, 5000}, 1s), IsError(ErrorCode::kUnavailable));
  const auto listener = fabric::listen(folder.path() + "/vsock", 16, 5000);
  ASSERT_THAT(listener, IsOk());
  const auto connected = connect({16, 5000}, 1s);
  ASSERT_THAT(connected, IsOk());
  const UniqueFd accepted(::accept(listener->fd(), nullptr, nullptr));
  const auto peer = fabric::peer_address(accepted.get());
  ASSERT_THAT(peer, IsOk());
  EXPECT_EQ(peer->cid, 3u);
  ::unsetenv("CASEMATE_RUN_DIR");
}

}  // namespace
}  // namespace casemate::parent
