// SPDX-License-Identifier: Apache-2.0
// The client's side of NSM: a hostile answer either parses to something that is written and read the same, or is an error.
#include "nsm/message.h"

using namespace casemate;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto response = nsm::parse_response(ByteView(data, size));
  if (!response.ok()) return 0;
  const Bytes written = nsm::encode_response(*response);
  const auto again = nsm::parse_response(written);
  CASEMATE_CHECK(again.ok() && again->index() == response->index() && nsm::encode_response(*again) == written);
  return 0;
}
