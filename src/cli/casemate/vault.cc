// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/vault.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>

#include "crypto/rng.h"
#include "identity/state_json.h"
#include "identity/token.h"
#include "json/value.h"
#include "kms/seal/root_key_file.h"
#include "kms/store/sqlite/sqlite_store.h"
#include "os/paths.h"

namespace casemate::cli {
namespace {

namespace store = kms::store::sqlite;

struct VaultOptions {
  std::string file;
  std::string passphrase_file;
  std::string new_passphrase_file;
  kms::seal::TokenKey token;
};

Result<std::optional<Secret>> read_passphrase(const std::string& file) {
  if (file.empty()) return std::optional<Secret>{};
  return std::optional<Secret>(TRY(kms::seal::read_passphrase(file)));
}

Result<kms::RootKey> read_root_key(const os::Path& home, const std::string& passphrase_file) {
  const os::Path path = home / "root.key";
  const Secret file = TRY(os::read_secret_file(path, 4096));
  const auto passphrase = TRY(read_passphrase(passphrase_file));
  return kms::seal::parse_root_key(as_text(file.expose()), passphrase ? &*passphrase : nullptr).in(path.native());
}

Result<void> sync(const os::Path& path, int flags) {
  const UniqueFd fd = TRY(os::open(path, flags));
  if (::fsync(fd.get()) != 0) return errno_error(path.native());
  return {};
}

Result<void> put_in_place(const os::Path& from, const os::Path& to) {
  std::error_code failed;
  std::filesystem::rename(from, to, failed);
  if (failed) return internal("{}: {}", to.native(), failed.message());
  return sync(to.parent_path(), O_RDONLY | O_DIRECTORY);
}

// While it lives no casemated serves from that home.
Result<os::FileLock> lock_home(const os::Path& home) {
  auto lock = os::FileLock::acquire(home / "casemated.lock", std::chrono::milliseconds{0});
  if (!lock.ok()) return unavailable("{}: casemated is running; stop it first", home.native());
  return lock;
}

Result<std::string> backup(const VaultOptions& options) {
  const os::Path database = TRY(os::paths_from_environment()).home / "kms.db";
  TRY(store::backup(database, options.file));
  return fmt::format("{}: copied to {}. It opens with root.key only, which is not in it.\n", database.native(),
                     options.file);
}

Result<std::string> restore(const VaultOptions& options) {
  const os::Path home = TRY(os::paths_from_environment()).home;
  const auto lock = TRY(lock_home(home));
  const kms::RootKey root = TRY(read_root_key(home, options.passphrase_file));
  TRY(store::check_database(options.file, root.check_value()));
  const os::Path fresh = home / "kms.db.new";
  TRY(os::remove(fresh));
  TRY(store::backup(options.file, fresh));
  for (const char* log : {"kms.db-wal", "kms.db-shm"}) TRY(os::remove(home / log));
  TRY(put_in_place(fresh, home / "kms.db"));
  return fmt::format("{}: restored from {}\n", (home / "kms.db").native(), options.file);
}

Result<Secret> protect(const kms::RootKey& root, const kms::seal::TokenKey& token,
                       const std::optional<Secret>& passphrase, Rng& rng) {
  if (token.module.empty()) {
    if (passphrase) return kms::seal::under_passphrase(root, *passphrase, rng);
    return kms::seal::encode_root_key(root);
  }
  if (!passphrase) return malformed("--new-pkcs11-module: the PIN of the token must be in --new-passphrase-file");
  return kms::seal::under_token(root, token, *passphrase, rng);
}

// The secrets of access keys hang on the root key too: each object with an id and a secret is sealed anew.
Result<void> reseal(json::Value& value, const identity::TokenSealer& before, const identity::TokenSealer& after,
                    Rng& rng) {
  if (json::Array* array = value.if_array()) {
    for (json::Value& item : *array) TRY(reseal(item, before, after, rng));
    return {};
  }
  json::Object* object = value.if_object();
  if (object == nullptr) return {};
  const std::string* id = value.string_at("id");
  const std::string* secret = value.string_at("secret");
  if (id != nullptr && secret != nullptr) {
    const Secret opened = TRY(before.open_secret(*id, *secret).in(*id));
    const std::string sealed = after.seal_secret(*id, opened, rng);
    object->set("secret", sealed);
  }
  for (auto& [name, member] : *object) TRY(reseal(member, before, after, rng));
  return {};
}

Result<void> reseal_identities(const os::Path& home, const kms::RootKey& before, const kms::RootKey& after, Rng& rng) {
  const auto text = os::read_file(home / "identity.json", identity::kLongestState);
  if (!text.ok() && text.error().code() == ErrorCode::kNotFound) return {};
  if (!text.ok()) return text.error();
  json::Limits limits;
  limits.input_bytes = identity::kLongestState;
  limits.values = 5'000'000;
  json::Value state = TRY(json::parse(*text, limits).in("identity.json"));
  TRY(reseal(state, identity::TokenSealer(before.derive("session tokens")),
             identity::TokenSealer(after.derive("session tokens")), rng));
  return os::write_file(home / "identity.json.new", as_bytes(json::encode_pretty(state) + "\n"), 0600);
}

// root.key.new and identity.json.new are on the disk before the database needs them, and take their places after it:
// casemated finishes a rewrapping that was cut short in between.
Result<std::string> rewrap(const VaultOptions& options) {
  const os::Path home = TRY(os::paths_from_environment()).home;
  const auto lock = TRY(lock_home(home));
  const kms::RootKey before = TRY(read_root_key(home, options.passphrase_file));
  const auto passphrase = TRY(read_passphrase(options.new_passphrase_file));
  crypto::SystemRng rng;
  const kms::RootKey after = kms::RootKey::generate(rng);
  const Secret text = TRY(protect(after, options.token, passphrase, rng));
  TRY(os::write_file(home / "root.key.new", text.expose(), 0600));
  TRY(reseal_identities(home, before, after, rng));
  const std::size_t count = TRY(store::rewrap(home / "kms.db", before, after, rng));
  std::error_code missing;
  if (std::filesystem::exists(home / "identity.json.new", missing))
    TRY(put_in_place(home / "identity.json.new", home / "identity.json"));
  TRY(put_in_place(home / "root.key.new", home / "root.key"));
  return fmt::format("{} key materials wrapped under a new root key\n", count);
}

void add_verb(CLI::App& verb, const std::shared_ptr<VaultOptions>& options, int& exit_code,
              Result<std::string> (*act)(const VaultOptions&)) {
  verb.callback([options, &exit_code, act] {
    const auto done = act(*options);
    if (done.ok()) {
      std::fputs(done->c_str(), stdout);
      return;
    }
    std::fprintf(stderr, "casemate: %s\n", done.error().message().c_str());
    exit_code = 1;
  });
}

}  // namespace

void add_vault(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<VaultOptions>();
  CLI::App* verb = app.add_subcommand("backup", "Copy the key service's database, also while it serves");
  verb->add_option("file", options->file, "File to make; it must not exist")->required();
  add_verb(*verb, options, exit_code, backup);
  verb = app.add_subcommand("restore", "Put a copy in the database's place; casemated must not run");
  verb->add_option("file", options->file, "Copy that backup made")->required();
  verb->add_option("--root-key-passphrase-file", options->passphrase_file, "File with the passphrase of root.key");
  add_verb(*verb, options, exit_code, restore);
  verb = app.add_subcommand("rewrap",
                            "Change the root key that all key material is wrapped under; casemated must not run");
  verb->add_option("--root-key-passphrase-file", options->passphrase_file, "File with the passphrase of root.key");
  verb->add_option("--new-passphrase-file", options->new_passphrase_file,
                   "File with the passphrase for the new root key; without it the key is bare");
  verb->add_option("--new-pkcs11-module", options->token.module, "PKCS#11 library whose token is to seal the root key");
  verb->add_option("--new-pkcs11-token", options->token.token, "Label of the token");
  verb->add_option("--new-pkcs11-key", options->token.key, "Label of its AES key, made when it is not there")
      ->default_val("casemate root key");
  add_verb(*verb, options, exit_code, rewrap);
}

}  // namespace casemate::cli
