// SPDX-License-Identifier: Apache-2.0
#include "cli/casemated/home.h"

#include <system_error>

#include "kms/seal/root_key_file.h"
#include "kms/store/sqlite/sqlite_store.h"

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

Result<kms::RootKey> load_root_key(const os::Path& home, const std::string& passphrase_file, Rng& rng) {
  const os::Path path = home / "root.key";
  std::optional<Secret> passphrase;
  if (!passphrase_file.empty()) passphrase = TRY(kms::seal::read_passphrase(passphrase_file));
  const Secret* given = passphrase ? &*passphrase : nullptr;
  const auto replacement = os::read_secret_file(home / "root.key.new", 4096);
  if (replacement.ok()) {
    auto root = kms::seal::parse_root_key(as_text(replacement->expose()), given);
    if (root.ok() && kms::store::sqlite::check_database(home / "kms.db", root->check_value()).ok()) {
      std::error_code failed;
      if (std::filesystem::exists(home / "identity.json.new", failed))
        std::filesystem::rename(home / "identity.json.new", home / "identity.json", failed);
      if (failed) return internal("identity.json.new: {}", failed.message());
      std::filesystem::rename(home / "root.key.new", path, failed);
      if (failed) return internal("{}: {}", path.native(), failed.message());
      return root.take();
    }
  }
  const auto file = os::read_secret_file(path, 4096);
  if (file.ok()) return kms::seal::parse_root_key(as_text(file->expose()), given).in(path.native());
  if (file.error().code() != ErrorCode::kNotFound) return file.error();
  std::error_code ignored;
  if (std::filesystem::exists(home / "kms.db", ignored)) {
    return not_found("{}: missing, while {} exists: put the key back", path.native(), (home / "kms.db").native());
  }
  kms::RootKey root = kms::RootKey::generate(rng);
  const Secret text =
      given == nullptr ? kms::seal::encode_root_key(root) : TRY(kms::seal::under_passphrase(root, *given, rng));
  TRY(os::create_file(path, text.expose(), 0600));
  return root;
}

Result<AccessKey> load_administrator(const os::Paths& paths, std::string_view account, Rng& rng) {
  const auto file = os::read_secret_file(paths.credentials(), 65536);
  if (file.ok()) return parse_administrator(as_text(file->expose())).in(paths.credentials().native());
  if (file.error().code() != ErrorCode::kNotFound) return file.error();
  AccessKey key{identity::make_access_key_id("AKIA", account, rng), identity::make_secret_access_key(rng), true};
  const Secret text = Secret::copy_of(as_bytes(fmt::format(
      "[admin]\naws_access_key_id = {}\naws_secret_access_key = {}\n", key.id, as_text(key.secret.expose()))));
  TRY(os::create_file(paths.credentials(), text.expose(), 0600));
  return key;
}

namespace {

Result<void> add_credentials(const os::Paths& paths, const std::vector<identity::NewKey>& keys) {
  Secret file = TRY(os::read_secret_file(paths.credentials(), 1024 * 1024));
  Bytes text(file.expose().begin(), file.expose().end());
  for (const identity::NewKey& key : keys) {
    append(text, as_bytes(fmt::format("\n[{}-{}]\naws_access_key_id = {}\naws_secret_access_key = ", key.account, key.user,
                                      key.id)));
    append(text, key.secret->expose());
    text.push_back('\n');
  }
  const Secret whole(std::move(text));
  return os::write_file(paths.credentials(), whole.expose(), 0600);
}

os::Path identity_path(const os::Paths& paths) {
  return paths.home / "identity.json";
}

}  // namespace

Result<void> save_identities(const os::Paths& paths, const identity::State& state) {
  return os::write_file(identity_path(paths), as_bytes(identity::encode_state(state)), 0600);
}

Result<identity::State> load_identities(const os::Paths& paths, const os::Platform& platform,
                                        const std::string& declaration, const identity::TokenSealer& sealer, WallTime now,
                                        Rng& rng) {
  identity::State state;
  const auto file = os::read_file(identity_path(paths), identity::kLongestState);
  if (file.ok()) {
    state = TRY(identity::parse_state(*file, &sealer).in(identity_path(paths).native()));
  } else if (file.error().code() != ErrorCode::kNotFound) {
    return file.error();
  }
  const AccessKey administrator = TRY(load_administrator(paths, platform.account, rng));
  identity::Founder founder(state, sealer, now, rng);
  if (administrator.made || !state.accounts.contains(platform.account)) {
    founder.found_account(platform.account);
    founder.add_key(platform.account, "admin", administrator.id, administrator.secret);
  }
  if (!platform.role_arn.empty()) TRY(founder.add_instance_role(platform.role_arn).in("role of the instance"));
  if (!declaration.empty()) {
    const std::string text = TRY(os::read_file(declaration, 1024 * 1024));
    TRY(founder.declare(TRY(json::parse(text).in(declaration))).in(declaration));
  }
  // The administrator's own key is in the file already.
  std::vector<identity::NewKey> keys = founder.take_keys();
  std::erase_if(keys, [&](const identity::NewKey& key) { return key.id == administrator.id; });
  if (!keys.empty()) TRY(add_credentials(paths, keys));
  TRY(save_identities(paths, state));
  return state;
}

}  // namespace casemate::cli::casemated
