// SPDX-License-Identifier: Apache-2.0
#include "eif/format.h"

namespace casemate::eif {

namespace {
constexpr std::string_view kMagic = ".eif";
}  // namespace

std::string_view to_string(SectionType type) {
  switch (type) {
    case SectionType::kKernel: return "kernel";
    case SectionType::kCmdline: return "cmdline";
    case SectionType::kRamdisk: return "ramdisk";
    case SectionType::kSignature: return "signature";
    case SectionType::kMetadata: return "metadata";
  }
  return "unknown";
}

Result<Header> parse_header(ByteView bytes) {
  if (bytes.size() < kHeaderSize) return malformed("EIF header: {} bytes, want {}", bytes.size(), kHeaderSize);
  ByteReader reader(bytes.first(kHeaderSize));
  if (as_text(TRY(reader.read(kMagic.size()))) != kMagic) return malformed("EIF header: no \".eif\" at the start");
  Header header;
  header.version = TRY(reader.read_u16());
  if (header.version < kOldestVersion || header.version > kNewestVersion) {
    return unsupported("EIF header: version {}, want {} to {}", header.version, kOldestVersion, kNewestVersion);
  }
  header.flags = TRY(reader.read_u16());
  header.default_memory = TRY(reader.read_u64());
  header.default_cpus = TRY(reader.read_u64());
  header.reserved = TRY(reader.read_u16());
  header.section_count = TRY(reader.read_u16());
  if (header.section_count > kMaxSections) {
    return malformed("EIF header: {} sections, want at most {}", header.section_count, kMaxSections);
  }
  for (auto& offset : header.section_offsets) offset = TRY(reader.read_u64());
  for (auto& size : header.section_sizes) size = TRY(reader.read_u64());
  header.unused = TRY(reader.read_u32());
  header.crc = TRY(reader.read_u32());
  return header;
}

Bytes encode_header(const Header& header) {
  Bytes out;
  out.reserve(kHeaderSize);
  append(out, as_bytes(kMagic));
  append_be<2>(out, header.version);
  append_be<2>(out, header.flags);
  append_be<8>(out, header.default_memory);
  append_be<8>(out, header.default_cpus);
  append_be<2>(out, header.reserved);
  append_be<2>(out, header.section_count);
  for (const auto offset : header.section_offsets) append_be<8>(out, offset);
  for (const auto size : header.section_sizes) append_be<8>(out, size);
  append_be<4>(out, header.unused);
  append_be<4>(out, header.crc);
  return out;
}

Result<SectionHeader> parse_section_header(ByteView bytes) {
  ByteReader reader(bytes);
  const std::uint16_t type = TRY(reader.read_u16());
  if (type < 1 || type > 5) return malformed("EIF section: type {}, want 1 to 5", type);
  SectionHeader header{static_cast<SectionType>(type)};
  header.flags = TRY(reader.read_u16());
  header.size = TRY(reader.read_u64());
  return header;
}

Bytes encode_section_header(const SectionHeader& header) {
  Bytes out;
  append_be<2>(out, static_cast<std::uint16_t>(header.type));
  append_be<2>(out, header.flags);
  append_be<8>(out, header.size);
  return out;
}

}  // namespace casemate::eif
