// SPDX-License-Identifier: Apache-2.0
#include "pki/store.h"

#include "x509/certificate.h"

namespace casemate::pki {
namespace {

using attestation::Hierarchy;
using attestation::HierarchyNames;
using attestation::kLevels;
using attestation::Level;

constexpr std::size_t kFileLimit = 64 * 1024;
constexpr auto kLockPatience = std::chrono::seconds(10);

os::Path level_path(const os::Path& folder, Level level) { return folder / fmt::format("{}.key", to_string(level)); }
os::Path root_path(const os::Path& folder) { return folder / "root.pem"; }

Result<os::FileLock> lock(const os::Path& folder) { return os::FileLock::acquire(folder / ".lock", kLockPatience); }

Secret level_file(const attestation::Authority& authority) {
  const Secret key = authority.key.pkcs8_pem();
  const std::string certificate = x509::certificate_pem(authority.certificate);
  Bytes both;
  // Reserved, so that no copy of the key is left behind by growth.
  both.reserve(certificate.size() + key.size());
  append(both, as_bytes(certificate));
  append(both, key.expose());
  return Secret(std::move(both));
}

Result<void> write_levels(const os::Path& folder, const Hierarchy& hierarchy, const std::vector<Level>& levels) {
  for (const Level level : levels) {
    TRY(os::write_file(level_path(folder, level), level_file(hierarchy.authority(level)).expose(), 0600));
  }
  return {};
}

Result<Hierarchy::Part> read_level(const os::Path& folder, Level level) {
  const os::Path path = level_path(folder, level);
  const Secret text = TRY(os::read_secret_file(path, kFileLimit));
  const std::string_view pem = as_text(text.expose());
  std::vector<Bytes> certificates = TRY(x509::parse_certificates_pem(pem).in(path.string()));
  if (certificates.size() != 1) return malformed("{}: {} certificates, want one", path.string(), certificates.size());
  return Hierarchy::Part{std::move(certificates[0]), TRY(crypto::EcPrivateKey::from_pem(pem).in(path.string()))};
}

Result<Hierarchy> load_unlocked(const os::Path& folder, const HierarchyNames& names) {
  // Too old a level cannot be told from a missing one by its use, so the longest run that fits together is taken. Keys
  // do not copy, hence the files are read again for a shorter run: that happens only after a write was cut short.
  for (std::size_t count = kLevels.size(); count > 0; --count) {
    std::vector<Hierarchy::Part> parts;
    for (std::size_t i = 0; i < count; ++i) {
      auto part = read_level(folder, kLevels[i]);
      if (!part.ok()) {
        if (i == 0 && part.error().code() == ErrorCode::kNotFound) {
          return not_found("{}: no attestation hierarchy, want one made by casemate pki init", folder.string());
        }
        // A key file that others can read is a reason to stop, not to replace it.
        if (i == 0 || part.error().code() == ErrorCode::kDenied) return std::move(part).error();
        break;
      }
      parts.push_back(part.take());
    }
    const bool root_only = parts.size() == 1;
    auto hierarchy = Hierarchy::from_parts(names, std::move(parts));
    if (hierarchy.ok() || root_only) return std::move(hierarchy).in(folder.string());
  }
  return internal("{}: unreachable", folder.string());
}

}  // namespace

Result<void> init(const os::Path& folder, const HierarchyNames& names, WallTime now, Rng& rng) {
  TRY(os::make_private_directories(folder));
  const os::FileLock held = TRY(lock(folder));
  const Hierarchy hierarchy = Hierarchy::create(names, now, rng);
  // The root is what makes a hierarchy; it is never written over another. Lower levels that a cut leaves missing are made
  // by the next load_current.
  auto created = os::create_file(level_path(folder, Level::kRoot), level_file(hierarchy.authority(Level::kRoot)).expose(), 0600);
  if (!created.ok() && created.error().code() == ErrorCode::kConflict) {
    return conflict("{}: there is a hierarchy already, and a root is never replaced", folder.string());
  }
  TRY(std::move(created));
  TRY(os::write_file(root_path(folder), as_bytes(hierarchy.root_pem()), 0644));
  return write_levels(folder, hierarchy, {Level::kRegional, Level::kZonal, Level::kInstance});
}

Result<Hierarchy> load(const os::Path& folder, const HierarchyNames& names) { return load_unlocked(folder, names); }

Result<Hierarchy> load_current(const os::Path& folder, const HierarchyNames& names, WallTime now, Rng& rng) {
  // First without the lock: it could not even be made in a folder that does not exist, and most often nothing is renewed.
  Hierarchy hierarchy = TRY(load_unlocked(folder, names));
  if (hierarchy.rotate(now, rng).empty()) return hierarchy;
  const os::FileLock held = TRY(lock(folder));
  // Another process may have renewed it meanwhile, or been about to.
  hierarchy = TRY(load_unlocked(folder, names));
  const std::vector<Level> renewed = hierarchy.rotate(now, rng);
  TRY(write_levels(folder, hierarchy, renewed));
  return hierarchy;
}

Result<std::vector<Level>> rotate(const os::Path& folder, const HierarchyNames& names, WallTime now, Rng& rng) {
  TRY(load_unlocked(folder, names));
  const os::FileLock held = TRY(lock(folder));
  Hierarchy hierarchy = TRY(load_unlocked(folder, names));
  std::vector<Level> renewed = hierarchy.renew_all(now, rng);
  TRY(write_levels(folder, hierarchy, renewed));
  return renewed;
}

Result<std::string> root_pem(const os::Path& folder) {
  auto pem = os::read_file(root_path(folder), kFileLimit);
  if (pem.ok() || pem.error().code() != ErrorCode::kNotFound) return pem;
  // A cut between the root's two files leaves the certificate in the first.
  const Hierarchy hierarchy = TRY(load_unlocked(folder, {}));
  return hierarchy.root_pem();
}

attestation::LeafIssuer::Issue leaf_source(os::Path folder, HierarchyNames names, std::string module_id, Rng& rng) {
  return [folder = std::move(folder), names = std::move(names), module_id = std::move(module_id), &rng](WallTime now) -> Result<attestation::Signer> {
    const Hierarchy hierarchy = TRY(load_current(folder, names, now, rng));
    return hierarchy.issue_leaf(module_id, now, rng);
  };
}

}  // namespace casemate::pki
