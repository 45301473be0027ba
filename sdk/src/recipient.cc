// SPDX-License-Identifier: Apache-2.0
#include <mutex>

#include "casemate/kms.h"
#include "crypto/cms.h"
#include "crypto/rng.h"
#include "crypto/rsa.h"

namespace casemate::kms {
namespace {

// KMS asks for RSA-2048 in the documents of enclaves.
constexpr unsigned kKeyBits = 2048;

class AttestedKey final : public Recipient::Attested {
 public:
  AttestedKey(std::shared_ptr<const crypto::RsaPrivateKey> key, Bytes document)
      : key_(std::move(key)), document_(std::move(document)) {}

  ByteView document() const override { return document_; }
  Result<Secret> open(ByteView ciphertext_for_recipient) const override {
    crypto::SystemRng rng;
    return crypto::open_enveloped_data(ciphertext_for_recipient, *key_, rng);
  }

 private:
  // Shared with the recipient, which may have renewed its key before the answer comes.
  std::shared_ptr<const crypto::RsaPrivateKey> key_;
  Bytes document_;
};

class ModuleRecipient final : public Recipient {
 public:
  ModuleRecipient(nsm::Client module, Options options) : module_(std::move(module)), options_(options) {}

  Result<std::unique_ptr<Attested>> attest() override {
    auto key = TRY(current_key());
    nsm::Client::Claims claims;
    claims.public_key = key->public_key().spki();
    Bytes document = TRY(module_.attest(claims));
    return std::unique_ptr<Attested>(std::make_unique<AttestedKey>(std::move(key), std::move(document)));
  }

 private:
  Result<std::shared_ptr<const crypto::RsaPrivateKey>> current_key() {
    const std::scoped_lock lock(mutex_);
    const auto now = options_.now ? options_.now() : std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    // A clock that was set back must not keep a key for longer.
    if (!key_ || now >= made_ + options_.renew_after || now < made_) {
      key_ = std::make_shared<const crypto::RsaPrivateKey>(TRY(crypto::RsaPrivateKey::generate(kKeyBits)));
      made_ = now;
    }
    return key_;
  }

  nsm::Client module_;
  Options options_;
  std::mutex mutex_;
  std::shared_ptr<const crypto::RsaPrivateKey> key_;
  std::chrono::sys_seconds made_;
};

}  // namespace

Result<std::shared_ptr<Recipient>> Recipient::create(nsm::Client module, Options options) {
  auto made = std::make_shared<ModuleRecipient>(std::move(module), options);
  // One document at start: a device that does not answer is found here, and the key is ready before the first request.
  TRY(made->attest());
  return std::shared_ptr<Recipient>(std::move(made));
}

}  // namespace casemate::kms
