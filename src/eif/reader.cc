// SPDX-License-Identifier: Apache-2.0
#include "eif/reader.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

namespace casemate::eif {

namespace {

// Command line and metadata are kept whole; the kernel takes 2 KiB of command line, docker inspect gives some KiB.
constexpr std::uint64_t kMaxCmdlineBytes = 64 * 1024;
constexpr std::uint64_t kMaxMetadataBytes = 4 * 1024 * 1024;

// Pass keeps what one inspect() needs: the input, what has been read of it and what becomes of it.
class Pass {
 public:
  Pass(ByteSource& source, const InspectOptions& options)
      : source_(source), options_(options), measurer_(options.lanes == nullptr ? sequential_ : *options.lanes) {}

  Result<Image> run();

 private:
  Result<std::size_t> fill(std::span<std::uint8_t> out);
  Result<bool> read_section();
  Result<void> read_data(const Section& section, Bytes* keep);
  Error ends_early(const Section& section) const {
    return malformed("EIF: {} section at {}: {} bytes announced, the file ends at {}", to_string(section.type), section.offset,
                     section.size, offset_);
  }
  void check();
  template <typename... Args>
  void violation(fmt::format_string<Args...> format, Args&&... args) {
    image_.violations.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  ByteSource& source_;
  const InspectOptions& options_;
  SequentialLanes sequential_;
  Measurer measurer_;
  PiecePool pieces_;
  std::uint64_t offset_ = 0;
  Image image_;
};

// fill reads until `out` is full or the input ends.
Result<std::size_t> Pass::fill(std::span<std::uint8_t> out) {
  std::size_t have = 0;
  while (have < out.size()) {
    const std::size_t count = TRY(source_.read(out.subspan(have)));
    if (count == 0) break;
    have += count;
  }
  offset_ += have;
  return have;
}

Result<void> Pass::read_data(const Section& section, Bytes* keep) {
  std::uint64_t left = section.size;
  if (options_.known != nullptr) {
    std::uint64_t passed = 0;
    if (keep != nullptr) {
      keep->resize(static_cast<std::size_t>(left));
      passed = TRY(fill(*keep));
    } else {
      passed = TRY(source_.pass(left));
      offset_ += passed;
    }
    if (passed < left) return ends_early(section);
    return {};
  }
  while (left > 0) {
    const std::shared_ptr<PieceBuffer> piece = pieces_.take();
    const auto bytes = std::span(*piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(left, kPieceBytes)));
    if (TRY(fill(bytes)) < bytes.size()) return ends_early(section);
    left -= bytes.size();
    if (keep != nullptr) append(*keep, bytes);
    measurer_.update(piece, bytes);
    if (options_.progress) options_.progress(offset_);
  }
  return {};
}

// read_section reads one section; false at the end of the input.
Result<bool> Pass::read_section() {
  std::array<std::uint8_t, kSectionHeaderSize> bytes{};
  const std::uint64_t start = offset_;
  const std::size_t have = TRY(fill(bytes));
  if (have == 0) return false;
  if (have < bytes.size()) return malformed("EIF: section header at {}: {} bytes, want {}", start, have, bytes.size());
  const SectionHeader header = TRY(parse_section_header(bytes).in(fmt::format("EIF: section header at {}", start)));
  measurer_.checksum(bytes);
  measurer_.begin_section(header.type);
  const Section section{header.type, header.flags, start + kSectionHeaderSize, header.size};
  image_.sections.push_back(section);
  if (image_.sections.size() > kMaxSections) return malformed("EIF: more than {} sections", kMaxSections);

  const auto limited = [&](std::uint64_t limit) -> Result<void> {
    if (section.size <= limit) return {};
    return over_limit("EIF: {} section of {} bytes, limit {}", to_string(section.type), section.size, limit);
  };
  switch (section.type) {
    case SectionType::kKernel:
    case SectionType::kRamdisk: TRY(read_data(section, nullptr)); break;
    case SectionType::kCmdline: {
      TRY(limited(kMaxCmdlineBytes));
      Bytes text;
      TRY(read_data(section, &text));
      image_.cmdline += as_text(text);
      break;
    }
    case SectionType::kSignature: {
      TRY(limited(kMaxSignatureBytes));
      image_.signature.clear();
      TRY(read_data(section, &image_.signature));
      break;
    }
    case SectionType::kMetadata: {
      TRY(limited(kMaxMetadataBytes));
      Bytes text;
      TRY(read_data(section, &text));
      image_.metadata = as_text(text);
      break;
    }
  }
  return true;
}

void Pass::check() {
  const Header& header = image_.header;
  if (!image_.crc_ok()) violation("checksum: header says {:08x}, the file has {:08x}", header.crc, image_.computed_crc);
  if (header.section_count != image_.sections.size()) {
    violation("sections: header says {}, the file has {}", header.section_count, image_.sections.size());
  }
  for (std::size_t i = 0; i < kMaxSections; ++i) {
    if (i >= image_.sections.size()) {
      if (i >= header.section_count && (header.section_offsets[i] != 0 || header.section_sizes[i] != 0)) {
        violation("section {}: table entry in use beyond the last section", i);
      }
      continue;
    }
    const Section& section = image_.sections[i];
    if (i < header.section_count && header.section_offsets[i] != section.offset - kSectionHeaderSize) {
      violation("section {} ({}): header says it starts at {}, it starts at {}", i, to_string(section.type),
                header.section_offsets[i], section.offset - kSectionHeaderSize);
    }
    if (i < header.section_count && header.section_sizes[i] != section.size) {
      violation("section {} ({}): header says {} bytes, the section {}", i, to_string(section.type),
                header.section_sizes[i], section.size);
    }
    if (section.flags != 0) violation("section {} ({}): flags {:#x}, want 0", i, to_string(section.type), section.flags);
  }
  const auto count = [this](SectionType type) {
    return std::count_if(image_.sections.begin(), image_.sections.end(), [type](const Section& s) { return s.type == type; });
  };
  const auto exactly_one = [&](SectionType type) {
    if (const auto found = count(type); found != 1) violation("{} sections: {}, want 1", to_string(type), found);
  };
  exactly_one(SectionType::kKernel);
  exactly_one(SectionType::kCmdline);
  if (header.version >= 4) exactly_one(SectionType::kMetadata);
  if (count(SectionType::kRamdisk) == 0) violation("ramdisk sections: 0, want at least 1");
  if (const auto found = count(SectionType::kSignature); found > 1) violation("signature sections: {}, want at most 1", found);
  if (header.version < 3 && count(SectionType::kSignature) > 0) violation("signature section in a version {} file", header.version);
  if (header.version < 4 && count(SectionType::kMetadata) > 0) violation("metadata section in a version {} file", header.version);
  const auto first = [this](SectionType type) {
    return std::find_if(image_.sections.begin(), image_.sections.end(), [type](const Section& s) { return s.type == type; });
  };
  if (first(SectionType::kRamdisk) < first(SectionType::kKernel)) violation("ramdisk before the kernel");
  if (first(SectionType::kRamdisk) < first(SectionType::kCmdline)) {
    violation("ramdisk before the command line: measured in an order of its own");
  }
  if (first(SectionType::kCmdline) < first(SectionType::kKernel)) {
    violation("command line before the kernel: measured in an order of its own");
  }
  for (std::size_t i = 0; i < image_.sections.size(); ++i) {
    if (image_.sections[i].size == 0) violation("section {} ({}): empty", i, to_string(image_.sections[i].type));
  }
  if ((header.flags & ~kFlagArm64) != 0) violation("flags {:#x}, want 0 or {:#x}", header.flags, kFlagArm64);
}

Result<Image> Pass::run() {
  std::array<std::uint8_t, kHeaderSize> bytes{};
  const std::size_t have = TRY(fill(bytes));
  if (have < bytes.size()) return malformed("EIF: file of {} bytes, want at least {}", have, bytes.size());
  image_.header = TRY(parse_header(bytes));
  measurer_.checksum(ByteView(bytes).first(kCrcOffset));
  while (TRY(read_section())) {
  }
  image_.file_size = offset_;
  if (const Measured* known = options_.known) {
    image_.computed_crc = known->crc;
    image_.measurements = {known->pcr0, known->pcr1, known->pcr2, std::nullopt};
  } else {
    image_.computed_crc = measurer_.crc();
    image_.measurements = measurer_.so_far();
  }
  if (image_.is_signed()) {
    Result<Signature> signature = parse_signature(image_.signature);
    if (signature) {
      image_.measurements.pcr8 = measure(signature->certificate);
      image_.signed_by = std::move(signature).take();
    } else {
      image_.signature_problem = signature.error().message();
      violation("signature: {}", image_.signature_problem);
    }
  }
  check();
  return std::move(image_);
}

}  // namespace

std::vector<Section> Image::ramdisks() const {
  std::vector<Section> found;
  std::copy_if(sections.begin(), sections.end(), std::back_inserter(found),
               [](const Section& section) { return section.type == SectionType::kRamdisk; });
  return found;
}

Result<Image> inspect(ByteSource& source, const InspectOptions& options) {
  return Pass(source, options).run();
}

Result<void> check_signature(const Image& image, WallTime now) {
  if (!image.is_signed()) return {};
  if (!image.signed_by) return untrusted("signature: {}", image.signature_problem);
  return verify(*image.signed_by, now);
}

Result<void> names_image(const Image& image) {
  if (!image.is_signed()) return {};
  if (!image.signed_by) return untrusted("signature: {}", image.signature_problem);
  TRY(verify(*image.signed_by, std::nullopt));
  if (image.signed_by->pcr0 != image.measurements.pcr0) return untrusted("signature: made for another image (its PCR0 differs)");
  return {};
}

}  // namespace casemate::eif
