// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/test_matchers.h"
#include "crypto/rng.h"
#include "eif/crc32.h"
#include "eif/metadata.h"
#include "eif/ramdisk.h"
#include "eif/reader.h"
#include "eif/writer.h"
#include "oci/archive_files.h"
#include "oci/image.h"

namespace casemate::eif {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

std::string vectors() {
  const char* from_environment = std::getenv("CASEMATE_VECTORS");
  return (from_environment != nullptr ? std::string(from_environment) : CASEMATE_SOURCE_DIR "/../shared/vectors") + "/ramdisk/";
}

Bytes read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

// Ramdisks that nitro-cli's own tool wrote for the images beside them.
class Ramdisk : public testing::TestWithParam<const char*> {};

TEST_P(Ramdisk, IsByteEqualToLinuxkits) {
  const Bytes expected = read_file(vectors() + GetParam() + ".customer.cpio");
  if (expected.empty()) GTEST_SKIP() << "no vectors in " << vectors();
  auto files = oci::ArchiveFiles::open(std::make_unique<oci::MemoryBlob>(read_file(vectors() + GetParam() + ".tar")));
  ASSERT_THAT(files, IsOk());
  auto image = oci::find_in_docker_archive(**files, {});
  ASSERT_THAT(image, IsOk());
  auto loaded = oci::load(**files, *image);
  ASSERT_THAT(loaded, IsOk());
  ASSERT_THAT(prepare_container(loaded->rootfs, image->config.working_directory), IsOk());
  oci::Content content(std::move(loaded->layers), {});
  const Application application{loaded->rootfs, image->config.command.value_or(image->config.entrypoint.value_or(std::vector<std::string>{})),
                                image->config.environment};
  MemorySink sink;
  ASSERT_THAT(write_application_ramdisk(sink, application, [&](const oci::Inode& inode, ByteSink& out) { return content.copy(inode, out); }), IsOk());
  EXPECT_EQ(sink.data().size(), expected.size());
  EXPECT_TRUE(sink.data() == expected);
  EXPECT_THAT(application_ramdisk_size(application), IsOkAnd(expected.size()));
}
INSTANTIATE_TEST_SUITE_P(Vectors, Ramdisk, testing::Values("basic", "common"));

TEST(BootRamdisk, IsByteEqualToLinuxkits) {
  const Bytes expected = read_file(vectors() + "bootstrap.cpio");
  if (expected.empty()) GTEST_SKIP() << "no vectors in " << vectors();
  MemorySink sink;
  const Bytes init = read_file(vectors() + "init");
  const Bytes driver = read_file(vectors() + "nsm.ko");
  ASSERT_THAT(write_boot_ramdisk(sink, init, driver), IsOk());
  EXPECT_TRUE(sink.data() == expected);
}

TEST(Crc32, MatchesZlibAtEveryLengthAndSplit) {
  EXPECT_EQ(crc32(0, as_bytes("123456789")), 0xcbf43926U);
  Bytes data(1500);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
  for (std::size_t size = 0; size <= data.size(); size += 13) {
    std::uint32_t bytewise = 0;
    for (std::size_t i = 0; i < size; ++i) bytewise = crc32(bytewise, ByteView(data).subspan(i, 1));
    EXPECT_EQ(crc32(0, ByteView(data).first(size)), bytewise) << size;
    const ByteView rest = ByteView(data).subspan(size);
    EXPECT_EQ(combine_crc32(bytewise, crc32(0, rest), rest.size()), crc32(0, data)) << size;
  }
}

// The published examples of the user guide, and AWS's rule for the image's own registers.
TEST(Measure, ExtendsAsTheNsmDoes) {
  EXPECT_EQ(encode_hex(extend(Sha384{}, as_bytes("arn:aws:iam::123456789012:role/Webserver"))),
            "78fce75db17cd4e0a3fb8dad3ad128ca5e77edbb2b2c7f75329dccd99aa5f6ef4fc1f1a452e315b9e98f9e312e6921e6");
  EXPECT_EQ(measure(as_bytes("x")), extend(Sha384{}, crypto::sha384(as_bytes("x"))));
}

struct Built {
  Bytes file;
  Measurements measurements;
};

constexpr std::string_view kMetadata =
    R"({"ImageName":"a","ImageVersion":"1","BuildMetadata":{"BuildTime":"t","BuildTool":"b","BuildToolVersion":"v","OperatingSystem":"Linux","KernelVersion":"6"},"DockerInfo":null,"CustomMetadata":null})";

Built build(std::string_view kernel, std::string_view cmdline, std::vector<std::string> ramdisks, const SigningKey* signing = nullptr) {
  SequentialLanes lanes;
  MemorySink sink;
  Writer writer(&sink, lanes, {});
  EXPECT_THAT(writer.add_section(SectionType::kKernel, as_bytes(kernel)), IsOk());
  EXPECT_THAT(writer.add_section(SectionType::kCmdline, as_bytes(cmdline)), IsOk());
  EXPECT_THAT(writer.add_section(SectionType::kMetadata, as_bytes(kMetadata)), IsOk());
  for (const std::string& ramdisk : ramdisks) EXPECT_THAT(writer.add_section(SectionType::kRamdisk, as_bytes(ramdisk)), IsOk());
  Built built{{}, writer.measurements().value()};
  if (signing != nullptr) {
    crypto::SystemRng rng;
    const auto section = encode_signature(*signing, built.measurements.pcr0, rng);
    EXPECT_THAT(section, IsOk());
    EXPECT_THAT(writer.add_section(SectionType::kSignature, *section), IsOk());
  }
  const auto header = writer.finish();
  EXPECT_THAT(header, IsOk());
  built.file = sink.take();
  const Bytes front = encode_header(*header);
  std::copy(front.begin(), front.end(), built.file.begin());
  return built;
}

Result<Image> inspect_bytes(ByteView file) {
  MemorySource source(file);
  return inspect(source);
}

TEST(EifWriter, WritesWhatTheReaderFindsInOrder) {
  const std::string big(3'000'000, 'r');
  const Built built = build("kernel", "console=ttyS0", {"boot", big, "more"});
  const auto image = inspect_bytes(built.file);
  ASSERT_THAT(image, IsOk());
  EXPECT_THAT(image->violations, IsEmpty());
  EXPECT_TRUE(image->crc_ok());
  EXPECT_EQ(image->header.crc, crc32(crc32(0, ByteView(built.file).first(kCrcOffset)), ByteView(built.file).subspan(kHeaderSize)));
  EXPECT_EQ(image->measurements, built.measurements);
  EXPECT_EQ(image->measurements.pcr0, measure(as_bytes("kernelconsole=ttyS0boot" + big + "more")));
  EXPECT_EQ(image->measurements.pcr1, measure(as_bytes("kernelconsole=ttyS0boot")));
  EXPECT_EQ(image->measurements.pcr2, measure(as_bytes(big + "more")));
  EXPECT_EQ(image->cmdline, "console=ttyS0");
  EXPECT_EQ(image->metadata, kMetadata);
  EXPECT_EQ(image->file_size, built.file.size());
  ASSERT_EQ(image->ramdisks().size(), 3U);
  EXPECT_EQ(image->ramdisks()[2].offset, built.file.size() - 4);
  EXPECT_FALSE(image->is_signed());
}

TEST(EifReader, MeasuresOneRamdiskWithEmptyPcr2) {
  const auto image = inspect_bytes(build("k", "c", {"boot"}).file);
  ASSERT_THAT(image, IsOk());
  EXPECT_EQ(image->measurements.pcr0, image->measurements.pcr1);
  EXPECT_EQ(image->measurements.pcr2, measure({}));
}

TEST(EifReader, NamesTheRuleThatAChangedByteBreaks) {
  const Built built = build("kernel", "cmdline", {"boot", "application"});
  const auto violations_after = [&](std::size_t offset) {
    Bytes changed = built.file;
    changed[offset] ^= 1;
    const auto image = inspect_bytes(changed);
    return image.ok() ? fmt::format("{}", fmt::join(image->violations, "; ")) : image.error().message();
  };
  EXPECT_THAT(violations_after(built.file.size() - 1), HasSubstr("checksum"));
  EXPECT_THAT(violations_after(7), HasSubstr("checksum"));                 // flags
  EXPECT_THAT(violations_after(27), HasSubstr("sections: header says 4"));  // count
  EXPECT_THAT(violations_after(28 + 7), HasSubstr("section 0 (kernel): header says it starts at 549"));
  EXPECT_THAT(violations_after(28 + 256 + 7), HasSubstr("section 0 (kernel): header says 7 bytes"));
  EXPECT_THAT(violations_after(0), HasSubstr("no \".eif\""));
  EXPECT_THAT(violations_after(5), HasSubstr("version 5, want 2 to 4"));
  EXPECT_THAT(violations_after(kHeaderSize + 3), HasSubstr("flags 0x1, want 0"));
}

TEST(EifReader, RefusesTruncationInsideASection) {
  const Built built = build("kernel", "cmdline", {"boot", "application"});
  for (std::size_t size = 0; size < built.file.size(); ++size) {
    const auto image = inspect_bytes(ByteView(built.file).first(size));
    if (image.ok()) {
      EXPECT_FALSE(image->violations.empty()) << size;
    } else {
      EXPECT_EQ(image.error().code(), ErrorCode::kMalformed);
    }
  }
}

TEST(EifReader, ReportsOrderAndCounts) {
  SequentialLanes lanes;
  MemorySink sink;
  Writer writer(&sink, lanes, {});
  for (const auto type : {SectionType::kRamdisk, SectionType::kKernel, SectionType::kKernel, SectionType::kRamdisk, SectionType::kCmdline}) {
    ASSERT_THAT(writer.add_section(type, as_bytes(to_string(type))), IsOk());
  }
  const auto header = writer.finish();
  ASSERT_THAT(header, IsOk());
  Bytes file = sink.take();
  const Bytes front = encode_header(*header);
  std::copy(front.begin(), front.end(), file.begin());
  const auto image = inspect_bytes(file);
  ASSERT_THAT(image, IsOk());
  EXPECT_THAT(image->violations, Contains("kernel sections: 2, want 1"));
  EXPECT_THAT(image->violations, Contains("metadata sections: 0, want 1"));
  EXPECT_THAT(image->violations, Contains("ramdisk before the kernel"));
  // Readers hash in file order; PCR1 leaves out every ramdisk but the first.
  EXPECT_EQ(image->measurements.pcr0, measure(as_bytes("ramdiskkernelkernelramdiskcmdline")));
  EXPECT_EQ(image->measurements.pcr1, measure(as_bytes("ramdiskkernelkernelcmdline")));
}

// A self-signed certificate by OpenSSL for the key, valid from `not_before` for an hour.
std::string self_signed(const std::string& key_pem, std::time_t not_before) {
  BIO* in = BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(in, nullptr, nullptr, nullptr);
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 7);
  ASN1_TIME_set(X509_getm_notBefore(certificate), not_before);
  ASN1_TIME_set(X509_getm_notAfter(certificate), not_before + 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("signer"), -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  X509_sign(certificate, key, EVP_sha256());
  BIO* out = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(out, certificate);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out, &text);
  std::string pem(text, static_cast<std::size_t>(size));
  BIO_free(out);
  BIO_free(in);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return pem;
}

constexpr std::time_t kThen = 1'700'000'000;
WallTime at(std::time_t seconds) { return WallTime{std::chrono::seconds(seconds)}; }

class Signing : public testing::TestWithParam<crypto::Curve> {};

TEST_P(Signing, SignsAndVerifies) {
  crypto::SystemRng rng;
  const auto key = crypto::EcPrivateKey::generate(GetParam(), rng);
  const Secret key_pem = key.pkcs8_pem();
  const std::string certificate = "text before\n" + self_signed(std::string(as_text(key_pem.expose())), kThen);
  const auto signing = parse_signing_key(certificate, as_text(key_pem.expose()), at(kThen + 10));
  ASSERT_THAT(signing, IsOk());
  const Built built = build("kernel", "cmdline", {"boot", "application"}, &*signing);
  auto image = inspect_bytes(built.file);
  ASSERT_THAT(image, IsOk());
  EXPECT_THAT(image->violations, IsEmpty());
  ASSERT_TRUE(image->is_signed());
  ASSERT_TRUE(image->signed_by.has_value());
  EXPECT_EQ(image->signed_by->certificate_pem, certificate);
  EXPECT_EQ(image->measurements.pcr8, measure(certificate_of(certificate).value()));
  EXPECT_THAT(check_signature(*image, at(kThen + 10)), IsOk());
  EXPECT_THAT(names_image(*image), IsOk());
  EXPECT_THAT(check_signature(*image, at(kThen - 1)), IsError(ErrorCode::kUntrusted, HasSubstr("not valid yet")));
  EXPECT_THAT(check_signature(*image, at(kThen + 3601)), IsError(ErrorCode::kUntrusted, HasSubstr("expired")));
  image->signed_by->cose.back() ^= 1;
  EXPECT_THAT(check_signature(*image, at(kThen + 10)), IsError(ErrorCode::kUntrusted));
}
INSTANTIATE_TEST_SUITE_P(Curves, Signing, testing::Values(crypto::Curve::kP256, crypto::Curve::kP384, crypto::Curve::kP521));

TEST(Signature, OfAnotherImageIsNoticed) {
  crypto::SystemRng rng;
  const auto key = crypto::EcPrivateKey::generate(crypto::Curve::kP384, rng);
  const Secret key_pem = key.pkcs8_pem();
  const auto signing = parse_signing_key(self_signed(std::string(as_text(key_pem.expose())), kThen), as_text(key_pem.expose()), at(kThen));
  ASSERT_THAT(signing, IsOk());
  Built built = build("kernel", "cmdline", {"boot", "application"}, &*signing);
  built.file[kHeaderSize + kSectionHeaderSize] ^= 1;
  const auto image = inspect_bytes(built.file);
  ASSERT_THAT(image, IsOk());
  EXPECT_THAT(check_signature(*image, at(kThen)), IsOk());
  EXPECT_THAT(names_image(*image), IsError(ErrorCode::kUntrusted, HasSubstr("another image")));
}

TEST(Signature, RefusesKeysThatDoNotFit) {
  crypto::SystemRng rng;
  const Secret one = crypto::EcPrivateKey::generate(crypto::Curve::kP384, rng).pkcs8_pem();
  const Secret two = crypto::EcPrivateKey::generate(crypto::Curve::kP384, rng).pkcs8_pem();
  const std::string certificate = self_signed(std::string(as_text(one.expose())), kThen);
  EXPECT_THAT(parse_signing_key(certificate, as_text(two.expose()), at(kThen)), IsError(ErrorCode::kUntrusted, HasSubstr("does not belong")));
  EXPECT_THAT(parse_signing_key(certificate, as_text(one.expose()), at(kThen + 7200)), IsError(ErrorCode::kUntrusted, HasSubstr("expired")));
  EXPECT_THAT(parse_signing_key("nothing", as_text(one.expose()), at(kThen)), IsError(ErrorCode::kMalformed));
}

TEST(Signature, ByAServiceIsVerifiedBeforeItIsKept) {
  crypto::SystemRng rng;
  for (const auto curve : {crypto::Curve::kP256, crypto::Curve::kP384, crypto::Curve::kP521}) {
    const auto key = crypto::EcPrivateKey::generate(curve, rng);
    const std::string certificate = self_signed(std::string(as_text(key.pkcs8_pem().expose())), kThen);
    const auto other = crypto::EcPrivateKey::generate(curve, rng);
    EXPECT_THAT(check_signing_certificate(certificate, key.public_key(), at(kThen)), IsOk());
    EXPECT_THAT(check_signing_certificate(certificate, other.public_key(), at(kThen)), IsError(ErrorCode::kUntrusted));
    const auto by = [&](const crypto::EcPrivateKey& signer) {
      return SigningKey{certificate, ElsewhereKey{key.public_key(), [&](ByteView digest) -> Result<Bytes> { return signer.sign(digest, rng); }}};
    };
    const auto section = encode_signature(by(key), Sha384{}, rng);
    ASSERT_THAT(section, IsOk());
    const auto signature = parse_signature(*section);
    ASSERT_THAT(signature, IsOk());
    EXPECT_THAT(verify(*signature, at(kThen)), IsOk());
    EXPECT_THAT(encode_signature(by(other), Sha384{}, rng), IsError(ErrorCode::kUntrusted, HasSubstr("does not verify")));
    const SigningKey failing{certificate, ElsewhereKey{key.public_key(), [](ByteView) -> Result<Bytes> { return unavailable("KMS Sign: no"); }}};
    EXPECT_THAT(encode_signature(failing, Sha384{}, rng), IsError(ErrorCode::kUnavailable));
  }
}

// AWS's own example of a register value: an array of integers, not a byte string.
TEST(Signature, WritesIntegersAsAwsDoes) {
  crypto::SystemRng rng;
  const auto key = crypto::EcPrivateKey::generate(crypto::Curve::kP384, rng);
  const SigningKey signing{"----", key.clone()};
  Sha384 pcr{};
  for (std::size_t i = 0; i < pcr.size(); ++i) pcr[i] = static_cast<std::uint8_t>(i);
  const auto section = encode_signature(signing, pcr, rng);
  ASSERT_THAT(section, IsOk());
  EXPECT_THAT(encode_hex(*section), testing::StartsWith("81a2737369676e696e675f636572746966696361746584182d182d182d182d697369676e61747572659"));
}

TEST(Metadata, KeepsAwsOrderAndSortsDockerInfo) {
  Metadata metadata;
  metadata.image_name = "app";
  metadata.image_version = "1.0";
  metadata.build_time = "2026-01-01T00:00:00+00:00";
  metadata.build_tool = "nitro-cli";
  metadata.build_tool_version = "0.1.0";
  metadata.operating_system = "Linux";
  metadata.kernel_version = "6.1.158";
  metadata.docker_info = json::parse(R"({"b":{"z":1,"y":[{"d":1,"c":2}]},"a":null})").value();
  const std::string text = encode_metadata(metadata);
  EXPECT_EQ(text,
            R"({"ImageName":"app","ImageVersion":"1.0","BuildMetadata":{"BuildTime":"2026-01-01T00:00:00+00:00","BuildTool":"nitro-cli",)"
            R"("BuildToolVersion":"0.1.0","OperatingSystem":"Linux","KernelVersion":"6.1.158"},)"
            R"("DockerInfo":{"a":null,"b":{"y":[{"c":2,"d":1}],"z":1}},"CustomMetadata":null})");
  const auto parsed = parse_metadata(text);
  ASSERT_THAT(parsed, IsOk());
  EXPECT_EQ(encode_metadata(*parsed), text);
  EXPECT_THAT(parse_custom_metadata(std::string(4097, ' ')), IsError(ErrorCode::kLimit));
}

TEST(Metadata, ReadsTheKernelsNameFromLineThree) {
  const auto name = parse_kernel_config("#\n# Automatically generated\n# Linux/x86 4.14.256 Kernel Configuration\n#\n");
  ASSERT_THAT(name, IsOk());
  EXPECT_EQ(name->operating_system, "Linux");
  EXPECT_EQ(name->version, "4.14.256");
  EXPECT_THAT(parse_kernel_config("one line"), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(parse_kernel_config(""), IsError(ErrorCode::kMalformed));
}

}  // namespace
}  // namespace casemate::eif
