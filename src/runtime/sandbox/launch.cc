// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/launch.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>

#include "os/process.h"
#include "runtime/sandbox/id_map.h"

namespace casemate::runtime::sandbox {
namespace {

// Init's own memory, beside what the guest was given.
constexpr std::uint64_t kInitBytes = 8 << 20;
constexpr std::uint64_t kMostOpenFiles = 1 << 20;

// As a kernel with this much memory would bound its threads, roughly.
std::uint64_t process_limit(std::uint64_t memory_mib) {
  return std::clamp<std::uint64_t>(memory_mib * 8, 1024, 32768);
}

Result<std::array<Channel, 2>> make_channel() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return errno_error("socketpair");
  return std::array<Channel, 2>{Channel(UniqueFd(ends[0])), Channel(UniqueFd(ends[1]))};
}

// choose_cpus takes as many of the processors that we may use as the guest is to have, another part for another guest.
std::vector<std::uint32_t> choose_cpus(std::uint32_t count, std::uint32_t slot) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return {};
  std::vector<std::uint32_t> all;
  for (std::uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) all.push_back(cpu);
  }
  if (count == 0 || count >= all.size()) return all;
  std::rotate(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::size_t{slot} * count % all.size()), all.end());
  all.resize(count);
  return all;
}

Result<BootSpec> make_spec(const GuestImage& image, const GuestSpec& spec, const Shared& shared) {
  if (image.ramdisks.size() < 2) return malformed("image: {} ramdisks, want the boot one and the application's", image.ramdisks.size());
  BootSpec out;
  out.supervisor = static_cast<std::uint32_t>(::getpid());
  out.memory_bytes = spec.memory_mib << 20;
  out.open_files = kMostOpenFiles;
  out.cpus = choose_cpus(spec.cpu_count, spec.cid);
  for (std::size_t i = 1; i < image.ramdisks.size(); ++i) out.ramdisks.push_back({image.ramdisks[i].offset, image.ramdisks[i].size});
  out.hostname = "(none)";  // a Nitro guest's kernel has no other
  out.trust_anchors_pem = spec.trust_anchors_pem;
  out.filter = shared.filter;
  out.hang = spec.hang_at_boot;
  out.interruptible = shared.interruptible;
  return out;
}

Result<void> write_spec(int file, const BootSpec& spec) {
  const Bytes data = encode_boot_spec(spec);
  if (::write(file, data.data(), data.size()) != static_cast<ssize_t>(data.size())) return errno_error("boot spec");
  return {};
}

// Only what is safe between fork and exec in a process with threads.
[[noreturn]] void become_init(int program, const std::array<int, 5>& fds) {
  // Out of the way of the numbers that they are to have.
  std::array<int, 6> high{};
  for (std::size_t i = 0; i < fds.size(); ++i) high[i] = ::fcntl(fds[i], F_DUPFD, 64);
  high[5] = ::fcntl(program, F_DUPFD, 64);
  for (const int fd : high) {
    if (fd < 0) ::_exit(126);
  }
  for (std::size_t i = 0; i < fds.size(); ++i) {
    if (::dup2(high[i], kKeeperChannel + static_cast<int>(i)) < 0) ::_exit(126);
  }
  if (::dup2(high[5], kFirstForeignFd) < 0 || ::fcntl(kFirstForeignFd, F_SETFD, FD_CLOEXEC) != 0) ::_exit(126);
  const int null = ::open("/dev/null", O_RDWR);
  if (null < 0) ::_exit(126);
  for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
  ::syscall(SYS_close_range, kFirstForeignFd + 1, ~0U, 0);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::umask(0022);
  // Out of the caller's session: a terminal's signals are not for guests, and its process group ends on its own.
  ::setsid();
  char name[] = "/init";
  char* const arguments[] = {name, nullptr};
  char* const environment[] = {nullptr};
  ::syscall(SYS_execveat, kFirstForeignFd, "", arguments, environment, AT_EMPTY_PATH);
  ::_exit(126);
}

Error failed(const Message& message) {
  if (message.body.empty()) return internal("guest init: failed without a reason");
  const auto code = static_cast<ErrorCode>(std::min<std::uint8_t>(message.body[0], static_cast<std::uint8_t>(ErrorCode::kInternal)));
  return Error(code, std::string(as_text(ByteView(message.body).subspan(1))));
}

Error hint(Error error) {
  if (error.code() != ErrorCode::kUnsupported) return error;
  return Error(ErrorCode::kUnsupported,
               error.message() +
                   "; enclaves need user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
                   "kernel.apparmor_restrict_unprivileged_userns=0) and, in a container, --security-opt seccomp=unconfined "
                   "and systempaths=unconfined");
}

Result<pid_t> fork_init(int program, const std::array<int, 5>& fds) {
  struct Child {
    int program;
    const std::array<int, 5>& fds;
  } child{program, fds};
  const auto run_child = [](void* argument) -> int {
    const auto* what = static_cast<const Child*>(argument);
    become_init(what->program, what->fds);
  };
  const pid_t pid = os::fork_for_exec(run_child, &child);
  if (pid < 0) return errno_error("fork");
  return pid;
}

// Patience bounds the whole of a boot.
struct Patience {
  std::chrono::milliseconds all;
  std::chrono::steady_clock::time_point until;

  Result<void> wait_for(const Channel& channel) const {
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      pollfd item{channel.fd(), POLLIN, 0};
      const int count = ::poll(&item, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, INT_MAX)));
      if (count > 0) return {};
      if (count == 0) return unavailable("guest: no heartbeat within {} s", std::chrono::duration<double>(all).count());
      if (errno != EINTR) return errno_error("poll");
    }
  }
};

Result<Message> expect(const Channel& channel, const Patience& patience, MessageKind kind, std::size_t body_size) {
  TRY(patience.wait_for(channel));
  Message message = TRY(channel.receive());
  if (message.kind == MessageKind::kFailed) return hint(failed(message));
  if (message.kind != kind || message.body.size() != body_size)
    return internal("guest init: message {} of {} bytes, want {}", static_cast<int>(message.kind), message.body.size(), static_cast<int>(kind));
  return message;
}

void note(const GuestSpec& spec, std::string_view text) {
  if (spec.on_event) spec.on_event(text);
}

// idmapped_mount gives a mount of the tree that stands nowhere yet and shows ids 0..65535 as those of the user namespace of
// `pid`. Errors: kUnsupported where the kernel or the tree's file system cannot.
Result<UniqueFd> idmapped_mount(int tree, pid_t pid) {
  const std::string path = fmt::format("/proc/{}/ns/user", pid);
  const UniqueFd users(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!users) return errno_error(path);
  UniqueFd mount(static_cast<int>(::syscall(SYS_open_tree, tree, "", OPEN_TREE_CLONE | AT_EMPTY_PATH | O_CLOEXEC)));
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_IDMAP;
  attributes.propagation = MS_PRIVATE;
  attributes.userns_fd = static_cast<std::uint64_t>(users.get());
  if (!mount || ::syscall(SYS_mount_setattr, mount.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
    return unsupported("mount with mapped ids: {}", errno_error("mount_setattr").message());
  return mount;
}

// Whose the files of a kept root are: root has them as ids 0..65535 and shows each guest its own; a user with one id has
// no other. With subordinate ids the user could neither read nor remove them.
bool can_keep(const IdMap& ids) {
  return ids.means == IdMap::Means::kSelf || (ids.means == IdMap::Means::kDirect && ids.count == kGuestIds);
}

RootKey root_key(const GuestImage& image, const IdMap& ids) {
  crypto::Hasher hasher(crypto::Hash::kSha256);
  const eif::Measurements& measured = image.content->measurements;
  hasher.update(measured.pcr0).update(measured.pcr1).update(measured.pcr2);
  // The registers hash the ramdisks as one: where one ends is not in them.
  Bytes layout;
  for (const auto& range : image.ramdisks) append_be<8>(layout, range.size);
  append_be<4>(layout, ids.count);
  hasher.update(layout);
  const Bytes digest = hasher.finish();
  RootKey key{};
  std::copy(digest.begin(), digest.end(), key.begin());
  return key;
}

Result<void> check_unchanged(const GuestImage& image) {
  if (!image.content) return {};
  struct stat status {};
  if (::fstat(image.file.get(), &status) != 0) return errno_error("image");
  if (!(identity_of(status) == image.content->file)) return untrusted("image: changed since it was measured");
  return {};
}

Result<ListFiles> read_list_file(int file) {
  struct stat status {};
  if (::fstat(file, &status) != 0) return errno_error("lists");
  if (static_cast<std::uint64_t>(status.st_size) > 2 * kMaxListBytes + 16) return over_limit("lists: {} bytes", status.st_size);
  Bytes data(static_cast<std::size_t>(status.st_size));
  if (::pread(file, data.data(), data.size(), 0) != status.st_size) return internal("lists: short read");
  ByteReader in(data);
  return read_lists(in);
}

// Filler is the process that unpacks a root to be kept.
class Filler {
 public:
  explicit Filler(pid_t pid) : pid_(pid) {}
  ~Filler() {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
  }
  Filler(const Filler&) = delete;
  Filler& operator=(const Filler&) = delete;
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

Result<ListFiles> fill_root(const Shared& shared, const GuestImage& image, const GuestSpec& spec, IdMap ids, BootSpec job, int folder) {
  const Patience patience{spec.boot_timeout, std::chrono::steady_clock::now() + spec.boot_timeout};
  auto channel = TRY(make_channel());
  const UniqueFd spec_fd(::memfd_create("boot-spec", MFD_CLOEXEC));
  const UniqueFd lists(::memfd_create("lists", MFD_CLOEXEC));
  if (!spec_fd || !lists) return errno_error("memfd_create");
  const Filler filler(TRY(fork_init(shared.init_program.get(), {channel[1].fd(), folder, image.file.get(), lists.get(), spec_fd.get()})));
  channel[1].close();
  TRY(expect(channel[0], patience, MessageKind::kMapIds, 0));
  if (ids.means == IdMap::Means::kDirect) ids.first_uid = ids.first_gid = 0;
  job.many_ids = TRY(apply_ids(filler.pid(), ids)).count == kGuestIds;
  // What could not be mounted need not be unpacked.
  if (ids.means == IdMap::Means::kDirect) {
    if (auto mount = idmapped_mount(folder, filler.pid()); !mount.ok()) {
      shared.roots->give_up();
      return mount.error();
    }
  }
  job.fill = true;
  job.most_entries = RootCache::kMostEntries;
  TRY(write_spec(spec_fd.get(), job));
  TRY(channel[0].send(MessageKind::kGo));
  TRY(expect(channel[0], patience, MessageKind::kFilled, 0));
  TRY(check_unchanged(image));
  return read_list_file(lists.get());
}

// obtain_root finds or makes the image's unpacked root. Without one the guest's init unpacks the image itself.
std::optional<CachedRoot> obtain_root(const Shared& shared, const GuestImage& image, const GuestSpec& spec, const IdMap& ids, const BootSpec& boot_spec) {
  if (!shared.roots || !image.content || !can_keep(ids) || !shared.roots->usable()) return std::nullopt;
  const RootKey key = root_key(image, ids);
  const auto say = [&spec](std::string_view text) { note(spec, text); };
  std::optional<CachedRoot> root = shared.roots->find(key, say);
  if (!root) {
    std::uint64_t estimate = 0;
    for (const auto& ramdisk : boot_spec.ramdisks) estimate += ramdisk.size;
    const auto fill = [&](int folder) { return fill_root(shared, image, spec, ids, boot_spec, folder); };
    root = shared.roots->make(key, estimate, fill, say);
  }
  // An image that does not fit is to be refused as one is that is unpacked.
  constexpr std::uint64_t kLeastLeft = 16 << 20;
  if (root && root->bytes + kLeastLeft > boot_spec.memory_bytes) return std::nullopt;
  return root;
}

// lend_root gives what the guest mounts its root from; invalid where it must be unpacked after all.
UniqueFd lend_root(Launched& guest, const GuestSpec& spec, const IdMap& ids, BootSpec& boot_spec) {
  if (!guest.root) return {};
  Result<UniqueFd> mount = UniqueFd(::fcntl(guest.root->tree.get(), F_DUPFD_CLOEXEC, 0));
  if (ids.means == IdMap::Means::kDirect) mount = idmapped_mount(guest.root->tree.get(), guest.keeper);
  if (!mount.ok()) {
    note(spec, "unpacked root: " + mount.error().message());
    guest.root.reset();
    return {};
  }
  boot_spec.tree = CachedTree{ids.means == IdMap::Means::kDirect ? "" : guest.root->path, guest.root->bytes, guest.root->lists};
  return mount.take();
}

// The keeper reads the spec once it is told to go on, so that it can say what its control group does not limit.
Result<void> boot(const Shared& shared, Launched& guest, const GuestSpec& spec, const IdMap& ids, BootSpec boot_spec, int spec_fd) {
  const Patience patience{spec.boot_timeout, std::chrono::steady_clock::now() + spec.boot_timeout};
  TRY(expect(guest.keeper_channel, patience, MessageKind::kMapIds, 0));
  const CgroupLimits limits{boot_spec.memory_bytes + kInitBytes, process_limit(spec.memory_mib), spec.cpu_count};
  guest.cgroup = Cgroup::create(Cgroup::name_of(spec.cid), limits, guest.keeper);
  if (!guest.cgroup.limits_memory()) {
    boot_spec.data_bytes = boot_spec.memory_bytes;
    note(spec, fmt::format("memory: no control group may be made here (delegate one to this user); each process by itself is bounded to {} MiB", spec.memory_mib));
  }
  if (!guest.cgroup.limits_processes()) boot_spec.processes = limits.processes;
  boot_spec.many_ids = TRY(apply_ids(guest.keeper, ids).in("user namespace")).count == kGuestIds;
  const UniqueFd tree = lend_root(guest, spec, ids, boot_spec);
  TRY(write_spec(spec_fd, boot_spec));
  TRY(guest.keeper_channel.send(MessageKind::kGo, {}, tree ? std::vector<int>{tree.get()} : std::vector<int>()));

  const Message started = TRY(expect(guest.keeper_channel, patience, MessageKind::kInitStarted, 4));
  guest.init = static_cast<pid_t>(TRY(ByteReader(started.body).read_u32()));
  guest.init_handle.reset(static_cast<int>(::syscall(SYS_pidfd_open, guest.init, 0)));
  if (!guest.init_handle) {
    // It is over already; it says why.
    TRY(expect(guest.guest_channel, patience, MessageKind::kHeartbeat, 1));
    return internal("guest init: gone");
  }
  const Message beat = TRY(expect(guest.guest_channel, patience, MessageKind::kHeartbeat, 1));
  if (beat.body[0] != kHeartbeatByte) return internal("guest init: heartbeat {:#x}, want {:#x}", beat.body[0], kHeartbeatByte);
  TRY(guest.guest_channel.send(MessageKind::kHeartbeat, Bytes{kHeartbeatByte}));

  Message filter = TRY(expect(guest.guest_channel, patience, MessageKind::kFilter, 2 + 3 * 8));
  if (filter.fds.size() != 1) return internal("guest init: {} descriptors with its filter, want 1", filter.fds.size());
  ByteReader body(filter.body);
  guest.interruptible = TRY(body.read_u8()) != 0 ? seccomp::Interruptible::kYes : seccomp::Interruptible::kNo;
  const bool cached = TRY(body.read_u8()) != 0;
  if (guest.root && !cached) {
    note(spec, "unpacked root: this kernel cannot put a guest's own layer over it; images are unpacked at each start");
    shared.roots->give_up();
    guest.root.reset();
  }
  guest.network_cookie = TRY(body.read_u64());
  guest.nsm_mount = TRY(body.read_u64());
  guest.vsock_mount = TRY(body.read_u64());
  guest.notifications = std::move(filter.fds[0]);
  return {};
}

}  // namespace

Result<Launched> launch(const Shared& shared, const GuestImage& image, const GuestSpec& spec) {
  const IdMap ids = plan_ids(spec.cid);
  BootSpec boot_spec = TRY(make_spec(image, spec, shared));
  Launched guest;
  guest.root = obtain_root(shared, image, spec, ids, boot_spec);
  auto keeper = TRY(make_channel());
  auto guest_ends = TRY(make_channel());

  const UniqueFd spec_fd(::memfd_create("boot-spec", MFD_CLOEXEC));
  if (!spec_fd) return errno_error("memfd_create");

  guest.keeper = TRY(fork_init(shared.init_program.get(),
                               {keeper[1].fd(), guest_ends[1].fd(), image.file.get(), spec.console.get(), spec_fd.get()}));
  keeper[1].close();
  guest_ends[1].close();
  guest.keeper_channel = std::move(keeper[0]);
  guest.guest_channel = std::move(guest_ends[0]);
  auto booted = boot(shared, guest, spec, ids, std::move(boot_spec), spec_fd.get());
  if (booted.ok() && !guest.root) booted = check_unchanged(image);
  if (!booted.ok()) {
    stop(guest);
    return booted.error();
  }
  return guest;
}

void stop(Launched& guest) {
  if (guest.init_handle) {
    ::syscall(SYS_pidfd_send_signal, guest.init_handle.get(), SIGKILL, nullptr, 0);
    pollfd ended{guest.init_handle.get(), POLLIN, 0};
    while (::poll(&ended, 1, -1) < 0 && errno == EINTR) continue;
  } else if (guest.keeper > 0) {
    ::kill(guest.keeper, SIGKILL);
  }
  guest.keeper_channel.close();
  guest.guest_channel.close();
  if (guest.keeper > 0) {
    while (::waitpid(guest.keeper, nullptr, 0) < 0 && errno == EINTR) continue;
  }
  guest.keeper = -1;
}

}  // namespace casemate::runtime::sandbox
