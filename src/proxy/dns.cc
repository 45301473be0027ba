// SPDX-License-Identifier: Apache-2.0
#include "proxy/dns.h"

#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>

#include <algorithm>
#include <array>

namespace casemate::proxy {
namespace {

constexpr std::uint16_t kTypeA = 1;
constexpr std::uint16_t kTypeCname = 5;
constexpr std::uint16_t kTypeAaaa = 28;

// A name is a run of labels that ends with an empty one or with a pointer, which is not followed: what it names does not
// matter here.
Result<void> skip_name(ByteReader& reader) {
  for (;;) {
    const std::uint8_t length = TRY(reader.read_u8());
    if (length == 0) return {};
    if ((length & 0xc0) == 0xc0) {
      TRY(reader.read_u8());
      return {};
    }
    if ((length & 0xc0) != 0) return malformed("dns: label of an unknown kind");
    TRY(reader.read(length));
  }
}

Result<std::uint32_t> read_number(ByteReader& reader, std::size_t bytes) {
  std::uint32_t out = 0;
  for (const std::uint8_t byte : TRY(reader.read(bytes))) out = out << 8 | byte;
  return out;
}

Result<std::optional<std::chrono::seconds>> read_ttl(ByteView response) {
  ByteReader reader(response);
  TRY(reader.read(2));
  const std::uint32_t flags = TRY(read_number(reader, 2));
  if ((flags & 0x8000) == 0) return malformed("dns: not a response");
  const std::uint32_t questions = TRY(read_number(reader, 2));
  const std::uint32_t answers = TRY(read_number(reader, 2));
  TRY(reader.read(4));
  for (std::uint32_t i = 0; i < questions; ++i) {
    TRY(skip_name(reader));
    TRY(reader.read(4));
  }
  std::optional<std::chrono::seconds> smallest;
  for (std::uint32_t i = 0; i < answers; ++i) {
    TRY(skip_name(reader));
    const std::uint32_t type = TRY(read_number(reader, 2));
    TRY(reader.read(2));
    const std::uint32_t ttl = TRY(read_number(reader, 4));
    TRY(reader.read(TRY(read_number(reader, 2))));
    if (type != kTypeA && type != kTypeAaaa && type != kTypeCname) continue;
    const std::chrono::seconds lives((ttl & 0x80000000U) != 0 ? 0 : ttl);
    smallest = smallest ? std::min(*smallest, lives) : lives;
  }
  return smallest;
}

std::optional<std::chrono::seconds> ask(res_state state, const std::string& host, std::uint16_t type) {
  std::array<std::uint8_t, 4096> buffer{};
  const int size = ::res_nquery(state, host.c_str(), C_IN, type, buffer.data(), static_cast<int>(buffer.size()));
  if (size <= 0) return std::nullopt;
  return smallest_ttl(ByteView(buffer).first(std::min(buffer.size(), static_cast<std::size_t>(size))));
}

}  // namespace

std::optional<std::chrono::seconds> smallest_ttl(ByteView response) {
  auto ttl = read_ttl(response);
  return ttl.ok() ? *ttl : std::nullopt;
}

std::optional<std::chrono::seconds> dns_ttl(const std::string& host, Family family) {
  struct __res_state state {};
  if (::res_ninit(&state) != 0) return std::nullopt;
  state.retrans = 1;
  state.retry = 1;
  std::optional<std::chrono::seconds> smallest;
  for (const auto& [type, wanted] : {std::pair(kTypeA, family != Family::kIpv6), std::pair(kTypeAaaa, family != Family::kIpv4)}) {
    if (!wanted) continue;
    const auto ttl = ask(&state, host, type);
    if (ttl) smallest = smallest ? std::min(*smallest, *ttl) : *ttl;
  }
  ::res_nclose(&state);
  return smallest;
}

}  // namespace casemate::proxy
