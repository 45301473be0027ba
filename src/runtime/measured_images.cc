// SPDX-License-Identifier: Apache-2.0
#include "runtime/measured_images.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "crypto/digest.h"

namespace casemate::runtime {
namespace {

constexpr std::string_view kMagic = "casemate image 1";
constexpr std::size_t kRecordBytes = 16 + 16 + 3 * 8 + 2 * (8 + 4) + 3 * 48 + 4 + 32;

template <std::size_t N>
Result<std::array<std::uint8_t, N>> read_array(ByteReader& in) {
  const ByteView bytes = TRY(in.read(N));
  std::array<std::uint8_t, N> out{};
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

}  // namespace

Bytes encode_image_record(const ImageRecord& record) {
  Bytes out;
  append(out, as_bytes(kMagic));
  append(out, record.boot);
  append_be<8>(out, record.file.device);
  append_be<8>(out, record.file.inode);
  append_be<8>(out, record.file.size);
  append_be<8>(out, static_cast<std::uint64_t>(record.file.mtime_s));
  append_be<4>(out, record.file.mtime_ns);
  append_be<8>(out, static_cast<std::uint64_t>(record.file.ctime_s));
  append_be<4>(out, record.file.ctime_ns);
  append(out, record.measured.pcr0);
  append(out, record.measured.pcr1);
  append(out, record.measured.pcr2);
  append_be<4>(out, record.measured.crc);
  append(out, crypto::sha256(out));
  return out;
}

Result<ImageRecord> parse_image_record(ByteView input) {
  if (input.size() != kRecordBytes) return malformed("image record: {} bytes, want {}", input.size(), kRecordBytes);
  const ByteView sum = input.last(32);
  if (!equal(crypto::sha256(input.first(kRecordBytes - 32)), sum)) return malformed("image record: its checksum is of other content");
  ByteReader in(input);
  if (as_text(TRY(in.read(kMagic.size()))) != kMagic) return unsupported("image record: another version");
  ImageRecord record;
  record.boot = TRY(read_array<16>(in));
  record.file.device = TRY(in.read_u64());
  record.file.inode = TRY(in.read_u64());
  record.file.size = TRY(in.read_u64());
  record.file.mtime_s = static_cast<std::int64_t>(TRY(in.read_u64()));
  record.file.mtime_ns = TRY(in.read_u32());
  record.file.ctime_s = static_cast<std::int64_t>(TRY(in.read_u64()));
  record.file.ctime_ns = TRY(in.read_u32());
  record.measured.pcr0 = TRY(read_array<48>(in));
  record.measured.pcr1 = TRY(read_array<48>(in));
  record.measured.pcr2 = TRY(read_array<48>(in));
  record.measured.crc = TRY(in.read_u32());
  return record;
}

os::Path MeasuredImages::path_of(const FileIdentity& file) const { return folder_ / fmt::format("{:x}-{:x}", file.device, file.inode); }

std::optional<eif::Measured> MeasuredImages::find(const FileIdentity& file) const {
  const Result<std::string> text = os::read_file(path_of(file), kRecordBytes);
  if (!text) return std::nullopt;
  const Result<ImageRecord> record = parse_image_record(as_bytes(*text));
  if (!record || !(record->file == file)) return std::nullopt;
  const Result<BootId> boot = boot_id();
  if (!boot || *boot != record->boot) return std::nullopt;
  return record->measured;
}

void MeasuredImages::keep(const FileIdentity& file, const eif::Measured& measured) const {
  const Result<BootId> boot = boot_id();
  if (!boot || !os::make_private_directories(folder_)) return;
  drop_oldest();
  const os::Path path = path_of(file);
  // Good for this boot only, so there is nothing to make durable.
  const os::Path temporary = path.native() + fmt::format(".{}", ::getpid());
  const Result<UniqueFd> out = os::open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
  if (!out || !os::write_all(out->get(), encode_image_record({*boot, file, measured})) || ::rename(temporary.c_str(), path.c_str()) != 0)
    (void)os::remove(temporary);
}

void MeasuredImages::drop_oldest() const {
  const Result<std::vector<std::string>> names = os::list(folder_);
  if (!names || names->size() < kMostRecords) return;
  std::vector<std::pair<std::filesystem::file_time_type, os::Path>> records;
  for (const std::string& name : *names) {
    std::error_code error;
    const auto written = std::filesystem::last_write_time(folder_ / name, error);
    records.emplace_back(written, folder_ / name);
  }
  std::sort(records.begin(), records.end());
  records.resize(records.size() - kMostRecords / 2);
  for (const auto& [written, path] : records) (void)os::remove(path);
}

}  // namespace casemate::runtime
