// SPDX-License-Identifier: Apache-2.0
#include "server.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#include "casemate/encoding.h"
#include "reply.h"

namespace data_processing {

using casemate::Error;
using casemate::ErrorCode;
using casemate::Result;
using casemate::Secret;
using casemate::message::Fields;

namespace {

// How long a refused peer has to read why.
constexpr std::chrono::milliseconds kFarewell{1000};

void print_line(int out, casemate::ByteView value) {
  char newline = '\n';
  const iovec parts[] = {{const_cast<std::uint8_t*>(value.data()), value.size()}, {&newline, 1}};
  // A console that nobody reads must not stop the server.
  [[maybe_unused]] const auto written = ::writev(out, parts, 2);
}

Fields refusal(const Error& error) {
  return {{"error", error.message()}};
}

Result<std::string> required(const Fields& request, std::string_view name) {
  auto value = request.require(name);
  if (!value) return std::move(value).error();
  return std::string(*value);
}

}  // namespace

Result<Job> parse_job(const Fields& request) {
  Job job;
  const std::pair<const char*, std::string*> members[] = {{"access_key_id", &job.access_key_id},
                                                          {"secret_access_key", &job.secret_access_key},
                                                          {"token", &job.session_token},
                                                          {"region", &job.region}};
  for (const auto& [name, target] : members) {
    auto value = required(request, name);
    if (!value) return std::move(value).error();
    *target = value.take();
  }
  auto ciphertext = required(request, "ciphertext");
  if (!ciphertext) return std::move(ciphertext).error();
  auto bytes = casemate::decode_base64(*ciphertext);
  if (!bytes) return std::move(bytes).error().in("request: ciphertext");
  if (bytes->empty()) return Error(ErrorCode::kMalformed, "request: ciphertext: empty");
  job.ciphertext = bytes.take();
  return job;
}

Fields answer(const Fields& request, const Decryptor& decrypt, int out) {
  const auto job = parse_job(request);
  if (!job) return refusal(job.error());
  const Result<Secret> plaintext = decrypt(*job);
  if (!plaintext) return refusal(plaintext.error());
  const casemate::ByteView value = plaintext->expose();
  print_line(out, value);
  auto reply = what_leaves_the_enclave({reinterpret_cast<const char*>(value.data()), value.size()});
  if (!reply) return refusal(reply.error());
  return {{"last_four", reply.take()}};
}

// Threads hold it too, so it outlives the server only while one of them ends.
struct Server::Shared {
  ServerOptions options;
  Decryptor decrypt;
  int out = -1;
  std::mutex mutex;
  std::condition_variable ended;
  unsigned running = 0;
};

Server::Server(ServerOptions options, Decryptor decrypt, int out) : shared_(std::make_shared<Shared>()) {
  shared_->options = options;
  shared_->decrypt = std::move(decrypt);
  shared_->out = out;
}

Server::~Server() {
  std::unique_lock lock(shared_->mutex);
  shared_->ended.wait(lock, [&] { return shared_->running == 0; });
}

void Server::start(casemate::UniqueFd connection) {
  const auto refuse = [&](const char* why) {
    // A reply this small fits the socket's buffer: this does not hold up the next connection.
    if (casemate::message::send(connection.get(), {{"error", why}}, std::chrono::milliseconds{0})) return;
  };
  {
    const std::scoped_lock lock(shared_->mutex);
    if (shared_->running >= shared_->options.connections) return refuse("the server is busy: try again");
    ++shared_->running;
  }
  const auto work = [shared = shared_](casemate::UniqueFd peer) {
    const ServerOptions& options = shared->options;
    auto request = casemate::message::receive(peer.get(), options.patience, options.request);
    const Fields reply = request ? answer(*request, shared->decrypt, shared->out) : refusal(request.error());
    if (casemate::message::send(peer.get(), reply, options.patience)) casemate::message::finish(peer.get(), kFarewell);
    peer.reset();
    const std::scoped_lock lock(shared->mutex);
    --shared->running;
    shared->ended.notify_all();
  };
  try {
    std::thread(work, std::move(connection)).detach();
  } catch (const std::system_error&) {
    // No thread to be had: the connection went with the attempt.
    const std::scoped_lock lock(shared_->mutex);
    --shared_->running;
  }
}

Result<void> Server::serve(int listener, int stop) {
  for (;;) {
    pollfd entries[] = {{listener, POLLIN, 0}, {stop, POLLIN, 0}};
    if (::poll(entries, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return Error(ErrorCode::kInternal, std::string("poll: ") + std::strerror(errno));
    }
    if (entries[1].revents != 0) return {};
    if (entries[0].revents == 0) continue;
    casemate::UniqueFd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection) {
      start(std::move(connection));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // The connection stays in the backlog until one of ours ends.
      ::poll(nullptr, 0, 100);
    } else if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK) {
      return Error(ErrorCode::kInternal, std::string("accept: ") + std::strerror(errno));
    }
  }
}

}  // namespace data_processing
