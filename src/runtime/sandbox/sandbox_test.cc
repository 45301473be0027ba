// SPDX-License-Identifier: Apache-2.0
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "runtime/sandbox/id_map.h"
#include "runtime/sandbox/policy.h"
#include "runtime/sandbox/root_cache.h"
#include "runtime/sandbox/test_guest.h"
#include "runtime/sandbox/tree.h"

namespace casemate::runtime::sandbox {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TestImage files_image(const std::string& scenario, const std::string& argument) {
  TestImage image = probe_image({scenario, argument});
  const auto file = [&](std::string name, std::string text) { image.files.push_back({std::move(name), cpio::kRegular | 0644, std::move(text), 0, 0}); };
  image.files.push_back({"rootfs/data", cpio::kDirectory | 0755, "", 0, 0});
  file("rootfs/data/a", "alpha\n");
  file("rootfs/data/b", "beta\n");
  file("rootfs/data/c", "gamma\n");
  file("rootfs/data/d", "delta\n");
  file("rootfs/data/f", "foxtrot\n");
  file("rootfs/data/inner/deep", "deep\n");
  file("rootfs/data/inner/deeper/deep", "deeper\n");
  file("rootfs/data/kept/file", "kept\n");
  return image;
}

TEST_F(SandboxTest, RunsTheApplicationAndShowsTheStepsOfItsStart) {
  auto guest = start(probe_image({"hello"}));
  ASSERT_THAT(guest, IsOk());
  const auto exit = wait(**guest);
  ASSERT_TRUE(exit.has_value());
  EXPECT_FALSE(exit->signalled);
  EXPECT_EQ(exit->status, 0);
  guest->reset();
  const std::string text = console();
  EXPECT_THAT(text, AllOf(HasSubstr("heartbeat 0xb7"), HasSubstr("executing /probe"), HasSubstr("hello from the guest")));
}

TEST_F(SandboxTest, NsmBehavesAsItsDriver) { run({"nsm"}); }
TEST_F(SandboxTest, VsockBehavesAsLinux) { run({"vsock"}); }
TEST_F(SandboxTest, SignalsInterruptAndRestartCalls) { run({"signals"}); }
TEST_F(SandboxTest, CallsThatSignalsInterruptAreDoneOnce) {
  Options interruptible = options();
  interruptible.interruptible_calls = true;
  auto backend = open_backend(interruptible);
  ASSERT_THAT(backend, IsOk());
  backend_ = backend.take();
  run({"signals"});
  run({"vsock"});
  run({"nsm"});

  std::atomic<int> requests = 0;
  GuestSpec counted = spec();
  counted.nsm = [&](ByteView request) {
    ++requests;
    std::this_thread::sleep_for(std::chrono::microseconds(300));  // time for a signal
    Bytes response = to_bytes(as_bytes("pong:"));
    append(response, request);
    return response;
  };
  auto guest = backend_->start(probe_image({"nsm-storm", "200"}).pack(), std::move(counted));
  ASSERT_THAT(guest, IsOk());
  const auto exit = wait(**guest);
  guest->reset();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->status, 0) << console();
  EXPECT_EQ(requests, 200);
}
TEST_F(SandboxTest, TheGuestSeesAnEnclave) { run({"fidelity"}); }
TEST_F(SandboxTest, TheImagesFilesAreTheGuestsOwn) {
  auto guest = start(files_image("files", folder_));
  ASSERT_THAT(guest, IsOk()) << console_until_now();
  const auto exit = wait(**guest);
  guest->reset();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->status, 0) << console();
}

// With kept roots whatever the environment says.
class KeptRootsTest : public SandboxTest {
 protected:
  void SetUp() override {
    SandboxTest::SetUp();
    if (IsSkipped()) return;
    if (plan_ids(0).count == kGuestIds && ::geteuid() != 0) GTEST_SKIP() << "roots are not kept for users with subordinate ids";
    auto backend = open_backend({.interruptible_calls = false, .roots = folder_ + "/roots", .most_root_bytes = std::uint64_t{1} << 30});
    ASSERT_THAT(backend, IsOk());
    backend_ = backend.take();
    run(probe_image({"hello"}));
    if (!cache().usable()) GTEST_SKIP() << "this kernel or file system cannot share a root: " << events_;
    EXPECT_EQ(events_, "");
    EXPECT_EQ(entries().size(), 1U);
  }
  RootCache cache() const { return RootCache(folder_ + "/roots", 1); }
  std::vector<std::string> entries() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/roots")) {
      if (entry.path().filename() != ".lock") found.push_back(entry.path().filename());
    }
    return found;
  }
  std::string tree() const { return folder_ + "/roots/" + entries().front() + "/root"; }
  std::string run(const TestImage& image, int want = 0) {
    auto guest = start(image);
    EXPECT_THAT(guest, IsOk()) << console_until_now();
    if (!guest.ok()) return {};
    const auto exit = wait(**guest);
    guest->reset();
    std::string text = console();
    EXPECT_TRUE(exit && !exit->signalled && exit->status == want) << text;
    return text;
  }
};

TEST_F(KeptRootsTest, ALaterStartSeesTheSameAndLeavesTheTreeAsItWas) {
  const auto image = files_image("files", folder_);
  run(image);
  const auto summaries = [&] {
    std::map<std::string, crypto::Sha256> found;
    for (const std::string& name : entries()) {
      const UniqueFd root(::open((folder_ + "/roots/" + name + "/root").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      const auto tree = summarize_tree(root.get(), 1000);
      EXPECT_THAT(tree, IsOk());
      if (tree.ok()) found[name] = tree->digest;
    }
    return found;
  };
  const auto before = summaries();
  EXPECT_EQ(before.size(), 2U);
  // All that it does to the files it could do again: none of it reached the tree.
  run(image);
  run(probe_image({"fidelity"}));
  run(probe_image({"fidelity"}));
  auto after = summaries();
  EXPECT_EQ(after.size(), 3U);
  for (const auto& [name, digest] : before) EXPECT_EQ(after[name], digest);
  EXPECT_EQ(events_, "");
}

TEST_F(KeptRootsTest, AChangedTreeIsNotRunAndSaidSo) {
  const std::string text = read_whole(tree() + "/etc/ssl/certs/ca-certificates.crt");
  ASSERT_EQ(text, "IMAGE ANCHOR\n");
  std::ofstream(tree() + "/etc/ssl/certs/ca-certificates.crt") << "HOSTS ANCHOR\n";
  run(probe_image({"hello"}));
  EXPECT_THAT(events_, HasSubstr("changed since it was unpacked"));
  EXPECT_EQ(read_whole(tree() + "/etc/ssl/certs/ca-certificates.crt"), text);
}

TEST_F(KeptRootsTest, AnImageThatChangedSinceItWasMeasuredIsNotRun) {
  auto image = probe_image({"exit", "3"}).pack();
  const UniqueFd file(::fcntl(image.file.get(), F_DUPFD_CLOEXEC, 0));
  do {
    ASSERT_EQ(::pwrite(file.get(), "x", 1, 0), 1);
    struct stat status {};
    ASSERT_EQ(::fstat(file.get(), &status), 0);
    if (!(identity_of(status) == image.content->file)) break;
  } while (true);
  EXPECT_THAT(backend_->start(std::move(image), spec()), IsError(ErrorCode::kUntrusted, HasSubstr("changed")));
  EXPECT_EQ(entries().size(), 1U);
}

TEST_F(KeptRootsTest, ImagesThatDifferOnlyInWhereARamdiskEndsAreTwo) {
  auto image = probe_image({"exit", "4"}).pack();
  const auto whole = image.ramdisks.back();
  auto split = probe_image({"exit", "4"}).pack();
  split.content->measurements = image.content->measurements;
  split.ramdisks.back().size -= 512;
  split.ramdisks.push_back({whole.offset + whole.size - 512, 512});
  for (GuestImage* one : {&image, &split}) {
    auto guest = backend_->start(std::move(*one), spec());
    if (guest.ok()) (void)wait(**guest);
  }
  EXPECT_GE(entries().size(), 2U);
}

TEST_F(KeptRootsTest, AnImageReachesNothingBesideItsTree) {
  auto image = probe_image({"hello"});
  image.files.push_back({"rootfs/../../../escaped", cpio::kRegular | 0644, "x", 0, 0});
  image.files.push_back({"rootfs/out", cpio::kSymlink | 0777, folder_, 0, 0});
  image.files.push_back({"rootfs/up", cpio::kSymlink | 0777, "../../..", 0, 0});
  image.files.push_back({"rootfs/out/escaped", cpio::kRegular | 0644, "x", 0, 0});
  image.files.push_back({"rootfs/up/escaped", cpio::kRegular | 0644, "x", 0, 0});
  auto guest = start(image);
  if (guest.ok()) (void)wait(**guest);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
    EXPECT_TRUE(entry.path().filename() != "escaped" || entry.path().native().find("/root/") != std::string::npos) << entry.path();
  }
}

TEST_F(KeptRootsTest, ADamagedImageIsRefusedAsEver) {
  auto image = probe_image({"hello"});
  image.files.push_back({"rootfs/bin/..", cpio::kRegular | 0644, "x", 0, 0});
  EXPECT_THAT(start(image), IsError(ErrorCode::kMalformed, HasSubstr("not a file's name")));
  EXPECT_EQ(entries().size(), 1U);
}

TEST_F(KeptRootsTest, AFullDiskCostsTheCacheOnly) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs a mount";
  const std::string small = folder_ + "/small";
  ASSERT_TRUE(std::filesystem::create_directory(small));
  ASSERT_EQ(::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=300m"), 0);
  auto backend = open_backend({.interruptible_calls = false, .roots = small + "/roots", .most_root_bytes = std::uint64_t{1} << 30});
  ASSERT_THAT(backend, IsOk());
  backend_ = backend.take();
  auto large = probe_image({"hello"});
  large.files.push_back({"rootfs/large", cpio::kRegular | 0644, std::string(60 << 20, 'x'), 0, 0});
  EXPECT_THAT(run(large), HasSubstr("hello from the guest"));
  backend_.reset();
  EXPECT_TRUE(std::filesystem::is_empty(small + "/roots") || std::distance(std::filesystem::directory_iterator(small + "/roots"), {}) == 1);
  EXPECT_EQ(::umount2(small.c_str(), 0), 0) << "something of a guest holds it";
}

TEST_F(KeptRootsTest, NothingHoldsARootWhenItsGuestHasEnded) {
  const std::string entry = folder_ + "/roots/" + entries().front();
  {
    auto guest = start(probe_image({"hello"}));
    ASSERT_THAT(guest, IsOk());
    const UniqueFd folder(::open(entry.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    EXPECT_EQ(::flock(folder.get(), LOCK_EX | LOCK_NB), -1);
    (void)wait(**guest);
  }
  const UniqueFd folder(::open(entry.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(::flock(folder.get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(read_whole("/proc/self/mountinfo").find(folder_), std::string::npos);
}

TEST_F(SandboxTest, TenThousandConnectionsAreOpenAtOnce) { run({"many", "5000"}); }

TEST_F(SandboxTest, AHostileGuestReachesNothingOutside) {
  const pid_t victim = ::fork();
  if (victim == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) ::pause();
  }
  // What the guest's race for a descriptor would reach, were its sockets in our network namespace.
  const UniqueFd abstract(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
  const std::string name = std::string("\1\0\0", 3) + fmt::format("casemate-escape-{}", victim);
  ASSERT_EQ(::bind(abstract.get(), reinterpret_cast<const sockaddr*>(name.data()), static_cast<socklen_t>(name.size())), 0);
  ASSERT_EQ(::listen(abstract.get(), 8), 0);
  run({"escape", std::to_string(victim)});
  EXPECT_EQ(::accept(abstract.get(), nullptr, nullptr), -1);
  EXPECT_EQ(::kill(victim, 0), 0);
  ::kill(victim, SIGKILL);
  ::waitpid(victim, nullptr, 0);
}

// Runs `scenario` beside a neighbour that must go on answering, and returns how the hostile guest ended.
std::optional<GuestExit> beside_a_neighbour(Backend& backend, const std::string& fabric, GuestSpec hostile, std::vector<std::string> scenario,
                                            bool& neighbour_served) {
  GuestSpec calm;
  calm.cid = 40;
  calm.memory_mib = 64;
  calm.console.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  calm.fabric = fabric;
  calm.nsm = [](ByteView) { return Bytes{}; };
  auto neighbour = backend.start(probe_image({"serve", "5010", "1"}).pack(), std::move(calm));
  auto guest = backend.start(probe_image(std::move(scenario)).pack(), std::move(hostile));
  if (!neighbour.ok() || !guest.ok()) return std::nullopt;
  Result<UniqueFd> client = unavailable("never tried");
  for (int attempt = 0; attempt < 1000 && !client.ok(); ++attempt) {
    client = fabric::connect(fabric, fabric::kParentCid, {40, 5010});
    if (!client.ok()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (!client.ok()) return std::nullopt;
  char echoed[8] = {};
  neighbour_served = ::write(client->get(), "neighbour", 8) == 8 && ::recv(client->get(), echoed, 8, MSG_WAITALL) == 8 &&
                     std::string_view(echoed, 8) == "neighbou";
  pollfd item{(*guest)->exit_event(), POLLIN, 0};
  ::poll(&item, 1, 300'000);
  return (*guest)->exit_status();
}

TEST_F(SandboxTest, AMemoryBombEndsItselfOnly) {
  GuestSpec hostile = spec();
  hostile.memory_mib = 96;
  bool served = false;
  const auto exit = beside_a_neighbour(*backend_, fabric(), std::move(hostile), {"memory-bomb"}, served);
  ASSERT_TRUE(exit.has_value());
  // Killed by its control group, or refused memory by its limits.
  EXPECT_TRUE((exit->signalled && exit->status == SIGKILL) || (!exit->signalled && exit->status == 42)) << exit->status << console();
  EXPECT_TRUE(served);
}

TEST_F(SandboxTest, AFloodOfNsmRequestsHoldsUpNobodyElse) {
  GuestSpec hostile = spec();
  bool served = false;
  const auto exit = beside_a_neighbour(*backend_, fabric(), std::move(hostile), {"nsm-flood", "30000"}, served);
  ASSERT_TRUE(exit.has_value());
  EXPECT_FALSE(exit->signalled);
  EXPECT_EQ(exit->status, 0) << console();
  EXPECT_TRUE(served);
}

TEST_F(SandboxTest, PointersOfAnIoctlThatChangeReachNothing) { run({"nsm-race"}); }

TEST_F(SandboxTest, BombsRunIntoTheGuestsOwnLimits) {
  GuestSpec small = spec();
  small.memory_mib = 128;
  auto guest = backend_->start(probe_image({"bombs"}).pack(), std::move(small));
  ASSERT_THAT(guest, IsOk());
  const auto exit = wait(**guest);
  guest->reset();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->status, 0) << console();
}

// connect_when_ready waits for the guest to listen.
Result<UniqueFd> connect_when_ready(const std::string& root, std::uint32_t port) {
  Result<UniqueFd> client = unavailable("never tried");
  for (int attempt = 0; attempt < 1000 && !client.ok(); ++attempt) {
    client = fabric::connect(root, fabric::kParentCid, {16, port});
    if (!client.ok()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return client;
}

// exchange sends all of `data`, ends its direction and returns what comes back.
std::string exchange(int socket, const std::string& data) {
  std::thread writer([&] {
    for (std::size_t done = 0; done < data.size();) {
      const ssize_t count = ::send(socket, data.data() + done, data.size() - done, MSG_NOSIGNAL);
      if (count <= 0) break;
      done += static_cast<std::size_t>(count);
    }
    ::shutdown(socket, SHUT_WR);
  });
  std::string got;
  std::vector<char> buffer(65536);
  for (ssize_t count = 0; (count = ::read(socket, buffer.data(), buffer.size())) > 0;) got.append(buffer.data(), static_cast<std::size_t>(count));
  writer.join();
  return got;
}

// EchoParent answers at vsock 3:8000, a thread a connection, and keeps who called.
class EchoParent {
 public:
  explicit EchoParent(const std::string& root)
      : listener_(fabric::listen(root, fabric::kParentCid, 8000).value()), thread_([this] { run(); }) {}
  ~EchoParent() {
    ::shutdown(listener_.fd(), SHUT_RDWR);
    thread_.join();
    for (auto& served : served_) served.join();
  }
  std::vector<fabric::Address> callers() const {
    const std::lock_guard lock(mutex_);
    return callers_;
  }

 private:
  void run() {
    for (;;) {
      const int fd = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      if (const auto address = fabric::peer_address(fd); address.ok()) {
        const std::lock_guard lock(mutex_);
        callers_.push_back(*address);
      }
      served_.emplace_back([connection = UniqueFd(fd)] {
        std::vector<char> buffer(4096);
        for (ssize_t count = 0; (count = ::read(connection.get(), buffer.data(), buffer.size())) > 0;)
          (void)!::write(connection.get(), buffer.data(), static_cast<std::size_t>(count));
      });
    }
  }

  fabric::Listener listener_;
  mutable std::mutex mutex_;
  std::vector<fabric::Address> callers_;
  std::vector<std::thread> served_;
  std::thread thread_;
};

TEST_F(SandboxTest, ServesItsParent) {
  auto guest = start(probe_image({"serve", "5005", "3"}));
  ASSERT_THAT(guest, IsOk());
  for (int i = 0; i < 3; ++i) {
    auto client = connect_when_ready(fabric(), 5005);
    ASSERT_THAT(client, IsOk());
    const std::string sent(1 << 20, static_cast<char>('a' + i));
    EXPECT_TRUE(exchange(client->get(), sent) == sent);
  }
  const auto exit = wait(**guest);
  guest->reset();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->status, 0) << console();
}

TEST_F(SandboxTest, CallsItsParent) {
  EchoParent parent(fabric());
  run({"call", "8000"});
  ASSERT_EQ(parent.callers().size(), 1u);
  EXPECT_EQ(parent.callers()[0].cid, 16u);
}

TEST_F(SandboxTest, AStaticGoProgramServesAndCalls) {
  const std::string program = read_whole(guests() + "/gopher");
  if (program.empty()) GTEST_SKIP() << "no go compiler at build time";
  TestImage image;
  image.files = {{"rootfs/gopher", cpio::kRegular | 0755, program, 0, 0}};
  image.command = {"/gopher", "5006", "20", "200"};
  EchoParent parent(fabric());
  auto guest = start(image);
  ASSERT_THAT(guest, IsOk());
  for (int i = 0; i < 20; ++i) {
    auto client = connect_when_ready(fabric(), 5006);
    ASSERT_THAT(client, IsOk());
    EXPECT_EQ(exchange(client->get(), "to the gopher"), "to the gopher");
  }
  const auto exit = wait(**guest);
  guest->reset();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->status, 0) << console();
}

// python_image copies Debian's interpreter, its libraries and the standard library.
std::optional<TestImage> python_image() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::canonical("/usr/bin/python3", error);
  const std::filesystem::path library = "/usr/lib" / program.filename();
  if (error || !std::filesystem::exists(library)) return std::nullopt;
  TestImage image;
  image.command = {program, "/server.py", "5007", "3"};
  const auto add = [&](const std::string& path) {
    if (!std::filesystem::exists(path)) return;
    image.files.push_back({"rootfs" + path, cpio::kRegular | 0755, read_whole(path), 0, 0});
  };
  add(program);
  for (const char* name : {"libm.so.6", "libz.so.1", "libexpat.so.1", "libc.so.6"}) {
    for (const char* folder : {"/lib/x86_64-linux-gnu/", "/lib/aarch64-linux-gnu/"}) add(std::string(folder) + name);
  }
  for (const char* loader : {"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"}) add(loader);
  const std::set<std::string> unused = {"test", "idlelib", "lib2to3", "tkinter", "__pycache__", "ensurepip", "distutils", "pydoc_data"};
  for (auto entry = std::filesystem::recursive_directory_iterator(library); entry != std::filesystem::end(entry); ++entry) {
    if (entry->is_directory() && (unused.contains(entry->path().filename()) || entry->path().filename().string().starts_with("config-")))
      entry.disable_recursion_pending();
    if (entry->is_regular_file()) add(entry->path());
  }
  image.files.push_back({"rootfs/server.py", cpio::kRegular | 0644, read_whole(CASEMATE_SOURCE_DIR "/tests/guests/server.py"), 0, 0});
  return image;
}

TEST_F(SandboxTest, AnUnmodifiedPythonServesAndCalls) {
  auto image = python_image();
  if (!image) GTEST_SKIP() << "no Debian python3 to copy";
  EchoParent parent(fabric());
  auto guest = start(*image);
  ASSERT_THAT(guest, IsOk());
  for (int i = 0; i < 3; ++i) {
    auto client = connect_when_ready(fabric(), 5007);
    ASSERT_THAT(client, IsOk());
    EXPECT_EQ(exchange(client->get(), "to python"), "to python");
  }
  const auto exit = wait(**guest);
  guest->reset();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->status, 0) << console();
  EXPECT_EQ(parent.callers().size(), 9u);
}

TEST_F(SandboxTest, ReportsHowTheApplicationEnded) {
  run({"exit", "42"}, 42);
  auto guest = start(probe_image({"abort"}));
  ASSERT_THAT(guest, IsOk());
  const auto exit = wait(**guest);
  ASSERT_TRUE(exit.has_value());
  EXPECT_TRUE(exit->signalled);
  EXPECT_EQ(exit->status, SIGABRT);
}

TEST_F(SandboxTest, EndsEveryProcessOfTheGuestOnTerminate) {
  auto guest = start(probe_image({"family"}));
  ASSERT_THAT(guest, IsOk());
  const pid_t init = (*guest)->pid();
  EXPECT_EQ(::kill(init, 0), 0);
  EXPECT_THAT(read_console_until("asleep"), HasSubstr("asleep"));
  EXPECT_FALSE((*guest)->exit_status().has_value());
  (*guest)->terminate();
  const auto exit = wait(**guest, std::chrono::seconds(10));
  ASSERT_TRUE(exit.has_value());
  EXPECT_TRUE(exit->signalled);
  EXPECT_EQ(exit->status, SIGKILL);
  (*guest)->terminate();
  console();  // ends only when no process holds it any more
  EXPECT_EQ(::kill(init, 0), -1);
}

TEST_F(SandboxTest, NamesWhatIsWrongWithAnImage) {
  auto no_command = probe_image({});
  no_command.command = {"/no/such/program"};
  EXPECT_THAT(start(no_command), IsError(ErrorCode::kNotFound, HasSubstr("cannot execute /no/such/program")));
  auto escaping = probe_image({"hello"});
  escaping.files.push_back({"rootfs/../../x", cpio::kRegular | 0644, "x", 0, 0});
  EXPECT_THAT(start(escaping), IsOk());  // leads nowhere: .. of the root is the root
  auto linked = probe_image({"hello"});
  linked.files.push_back({"rootfs/out", cpio::kSymlink | 0777, "/.staging/proc/self", 0, 0});
  linked.files.push_back({"rootfs/out/mem", cpio::kRegular | 0644, "x", 0, 0});
  auto guest = start(linked);
  EXPECT_TRUE(guest.ok() || guest.error().code() == ErrorCode::kNotFound);

  GuestImage truncated = probe_image({"hello"}).pack();
  truncated.ramdisks[1].size -= 2000;
  EXPECT_THAT(backend_->start(std::move(truncated), spec()), IsError(ErrorCode::kMalformed, HasSubstr("ramdisk[1]")));
  GuestImage lonely = probe_image({"hello"}).pack();
  lonely.ramdisks.pop_back();
  EXPECT_THAT(backend_->start(std::move(lonely), spec()), IsError(ErrorCode::kMalformed, HasSubstr("1 ramdisks")));
  auto large = probe_image({"hello"});
  large.files.push_back({"rootfs/large", cpio::kRegular | 0644, std::string(80 << 20, 'x'), 0, 0});
  GuestSpec small = spec();
  small.memory_mib = 64;
  EXPECT_THAT(backend_->start(large.pack(), std::move(small)), IsError(ErrorCode::kLimit, HasSubstr("memory")));
  EXPECT_FALSE(std::filesystem::exists(fabric() + "/16"));
}

TEST_F(SandboxTest, RunsManyGuestsAtOnceAndLeavesNothing) {
  const auto count_fds = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}); };
  const auto before = count_fds();
  for (int round = 0; round < 2; ++round) {
    std::vector<std::thread> threads;
    std::atomic<int> good = 0;
    for (std::uint32_t cid = 20; cid < 30; ++cid) {
      threads.emplace_back([this, cid, &good] {
        GuestSpec own;
        own.cid = cid;
        own.memory_mib = 64;
        own.console.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));
        own.fabric = fabric();
        own.nsm = [](ByteView) { return Bytes{}; };
        auto guest = backend_->start(probe_image({"exit", "7"}).pack(), std::move(own));
        if (!guest.ok()) return;
        const auto exit = wait(**guest);
        good += exit && !exit->signalled && exit->status == 7;
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(good, 10);
  }
  EXPECT_EQ(count_fds(), before);
  EXPECT_FALSE(std::filesystem::exists(fabric() + "/20"));
}

TEST_F(SandboxTest, DiesWithItsSupervisor) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t supervisor = ::fork();
  if (supervisor == 0) {
    auto backend = open_backend(options());
    auto guest = (*backend)->start(probe_image({"family"}).pack(), spec());
    const pid_t init = guest.ok() ? (*guest)->pid() : -1;
    (void)!::write(ends[1], &init, sizeof init);
    for (;;) ::pause();
  }
  pid_t init = -1;
  ASSERT_EQ(::read(ends[0], &init, sizeof init), static_cast<ssize_t>(sizeof init));
  ASSERT_GT(init, 0);
  ASSERT_EQ(::kill(init, 0), 0);
  ::kill(supervisor, SIGKILL);
  ::waitpid(supervisor, nullptr, 0);
  for (int attempt = 0; attempt < 500 && ::kill(init, 0) == 0; ++attempt) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(::kill(init, 0), -1);
  ::close(ends[0]);
  ::close(ends[1]);
  // A successor takes the context over.
  run({"exit", "0"});
}

TEST_F(SandboxTest, AnInterruptedSupervisorStartLeavesNothing) {
  for (int delay_us = 0; delay_us < 60000; delay_us += 3000) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const pid_t supervisor = ::fork();
    if (supervisor == 0) {
      auto backend = open_backend(options());
      GuestSpec own = spec();
      own.console.reset(::fcntl(ends[1], F_DUPFD_CLOEXEC, 0));
      auto guest = (*backend)->start(probe_image({"family"}).pack(), std::move(own));
      for (;;) ::pause();
    }
    ::close(ends[1]);
    ::usleep(static_cast<useconds_t>(delay_us));
    ::kill(supervisor, SIGKILL);
    ::waitpid(supervisor, nullptr, 0);
    // The console ends when its last holder, keeper, init or application, is gone.
    pollfd item{ends[0], POLLIN, 0};
    char buffer[512];
    bool ended = false;
    while (::poll(&item, 1, 5000) == 1 && !(ended = ::read(ends[0], buffer, sizeof buffer) == 0)) continue;
    EXPECT_TRUE(ended) << "after " << delay_us << " us";
    ::close(ends[0]);
  }
}

constexpr uid_t kUser = 54321;

// run_self runs other tests of this program as another user; `files` stand for files of /etc in its sight.
int run_self(const std::string& filter, const std::vector<std::pair<std::string, std::string>>& files) {
  const pid_t child = ::fork();
  if (child == 0) {
    const int folder = ::open(guests().c_str(), O_PATH | O_DIRECTORY);
    if (folder < 0 || ::setenv("CASEMATE_TEST_GUESTS", fmt::format("/proc/self/fd/{}", folder).c_str(), 1) != 0) ::_exit(89);
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) ::_exit(90);
    for (const auto& [source, target] : files) {
      if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0) ::_exit(91);
    }
    if (::setgroups(0, nullptr) != 0 || ::setresgid(kUser, kUser, kUser) != 0 || ::setresuid(kUser, kUser, kUser) != 0) ::_exit(92);
    ::execl("/proc/self/exe", "runtime_sandbox_test", ("--gtest_filter=" + filter).c_str(), "--gtest_brief=1", nullptr);
    ::_exit(93);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

constexpr char kAsAnyUser[] =
    "SandboxTest.NsmBehavesAsItsDriver:SandboxTest.VsockBehavesAsLinux:SandboxTest.TheGuestSeesAnEnclave:SandboxTest.AHostile*:"
    "KeptRootsTest.*:SandboxTest.TheImagesFiles*:SandboxTest.Serves*:SandboxTest.Calls*:SandboxTest.AStaticGo*:SandboxTest.Ends*:SandboxTest.DiesWith*:SandboxTest.Bombs*";

TEST(SandboxAsUser, WorksWithoutPrivilegeAndWithOneId) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root: the other tests are this one";
  EXPECT_EQ(run_self(kAsAnyUser, {}), 0);
}

TEST(SandboxAsUser, WorksWithSubordinateIds) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root: cannot give itself subordinate ids";
  if (::access("/usr/bin/newuidmap", X_OK) != 0 || ::access("/etc/subuid", F_OK) != 0) GTEST_SKIP() << "no newuidmap here";
  std::string folder = "/tmp/subids-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  ASSERT_EQ(::chmod(folder.c_str(), 0755), 0);
  std::ofstream(folder + "/ids") << "guest-runner:700000:65536\n";
  std::ofstream(folder + "/passwd") << read_whole("/etc/passwd") << "guest-runner:x:54321:54321::/:/bin/false\n";
  EXPECT_EQ(run_self(kAsAnyUser, {{folder + "/ids", "/etc/subuid"}, {folder + "/ids", "/etc/subgid"}, {folder + "/passwd", "/etc/passwd"}}), 0);
  std::filesystem::remove_all(folder);
}

TEST(IdMap, FindsTheUsersFirstLargeEnoughRange) {
  const std::string file = "other:1:65536\nme:5:10\nme:200000:65536\n1000:300000:100000\n";
  EXPECT_EQ(find_subordinate(file, "me", 1), 200000u);
  EXPECT_EQ(find_subordinate(file, "", 1000), 300000u);
  EXPECT_EQ(find_subordinate(file, "nobody", 7), 0u);
  EXPECT_EQ(find_subordinate("me:\nme\n::\n", "me", 1), 0u);
}

TEST(GuestPolicy, NamesOnlyRealCallsAndNoneTwice) {
  ASSERT_THAT(guest_filter(), IsOk());
  std::set<std::string_view> whole;
  for (const auto& rule : guest_policy()) {
    EXPECT_FALSE(rule.reason.empty()) << rule.call;
    EXPECT_TRUE(!whole.contains(rule.call)) << rule.call << " after a rule that holds always";
    if (rule.when.empty()) whole.insert(rule.call);
  }
}

}  // namespace
}  // namespace casemate::runtime::sandbox
