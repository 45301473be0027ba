// SPDX-License-Identifier: Apache-2.0
// Enclave images: an image that breaks no rule is written again from its sections, byte for byte, with equal measurements.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "eif/metadata.h"
#include "eif/reader.h"
#include "eif/writer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace casemate;
  const ByteView input{data, size};
  (void)eif::parse_signature(input).ok();
  (void)eif::parse_metadata(as_text(input)).ok();
  MemorySource source(input);
  const auto image = eif::inspect(source);
  if (!image) return 0;
  (void)eif::names_image(*image).ok();
  (void)eif::check_signature(*image, WallTime{}).ok();
  if (image->file_size != size) std::abort();

  eif::SequentialLanes lanes;
  MemorySink sink;
  eif::Writer writer(&sink, lanes, image->header);
  for (const eif::Section& section : image->sections) {
    const ByteView part = input.subspan(static_cast<std::size_t>(section.offset), static_cast<std::size_t>(section.size));
    if (!writer.add_section(section.type, part)) std::abort();
  }
  const auto measured = writer.measurements();
  if (!measured || measured->pcr0 != image->measurements.pcr0 || measured->pcr2 != image->measurements.pcr2) std::abort();
  if (!image->violations.empty()) return 0;
  const auto header = writer.finish();
  if (!header) std::abort();
  Bytes again = sink.take();
  const Bytes front = eif::encode_header(*header);
  std::copy(front.begin(), front.end(), again.begin());
  if (!equal(again, input)) std::abort();
  return 0;
}
