// SPDX-License-Identifier: Apache-2.0
#include "eif/measure.h"

#include <algorithm>
#include <utility>
#include <vector>

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

void in_sequence(std::span<const Job> jobs) {
  for (const Job& job : jobs) job();
}

Measurer::Measurer(InParallel parallel)
    : parallel_(std::move(parallel)), image_(crypto::Hash::kSha384), application_(crypto::Hash::kSha384) {}

void Measurer::begin_section(SectionType type) {
  section_ = type;
  if (type != SectionType::kRamdisk) return;
  // PCR1's data is a prefix of PCR0's for every file whose first ramdisk comes after kernel and command line: its hash
  // is a copy of PCR0's state. Otherwise it has been going its own way since boot_ was set.
  if (++ramdisks_ == 2 && !boot_) boot_ = image_;
}

void Measurer::update(ByteView data, const Job& meanwhile) {
  std::vector<Job> jobs;
  if (measured(section_)) {
    jobs.emplace_back([this, data] { image_.update(data); });
    if (section_ == SectionType::kRamdisk && ramdisks_ > 1) {
      jobs.emplace_back([this, data] { application_.update(data); });
    } else if (boot_) {
      jobs.emplace_back([this, data] { boot_->update(data); });
    }
  }
  jobs.emplace_back([this, data] { crc_ = crc32(crc_, data); });
  if (meanwhile) jobs.push_back(meanwhile);
  parallel_(jobs);
}

void Measurer::checksum(ByteView data) {
  crc_ = crc32(crc_, data);
}

Measurements Measurer::finish() {
  Measurements result;
  if (!boot_) boot_ = image_;
  const Sha384 zeros{};
  result.pcr0 = extend(zeros, image_.finish());
  result.pcr1 = extend(zeros, boot_->finish());
  result.pcr2 = extend(zeros, application_.finish());
  return result;
}

}  // namespace casemate::eif
