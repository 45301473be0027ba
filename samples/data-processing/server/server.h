// SPDX-License-Identifier: Apache-2.0
// The walkthrough's server: takes a request with the parent's credentials and a ciphertext, lets KMS decrypt it for this
// enclave alone, and replies with the value's last four characters.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "casemate/message.h"

namespace data_processing {

// Job is a request after its shape was checked.
struct Job {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  std::string region;
  casemate::Bytes ciphertext;
};

// parse_job reads `{"access_key_id","secret_access_key","token","region","ciphertext"}`, all strings, other members
// ignored. Errors: kMalformed, naming the member.
casemate::Result<Job> parse_job(const casemate::message::Fields& request);

// Decryptor turns a job into its plaintext; called from several threads.
using Decryptor = std::function<casemate::Result<casemate::Secret>(const Job&)>;

struct ServerOptions {
  casemate::message::Limits request;
  // How long a peer may take for its request, and for reading the reply.
  std::chrono::milliseconds patience{10'000};
  // One thread a connection; bounds memory at this many requests. One more is told that the server is busy.
  unsigned connections = 64;
};

class Server {
 public:
  // `out` gets every decrypted value, one a line: an enclave's console, and the leak that the walkthrough shows.
  Server(ServerOptions options, Decryptor decrypt, int out);
  // The destructor waits for the connections that are still served.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // serve accepts from a listening socket of any family until `stop` becomes readable. Errors: kInternal.
  casemate::Result<void> serve(int listener, int stop);

 private:
  struct Shared;

  void start(casemate::UniqueFd connection);

  std::shared_ptr<Shared> shared_;
};

// answer is one request's reply: {"last_four": ...} or {"error": ...}.
casemate::message::Fields answer(const casemate::message::Fields& request, const Decryptor& decrypt, int out);

}  // namespace data_processing
