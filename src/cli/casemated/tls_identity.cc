// SPDX-License-Identifier: Apache-2.0
#include "cli/casemated/tls_identity.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>

namespace casemate::cli::casemated {
namespace {

template <auto kFree>
struct FreeWith {
  template <typename T>
  void operator()(T* handle) const {
    kFree(handle);
  }
};
using Key = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using Cert = std::unique_ptr<X509, FreeWith<X509_free>>;
using Memory = std::unique_ptr<BIO, FreeWith<BIO_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>>;

constexpr std::chrono::days kAuthorityLife{3652};
// Apple's and Chromium's longest for certificates of servers.
constexpr std::chrono::days kServerLife{397};
constexpr std::chrono::days kRenewBefore{30};
constexpr std::size_t kLargestFile = 64 * 1024;

struct Pair {
  Cert certificate;
  Key key;
};

bool is_address(const std::string& name) {
  return name.find(':') != std::string::npos || name.find_first_not_of("0123456789.") == std::string::npos;
}

std::time_t unix_time(WallTime time) {
  return static_cast<std::time_t>(time.time_since_epoch().count() / 1000);
}

Bytes drain(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return to_bytes(as_bytes({data, static_cast<std::size_t>(size)}));
}

std::string certificate_pem(X509* certificate) {
  const Memory bio(BIO_new(BIO_s_mem()));
  CASEMATE_CHECK(bio != nullptr && PEM_write_bio_X509(bio.get(), certificate) == 1);
  return std::string(as_text(drain(bio.get())));
}

Secret key_pem(EVP_PKEY* key) {
  const Memory bio(BIO_new(BIO_s_secmem()));
  CASEMATE_CHECK(bio != nullptr &&
                 PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return Secret(drain(bio.get()));
}

void add_extension(X509* certificate, X509* issuer, int type, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, type, value.c_str()));
  CASEMATE_CHECK(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1);
}

// Everything that authority and server certificate have in common. A null issuer makes it self-signed.
Pair make_certificate(const std::string& common_name, std::chrono::days life, WallTime now, const Pair* issuer,
                      const std::vector<std::pair<int, std::string>>& extensions) {
  Pair made{Cert(X509_new()), Key(EVP_EC_gen("P-256"))};
  X509* const certificate = made.certificate.get();
  CASEMATE_CHECK(certificate != nullptr && made.key != nullptr);
  CASEMATE_CHECK(X509_set_version(certificate, X509_VERSION_3) == 1);
  std::uint8_t serial[16];
  CASEMATE_CHECK(RAND_bytes(serial, sizeof serial) == 1);
  serial[0] = static_cast<std::uint8_t>((serial[0] & 0x7f) | 0x40);
  BIGNUM* const number = BN_bin2bn(serial, sizeof serial, nullptr);
  CASEMATE_CHECK(number != nullptr && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr);
  BN_free(number);
  // An hour of grace for clients whose clock is behind.
  const std::time_t from = unix_time(now - std::chrono::hours{1});
  const std::time_t to = unix_time(now + life);
  CASEMATE_CHECK(ASN1_TIME_set(X509_getm_notBefore(certificate), from) != nullptr &&
                 ASN1_TIME_set(X509_getm_notAfter(certificate), to) != nullptr);
  X509_NAME* const name = X509_get_subject_name(certificate);
  const auto add = [&](const char* field, const std::string& text) {
    CASEMATE_CHECK(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                              reinterpret_cast<const unsigned char*>(text.data()),
                                              static_cast<int>(text.size()), -1, 0) == 1);
  };
  add("O", "casemate");
  add("CN", common_name);
  X509* const issuing = issuer == nullptr ? certificate : issuer->certificate.get();
  CASEMATE_CHECK(X509_set_issuer_name(certificate, X509_get_subject_name(issuing)) == 1);
  CASEMATE_CHECK(X509_set_pubkey(certificate, made.key.get()) == 1);
  add_extension(certificate, issuing, NID_subject_key_identifier, "hash");
  add_extension(certificate, issuing, NID_authority_key_identifier, "keyid:always");
  for (const auto& [type, value] : extensions) add_extension(certificate, issuing, type, value);
  EVP_PKEY* const signing = issuer == nullptr ? made.key.get() : issuer->key.get();
  CASEMATE_CHECK(X509_sign(certificate, signing, EVP_sha256()) > 0);
  return made;
}

Pair make_authority(WallTime now) {
  return make_certificate(
      "casemate local certificate authority", kAuthorityLife, now, nullptr,
      {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"}, {NID_key_usage, "critical,keyCertSign,cRLSign"}});
}

Pair make_server(const Pair& authority, const std::vector<std::string>& names, WallTime now) {
  std::string alternatives;
  for (const std::string& name : names) {
    if (!alternatives.empty()) alternatives += ',';
    alternatives += (is_address(name) ? "IP:" : "DNS:") + name;
  }
  return make_certificate("localhost", kServerLife, now, &authority,
                          {{NID_basic_constraints, "critical,CA:FALSE"},
                           {NID_key_usage, "critical,digitalSignature"},
                           {NID_ext_key_usage, "serverAuth"},
                           {NID_subject_alt_name, alternatives}});
}

Result<Pair> load_pair(const os::Path& certificate_path, const os::Path& key_path) {
  const std::string certificate_text = TRY(os::read_file(certificate_path, kLargestFile));
  const Secret key_text = TRY(os::read_secret_file(key_path, kLargestFile));
  Pair pair;
  const Memory certificate(BIO_new_mem_buf(certificate_text.data(), static_cast<int>(certificate_text.size())));
  pair.certificate.reset(PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr));
  if (pair.certificate == nullptr) return malformed("{}: no certificate in PEM", certificate_path.native());
  const Memory key(BIO_new_mem_buf(key_text.expose().data(), static_cast<int>(key_text.size())));
  // Without a callback OpenSSL would ask a terminal for a password.
  const auto no_password = [](char*, int, int, void*) { return 0; };
  pair.key.reset(PEM_read_bio_PrivateKey(key.get(), nullptr, no_password, nullptr));
  if (pair.key == nullptr) return malformed("{}: no private key in PEM", key_path.native());
  if (X509_check_private_key(pair.certificate.get(), pair.key.get()) != 1)
    return malformed("{}: not the key of {}", key_path.native(), certificate_path.native());
  return pair;
}

Result<void> save_pair(const Pair& pair, const os::Path& certificate_path, const os::Path& key_path) {
  TRY(os::write_file(key_path, key_pem(pair.key.get()).expose(), 0600));
  return os::write_file(certificate_path, as_bytes(certificate_pem(pair.certificate.get())), 0644);
}

bool expires_before(X509* certificate, WallTime time) {
  const std::time_t limit = unix_time(time);
  return ASN1_TIME_cmp_time_t(X509_get0_notAfter(certificate), limit) <= 0;
}

bool has_names(X509* certificate, const std::vector<std::string>& names) {
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return is_address(name) ? X509_check_ip_asc(certificate, name.c_str(), 0) == 1
                            : X509_check_host(certificate, name.data(), name.size(), 0, nullptr) == 1;
  });
}

}  // namespace

std::vector<std::string> server_names(const std::string& region) {
  return {"localhost",
          "kms." + region + ".amazonaws.com",
          "sts." + region + ".amazonaws.com",
          "sts.amazonaws.com",
          "127.0.0.1",
          "::1"};
}

Result<net::TlsIdentity> load_tls_identity(const os::Path& folder, const std::vector<std::string>& names,
                                           WallTime now) {
  TRY(os::make_private_directories(folder));
  ERR_clear_error();
  const os::Path ca_certificate = folder / "ca.pem";
  const os::Path ca_key = folder / "ca.key";
  auto authority = load_pair(ca_certificate, ca_key);
  if (!authority.ok() && authority.error().code() == ErrorCode::kNotFound) {
    authority = make_authority(now);
    TRY(save_pair(*authority, ca_certificate, ca_key));
  }
  if (!authority.ok()) return authority.error();
  if (expires_before(authority->certificate.get(), now + kRenewBefore)) {
    return unavailable("{}: expired; remove the folder to make a new authority", ca_certificate.native());
  }
  auto server = load_pair(folder / "server.pem", folder / "server.key");
  if (!server.ok() && server.error().code() == ErrorCode::kDenied) return server.error();
  const bool usable = server.ok() && !expires_before(server->certificate.get(), now + kRenewBefore) &&
                      has_names(server->certificate.get(), names) &&
                      X509_verify(server->certificate.get(), X509_get0_pubkey(authority->certificate.get())) == 1;
  if (!usable) {
    server = make_server(*authority, names, now);
    TRY(save_pair(*server, folder / "server.pem", folder / "server.key"));
  }
  ERR_clear_error();
  return net::TlsIdentity{certificate_pem(server->certificate.get()), key_pem(server->key.get())};
}

}  // namespace casemate::cli::casemated
