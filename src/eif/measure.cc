// SPDX-License-Identifier: Apache-2.0
#include "eif/measure.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

#include "eif/crc32.h"

namespace casemate::eif {

namespace {

Sha384 to_array(ByteView digest) {
  Sha384 out{};
  CASEMATE_CHECK(digest.size() == out.size());
  std::copy(digest.begin(), digest.end(), out.begin());
  return out;
}

bool measured(SectionType type) {
  return type == SectionType::kKernel || type == SectionType::kCmdline || type == SectionType::kRamdisk;
}

}  // namespace

Sha384 extend(const Sha384& pcr, ByteView data) {
  return to_array(crypto::Hasher(crypto::Hash::kSha384).update(pcr).update(data).finish());
}

Sha384 measure(ByteView data) {
  return extend(Sha384{}, crypto::sha384(data));
}

// Buffers are made by the huge page: faulting them in page by page takes as long as hashing several megabytes.
struct PiecePool::Idle {
  static constexpr std::size_t kBlockBytes = 2 * 1024 * 1024;
  struct Free {
    void operator()(PieceBuffer* block) const { std::free(block); }
  };

  // add_block is called under the lock, with no buffer idle.
  void add_block() {
    std::unique_ptr<PieceBuffer, Free> block(static_cast<PieceBuffer*>(std::aligned_alloc(kBlockBytes, kBlockBytes)));
    if (block == nullptr) throw std::bad_alloc();
    ::madvise(block.get(), kBlockBytes, MADV_HUGEPAGE);
    blocks.push_back(std::move(block));
    buffers.reserve(blocks.size() * (kBlockBytes / kPieceBytes));  // so that giving back never allocates
    for (std::size_t i = 0; i < kBlockBytes / kPieceBytes; ++i) buffers.push_back(blocks.back().get() + i);
  }

  std::mutex mutex;
  std::vector<std::unique_ptr<PieceBuffer, Free>> blocks;
  std::vector<PieceBuffer*> buffers;
};

PiecePool::PiecePool() : idle_(std::make_shared<Idle>()) {}

std::shared_ptr<PieceBuffer> PiecePool::take() {
  PieceBuffer* buffer = nullptr;
  {
    const std::lock_guard lock(idle_->mutex);
    if (idle_->buffers.empty()) idle_->add_block();
    buffer = idle_->buffers.back();
    idle_->buffers.pop_back();
  }
  // Not under the lock: what is returned gives the buffer back at once where it cannot be made.
  return {buffer, [idle = idle_](PieceBuffer* returned) {
            const std::lock_guard lock(idle->mutex);
            idle->buffers.push_back(returned);
          }};
}

constexpr unsigned kImageLane = 0;
constexpr unsigned kPartLane = 1;

Measurer::Measurer(Lanes& lanes) : lanes_(lanes), image_(crypto::Hash::kSha384), application_(crypto::Hash::kSha384) {}

Measurer::~Measurer() { lanes_.wait(); }

void Measurer::begin_section(SectionType type) {
  section_ = type;
  if (type != SectionType::kRamdisk || ++ramdisks_ != 2) return;
  // PCR1's data is a prefix of PCR0's in every file whose kernel and command line come first: its hash is a copy of
  // PCR0's state. What follows out of order goes to both.
  lanes_.wait();
  boot_ = image_;
}

void Measurer::update(const Piece& piece, ByteView data) {
  const bool later_ramdisk = section_ == SectionType::kRamdisk && ramdisks_ > 1;
  if (measured(section_)) {
    lanes_.post(kImageLane, [this, piece, data] { image_.update(data); });
    if (later_ramdisk) {
      lanes_.post(kPartLane, [this, piece, data] { application_.update(data); });
    } else if (boot_) {
      lanes_.post(kPartLane, [this, piece, data] { boot_->update(data); });
    }
  }
  checksum(data);
}

void Measurer::checksum(ByteView data) {
  crc_ = crc32(crc_, data);
  checked_bytes_ += data.size();
}

Measurements Measurer::so_far() {
  lanes_.wait();
  Measurements result;
  const Sha384 zeros{};
  result.pcr0 = extend(zeros, crypto::Hasher(image_).finish());
  result.pcr1 = extend(zeros, crypto::Hasher(boot_ ? *boot_ : image_).finish());
  result.pcr2 = extend(zeros, crypto::Hasher(application_).finish());
  return result;
}

}  // namespace casemate::eif
