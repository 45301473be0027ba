// SPDX-License-Identifier: Apache-2.0
// AWS KMS client. With a Recipient it is the enclave's: each answer is encrypted to a key that only this enclave holds,
// named in an attestation document, so neither the parent nor the network sees a plaintext. Without one it is an
// ordinary client for the parent.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>

#include "casemate/credentials.h"
#include "casemate/nsm.h"
#include "casemate/result.h"

namespace casemate::kms {

// Recipient is the enclave's RSA-2048 key pair and the source of documents that attest it. Make it once a process (the
// key takes some 100 ms) and share it among clients and threads.
class Recipient {
 public:
  struct Options {
    std::chrono::seconds renew_after = std::chrono::hours{24};
    Now now = nullptr;  // empty: the system's clock
  };

  static Result<std::shared_ptr<Recipient>> create(nsm::Client module, Options options);
  static Result<std::shared_ptr<Recipient>> create(nsm::Client module) { return create(std::move(module), Options{}); }

  // Attested is one document and the key that it names.
  class Attested {
   public:
    virtual ~Attested() = default;
    virtual ByteView document() const = 0;
    // open decrypts a CiphertextForRecipient. Errors: kUntrusted, one text whatever the reason.
    virtual Result<Secret> open(ByteView ciphertext_for_recipient) const = 0;
  };
  // attest asks the module for a fresh document.
  virtual Result<std::unique_ptr<Attested>> attest() = 0;
  virtual ~Recipient() = default;
};

// Connector opens a connection to the service (or to a proxy before it), non-blocking, within the given time.
using Connector = std::function<Result<UniqueFd>(std::chrono::milliseconds timeout)>;

// vsock_connector reaches KMS through vsock-proxy on the parent.
Connector vsock_connector(std::uint32_t proxy_port = 8000);

// endpoint_host is `kms.<region>.<suffix>` with the suffix of the region's partition. Errors: kMalformed.
Result<std::string> endpoint_host(std::string_view region);

class Client {
 public:
  using EncryptionContext = std::map<std::string, std::string>;

  struct Options {
    std::string region;
    // The name in the Host header and, with TLS, in SNI and the certificate. Empty: endpoint_host(region).
    std::string host;
    // The port for the Host header where it is not the scheme's own.
    std::uint16_t port = 443;
    // Off only for an http:// endpoint that the user named.
    bool tls = true;
    // PEM file of trusted certificates. Empty: SSL_CERT_FILE, else the system's usual bundle.
    std::string ca_file;
    Connector connect;  // default: vsock_connector()
    std::shared_ptr<CredentialsProvider> credentials;
    std::shared_ptr<Recipient> recipient;  // null: ordinary requests
    // One call, retries and waits included.
    std::chrono::milliseconds timeout{15'000};
    // Tries a call: throttling, faults of the service and lost connections are tried again after 50 ms, doubled each
    // time and jittered.
    unsigned attempts = 3;
    Now now = nullptr;  // what requests are dated with; empty: the system's clock
  };

  // Errors: kMalformed (region), kNotFound (no trusted certificates).
  static Result<Client> create(Options options);

  // with_credentials shares connections, trust and recipient with this client.
  Client with_credentials(std::shared_ptr<CredentialsProvider> credentials) const;

  // Errors of all operations name the operation and, where KMS answered, its own error type and message:
  // `KMS Decrypt: AccessDeniedException: User: ... is not authorized to perform: ...` (kDenied); kNotFound, kConflict and
  // kMalformed likewise; kUntrusted for certificates and for a CiphertextForRecipient that does not open; kUnavailable
  // when the service or the way to it failed.
  struct Decrypt {
    Bytes ciphertext;
    std::string key_id;                // optional for symmetric keys
    std::string encryption_algorithm;  // empty: SYMMETRIC_DEFAULT
    EncryptionContext encryption_context;
  };
  struct Decrypted {
    Secret plaintext;
    std::string key_id;  // the key's ARN
  };
  Result<Decrypted> decrypt(const Decrypt& request) const;

  struct GenerateDataKey {
    std::string key_id;
    std::string key_spec = "AES_256";  // or AES_128; empty with number_of_bytes
    std::uint32_t number_of_bytes = 0;
    EncryptionContext encryption_context;
  };
  struct DataKey {
    Secret plaintext;
    Bytes ciphertext;
    std::string key_id;
  };
  Result<DataKey> generate_data_key(const GenerateDataKey& request) const;

  // sign gives a signature over a digest by an asymmetric key that KMS keeps: DER (RFC 3279) for ECDSA.
  struct Sign {
    std::string key_id;
    Bytes digest;
    std::string signing_algorithm;  // ECDSA_SHA_384
  };
  Result<Bytes> sign(const Sign& request) const;

  struct PublicKey {
    Bytes public_key;  // SubjectPublicKeyInfo
    std::string key_id;
    std::string key_spec;   // ECC_NIST_P384
    std::string key_usage;  // SIGN_VERIFY
  };
  Result<PublicKey> get_public_key(const std::string& key_id) const;

  struct GenerateDataKeyPair {
    std::string key_id;
    std::string key_pair_spec = "ECC_NIST_P256";
    EncryptionContext encryption_context;
  };
  struct DataKeyPair {
    Secret private_key;  // PKCS#8
    Bytes private_key_ciphertext;
    Bytes public_key;  // SubjectPublicKeyInfo
    std::string key_id;
  };
  Result<DataKeyPair> generate_data_key_pair(const GenerateDataKeyPair& request) const;

  struct DeriveSharedSecret {
    std::string key_id;
    Bytes public_key;  // the peer's SubjectPublicKeyInfo
  };
  struct SharedSecret {
    Secret secret;
    std::string key_id;
  };
  Result<SharedSecret> derive_shared_secret(const DeriveSharedSecret& request) const;

  Result<Secret> generate_random(std::uint32_t number_of_bytes) const;

  struct Encrypt {
    std::string key_id;
    Secret plaintext;
    EncryptionContext encryption_context;
  };
  struct Encrypted {
    Bytes ciphertext;
    std::string key_id;
  };
  // encrypt takes no Recipient, in the service as here: the plaintext is the caller's already.
  Result<Encrypted> encrypt(const Encrypt& request) const;

 private:
  struct State;
  explicit Client(std::shared_ptr<State> state, std::shared_ptr<CredentialsProvider> credentials)
      : state_(std::move(state)), credentials_(std::move(credentials)) {}

  std::shared_ptr<State> state_;
  std::shared_ptr<CredentialsProvider> credentials_;
};

}  // namespace casemate::kms
