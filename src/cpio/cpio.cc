// SPDX-License-Identifier: Apache-2.0
#include "cpio/cpio.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace casemate::cpio {

namespace {

constexpr std::size_t kHeaderBytes = 110;
constexpr std::string_view kTrailer = "TRAILER!!!";
constexpr std::size_t kArchiveAlignment = 512;

// Fields after the magic, eight hex digits each, in this order.
enum Field { kIno, kMode, kUid, kGid, kNlink, kMtime, kSize, kDevMajor, kDevMinor, kRdevMajor, kRdevMinor, kNameSize, kCheck };
constexpr std::size_t kFields = 13;

Result<std::uint32_t> parse_field(ByteView digits, std::uint64_t offset) {
  std::uint32_t value = 0;
  for (const std::uint8_t digit : digits) {
    std::uint32_t nibble = 0;
    if (digit >= '0' && digit <= '9') {
      nibble = digit - std::uint32_t{'0'};
    } else if (digit >= 'a' && digit <= 'f') {
      nibble = digit - std::uint32_t{'a'} + 10;
    } else if (digit >= 'A' && digit <= 'F') {
      nibble = digit - std::uint32_t{'A'} + 10;
    } else {
      return malformed("cpio: header at {}: byte {:#04x}, want a hex digit", offset, digit);
    }
    value = value << 4 | nibble;
  }
  return value;
}

}  // namespace

Result<std::size_t> Reader::read_some(std::span<std::uint8_t> out) {
  const std::size_t count = TRY(source_.read(out));
  offset_ += count;
  return count;
}

Result<void> Reader::read_exactly(std::span<std::uint8_t> out, std::string_view what) {
  while (!out.empty()) {
    const std::size_t count = TRY(read_some(out));
    if (count == 0) return malformed("cpio: input ends at {} inside {}", offset_, what);
    out = out.subspan(count);
  }
  return {};
}

Result<void> Reader::skip(std::uint64_t count) {
  std::array<std::uint8_t, 16384> scratch;
  while (count > 0) {
    const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(count, scratch.size()));
    TRY(read_exactly(std::span(scratch).first(step), "an entry"));
    count -= step;
  }
  return {};
}

// find_header passes over zero bytes between archives and reads the first byte of a header; false at the end.
Result<bool> Reader::find_header(std::uint8_t& first) {
  for (;;) {
    const std::size_t count = TRY(read_some(std::span(&first, 1)));
    if (count == 0) {
      if (in_archive_) return malformed("cpio: input ends at {}, want {}", offset_, kTrailer);
      return false;
    }
    if (in_archive_ || first != 0) return true;
  }
}

Result<std::optional<Entry>> Reader::next() {
  TRY(skip(remaining_ + (4 - (offset_ + remaining_) % 4) % 4));
  remaining_ = 0;
  for (;;) {
    std::array<std::uint8_t, kHeaderBytes> header;
    if (!TRY(find_header(header[0]))) return std::optional<Entry>{};
    const std::uint64_t start = offset_ - 1;
    if (!in_archive_ && start % 4 != 0) return malformed("cpio: archive starts at {}, want a multiple of 4", start);
    TRY(read_exactly(std::span(header).subspan(1, 5), "a header"));
    const std::string_view magic = as_text(ByteView(header).first(6));
    if (magic == "070707") return unsupported("cpio: old character format at {}, want newc (070701)", start);
    if (header[0] == 0x1f && header[1] == 0x8b) return unsupported("cpio: gzip data at {}, want an uncompressed archive", start);
    if (magic != "070701" && magic != "070702") return malformed("cpio: no header at {}", start);
    TRY(read_exactly(std::span(header).subspan(6), "a header"));
    std::array<std::uint32_t, kFields> fields{};
    for (std::size_t i = 0; i < kFields; ++i) fields[i] = TRY(parse_field(ByteView(header).subspan(6 + 8 * i, 8), start));
    in_archive_ = true;

    const std::size_t name_size = fields[kNameSize];
    if (name_size == 0) return malformed("cpio: header at {}: empty name", start);
    if (name_size > limits_.name_bytes) return over_limit("cpio: header at {}: name of {} bytes, limit {}", start, name_size, limits_.name_bytes);
    Entry entry;
    entry.name.resize(name_size);
    TRY(read_exactly({reinterpret_cast<std::uint8_t*>(entry.name.data()), name_size}, "a name"));
    if (entry.name.find('\0') != name_size - 1) return malformed("cpio: header at {}: name is not one terminated string", start);
    entry.name.pop_back();
    TRY(skip((4 - offset_ % 4) % 4));

    entry.ino = fields[kIno];
    entry.mode = fields[kMode];
    entry.uid = fields[kUid];
    entry.gid = fields[kGid];
    entry.nlink = fields[kNlink];
    entry.mtime = fields[kMtime];
    entry.size = fields[kSize];
    entry.dev_major = fields[kDevMajor];
    entry.dev_minor = fields[kDevMinor];
    entry.rdev_major = fields[kRdevMajor];
    entry.rdev_minor = fields[kRdevMinor];
    if (entry.name == kTrailer) {
      if (entry.size != 0) return malformed("cpio: trailer at {} has data", start);
      in_archive_ = false;
      continue;
    }
    if (++entries_ > limits_.entries) return over_limit("cpio: more than {} entries", limits_.entries);
    remaining_ = entry.size;
    return std::optional<Entry>(std::move(entry));
  }
}

Result<std::size_t> Reader::read_data(std::span<std::uint8_t> out) {
  out = out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), remaining_)));
  if (out.empty()) return std::size_t{0};
  const std::size_t count = TRY(read_some(out));
  if (count == 0) return malformed("cpio: input ends at {} inside an entry", offset_);
  remaining_ -= count;
  return count;
}

Result<void> Writer::put(ByteView data) {
  TRY(sink_.write(data));
  offset_ += data.size();
  return {};
}

Result<void> Writer::pad(std::size_t alignment) {
  static constexpr std::array<std::uint8_t, kArchiveAlignment> kZeros{};
  return put(ByteView(kZeros).first(static_cast<std::size_t>((alignment - offset_ % alignment) % alignment)));
}

Result<void> Writer::put_header(const Entry& entry, std::uint32_t nlink) {
  const std::array<std::uint32_t, kFields> fields = {
      next_ino_++, entry.mode, entry.uid, entry.gid, nlink, entry.mtime, static_cast<std::uint32_t>(entry.size),
      3, 1, entry.rdev_major, entry.rdev_minor, static_cast<std::uint32_t>(entry.name.size() + 1), 0};
  std::string text = "070701";
  text.reserve(kHeaderBytes + entry.name.size() + 1);
  for (const std::uint32_t field : fields) {
    for (int shift = 28; shift >= 0; shift -= 4) text.push_back("0123456789abcdef"[field >> shift & 0xf]);
  }
  text += entry.name;
  text.push_back('\0');
  TRY(put(as_bytes(text)));
  return pad(4);
}

Result<void> Writer::begin(const Entry& entry) {
  if (remaining_ != 0) return internal("cpio: entry left {} bytes short", remaining_);
  if (entry.size > 0xffffffffU) return over_limit("cpio: {}: {} bytes, limit 4294967295", entry.name, entry.size);
  if (entry.name.empty() || entry.name.size() >= 0xffff || entry.name.find('\0') != std::string::npos) {
    return malformed("cpio: entry's name cannot be written");
  }
  TRY(pad(4));
  TRY(put_header(entry, entry.type() == kDirectory ? 2 : 1));
  remaining_ = entry.size;
  return {};
}

Result<void> Writer::write(ByteView data) {
  if (data.size() > remaining_) return internal("cpio: {} bytes more than the entry's size", data.size() - remaining_);
  remaining_ -= data.size();
  return put(data);
}

Result<void> Writer::add(Entry entry, ByteView data) {
  entry.size = data.size();
  TRY(begin(entry));
  return write(data);
}

Result<void> Writer::finish() {
  if (remaining_ != 0) return internal("cpio: entry left {} bytes short", remaining_);
  TRY(pad(4));
  Entry trailer;
  trailer.name = kTrailer;
  TRY(put_header(trailer, 1));
  return pad(kArchiveAlignment);
}

}  // namespace casemate::cpio
