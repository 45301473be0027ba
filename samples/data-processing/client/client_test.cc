// SPDX-License-Identifier: Apache-2.0
#include "client.h"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/bytes.h"
#include "base/test_matchers.h"

namespace data_processing {
namespace {

using casemate::ErrorCode;
using casemate::IsError;
using casemate::IsOk;
using casemate::IsOkAnd;
using casemate::UniqueFd;
using casemate::message::Fields;
using testing::ElementsAre;
using testing::HasSubstr;

class Folder {
 public:
  Folder() { EXPECT_NE(::mkdtemp(path_.data()), nullptr); }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator()));
  }

 private:
  std::string path_ = testing::TempDir() + "/clientXXXXXX";
};

auto parse(std::initializer_list<const char*> arguments) {
  return parse_client_arguments({arguments.begin(), arguments.size()});
}

TEST(ClientArguments, ReadsTheWalkthroughsCommands) {
  const auto prepare = parse({"--prepare", "--values", "v.txt", "--alias", "my-enclave-key"});
  ASSERT_THAT(prepare, IsOk());
  EXPECT_EQ(prepare->action, ClientOptions::Action::kPrepare);
  EXPECT_EQ(prepare->values, "v.txt");
  EXPECT_EQ(prepare->ciphertext, "string.encrypted");
  const auto submit = parse({"--submit", "--ciphertext=s", "--alias", "my-enclave-key", "--port=6000", "--enclave-cid", "16"});
  ASSERT_THAT(submit, IsOk());
  EXPECT_EQ(submit->action, ClientOptions::Action::kSubmit);
  EXPECT_EQ(submit->ciphertext, "s");
  EXPECT_EQ(submit->port, 6000u);
  EXPECT_EQ(submit->enclave_cid, 16u);
}

TEST(ClientArguments, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(parse({"--prepare", "--frobnicate"}), IsError(ErrorCode::kMalformed, HasSubstr("--frobnicate")));
  EXPECT_THAT(parse({"--prepare"}), IsError(ErrorCode::kMalformed, HasSubstr("--alias")));
  EXPECT_THAT(parse({"--prepare", "--submit", "--alias", "a"}), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(parse({}), IsError(ErrorCode::kMalformed, HasSubstr("--prepare or --submit")));
  EXPECT_THAT(parse({"--submit", "--port", "x"}), IsError(ErrorCode::kMalformed, HasSubstr("--port: x")));
  EXPECT_THAT(parse({"--submit", "--port"}), IsError(ErrorCode::kMalformed, HasSubstr("value missing")));
}

TEST(Values, AreSixteenDigitsALine) {
  EXPECT_THAT(parse_values("9245534598502032\r\n\n9558556907096609"),
              IsOkAnd(ElementsAre("9245534598502032", "9558556907096609")));
  EXPECT_THAT(parse_values(""), IsError(ErrorCode::kMalformed, HasSubstr("empty")));
  EXPECT_THAT(parse_values("\n\n"), IsError(ErrorCode::kMalformed, HasSubstr("empty")));
  EXPECT_THAT(parse_values("9245534598502032\n123\n"), IsError(ErrorCode::kMalformed, HasSubstr("line 2")));
}

TEST(Values, OfTheSampleAreNoCardNumbers) {
  const auto text = read_file(SAMPLE_FOLDER "/values.txt");
  ASSERT_THAT(text, IsOk());
  const auto values = parse_values(*text);
  ASSERT_THAT(values, IsOk());
  for (const std::string& value : *values) {
    int sum = 0;
    for (std::size_t i = 0; i < value.size(); ++i) {
      const int digit = value[i] - '0';
      sum += i % 2 != 0 ? digit : digit > 4 ? digit * 2 - 9 : digit * 2;
    }
    EXPECT_NE(sum % 10, 0) << value;
  }
}

TEST(Ciphertext, IsOneLineOfBase64) {
  EXPECT_THAT(parse_ciphertext("AQID\n"), IsOkAnd("AQID"));
  for (const char* text : {"", "\n", "AQID\nAQID", "not base64", "AQI"}) EXPECT_THAT(parse_ciphertext(text), IsError(ErrorCode::kMalformed)) << text;
}

TEST(Files, AreWholeOrAbsent) {
  const Folder folder;
  EXPECT_THAT(read_file(folder.file("missing")), IsError(ErrorCode::kNotFound, HasSubstr("missing: No such file")));
  ASSERT_THAT(write_file(folder.file("f"), "one\n"), IsOk());
  ASSERT_THAT(write_file(folder.file("f"), "two\n"), IsOk());
  EXPECT_THAT(read_file(folder.file("f")), IsOkAnd("two\n"));
  EXPECT_THAT(write_file(folder.file("no/f"), "x"), IsError(ErrorCode::kNotFound));
  std::filesystem::create_directory(folder.file("d"));
  EXPECT_THAT(write_file(folder.file("d"), "x"), IsError(ErrorCode::kInternal));
  EXPECT_EQ(folder.files(), 2u);
}

class Exchange : public testing::Test {
 protected:
  Exchange() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    ours_.reset(fds[0]);
    enclave_.reset(fds[1]);
  }

  UniqueFd ours_;
  UniqueFd enclave_;
};

TEST_F(Exchange, ReturnsTheLastFour) {
  std::thread enclave([&] {
    const auto request = casemate::message::receive(enclave_.get(), std::chrono::seconds{5});
    ASSERT_THAT(request, IsOk());
    EXPECT_EQ(request->size(), 5u);
    EXPECT_THAT(casemate::message::send(enclave_.get(), {{"last_four", "6609"}}, std::chrono::seconds{5}), IsOk());
  });
  const casemate::Credentials credentials{"ASIA", casemate::Secret::copy_of(casemate::as_bytes("key")), "token", {}};
  EXPECT_THAT(exchange(ours_.get(), request_fields(credentials, "us-east-1", "AQID")), IsOkAnd("6609"));
  enclave.join();
}

TEST_F(Exchange, NamesWhatTheEnclaveSays) {
  ASSERT_THAT(casemate::message::send(enclave_.get(), {{"error", "KMS Decrypt: AccessDeniedException: User: x\n"}}, std::chrono::seconds{5}), IsOk());
  EXPECT_THAT(exchange(ours_.get(), {}), IsError(ErrorCode::kDenied, "enclave: KMS Decrypt: AccessDeniedException: User: x?"));
}

TEST_F(Exchange, NamesAnEnclaveThatIsGone) {
  enclave_.reset();
  EXPECT_THAT(exchange(ours_.get(), {}), IsError(ErrorCode::kUnavailable, HasSubstr("enclave")));
}

}  // namespace
}  // namespace data_processing
