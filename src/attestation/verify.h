// SPDX-License-Identifier: Apache-2.0
// Verification of attestation documents: shape, content, trust, policy; success is a type of its own.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "attestation/document.h"
#include "attestation/trust.h"
#include "crypto/ecdsa.h"

namespace casemate::attestation {

enum class AllowDebug { kNo, kYes };

// Policy says what a document must be beside genuine. Everything that is absent is not asked for.
struct Policy {
  // at is the time at which the chain must be valid and freshness is counted. Absent: the document's own timestamp,
  // which is right for stored documents only and makes max_age meaningless.
  std::optional<WallTime> at;
  std::optional<std::chrono::milliseconds> max_age;
  // How far the document's clock may run ahead of `at`.
  std::chrono::milliseconds max_ahead = std::chrono::minutes(5);
  AllowDebug allow_debug = AllowDebug::kNo;
  std::optional<Bytes> nonce;
  std::optional<Bytes> user_data;
  std::optional<Bytes> public_key;
  // Any one of the listed values passes; an absent PCR does not.
  std::map<PcrIndex, std::vector<Bytes>> pcrs;

  static Policy at_time(WallTime now) {
    Policy policy;
    policy.at = now;
    return policy;
  }
  static Policy at_document_time() { return {}; }
};

// ChainCache remembers chains that verified, by the SHA-256 of every certificate in them and the root they end in, so
// that a further document of the same enclave costs one signature check, and the first of another enclave on the same
// host two. Only verify() adds to it, and only after every link held up to a trust anchor; the anchor and validity in
// time are checked again on each use. Thread-safe; at most `capacity` entries, two for the first enclave of a host and
// one for each other; the least recently used goes first.
class ChainCache {
 public:
  explicit ChainCache(std::size_t capacity = 256) : capacity_(capacity) {}
  ChainCache(const ChainCache&) = delete;
  ChainCache& operator=(const ChainCache&) = delete;

  std::size_t size() const;
  // hits counts the whole chains found.
  std::uint64_t hits() const;

 private:
  friend class Verification;
  // Chain is a run of certificates from a root down to its last one, each link of which held.
  struct Chain {
    crypto::EcPublicKey key;  // the last certificate's, as are the next two
    Bytes subject;
    std::optional<Bytes> subject_key_id;
    std::int64_t not_before;  // latest of the chain, seconds since the epoch
    std::int64_t not_after;   // earliest of the chain
    std::string first_to_expire;
  };
  using Key = std::string;
  struct Entry {
    Key key;
    std::shared_ptr<const Chain> chain;  // shared with a verification that is using it while it is evicted
  };
  enum class Extent { kIssuers, kWhole };
  std::shared_ptr<const Chain> find(const Key& key, Extent extent);
  void insert(const Key& key, std::shared_ptr<const Chain> chain);

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::list<Entry> recent_;
  std::unordered_map<Key, std::list<Entry>::iterator> by_key_;
  std::uint64_t hits_ = 0;
};

// VerifiedDocument can only be made by verify(); take one as parameter to be safe from unverified documents.
class VerifiedDocument {
 public:
  const Document& document() const { return document_; }
  // anchor is the name of the root that vouched for it.
  const std::string& anchor() const { return anchor_; }
  bool is_debug() const { return document_.is_debug(); }

 private:
  friend class Verification;
  VerifiedDocument(Document document, std::string anchor) : document_(std::move(document)), anchor_(std::move(anchor)) {}
  Document document_;
  std::string anchor_;
};

// verify takes a COSE_Sign1 as received. Errors: kMalformed, kUnsupported, kLimit (shape and content), kUntrusted
// (signature, chain, time), kDenied (policy); the message names the field, what was found and what was wanted.
Result<VerifiedDocument> verify(ByteView cose_sign1, const TrustAnchors& anchors, const Policy& policy,
                                ChainCache* cache = nullptr, const Limits& limits = {});

// Check is one line of a report.
struct Check {
  enum class Verdict { kPass, kFail, kSkipped };
  std::string name;  // "certificate chain[1]: signature"
  Verdict verdict;
  std::string found;
  std::string wanted;
};

struct Report {
  std::vector<Check> checks;
  std::optional<Document> document;         // once shape and content hold
  std::optional<VerifiedDocument> verified;  // iff every check passed
};

// examine runs the same checks as verify() without stopping at the first failure, where the later ones still make
// sense, and tells each.
Report examine(ByteView cose_sign1, const TrustAnchors& anchors, const Policy& policy, const Limits& limits = {});

}  // namespace casemate::attestation
