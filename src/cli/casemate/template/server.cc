// @NAME@ in the enclave: decrypts what it is sent with a key that KMS releases to this image only, and gives back no more
// than it must.
#include <casemate/encoding.h>
#include <casemate/kms.h>
#include <casemate/message.h>
#include <casemate/vsock.h>

#include <poll.h>
#include <sys/socket.h>

#include <cstdio>
#include <thread>

using namespace casemate;

namespace {

constexpr std::uint32_t kPort = 5000;
constexpr std::chrono::seconds kPatience{20};

// What leaves the enclave: this function is the application. Everything else may stay as it is.
message::Fields result_for(const Secret& plaintext) {
  const ByteView value = plaintext.expose();
  const std::size_t shown = value.size() < 8 ? 0 : 4;
  return {{"bytes", std::to_string(value.size())}, {"last", std::string(value.end() - static_cast<std::ptrdiff_t>(shown), value.end())}};
}

Result<message::Fields> answer(const message::Fields& request, const kms::Client& client) {
  const auto encoded = request.require("ciphertext");
  if (!encoded) return encoded.error();
  auto ciphertext = decode_base64(*encoded);
  if (!ciphertext) return ciphertext.error();
  const auto decrypted = client.decrypt({ciphertext.take(), {}, {}, {}});
  if (!decrypted) return decrypted.error();
  return result_for(decrypted->plaintext);
}

void serve(UniqueFd connection, const kms::Client& client) {
  const auto request = message::receive(connection.get(), kPatience);
  auto reply = request ? answer(*request, client) : Result<message::Fields>(request.error());
  if (!reply) reply = message::Fields{{"error", reply.error().message()}};
  if (message::send(connection.get(), *reply, kPatience)) message::finish(connection.get(), std::chrono::seconds{1});
}

int fail(const Error& error) {
  std::fprintf(stderr, "server: %s\n", error.message().c_str());
  return 1;
}

}  // namespace

int main() {
  auto module = nsm::Client::open();
  if (!module) return fail(module.error());
  auto recipient = kms::Recipient::create(module.take());
  if (!recipient) return fail(recipient.error());

  kms::Client::Options options;
  options.region = "@REGION@";
  options.credentials = vsock_credentials();  // casemate-credentials-server on the parent, port 8001
  options.recipient = recipient.take();       // every answer is encrypted to this enclave
  auto client = kms::Client::create(std::move(options));  // by way of vsock-proxy, port 8000
  if (!client) return fail(client.error());

  const auto listener = vsock::listen(kPort);
  if (!listener) return fail(listener.error());
  std::printf("server: listening on vsock port %u\n", kPort);
  std::fflush(stdout);
  for (;;) {
    pollfd ready{listener->get(), POLLIN, 0};
    ::poll(&ready, 1, -1);
    UniqueFd connection(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection) std::thread(serve, std::move(connection), std::cref(*client)).detach();
  }
}
