// SPDX-License-Identifier: Apache-2.0
#include "crypto/cms.h"

#include <algorithm>
#include <array>

#include "crypto/digest.h"
#include "crypto/openssl.h"

namespace casemate::crypto {
namespace {

constexpr std::size_t kAesBlock = 16;
constexpr std::size_t kContentKeySize = 32;

constexpr std::uint8_t kSequence = 0x30;
constexpr std::uint8_t kSet = 0x31;
constexpr std::uint8_t kInteger = 0x02;
constexpr std::uint8_t kOctetString = 0x04;
constexpr std::uint8_t kContext0 = 0x80;             // [0] primitive
constexpr std::uint8_t kContext0Constructed = 0xa0;  // [0] constructed
constexpr std::uint8_t kIndefinite = 0x80;

// 1.2.840.113549.1.7.3 and 1.2.840.113549.1.7.1, with tag and length.
constexpr std::uint8_t kEnvelopedDataOid[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03};
constexpr std::uint8_t kDataOid[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01};
constexpr std::uint8_t kVersion2[] = {kInteger, 0x01, 0x02};
// AlgorithmIdentifier of RSAES-OAEP with SHA-256 and MGF1-SHA-256, NULL parameters, no label (RFC 4055, 4.1).
constexpr std::uint8_t kOaepSha256[] = {0x30, 0x3c, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07,
                                        0x30, 0x2f, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
                                        0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a,
                                        0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60,
                                        0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00};
// AlgorithmIdentifier of AES-256-CBC (RFC 3565, 4.1) up to its initialization vector.
constexpr std::uint8_t kAes256Cbc[] = {0x30, 0x1d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                       0x65, 0x03, 0x04, 0x01, 0x2a, 0x04, 0x10};

CipherContext cbc_context(ByteView key, ByteView iv, int encrypt) {
  CASEMATE_CHECK(key.size() == kContentKeySize && iv.size() == kAesBlock);
  CipherContext context(EVP_CIPHER_CTX_new());
  CASEMATE_CHECK(context != nullptr);
  CASEMATE_CHECK(EVP_CipherInit_ex(context.get(), EVP_aes_256_cbc(), nullptr, key.data(), iv.data(), encrypt) == 1);
  CASEMATE_CHECK(EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1);
  return context;
}

void run_cbc(const CipherContext& context, ByteView in, std::uint8_t* out) {
  int size = 0;
  CASEMATE_CHECK(EVP_CipherUpdate(context.get(), out, &size, in.data(), static_cast<int>(in.size())) == 1);
  CASEMATE_CHECK(static_cast<std::size_t>(size) == in.size());
}

Bytes encrypt_cbc(ByteView key, ByteView iv, const Secret& content) {
  const std::size_t padding = kAesBlock - content.size() % kAesBlock;
  Secret padded = Secret::of_size(content.size() + padding);
  const auto out = padded.expose_mutable();
  std::copy(content.expose().begin(), content.expose().end(), out.begin());
  std::fill(out.begin() + static_cast<std::ptrdiff_t>(content.size()), out.end(), static_cast<std::uint8_t>(padding));
  Bytes ciphertext(padded.size());
  run_cbc(cbc_context(key, iv, 1), padded.expose(), ciphertext.data());
  return ciphertext;
}

void append_header(Bytes& out, std::uint8_t tag, std::size_t length) {
  out.push_back(tag);
  if (length < 0x80) {
    out.push_back(static_cast<std::uint8_t>(length));
  } else if (length < 0x100) {
    out.push_back(0x81);
    append_be<1>(out, length);
  } else if (length < 0x10000) {
    out.push_back(0x82);
    append_be<2>(out, length);
  } else {
    out.push_back(0x83);
    append_be<3>(out, length);
  }
}

void append_element(Bytes& out, std::uint8_t tag, ByteView content) {
  append_header(out, tag, content.size());
  append(out, content);
}

}  // namespace

Result<Bytes> encode_enveloped_data(const RsaPublicKey& recipient, const Secret& content, Rng& rng) {
  if (content.size() > kMaxEnvelopeContent) {
    return over_limit("enveloped data: {} bytes of content, at most {}", content.size(), kMaxEnvelopeContent);
  }
  // Drawn at once: each draw costs some microseconds.
  Secret random = Secret::of_size(kContentKeySize + kAesBlock);
  rng.fill(random.expose_mutable());
  const ByteView content_key = random.expose().first(kContentKeySize);
  const ByteView iv = random.expose().subspan(kContentKeySize);
  const Bytes encrypted_key = TRY(recipient.encrypt_oaep_sha256(content_key));
  const Bytes ciphertext = encrypt_cbc(content_key, iv, content);

  Bytes recipient_info = to_bytes(kVersion2);
  append_element(recipient_info, kContext0, sha256(recipient.spki()));
  append(recipient_info, kOaepSha256);
  append_element(recipient_info, kOctetString, encrypted_key);
  Bytes recipient_infos;
  append_element(recipient_infos, kSequence, recipient_info);

  Bytes out;
  out.reserve(128 + recipient_infos.size() + ciphertext.size());
  append(out, std::array{kSequence, kIndefinite});
  append(out, kEnvelopedDataOid);
  append(out, std::array{kContext0Constructed, kIndefinite, kSequence, kIndefinite});
  append(out, kVersion2);
  append_element(out, kSet, recipient_infos);
  append(out, std::array{kSequence, kIndefinite});
  append(out, kDataOid);
  append(out, kAes256Cbc);
  append(out, iv);
  append(out, std::array{kContext0Constructed, kIndefinite});
  append_element(out, kOctetString, ciphertext);
  out.insert(out.end(), std::size_t{2} * 5, 0);  // end of contents, five times
  return out;
}

namespace {

struct Element {
  std::uint8_t tag = 0;
  bool indefinite = false;
  ByteView content;  // of an indefinite element: all that follows its header
};

// BerReader reads the few forms of BER that an envelope is made of. Everything malformed is one error.
class BerReader {
 public:
  explicit BerReader(ByteView input) : reader_(input) {}

  bool empty() const { return reader_.empty(); }
  ByteView rest() const { return reader_.rest(); }

  Result<Element> read_header() {
    Element element;
    element.tag = TRY(reader_.read_u8());
    const std::uint8_t first = TRY(reader_.read_u8());
    if (first == kIndefinite) {
      if ((element.tag & 0x20) == 0) return malformed("ber: primitive of indefinite length");
      element.indefinite = true;
      element.content = reader_.rest();
      return element;
    }
    std::size_t length = first;
    if (first > 0x80) {
      const std::size_t count = first & 0x7f;
      if (count > 3) return malformed("ber: length of {} bytes", count);
      length = 0;
      for (const std::uint8_t byte : TRY(reader_.read(count))) length = length << 8 | byte;
      if (length < 0x80 || (count > 1 && length >> (8 * (count - 1)) == 0))
        return malformed("ber: length not shortest");
    }
    element.content = TRY(reader_.read(length));
    return element;
  }

  Result<ByteView> read_definite(std::uint8_t tag) {
    const Element element = TRY(read_header());
    if (element.tag != tag || element.indefinite) return malformed("ber: element");
    return element.content;
  }

  Result<void> expect(ByteView literal) {
    if (!equal(TRY(reader_.read(literal.size())), literal)) return malformed("ber: unexpected bytes");
    return {};
  }

  Result<ByteView> take(std::size_t count) { return reader_.read(count); }

 private:
  ByteReader reader_;
};

// open_constructed enters a constructed element of indefinite length, the form that KMS writes; its content ends at 00 00.
struct Level {
  BerReader content;
};

Result<Level> open_constructed(BerReader& outer, std::uint8_t tag) {
  const Element element = TRY(outer.read_header());
  if (element.tag != tag || !element.indefinite) return malformed("ber: element");
  return Level{BerReader(element.content)};
}

// close_constructed checks the end of `inner` and moves `outer` past it.
Result<void> close_constructed(BerReader& outer, Level& inner) {
  static constexpr std::uint8_t kEnd[] = {0, 0};
  TRY(inner.content.expect(kEnd));
  TRY(outer.take(outer.rest().size() - inner.content.rest().size()));
  return {};
}

struct Envelope {
  ByteView key_identifier;
  ByteView encrypted_key;
  ByteView iv;
  Bytes ciphertext;
};

Result<void> read_recipient(ByteView infos, Envelope& envelope) {
  BerReader set(infos);
  BerReader recipient(TRY(set.read_definite(kSequence)));
  if (!set.empty()) return malformed("envelope: more than one recipient");
  TRY(recipient.expect(kVersion2));
  envelope.key_identifier = TRY(recipient.read_definite(kContext0));
  TRY(recipient.expect(kOaepSha256));
  envelope.encrypted_key = TRY(recipient.read_definite(kOctetString));
  if (!recipient.empty()) return malformed("envelope: trailing bytes in the recipient");
  return {};
}

Result<void> read_content(BerReader& info, Envelope& envelope) {
  Level chunks = TRY(open_constructed(info, kContext0Constructed));
  while (!chunks.content.empty() && chunks.content.rest().front() == kOctetString) {
    append(envelope.ciphertext, TRY(chunks.content.read_definite(kOctetString)));
  }
  return close_constructed(info, chunks);
}

Result<Envelope> parse_envelope(ByteView input) {
  Envelope envelope;
  BerReader top(input);
  Level content_info = TRY(open_constructed(top, kSequence));
  TRY(content_info.content.expect(kEnvelopedDataOid));
  Level explicit_content = TRY(open_constructed(content_info.content, kContext0Constructed));
  Level enveloped = TRY(open_constructed(explicit_content.content, kSequence));
  TRY(enveloped.content.expect(kVersion2));
  TRY(read_recipient(TRY(enveloped.content.read_definite(kSet)), envelope));
  Level encrypted = TRY(open_constructed(enveloped.content, kSequence));
  TRY(encrypted.content.expect(kDataOid));
  TRY(encrypted.content.expect(kAes256Cbc));
  envelope.iv = TRY(encrypted.content.take(kAesBlock));
  TRY(read_content(encrypted.content, envelope));
  TRY(close_constructed(enveloped.content, encrypted));
  TRY(close_constructed(explicit_content.content, enveloped));
  TRY(close_constructed(content_info.content, explicit_content));
  TRY(close_constructed(top, content_info));
  if (!top.empty()) return malformed("envelope: trailing bytes");
  if (envelope.ciphertext.empty() || envelope.ciphertext.size() % kAesBlock != 0)
    return malformed("envelope: ciphertext size");
  return envelope;
}

// All ones when a is below b (both below 2^31), else zero; no branch.
std::uint32_t mask_below(std::uint32_t a, std::uint32_t b) {
  return 0U - ((a - b) >> 31);
}

std::uint32_t mask_equal(std::uint32_t a, std::uint32_t b) {
  return ~(mask_below(a, b) | mask_below(b, a));
}

// padding_of gives the padding's length, or 0 when it is wrong (RFC 5652, 6.3), in time that depends on the size only.
std::uint32_t padding_of(ByteView padded) {
  const std::uint32_t padding = padded.back();
  std::uint32_t good = mask_below(0, padding) & mask_below(padding, kAesBlock + 1);
  for (std::uint32_t i = 0; i < kAesBlock; ++i) {
    const std::uint32_t counts = mask_below(i, padding);
    good &= ~counts | mask_equal(padded[padded.size() - 1 - i], padding);
  }
  return padding & good;
}

}  // namespace

Result<Secret> open_enveloped_data(ByteView input, const RsaPrivateKey& key, Rng& rng) {
  const auto refused = [] { return untrusted("enveloped data: not for this key, or damaged"); };
  if (input.size() > kMaxEnvelopeContent + 4096) return refused();
  const auto envelope = parse_envelope(input);
  if (!envelope) return refused();
  if (!equal(envelope->key_identifier, sha256(key.public_key().spki()))) return refused();

  // A content key that does not decrypt is replaced by a random one, so that a forged key and a forged ciphertext fail
  // at the same place (RFC 3218, 2.3.2, done for OAEP).
  Secret content_key = Secret::of_size(kContentKeySize);
  rng.fill(content_key.expose_mutable());
  auto decrypted = key.decrypt_oaep_sha256(envelope->encrypted_key);
  const bool usable = decrypted.ok() && decrypted->size() == kContentKeySize;
  Secret candidate = Secret::of_size(kContentKeySize);
  if (usable) candidate = decrypted.take();
  const auto mask = static_cast<std::uint8_t>(0 - static_cast<unsigned>(usable));
  for (std::size_t i = 0; i < kContentKeySize; ++i) {
    auto& byte = content_key.expose_mutable()[i];
    byte = static_cast<std::uint8_t>((byte & ~mask) | (candidate.expose()[i] & mask));
  }

  Secret padded = Secret::of_size(envelope->ciphertext.size());
  run_cbc(cbc_context(content_key.expose(), envelope->iv, 0), envelope->ciphertext, padded.expose_mutable().data());
  const std::uint32_t padding = padding_of(padded.expose());
  if (padding == 0 || !usable) return refused();
  padded.truncate(padded.size() - padding);
  return padded;
}

}  // namespace casemate::crypto
