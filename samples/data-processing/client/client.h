// SPDX-License-Identifier: Apache-2.0
// The walkthrough's client, on the parent: `--prepare` encrypts one line of a file, `--submit` has the enclave decrypt it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "casemate/credentials.h"
#include "casemate/message.h"

namespace data_processing {

struct ClientOptions {
  enum class Action { kPrepare, kSubmit, kHelp };
  Action action = Action::kHelp;
  std::string values = "values.txt";
  std::string ciphertext = "string.encrypted";
  std::string alias;  // with or without `alias/`
  std::string region;
  std::optional<std::uint32_t> enclave_cid;
  std::uint32_t port = 5000;
};

extern const char* const kClientUsage;

// parse_client_arguments. Errors: kMalformed, to be answered with the usage and exit status 2.
casemate::Result<ClientOptions> parse_client_arguments(std::span<const char* const> arguments);

// parse_values reads one value of 16 digits a line; blank lines are skipped. Errors: kMalformed (naming the line; or no
// value at all).
casemate::Result<std::vector<std::string>> parse_values(std::string_view text);

// parse_ciphertext reads base64 on one line, as prepare wrote it. Errors: kMalformed.
casemate::Result<std::string> parse_ciphertext(std::string_view text);

// read_file reads at most 1 MiB. Errors: kNotFound, kDenied, kLimit, kInternal, all naming the path.
casemate::Result<std::string> read_file(const std::string& path);

// write_file puts a file in place whole or not at all.
casemate::Result<void> write_file(const std::string& path, std::string_view text);

// request_fields is what goes to the enclave.
casemate::message::Fields request_fields(const casemate::Credentials& credentials, std::string_view region, std::string_view ciphertext);

// exchange sends a request over a connected socket and returns the last four characters. Errors: what the enclave said
// (kDenied, `enclave: <its error>`); kUnavailable, kMalformed.
casemate::Result<std::string> exchange(int socket, const casemate::message::Fields& request);

// run does it all and prints to stdout.
casemate::Result<void> run(const ClientOptions& options);

}  // namespace data_processing
