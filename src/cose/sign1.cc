// SPDX-License-Identifier: Apache-2.0
#include "cose/sign1.h"

#include "cbor/reader.h"
#include "cbor/writer.h"

namespace casemate::cose {
namespace {

constexpr std::uint64_t kSign1Tag = 18;
constexpr std::int64_t kAlgorithmLabel = 1;

Bytes encode_protected(Algorithm algorithm) {
  return cbor::Writer().map(1).integer(kAlgorithmLabel).integer(static_cast<std::int64_t>(algorithm)).take();
}

Result<Algorithm> parse_protected(ByteView header) {
  cbor::Reader reader(header);
  auto map = TRY(reader.read_map());
  if (map.left != 1) return malformed("{} parameters, want the algorithm alone", *map.left);
  TRY(reader.next(map));
  const std::int64_t label = TRY(reader.read_integer());
  if (label != kAlgorithmLabel) return malformed("parameter {}, want 1 (algorithm)", label);
  const std::int64_t value = TRY(reader.read_integer());
  TRY(reader.finish());
  for (const Algorithm known : {Algorithm::kEs256, Algorithm::kEs384, Algorithm::kEs512}) {
    if (value == static_cast<std::int64_t>(known)) return known;
  }
  return unsupported("algorithm {}, want -7 (ES256), -35 (ES384) or -36 (ES512)", value);
}

}  // namespace

std::string_view to_string(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kEs256: return "ES256";
    case Algorithm::kEs384: return "ES384";
    case Algorithm::kEs512: return "ES512";
  }
  CASEMATE_CHECK(false);
}

crypto::Curve curve_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kEs256: return crypto::Curve::kP256;
    case Algorithm::kEs384: return crypto::Curve::kP384;
    case Algorithm::kEs512: return crypto::Curve::kP521;
  }
  CASEMATE_CHECK(false);
}

Algorithm algorithm_of(crypto::Curve curve) {
  switch (curve) {
    case crypto::Curve::kP256: return Algorithm::kEs256;
    case crypto::Curve::kP384: return Algorithm::kEs384;
    case crypto::Curve::kP521: return Algorithm::kEs512;
  }
  CASEMATE_CHECK(false);
}

Result<Sign1> parse_sign1(ByteView input, const Limits& limits) {
  // 16 bytes of heads, the protected header and the longest signature.
  if (input.size() > limits.payload_bytes + 256) {
    return over_limit("COSE_Sign1: {} bytes, want at most {}", input.size(), limits.payload_bytes + 256);
  }
  cbor::Reader reader(input);
  Sign1 message;
  if (TRY(reader.peek().in("COSE_Sign1")) == cbor::Type::kTag) {
    const std::uint64_t tag = TRY(reader.read_tag().in("COSE_Sign1"));
    if (tag != kSign1Tag) return malformed("COSE_Sign1: tag {}, want 18 or none", tag);
    message.tagging = Tagging::kTagged;
  }
  const std::uint64_t count = TRY(reader.read_array().in("COSE_Sign1"));
  if (count != 4) return malformed("COSE_Sign1: array of {}, want 4", count);
  message.protected_header = TRY(reader.read_bytes().in("COSE_Sign1: protected header"));
  message.algorithm = TRY(parse_protected(message.protected_header).in("COSE_Sign1: protected header"));
  const auto unprotected = TRY(reader.read_map().in("COSE_Sign1: unprotected header"));
  if (unprotected.left != 0) return malformed("COSE_Sign1: unprotected header: {} parameters, want none", *unprotected.left);
  message.payload = TRY(reader.read_bytes().in("COSE_Sign1: payload"));
  if (message.payload.empty()) return malformed("COSE_Sign1: payload: empty");
  if (message.payload.size() > limits.payload_bytes) {
    return over_limit("COSE_Sign1: payload: {} bytes, want at most {}", message.payload.size(), limits.payload_bytes);
  }
  message.signature = TRY(reader.read_bytes().in("COSE_Sign1: signature"));
  const std::size_t wanted = 2 * crypto::field_size(curve_of(message.algorithm));
  if (message.signature.size() != wanted) {
    return malformed("COSE_Sign1: signature: {} bytes, want {} for {}", message.signature.size(), wanted, to_string(message.algorithm));
  }
  TRY(reader.finish().in("COSE_Sign1"));
  return message;
}

Bytes signed_digest(Algorithm algorithm, ByteView protected_header, ByteView payload) {
  const Bytes prefix =
      cbor::Writer().array(4).text("Signature1").bytes(protected_header).bytes({}).bytes_head(payload.size()).take();
  return crypto::Hasher(crypto::matching_hash(curve_of(algorithm))).update(prefix).update(payload).finish();
}

Result<void> verify_signature(const Sign1& message, const crypto::EcPublicKey& key) {
  const crypto::Curve wanted = curve_of(message.algorithm);
  if (key.curve() != wanted) {
    return untrusted("COSE_Sign1: key on {}, want {} for {}", crypto::to_string(key.curve()), crypto::to_string(wanted),
                     to_string(message.algorithm));
  }
  const Bytes digest = signed_digest(message.algorithm, message.protected_header, message.payload);
  if (!key.verify(digest, message.signature)) return untrusted("COSE_Sign1: signature does not verify");
  return {};
}

Bytes sign1(ByteView payload, const crypto::EcPrivateKey& key, Rng& rng, Tagging tagging) {
  const Algorithm algorithm = algorithm_of(key.curve());
  const Bytes header = encode_protected(algorithm);
  cbor::Writer writer;
  writer.reserve(payload.size() + 256);
  if (tagging == Tagging::kTagged) writer.tag(kSign1Tag);
  writer.array(4).bytes(header).map(0).bytes(payload).bytes(key.sign(signed_digest(algorithm, header, payload), rng));
  return writer.take();
}

Result<Bytes> sign1_elsewhere(ByteView payload, const crypto::EcPublicKey& key, const SignDigest& sign) {
  const Algorithm algorithm = algorithm_of(key.curve());
  const Bytes header = encode_protected(algorithm);
  const Bytes digest = signed_digest(algorithm, header, payload);
  const Bytes signature = TRY(sign(digest));
  if (!key.verify(digest, signature)) return untrusted("COSE_Sign1: the signature that came back does not verify");
  return cbor::Writer().array(4).bytes(header).map(0).bytes(payload).bytes(signature).take();
}

}  // namespace casemate::cose
