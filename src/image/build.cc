// SPDX-License-Identifier: Apache-2.0
#include "image/build.h"

#include <fcntl.h>

#include <atomic>
#include <thread>
#include <utility>

#include "eif/format.h"
#include "eif/ramdisk.h"
#include "eif/writer.h"
#include "image/files.h"
#include "image/lanes.h"
#include "os/process.h"

namespace casemate::image {

namespace {

constexpr std::size_t kMaxSmallBlob = 64 * 1024 * 1024;
constexpr std::size_t kCopyBytes = 1024 * 1024;

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n\f\v";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(kBlank) - first + 1));
}

// Progress tells each percent once.
class Progress {
 public:
  Progress(const std::function<void(unsigned)>& tell, std::uint64_t total) : tell_(tell), total_(total) {}
  void at(std::uint64_t bytes) {
    if (!tell_ || total_ == 0) return;
    const auto percent = static_cast<unsigned>(std::min<std::uint64_t>(bytes * 100 / total_, 100));
    if (percent == last_) return;
    last_ = percent;
    tell_(percent);
  }

 private:
  const std::function<void(unsigned)>& tell_;
  std::uint64_t total_;
  unsigned last_ = 101;
};

class ProgressSink final : public ByteSink {
 public:
  ProgressSink(eif::Writer& writer, Progress& progress) : writer_(writer), progress_(progress) {}
  Result<void> write(ByteView data) override {
    TRY(writer_.write(data));
    progress_.at(writer_.bytes_written());
    return {};
  }

 private:
  eif::Writer& writer_;
  Progress& progress_;
};

// Verification checks layers' digests on a thread of its own while the image is made of them.
class Verification {
 public:
  explicit Verification(std::vector<oci::Check> checks) : checks_(std::move(checks)), thread_([this] { verdict_ = run(); }) {}
  ~Verification() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  Result<void> wait() {
    thread_.join();
    return verdict_;
  }

 private:
  Result<void> run() {
    for (const oci::Check& check : checks_) TRY(check.run([this] { return stop_.load(); }));
    return {};
  }

  std::vector<oci::Check> checks_;
  std::atomic<bool> stop_ = false;
  Result<void> verdict_;
  std::thread thread_;
};

Result<void> copy_blob(const oci::Blob& blob, ByteSink& sink) {
  const auto stream = TRY(blob.open(0));
  Bytes buffer(kCopyBytes);
  for (;;) {
    const std::size_t got = TRY(stream->read(buffer));
    if (got == 0) return {};
    TRY(sink.write(ByteView(buffer).first(got)));
  }
}

Result<std::uint16_t> flags_of(const std::string& architecture) {
  if (architecture == "amd64") return std::uint16_t{0};
  if (architecture == "arm64") return eif::kFlagArm64;
  return unsupported("image is for {}, want amd64 or arm64", architecture);
}

std::string without_prefix(const std::string& text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

}  // namespace

Result<Blobs> read_blobs(const os::Path& directory, const std::string& architecture) {
  Blobs blobs;
  blobs.kernel = directory / (architecture == "arm64" ? "Image" : "bzImage");
  blobs.command_line = trimmed(TRY(os::read_file(directory / "cmdline", eif::kHeaderSize * 16)));
  TRY(open_blob(blobs.kernel));
  const os::Path config = blobs.kernel.native() + ".config";
  blobs.kernel_name = TRY(eif::parse_kernel_config(TRY(os::read_file(config, kMaxSmallBlob))).in(config.native()));
  blobs.init = TRY(os::read_file(directory / "init", kMaxSmallBlob));
  Result<std::string> driver = os::read_file(directory / "nsm.ko", kMaxSmallBlob);
  if (driver) {
    blobs.nsm_driver = std::move(driver).take();
  } else if (driver.error().code() != ErrorCode::kNotFound) {
    return std::move(driver).error();
  }
  return blobs;
}

os::Path default_blobs_directory() {
  const os::Path aws = "/usr/share/nitro_enclaves/blobs";
  const auto program = os::executable_path();
  if (!program) return aws;
  const os::Path prefix = program.value().parent_path().parent_path();
  for (const os::Path& candidate : {prefix / "blobs", prefix / "share/nitro_enclaves/blobs"}) {
    std::error_code error;
    if (std::filesystem::exists(candidate / "cmdline", error)) return candidate;
  }
  return aws;
}

Result<std::vector<std::string>> command_of(const oci::Config& config, HonourConfig honour) {
  if (honour == HonourConfig::kOci) {
    std::vector<std::string> command = config.entrypoint.value_or(std::vector<std::string>{});
    if (config.command) command.insert(command.end(), config.command->begin(), config.command->end());
    if (!command.empty()) return command;
  }
  if (config.command) return *config.command;
  if (config.entrypoint) return *config.entrypoint;
  return unsupported("image has neither CMD nor ENTRYPOINT: the enclave would have nothing to run");
}

Result<BuildReport> build(Source source, const Blobs& blobs, const BuildOptions& options, Rng& rng) {
  BuildReport report;
  const oci::Config& config = source.image.config;
  const std::uint16_t flags = TRY(flags_of(config.architecture));
  const std::vector<std::string> command = TRY(command_of(config, options.honour));
  for (const auto* list : {&command, &config.environment}) {
    for (const std::string& item : *list) {
      if (item.find('\n') != std::string::npos) {
        report.warnings.emplace_back(
            "a CMD, ENTRYPOINT or ENV item holds a line end: the enclave's init will read it as two items");
      }
    }
  }

  std::vector<oci::Check> checks;
  oci::LoadedImage loaded = TRY(oci::load(*source.files, source.image, {}, &checks));
  Verification verification(std::move(checks));
  TRY(eif::prepare_container(loaded.rootfs, config.working_directory));
  report.files = loaded.rootfs.names();
  oci::Content content(std::move(loaded.layers), [](oci::Stream& stream) { return spool(stream, std::uint64_t{1} << 50); });

  eif::Metadata metadata;
  metadata.image_name = options.image_name.empty() ? source.name : options.image_name;
  metadata.image_version = options.image_version.empty() ? without_prefix(source.image.id, "sha256:") : options.image_version;
  metadata.build_time = options.build_time;
  metadata.build_tool = options.build_tool;
  metadata.build_tool_version = options.build_tool_version;
  metadata.operating_system = blobs.kernel_name.operating_system;
  metadata.kernel_version = blobs.kernel_name.version;
  metadata.docker_info = options.reproducible_description ? describe(source.image) : source.inspect;
  metadata.custom = options.custom_metadata;
  const std::string metadata_text = eif::encode_metadata(metadata);

  MemorySink boot;
  std::optional<ByteView> driver;
  if (blobs.nsm_driver) driver = as_bytes(*blobs.nsm_driver);
  TRY(eif::write_boot_ramdisk(boot, as_bytes(blobs.init), driver));
  const eif::Application application{loaded.rootfs, command, config.environment};
  const std::uint64_t application_bytes = TRY(eif::application_ramdisk_size(application));
  const auto kernel = TRY(open_blob(blobs.kernel));

  ThreadLanes lanes;
  eif::Header base;
  base.flags = flags;
  eif::Writer writer(options.output, lanes, base);
  Progress progress(options.progress, kernel->size() + boot.data().size() + application_bytes);
  ProgressSink section(writer, progress);
  TRY(writer.begin_section(eif::SectionType::kKernel, kernel->size()));
  TRY(copy_blob(*kernel, section).in(blobs.kernel.native()));
  TRY(writer.add_section(eif::SectionType::kCmdline, as_bytes(blobs.command_line)));
  TRY(writer.add_section(eif::SectionType::kMetadata, as_bytes(metadata_text)));
  TRY(writer.add_section(eif::SectionType::kRamdisk, boot.data()));
  TRY(writer.begin_section(eif::SectionType::kRamdisk, application_bytes));
  TRY(eif::write_application_ramdisk(section, application, [&content](const oci::Inode& inode, ByteSink& sink) { return content.copy(inode, sink); }));
  report.measurements = TRY(writer.measurements());
  TRY(verification.wait());
  if (options.signing != nullptr) {
    TRY(writer.add_section(eif::SectionType::kSignature, TRY(eif::encode_signature(*options.signing, report.measurements.pcr0, rng))));
    report.measurements.pcr8 = eif::measure(TRY(eif::certificate_of(options.signing->certificate_pem)));
  }
  const eif::Header header = TRY(writer.finish());
  report.bytes = writer.bytes_written();
  if (options.output != nullptr) {
    TRY(options.output->write_at(0, eif::encode_header(header)));
    TRY(options.output->commit());
  }
  return report;
}

}  // namespace casemate::image
