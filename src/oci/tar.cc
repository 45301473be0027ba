// SPDX-License-Identifier: Apache-2.0
#include "oci/tar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <string_view>

namespace casemate::oci {

namespace {

constexpr std::size_t kBlock = 512;
constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();

struct Field {
  std::size_t offset;
  std::size_t size;
};
constexpr Field kName{0, 100};
constexpr Field kMode{100, 8};
constexpr Field kUid{108, 8};
constexpr Field kGid{116, 8};
constexpr Field kSize{124, 12};
constexpr Field kMtime{136, 12};
constexpr Field kChecksum{148, 8};
constexpr std::size_t kType = 156;
constexpr Field kLink{157, 100};
constexpr Field kMagic{257, 8};
constexpr Field kMajor{329, 8};
constexpr Field kMinor{337, 8};
constexpr Field kPrefix{345, 155};
// Old GNU sparse files: four map entries here, a flag for more blocks of 21, the real size.
constexpr std::size_t kSparseMap = 386;
constexpr std::size_t kSparseEntries = 4;
constexpr std::size_t kSparseExtended = 482;
constexpr Field kSparseRealSize{483, 12};
constexpr std::size_t kExtensionEntries = 21;
constexpr std::size_t kExtensionExtended = 504;

ByteView at(ByteView header, Field field) { return header.subspan(field.offset, field.size); }

std::string text_of(ByteView field) {
  const auto end = std::find(field.begin(), field.end(), std::uint8_t{0});
  return {field.begin(), end};
}

// parse_number reads octal text, or base 256 where the first bit is set (GNU; two's complement in the other bits).
Result<std::int64_t> parse_number(ByteView field, std::string_view name) {
  if ((field[0] & 0x80) != 0) {
    const bool negative = (field[0] & 0x40) != 0;
    std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
    for (std::size_t i = 0; i < field.size(); ++i) {
      std::uint8_t byte = field[i];
      if (i == 0) byte = negative ? byte : static_cast<std::uint8_t>(byte & 0x7f);
      if (value >> 55 != (negative ? 0x1ff : 0)) return malformed("{}: base-256 number beyond 63 bits", name);
      value = value << 8 | byte;
    }
    return static_cast<std::int64_t>(value);
  }
  std::uint64_t value = 0;
  std::size_t i = 0;
  while (i < field.size() && field[i] == ' ') ++i;
  for (; i < field.size() && field[i] != 0 && field[i] != ' '; ++i) {
    if (field[i] < '0' || field[i] > '7') return malformed("{}: byte {:#04x}, want an octal digit", name, field[i]);
    value = value << 3 | (field[i] - std::uint64_t{'0'});
  }
  for (; i < field.size(); ++i) {
    if (field[i] != 0 && field[i] != ' ') return malformed("{}: digits after the end of the number", name);
  }
  return static_cast<std::int64_t>(value);  // at most 36 bits
}

Result<std::uint64_t> parse_unsigned(ByteView field, std::string_view name, std::uint64_t limit = kLargest) {
  const std::int64_t value = TRY(parse_number(field, name));
  if (value < 0 || static_cast<std::uint64_t>(value) > limit) return malformed("{}: {}, want 0 to {}", name, value, limit);
  return static_cast<std::uint64_t>(value);
}

Result<std::uint32_t> parse_u32(ByteView field, std::string_view name) {
  return static_cast<std::uint32_t>(TRY(parse_unsigned(field, name, 0xffffffff)));
}

Result<std::uint64_t> parse_decimal(std::string_view text, std::string_view name, std::uint64_t limit = kLargest) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty() || value > limit) {
    return malformed("{}: not a decimal number up to {}", name, limit);
  }
  return value;
}

// A pax time is decimal seconds with a fraction, possibly negative; the fraction is cut towards the past.
Result<std::int64_t> parse_pax_time(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const std::size_t point = std::min(text.find('.'), text.size());
  const std::uint64_t whole = TRY(parse_decimal(text.substr(0, point), "pax mtime"));
  const std::string_view fraction = text.substr(std::min(point + 1, text.size()));
  if (fraction.find_first_not_of("0123456789") != std::string_view::npos) return malformed("pax mtime: not a decimal number");
  const bool has_fraction = fraction.find_first_not_of('0') != std::string_view::npos;
  const auto seconds = static_cast<std::int64_t>(whole);
  return negative ? -seconds - (has_fraction ? 1 : 0) : seconds;
}

Result<void> check_sum(ByteView header) {
  const std::int64_t stored = TRY(parse_number(at(header, kChecksum), "checksum"));
  std::int64_t as_unsigned = 0;
  std::int64_t as_signed = 0;  // some old writers
  for (std::size_t i = 0; i < kBlock; ++i) {
    const bool own = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.size;
    const std::uint8_t byte = own ? std::uint8_t{' '} : header[i];
    as_unsigned += byte;
    as_signed += static_cast<std::int8_t>(byte);
  }
  if (stored != as_unsigned && stored != as_signed) return malformed("checksum {}, want {}", stored, as_unsigned);
  return {};
}

Result<std::vector<std::pair<std::string, std::string>>> parse_pax(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> records;
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos || space > 20) return malformed("pax record: no length");
    const std::uint64_t length = TRY(parse_decimal(text.substr(0, space), "pax record length"));
    if (length > text.size() || length < space + 2) return malformed("pax record: {} bytes announced, {} left", length, text.size());
    const std::string_view record = text.substr(space + 1, static_cast<std::size_t>(length) - space - 1);
    const std::size_t equals = record.find('=');
    if (record.back() != '\n' || equals == std::string_view::npos || equals == 0) return malformed("pax record: not `key=value` and a line end");
    records.emplace_back(record.substr(0, equals), record.substr(equals + 1, record.size() - equals - 2));
    text.remove_prefix(static_cast<std::size_t>(length));
  }
  return records;
}

Result<std::string> without_nul(std::string_view value, std::string_view name) {
  if (value.find('\0') != std::string_view::npos) return malformed("{}: holds a NUL byte", name);
  return std::string(value);
}

const std::string* find(const std::vector<std::pair<std::string, std::string>>& records, std::string_view key) {
  const std::string* found = nullptr;
  for (const auto& [name, value] : records) {
    if (name == key) found = &value;  // POSIX: the last one counts
  }
  return found != nullptr && found->empty() ? nullptr : found;  // POSIX: an empty value takes the header's field back
}

}  // namespace

Result<std::size_t> TarReader::fill(std::span<std::uint8_t> out) {
  std::size_t have = 0;
  while (have < out.size()) {
    const std::size_t count = TRY(stream_.read(out.subspan(have)));
    if (count == 0) break;
    have += count;
  }
  offset_ += have;
  return have;
}

Result<void> TarReader::read_block(std::span<std::uint8_t> block) {
  if (TRY(fill(block)) < block.size()) return malformed("tar: input ends at {} inside an entry", offset_);
  return {};
}

Result<void> TarReader::skip(std::uint64_t count) {
  if (count > kLargest - offset_) return malformed("tar: entry at {} reaches beyond 8 EiB", offset_);
  if (count == 0) return {};
  // The last byte is read, for a stream may skip beyond its end without noticing.
  TRY(stream_.skip(count - 1));
  offset_ += count - 1;
  std::uint8_t last = 0;
  return read_block(std::span(&last, 1));
}

Result<std::string> TarReader::read_extension(std::uint64_t size) {
  if (size > limits_.extension_bytes) return over_limit("tar: extension of {} bytes at {}, limit {}", size, offset_, limits_.extension_bytes);
  std::string text(static_cast<std::size_t>(size), '\0');
  TRY(read_block({reinterpret_cast<std::uint8_t*>(text.data()), text.size()}));
  TRY(skip((kBlock - size % kBlock) % kBlock));
  return text;
}

Result<void> TarReader::read_old_gnu_map(ByteView header, TarEntry& entry) {
  entry.segments.clear();
  const auto take = [&](ByteView entries, std::size_t count) -> Result<void> {
    for (std::size_t i = 0; i < count; ++i) {
      const ByteView raw = entries.subspan(24 * i, 24);
      if (raw[0] == 0) break;
      Segment segment;
      segment.file_offset = TRY(parse_unsigned(raw.first(12), "sparse offset"));
      segment.length = TRY(parse_unsigned(raw.subspan(12), "sparse length"));
      entry.segments.push_back(segment);
      if (entry.segments.size() > limits_.segments) return over_limit("sparse file of more than {} segments", limits_.segments);
    }
    return {};
  };
  TRY(take(header.subspan(kSparseMap), kSparseEntries));
  entry.size = TRY(parse_unsigned(at(header, kSparseRealSize), "sparse size"));
  bool more = header[kSparseExtended] != 0;
  while (more) {
    std::array<std::uint8_t, kBlock> block;
    TRY(read_block(block));
    TRY(take(block, kExtensionEntries));
    more = block[kExtensionExtended] != 0;
  }
  return {};
}

// In version 1.0 the map is at the front of the data: decimal lines, the count first, padded to a block.
Result<void> TarReader::read_pax_1_0_map(TarEntry& entry) {
  std::array<std::uint8_t, kBlock> block;
  std::size_t used = kBlock;
  std::size_t blocks = 0;
  const auto next_number = [&]() -> Result<std::uint64_t> {
    std::string digits;
    for (;;) {
      if (used == kBlock) {
        if (data_left_ < kBlock) return malformed("sparse map: longer than the entry");
        if (++blocks > 8 * limits_.segments) return over_limit("sparse map: too long");
        TRY(read_block(block));
        data_left_ -= kBlock;
        used = 0;
      }
      const auto character = static_cast<char>(block[used++]);
      if (character == '\n') return parse_decimal(digits, "sparse map");
      digits.push_back(character);
      if (digits.size() > 20) return malformed("sparse map: not a decimal number");
    }
  };
  const std::uint64_t count = TRY(next_number());
  if (count > limits_.segments) return over_limit("sparse file of {} segments, limit {}", count, limits_.segments);
  entry.segments.clear();
  for (std::uint64_t i = 0; i < count; ++i) {
    Segment segment;
    segment.file_offset = TRY(next_number());
    segment.length = TRY(next_number());
    entry.segments.push_back(segment);
  }
  return {};
}

// place_segments gives the segments of a sparse file their place in the stream and checks that they ascend within the
// file and use exactly the stored bytes.
Result<void> TarReader::place_segments(TarEntry& entry) {
  std::uint64_t stored = 0;
  std::uint64_t end = 0;
  for (Segment& segment : entry.segments) {
    if (segment.file_offset < end || segment.file_offset > entry.size || segment.length > entry.size - segment.file_offset) {
      return malformed("sparse map: segment outside the file or out of order");
    }
    if (segment.length > data_left_ - stored) return malformed("sparse map: more data than the entry holds");
    end = segment.file_offset + segment.length;
    segment.stream_offset = offset_ + stored;
    stored += segment.length;
  }
  if (stored != data_left_) return malformed("sparse map: {} bytes mapped, {} stored", stored, data_left_);
  std::erase_if(entry.segments, [](const Segment& segment) { return segment.length == 0; });
  return {};
}

Result<TarEntry> TarReader::parse_entry(ByteView header, Extensions& extensions) {
  TarEntry entry;
  const std::string_view magic = as_text(at(header, kMagic));
  const bool posix = magic.starts_with(std::string_view("ustar\0", 6));
  const bool gnu = magic == std::string_view("ustar  \0", 8);
  entry.path = text_of(at(header, kName));
  if (posix && header[kPrefix.offset] != 0) entry.path = text_of(at(header, kPrefix)) + "/" + entry.path;
  entry.link = text_of(at(header, kLink));
  entry.mode = TRY(parse_u32(at(header, kMode), "mode")) & 07777;
  const Records& pax = extensions.pax;
  const auto id = [&pax](ByteView field, std::string_view name) -> Result<std::uint32_t> {
    if (const auto* value = find(pax, name)) return static_cast<std::uint32_t>(TRY(parse_decimal(*value, name, 0xffffffff)));
    return parse_u32(field, name);
  };
  entry.uid = TRY(id(at(header, kUid), "uid"));
  entry.gid = TRY(id(at(header, kGid), "gid"));
  if (const auto* value = find(pax, "mtime")) {
    entry.mtime = TRY(parse_pax_time(*value));
  } else {
    entry.mtime = TRY(parse_number(at(header, kMtime), "mtime"));
  }
  std::uint64_t stored = 0;
  if (const auto* value = find(pax, "size")) {
    stored = TRY(parse_decimal(*value, "pax size"));
  } else {
    stored = TRY(parse_unsigned(at(header, kSize), "size"));
  }
  if (const auto* value = find(pax, "path")) entry.path = TRY(without_nul(*value, "pax path"));
  if (const auto* value = find(pax, "linkpath")) entry.link = TRY(without_nul(*value, "pax linkpath"));
  if (extensions.path) entry.path = *extensions.path;
  if (extensions.link) entry.link = *extensions.link;

  const char type = static_cast<char>(header[kType]);
  switch (type) {
    case '0':
    case '\0':
    case '7':
    case 'S': entry.type = FileType::kRegular; break;
    case '1': entry.type = FileType::kHardLink; break;
    case '2': entry.type = FileType::kSymlink; break;
    case '3': entry.type = FileType::kCharacterDevice; break;
    case '4': entry.type = FileType::kBlockDevice; break;
    case '5': entry.type = FileType::kDirectory; break;
    case '6': entry.type = FileType::kFifo; break;
    default: return unsupported("entry of type {:#04x}", header[kType]);
  }
  // V7 tar had no type for directories.
  if (type == '\0' && entry.path.ends_with('/')) entry.type = FileType::kDirectory;
  if (entry.type == FileType::kCharacterDevice || entry.type == FileType::kBlockDevice) {
    entry.rdev_major = TRY(parse_u32(at(header, kMajor), "device major"));
    entry.rdev_minor = TRY(parse_u32(at(header, kMinor), "device minor"));
  }
  if (entry.type != FileType::kRegular) return entry;  // such entries have no data, whatever their size field says

  entry.size = stored;
  data_left_ = stored;
  if (type == 'S') {
    if (!gnu) return malformed("sparse entry without GNU magic");
    TRY(read_old_gnu_map(header, entry));
    TRY(place_segments(entry));
    return entry;
  }
  const std::string* major = find(pax, "GNU.sparse.major");
  const std::string* map = find(pax, "GNU.sparse.map");
  const std::string* blocks = find(pax, "GNU.sparse.numblocks");
  if (major == nullptr && map == nullptr && blocks == nullptr) {
    if (stored > 0) entry.segments.push_back({0, stored, offset_});
    return entry;
  }
  if (const auto* name = find(pax, "GNU.sparse.name")) entry.path = TRY(without_nul(*name, "GNU.sparse.name"));
  const std::string* size = find(pax, major != nullptr ? "GNU.sparse.realsize" : "GNU.sparse.size");
  if (size == nullptr) return malformed("sparse file without its size");
  entry.size = TRY(parse_decimal(*size, "sparse size"));
  if (major != nullptr) {
    const std::string* minor = find(pax, "GNU.sparse.minor");
    if (*major != "1" || minor == nullptr || *minor != "0") return unsupported("sparse format other than 0.0, 0.1 and 1.0");
    TRY(read_pax_1_0_map(entry));
  } else {
    std::vector<std::uint64_t> numbers;
    if (map != nullptr) {
      std::string_view rest = *map;
      while (!rest.empty()) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        numbers.push_back(TRY(parse_decimal(rest.substr(0, comma), "sparse map")));
        rest.remove_prefix(std::min(comma + 1, rest.size()));
      }
    } else {
      for (const auto& [key, value] : pax) {
        if (key == "GNU.sparse.offset" || key == "GNU.sparse.numbytes") numbers.push_back(TRY(parse_decimal(value, key)));
      }
    }
    if (numbers.size() % 2 != 0) return malformed("sparse map: odd count of numbers");
    if (numbers.size() / 2 > limits_.segments) return over_limit("sparse file of {} segments, limit {}", numbers.size() / 2, limits_.segments);
    for (std::size_t i = 0; i < numbers.size(); i += 2) entry.segments.push_back({numbers[i], numbers[i + 1], 0});
  }
  TRY(place_segments(entry));
  return entry;
}

Result<std::optional<TarEntry>> TarReader::next() {
  if (ended_) return std::optional<TarEntry>{};
  TRY(skip(data_left_));
  TRY(skip((kBlock - offset_ % kBlock) % kBlock));
  data_left_ = 0;
  Extensions extensions;
  bool extended = false;
  for (;;) {
    std::array<std::uint8_t, kBlock> header;
    const std::uint64_t start = offset_;
    const std::size_t have = TRY(fill(header));
    if (have == 0 || (have == kBlock && all_zero(header))) {
      if (extended) return malformed("tar: extension at {} belongs to no entry", start);
      ended_ = true;
      return std::optional<TarEntry>{};
    }
    const std::string where = fmt::format("tar: header at {}", start);
    if (have < kBlock) return malformed("{}: {} bytes, want {}", where, have, kBlock);
    TRY(check_sum(header).in(where));
    const std::uint64_t size = TRY(parse_unsigned(at(header, kSize), "size").in(where));
    switch (static_cast<char>(header[kType])) {
      case 'g':  // defaults for all entries: writers use it for comments only
        TRY(read_extension(size).in(where));
        continue;
      case 'x': {
        Records records = TRY(parse_pax(TRY(read_extension(size).in(where))).in(where));
        extensions.pax = std::move(records);
        extended = true;
        continue;
      }
      case 'L':
        extensions.path = text_of(as_bytes(TRY(read_extension(size).in(where))));
        extended = true;
        continue;
      case 'K':
        extensions.link = text_of(as_bytes(TRY(read_extension(size).in(where))));
        extended = true;
        continue;
      default: break;
    }
    TarEntry entry = TRY(parse_entry(header, extensions).in(where));
    if (entry.path.empty()) return malformed("{}: empty path", where);
    if (entry.path.size() > limits_.path_bytes || entry.link.size() > limits_.path_bytes) {
      return over_limit("{}: path of {} bytes, limit {}", where, std::max(entry.path.size(), entry.link.size()), limits_.path_bytes);
    }
    return std::optional<TarEntry>(std::move(entry));
  }
}

}  // namespace casemate::oci
