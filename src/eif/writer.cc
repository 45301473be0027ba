// SPDX-License-Identifier: Apache-2.0
#include "eif/writer.h"

#include <algorithm>
#include <utility>

#include "eif/crc32.h"

namespace casemate::eif {

Writer::Writer(ByteSink* out, Lanes& lanes, const Header& base) : out_(out), measurer_(lanes), header_(base) {
  header_.section_count = 0;
  header_.section_offsets = {};
  header_.section_sizes = {};
}

// put sends headers, which are not measured.
Result<void> Writer::put(ByteView data) {
  TRY(flush());
  if (out_ != nullptr) TRY(out_->write(data));
  offset_ += data.size();
  return {};
}

Result<void> Writer::flush() {
  if (filled_ == 0) return {};
  const Piece piece = std::move(piece_);
  const ByteView data = ByteView(*piece).first(std::exchange(filled_, 0));
  measurer_.update(piece, data);
  if (out_ != nullptr) TRY(out_->write(data));
  return {};
}

Result<void> Writer::begin_section(SectionType type, std::uint64_t size) {
  if (section_left_ != 0) return internal("EIF: section left {} bytes short", section_left_);
  if (header_.section_count == kMaxSections) return over_limit("EIF: more than {} sections", kMaxSections);
  if (offset_ == 0) TRY(put(Bytes(kHeaderSize)));
  TRY(flush());
  header_.section_offsets[header_.section_count] = offset_;
  header_.section_sizes[header_.section_count] = size;
  ++header_.section_count;
  const Bytes encoded = encode_section_header({type, 0, size});
  TRY(put(encoded));
  measurer_.checksum(encoded);
  measurer_.begin_section(type);
  section_left_ = size;
  return {};
}

Result<void> Writer::write(ByteView data) {
  if (data.size() > section_left_) return internal("EIF: {} bytes more than the section's size", data.size() - section_left_);
  section_left_ -= data.size();
  offset_ += data.size();
  while (!data.empty()) {
    if (piece_ == nullptr) piece_ = pieces_.take();
    const std::size_t step = std::min(data.size(), kPieceBytes - filled_);
    std::copy_n(data.begin(), step, piece_->begin() + static_cast<std::ptrdiff_t>(filled_));
    filled_ += step;
    data = data.subspan(step);
    if (filled_ == kPieceBytes) TRY(flush());
  }
  return {};
}

Result<void> Writer::add_section(SectionType type, ByteView data) {
  TRY(begin_section(type, data.size()));
  return write(data);
}

Result<Measurements> Writer::measurements() {
  TRY(flush());
  return measurer_.so_far();
}

Result<Header> Writer::finish() {
  if (section_left_ != 0) return internal("EIF: section left {} bytes short", section_left_);
  TRY(flush());
  // The header comes first in the checksum, but is known only now.
  const Bytes encoded = encode_header(header_);
  header_.crc = combine_crc32(crc32(0, ByteView(encoded).first(kCrcOffset)), measurer_.crc(), measurer_.checked_bytes());
  return header_;
}

}  // namespace casemate::eif
