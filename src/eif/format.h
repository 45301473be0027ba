// SPDX-License-Identifier: Apache-2.0
// Enclave Image Format: header and section headers, big-endian (aws-nitro-enclaves-image-format, README).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace casemate::eif {

inline constexpr std::size_t kHeaderSize = 548;
inline constexpr std::size_t kCrcOffset = 544;  // the header's last field; the checksum is over everything else
inline constexpr std::size_t kSectionHeaderSize = 12;
inline constexpr std::size_t kMaxSections = 32;
inline constexpr std::size_t kMaxSignatureBytes = 32768;
inline constexpr std::size_t kMaxCustomMetadataBytes = 4096;
inline constexpr std::uint16_t kOldestVersion = 2;
inline constexpr std::uint16_t kNewestVersion = 4;
inline constexpr std::uint16_t kFlagArm64 = 1;
inline constexpr std::uint64_t kDefaultMemoryBytes = std::uint64_t{1} << 30;
inline constexpr std::uint64_t kDefaultCpus = 2;

enum class SectionType : std::uint16_t { kKernel = 1, kCmdline = 2, kRamdisk = 3, kSignature = 4, kMetadata = 5 };

std::string_view to_string(SectionType type);

struct Header {
  std::uint16_t version = kNewestVersion;
  std::uint16_t flags = 0;
  std::uint64_t default_memory = kDefaultMemoryBytes;
  std::uint64_t default_cpus = kDefaultCpus;
  std::uint16_t reserved = 0;
  std::uint16_t section_count = 0;
  std::array<std::uint64_t, kMaxSections> section_offsets{};  // of the section's header, from the start of the file
  std::array<std::uint64_t, kMaxSections> section_sizes{};    // of the data alone
  std::uint32_t unused = 0;
  std::uint32_t crc = 0;

  bool operator==(const Header&) const = default;
};

struct SectionHeader {
  SectionType type;
  std::uint16_t flags = 0;
  std::uint64_t size = 0;
};

// parse_header reads the first kHeaderSize bytes: magic, version and count are checked, the tables are not. Errors:
// kMalformed, kUnsupported (version).
Result<Header> parse_header(ByteView bytes);
Bytes encode_header(const Header& header);

// parse_section_header reads kSectionHeaderSize bytes. Errors: kMalformed (unknown type).
Result<SectionHeader> parse_section_header(ByteView bytes);
Bytes encode_section_header(const SectionHeader& header);

}  // namespace casemate::eif
