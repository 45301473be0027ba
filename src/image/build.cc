// SPDX-License-Identifier: Apache-2.0
#include "image/build.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <thread>
#include <utility>

#include "eif/format.h"
#include "eif/ramdisk.h"
#include "eif/writer.h"
#include "image/assemble.h"
#include "image/files.h"
#include "image/lanes.h"
#include "image/user.h"
#include "os/process.h"

namespace casemate::image {

namespace {

constexpr std::size_t kMaxSmallBlob = 64 * 1024 * 1024;
constexpr std::uint64_t kMaxAccounts = 4 * 1024 * 1024;

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

constexpr int kNiceness = 10;

// Verification checks layers' digests on a thread of its own while the image is made of them.
class Verification {
 public:
  explicit Verification(std::vector<oci::Check> checks) : checks_(std::move(checks)), thread_([this] {
          // The hashing of the image is what a build waits for: this fills the gaps that it leaves.
          ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNiceness);
          verdict_ = run();
        }) {}
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

Result<std::optional<std::string>> read_optional(const os::Path& path) {
  Result<std::string> text = os::read_file(path, kMaxSmallBlob);
  if (text) return std::optional<std::string>(std::move(text).take());
  if (text.error().code() == ErrorCode::kNotFound) return std::optional<std::string>{};
  return std::move(text).error();
}

// read_image_file reads a small file of the image; empty where there is none.
Result<std::string> read_image_file(const oci::RootFs& rootfs, oci::Content& content, const std::string& path) {
  const oci::Inode* inode = rootfs.find(path);
  if (inode == nullptr || inode->type != oci::FileType::kRegular) return std::string();
  if (inode->size > kMaxAccounts) return over_limit("{}: {} bytes, limit {}", path, inode->size, kMaxAccounts);
  MemorySink sink;
  TRY(content.copy(*inode, sink));
  return std::string(as_text(sink.data()));
}

struct Start {
  std::vector<std::string> command;
  std::vector<std::string> environment;
  bool launched = false;  // by the launcher
};

// start_of is how the enclave's init will start the image's program.
Result<Start> start_of(const oci::Config& config, HonourConfig honour, const oci::RootFs& rootfs, oci::Content& content) {
  Start start{TRY(command_of(config, honour)), config.environment};
  if (honour == HonourConfig::kAws) return start;
  const User user = TRY(find_user(config.user, TRY(read_image_file(rootfs, content, "etc/passwd")), TRY(read_image_file(rootfs, content, "etc/group"))));
  const bool has_home = std::any_of(start.environment.begin(), start.environment.end(), [](const std::string& item) { return item.starts_with("HOME="); });
  if (!has_home) start.environment.push_back("HOME=" + user.home);
  const std::string directory = config.working_directory.empty() ? "/" : config.working_directory;
  const bool by_path = start.command.front().find('/') != std::string::npos;
  if (directory == "/" && user.uid == 0 && user.gid == 0 && user.groups.empty() && by_path) return start;
  if (rootfs.find(eif::kLauncherPath) != nullptr) return unsupported("image holds /{}, which is the launcher's name", eif::kLauncherPath);
  // The group itself is one of the supplementary ones, as engines have it since CVE-2022-36109: a rule that denies a group
  // could be evaded otherwise.
  std::vector<std::uint32_t> groups{user.gid};
  std::copy_if(user.groups.begin(), user.groups.end(), std::back_inserter(groups), [&](std::uint32_t each) { return each != user.gid; });
  std::vector<std::string> command = {"/" + std::string(eif::kLauncherPath), std::to_string(user.uid), std::to_string(user.gid),
                                      fmt::format("{}", fmt::join(groups, ",")), directory};
  command.insert(command.end(), start.command.begin(), start.command.end());
  start.command = std::move(command);
  start.launched = true;
  return start;
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
  blobs.kernel_name = TRY(read_kernel_name(blobs.kernel.native() + ".config"));
  blobs.init = TRY(os::read_file(directory / "init", kMaxSmallBlob));
  blobs.nsm_driver = TRY(read_optional(directory / "nsm.ko"));
  blobs.launcher = TRY(read_optional(directory / "launch"));
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
  std::vector<oci::Check> checks;
  oci::LoadedImage loaded = TRY(oci::load(*source.files, source.image, {}, &checks));
  Verification verification(std::move(checks));
  TRY(eif::prepare_container(loaded.rootfs, config.working_directory));
  report.files = loaded.rootfs.names();
  oci::Content content(std::move(loaded.layers), [](oci::Stream& stream) { return spool(stream, std::uint64_t{1} << 50); });
  const Start start = TRY(start_of(config, options.honour, loaded.rootfs, content));
  if (start.launched && !blobs.launcher) {
    return not_found("launch: not among the blobs, and the image's USER, WORKDIR or PATH needs it");
  }
  for (const auto* list : {&start.command, &start.environment}) {
    for (const std::string& item : *list) {
      if (item.find('\n') != std::string::npos) {
        report.warnings.emplace_back(
            "a CMD, ENTRYPOINT or ENV item holds a line end: the enclave's init will read it as two items");
      }
    }
  }

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
  eif::Application application{loaded.rootfs, start.command, start.environment};
  if (start.launched) application.launcher = as_bytes(*blobs.launcher);
  const std::uint64_t application_bytes = TRY(eif::application_ramdisk_size(application));
  const auto kernel = TRY(open_blob(blobs.kernel));

  ThreadLanes lanes;
  eif::Header base;
  base.flags = flags;
  eif::Writer writer(options.output, lanes, base);
  Progress progress(options.progress, kernel->size() + boot.data().size() + application_bytes);
  ProgressSink section(writer, progress);
  TRY(copy_section(writer, eif::SectionType::kKernel, *kernel, section).in(blobs.kernel.native()));
  TRY(writer.add_section(eif::SectionType::kCmdline, as_bytes(blobs.command_line)));
  TRY(writer.add_section(eif::SectionType::kMetadata, as_bytes(metadata_text)));
  TRY(writer.add_section(eif::SectionType::kRamdisk, boot.data()));
  TRY(writer.begin_section(eif::SectionType::kRamdisk, application_bytes));
  TRY(eif::write_application_ramdisk(section, application, [&content](const oci::Inode& inode, ByteSink& sink) { return content.copy(inode, sink); }));
  const Sealed sealed = TRY(seal(writer, options.output, options.signing, rng, [&verification] { return verification.wait(); }));
  report.measurements = sealed.measurements;
  report.bytes = sealed.bytes;
  return report;
}

}  // namespace casemate::image
