// SPDX-License-Identifier: Apache-2.0
// Reads one CBOR item in hexadecimal a line with libcbor and says `accept` and its content in the notation of
// cbor_differential.py, `trailing` if bytes are left, or `reject`. Kept apart from our reader: no code is shared but the
// decoding of the lines.
#include <cbor.h>
#include <sys/resource.h>

#include <iostream>

#include "base/encoding.h"

namespace {

using namespace casemate;

std::string describe(const cbor_item_t* item);

std::string bytes_of(const cbor_item_t* item) {
  if (cbor_bytestring_is_definite(item)) return encode_hex(ByteView(cbor_bytestring_handle(item), cbor_bytestring_length(item)));
  std::string out;
  for (std::size_t i = 0; i < cbor_bytestring_chunk_count(item); ++i) out += bytes_of(cbor_bytestring_chunks_handle(item)[i]);
  return out;
}

std::string text_of(const cbor_item_t* item) {
  if (cbor_string_is_definite(item)) return encode_hex(ByteView(cbor_string_handle(item), cbor_string_length(item)));
  std::string out;
  for (std::size_t i = 0; i < cbor_string_chunk_count(item); ++i) out += text_of(cbor_string_chunks_handle(item)[i]);
  return out;
}

std::string describe(const cbor_item_t* item) {
  switch (cbor_typeof(item)) {
    case CBOR_TYPE_UINT: return fmt::format("{}", cbor_get_int(item));
    case CBOR_TYPE_NEGINT: {
      const std::uint64_t magnitude = cbor_get_int(item);
      if (magnitude > static_cast<std::uint64_t>(INT64_MAX)) return "big";
      return fmt::format("{}", -1 - static_cast<std::int64_t>(magnitude));
    }
    case CBOR_TYPE_BYTESTRING: return "h" + bytes_of(item);
    case CBOR_TYPE_STRING: return "t" + text_of(item);
    case CBOR_TYPE_ARRAY: {
      std::string out = "[";
      for (std::size_t i = 0; i < cbor_array_size(item); ++i) out += describe(cbor_array_handle(item)[i]) + ",";
      return out + "]";
    }
    case CBOR_TYPE_MAP: {
      std::string out = "{";
      for (std::size_t i = 0; i < cbor_map_size(item); ++i) {
        out += describe(cbor_map_handle(item)[i].key) + ":";
        out += describe(cbor_map_handle(item)[i].value) + ",";
      }
      return out + "}";
    }
    case CBOR_TYPE_TAG: {
      cbor_item_t* inner = cbor_tag_item(item);
      const std::string text = fmt::format("{}({})", cbor_tag_value(item), describe(inner));
      cbor_decref(&inner);
      return text;
    }
    case CBOR_TYPE_FLOAT_CTRL: break;
  }
  if (cbor_float_ctrl_is_ctrl(item)) {
    const std::uint8_t value = cbor_ctrl_value(item);
    if (value == CBOR_CTRL_FALSE || value == CBOR_CTRL_TRUE) return value == CBOR_CTRL_TRUE ? "true" : "false";
    if (value == CBOR_CTRL_NULL) return "null";
  }
  return "x";
}

std::string run(std::string_view line) {
  const auto input = decode_hex(line);
  if (!input.ok()) return "reject not hexadecimal";
  cbor_load_result result{};
  cbor_item_t* item = cbor_load(input->data(), input->size(), &result);
  if (item == nullptr) return fmt::format("reject {}", static_cast<int>(result.error.code));
  const std::string text = (result.read == input->size() ? "accept " : "trailing ") + describe(item);
  cbor_decref(&item);
  return text;
}

}  // namespace

int main() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // libcbor 0.8 allocates what a head announces: 2 GB for nine bytes. So it fails instead.
  const rlimit most{64 << 20, 64 << 20};
  setrlimit(RLIMIT_DATA, &most);
#endif
  std::string line;
  while (std::getline(std::cin, line)) std::cout << run(line) << '\n';
}
