// SPDX-License-Identifier: Apache-2.0
#include "image/assemble.h"

#include "eif/format.h"
#include "image/files.h"
#include "image/lanes.h"

namespace casemate::image {
namespace {

constexpr std::size_t kMaxConfigBytes = 4 * 1024 * 1024;

}  // namespace

Result<eif::KernelName> read_kernel_name(const os::Path& config) {
  return eif::parse_kernel_config(TRY(os::read_file(config, kMaxConfigBytes))).in(config.native());
}

Result<void> copy_section(eif::Writer& writer, eif::SectionType type, const oci::Blob& blob, ByteSink& section) {
  TRY(writer.begin_section(type, blob.size()));
  const auto stream = TRY(blob.open(0));
  Bytes buffer(kCopyBytes);
  std::uint64_t left = blob.size();
  for (;;) {
    const std::size_t got = TRY(stream->read(buffer));
    if (got > left || (got == 0 && left > 0)) return conflict("changed while it was read");
    if (got == 0) return {};
    TRY(section.write(ByteView(buffer).first(got)));
    left -= got;
  }
}

Result<Sealed> seal(eif::Writer& writer, OutputFile* output, const eif::SigningKey* signing, Rng& rng,
                    const std::function<Result<void>()>& last_check) {
  Sealed sealed;
  sealed.measurements = TRY(writer.measurements());
  if (last_check) TRY(last_check());
  if (signing != nullptr) {
    TRY(writer.add_section(eif::SectionType::kSignature, TRY(eif::encode_signature(*signing, sealed.measurements.pcr0, rng))));
    sealed.measurements.pcr8 = eif::measure(TRY(eif::certificate_of(signing->certificate_pem)));
  }
  const eif::Header header = TRY(writer.finish());
  sealed.bytes = writer.bytes_written();
  if (output != nullptr) {
    TRY(output->write_at(0, eif::encode_header(header)));
    TRY(output->commit());
  }
  return sealed;
}

Result<Sealed> assemble(const Parts& parts, OutputFile& output, const eif::SigningKey* signing, Rng& rng) {
  ThreadLanes lanes;
  eif::Header base;
  base.flags = parts.flags;
  eif::Writer writer(&output, lanes, base);
  eif::SectionSink section(writer);
  const auto add_file = [&](eif::SectionType type, const os::Path& path) -> Result<void> {
    return copy_section(writer, type, *TRY(open_blob(path)), section).in(path.native());
  };
  TRY(add_file(eif::SectionType::kKernel, parts.kernel));
  TRY(writer.add_section(eif::SectionType::kCmdline, as_bytes(parts.command_line)));
  TRY(writer.add_section(eif::SectionType::kMetadata, as_bytes(eif::encode_metadata(parts.metadata))));
  for (const os::Path& ramdisk : parts.ramdisks) TRY(add_file(eif::SectionType::kRamdisk, ramdisk));
  return seal(writer, &output, signing, rng);
}

}  // namespace casemate::image
