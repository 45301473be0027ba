// SPDX-License-Identifier: Apache-2.0
// PCR0, PCR1, PCR2 and PCR8 of an enclave image, and the file's checksum, in one pass over its bytes.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/stream.h"
#include "crypto/digest.h"
#include "eif/format.h"

namespace casemate::eif {

using crypto::Sha384;

struct Measurements {
  Sha384 pcr0{};              // kernel, command line and every ramdisk
  Sha384 pcr1{};              // kernel, command line and the first ramdisk
  Sha384 pcr2{};              // every ramdisk but the first
  std::optional<Sha384> pcr8;  // certificate of the first signature

  bool operator==(const Measurements&) const = default;
};

// extend is SHA-384(old PCR ‖ data), as the NSM does it; measure is the PCR that an image's part yields:
// extend(zeros, SHA-384(data)).
Sha384 extend(const Sha384& pcr, ByteView data);
Sha384 measure(ByteView data);

// Lanes runs jobs: those of one lane one after the other, in order; lanes may run at once. Whoever has threads provides
// one; SequentialLanes needs none.
class Lanes {
 public:
  static constexpr unsigned kCount = 2;
  virtual ~Lanes() = default;
  // post may wait until earlier jobs are done, so that little piles up.
  virtual void post(unsigned lane, std::function<void()> job) = 0;
  // wait returns once every job posted so far is done.
  virtual void wait() = 0;
};

class SequentialLanes final : public Lanes {
 public:
  void post(unsigned, std::function<void()> job) override { job(); }
  void wait() override {}
};

// Piece is a part of a file that several jobs read.
constexpr std::size_t kPieceBytes = 256 * 1024;
using PieceBuffer = std::array<std::uint8_t, kPieceBytes>;
using Piece = std::shared_ptr<const PieceBuffer>;

// PiecePool lends buffers, which come back when their last reader drops them: a file of any length passes through the few
// that the lanes hold at a time. A lent buffer holds what was last in it.
class PiecePool {
 public:
  PiecePool();
  std::shared_ptr<PieceBuffer> take();

 private:
  struct Idle;
  std::shared_ptr<Idle> idle_;
};

// Measurer takes the sections' data in file order and the whole file's bytes for the checksum. The hashes run in lanes,
// the checksum, which is cheap, where it is called.
class Measurer {
 public:
  explicit Measurer(Lanes& lanes);
  ~Measurer();
  Measurer(const Measurer&) = delete;
  Measurer& operator=(const Measurer&) = delete;

  // begin_section is called for each section, update with its data in pieces.
  void begin_section(SectionType type);
  // update measures `data`, a part of `piece`, as data of the current section and adds it to the checksum.
  void update(const Piece& piece, ByteView data);
  // checksum adds bytes that are not section data: section headers.
  void checksum(ByteView data);

  // so_far gives the measurements of what has been passed in; more may follow. PCR8 is left to whoever reads the
  // signature.
  Measurements so_far();
  // crc is the checksum of all bytes passed in, and checked_bytes their number.
  std::uint32_t crc() const { return crc_; }
  std::uint64_t checked_bytes() const { return checked_bytes_; }

 private:
  Lanes& lanes_;
  crypto::Hasher image_;
  crypto::Hasher application_;
  std::optional<crypto::Hasher> boot_;
  SectionType section_ = SectionType::kKernel;
  std::uint32_t ramdisks_ = 0;
  std::uint32_t crc_ = 0;
  std::uint64_t checked_bytes_ = 0;
};

}  // namespace casemate::eif
