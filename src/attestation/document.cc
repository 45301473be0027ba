// SPDX-License-Identifier: Apache-2.0
#include "attestation/document.h"

#include <algorithm>

#include "cbor/writer.h"

namespace casemate::attestation {
namespace {

using cbor::Reader;

// The last millisecond of the year 9999, the end of what X.509 and RFC 3339 can say.
constexpr std::uint64_t kMaxTimestampMs = 253402300799999;
// NSMs give 39 characters; libnsm's buffer holds 99.
constexpr std::size_t kMaxModuleIdBytes = 256;

std::size_t item_count(const Reader::Map& map) { return map.left ? static_cast<std::size_t>(*map.left) : 0; }

// The raw fields, as found; content is looked at once the whole shape is known.
struct Fields {
  std::optional<std::string_view> module_id;
  std::optional<std::string_view> digest;
  std::optional<std::uint64_t> timestamp;
  std::optional<std::vector<Pcr>> pcrs;
  std::optional<ByteView> certificate;
  std::optional<std::vector<Bytes>> cabundle;
  std::optional<ByteView> public_key;
  std::optional<ByteView> user_data;
  std::optional<ByteView> nonce;
};

Result<std::vector<Pcr>> read_pcrs(Reader& reader) {
  Reader::Map map = TRY(reader.read_map());
  const std::size_t count = item_count(map);
  if (count == 0 || count > kPcrCount) return malformed("{} entries, want 1 to {}", count, kPcrCount);
  std::vector<Pcr> pcrs;
  pcrs.reserve(count);
  while (TRY(reader.next(map))) {
    const std::int64_t index = TRY(reader.read_integer());
    if (index < 0 || index >= kPcrCount) return malformed("index {}, want 0 to {}", index, kPcrCount - 1);
    const ByteView value = TRY(reader.read_bytes().in(fmt::format("[{}]", index)));
    const auto same = [index](const Pcr& pcr) { return pcr.index == index; };
    if (std::any_of(pcrs.begin(), pcrs.end(), same)) return malformed("index {} twice", index);
    pcrs.push_back({static_cast<PcrIndex>(index), to_bytes(value)});
  }
  return pcrs;
}

Result<std::vector<Bytes>> read_cabundle(Reader& reader, const Limits& limits) {
  const std::uint64_t count = TRY(reader.read_array());
  if (count > limits.cabundle_count) return over_limit("{} certificates, want at most {}", count, limits.cabundle_count);
  std::vector<Bytes> bundle;
  bundle.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) bundle.push_back(to_bytes(TRY(reader.read_bytes().in(fmt::format("[{}]", i)))));
  return bundle;
}

Result<std::optional<ByteView>> read_optional(Reader& reader) {
  if (reader.next_is_null()) {
    TRY(reader.read_null());
    return std::optional<ByteView>();
  }
  return std::optional<ByteView>(TRY(reader.read_bytes()));
}

Result<void> read_field(std::string_view key, Reader& reader, const Limits& limits, Fields& out) {
  if (key == "module_id") {
    out.module_id = TRY(reader.read_text());
  } else if (key == "digest") {
    out.digest = TRY(reader.read_text());
  } else if (key == "timestamp") {
    out.timestamp = TRY(reader.read_unsigned());
  } else if (key == "pcrs") {
    out.pcrs = TRY(read_pcrs(reader));
  } else if (key == "certificate") {
    out.certificate = TRY(reader.read_bytes());
  } else if (key == "cabundle") {
    out.cabundle = TRY(read_cabundle(reader, limits));
  } else if (key == "public_key") {
    out.public_key = TRY(read_optional(reader));
  } else if (key == "user_data") {
    out.user_data = TRY(read_optional(reader));
  } else if (key == "nonce") {
    out.nonce = TRY(read_optional(reader));
  } else if (key == "nitrotpm_pcrs") {
    return malformed("the document is a NitroTPM's, want an enclave's");
  } else {
    return malformed("unknown key, want those of an enclave's document");
  }
  return {};
}

Result<Fields> read_shape(ByteView payload, const Limits& limits, cbor::MapForm& form) {
  Reader reader(payload);
  Reader::Map map = TRY(reader.read_map(cbor::MapForm::kEither));
  form = map.indefinite() ? cbor::MapForm::kEither : cbor::MapForm::kDefinite;
  Fields fields;
  cbor::TextKeys keys;
  while (TRY(reader.next(map))) {
    const std::string_view key = TRY(reader.read_text().in("key"));
    TRY(keys.add(key));
    // Keys come from strangers: only a known one is quoted whole.
    TRY(read_field(key, reader, limits, fields).in(key.size() <= 32 ? key : key.substr(0, cbor::find_invalid_utf8(as_bytes(key.substr(0, 32))).value_or(32))));
  }
  TRY(reader.finish());
  return fields;
}

Result<void> check_size(std::string_view field, std::size_t size, std::size_t lowest, std::size_t highest) {
  if (size < lowest) return malformed("{}: empty", field);
  if (size > highest) return over_limit("{}: {} bytes, want at most {}", field, size, highest);
  return {};
}

Result<void> check_optional(std::string_view field, const std::optional<ByteView>& value, std::size_t highest) {
  return value ? check_size(field, value->size(), 0, highest) : Result<void>();
}

Result<void> check_content(const Fields& fields, const Limits& limits) {
  const std::pair<std::string_view, bool> mandatory[] = {
      {"module_id", fields.module_id.has_value()},     {"digest", fields.digest.has_value()},
      {"timestamp", fields.timestamp.has_value()},     {"pcrs", fields.pcrs.has_value()},
      {"certificate", fields.certificate.has_value()}, {"cabundle", fields.cabundle.has_value()}};
  for (const auto& [name, present] : mandatory) {
    if (!present) return malformed("{}: missing", name);
  }
  TRY(check_size("module_id", fields.module_id->size(), 1, kMaxModuleIdBytes));
  if (fields.digest != "SHA384") return unsupported("digest: not SHA384, the only one there is");
  if (*fields.timestamp == 0 || *fields.timestamp > kMaxTimestampMs) {
    return malformed("timestamp: {} ms, want 1 to {}", *fields.timestamp, kMaxTimestampMs);
  }
  for (const Pcr& pcr : *fields.pcrs) {
    const std::size_t size = pcr.value.size();
    if (size != 32 && size != 48 && size != 64) return malformed("pcrs[{}]: {} bytes, want 32, 48 or 64", pcr.index, size);
  }
  TRY(check_size("certificate", fields.certificate->size(), 1, limits.certificate_bytes));
  if (fields.cabundle->empty()) return malformed("cabundle: empty");
  for (std::size_t i = 0; i < fields.cabundle->size(); ++i) {
    const std::size_t size = (*fields.cabundle)[i].size();
    if (size == 0 || size > limits.certificate_bytes) return check_size(fmt::format("cabundle[{}]", i), size, 1, limits.certificate_bytes);
  }
  TRY(check_optional("public_key", fields.public_key, limits.public_key_bytes));
  TRY(check_optional("user_data", fields.user_data, limits.user_data_bytes));
  return check_optional("nonce", fields.nonce, limits.nonce_bytes);
}

std::optional<Bytes> own(const std::optional<ByteView>& view) {
  return view ? std::optional<Bytes>(to_bytes(*view)) : std::nullopt;
}

void write_optional(cbor::Writer& writer, std::string_view key, const std::optional<ByteView>& value) {
  writer.text(key);
  if (value) {
    writer.bytes(*value);
  } else {
    writer.null();
  }
}

}  // namespace

const Bytes* Document::find_pcr(PcrIndex index) const {
  for (const Pcr& pcr : pcrs) {
    if (pcr.index == index) return &pcr.value;
  }
  return nullptr;
}

bool Document::is_debug() const {
  for (const PcrIndex index : {PcrIndex{0}, PcrIndex{1}, PcrIndex{2}}) {
    const Bytes* value = find_pcr(index);
    if (value != nullptr && !all_zero(*value)) return false;
  }
  return true;
}

Result<Document> parse_document(ByteView payload, const Limits& limits) {
  if (payload.size() > limits.payload_bytes) {
    return over_limit("attestation document: {} bytes, want at most {}", payload.size(), limits.payload_bytes);
  }
  Document document;
  Fields fields = TRY(read_shape(payload, limits, document.form).in("attestation document"));
  TRY(check_content(fields, limits).in("attestation document"));
  document.module_id = std::string(fields.module_id.value());
  document.timestamp = WallTime(std::chrono::milliseconds(fields.timestamp.value()));
  document.pcrs = std::move(fields.pcrs.value());
  std::sort(document.pcrs.begin(), document.pcrs.end(), [](const Pcr& a, const Pcr& b) { return a.index < b.index; });
  document.certificate = to_bytes(fields.certificate.value());
  document.cabundle = std::move(fields.cabundle.value());
  document.public_key = own(fields.public_key);
  document.user_data = own(fields.user_data);
  document.nonce = own(fields.nonce);
  return document;
}

Bytes encode_document(const Statement& statement, ByteView certificate, const std::vector<Bytes>& cabundle, WireForm form) {
  cbor::Writer writer;
  writer.reserve(8192);
  if (form == WireForm::kDefinite) {
    writer.map(9);
  } else {
    writer.indefinite_map();
  }
  writer.text("module_id").text(statement.module_id).text("digest").text("SHA384").text("timestamp");
  writer.unsigned_integer(static_cast<std::uint64_t>(statement.timestamp.time_since_epoch().count()));
  writer.text("pcrs").map(statement.pcrs.size());
  for (const Pcr& pcr : statement.pcrs) writer.unsigned_integer(pcr.index).bytes(pcr.value);
  writer.text("certificate").bytes(certificate).text("cabundle").array(cabundle.size());
  for (const Bytes& authority : cabundle) writer.bytes(authority);
  write_optional(writer, "public_key", statement.public_key);
  write_optional(writer, "user_data", statement.user_data);
  write_optional(writer, "nonce", statement.nonce);
  if (form == WireForm::kIndefinite) writer.end_indefinite();
  return writer.take();
}

}  // namespace casemate::attestation
