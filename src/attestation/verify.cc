// SPDX-License-Identifier: Apache-2.0
#include "attestation/verify.h"

#include <algorithm>
#include <array>

#include "attestation/profile.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "cose/sign1.h"

namespace casemate::attestation {
namespace {

std::string time_text(x509::Seconds time) { return format_rfc3339(WallTime(std::chrono::seconds(time))); }

// shown renders bytes for a report: whole digests, the beginning of anything longer.
std::string shown(ByteView bytes) {
  constexpr std::size_t kWhole = 64;
  if (bytes.empty()) return "empty";
  if (bytes.size() <= kWhole) return encode_hex(bytes);
  return fmt::format("{}... ({} bytes)", encode_hex(bytes.first(16)), bytes.size());
}

// certificate_label names the certificate at `index` of a chain that has its root at 0 and the leaf after `authorities`.
std::string certificate_label(std::size_t index, std::size_t authorities) {
  return index == authorities ? "certificate" : fmt::format("cabundle[{}]", index);
}

}  // namespace

std::size_t ChainCache::size() const {
  const std::lock_guard lock(mutex_);
  return by_key_.size();
}

std::uint64_t ChainCache::hits() const {
  const std::lock_guard lock(mutex_);
  return hits_;
}

std::shared_ptr<const ChainCache::Chain> ChainCache::find(const Key& key, Extent extent) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  recent_.splice(recent_.begin(), recent_, found->second);
  if (extent == Extent::kWhole) ++hits_;
  return found->second->chain;
}

void ChainCache::insert(const Key& key, std::shared_ptr<const Chain> chain) {
  const std::lock_guard lock(mutex_);
  if (capacity_ == 0 || by_key_.contains(key)) return;
  if (by_key_.size() >= capacity_) {
    by_key_.erase(recent_.back().key);
    recent_.pop_back();
  }
  recent_.push_front({key, std::move(chain)});
  by_key_.emplace(key, recent_.begin());
}

// Verification runs every check once, in order. Without a report it stops at the first failure and formats nothing else;
// with one it goes on as long as the next check means something.
class Verification {
 public:
  Verification(const TrustAnchors& anchors, const Policy& policy, ChainCache* cache, const Limits& limits, Report* report)
      : anchors_(anchors), policy_(policy), cache_(cache), limits_(limits), report_(report) {}

  Result<VerifiedDocument> run(ByteView input) {
    auto parsed = parse(input);
    if (!parsed.ok()) return std::move(parsed).error();
    Document& document = parsed.value();
    if (report_ != nullptr) report_->document = document;
    const x509::Seconds at = x509::to_seconds(policy_.at.value_or(document.timestamp));
    const TrustAnchor* anchor = check_root(document);
    if (must_stop()) return first_error();
    const std::shared_ptr<const Chain> chain = check_chain(document, anchor, at);
    if (must_stop()) return first_error();
    if (chain != nullptr) {
      check_signature(chain->key);
    } else {
      note("signature", Check::Verdict::kSkipped, "the certificate's key is not usable", "");
    }
    if (must_stop()) return first_error();
    check_freshness(document);
    check_policy(document);
    if (failed_ || anchor == nullptr || chain == nullptr) return first_error();
    return VerifiedDocument(std::move(document), anchor->name);
  }

 private:
  using Chain = ChainCache::Chain;

  bool must_stop() const { return failed_ && report_ == nullptr; }
  Error first_error() const { return error_ ? *error_ : Error(ErrorCode::kInternal, "attestation document: not verified"); }

  void note(std::string name, Check::Verdict verdict, std::string found, std::string wanted) {
    if (report_ != nullptr) report_->checks.push_back({std::move(name), verdict, std::move(found), std::move(wanted)});
  }

  void fail(std::string name, const Error& error) {
    failed_ = true;
    if (!error_) error_ = Error(error).in(name);
    note(std::move(name), Check::Verdict::kFail, error.message(), "");
  }

  // check takes texts as functions, so that a document that passes costs none of them.
  template <typename Name, typename Found, typename Wanted>
  void check(ErrorCode code, bool holds, Name&& name, Found&& found, Wanted&& wanted) {
    if (holds && report_ == nullptr) return;
    if (!holds) {
      failed_ = true;
      if (!error_) error_ = Error(code, fmt::format("{}: {}, want {}", name(), found(), wanted()));
    }
    note(name(), holds ? Check::Verdict::kPass : Check::Verdict::kFail, found(), wanted());
  }

  Result<Document> parse(ByteView input) {
    cose::Limits cose_limits;
    cose_limits.payload_bytes = limits_.payload_bytes;
    auto message = cose::parse_sign1(input, cose_limits);
    if (message.ok() && message->algorithm != cose::Algorithm::kEs384) {
      message = unsupported("COSE_Sign1: algorithm {}, want ES384", cose::to_string(message->algorithm));
    }
    if (!message.ok()) {
      note("COSE_Sign1", Check::Verdict::kFail, message.error().message(), "");
      return std::move(message).error();
    }
    message_ = message.take();
    auto document = parse_document(message_.payload, limits_);
    if (report_ != nullptr) {
      note("COSE_Sign1", Check::Verdict::kPass,
           fmt::format("{} bytes, {}, {}", input.size(), cose::to_string(message_.algorithm),
                       message_.tagging == cose::Tagging::kTagged ? "tag 18" : "untagged"), "ES384");
      if (document.ok()) {
        note("fields", Check::Verdict::kPass,
             fmt::format("{}, {} PCRs, {} certificates", document->module_id, document->pcrs.size(), document->cabundle.size() + 1), "");
      } else {
        note("fields", Check::Verdict::kFail, document.error().message(), "");
      }
    }
    return document;
  }

  const TrustAnchor* check_root(const Document& document) {
    fingerprint_ = crypto::sha256(document.cabundle.front());
    const TrustAnchor* anchor = anchors_.find(fingerprint_);
    check(ErrorCode::kUntrusted, anchor != nullptr, [] { return std::string("root"); },
          [&] { return anchor != nullptr ? fmt::format("{} (SHA-256 {})", anchor->name, encode_hex(fingerprint_)) : fmt::format("SHA-256 {}", encode_hex(fingerprint_)); },
          [&] { return fmt::format("a trust anchor ({})", anchors_.names()); });
    return anchor;
  }

  struct Keys {
    ChainCache::Key issuers;
    ChainCache::Key whole;
  };

  // chain_keys cover every byte that the verdict on the chain, and on the chain without its leaf, depends on.
  static Keys chain_keys(const Document& document) {
    const auto add = [](crypto::Hasher& hasher, ByteView certificate) {
      std::array<std::uint8_t, 8> size;
      for (std::size_t i = 0; i < size.size(); ++i) size[i] = static_cast<std::uint8_t>(std::uint64_t{certificate.size()} >> (56 - 8 * i));
      hasher.update(size).update(certificate);
    };
    crypto::Hasher issuers(crypto::Hash::kSha256);
    issuers.update(as_bytes("issuers"));
    for (const Bytes& authority : document.cabundle) add(issuers, authority);
    Keys keys;
    keys.issuers = std::string(as_text(issuers.finish()));
    crypto::Hasher whole(crypto::Hash::kSha256);
    whole.update(as_bytes("whole")).update(as_bytes(keys.issuers));
    add(whole, document.certificate);
    keys.whole = std::string(as_text(whole.finish()));
    return keys;
  }

  std::shared_ptr<const Chain> check_chain(const Document& document, const TrustAnchor* anchor, x509::Seconds at) {
    std::shared_ptr<const Chain> issuers;
    // A report tells of each certificate, so it never uses the cache.
    if (cache_ == nullptr || report_ != nullptr) return walk_chain(document, issuers, at);
    const Keys keys = chain_keys(document);
    if (auto known = cache_->find(keys.whole, ChainCache::Extent::kWhole)) {
      check_period(*known, at);
      return known;
    }
    issuers = cache_->find(keys.issuers, ChainCache::Extent::kIssuers);
    if (issuers != nullptr) check_period(*issuers, at);
    if (must_stop()) return nullptr;
    std::shared_ptr<const Chain> chain = walk_chain(document, issuers, at);
    // Only a chain that holds entirely, under an anchor, is remembered.
    if (chain != nullptr && anchor != nullptr && !failed_) {
      cache_->insert(keys.issuers, issuers);
      cache_->insert(keys.whole, chain);
    }
    return chain;
  }

  void check_period(const Chain& chain, x509::Seconds at) {
    check(ErrorCode::kUntrusted, chain.not_before <= at && at <= chain.not_after, [] { return std::string("certificate chain"); },
          [&] { return fmt::format("valid {} to {}", time_text(chain.not_before), time_text(chain.not_after)); },
          [&] { return fmt::format("{} within (first to expire: {})", time_text(at), chain.first_to_expire); });
  }

  // Issuer is what a certificate is held against: the authority above it.
  struct Issuer {
    std::string label;
    ByteView subject;
    std::optional<ByteView> subject_key_id;
    std::optional<crypto::EcPublicKey> key;
  };

  // walk_chain checks the certificates below `issuers`, or all of them if that is null, and then leaves there the chain
  // without its leaf. Root first; what costs a signature check comes after all that does not.
  std::shared_ptr<const Chain> walk_chain(const Document& document, std::shared_ptr<const Chain>& issuers, x509::Seconds at) {
    const std::size_t authorities = document.cabundle.size();
    const std::size_t first = issuers != nullptr ? authorities : 0;
    const auto label = [&](std::size_t i) { return certificate_label(i, authorities); };
    std::vector<x509::Certificate> certificates;
    certificates.reserve(authorities + 1 - first);
    for (std::size_t i = first; i <= authorities; ++i) {
      auto certificate = x509::parse_certificate(i == authorities ? document.certificate : document.cabundle[i]);
      if (!certificate.ok()) {
        fail(label(i), Error(ErrorCode::kUntrusted, certificate.error().message()));
        return nullptr;
      }
      certificates.push_back(certificate.take());
    }
    std::vector<std::optional<crypto::EcPublicKey>> keys;
    keys.reserve(certificates.size());
    for (std::size_t i = first; i <= authorities; ++i) {
      const Role role = i == authorities ? Role::kLeaf : i == 0 ? Role::kRoot : Role::kAuthority;
      auto key = check_profile(certificates[i - first], role, i == authorities ? 0 : authorities - 1 - i);
      if (!key.ok()) {
        fail(label(i) + ": profile", key.error());
        if (must_stop()) return nullptr;
        keys.emplace_back(std::nullopt);
        continue;
      }
      if (report_ != nullptr) {
        note(label(i) + ": profile", Check::Verdict::kPass,
             fmt::format("{}, {}", to_string(role), x509::common_name(certificates[i - first].subject)), "");
      }
      keys.emplace_back(key.take());
    }
    for (std::size_t i = first; i <= authorities; ++i) {
      const x509::Certificate& certificate = certificates[i - first];
      check(ErrorCode::kUntrusted, certificate.not_before <= at && at <= certificate.not_after, [&] { return label(i) + ": validity"; },
            [&] { return fmt::format("{} to {}", time_text(certificate.not_before), time_text(certificate.not_after)); },
            [&] { return time_text(at) + " within"; });
      if (must_stop()) return nullptr;
    }
    const auto issuer_of = [&](std::size_t i) {
      if (i == first && issuers != nullptr) {
        return Issuer{label(i - 1), issuers->subject, issuers->subject_key_id ? std::optional<ByteView>(*issuers->subject_key_id) : std::nullopt, issuers->key};
      }
      const std::size_t at_index = (i == 0 ? 0 : i - 1) - first;
      return Issuer{label(i == 0 ? 0 : i - 1), certificates[at_index].subject, certificates[at_index].subject_key_id, keys[at_index]};
    };
    for (std::size_t i = first; i <= authorities; ++i) {
      check_names(certificates[i - first], label(i), issuer_of(i));
      if (must_stop()) return nullptr;
    }
    // The root is known by its fingerprint: its own signature would prove nothing.
    for (std::size_t i = std::max<std::size_t>(first, 1); i <= authorities; ++i) {
      check_link(certificates[i - first], label(i), issuer_of(i));
      if (must_stop()) return nullptr;
    }
    std::shared_ptr<const Chain> chain = issuers;
    for (std::size_t i = first; i <= authorities; ++i) {
      if (!keys[i - first]) return nullptr;
      if (i == authorities) issuers = chain;
      chain = extended(chain.get(), certificates[i - first], *keys[i - first], label(i));
    }
    return chain;
  }

  static std::shared_ptr<const Chain> extended(const Chain* above, const x509::Certificate& certificate, const crypto::EcPublicKey& key, std::string label) {
    Chain chain{key, to_bytes(certificate.subject), std::nullopt, certificate.not_before, certificate.not_after, std::move(label)};
    if (certificate.subject_key_id) chain.subject_key_id = to_bytes(*certificate.subject_key_id);
    if (above != nullptr) {
      chain.not_before = std::max(chain.not_before, above->not_before);
      if (above->not_after < chain.not_after) {
        chain.not_after = above->not_after;
        chain.first_to_expire = above->first_to_expire;
      }
    }
    return std::make_shared<const Chain>(std::move(chain));
  }

  void check_names(const x509::Certificate& certificate, const std::string& label, const Issuer& issuer) {
    check(ErrorCode::kUntrusted, equal(certificate.issuer, issuer.subject), [&] { return label + ": issuer"; },
          [&] { return x509::name_text(certificate.issuer); },
          [&] { return fmt::format("the subject of {}, {}", issuer.label, x509::name_text(issuer.subject)); });
    if (must_stop() || !certificate.authority_key_id || !issuer.subject_key_id) return;
    check(ErrorCode::kUntrusted, equal(*certificate.authority_key_id, *issuer.subject_key_id),
          [&] { return label + ": authority key identifier"; }, [&] { return shown(*certificate.authority_key_id); },
          [&] { return shown(*issuer.subject_key_id); });
  }

  void check_link(const x509::Certificate& certificate, const std::string& label, const Issuer& issuer) {
    if (!issuer.key) {
      note(label + ": signature", Check::Verdict::kSkipped, "the issuer's key is not usable", "");
      return;
    }
    const auto verified = x509::verify_signature(certificate, *issuer.key);
    if (!verified.ok()) {
      fail(label + ": signature", Error(ErrorCode::kUntrusted, verified.error().message()));
    } else {
      note(label + ": signature", Check::Verdict::kPass, fmt::format("by {}", issuer.label), "");
    }
  }

  void check_signature(const crypto::EcPublicKey& leaf) {
    const auto verified = cose::verify_signature(message_, leaf);
    if (!verified.ok()) {
      fail("signature", verified.error());
    } else {
      note("signature", Check::Verdict::kPass, "by the key of the certificate", "");
    }
  }

  void check_freshness(const Document& document) {
    if (!policy_.at) return;
    const WallTime at = *policy_.at;
    check(ErrorCode::kUntrusted, document.timestamp - at <= policy_.max_ahead, [] { return std::string("timestamp"); },
          [&] { return format_rfc3339_millis(document.timestamp); },
          [&] { return fmt::format("at most {} ms after {}", policy_.max_ahead.count(), format_rfc3339_millis(at)); });
    if (!policy_.max_age) return;
    check(ErrorCode::kUntrusted, at - document.timestamp <= *policy_.max_age, [] { return std::string("age"); },
          [&] { return fmt::format("{} ms", (at - document.timestamp).count()); },
          [&] { return fmt::format("at most {} ms", policy_.max_age->count()); });
  }

  void check_field(std::string_view name, const std::optional<Bytes>& found, const std::optional<Bytes>& wanted) {
    if (!wanted) return;
    check(ErrorCode::kDenied, found == wanted, [&] { return std::string(name); },
          [&] { return found ? shown(*found) : std::string("absent"); }, [&] { return shown(*wanted); });
  }

  void check_policy(const Document& document) {
    check(ErrorCode::kDenied, policy_.allow_debug == AllowDebug::kYes || !document.is_debug(), [] { return std::string("debug mode"); },
          [&] { return std::string(document.is_debug() ? "yes (PCR0, PCR1 and PCR2 are zero)" : "no"); },
          [&] { return std::string(policy_.allow_debug == AllowDebug::kYes ? "any" : "no"); });
    check_field("nonce", document.nonce, policy_.nonce);
    check_field("user_data", document.user_data, policy_.user_data);
    check_field("public_key", document.public_key, policy_.public_key);
    // Named, not bound: clang 14 captures no structured bindings.
    for (const auto& entry : policy_.pcrs) {
      const PcrIndex index = entry.first;
      const std::vector<Bytes>& allowed = entry.second;
      const Bytes* value = document.find_pcr(index);
      const bool holds = value != nullptr && std::find(allowed.begin(), allowed.end(), *value) != allowed.end();
      check(ErrorCode::kDenied, holds, [&] { return fmt::format("PCR{}", index); },
            [&] { return value != nullptr ? shown(*value) : std::string("absent"); },
            [&] {
              std::string text;
              for (const Bytes& one : allowed) text += (text.empty() ? "" : " or ") + shown(one);
              return text.empty() ? std::string("a value of an empty list") : text;
            });
    }
  }

  const TrustAnchors& anchors_;
  const Policy& policy_;
  ChainCache* cache_;
  const Limits& limits_;
  Report* report_;
  cose::Sign1 message_;
  crypto::Sha256 fingerprint_{};
  bool failed_ = false;
  std::optional<Error> error_;
};

Result<VerifiedDocument> verify(ByteView cose_sign1, const TrustAnchors& anchors, const Policy& policy, ChainCache* cache, const Limits& limits) {
  return Verification(anchors, policy, cache, limits, nullptr).run(cose_sign1);
}

Report examine(ByteView cose_sign1, const TrustAnchors& anchors, const Policy& policy, const Limits& limits) {
  Report report;
  auto verified = Verification(anchors, policy, nullptr, limits, &report).run(cose_sign1);
  if (verified.ok()) report.verified = verified.take();
  return report;
}

}  // namespace casemate::attestation
