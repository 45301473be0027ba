// SPDX-License-Identifier: Apache-2.0
#include "kms/seal/root_key_file.h"

#include "base/encoding.h"
#include "crypto/aes_gcm.h"
#include "json/value.h"

namespace casemate::kms::seal {
namespace {

constexpr std::string_view kFormat = "casemate root key 1";
constexpr std::size_t kSaltSize = 16;

Result<Bytes> hex_at(const json::Value& value, std::string_view name) {
  const std::string* text = value.string_at(name);
  if (text == nullptr) return malformed("{}: want hexadecimal digits", name);
  return TRY(decode_hex(*text).in(name));
}

Result<std::uint64_t> number_at(const json::Value& value, std::string_view name) {
  const std::int64_t* number = value.int_at(name);
  if (number == nullptr || *number < 0) return malformed("{}: want a number", name);
  return static_cast<std::uint64_t>(*number);
}

// The cost is bound to the content: nobody can make it cheaper without its showing.
std::string associated_data(const crypto::ScryptCost& cost) {
  return fmt::format("{} {} {} {}", kFormat, cost.n, cost.r, cost.p);
}

std::string associated_data(const TokenKey& name) {
  return fmt::format("{} {} {}", kFormat, name.token, name.key);
}

Result<std::string> text_at(const json::Value& value, std::string_view name) {
  const std::string* text = value.string_at(name);
  if (text == nullptr) return malformed("{}: want a string", name);
  return *text;
}

Result<RootKey> open_with_token(const json::Value& value, const Secret& pin) {
  const TokenKey name{TRY(text_at(value, "module")), TRY(text_at(value, "token")), TRY(text_at(value, "key"))};
  const Bytes nonce = TRY(hex_at(value, "nonce"));
  const Bytes sealed = TRY(hex_at(value, "sealed"));
  if (nonce.size() != crypto::kGcmNonceSize) return malformed("nonce: {} bytes", nonce.size());
  const auto token = TRY(Token::open(name, pin, Token::Missing::kRefuse));
  return RootKey::from(TRY(token->unseal(nonce, as_bytes(associated_data(name)), sealed)));
}

}  // namespace

Result<RootKey> parse_root_key(std::string_view file, const Secret* passphrase) {
  if (!file.starts_with('{')) {
    while (!file.empty() && (file.back() == '\n' || file.back() == '\r' || file.back() == ' ')) file.remove_suffix(1);
    auto bytes = decode_hex(file);
    if (!bytes.ok()) return malformed("want 64 hexadecimal digits");
    return RootKey::from(Secret(bytes.take()));
  }
  const json::Value value = TRY(json::parse(file));
  const std::string* format = value.string_at("format");
  if (format == nullptr || *format != kFormat) return malformed("format: want \"{}\"", kFormat);
  if (passphrase == nullptr) return denied("sealed under a passphrase, and none was given");
  if (const std::string* kdf = value.string_at("kdf"); kdf != nullptr && *kdf == "pkcs11")
    return open_with_token(value, *passphrase);
  const crypto::ScryptCost cost{TRY(number_at(value, "n")), TRY(number_at(value, "r")), TRY(number_at(value, "p"))};
  const Bytes salt = TRY(hex_at(value, "salt"));
  const Bytes nonce = TRY(hex_at(value, "nonce"));
  const Bytes sealed = TRY(hex_at(value, "sealed"));
  if (nonce.size() != crypto::kGcmNonceSize) return malformed("nonce: {} bytes", nonce.size());
  const Secret key = TRY(crypto::scrypt(passphrase->expose(), salt, cost, crypto::kAes256KeySize));
  auto opened = crypto::open_aes_256_gcm(key.expose(), nonce, as_bytes(associated_data(cost)), sealed);
  if (!opened.ok()) return untrusted("the passphrase does not open it");
  return RootKey::from(opened.take());
}

Secret encode_root_key(const RootKey& root) {
  Bytes text;
  static constexpr char kDigits[] = "0123456789abcdef";
  for (const std::uint8_t byte : root.bytes().expose()) {
    text.push_back(static_cast<std::uint8_t>(kDigits[byte >> 4]));
    text.push_back(static_cast<std::uint8_t>(kDigits[byte & 0xf]));
  }
  text.push_back('\n');
  return Secret(std::move(text));
}

Result<Secret> under_passphrase(const RootKey& root, const Secret& passphrase, Rng& rng,
                                const crypto::ScryptCost& cost) {
  Bytes salt(kSaltSize);
  rng.fill(salt);
  Bytes nonce(crypto::kGcmNonceSize);
  rng.fill(nonce);
  const Secret key = TRY(crypto::scrypt(passphrase.expose(), salt, cost, crypto::kAes256KeySize));
  const Bytes sealed =
      crypto::seal_aes_256_gcm(key.expose(), nonce, as_bytes(associated_data(cost)), root.bytes().expose());
  const json::Object file{{"format", kFormat},
                          {"kdf", "scrypt"},
                          {"n", cost.n},
                          {"r", cost.r},
                          {"p", cost.p},
                          {"salt", encode_hex(salt)},
                          {"nonce", encode_hex(nonce)},
                          {"sealed", encode_hex(sealed)}};
  return Secret::copy_of(as_bytes(json::encode_pretty(file) + "\n"));
}

Result<Secret> under_token(const RootKey& root, const TokenKey& name, const Secret& pin, Rng& rng) {
  const auto token = TRY(Token::open(name, pin, Token::Missing::kCreate));
  Bytes nonce(crypto::kGcmNonceSize);
  rng.fill(nonce);
  const Bytes sealed = TRY(token->seal(nonce, as_bytes(associated_data(name)), root.bytes()));
  const json::Object file{{"format", kFormat},           {"kdf", "pkcs11"}, {"module", name.module},
                          {"token", name.token},         {"key", name.key}, {"nonce", encode_hex(nonce)},
                          {"sealed", encode_hex(sealed)}};
  return Secret::copy_of(as_bytes(json::encode_pretty(file) + "\n"));
}

Result<Secret> read_passphrase(const os::Path& path) {
  const Secret file = TRY(os::read_secret_file(path, 4096));
  const std::string_view text = as_text(file.expose());
  const std::string_view line = text.substr(0, text.find_first_of("\r\n"));
  if (line.empty()) return malformed("{}: no passphrase", path.native());
  return Secret::copy_of(as_bytes(line));
}

}  // namespace casemate::kms::seal
