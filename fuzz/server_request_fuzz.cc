// SPDX-License-Identifier: Apache-2.0
// The sample server's requests: framing does not depend on how the bytes arrive, what parses encodes and parses again, and
// no input makes the server reply with neither or both of its answers.
#include <unistd.h>

#include "base/check.h"
#include "base/bytes.h"
#include "server.h"

namespace {

using namespace casemate;

struct Framed {
  bool ok = false;
  std::string text;
};

Framed frame(ByteView input, std::size_t step) {
  message::Framer framer(message::Limits{4096});
  while (!input.empty()) {
    const ByteView piece = input.first(std::min(step, input.size()));
    const auto state = framer.feed(piece);
    if (!state) return {};
    if (*state == message::Framer::State::kComplete) return {true, std::string(framer.text())};
    input = input.subspan(piece.size());
  }
  CASEMATE_CHECK(!framer.end().ok());
  return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  const Framed whole = frame(input, size == 0 ? 1 : size);
  const Framed bytes = frame(input, 1);
  CASEMATE_CHECK(whole.ok == bytes.ok && whole.text == bytes.text);

  const auto fields = message::parse(as_text(input), message::Limits{4096});
  if (!fields) return 0;
  CASEMATE_CHECK(whole.ok);
  const auto again = message::parse(message::encode(*fields), message::Limits{32 * 1024});
  CASEMATE_CHECK(again.ok() && again->size() == fields->size());
  for (const auto& [name, value] : *fields) {
    const std::string* same = again->find(name);
    CASEMATE_CHECK(same != nullptr && *same == value);
  }

  const auto decrypt = [](const data_processing::Job& job) -> Result<Secret> {
    return Secret(Bytes(job.ciphertext));
  };
  const message::Fields reply = data_processing::answer(*fields, decrypt, -1);
  CASEMATE_CHECK(reply.size() == 1 && (reply.find("last_four") != nullptr) != (reply.find("error") != nullptr));
  if (const std::string* last_four = reply.find("last_four")) CASEMATE_CHECK(last_four->size() == 4);
  return 0;
}
