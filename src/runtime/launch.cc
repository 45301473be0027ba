// SPDX-License-Identifier: Apache-2.0
#include "runtime/launch.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/encoding.h"
#include "runtime/ended.h"
#include "runtime/measured_images.h"
#include "runtime/wire.h"

namespace casemate::runtime {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;
// nitro-cli's rule: the image, its unpacked ramdisks and the running system share the enclave's memory.
constexpr std::uint64_t kMemoryPerImage = 4;
// Longer than clients should be prepared to wait for a device that answers in milliseconds.
constexpr std::chrono::seconds kSlowNsmDelay{5};
constexpr std::size_t kTrustAnchorsBytes = 256 * 1024;
constexpr mode_t kSocketMode = 0766;  // nitro-cli's: everyone may ask, the enclave process decides by their uid
constexpr std::string_view kNoInstance = "i-0000000000000000";

constexpr std::array<std::string_view, 12> kStepNames = {"request", "open-image", "read-image", "memory", "signature",
                                                        "cpus",    "reserve",    "cpu-pool",   "cpu-count", "pool-memory", "boot", "publish"};

crypto::Sha384 extend_zero(std::string_view text) { return eif::extend(crypto::Sha384{}, as_bytes(text)); }

Result<os::Platform> platform_or_default(const os::Paths& paths) {
  Result<os::Platform> platform = os::load_platform(paths);
  if (platform.ok() || platform.error().code() != ErrorCode::kNotFound) return platform;
  // Never brought up: an instance without a role, as on a parent that has none.
  return os::Platform{.account = {}, .region = "us-east-1", .role_arn = {}, .instance_id = std::string(kNoInstance)};
}

json::Object measurements_json(const eif::Measurements& measured) {
  json::Object object{{"HashAlgorithm", "Sha384 { ... }"},
                      {"PCR0", encode_hex(measured.pcr0)},
                      {"PCR1", encode_hex(measured.pcr1)},
                      {"PCR2", encode_hex(measured.pcr2)}};
  if (measured.pcr8) object.set("PCR8", encode_hex(*measured.pcr8));
  return object;
}

// describe-enclaves' view of an image's metadata section: build metadata, Docker's and the user's in one object.
json::Object metadata_json(std::string_view stored) {
  json::Object shown;
  const Result<json::Value> parsed = json::parse(stored);
  if (!parsed || parsed->if_object() == nullptr) return shown;
  for (const std::string_view name : {"ImageName", "ImageVersion"}) {
    if (const json::Value* member = parsed->find(name)) shown.set(name, *member);
  }
  json::Object metadata;
  const auto flatten = [&metadata](const json::Value* member) {
    if (member == nullptr || member->if_object() == nullptr) return;
    for (const auto& [name, value] : member->object()) metadata.set(name, value);
  };
  flatten(parsed->find("BuildMetadata"));
  if (const json::Value* docker = parsed->find("DockerInfo")) metadata.set("DockerInfo", *docker);
  flatten(parsed->find("CustomMetadata"));
  shown.set("Metadata", std::move(metadata));
  return shown;
}

Result<void> check_architecture(const eif::Header& header) {
#if defined(__aarch64__)
  constexpr bool kArm = true;
#else
  constexpr bool kArm = false;
#endif
  const bool arm_image = (header.flags & eif::kFlagArm64) != 0;
  if (arm_image != kArm)
    return unsupported("image for {}, this machine is {}", arm_image ? "aarch64" : "x86_64", kArm ? "aarch64" : "x86_64");
  return {};
}

Result<void> check_cpus(const RunRequest& request) {
  std::vector<std::uint32_t> sorted = request.cpu_ids;
  std::sort(sorted.begin(), sorted.end());
  if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
    return malformed("cpu_ids: CPU {} twice", *twice);
  // Not kConflict, which says that another enclave holds it.
  if (!sorted.empty() && sorted.front() == 0) return not_found("cpu_ids: CPU 0, which stays with the parent");
  return {};
}

struct OpenImage {
  UniqueFd file;
  FileIdentity identity;
  bool settled;  // whoever writes to it from now on gives it another identity
  eif::Image image;
};

// inspect_image reads the image, measuring it only where that has not been done yet.
Result<eif::Image> inspect_image(int file, const FileIdentity& identity, bool settled, const Host& host) {
  os::FdSource source(file, 0, identity.size);
  const MeasuredImages records(host.registry.paths().measured_images());
  if (const std::optional<eif::Measured> known = records.find(identity); known.has_value()) {
    Result<eif::Image> image = eif::inspect(source, {.lanes = nullptr, .progress = {}, .known = &*known});
    if (image && image->crc_ok()) return image;
  }
  const std::unique_ptr<eif::Lanes> lanes = host.make_lanes ? host.make_lanes() : nullptr;
  os::FdSource whole(file, 0, identity.size);
  eif::Image image = TRY(eif::inspect(whole, {.lanes = lanes.get(), .progress = {}, .known = nullptr}));
  struct stat after {};
  if (::fstat(file, &after) != 0) return errno_error("image");
  if (image.crc_ok() && settled && identity_of(after) == identity)
    records.keep(identity, {image.measurements.pcr0, image.measurements.pcr1, image.measurements.pcr2, image.computed_crc});
  return image;
}

Result<OpenImage> open_image(const RunRequest& request, const Host& host, StartStep& step) {
  step = StartStep::kOpenImage;
  UniqueFd file = TRY(os::open(request.eif_path, O_RDONLY));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return errno_error(request.eif_path);
  if (!S_ISREG(status.st_mode)) return malformed("{}: not a regular file", request.eif_path);

  step = StartStep::kMemory;
  const auto size = static_cast<std::uint64_t>(status.st_size);
  const std::uint64_t least = std::max<std::uint64_t>((size * kMemoryPerImage + kMiB - 1) / kMiB, 1);
  if (request.memory_mib < least)
    return over_limit("memory: {} MiB, want at least {} MiB, {} times the size of {}", request.memory_mib, least, kMemoryPerImage,
                      request.eif_path);

  step = StartStep::kReadImage;
  const FileIdentity identity = identity_of(status);
  timespec begun{};
  ::clock_gettime(CLOCK_REALTIME, &begun);
  const bool settled = is_settled(identity, begun);
  eif::Image image = TRY(inspect_image(file.get(), identity, settled, host).in(request.eif_path));
  if (!image.crc_ok()) return malformed("{}: checksum {:08x}, want {:08x}", request.eif_path, image.computed_crc, image.header.crc);
  if (!image.violations.empty()) return malformed("{}: {}", request.eif_path, image.violations.front());

  step = StartStep::kSignature;
  TRY(eif::check_signature(image, host.clock.now()).in(request.eif_path));
  return OpenImage{std::move(file), identity, settled, std::move(image)};
}

struct ConsolePipe {
  UniqueFd ours;
  UniqueFd guests;
};

Result<ConsolePipe> open_console(bool debug_mode) {
  if (!debug_mode) return ConsolePipe{UniqueFd(), TRY(os::open("/dev/null", O_RDWR))};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("pipe");
  ConsolePipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return errno_error("pipe");
  return pipe;
}

std::string trust_anchors(const os::Paths& paths) {
  Result<std::string> pem = os::read_file(paths.ca_certificate(), kTrustAnchorsBytes);
  return pem ? std::move(pem).value() : std::string();
}

GuestImage guest_image(OpenImage opened) {
  GuestImage image{std::move(opened.file), {}, std::nullopt};
  if (opened.settled) image.content = GuestImage::Content{opened.identity, opened.image.measurements};
  for (const eif::Section& ramdisk : opened.image.ramdisks()) image.ramdisks.push_back({ramdisk.offset, ramdisk.size});
  return image;
}

// Releases an entry unless the launch came to its end.
class Reservation {
 public:
  Reservation(Registry& registry, Entry entry) : registry_(registry), entry_(std::move(entry)) {}
  ~Reservation() {
    if (held_) (void)registry_.release(entry_);
  }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  Entry& entry() { return entry_; }
  Entry keep() {
    held_ = false;
    return entry_;
  }

 private:
  Registry& registry_;
  Entry entry_;
  bool held_ = true;
};

}  // namespace

std::string_view to_string(StartStep step) { return kStepNames.at(static_cast<std::size_t>(step)); }

std::optional<StartStep> find_start_step(std::string_view text) {
  const auto found = std::find(kStepNames.begin(), kStepNames.end(), text);
  if (found == kStepNames.end()) return std::nullopt;
  return static_cast<StartStep>(found - kStepNames.begin());
}

NsmIdentity nsm_identity(const eif::Measurements& measured, const os::Platform& platform, SlotId slot, const RunRequest& request) {
  NsmIdentity identity;
  if (!request.debug_mode) {
    identity.pcrs[0] = measured.pcr0;
    identity.pcrs[1] = measured.pcr1;
    identity.pcrs[2] = measured.pcr2;
  }
  if (!platform.role_arn.empty()) identity.pcrs[3] = extend_zero(platform.role_arn);
  identity.pcrs[4] = extend_zero(platform.instance_id);
  if (measured.pcr8) identity.pcrs[8] = *measured.pcr8;
  identity.module_id = module_id(platform.instance_id, slot);
  identity.region = platform.region;
  identity.slot = slot.value;
  identity.faults = request.faults;
  if (request.faults.has(Fault::kWrongPcr)) {
    for (const std::size_t index : {0U, 1U, 2U, 8U}) identity.pcrs[index] = extend_zero(fmt::format("fault: PCR{} of another image", index));
  }
  return identity;
}

Activity::Activity() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Activity::note_listening(std::uint32_t port) {
  const std::lock_guard lock(mutex_);
  constexpr std::size_t kMaxPorts = 1024;
  if (listening_.size() < kMaxPorts) listening_.insert(port);
  const std::uint64_t one = 1;
  (void)!::write(event_.get(), &one, sizeof one);
}

std::vector<std::uint32_t> Activity::listening() const {
  const std::lock_guard lock(mutex_);
  return {listening_.begin(), listening_.end()};
}

namespace {

std::chrono::milliseconds boot_patience(const RunRequest& request, std::uint64_t image_bytes) {
  return request.boot_timeout_s != 0 ? std::chrono::seconds(request.boot_timeout_s) : boot_timeout(image_bytes, request.memory_mib);
}

// What was said on the console of a guest that never came up.
void keep_console(const RunRequest& request, Host& host, const Entry& entry, int console) {
  ConsoleRing ring;
  Bytes buffer(64 * 1024);
  for (ssize_t count = 0; (count = ::read(console, buffer.data(), buffer.size())) > 0;)
    ring.write(ByteView(buffer).first(static_cast<std::size_t>(count)));
  if (ring.end() == 0) return;
  (void)keep_ended(host.registry.paths(), {entry.id, entry.name, request.debug_mode, {true, SIGKILL}, host.clock.now()}, ring);
}

struct StartedGuest {
  std::shared_ptr<Activity> activity;
  std::unique_ptr<Guest> guest;
  UniqueFd console;
};

Result<StartedGuest> start_guest(const RunRequest& request, Host& host, Entry& entry, const os::Platform& platform, SlotId slot,
                                 OpenImage opened) {
  const os::Paths& paths = host.registry.paths();
  StartedGuest out{std::make_shared<Activity>(), nullptr, {}};
  ConsolePipe console = TRY(open_console(request.debug_mode));
  GuestSpec spec;
  spec.cid = entry.cid;
  spec.cpu_count = static_cast<std::uint32_t>(entry.cpu_ids.size());
  spec.memory_mib = request.memory_mib;
  spec.console = std::move(console.guests);
  spec.fabric = paths.fabric().native();
  spec.trust_anchors_pem = trust_anchors(paths);
  spec.nsm = [activity = out.activity, handle = TRY(host.make_nsm(nsm_identity(opened.image.measurements, platform, slot, request)).in("NSM"))](
                 ByteView message) {
    activity->note_nsm_request();
    return handle(message);
  };
  spec.on_listen = [activity = out.activity](std::uint32_t port) { activity->note_listening(port); };
  spec.on_event = [&log = host.log, id = entry.id](std::string_view text) { log.warn("enclave-start", {{"id", id}, {"note", std::string(text)}}); };
  if (request.faults.has(Fault::kSlowNsm)) spec.nsm_delay = kSlowNsmDelay;
  spec.hang_at_boot = request.faults.has(Fault::kBootHang);
  spec.boot_timeout = boot_patience(request, opened.identity.size);
  Result<std::unique_ptr<Guest>> guest = host.backend.start(guest_image(std::move(opened)), std::move(spec));
  if (!guest) {
    if (console.ours) keep_console(request, host, entry, console.ours.get());
    return std::move(guest).error();
  }
  out.guest = guest.take();
  out.console = std::move(console.ours);
  // A guest that has already ended has nothing left to be cleaned up.
  if (const Result<os::ProcessId> first = os::identify(out.guest->pid()); first.ok()) {
    entry.guest = *first;
    TRY(host.registry.set_guest(entry, *first));
  }
  return out;
}

StartStep shortage_step(Registry::Shortage shortage) {
  switch (shortage) {
    case Registry::Shortage::kNone: return StartStep::kReserve;
    case Registry::Shortage::kCpuInUse:
    case Registry::Shortage::kCpuNotInPool: return StartStep::kCpuPool;
    case Registry::Shortage::kTooFewCpus: return StartStep::kCpuCount;
    case Registry::Shortage::kMemory: return StartStep::kPoolMemory;
  }
  return StartStep::kReserve;
}

}  // namespace

Result<Launched> launch(const RunRequest& request, Host& host, const std::function<void(std::string_view)>& say, StartStep& step) {
  step = StartStep::kCpus;
  TRY(check_cpus(request));
  OpenImage opened = TRY(open_image(request, host, step));
  json::Object measurements = measurements_json(opened.image.measurements);
  json::Object metadata = metadata_json(opened.image.metadata);

  step = StartStep::kReserve;
  const os::Paths& paths = host.registry.paths();
  const os::Platform platform = TRY(platform_or_default(paths));
  const SlotId slot = SlotId::make(host.clock.now(), host.rng);
  const std::string name = request.enclave_name.empty() ? default_name(request.eif_path) : request.enclave_name;
  Registry::Shortage shortage{};
  Result<Entry> reserved = host.registry.reserve({.name = name,
                                                  .cid = request.enclave_cid,
                                                  .cpu_count = request.cpu_count,
                                                  .cpu_ids = request.cpu_ids,
                                                  .memory_mib = request.memory_mib,
                                                  .instance_id = platform.instance_id,
                                                  .slot = slot,
                                                  .supervisor = TRY(os::identify(::getpid()))},
                                                 shortage);
  step = shortage_step(shortage);
  Reservation reservation(host.registry, TRY(std::move(reserved)));
  Entry& entry = reservation.entry();

  step = StartStep::kPublish;
  TRY(os::make_private_directories(paths.fabric()));
  std::unique_ptr<Publisher> publisher;
  if (!request.published.empty()) publisher = TRY(Publisher::start(paths.fabric().native(), entry.cid, request.published));

  const std::chrono::milliseconds patience = boot_patience(request, opened.identity.size);
  say("Start allocating memory...\n");
  step = StartStep::kBoot;
  TRY(check_architecture(opened.image.header));
  StartedGuest guest = TRY(start_guest(request, host, entry, platform, slot, std::move(opened)));

  step = StartStep::kPublish;
  UniqueFd listener = TRY(listen_unix(entry.socket, kSocketMode));
  EnclaveInfo info{.name = entry.name, .id = entry.id, .pid = ::getpid(), .cid = entry.cid, .cpu_ids = entry.cpu_ids,
                   .memory_mib = request.memory_mib, .state = State::kRunning, .debug_mode = request.debug_mode, .faults = request.faults,
                   .published = publisher ? publisher->ports() : std::vector<PublishedPort>(), .measurements = std::move(measurements),
                   .metadata = {}};
  std::string cpus;
  for (const std::uint32_t cpu : info.cpu_ids) cpus += (cpus.empty() ? "" : ", ") + std::to_string(cpu);
  say(fmt::format("Started enclave with enclave-cid: {}, memory: {} MiB, cpu-ids: [{}]\n", info.cid, info.memory_mib, cpus));
  return Launched{reservation.keep(), std::move(info), std::move(metadata), slot, patience, std::move(guest.activity), std::move(publisher),
                  std::move(guest.guest), std::move(guest.console), std::move(listener)};
}

Result<void> relaunch(Launched& launched, const RunRequest& request, Host& host) {
  StartStep step = StartStep::kOpenImage;
  OpenImage opened = TRY(open_image(request, host, step));
  if (!(measurements_json(opened.image.measurements) == launched.info.measurements))
    return untrusted("{}: another image than the one that was started", request.eif_path);
  const os::Platform platform = TRY(platform_or_default(host.registry.paths()));
  StartedGuest guest = TRY(start_guest(request, host, launched.entry, platform, launched.slot, std::move(opened)));
  launched.activity = std::move(guest.activity);
  launched.guest = std::move(guest.guest);
  launched.console = std::move(guest.console);
  return {};
}

}  // namespace casemate::runtime
