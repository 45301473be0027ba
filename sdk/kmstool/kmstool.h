// SPDX-License-Identifier: Apache-2.0
// kmstool_enclave_cli: AWS's commands, flags, checks and output lines, for programs in any language; beyond them further
// operations, encryption context, JSON output, and credentials that need not stand in argv.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "casemate/kms.h"

namespace casemate::kmstool {

struct Options {
  enum class Command { kDecrypt, kGenKey, kGenRandom, kEncrypt, kGenDataKeyPair, kDeriveSharedSecret };
  Command command = Command::kDecrypt;
  std::string region = "us-east-1";
  std::uint32_t proxy_port = 8000;
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  // A JSON object with the names of the AWS environment variables' last words, or of instance metadata.
  int credentials_fd = -1;
  std::string credentials_file;
  std::string ciphertext;
  std::string plaintext;
  std::string public_key;
  std::string key_id;
  std::string key_spec;
  std::string encryption_algorithm;
  kms::Client::EncryptionContext encryption_context;
  std::uint32_t length = 0;
  std::string host;
  std::string ca_file;
  bool json = false;
};

// Usage is what a wrong or empty command line, or --help, gets on stderr, with exit status 1 as AWS's tool has it.
struct Usage {
  std::string text;
};

// parse_arguments reads the arguments after the program's name; `environment` finds AWS_ACCESS_KEY_ID and the like where
// no flag names credentials.
using Environment = std::function<std::string(const char* name)>;
std::variant<Options, Usage> parse_arguments(std::span<const char* const> arguments, const Environment& environment);

// parse_credentials reads {"AccessKeyId","SecretAccessKey","Token" or "SessionToken"}. Errors: kMalformed.
Result<Credentials> parse_credentials(std::string_view text);

// run makes the call and returns what goes to stdout: `CIPHERTEXT: <base64>` and `PLAINTEXT: <base64>` lines, or JSON.
Result<Secret> run(const Options& options, const kms::Client& client);

// make_client connects options, module and proxy. Errors: as kms::Client::create; kMalformed, kNotFound (credentials).
Result<kms::Client> make_client(const Options& options);

}  // namespace casemate::kmstool
