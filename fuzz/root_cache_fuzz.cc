// SPDX-License-Identifier: Apache-2.0
// Records of measured images and of unpacked roots. What is read is written again byte for byte. The checksum at the end is
// put right first, so that the fuzzer gets behind it; the first byte picks one.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "runtime/measured_images.h"
#include "runtime/sandbox/root_record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace casemate;
  if (size == 0) return 0;
  Bytes input(data + 1, data + size);
  if (input.size() >= 32) {
    const auto sum = crypto::sha256(ByteView(input).first(input.size() - 32));
    std::copy(sum.begin(), sum.end(), input.end() - 32);
  }
  if (data[0] % 2 == 0) {
    const auto record = runtime::parse_image_record(input);
    if (record.ok() && runtime::encode_image_record(*record) != input) std::abort();
  } else {
    const auto record = runtime::sandbox::parse_root_record(input);
    if (!record.ok()) return 0;
    if (record->lists.command.size() > runtime::sandbox::kMaxListBytes || record->lists.environment.size() > runtime::sandbox::kMaxListBytes) std::abort();
    if (runtime::sandbox::encode_root_record(*record) != input) std::abort();
  }
  return 0;
}
