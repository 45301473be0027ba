// @NAME@ on the parent: sends a ciphertext to the first running enclave and prints what comes back.
#include <casemate/message.h>
#include <casemate/parent.h>

#include <cstdio>

using namespace casemate;

namespace {

constexpr std::uint32_t kPort = 5000;
constexpr std::chrono::seconds kPatience{20};

int fail(const Error& error) {
  std::fprintf(stderr, "client: %s\n", error.message().c_str());
  return 1;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: client BASE64_CIPHERTEXT\n");
    return 2;
  }
  const auto enclave = parent::first_enclave(kPatience);
  if (!enclave) return fail(enclave.error());
  const auto connection = parent::connect({enclave->cid, kPort}, kPatience);
  if (!connection) return fail(connection.error());
  if (const auto sent = message::send(connection->get(), {{"ciphertext", arguments[1]}}, kPatience); !sent) return fail(sent.error());
  const auto reply = message::receive(connection->get(), kPatience);
  if (!reply) return fail(reply.error());
  if (const std::string* error = reply->find("error")) return fail({ErrorCode::kDenied, *error});
  for (const auto& [name, value] : *reply) std::printf("%s: %s\n", name.c_str(), value.c_str());
}
