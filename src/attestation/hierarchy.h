// SPDX-License-Identifier: Apache-2.0
// Local attestation hierarchy: root, regional, zonal and instance authorities and enclave leaves, in the shape of
// Nitro's (names, lifetimes, serials, extensions) but under names of its own, so that nobody takes it for AWS's.
#pragma once

#include <array>
#include <functional>
#include <mutex>
#include <string>

#include "attestation/signer.h"

namespace casemate::attestation {

enum class Level { kRoot, kRegional, kZonal, kInstance };
inline constexpr std::array kLevels = {Level::kRoot, Level::kRegional, Level::kZonal, Level::kInstance};
std::string_view to_string(Level level);  // "root"

struct Authority {
  Bytes certificate;  // DER
  crypto::EcPrivateKey key;
  WallTime not_before;
  WallTime not_after;
};

struct HierarchyNames {
  std::string region = "us-east-1";
  std::string instance_id = "i-0123456789abcdef0";
};

class Hierarchy {
 public:
  // create makes all four levels. The root lives 30 years, the others 20 days, about 6 days and 24 hours.
  static Hierarchy create(const HierarchyNames& names, WallTime now, Rng& rng);
  // from_parts takes what a store has kept. A level below the root may be absent; rotate() makes it. The names of the
  // next certificates are `names`. Errors: kMalformed, kUntrusted (a certificate that is not of its key or issuer).
  struct Part {
    Bytes certificate;
    crypto::EcPrivateKey key;
  };
  static Result<Hierarchy> from_parts(const HierarchyNames& names, std::vector<Part> root_first);

  // rotate renews each level below the root that is missing, names another region or instance, or would not outlive
  // what it is to sign, and all levels under it. Returns the levels renewed, root side first.
  std::vector<Level> rotate(WallTime now, Rng& rng);
  // renew_all renews every level below the root.
  std::vector<Level> renew_all(WallTime now, Rng& rng);

  // complete is false while a level is missing: rotate() first.
  bool complete() const { return levels_.size() == kLevels.size(); }
  const Authority& authority(Level level) const;
  const HierarchyNames& names() const { return names_; }
  // cabundle is root first, as documents carry it.
  std::vector<Bytes> cabundle() const;
  std::string root_pem() const;

  // issue_leaf makes the key and certificate of one enclave: valid for 3 hours from 3 seconds before `now`, or that much
  // earlier (fault injection), serial = enclave id || issue time in seconds. Errors: kMalformed (module_id is not `i-...-enc<16 hex>`), kUntrusted (the
  // instance authority is not valid at `now`: rotate first).
  Result<Signer> issue_leaf(std::string_view module_id, WallTime now, Rng& rng,
                            std::chrono::seconds earlier = std::chrono::seconds(0)) const;

 private:
  Hierarchy(HierarchyNames names, std::vector<Authority> levels) : names_(std::move(names)), levels_(std::move(levels)) {}
  std::vector<Level> renew_from(std::size_t first, WallTime now, Rng& rng);
  HierarchyNames names_;
  std::vector<Authority> levels_;
};

// make_module_id gives `<instance id>-enc<16 hex>`: 48 bits of creation time in milliseconds, 16 random bits, as
// Nitro's. The part after `-enc` is the enclave id.
std::string make_module_id(std::string_view instance_id, WallTime created, Rng& rng);

// LeafIssuer is the SignerSource of one enclave: it keeps a leaf for most of its life and then asks for a new one.
class LeafIssuer final : public SignerSource {
 public:
  // issue is called under a lock, at most once at a time; it loads or rotates the hierarchy and issues a leaf.
  using Issue = std::function<Result<Signer>(WallTime now)>;
  explicit LeafIssuer(Issue issue) : issue_(std::move(issue)) {}
  Result<std::shared_ptr<const Signer>> signer(WallTime now) override;

 private:
  Issue issue_;
  std::mutex mutex_;
  std::shared_ptr<const Signer> current_;
  WallTime issued_{};
};

// fixed_issuer issues leaves from one hierarchy as it is, without rotation. For tests and short-lived processes.
LeafIssuer::Issue fixed_issuer(const Hierarchy& hierarchy, std::string module_id, Rng& rng);

}  // namespace casemate::attestation
