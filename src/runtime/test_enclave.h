// SPDX-License-Identifier: Apache-2.0
// For tests of the runtime: a backend whose guest is a shell script in the image's last ramdisk, a minimal image, and
// enclave processes forked from the test.
#pragma once

#include <fcntl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/rng.h"
#include "eif/crc32.h"
#include "eif/format.h"
#include "runtime/client.h"
#include "runtime/supervisor.h"

namespace casemate::runtime::testing {

// ScriptGuest runs `sh -c SCRIPT` with the console as its standard output.
class ScriptGuest final : public Guest {
 public:
  ScriptGuest(pid_t pid, UniqueFd event) : pid_(pid), event_(std::move(event)) {}
  ~ScriptGuest() override {
    terminate();
    reap(0);
  }
  int exit_event() const override { return event_.get(); }
  std::optional<GuestExit> exit_status() override {
    reap(WNOHANG);
    return exit_;
  }
  void terminate() override {
    if (!exit_) ::kill(-pid_, SIGKILL);
  }
  pid_t pid() const override { return pid_; }

 private:
  void reap(int flags) {
    int status = 0;
    if (exit_ || ::waitpid(pid_, &status, flags) != pid_) return;
    ::kill(-pid_, SIGKILL);
    exit_ = WIFSIGNALED(status) ? GuestExit{true, WTERMSIG(status)} : GuestExit{false, WEXITSTATUS(status)};
  }

  pid_t pid_;
  UniqueFd event_;
  std::optional<GuestExit> exit_;
};

class ScriptBackend final : public Backend {
 public:
  Result<std::unique_ptr<Guest>> start(GuestImage image, GuestSpec spec) override {
    const GuestImage::Range range = image.ramdisks.back();
    std::string script(range.size, '\0');
    if (::pread(image.file.get(), script.data(), script.size(), static_cast<off_t>(range.offset)) < 0) return errno_error("pread");
    if (script.starts_with("refuse")) return unsupported("script: refused");
    const std::string nsm(as_text(spec.nsm(as_bytes("request"))));
    const pid_t pid = ::fork();
    if (pid < 0) return errno_error("fork");
    if (pid == 0) {
      ::setpgid(0, 0);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      sigset_t none;
      sigemptyset(&none);
      ::sigprocmask(SIG_SETMASK, &none, nullptr);
      ::dup2(spec.console.get(), 1);
      ::dup2(spec.console.get(), 2);
      ::setenv("NSM", nsm.c_str(), 1);
      ::execl("/bin/sh", "sh", "-c", script.c_str(), nullptr);
      ::_exit(127);
    }
    ::setpgid(pid, pid);
    UniqueFd event(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!event) return errno_error("pidfd_open");
    return std::unique_ptr<Guest>(std::make_unique<ScriptGuest>(pid, std::move(event)));
  }
};

// image_with makes a valid image: kernel, command line, metadata, an empty boot ramdisk and one with `script`.
inline Bytes image_with(std::string_view script) {
  const std::string metadata =
      R"({"ImageName":"img","ImageVersion":"1","BuildMetadata":{"BuildTool":"test"},"DockerInfo":{"a":1},"CustomMetadata":{"mine":2}})";
  const std::array<std::pair<eif::SectionType, std::string_view>, 5> parts = {
      std::pair{eif::SectionType::kKernel, std::string_view("kernel")},
      std::pair{eif::SectionType::kCmdline, std::string_view("console=ttyS0")},
      std::pair{eif::SectionType::kMetadata, std::string_view(metadata)},
      std::pair{eif::SectionType::kRamdisk, std::string_view("boot")}, std::pair{eif::SectionType::kRamdisk, script}};
  eif::Header header;
#if defined(__aarch64__)
  header.flags = eif::kFlagArm64;
#endif
  header.section_count = parts.size();
  Bytes body;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    header.section_offsets[i] = eif::kHeaderSize + body.size();
    header.section_sizes[i] = parts[i].second.size();
    append(body, eif::encode_section_header({parts[i].first, 0, parts[i].second.size()}));
    append(body, as_bytes(parts[i].second));
  }
  Bytes image = eif::encode_header(header);
  header.crc = eif::crc32(eif::crc32(0, ByteView(image).first(eif::kCrcOffset)), body);
  image = eif::encode_header(header);
  append(image, body);
  return image;
}

// World is one platform in a folder of its own.
struct World {
  World() {
    std::string pattern = "/tmp/casemate-runtime-test-XXXXXX";
    root = ::mkdtemp(pattern.data());
    paths.home = root / "home";
    paths.run = root / "run";
  }
  ~World() {
    (void)terminate_all(paths.run);
    for (const pid_t pid : children) ::waitpid(pid, nullptr, 0);
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  os::Path write_image(std::string_view script, std::string_view name = "hello.eif") const {
    const Bytes image = image_with(script);
    const os::Path path = root / name;
    CASEMATE_CHECK(os::write_file(path, image, 0600).ok());
    return path;
  }

  RunRequest request(std::string_view script, bool debug_mode = true) const {
    RunRequest request;
    request.eif_path = write_image(script).native();
    request.cpu_count = 2;
    request.memory_mib = 64;
    request.debug_mode = debug_mode;
    return request;
  }

  Registry registry() const { return Registry(paths, sockets); }

  // spawn forks an enclave process and returns nitro-cli's end of its first connection.
  Connection spawn() {
    int ends[2];
    CASEMATE_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    const pid_t pid = ::fork();
    CASEMATE_CHECK(pid >= 0);
    if (pid == 0) {
      ::close(ends[0]);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      SystemClock clock;
      crypto::SystemRng rng;
      Log log;
      Registry own = registry();
      ScriptBackend backend;
      Host host{clock, rng, log, own, backend, [](const NsmIdentity& identity) -> Result<NsmHandler> {
                  return NsmHandler([text = identity.module_id](ByteView) { return to_bytes(as_bytes(text)); });
                }, {}};
      ::_exit(supervise(UniqueFd(ends[1]), host).ok() ? 0 : 1);
    }
    ::close(ends[1]);
    children.push_back(pid);
    return Connection(UniqueFd(ends[0]));
  }

  Result<std::variant<Started, StartFailure>> start(const RunRequest& request) {
    return follow_start(spawn(), request, [this](std::string_view line) { said += line; });
  }
  // started is a start that must succeed: what describe-enclaves knows of it.
  std::string started(const RunRequest& request) {
    auto outcome = start(request);
    CASEMATE_CHECK(outcome.ok());
    auto* run = std::get_if<Started>(&*outcome);
    CASEMATE_CHECK(run != nullptr);
    const json::Value shown = run->shown;
    return *shown.string_at("EnclaveID");
  }

  os::Path root;
  os::Paths paths;
  os::Path sockets;
  std::vector<pid_t> children;
  std::string said;
};

}  // namespace casemate::runtime::testing
