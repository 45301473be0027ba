// SPDX-License-Identifier: Apache-2.0
// Images and guests for the sandbox's tests: the probe of tests/guests, packed as an application's ramdisk.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/stream.h"
#include "base/test_matchers.h"
#include "cpio/cpio.h"
#include "crypto/digest.h"
#include "fabric/fabric.h"
#include "runtime/sandbox/id_map.h"
#include "runtime/sandbox/sandbox.h"

namespace casemate::runtime::sandbox {

inline std::string read_whole(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

struct TestImage {
  struct File {
    std::string name;
    std::uint32_t mode = 0;
    std::string data;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
  };
  std::vector<File> files;
  std::vector<std::string> command;
  std::vector<std::string> environment;

  // pack lays out a boot ramdisk and the application's behind some bytes of something else, as in an EIF.
  GuestImage pack() const {
    MemorySink boot;
    cpio::Writer boot_writer(boot);
    EXPECT_THAT(boot_writer.add({.name = "init", .mode = cpio::kRegular | 0755}, as_bytes("never run")), IsOk());
    EXPECT_THAT(boot_writer.finish(), IsOk());
    MemorySink application;
    cpio::Writer writer(application);
    const auto add = [&](const File& file) {
      EXPECT_THAT(writer.add({.name = file.name, .mode = file.mode, .uid = file.uid, .gid = file.gid, .mtime = 1492533000}, as_bytes(file.data)),
                  IsOk());
    };
    add({"rootfs", cpio::kDirectory | 0755, "", 0, 0});
    for (const auto& file : files) add(file);
    for (const char* folder : {"dev", "run", "sys", "var", "proc", "tmp"}) add({fmt::format("rootfs/{}", folder), cpio::kDirectory | 0755, "", 0, 0});
    const auto lines = [](const std::vector<std::string>& items) {
      std::string text;
      for (const auto& item : items) text += item + "\n";
      return text;
    };
    if (!command.empty()) add({"cmd", cpio::kRegular | 0644, lines(command), 0, 0});
    add({"env", cpio::kRegular | 0644, lines(environment), 0, 0});
    EXPECT_THAT(writer.finish(), IsOk());

    GuestImage image;
    image.file.reset(::memfd_create("image", MFD_CLOEXEC));
    Bytes all(123);
    image.ramdisks.push_back({all.size(), boot.data().size()});
    append(all, boot.data());
    image.ramdisks.push_back({all.size(), application.data().size()});
    append(all, application.data());
    EXPECT_EQ(::write(image.file.get(), all.data(), all.size()), static_cast<ssize_t>(all.size()));
    struct stat status {};
    EXPECT_EQ(::fstat(image.file.get(), &status), 0);
    eif::Measurements measured;
    measured.pcr0 = crypto::sha384(all);
    image.content = GuestImage::Content{identity_of(status), measured};
    return image;
  }
};

// guests is the folder with the tests' guests; a test that becomes another user names it by a descriptor, since the build
// folder may be closed to others.
inline std::string guests() {
  const char* folder = ::getenv("CASEMATE_TEST_GUESTS");
  return folder != nullptr ? folder : CASEMATE_TEST_GUESTS;
}

inline TestImage probe_image(std::vector<std::string> arguments) {
  TestImage image;
  image.files = {
      {"rootfs/probe", cpio::kRegular | 0755, read_whole(guests() + "/probe"), 0, 0},
      {"rootfs/bin/", cpio::kDirectory | 0755, "", 0, 0},
      {"rootfs/bin/tool", cpio::kRegular | 04755, "#!/probe\n", 0, 0},
      {"rootfs/bin/link", cpio::kSymlink | 0777, "tool", 0, 0},
      {"rootfs/var/data/", cpio::kDirectory | 0755, "", 1000, 100},
      {"rootfs/dev/", cpio::kDirectory | 0755, "", 0, 0},
      {"rootfs/dev/null", cpio::kRegular | 0644, "not a device", 0, 0},
      {"rootfs/etc/", cpio::kDirectory | 0755, "", 0, 0},
      {"rootfs/etc/ssl/certs/ca-certificates.crt", cpio::kRegular | 0644, "IMAGE ANCHOR\n", 0, 0},
  };
  // Tells the probe that chown and setuid cannot work.
  if (plan_ids(0).count == 1) image.files.push_back({"rootfs/single-id", cpio::kRegular | 0644, "", 0, 0});
  image.command = {"/probe"};
  image.command.insert(image.command.end(), arguments.begin(), arguments.end());
  image.environment = {"GREETING=hello world", "EMPTY="};
  return image;
}

// SandboxTest has a backend, a fabric and a console, and leaves nothing behind.
class SandboxTest : public testing::Test {
 protected:
  void SetUp() override {
    // Where user namespaces are forbidden nothing here can run; the backend's error says so to a user.
    const pid_t child = ::fork();
    if (child == 0) ::_exit(::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 ? 0 : 1);
    int status = -1;
    if (::waitpid(child, &status, 0) != child || status != 0) GTEST_SKIP() << "user namespaces are not allowed here";
  }

  SandboxTest() {
    std::string pattern = "/tmp/sandbox-test-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    auto backend = open_backend(options());
    EXPECT_THAT(backend, IsOk());
    if (backend.ok()) backend_ = backend.take();
  }
  ~SandboxTest() override {
    backend_.reset();
    std::filesystem::remove_all(folder_);
  }

  // With CASEMATE_TEST_ROOTS every guest's root is a kept one below a layer of its own.
  Options options() const {
    Options out;
    if (::getenv("CASEMATE_TEST_ROOTS") != nullptr) {
      out.roots = folder_ + "/roots";
      out.most_root_bytes = std::uint64_t{1} << 30;
    }
    return out;
  }

  std::string fabric() const { return folder_ + "/vsock"; }

  GuestSpec spec(std::uint32_t cid = 16) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    console_.reset(ends[0]);
    ::fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
    GuestSpec out;
    out.cid = cid;
    out.memory_mib = 256;
    out.console.reset(ends[1]);
    out.fabric = fabric();
    out.trust_anchors_pem = "PLATFORM ANCHOR\n";
    // What a user without control groups is told is not what these tests are about.
    out.on_event = [this](std::string_view text) {
      if (!text.starts_with("memory:")) events_ += std::string(text) + "\n";
    };
    out.nsm = [](ByteView request) {
      Bytes response = to_bytes(as_bytes("pong:"));
      append(response, request);
      return response;
    };
    return out;
  }

  Result<std::unique_ptr<Guest>> start(const TestImage& image, std::uint32_t cid = 16) { return backend_->start(image.pack(), spec(cid)); }

  // console gives all that was written, once nothing can be written any more.
  std::string console() {
    std::string text;
    char buffer[4096];
    for (ssize_t count = 0; (count = ::read(console_.get(), buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(count));
    return text;
  }
  std::string read_console_until(const std::string& mark) {
    std::string text;
    char byte = 0;
    while (text.find(mark) == std::string::npos && ::read(console_.get(), &byte, 1) == 1) text += byte;
    return text;
  }

  static std::optional<GuestExit> wait(Guest& guest, std::chrono::seconds patience = std::chrono::seconds(180)) {
    pollfd item{guest.exit_event(), POLLIN, 0};
    if (::poll(&item, 1, static_cast<int>(patience.count() * 1000)) != 1) return std::nullopt;
    return guest.exit_status();
  }

  // Runs a scenario of the probe to its end; the console explains a failure.
  void run(std::vector<std::string> arguments, int want = 0) {
    auto guest = start(probe_image(std::move(arguments)));
    ASSERT_THAT(guest, IsOk()) << console_until_now();
    const auto exit = wait(**guest);
    ASSERT_TRUE(exit.has_value()) << "still runs; " << console_until_now();
    guest->reset();
    const std::string text = console();
    EXPECT_FALSE(exit->signalled) << "signal " << exit->status << "\n" << text;
    EXPECT_EQ(exit->status, want) << text;
  }

  std::string console_until_now() {
    ::fcntl(console_.get(), F_SETFL, O_NONBLOCK);
    return console();
  }

  std::string folder_;
  std::unique_ptr<Backend> backend_;
  UniqueFd console_;
  std::string events_;
};

}  // namespace casemate::runtime::sandbox
