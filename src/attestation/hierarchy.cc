// SPDX-License-Identifier: Apache-2.0
#include "attestation/hierarchy.h"

#include <algorithm>

#include "attestation/profile.h"
#include "base/encoding.h"
#include "x509/issue.h"

namespace casemate::attestation {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::string_view kPartition = "casemate";
constexpr auto kRootLife = hours(24 * 365 * 30 + 24 * 7) + hours(1);
constexpr auto kRegionalLife = hours(24 * 20 + 1);
constexpr auto kZonalLife = hours(133);
constexpr unsigned kZonalSpreadHours = 13;  // real ones live 133 to 145 hours
constexpr auto kInstanceLife = hours(24);
constexpr auto kLeafLife = hours(3);
constexpr auto kLeafBackdate = seconds(3);
// Authorities start a little in the past, so that every leaf lies within them.
constexpr auto kBackdate = minutes(1);
// Slack for the time between rotating and the last use of what was issued.
constexpr auto kMargin = minutes(10);
// A leaf serves this long at most; real ones were seen for 2 h 22 min.
constexpr auto kLeafReuse = hours(2) + minutes(20);

WallTime to_time(x509::Seconds time) { return WallTime(seconds(time)); }

std::string random_hex(std::size_t bytes, Rng& rng) {
  Bytes random(bytes);
  rng.fill(random);
  return encode_hex(random);
}

Bytes random_serial(std::size_t bytes, Rng& rng) {
  Bytes serial(bytes);
  rng.fill(serial);
  // RFC 5280, 4.1.2.2: positive and at most 20 octets, sign octet included; never a leading zero either.
  serial[0] = static_cast<std::uint8_t>((serial[0] & 0x7f) | 0x40);
  return serial;
}

std::string random_uuid(Rng& rng) {
  const std::string hex = random_hex(16, rng);
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4), hex.substr(20));
}

using Name = std::vector<x509::RelativeName>;

Name root_name() {
  return {{"C", "US"}, {"O", "casemate"}, {"OU", "local"}, {"CN", fmt::format("{}.nitro-enclaves", kPartition)}};
}
Name regional_name(std::string_view id, const HierarchyNames& names) {
  return {{"C", "US"}, {"O", "casemate"}, {"OU", "local"}, {"CN", fmt::format("{}.{}.{}.nitro-enclaves", id, names.region, kPartition)}};
}
Name zonal_name(std::string_view id, const HierarchyNames& names) {
  return {{"CN", fmt::format("{}.zonal.{}.{}.nitro-enclaves", id, names.region, kPartition)},
          {"OU", "local"}, {"O", "casemate"}, {"C", "US"}, {"ST", "WA"}, {"L", "Seattle"}};
}
std::string instance_cn(const HierarchyNames& names) {
  return fmt::format("{}.{}.{}.nitro-enclaves", names.instance_id, names.region, kPartition);
}
Name host_name(std::string common_name) {
  return {{"C", "US"}, {"ST", "Washington"}, {"L", "Seattle"}, {"O", "casemate"}, {"OU", "local"}, {"CN", std::move(common_name)}};
}

constexpr std::uint16_t kAuthorityUsage = x509::kDigitalSignature | x509::kKeyCertSign | x509::kCrlSign;

// make_authority issues the certificate of one level; `issuer` is null for the root.
Authority make_authority(Level level, const HierarchyNames& names, const Authority* issuer, WallTime now, Rng& rng) {
  crypto::EcPrivateKey key = crypto::EcPrivateKey::generate(crypto::Curve::kP384, rng);
  x509::CertificateTemplate fields;
  fields.not_before = x509::to_seconds(now - kBackdate);
  fields.public_key = key.public_key().spki_der();
  fields.subject_key_id = x509::key_id(key.public_key());
  fields.key_usage = x509::Certificate::KeyUsages{true, kAuthorityUsage};
  fields.basic_constraints = x509::Certificate::BasicConstraints{true, true, std::nullopt};
  seconds life{};
  switch (level) {
    case Level::kRoot:
      fields.serial = random_serial(16, rng);
      fields.subject = x509::encode_name(root_name());
      life = kRootLife;
      break;
    case Level::kRegional:
      fields.serial = random_serial(16, rng);
      fields.subject = x509::encode_name(regional_name(random_hex(8, rng), names));
      fields.basic_constraints->path_length = 2;
      fields.crl_url = fmt::format("http://{}-nitro-enclaves-crl.invalid/crl/{}.crl", kPartition, random_uuid(rng));
      life = kRegionalLife;
      break;
    case Level::kZonal: {
      std::uint8_t spread[1];
      rng.fill(spread);
      fields.serial = random_serial(16, rng);
      fields.subject = x509::encode_name(zonal_name(random_hex(8, rng), names));
      fields.basic_constraints->path_length = 1;
      fields.crl_url = fmt::format("http://crl-{}-{}-nitro-enclaves.invalid/crl/{}.crl", names.region, kPartition, random_uuid(rng));
      life = kZonalLife + hours(spread[0] % kZonalSpreadHours);
      break;
    }
    case Level::kInstance:
      fields.serial = random_serial(20, rng);
      fields.subject = x509::encode_name(host_name(instance_cn(names)));
      fields.basic_constraints->path_length = 0;
      fields.key_usage->bits = x509::kKeyCertSign;
      life = kInstanceLife;
      break;
  }
  fields.not_after = fields.not_before + life.count();
  if (issuer == nullptr) {
    fields.issuer = fields.subject;
  } else {
    const x509::Certificate parent = x509::parse_certificate(issuer->certificate).take();
    fields.issuer = to_bytes(parent.subject);
    fields.authority_key_id = x509::key_id(issuer->key.public_key());
  }
  Bytes certificate = x509::issue_certificate(fields, issuer == nullptr ? key : issuer->key, rng);
  return {std::move(certificate), std::move(key), to_time(fields.not_before), to_time(fields.not_after)};
}

// outlives is how long a level must still be valid to sign the next one down.
std::chrono::milliseconds needed_life(Level level) {
  switch (level) {
    case Level::kRoot:
    case Level::kRegional: return kZonalLife + hours(kZonalSpreadHours) + kMargin;
    case Level::kZonal: return kInstanceLife + kMargin;
    case Level::kInstance: return kLeafLife + kMargin;
  }
  CASEMATE_CHECK(false);
}

bool names_match(Level level, const Authority& authority, const HierarchyNames& names) {
  const auto parsed = x509::parse_certificate(authority.certificate);
  if (!parsed.ok()) return false;
  const std::string cn = x509::common_name(parsed->subject);
  if (level == Level::kInstance) return cn == instance_cn(names);
  return level == Level::kRoot || cn.find(fmt::format(".{}.{}.", names.region, kPartition)) != std::string::npos;
}

}  // namespace

std::string_view to_string(Level level) {
  switch (level) {
    case Level::kRoot: return "root";
    case Level::kRegional: return "regional";
    case Level::kZonal: return "zonal";
    case Level::kInstance: return "instance";
  }
  CASEMATE_CHECK(false);
}

Hierarchy Hierarchy::create(const HierarchyNames& names, WallTime now, Rng& rng) {
  std::vector<Authority> levels;
  levels.push_back(make_authority(Level::kRoot, names, nullptr, now, rng));
  Hierarchy hierarchy(names, std::move(levels));
  hierarchy.renew_from(1, now, rng);
  return hierarchy;
}

Result<Hierarchy> Hierarchy::from_parts(const HierarchyNames& names, std::vector<Part> root_first) {
  if (root_first.empty() || root_first.size() > kLevels.size()) {
    return malformed("hierarchy: {} levels, want 1 to {}", root_first.size(), kLevels.size());
  }
  std::vector<Authority> levels;
  for (std::size_t i = 0; i < root_first.size(); ++i) {
    const std::string step(to_string(kLevels[i]));
    const x509::Certificate certificate = TRY(x509::parse_certificate(root_first[i].certificate).in(step));
    const Role role = i == 0 ? Role::kRoot : Role::kAuthority;
    const crypto::EcPublicKey key = TRY(check_profile(certificate, role, kLevels.size() - 1 - i).in(step));
    if (!(key == root_first[i].key.public_key())) return untrusted("{}: the certificate is of another key", step);
    const crypto::EcPublicKey& issuer = i == 0 ? key : levels[i - 1].key.public_key();
    TRY(x509::verify_signature(certificate, issuer).in(step));
    levels.push_back({root_first[i].certificate, std::move(root_first[i].key), to_time(certificate.not_before), to_time(certificate.not_after)});
  }
  return Hierarchy(names, std::move(levels));
}

const Authority& Hierarchy::authority(Level level) const {
  const auto index = static_cast<std::size_t>(level);
  CASEMATE_CHECK(index < levels_.size());
  return levels_[index];
}

std::vector<Level> Hierarchy::renew_from(std::size_t first, WallTime now, Rng& rng) {
  levels_.erase(levels_.begin() + static_cast<std::ptrdiff_t>(first), levels_.end());
  std::vector<Level> renewed;
  for (std::size_t i = first; i < kLevels.size(); ++i) {
    levels_.push_back(make_authority(kLevels[i], names_, &levels_[i - 1], now, rng));
    renewed.push_back(kLevels[i]);
  }
  return renewed;
}

std::vector<Level> Hierarchy::rotate(WallTime now, Rng& rng) {
  for (std::size_t i = 1; i < kLevels.size(); ++i) {
    if (i >= levels_.size() || now < levels_[i].not_before || levels_[i].not_after - now < needed_life(kLevels[i]) ||
        !names_match(kLevels[i], levels_[i], names_)) {
      return renew_from(i, now, rng);
    }
  }
  return {};
}

std::vector<Level> Hierarchy::renew_all(WallTime now, Rng& rng) { return renew_from(1, now, rng); }

std::vector<Bytes> Hierarchy::cabundle() const {
  std::vector<Bytes> bundle;
  for (const Authority& authority : levels_) bundle.push_back(authority.certificate);
  return bundle;
}

std::string Hierarchy::root_pem() const { return x509::certificate_pem(levels_.front().certificate); }

Result<Signer> Hierarchy::issue_leaf(std::string_view module_id, WallTime now, Rng& rng, seconds earlier) const {
  if (!complete()) return untrusted("instance authority: missing, want it rotated");
  const std::size_t mark = module_id.rfind("-enc");
  if (mark == std::string_view::npos || module_id.size() - mark - 4 != 16) {
    return malformed("module_id \"{}\": want INSTANCE-enc and 16 hexadecimal digits", module_id);
  }
  const Bytes enclave_id = TRY(decode_hex(module_id.substr(mark + 4)).in("module_id"));
  const Authority& instance = authority(Level::kInstance);
  if (now < instance.not_before || now > instance.not_after) return untrusted("instance authority: not valid now, want it rotated");
  crypto::EcPrivateKey key = crypto::EcPrivateKey::generate(crypto::Curve::kP384, rng);
  const x509::Certificate parent = TRY(x509::parse_certificate(instance.certificate));
  now -= earlier;
  x509::CertificateTemplate fields;
  fields.serial = enclave_id;
  append_be<8>(fields.serial, static_cast<std::uint64_t>(x509::to_seconds(now)));
  fields.issuer = to_bytes(parent.subject);
  fields.subject = x509::encode_name(host_name(fmt::format("{}.{}.{}", module_id, names_.region, kPartition)));
  fields.not_before = x509::to_seconds(now - kLeafBackdate);
  fields.not_after = x509::to_seconds(now + kLeafLife);
  fields.public_key = key.public_key().spki_der();
  fields.basic_constraints = x509::Certificate::BasicConstraints{true, false, std::nullopt};
  fields.key_usage = x509::Certificate::KeyUsages{false, x509::kDigitalSignature | x509::kNonRepudiation};
  Bytes certificate = x509::issue_certificate(fields, instance.key, rng);
  return Signer{std::move(key), std::move(certificate), cabundle(), to_time(fields.not_after)};
}

std::string make_module_id(std::string_view instance_id, WallTime created, Rng& rng) {
  const auto ms = static_cast<std::uint64_t>(created.time_since_epoch().count()) & 0xffffffffffff;
  return fmt::format("{}-enc{:012x}{}", instance_id, ms, random_hex(2, rng));
}

Result<std::shared_ptr<const Signer>> LeafIssuer::signer(WallTime now) {
  const std::lock_guard lock(mutex_);
  if (current_ == nullptr || now < issued_ || now - issued_ >= kLeafReuse || now >= current_->not_after) {
    current_ = std::make_shared<const Signer>(TRY(issue_(now)));
    issued_ = now;
  }
  return current_;
}

LeafIssuer::Issue fixed_issuer(const Hierarchy& hierarchy, std::string module_id, Rng& rng) {
  return [&hierarchy, module_id = std::move(module_id), &rng](WallTime now) { return hierarchy.issue_leaf(module_id, now, rng); };
}

}  // namespace casemate::attestation
