// SPDX-License-Identifier: Apache-2.0
// What the SDK adds to a call: attested decryptions end to end in one process, with the service's and the module's own time
// taken out, and beside it, in turn, the RSA decryption that opening the answer needs and an exchange of as many bytes, by
// nothing but write and read, with the same server, which works for as long. All on one processor: client and server take
// turns, and waking another one that has fallen idle costs more than what is measured. Usage: sdk_bench [calls].
#include <sched.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "crypto/rsa.h"
#include "tests/channel/stack.h"

namespace casemate::channel {
namespace {

using Steady = std::chrono::steady_clock;

double micros(Steady::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// BareClient exchanges bytes of a size.
class BareClient {
 public:
  BareClient(Wire& wire, std::size_t request, std::size_t response) : fd_(wire.connector()(1s).take()), response_(response) {
    request_ = fmt::format("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{}", request, std::string(request, 'x'));
  }
  void exchange() {
    const sdk::Deadline deadline(60s);
    CASEMATE_CHECK(sdk::write_all(fd_.get(), as_bytes(request_), deadline).ok());
    for (std::size_t got = 0; got < response_;) got += sdk::read_some(fd_.get(), buffer_, deadline).value();
  }

 private:
  UniqueFd fd_;
  std::string request_;
  std::size_t response_;
  std::array<std::uint8_t, 65536> buffer_{};
};

int run(int calls) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(::sched_getcpu(), &one);
  CASEMATE_CHECK(::sched_setaffinity(0, sizeof one, &one) == 0);
  const SystemClock clock;
  Stack stack(clock);
  Steady::duration in_service{};
  Steady::duration in_module{};
  Wire metadata([&](const http::Request& request) { return stack.metadata->handle(request); });
  std::size_t request_bytes = 0;
  std::size_t response_bytes = 0;
  Wire wire([&](const http::Request& request) {
    const auto begin = Steady::now();
    auto response = stack.service->handle(request);
    in_service = Steady::now() - begin;
    request_bytes = request.body.size();
    response_bytes = response.body.size();
    return response;
  });
  Wire bare_wire([&](const http::Request&) {
    for (const auto begin = Steady::now(); Steady::now() - begin < in_service;) {
    }
    http::Response response;
    response.status = 200;
    response.body.assign(response_bytes, 'x');
    return response;
  });
  const std::string key = create_key(*stack.service, clock);
  auto options = stack.client_options(wire);
  const auto sealed = kms::Client::create(options).take().encrypt({key, Secret::copy_of(as_bytes(std::string_view("value"))), {}}).take();
  options.credentials = stack.role_credentials(metadata);
  options.recipient = kms::Recipient::create(nsm::Client([&](ByteView request) -> Result<Bytes> {
                        const auto begin = Steady::now();
                        auto response = stack.device->handle(request);
                        in_module = Steady::now() - begin;
                        return response;
                      })).take();
  const auto enclave = kms::Client::create(options).take();
  const auto own = crypto::RsaPrivateKey::generate(2048).take();
  const Bytes wrapped = own.public_key().encrypt_oaep_sha256(Bytes(32, 1)).take();

  CASEMATE_CHECK(enclave.decrypt({sealed.ciphertext, {}, {}, {}}).ok());
  BareClient bare_client(bare_wire, request_bytes, response_bytes);

  std::vector<double> total, service, module, rsa, bare, added;
  for (int i = -20; i < calls; ++i) {
    const auto begin = Steady::now();
    const auto opened = enclave.decrypt({sealed.ciphertext, {}, {}, {}});
    const auto end = Steady::now();
    CASEMATE_CHECK(opened.ok());
    const auto bare_begin = Steady::now();
    bare_client.exchange();
    const auto bare_time = Steady::now() - bare_begin - in_service;
    const auto rsa_begin = Steady::now();
    CASEMATE_CHECK(own.decrypt_oaep_sha256(wrapped).ok());
    const auto rsa_end = Steady::now();
    if (i < 0) continue;
    total.push_back(micros(end - begin));
    service.push_back(micros(in_service));
    module.push_back(micros(in_module));
    rsa.push_back(micros(rsa_end - rsa_begin));
    bare.push_back(micros(bare_time));
    added.push_back(micros(end - begin - in_service - in_module - (rsa_end - rsa_begin) - bare_time));
  }
  std::printf("attested Decrypt, %d calls, median in us\n", calls);
  std::printf("end to end            %8.0f   (%.0f a second)\n", median(total), 1e6 / median(total));
  std::printf("  the service         %8.0f   (%.0f a second)\n", median(service), 1e6 / median(service));
  std::printf("  the module          %8.0f\n", median(module));
  std::printf("  RSA-2048 decryption %8.0f\n", median(rsa));
  std::printf("  a bare exchange     %8.0f   (%zu bytes there, %zu back)\n", median(bare), request_bytes, response_bytes);
  std::printf("  what the SDK adds   %8.0f\n", median(added));
  return 0;
}

}  // namespace
}  // namespace casemate::channel

int main(int argc, char** argv) {
  return casemate::channel::run(argc > 1 ? std::atoi(argv[1]) : 1000);
}
