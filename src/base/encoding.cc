// SPDX-License-Identifier: Apache-2.0
#include "base/encoding.h"

#include <array>

namespace casemate {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kBad = 0xff;

constexpr std::array<std::uint8_t, 256> reverse(std::string_view alphabet) {
  std::array<std::uint8_t, 256> table{};
  for (auto& entry : table) entry = kBad;
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}

constexpr auto kBase64Value = reverse(kBase64);

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string encode_hex(ByteView bytes) {
  std::string text(bytes.size() * 2, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    text[2 * i] = kHexDigits[bytes[i] >> 4];
    text[2 * i + 1] = kHexDigits[bytes[i] & 15];
  }
  return text;
}

Result<Bytes> decode_hex(std::string_view text) {
  if (text.size() % 2 != 0) return malformed("hex: {} digits, want an even number", text.size());
  Bytes out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return malformed("hex: offset {}: not a hexadecimal digit", high < 0 ? i : i + 1);
    out.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  return out;
}

std::string encode_base64(ByteView bytes) {
  std::string text((bytes.size() + 2) / 3 * 4, '=');
  std::size_t at = 0;
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3, at += 4) {
    const unsigned group = static_cast<unsigned>(bytes[i]) << 16 | static_cast<unsigned>(bytes[i + 1]) << 8 | bytes[i + 2];
    text[at] = kBase64[group >> 18];
    text[at + 1] = kBase64[group >> 12 & 63];
    text[at + 2] = kBase64[group >> 6 & 63];
    text[at + 3] = kBase64[group & 63];
  }
  if (const std::size_t left = bytes.size() - i; left != 0) {
    const unsigned group = static_cast<unsigned>(bytes[i]) << 16 | (left == 2 ? static_cast<unsigned>(bytes[i + 1]) << 8 : 0U);
    text[at] = kBase64[group >> 18];
    text[at + 1] = kBase64[group >> 12 & 63];
    if (left == 2) text[at + 2] = kBase64[group >> 6 & 63];
  }
  return text;
}

Result<Bytes> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return malformed("base64: {} characters, want a multiple of 4", text.size());
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  const auto value_at = [&](std::size_t i) { return unsigned{kBase64Value[static_cast<unsigned char>(text[i])]}; };
  // No value but kBad has a bit above the sixth.
  const auto bad_from = [&](std::size_t i) {
    while (value_at(i) != kBad) ++i;
    return malformed("base64: offset {}: not a base64 character", i);
  };
  const std::size_t digits = text.size() - padding;
  Bytes out(text.size() / 4 * 3 - padding);
  std::size_t at = 0;
  std::size_t i = 0;
  for (; i + 4 <= digits; i += 4, at += 3) {
    const unsigned a = value_at(i);
    const unsigned b = value_at(i + 1);
    const unsigned c = value_at(i + 2);
    const unsigned d = value_at(i + 3);
    if ((a | b | c | d) > 63) return bad_from(i);
    out[at] = static_cast<std::uint8_t>(a << 2 | b >> 4);
    out[at + 1] = static_cast<std::uint8_t>(b << 4 | c >> 2);
    out[at + 2] = static_cast<std::uint8_t>(c << 6 | d);
  }
  if (padding == 0) return out;
  unsigned group = 0;
  for (std::size_t j = i; j < digits; ++j) {
    if (value_at(j) == kBad) return bad_from(j);
    group = group << 6 | value_at(j);
  }
  if ((group & (padding == 1 ? 3U : 15U)) != 0) return malformed("base64: trailing bits are not zero");
  if (padding == 1) {
    out[at] = static_cast<std::uint8_t>(group >> 10);
    out[at + 1] = static_cast<std::uint8_t>(group >> 2);
  } else {
    out[at] = static_cast<std::uint8_t>(group >> 4);
  }
  return out;
}

}  // namespace casemate
