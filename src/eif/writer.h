// SPDX-License-Identifier: Apache-2.0
// Writing an enclave image (version 4): sections in AWS's order, measured and checksummed on the way.
#pragma once

#include <cstdint>
#include <memory>

#include "base/stream.h"
#include "eif/format.h"
#include "eif/measure.h"
#include "eif/signature.h"

namespace casemate::eif {

// Writer gathers small writes into pieces, which the lanes measure while they are written out. The caller's sink sees the
// file from its first byte on, with zeros in place of the header, which is known only at the end: put
// encode_header(header()) over them then.
class Writer {
 public:
  // No `out` to measure only. Of `base`, the tables, the count and the checksum are replaced.
  Writer(ByteSink* out, Lanes& lanes, const Header& base);
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // begin_section announces a section; exactly `size` bytes of write() must follow. Errors: kLimit (32 sections).
  Result<void> begin_section(SectionType type, std::uint64_t size);
  Result<void> write(ByteView data);
  Result<void> add_section(SectionType type, ByteView data);

  // measurements of what has been written; more sections may follow.
  Result<Measurements> measurements();
  // finish ends the file and gives its header.
  Result<Header> finish();

  std::uint64_t bytes_written() const { return offset_; }

 private:
  Result<void> put(ByteView data);
  Result<void> flush();

  ByteSink* out_;
  Measurer measurer_;
  Header header_;
  PiecePool pieces_;
  std::shared_ptr<PieceBuffer> piece_;  // none while filled_ is 0
  std::size_t filled_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t section_left_ = 0;
};

// SectionSink makes a Writer's current section a ByteSink.
class SectionSink final : public ByteSink {
 public:
  explicit SectionSink(Writer& writer) : writer_(writer) {}
  Result<void> write(ByteView data) override { return writer_.write(data); }

 private:
  Writer& writer_;
};

}  // namespace casemate::eif
