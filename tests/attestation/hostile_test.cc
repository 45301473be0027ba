// SPDX-License-Identifier: Apache-2.0
// Hostile documents and certificates, one named case each: refused with an error that names the field, and kept as
// fuzz/corpus/{document,certificate}/NAME. The documents are signed by a chain that the verifier trusts, unless the
// chain is what is wrong with them. CASEMATE_WRITE_CORPUS=1 writes the corpus anew.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "attestation/profile.h"
#include "attestation/test_lab.h"
#include "base/encoding.h"
#include "cbor/writer.h"
#include "x509/der.h"

namespace casemate::attestation {
namespace {

using cbor::Writer;
using testing::HasSubstr;
namespace der = x509::der;

Bytes hex(std::string_view text) { return decode_hex(text).take(); }

// SeededRng gives a stream that is the same in every run.
class SeededRng final : public Rng {
 public:
  explicit SeededRng(std::string_view seed) : seed_(seed) {}
  void fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) {
      if (used_ == block_.size()) {
        block_ = crypto::sha256(as_bytes(fmt::format("{}/{}", seed_, count_++)));
        used_ = 0;
      }
      byte = block_[used_++];
    }
  }

 private:
  std::string seed_;
  crypto::Sha256 block_{};
  std::size_t used_ = block_.size();
  std::size_t count_ = 0;
};

void keep(std::string_view folder, std::string_view name, ByteView bytes) {
  const std::filesystem::path path = std::filesystem::path(CASEMATE_SOURCE_DIR "/fuzz/corpus") / folder / name;
  if (std::getenv("CASEMATE_WRITE_CORPUS") != nullptr) {
    std::ofstream(path, std::ios::binary).write(as_text(bytes).data(), static_cast<std::streamsize>(bytes.size()));
    return;
  }
  std::ifstream in(path, std::ios::binary);
  const Bytes kept{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  EXPECT_TRUE(equal(kept, bytes)) << path << " is not this case; CASEMATE_WRITE_CORPUS=1 writes it";
}

// Fields of a payload in their encoded form, to be spoilt one at a time.
class Fields {
 public:
  explicit Fields(const Lab& lab) {
    set("module_id", Writer().text("i-0123456789abcdef0-enc0123456789abcdef").take());
    set("digest", Writer().text("SHA384").take());
    set("timestamp", Writer().unsigned_integer(static_cast<std::uint64_t>(Lab::kNow.time_since_epoch().count())).take());
    set("pcrs", pcrs(16));
    set("certificate", Writer().bytes(lab.nodes.back().certificate).take());
    Writer bundle;
    bundle.array(lab.nodes.size() - 1);
    for (std::size_t i = 0; i + 1 < lab.nodes.size(); ++i) bundle.bytes(lab.nodes[i].certificate);
    set("cabundle", bundle.take());
    for (const auto* key : {"public_key", "user_data", "nonce"}) set(key, Writer().null().take());
  }

  static Bytes pcrs(std::uint64_t count, std::size_t size = 48) {
    Writer writer;
    writer.map(count);
    for (std::uint64_t i = 0; i < count; ++i) writer.unsigned_integer(i).bytes(Bytes(size, 5));
    return writer.take();
  }

  Fields& set(std::string_view key, Bytes value) {
    for (auto& [name, encoded] : fields_) {
      if (name == key) {
        encoded = std::move(value);
        return *this;
      }
    }
    return add(key, std::move(value));
  }
  Fields& add(std::string_view key, Bytes value) {
    fields_.emplace_back(key, std::move(value));
    return *this;
  }
  Fields& remove(std::string_view key) {
    std::erase_if(fields_, [key](const auto& field) { return field.first == key; });
    return *this;
  }

  Bytes payload() const {
    Writer writer;
    writer.map(fields_.size());
    for (const auto& [key, value] : fields_) writer.text(key).encoded(value);
    return writer.take();
  }

 private:
  std::vector<std::pair<std::string, Bytes>> fields_;
};

struct DocumentCase {
  std::string name;
  std::function<Bytes(Lab&)> build;
  ErrorCode code;
  std::string text;
};

// with_field replaces one field of an otherwise good document.
std::function<Bytes(Lab&)> with_field(std::string key, Bytes value) {
  return [key = std::move(key), value = std::move(value)](Lab& lab) { return lab.sign(Fields(lab).set(key, value).payload()); };
}

// with_chain names the certificates of the bundle by their level; kStranger is one of another chain.
constexpr std::size_t kStranger = 99;
std::function<Bytes(Lab&)> with_chain(std::vector<std::size_t> levels) {
  return [levels = std::move(levels)](Lab& lab) {
    Lab other(4, lab.rng);
    other.issue();
    std::vector<Bytes> bundle;
    for (const std::size_t level : levels) bundle.push_back(level == kStranger ? other.nodes[2].certificate : lab.nodes[level].certificate);
    return lab.document_with(bundle);
  };
}

std::function<Bytes(Lab&)> with_node(std::size_t level, std::function<void(x509::CertificateTemplate&)> spoil) {
  return [level, spoil = std::move(spoil)](Lab& lab) {
    spoil(lab.nodes[level].fields);
    return lab.document();
  };
}

Bytes p256_key(Rng& rng) { return crypto::EcPrivateKey::generate(crypto::Curve::kP256, rng).public_key().spki_der(); }

// with_algorithm writes ecdsa-with-SHA256 over ecdsa-with-SHA384, inside and outside of what is signed.
Bytes with_algorithm(Bytes certificate) {
  const Bytes sha384 = hex("06082a8648ce3d040303");
  for (auto at = std::search(certificate.begin(), certificate.end(), sha384.begin(), sha384.end()); at != certificate.end();
       at = std::search(at, certificate.end(), sha384.begin(), sha384.end())) {
    at[9] = 2;
  }
  return certificate;
}

const Bytes& group_order() {
  static const Bytes order = hex("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973");
  return order;
}

// with_half replaces r (back = 96) or s (back = 48) of the document's signature.
std::function<Bytes(Lab&)> with_half(std::size_t back, Bytes half) {
  return [back, half = std::move(half)](Lab& lab) {
    Bytes document = lab.signed_document();
    std::copy(half.begin(), half.end(), document.end() - static_cast<std::ptrdiff_t>(back));
    return document;
  };
}

// with_signature is a certificate whose ECDSA-Sig-Value is (r, s).
Bytes with_signature(ByteView certificate, ByteView r, ByteView s) {
  const x509::Certificate parsed = x509::parse_certificate(certificate).take();
  const Bytes value = der::element(der::kSequence, {der::unsigned_integer(r), der::unsigned_integer(s)});
  const Bytes algorithm = der::element(der::kSequence, {der::element(der::kOid, {parsed.signature_algorithm_oid})});
  const std::uint8_t whole_bytes[] = {0};
  return der::element(der::kSequence, {parsed.tbs, algorithm, der::element(der::kBitString, {whole_bytes, value})});
}

Bytes concat(std::initializer_list<ByteView> parts) {
  Bytes out;
  for (const ByteView part : parts) append(out, part);
  return out;
}

std::vector<DocumentCase> document_cases() {
  const auto deep = Bytes(2000, 0x81);
  return {
      {"deep-nesting", [deep](Lab& lab) { return lab.sign(deep); }, ErrorCode::kMalformed, "attestation document: offset 0: array, want a map"},
      {"deep-nesting-in-a-field", with_field("pcrs", concat({hex("a100"), deep, hex("00")})), ErrorCode::kMalformed, "pcrs: [0]: offset"},
      {"deep-nesting-of-maps", [](Lab& lab) { return lab.sign(Bytes(2000, 0xbf)); }, ErrorCode::kMalformed, "key: offset 1: map, want a text string"},
      {"array-count-beyond-input", with_field("cabundle", hex("9bffffffffffffffff")), ErrorCode::kMalformed, "cabundle: offset"},
      {"map-count-beyond-input", with_field("pcrs", hex("baffffffff")), ErrorCode::kMalformed, "pcrs: offset"},
      {"length-beyond-input", with_field("nonce", hex("5affffffff")), ErrorCode::kMalformed, "nonce: offset"},
      {"outer-length-beyond-input", [](Lab&) { return hex("8444a1013822a0597fff00"); }, ErrorCode::kMalformed, "payload: offset 7: string of 32767 bytes, 1 left"},
      {"duplicate-key", [](Lab& lab) { return lab.sign(Fields(lab).add("nonce", Writer().null().take()).payload()); }, ErrorCode::kMalformed, "\"nonce\" twice"},
      {"duplicate-pcr", with_field("pcrs", Writer().map(2).unsigned_integer(7).bytes(Bytes(48, 1)).unsigned_integer(7).bytes(Bytes(48, 2)).take()),
       ErrorCode::kMalformed, "pcrs: index 7 twice"},
      {"unknown-key", [](Lab& lab) { return lab.sign(Fields(lab).add("extra", Writer().null().take()).payload()); }, ErrorCode::kMalformed, "extra: unknown key"},
      {"missing-key", [](Lab& lab) { return lab.sign(Fields(lab).remove("digest").payload()); }, ErrorCode::kMalformed, "digest: missing"},
      {"trailing-bytes-after-the-document", [](Lab& lab) { return concat({lab.signed_document(), hex("00")}); }, ErrorCode::kMalformed, "1 bytes after the end"},
      {"trailing-bytes-in-the-payload", [](Lab& lab) { return lab.sign(concat({Fields(lab).payload(), hex("00")})); }, ErrorCode::kMalformed, "1 bytes after the end"},
      {"non-shortest-integer", with_field("timestamp", hex("1b0000000000000017")), ErrorCode::kMalformed, "timestamp: offset"},
      {"non-shortest-length", with_field("nonce", hex("580101")), ErrorCode::kMalformed, "want the shortest form"},
      {"indefinite-string-in-a-definite-map", with_field("nonce", hex("5f4101ff")), ErrorCode::kMalformed, "nonce: offset"},
      {"indefinite-text-in-a-definite-map", with_field("module_id", hex("7f6161ff")), ErrorCode::kMalformed, "indefinite length, want a definite one"},
      {"indefinite-array", with_field("cabundle", hex("9f4101ff")), ErrorCode::kMalformed, "cabundle: offset"},
      {"indefinite-pcrs", with_field("pcrs", hex("bf004101ff")), ErrorCode::kMalformed, "pcrs: offset"},
      {"missing-break", [](Lab& lab) { Bytes payload = Fields(lab).payload(); payload[0] = 0xbf; return lab.sign(payload); }, ErrorCode::kMalformed, "want a break"},
      {"invalid-utf8", with_field("module_id", hex("62c328")), ErrorCode::kMalformed, "module_id: offset"},
      {"invalid-utf8-in-a-key", [](Lab& lab) { return lab.sign(concat({hex("a1"), hex("61ff"), hex("f6")})); }, ErrorCode::kMalformed, "key: offset 2: not UTF-8"},
      {"negative-timestamp", with_field("timestamp", Writer().integer(-1).take()), ErrorCode::kMalformed, "timestamp: offset"},
      {"zero-timestamp", with_field("timestamp", hex("00")), ErrorCode::kMalformed, "timestamp: 0 ms, want 1 to"},
      {"huge-timestamp", with_field("timestamp", hex("1bffffffffffffffff")), ErrorCode::kMalformed, "timestamp: 18446744073709551615 ms, want 1 to 253402300799999"},
      {"no-pcrs", with_field("pcrs", Fields::pcrs(0)), ErrorCode::kMalformed, "pcrs: 0 entries, want 1 to 32"},
      {"thirty-three-pcrs", with_field("pcrs", Fields::pcrs(33)), ErrorCode::kMalformed, "pcrs: 33 entries, want 1 to 32"},
      {"pcr-of-47-bytes", with_field("pcrs", Fields::pcrs(16, 47)), ErrorCode::kMalformed, "pcrs[0]: 47 bytes, want 32, 48 or 64"},
      {"pcr-index-32", with_field("pcrs", Writer().map(1).unsigned_integer(32).bytes(Bytes(48)).take()), ErrorCode::kMalformed, "pcrs: index 32, want 0 to 31"},
      {"pcr-index-negative", with_field("pcrs", Writer().map(1).integer(-1).bytes(Bytes(48)).take()), ErrorCode::kMalformed, "pcrs: index -1, want 0 to 31"},
      {"empty-cabundle", with_field("cabundle", hex("80")), ErrorCode::kMalformed, "cabundle: empty"},
      {"nine-authorities", with_field("cabundle", concat({hex("89"), Bytes(9, 0x40)})), ErrorCode::kLimit, "cabundle: 9 certificates, want at most 8"},
      {"certificate-of-1025-bytes", with_field("certificate", Writer().bytes(Bytes(1025)).take()), ErrorCode::kLimit, "certificate: 1025 bytes, want at most 1024"},
      {"nonce-of-1025-bytes", with_field("nonce", Writer().bytes(Bytes(1025)).take()), ErrorCode::kLimit, "nonce: 1025 bytes, want at most 1024"},
      // The first size beyond the limit; a whole MiB is below.
      {"oversized", [](Lab&) { return Bytes(16384 + 257, 0x84); }, ErrorCode::kLimit, "COSE_Sign1: 16641 bytes, want at most 16640"},
      {"nitrotpm", [](Lab& lab) { return lab.sign(Fields(lab).remove("pcrs").add("nitrotpm_pcrs", Fields::pcrs(24)).payload()); }, ErrorCode::kMalformed, "NitroTPM"},
      {"chain-out-of-order", with_chain({0, 2, 1, 3}), ErrorCode::kUntrusted, "cabundle[1]: profile: basicConstraints: path length 1 exceeded, 2 authorities below"},
      {"chain-reversed", with_chain({3, 2, 1, 0}), ErrorCode::kUntrusted, "root: SHA-256"},
      {"chain-with-a-loop", with_chain({0, 1, 2, 1, 2, 3}), ErrorCode::kUntrusted, "path length 2 exceeded, 4 authorities below"},
      {"chain-with-the-root-twice", with_chain({0, 0, 1, 2, 3}), ErrorCode::kUntrusted, "cabundle[1]: profile: basicConstraints: no path length"},
      {"extra-certificate", with_chain({0, kStranger, 1, 2, 3}), ErrorCode::kUntrusted, "cabundle[1]: profile"},
      {"extra-certificate-at-the-end", with_chain({0, 1, 2, 3, kStranger}), ErrorCode::kUntrusted, "cabundle[1]: profile: basicConstraints: path length 2 exceeded, 3 authorities below"},
      {"missing-certificate", with_chain({0, 1, 3}), ErrorCode::kUntrusted, "cabundle[2]: issuer: C=US,CN=level 2, want the subject of cabundle[1], C=US,CN=level 1"},
      {"wrong-curve-of-an-authority", [](Lab& lab) { lab.nodes[2].fields.public_key = p256_key(lab.rng); return lab.document(); }, ErrorCode::kUntrusted,
       "cabundle[2]: profile: public key: P-256, want P-384"},
      {"wrong-curve-of-the-leaf", [](Lab& lab) { lab.nodes[4].fields.public_key = p256_key(lab.rng); return lab.document(); }, ErrorCode::kUntrusted,
       "certificate: profile: public key: P-256, want P-384"},
      {"wrong-cose-algorithm", [](Lab& lab) { Bytes document = lab.signed_document(); document[5] = 0x23; return document; },
       ErrorCode::kMalformed, "signature: 96 bytes, want 132 for ES512"},
      {"wrong-signature-algorithm", [](Lab& lab) { lab.nodes[2].certificate = with_algorithm(lab.nodes[2].certificate); return lab.signed_document(); },
       ErrorCode::kUntrusted, "cabundle[2]: profile: signature algorithm: 1.2.840.10045.4.3.2, want 1.2.840.10045.4.3.3"},
      {"ca-false-in-the-middle", with_node(2, [](auto& fields) { fields.basic_constraints = {true, false, std::nullopt}; }), ErrorCode::kUntrusted,
       "cabundle[2]: profile: basicConstraints: CA false, want true"},
      {"path-length-exceeded", with_node(1, [](auto& fields) { fields.basic_constraints->path_length = 1; }), ErrorCode::kUntrusted,
       "cabundle[1]: profile: basicConstraints: path length 1 exceeded, 2 authorities below"},
      {"leaf-with-ca-true", with_node(4, [](auto& fields) { fields.basic_constraints->ca = true; }), ErrorCode::kUntrusted,
       "certificate: profile: basicConstraints: CA true, want false"},
      {"expired-link", with_node(3, [](auto& fields) { fields.not_after = Lab::kNowSeconds - 1; }), ErrorCode::kUntrusted, "cabundle[3]: validity: "},
      {"expired-leaf", with_node(4, [](auto& fields) { fields.not_after = Lab::kNowSeconds - 1; }), ErrorCode::kUntrusted, "certificate: validity: "},
      {"link-not-yet-valid", with_node(2, [](auto& fields) { fields.not_before = Lab::kNowSeconds + 1; }), ErrorCode::kUntrusted, "cabundle[2]: validity: "},
      {"root-not-self-signed", with_chain({1, 2, 3}), ErrorCode::kUntrusted, "want a trust anchor (lab)"},
      {"link-signed-by-another", [](Lab& lab) {
         lab.nodes[3].certificate = x509::issue_certificate(lab.nodes[3].fields, lab.nodes[4].key, lab.rng);
         return lab.signed_document();
       }, ErrorCode::kUntrusted, "cabundle[3]: signature: signature does not verify"},
      {"link-signature-r-zero", [](Lab& lab) { lab.nodes[3].certificate = with_signature(lab.nodes[3].certificate, {}, Bytes{1}); return lab.signed_document(); },
       ErrorCode::kUntrusted, "cabundle[3]: signature: signature does not verify"},
      {"link-signature-s-of-the-order", [](Lab& lab) { lab.nodes[3].certificate = with_signature(lab.nodes[3].certificate, Bytes{1}, group_order()); return lab.signed_document(); },
       ErrorCode::kUntrusted, "cabundle[3]: signature: signature does not verify"},
      {"link-signature-r-of-49-bytes", [](Lab& lab) { lab.nodes[3].certificate = with_signature(lab.nodes[3].certificate, Bytes(49, 1), Bytes{1}); return lab.signed_document(); },
       ErrorCode::kUntrusted, "cabundle[3]: signature: signature: integer of 49 bytes, want at most 48"},
      {"signature-r-zero", with_half(96, Bytes(48)), ErrorCode::kUntrusted, "signature: COSE_Sign1: signature does not verify"},
      {"signature-s-zero", with_half(48, Bytes(48)), ErrorCode::kUntrusted, "signature: COSE_Sign1: signature does not verify"},
      {"signature-r-of-the-order", with_half(96, group_order()), ErrorCode::kUntrusted, "signature: COSE_Sign1: signature does not verify"},
      {"signature-s-of-the-order", with_half(48, group_order()), ErrorCode::kUntrusted, "signature: COSE_Sign1: signature does not verify"},
      {"signature-r-beyond-the-order", with_half(96, Bytes(48, 0xff)), ErrorCode::kUntrusted, "signature: COSE_Sign1: signature does not verify"},
      {"signature-s-beyond-the-order", with_half(48, Bytes(48, 0xff)), ErrorCode::kUntrusted, "signature: COSE_Sign1: signature does not verify"},
      {"signature-by-another-key", [](Lab& lab) { Bytes document = lab.signed_document(); Lab other(1, lab.rng); lab.nodes.back().key = other.nodes[0].key.clone(); return lab.signed_document(); },
       ErrorCode::kUntrusted, "signature: COSE_Sign1: signature does not verify"},
  };
}

std::string case_name(std::string name) {
  std::string out;
  bool upper = true;
  for (const char c : name) {
    if (c == '-') {
      upper = true;
      continue;
    }
    out += upper ? static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c) : c;
    upper = false;
  }
  return out;
}

class HostileDocument : public testing::TestWithParam<DocumentCase> {};
INSTANTIATE_TEST_SUITE_P(Rejects, HostileDocument, testing::ValuesIn(document_cases()), [](const auto& test) { return case_name(test.param.name); });

TEST_P(HostileDocument, NamingTheField) {
  const DocumentCase& hostile = GetParam();
  SeededRng rng(hostile.name);
  Lab lab(4, rng);
  lab.issue();
  const Bytes input = hostile.build(lab);
  keep("document", hostile.name, input);
  const Policy policy = Policy::at_time(Lab::kNow);
  EXPECT_THAT(verify(input, lab.anchors(), policy), IsError(hostile.code, HasSubstr(hostile.text)));
  ChainCache cache;
  EXPECT_FALSE(verify(input, lab.anchors(), policy, &cache).ok());
  const Report report = examine(input, lab.anchors(), policy);
  EXPECT_FALSE(report.verified.has_value());
  EXPECT_TRUE(std::any_of(report.checks.begin(), report.checks.end(), [](const Check& check) { return check.verdict == Check::Verdict::kFail; }));
}

TEST(HostileDocument, RejectsAMebibyteAtOnce) {
  for (const int fill : {0x00, 0x81, 0x84, 0xbf, 0xd2, 0xff}) {
    EXPECT_THAT(verify(Bytes(1 << 20, static_cast<std::uint8_t>(fill)), TrustAnchors::aws(), Policy::at_time(Lab::kNow)), IsError(ErrorCode::kLimit, HasSubstr("1048576 bytes, want at most 16640")));
  }
}

// What a certificate is tried as.
enum class Try { kParse, kRoot, kAuthority, kLeaf, kAnchor, kSignature };

struct CertificateCase {
  std::string name;
  std::function<Bytes(Lab&)> build;
  Try as;
  std::string text;
};

std::function<Bytes(Lab&)> node(std::size_t level, std::function<void(x509::CertificateTemplate&)> spoil = [](auto&) {}) {
  return [level, spoil = std::move(spoil)](Lab& lab) {
    spoil(lab.nodes[level].fields);
    lab.issue();
    return lab.nodes[level].certificate;
  };
}

// rewritten gives the leaf with the first occurrence of `from` in it replaced and every length around it kept, so both
// must have one size.
std::function<Bytes(Lab&)> rewritten(std::string_view from, std::string_view to) {
  return [from = hex(from), to = hex(to)](Lab& lab) {
    lab.issue();
    Bytes certificate = lab.nodes[4].certificate;
    const auto at = std::search(certificate.begin(), certificate.end(), from.begin(), from.end());
    EXPECT_NE(at, certificate.end());
    std::copy(to.begin(), to.end(), at);
    return certificate;
  };
}

std::vector<CertificateCase> certificate_cases() {
  const auto good = [](Lab& lab) -> Bytes { lab.issue(); return lab.nodes[4].certificate; };
  return {
      {"wrong-curve", [](Lab& lab) { lab.nodes[2].fields.public_key = p256_key(lab.rng); lab.issue(); return lab.nodes[2].certificate; }, Try::kAuthority, "public key: P-256, want P-384"},
      {"wrong-key-type", node(4, [](auto& fields) { fields.public_key = hex("301a300d06092a864886f70d0101010500030900300602010f020103"); }), Try::kLeaf, "no SubjectPublicKeyInfo"},
      {"point-not-on-the-curve", node(4, [](auto& fields) { fields.public_key.back() ^= 1; }), Try::kLeaf, "not on P-384"},
      {"wrong-signature-algorithm", [](Lab& lab) { lab.issue(); return with_algorithm(lab.nodes[2].certificate); }, Try::kAuthority, "signature algorithm: 1.2.840.10045.4.3.2"},
      {"ca-false-in-the-middle", node(2, [](auto& fields) { fields.basic_constraints = {true, false, std::nullopt}; }), Try::kAuthority, "CA false, want true"},
      {"path-length-exceeded", node(2, [](auto& fields) { fields.basic_constraints->path_length = 0; }), Try::kAuthority, "path length 0 exceeded, 1 authorities below"},
      {"no-path-length", node(2, [](auto& fields) { fields.basic_constraints->path_length.reset(); }), Try::kAuthority, "no path length, want one of at least 1"},
      {"authority-that-may-not-sign", node(2, [](auto& fields) { fields.key_usage->bits = x509::kDigitalSignature; }), Try::kAuthority, "keyUsage: 0x001, want keyCertSign"},
      {"leaf-with-ca-true", node(4, [](auto& fields) { fields.basic_constraints->ca = true; }), Try::kLeaf, "CA true, want false"},
      {"leaf-that-may-sign", node(4, [](auto& fields) { fields.key_usage->bits = x509::kDigitalSignature | x509::kKeyCertSign; }), Try::kLeaf, "keyUsage: keyCertSign, want none"},
      {"root-not-self-signed", node(1), Try::kAnchor, "want a self-signed root"},
      {"root-signed-by-another", [](Lab& lab) { lab.issue(); return x509::issue_certificate(lab.nodes[0].fields, lab.nodes[1].key, lab.rng); }, Try::kAnchor, "does not verify"},
      {"signature-r-zero", [good](Lab& lab) { return with_signature(good(lab), {}, Bytes{1}); }, Try::kSignature, "does not verify"},
      {"signature-s-zero", [good](Lab& lab) { return with_signature(good(lab), Bytes{1}, {}); }, Try::kSignature, "does not verify"},
      {"signature-r-of-the-order", [good](Lab& lab) { return with_signature(good(lab), group_order(), Bytes{1}); }, Try::kSignature, "does not verify"},
      {"signature-s-of-the-order", [good](Lab& lab) { return with_signature(good(lab), Bytes{1}, group_order()); }, Try::kSignature, "does not verify"},
      {"signature-s-of-49-bytes", [good](Lab& lab) { return with_signature(good(lab), Bytes{1}, Bytes(49, 1)); }, Try::kSignature, "integer of 49 bytes"},
      {"trailing-bytes", [good](Lab& lab) { return concat({good(lab), hex("00")}); }, Try::kParse, "certificate: 1 bytes after the end"},
      {"length-beyond-input", [good](Lab& lab) { Bytes certificate = good(lab); certificate.pop_back(); return certificate; }, Try::kParse, "certificate: "},
      {"indefinite-length", [](Lab&) { return hex("30800000"); }, Try::kParse, "certificate: length in 0 octets"},
      {"length-not-shortest", [](Lab&) { return hex("3081020500"); }, Try::kParse, "length 2 not in the shortest form"},
      {"version-1", rewritten("a003020102", "a003020100"), Try::kParse, "version 1, want 3"},
      {"negative-serial", rewritten("020105300a", "020185300a"), Try::kParse, "serial: negative"},
      {"serial-of-21-bytes", node(4, [](auto& fields) { fields.serial = Bytes(21, 1); }), Try::kParse, "serial: 21 bytes, want at most 20"},
      // The algorithm inside what is signed says SHA-512, the one outside SHA-384.
      {"algorithms-differ", rewritten("2a8648ce3d040303", "2a8648ce3d040304"), Try::kParse, "signature algorithm: differs inside and outside"},
      {"no-such-date", rewritten("170d32353132", "170d32353133"), Try::kParse, "notBefore: no such date and time"},
      {"extension-twice", rewritten("0603551d0f", "0603551d13"), Try::kParse, "twice"},
      {"unknown-critical-extension", rewritten("0603551d130101ff", "0603551d250101ff"), Try::kLeaf, "critical 2.5.29.37"},
      {"critical-false-written-out", rewritten("0603551d130101ff", "0603551d13010100"), Try::kParse, "critical FALSE written out"},
      {"boolean-of-1", rewritten("0603551d130101ff", "0603551d13010101"), Try::kParse, "boolean 0x01"},
  };
}

class HostileCertificate : public testing::TestWithParam<CertificateCase> {};
INSTANTIATE_TEST_SUITE_P(Rejects, HostileCertificate, testing::ValuesIn(certificate_cases()), [](const auto& test) { return case_name(test.param.name); });

TEST_P(HostileCertificate, NamingTheField) {
  const CertificateCase& hostile = GetParam();
  SeededRng rng(hostile.name);
  Lab lab(4, rng);
  const Bytes certificate = hostile.build(lab);
  keep("certificate", hostile.name, certificate);
  const auto result = [&]() -> Result<void> {
    if (hostile.as == Try::kAnchor) return TrustAnchors().add_pem("lab", x509::certificate_pem(certificate));
    const x509::Certificate parsed = TRY(x509::parse_certificate(certificate));
    switch (hostile.as) {
      case Try::kRoot: TRY(check_profile(parsed, Role::kRoot, 3)); break;
      case Try::kAuthority: TRY(check_profile(parsed, Role::kAuthority, 1)); break;
      case Try::kLeaf: TRY(check_profile(parsed, Role::kLeaf, 0)); break;
      case Try::kSignature: return x509::verify_signature(parsed, lab.nodes[3].key.public_key());
      case Try::kParse:
      case Try::kAnchor: break;
    }
    return {};
  }();
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message(), HasSubstr(hostile.text));
}

}  // namespace
}  // namespace casemate::attestation
