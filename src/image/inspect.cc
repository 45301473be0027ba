// SPDX-License-Identifier: Apache-2.0
#include "image/inspect.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/encoding.h"
#include "cpio/cpio.h"
#include "crypto/digest.h"
#include "eif/metadata.h"
#include "eif/writer.h"
#include "image/files.h"
#include "image/lanes.h"

namespace casemate::image {

namespace {

constexpr std::size_t kMaxDifferences = 1000;

Result<void> copy(ByteSource& source, ByteSink& sink) {
  Bytes buffer(kCopyBytes);
  for (;;) {
    const std::size_t got = TRY(source.read(buffer));
    if (got == 0) return {};
    TRY(sink.write(ByteView(buffer).first(got)));
  }
}

Result<UniqueFd> open_image(const os::Path& path) {
  UniqueFd fd = TRY(os::open(path, O_RDONLY | O_NONBLOCK));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return errno_error(path.native());
  if (!S_ISREG(status.st_mode)) return malformed("{}: not a regular file", path.native());
  return fd;
}

Result<eif::Image> inspect_fd(int fd, const os::Path& path) {
  os::FdSource source(fd, 0, UINT64_MAX);
  ThreadLanes lanes;
  return eif::inspect(source, {&lanes, {}}).in(path.native());
}

// FileSummary is what a ramdisk says of one path.
struct FileSummary {
  cpio::Entry entry;
  std::string digest;
};
using Listing = std::map<std::string, FileSummary>;

Result<Listing> list_ramdisk(int fd, const eif::Section& section) {
  os::FdSource source(fd, section.offset, section.size);
  cpio::Reader reader(source);
  Listing listing;
  Bytes buffer(256 * 1024);
  while (auto entry = TRY(reader.next())) {
    crypto::Hasher hasher(crypto::Hash::kSha256);
    for (;;) {
      const std::size_t got = TRY(reader.read_data(buffer));
      if (got == 0) break;
      hasher.update(ByteView(buffer).first(got));
    }
    std::string name = entry->name;
    // A name may come more than once: later entries replace earlier ones when unpacked.
    for (int again = 2; listing.contains(name); ++again) name = fmt::format("{} ({}.)", entry->name, again);
    entry->ino = 0;
    listing.emplace(std::move(name), FileSummary{std::move(*entry), encode_hex(hasher.finish())});
  }
  return listing;
}

std::string changes(const FileSummary& a, const FileSummary& b) {
  std::string text;
  const auto add = [&text](std::string what) { text += (text.empty() ? "" : ", ") + what; };
  if (a.entry.mode != b.entry.mode) add(fmt::format("mode {:o} -> {:o}", a.entry.mode, b.entry.mode));
  if (a.entry.uid != b.entry.uid || a.entry.gid != b.entry.gid) {
    add(fmt::format("owner {}:{} -> {}:{}", a.entry.uid, a.entry.gid, b.entry.uid, b.entry.gid));
  }
  if (a.entry.mtime != b.entry.mtime) add(fmt::format("time {} -> {}", a.entry.mtime, b.entry.mtime));
  if (a.digest != b.digest) {
    add(a.entry.size == b.entry.size ? fmt::format("content ({} bytes)", a.entry.size)
                                     : fmt::format("content ({} -> {} bytes)", a.entry.size, b.entry.size));
  }
  if (text.empty()) add("device or links");
  return text;
}

// printable keeps a hostile name on its line.
std::string printable(std::string_view name) {
  std::string out;
  for (const char c : name) out += c >= ' ' && c < 0x7f ? std::string(1, c) : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return out;
}

void compare_listings(const std::string& what, const Listing& a, const Listing& b, std::vector<std::string>& out) {
  const std::size_t before = out.size();
  for (const auto& [name, summary] : a) {
    const auto other = b.find(name);
    if (other == b.end()) {
      out.push_back(fmt::format("{}: - {}", what, printable(name)));
    } else if (!(summary.entry == other->second.entry && summary.digest == other->second.digest)) {
      out.push_back(fmt::format("{}: ~ {}: {}", what, printable(name), changes(summary, other->second)));
    }
  }
  for (const auto& [name, summary] : b) {
    if (!a.contains(name)) out.push_back(fmt::format("{}: + {}", what, printable(name)));
  }
  if (out.size() == before) out.push_back(fmt::format("{}: order or padding of its entries", what));
}

Result<std::string> section_digest(int fd, const eif::Section& section) {
  os::FdSource source(fd, section.offset, section.size);
  crypto::Hasher hasher(crypto::Hash::kSha256);
  Bytes buffer(kCopyBytes);
  for (;;) {
    const std::size_t got = TRY(source.read(buffer));
    if (got == 0) return encode_hex(hasher.finish());
    hasher.update(ByteView(buffer).first(got));
  }
}

std::vector<std::string> layers_of(const eif::Image& image) {
  std::vector<std::string> layers;
  const auto metadata = eif::parse_metadata(image.metadata);
  if (!metadata) return layers;
  const json::Value* rootfs = metadata.value().docker_info.find("RootFS");
  const json::Value* list = rootfs == nullptr ? nullptr : rootfs->find("Layers");
  if (list == nullptr || list->if_array() == nullptr) return layers;
  for (const json::Value& layer : list->array()) {
    if (const auto* text = layer.if_string()) layers.push_back(*text);
  }
  return layers;
}

}  // namespace

Result<eif::Image> inspect_file(const os::Path& path) {
  const UniqueFd fd = TRY(open_image(path));
  return inspect_fd(fd.get(), path);
}

Result<eif::Measurements> sign_file(const os::Path& path, const eif::SigningKey& key, Rng& rng) {
  const UniqueFd fd = TRY(open_image(path));
  const eif::Image image = TRY(inspect_fd(fd.get(), path));
  if (!image.crc_ok()) return malformed("{}: damaged: its checksum does not match", path.native());
  if (image.header.version < 3) return unsupported("{}: version {} has no signatures", path.native(), image.header.version);
  const Bytes signature = TRY(eif::encode_signature(key, image.measurements.pcr0, rng));

  const auto output = TRY(OutputFile::create(path));
  ThreadLanes lanes;
  eif::Writer writer(output.get(), lanes, image.header);
  eif::SectionSink sink(writer);
  bool placed = false;
  for (const eif::Section& section : image.sections) {
    if (section.type == eif::SectionType::kSignature) {
      if (!placed) TRY(writer.add_section(eif::SectionType::kSignature, signature));
      placed = true;
      continue;
    }
    TRY(writer.begin_section(section.type, section.size));
    os::FdSource source(fd.get(), section.offset, section.size);
    TRY(copy(source, sink));
  }
  if (!placed) TRY(writer.add_section(eif::SectionType::kSignature, signature));
  eif::Measurements measurements = TRY(writer.measurements());
  if (measurements.pcr0 != image.measurements.pcr0) return conflict("{}: changed while it was signed", path.native());
  measurements.pcr8 = eif::measure(TRY(eif::certificate_of(key.certificate_pem)));
  TRY(output->write_at(0, eif::encode_header(TRY(writer.finish()))));
  TRY(output->commit());
  return measurements;
}

Result<std::vector<std::string>> extract_file(const os::Path& path, const os::Path& directory) {
  const UniqueFd fd = TRY(open_image(path));
  const eif::Image image = TRY(inspect_fd(fd.get(), path));
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return errno_error(directory.native(), error.value());
  std::vector<std::string> names;
  int ramdisks = 0;
  for (const eif::Section& section : image.sections) {
    std::string name;
    switch (section.type) {
      case eif::SectionType::kKernel: name = (image.header.flags & eif::kFlagArm64) != 0 ? "Image" : "bzImage"; break;
      case eif::SectionType::kCmdline: name = "cmdline"; break;
      case eif::SectionType::kRamdisk: name = fmt::format("ramdisk{}.cpio", ramdisks++); break;
      case eif::SectionType::kSignature: name = "signature.cbor"; break;
      case eif::SectionType::kMetadata: name = "metadata.json"; break;
    }
    const auto output = TRY(OutputFile::create(directory / name));
    os::FdSource source(fd.get(), section.offset, section.size);
    TRY(copy(source, *output));
    TRY(output->commit());
    names.push_back(std::move(name));
  }
  if (image.signed_by) {
    TRY(os::write_file(directory / "signing_certificate.pem", as_bytes(image.signed_by->certificate_pem), 0644));
    names.emplace_back("signing_certificate.pem");
  }
  return names;
}

Result<Comparison> compare_files(const os::Path& a_path, const os::Path& b_path) {
  const UniqueFd a_fd = TRY(open_image(a_path));
  const UniqueFd b_fd = TRY(open_image(b_path));
  Comparison comparison{TRY(inspect_fd(a_fd.get(), a_path)), TRY(inspect_fd(b_fd.get(), b_path)), {}};
  const eif::Image& a = comparison.a;
  const eif::Image& b = comparison.b;
  auto& out = comparison.differences;
  const auto of_type = [](const eif::Image& image, eif::SectionType type) {
    std::vector<eif::Section> found;
    for (const eif::Section& section : image.sections) {
      if (section.type == type) found.push_back(section);
    }
    return found;
  };
  for (const auto type : {eif::SectionType::kKernel, eif::SectionType::kCmdline, eif::SectionType::kRamdisk,
                          eif::SectionType::kMetadata, eif::SectionType::kSignature}) {
    const auto in_a = of_type(a, type);
    const auto in_b = of_type(b, type);
    if (in_a.size() != in_b.size()) out.push_back(fmt::format("{} sections: {} and {}", to_string(type), in_a.size(), in_b.size()));
    for (std::size_t i = 0; i < std::min(in_a.size(), in_b.size()); ++i) {
      if (TRY(section_digest(a_fd.get(), in_a[i])) == TRY(section_digest(b_fd.get(), in_b[i]))) continue;
      if (type != eif::SectionType::kRamdisk) {
        const bool measured = type == eif::SectionType::kKernel || type == eif::SectionType::kCmdline;
        std::string detail;
        if (type == eif::SectionType::kCmdline) detail = fmt::format(": \"{}\" and \"{}\"", printable(a.cmdline), printable(b.cmdline));
        out.push_back(fmt::format("{} ({}){}", to_string(type), measured ? "PCR0 and PCR1" : "in no PCR", detail));
        continue;
      }
      const std::string what = fmt::format("ramdisk {} ({})", i, i == 0 ? "PCR0 and PCR1" : "PCR0 and PCR2");
      Result<Listing> list_a = list_ramdisk(a_fd.get(), in_a[i]);
      Result<Listing> list_b = list_ramdisk(b_fd.get(), in_b[i]);
      if (list_a && list_b) {
        compare_listings(what, *list_a, *list_b, out);
      } else {
        out.push_back(fmt::format("{}: not to be taken apart: {}", what, (list_a ? list_b : list_a).error().message()));
      }
    }
  }
  const auto layers_a = layers_of(a);
  const auto layers_b = layers_of(b);
  for (std::size_t i = 0; i < std::max(layers_a.size(), layers_b.size()); ++i) {
    if (i >= layers_a.size()) {
      out.push_back(fmt::format("image layer {}: only in the second: {}", i + 1, printable(layers_b[i])));
    } else if (i >= layers_b.size()) {
      out.push_back(fmt::format("image layer {}: only in the first: {}", i + 1, printable(layers_a[i])));
    } else if (layers_a[i] != layers_b[i]) {
      out.push_back(fmt::format("image layer {}: {} and {}", i + 1, printable(layers_a[i]), printable(layers_b[i])));
    }
  }
  if (out.size() > kMaxDifferences) {
    const std::size_t more = out.size() - kMaxDifferences;
    out.resize(kMaxDifferences);
    out.push_back(fmt::format("and {} more", more));
  }
  return comparison;
}

}  // namespace casemate::image
