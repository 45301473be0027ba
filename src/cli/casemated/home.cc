// SPDX-License-Identifier: Apache-2.0
#include "cli/casemated/home.h"

#include <system_error>

#include "base/encoding.h"
#include "sts/token.h"

namespace casemate::cli::casemated {
namespace {

std::string_view trim(std::string_view text) {
  const auto from = text.find_first_not_of(" \t\r");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r") - from + 1);
}

Result<AccessKey> parse_administrator(std::string_view text) {
  AccessKey key;
  bool in_section = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with('[')) {
      in_section = line == "[admin]";
      continue;
    }
    const std::size_t mark = line.find('=');
    if (!in_section || mark == std::string_view::npos) continue;
    const std::string_view value = trim(line.substr(mark + 1));
    if (trim(line.substr(0, mark)) == "aws_access_key_id") key.id = value;
    if (trim(line.substr(0, mark)) == "aws_secret_access_key") key.secret = Secret::copy_of(as_bytes(value));
  }
  if (key.id.empty() || key.secret.empty()) return malformed("no access key in section [admin]");
  return key;
}

}  // namespace

Result<kms::RootKey> load_root_key(const os::Path& home, Rng& rng) {
  const os::Path path = home / "root.key";
  const auto file = os::read_secret_file(path, 4096);
  if (file.ok()) {
    auto bytes = decode_hex(trim(as_text(file->expose()).substr(0, as_text(file->expose()).find('\n'))));
    if (!bytes.ok()) return malformed("{}: want 64 hexadecimal digits", path.native());
    return kms::RootKey::from(Secret(bytes.take())).in(path.native());
  }
  if (file.error().code() != ErrorCode::kNotFound) return file.error();
  std::error_code ignored;
  if (std::filesystem::exists(home / "kms.db", ignored)) {
    return not_found("{}: missing, while {} exists: put the key back", path.native(), (home / "kms.db").native());
  }
  kms::RootKey root = kms::RootKey::generate(rng);
  const Secret text = Secret::copy_of(as_bytes(encode_hex(root.bytes().expose()) + "\n"));
  TRY(os::create_file(path, text.expose(), 0600));
  return root;
}

Result<AccessKey> load_administrator(const os::Paths& paths, Rng& rng) {
  const auto file = os::read_secret_file(paths.credentials(), 65536);
  if (file.ok()) return parse_administrator(as_text(file->expose())).in(paths.credentials().native());
  if (file.error().code() != ErrorCode::kNotFound) return file.error();
  AccessKey key{sts::make_access_key_id("AKIA", rng), sts::make_secret_access_key(rng)};
  const Secret text = Secret::copy_of(as_bytes(fmt::format(
      "[admin]\naws_access_key_id = {}\naws_secret_access_key = {}\n", key.id, as_text(key.secret.expose()))));
  TRY(os::create_file(paths.credentials(), text.expose(), 0600));
  return key;
}

}  // namespace casemate::cli::casemated
