// SPDX-License-Identifier: Apache-2.0
// nitro-cli run-enclave, describe-enclaves, console, terminate-enclave, logs and wait with the sandbox backend: what is
// printed, the exit statuses, the documents that the guest gets, and what is left behind.
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "attestation/trust.h"
#include "attestation/verify.h"
#include "base/encoding.h"
#include "base/test_matchers.h"
#include "cpio/cpio.h"
#include "eif/crc32.h"
#include "eif/format.h"
#include "fabric/fabric.h"
#include "json/value.h"
#include "nsm/message.h"
#include "os/paths.h"
#include "os/process.h"
#include "runtime/client.h"
#include "runtime/registry.h"

namespace casemate {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr std::string_view kRole = "arn:aws:iam::111122223333:role/casemate-parent";
constexpr std::string_view kInstance = "i-0123456789abcdef0";

Bytes ramdisk(const std::vector<std::pair<std::string, std::string>>& lists, std::string_view program) {
  MemorySink sink;
  cpio::Writer writer(sink);
  const auto add = [&writer](std::string name, std::uint32_t mode, std::string_view data = {}) {
    cpio::Entry entry;
    entry.name = std::move(name);
    entry.mode = mode;
    CASEMATE_CHECK(writer.add(entry, as_bytes(data)).ok());
  };
  for (const char* folder : {"rootfs", "rootfs/dev", "rootfs/run", "rootfs/sys", "rootfs/var", "rootfs/proc", "rootfs/tmp"})
    add(folder, cpio::kDirectory | 0755);
  add("rootfs/app", cpio::kRegular | 0755, program);
  for (const auto& [name, text] : lists) add(name, cpio::kRegular | 0644, text);
  CASEMATE_CHECK(writer.finish().ok());
  return sink.take();
}

// An image of the static guest with one argument.
Bytes image_of(std::string_view argument) {
  const auto program = os::read_file(CASEMATE_GUEST, 64 * 1024 * 1024);
  CASEMATE_CHECK(program.ok());
  const Bytes boot = ramdisk({}, "");
  const Bytes application = ramdisk({{"cmd", fmt::format("/app\n{}\n", argument)}, {"env", "PATH=/\n"}}, *program);
  const std::string metadata = R"({"ImageName":"guest","ImageVersion":"1","BuildMetadata":{},"DockerInfo":null,"CustomMetadata":null})";
  const std::array<std::pair<eif::SectionType, ByteView>, 5> parts = {
      std::pair{eif::SectionType::kKernel, as_bytes("kernel")}, std::pair{eif::SectionType::kCmdline, as_bytes("reboot=k")},
      std::pair{eif::SectionType::kMetadata, as_bytes(metadata)}, std::pair{eif::SectionType::kRamdisk, ByteView(boot)},
      std::pair{eif::SectionType::kRamdisk, ByteView(application)}};
  eif::Header header;
#if defined(__aarch64__)
  header.flags = eif::kFlagArm64;
#endif
  header.section_count = parts.size();
  Bytes body;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    header.section_offsets.at(i) = eif::kHeaderSize + body.size();
    header.section_sizes.at(i) = parts.at(i).second.size();
    append(body, eif::encode_section_header({parts.at(i).first, 0, parts.at(i).second.size()}));
    append(body, parts.at(i).second);
  }
  header.crc = eif::crc32(eif::crc32(0, ByteView(eif::encode_header(header)).first(eif::kCrcOffset)), body);
  Bytes image = eif::encode_header(header);
  append(image, body);
  return image;
}

class RunSide : public ::testing::Test {
 protected:
  RunSide() {
    std::string pattern = "/tmp/casemate-run-side-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    paths_.home = root_ / "home";
    paths_.run = root_ / "run";
    ::setenv("CASEMATE_HOME", paths_.home.c_str(), 1);
    ::setenv("CASEMATE_RUN_DIR", paths_.run.c_str(), 1);
    ::unsetenv("NITRO_CLI_SOCKETS_PATH");
    ::unsetenv("NITRO_CLI_LOGS_PATH");
    ::unsetenv("BACKTRACE");
    CASEMATE_CHECK(os::make_private_directories(paths_.home).ok());
    CASEMATE_CHECK(os::save_platform(paths_, {.account = "111122223333", .region = "us-east-1", .role_arn = std::string(kRole),
                                              .instance_id = std::string(kInstance)})
                       .ok());
  }
  ~RunSide() override {
    (void)runtime::terminate_all(paths_.run);
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  os::Path eif(std::string_view argument) {
    const os::Path path = root_ / fmt::format("{}.eif", argument);
    CASEMATE_CHECK(os::write_file(path, image_of(argument), 0600).ok());
    return path;
  }

  os::Output cli(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), CASEMATE_BIN_DIR "/nitro-cli");
    auto output = os::run(arguments, std::chrono::seconds(60));
    CASEMATE_CHECK(output.ok());
    return output.take();
  }

  os::Output run(const os::Path& image, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"run-enclave", "--cpu-count", "2", "--memory", "256", "--eif-path", image.native()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return cli(arguments);
  }

  struct Known {
    std::string id;
    std::uint32_t cid = 0;
    pid_t pid = 0;
  };
  Known started(const os::Path& image, std::vector<std::string> more = {}) {
    const os::Output output = run(image, std::move(more));
    EXPECT_EQ(output.status, 0) << output.err;
    const auto value = json::parse(output.out);
    CASEMATE_CHECK(value.ok());
    return {*value->string_at("EnclaveID"), static_cast<std::uint32_t>(*value->int_at("EnclaveCID")),
            static_cast<pid_t>(*value->int_at("ProcessID"))};
  }

  json::Value described() {
    const os::Output output = cli({"describe-enclaves"});
    EXPECT_EQ(output.status, 0) << output.err;
    return json::parse(output.out).take();
  }

  Result<UniqueFd> call(std::uint32_t cid, char command) {
    Error last = internal("unreachable");
    for (int i = 0; i < 500; ++i) {
      Result<UniqueFd> fd = fabric::connect(paths_.fabric().native(), fabric::kParentCid, {cid, 5000});
      if (fd.ok()) {
        TRY(os::write_all(fd->get(), as_bytes(std::string_view(&command, 1))));
        return fd;
      }
      last = std::move(fd).error();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return last;
  }

  // What the guest's NSM answers to an attestation request.
  nsm::Response response(std::uint32_t cid) {
    Result<UniqueFd> fd = call(cid, 'a');
    CASEMATE_CHECK(fd.ok());
    Bytes response(0x3000);
    std::size_t size = 0;
    for (;;) {
      const auto count = os::read_some(fd->get(), std::span(response).subspan(size));
      CASEMATE_CHECK(count.ok());
      if (*count == 0) break;
      size += *count;
    }
    response.resize(size);
    auto parsed = nsm::parse_response(response);
    CASEMATE_CHECK(parsed.ok());
    return parsed.take();
  }

  Result<attestation::VerifiedDocument> verdict(std::uint32_t cid, std::optional<std::chrono::milliseconds> max_age = {}) {
    const nsm::Response answer = response(cid);
    const auto* reply = std::get_if<nsm::AttestationResponse>(&answer);
    CASEMATE_CHECK(reply != nullptr);
    attestation::TrustAnchors anchors;
    const auto pem = os::read_file(paths_.pki() / "root.pem", 64 * 1024);
    CASEMATE_CHECK(pem.ok() && anchors.add_pem("local", *pem).ok());
    attestation::Policy policy = attestation::Policy::at_time(SystemClock().now());
    policy.allow_debug = attestation::AllowDebug::kYes;
    policy.max_age = max_age;
    return attestation::verify(reply->document, anchors, policy);
  }

  attestation::VerifiedDocument document(std::uint32_t cid) {
    auto verified = verdict(cid);
    if (!verified) ADD_FAILURE() << verified.error().message();
    return verified.take();
  }

  std::vector<std::string> left() {
    std::vector<std::string> names;
    for (const std::string& name : os::list(paths_.enclaves()).take()) {
      if (!name.starts_with('.')) names.push_back(name);
    }
    for (const std::string& name : os::list(paths_.fabric()).take()) {
      // The parent's own folder stays.
      if (name != "peer" && name != "3") names.push_back("vsock/" + name);
    }
    return names;
  }

  os::Path root_;
  os::Paths paths_;
};

TEST_F(RunSide, DebugEnclaveFromStartToEnd) {
  const os::Path image = eif("serve");
  const os::Output run_output = run(image, {"--debug-mode"});
  ASSERT_EQ(run_output.status, 0) << run_output.err;
  EXPECT_EQ(run_output.err,
            "Start allocating memory...\nStarted enclave with enclave-cid: 16, memory: 256 MiB, cpu-ids: [1, 3]\n");
  const json::Value shown = json::parse(run_output.out).take();
  const std::string id = *shown.string_at("EnclaveID");
  EXPECT_THAT(id, StartsWith(fmt::format("{}-enc", kInstance)));
  EXPECT_EQ(*shown.string_at("EnclaveName"), "serve");

  const json::Value list = described();
  ASSERT_EQ(list.array().size(), 1U);
  const json::Value& only = list.array()[0];
  EXPECT_EQ(*only.string_at("EnclaveID"), id);
  EXPECT_EQ(*only.string_at("State"), "RUNNING");
  EXPECT_EQ(*only.string_at("Flags"), "DEBUG_MODE");
  EXPECT_NE(*only.find("Measurements")->string_at("PCR0"), std::string(96, '0'));

  const attestation::VerifiedDocument document = this->document(16);
  EXPECT_TRUE(document.is_debug());
  EXPECT_FALSE(all_zero(*document.document().find_pcr(3)));
  EXPECT_FALSE(all_zero(*document.document().find_pcr(4)));
  EXPECT_THAT(document.document().module_id, StartsWith(fmt::format("{}-enc0", kInstance)));

  const os::Output console = cli({"console", "--enclave-id", id, "--disconnect-timeout", "1"});
  EXPECT_EQ(console.status, 0) << console.err;
  EXPECT_THAT(console.out, StartsWith("Connecting to the console for enclave 16...\nSuccessfully connected to the console.\n"));
  EXPECT_THAT(console.out, HasSubstr("argument 1: serve\n"));
  EXPECT_THAT(console.out, HasSubstr("listening\n"));
  EXPECT_THAT(cli({"logs", "--enclave-name", "serve"}).out, HasSubstr("listening\n"));

  const os::Output terminated = cli({"terminate-enclave", "--enclave-id", id});
  EXPECT_EQ(terminated.status, 0) << terminated.err;
  EXPECT_EQ(terminated.err, fmt::format("Successfully terminated enclave {}.\n", id));
  EXPECT_EQ(json::encode(json::parse(terminated.out).take()),
            fmt::format(R"({{"EnclaveName":"serve","EnclaveID":"{}","Terminated":true}})", id));
  EXPECT_EQ(cli({"describe-enclaves"}).out, "[]\n");
  EXPECT_THAT(left(), IsEmpty());
}

TEST_F(RunSide, ProductionEnclaveAttestsToItsImageAndHasNoConsole) {
  const Known enclave = started(eif("serve"));
  const json::Value list = described();
  ASSERT_EQ(list.array().size(), 1U);
  EXPECT_EQ(*list.array()[0].string_at("Flags"), "NONE");
  const attestation::VerifiedDocument document = this->document(enclave.cid);
  EXPECT_FALSE(document.is_debug());
  const json::Value* measurements = list.array()[0].find("Measurements");
  for (const std::uint8_t index : Bytes{0, 1, 2})
    EXPECT_EQ(encode_hex(*document.document().find_pcr(index)), *measurements->string_at(fmt::format("PCR{}", index)));

  const os::Output console = cli({"console", "--enclave-id", enclave.id});
  EXPECT_EQ(console.status, 44);
  EXPECT_THAT(console.err, StartsWith("[ E44 ] Enclave console connection failure: "));
  EXPECT_THAT(console.out, IsEmpty());
}

TEST_F(RunSide, FaultsShowInTheDocuments) {
  const os::Path image = eif("serve");
  const auto with = [&](std::string fault) { return started(image, {"--fault", std::move(fault)}).cid; };
  EXPECT_THAT(verdict(with("expired-leaf")), IsError(ErrorCode::kUntrusted, HasSubstr("valid")));
  EXPECT_THAT(verdict(with("bad-signature")), IsError(ErrorCode::kUntrusted, HasSubstr("signature")));
  EXPECT_THAT(verdict(with("foreign-root")), IsError(ErrorCode::kUntrusted, HasSubstr("root")));
  const std::uint32_t stale = with("stale-document");
  EXPECT_THAT(verdict(stale, std::chrono::minutes(5)), IsError(ErrorCode::kUntrusted, HasSubstr("age")));
  EXPECT_THAT(verdict(stale), IsOk());

  const attestation::VerifiedDocument wrong = document(with("wrong-pcr"));
  EXPECT_FALSE(wrong.is_debug());
  const json::Value list = described();
  const json::Value& last = list.array().back();
  EXPECT_EQ(json::encode(*last.find("Faults")), R"(["wrong-pcr"])");
  for (const std::uint8_t index : Bytes{0, 1, 2})
    EXPECT_NE(encode_hex(*wrong.document().find_pcr(index)), *last.find("Measurements")->string_at(fmt::format("PCR{}", index)));

  const nsm::Response answer = response(with("nsm-error"));
  const auto* error = std::get_if<nsm::ErrorResponse>(&answer);
  ASSERT_NE(error, nullptr);
  EXPECT_EQ(error->code, nsm::ErrorCode::kInternalError);

  const std::uint32_t slow = with("slow-nsm");
  const auto before = std::chrono::steady_clock::now();
  EXPECT_THAT(verdict(slow), IsOk());
  EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::seconds(5));
  const os::Output unknown = run(image, {"--fault", "gremlins"});
  EXPECT_EQ(unknown.status, 3);
  EXPECT_THAT(unknown.err, HasSubstr("boot-hang"));
}

TEST_F(RunSide, ALaterStartOfAnImageAttestsToTheSame) {
  const os::Path image = eif("serve");
  const auto see = [&] {
    const Known enclave = started(image, {"--wait-ready", "5000"});
    const Bytes pcr0 = to_bytes(*document(enclave.cid).document().find_pcr(0));
    EXPECT_EQ(cli({"terminate-enclave", "--enclave-id", enclave.id}).status, 0);
    return pcr0;
  };
  // Old enough to be known again.
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  const Bytes first = see();
  EXPECT_EQ(see(), first);
  EXPECT_EQ(os::list(paths_.measured_images()).take().size(), 1U);
  ::setenv("CASEMATE_ROOT_CACHE", "off", 1);
  EXPECT_EQ(see(), first);
  ::unsetenv("CASEMATE_ROOT_CACHE");
}

// An enclave process that has noted its end closes its socket, with whoever connected just before still in the queue.
TEST_F(RunSide, WaitTellsTheStatusOfAnEnclaveThatEndsBeforeItTakesTheConnection) {
  const os::Output output = run(eif("end"), {"--enclave-name", "brief"});
  ASSERT_EQ(output.status, 0) << output.err;
  const std::string id = *json::parse(output.out)->string_at("EnclaveID");
  ASSERT_EQ(cli({"wait", "--enclave-id", id}).status, 7);

  auto registry = runtime::Registry::from_environment();
  ASSERT_THAT(registry, IsOk());
  const os::Path socket = registry->socket_of(id).take();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(socket.native().size(), sizeof address.sun_path);
  socket.native().copy(address.sun_path, socket.native().size());
  // The enclave's own process has told its end and may not have removed its folder yet.
  for (int attempt = 0; attempt < 1000 && std::filesystem::exists(socket.parent_path()); ++attempt)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ASSERT_THAT(os::make_private_directories(socket.parent_path()), IsOk());
  const UniqueFd ending(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(ending.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(ending.get(), 8), 0);
  std::thread closer([&] { UniqueFd(::accept4(ending.get(), nullptr, nullptr, SOCK_CLOEXEC)).reset(); });
  const os::Output waited = cli({"wait", id});
  closer.join();
  EXPECT_EQ(waited.status, 7) << waited.err;
}

TEST_F(RunSide, AnotherImageUnderTheSameNameIsWhatRuns) {
  const auto see = [&](const os::Path& image) {
    const os::Output output = run(image, {"--debug-mode"});
    EXPECT_EQ(output.status, 0) << output.err;
    const json::Value shown = json::parse(output.out).take();
    const std::string id = *shown.string_at("EnclaveID");
    EXPECT_EQ(cli({"wait", "--enclave-id", id}).status, 7);
    return cli({"logs", "--enclave-id", id}).out;
  };
  const os::Path image = root_ / "image.eif";
  ASSERT_THAT(os::write_file(image, image_of("end\nfirst"), 0600), IsOk());
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  EXPECT_THAT(see(image), HasSubstr("argument 2: first\n"));
  EXPECT_THAT(see(image), HasSubstr("argument 2: first\n"));
  // Another file in its place.
  ASSERT_THAT(os::write_file(image, image_of("end\nother"), 0600), IsOk());
  EXPECT_THAT(see(image), HasSubstr("argument 2: other\n"));
  // And other content of the same size in the same file, its mtime put back, again and again.
  for (const std::string_view argument : {"again", "AGAIN", "agaiN"}) {
    struct stat before {};
    ASSERT_EQ(::stat(image.c_str(), &before), 0);
    const Bytes content = image_of(fmt::format("end\n{}", argument));
    const UniqueFd file(::open(image.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(::pwrite(file.get(), content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
    const timespec times[2] = {before.st_atim, before.st_mtim};
    ASSERT_EQ(::futimens(file.get(), times), 0);
    EXPECT_THAT(see(image), HasSubstr(fmt::format("argument 2: {}\n", argument)));
  }
}

TEST_F(RunSide, AKilledSupervisorLeavesItsRootToTheNext) {
  const os::Path image = eif("serve");
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  for (int round = 0; round < 3; ++round) {
    const Known enclave = started(image, {"--wait-ready", "5000"});
    ASSERT_EQ(::kill(enclave.pid, SIGKILL), 0);
  }
  const Known last = started(image, {"--wait-ready", "5000"});
  EXPECT_EQ(cli({"terminate-enclave", "--enclave-id", last.id}).status, 0);
  const auto log = os::read_file(paths_.run / "logs" / "nitro_enclaves.log", 1 << 20);
  ASSERT_THAT(log, IsOk());
  EXPECT_EQ(log->find("made again"), std::string::npos) << *log;
  for (const std::string& name : os::list(paths_.unpacked_roots()).take()) EXPECT_FALSE(name.starts_with(".new-")) << name;
}

TEST_F(RunSide, StartsAtOnceOfOneNewImageAllSucceed) {
  const os::Path image = eif("serve");
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 20; ++i) {
    threads.emplace_back([&] {
      const os::Output output = run(image);
      good += output.status == 0;
      if (output.status != 0) ADD_FAILURE() << output.err;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 20);
  EXPECT_EQ(described().array().size(), 20U);
  EXPECT_EQ(cli({"terminate-enclave", "--all"}).status, 0);
}

TEST_F(RunSide, ReadyMeansThatTheApplicationListens) {
  const os::Path image = eif("serve");
  const Known enclave = started(image, {"--wait-ready", "5000"});
  // The very first attempt succeeds.
  EXPECT_THAT(fabric::connect(paths_.fabric().native(), fabric::kParentCid, {enclave.cid, 5000}), IsOk());
  started(image, {"--wait-ready", "any"});
  const os::Output never = run(eif("end"), {"--wait-ready", "5000", "--debug-mode", "--enclave-name", "short"});
  EXPECT_EQ(never.status, 36);
  EXPECT_THAT(never.err, HasSubstr("ended before it listened"));
  EXPECT_THAT(never.out, IsEmpty());
  EXPECT_THAT(cli({"logs", "--enclave-name", "short"}).out, HasSubstr("argument 1: end"));
  const os::Output other = run(image, {"--wait-ready", "5001", "--boot-timeout", "1"});
  EXPECT_EQ(other.status, 36);
  EXPECT_THAT(other.err, HasSubstr("within 1 s"));
  EXPECT_EQ(described().array().size(), 2U);
}

TEST_F(RunSide, PublishedPortsReachTheApplication) {
  const os::Output output = run(eif("serve"), {"--publish", "0:5000", "--wait-ready", "5000"});
  ASSERT_EQ(output.status, 0) << output.err;
  const json::Value shown = json::parse(output.out).take();
  const std::string ports = *shown.find("PublishedPorts")->array().at(0).if_string();
  const auto port = static_cast<std::uint16_t>(std::stoul(ports));
  ASSERT_NE(port, 0);
  UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_THAT(os::write_all(client.get(), as_bytes("a")), IsOk());
  Bytes document;
  Bytes buffer(4096);
  for (std::size_t count = 0; (count = os::read_some(client.get(), buffer).take()) > 0;) append(document, ByteView(buffer).first(count));
  EXPECT_TRUE(std::holds_alternative<nsm::AttestationResponse>(nsm::parse_response(document).take()));
  const os::Output taken = run(eif("serve"), {"--publish", fmt::format("{}:5000", port)});
  EXPECT_EQ(taken.status, 11);
  EXPECT_THAT(taken.err, HasSubstr("in use"));
  EXPECT_EQ(run(eif("serve"), {"--publish", "5000"}).status, 3);
}

TEST_F(RunSide, StatsCountWhatTheGuestDoes) {
  const Known enclave = started(eif("serve"), {"--wait-ready", "5000"});
  (void)response(enclave.cid);
  const os::Output output = cli({"stats", "--enclave-id", enclave.id});
  ASSERT_EQ(output.status, 0) << output.err;
  const json::Value stats = json::parse(output.out).take();
  EXPECT_EQ(*stats.int_at("NSMRequests"), 1);
  EXPECT_EQ(*stats.int_at("Processes"), 2);
  EXPECT_EQ(json::encode(*stats.find("ListenedPorts")), "[5000]");
  EXPECT_GT(*stats.int_at("ResidentBytes"), 0);
  EXPECT_GT(*stats.int_at("SupervisorResidentBytes"), 0);
}

TEST_F(RunSide, TheEndIsRememberedAndFailuresAreRestarted) {
  const Known once = started(eif("end"), {"--debug-mode"});
  for (int i = 0; i < 500 && !described().array().empty(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(cli({"wait", "--enclave-id", once.id}).status, 7);
  EXPECT_THAT(cli({"logs", "--enclave-id", once.id}).out, HasSubstr("argument 1: end"));
  const Known again = started(eif("end"), {"--debug-mode", "--restart", "on-failure:2"});
  EXPECT_EQ(cli({"wait", "--enclave-id", again.id}).status, 7);
  EXPECT_THAT(cli({"logs", "--enclave-id", again.id}).out, HasSubstr("restart 2 in"));
  EXPECT_THAT(left(), IsEmpty());
}

TEST_F(RunSide, AServiceManagerIsToldTheMainProcess) {
  const std::string path = (root_ / "notify").native();
  UniqueFd manager(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), address.sun_path);
  ASSERT_EQ(::bind(manager.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  const Known enclave = started(eif("serve"));
  ::unsetenv("NOTIFY_SOCKET");
  char text[512];
  const ssize_t count = ::recv(manager.get(), text, sizeof text, MSG_DONTWAIT);
  ASSERT_GT(count, 0);
  EXPECT_THAT(std::string(text, static_cast<std::size_t>(count)), StartsWith(fmt::format("READY=1\nMAINPID={}\n", enclave.pid)));
}

TEST_F(RunSide, TheAllocatorFileBoundsWhatEnclavesGet) {
  ASSERT_THAT(os::write_file(paths_.home / "allocator.yaml", as_bytes("memory_mib: 600\ncpu_pool: 2,3,6\n"), 0600), IsOk());
  const os::Path image = eif("serve");
  EXPECT_EQ(started(image).cid, 16U);
  const os::Output cpus = run(image);
  EXPECT_EQ(cpus.status, 22);
  EXPECT_THAT(cpus.err, HasSubstr("1 CPUs left of 3"));
  const auto with_ids = [&](const char* id, const char* memory) {
    return cli({"run-enclave", "--cpu-ids", id, "--memory", memory, "--eif-path", image.native()});
  };
  EXPECT_EQ(with_ids("4", "256").status, 21);
  EXPECT_EQ(with_ids("2", "256").status, 21);
  EXPECT_EQ(with_ids("6", "400").status, 27);
  EXPECT_EQ(with_ids("6", "256").status, 0);
}

TEST_F(RunSide, AnEnclaveThatHangsAtBootIsGivenUp) {
  const os::Output output = run(eif("serve"), {"--fault", "boot-hang", "--boot-timeout", "1"});
  EXPECT_EQ(output.status, 36);
  EXPECT_THAT(output.err, HasSubstr("[ E36 ] Enclave boot failure: guest: no heartbeat within 1 s"));
  EXPECT_THAT(output.err, HasSubstr("warning: this enclave has the fault boot-hang"));
  EXPECT_EQ(cli({"describe-enclaves"}).out, "[]\n");
  EXPECT_THAT(left(), IsEmpty());
}

TEST_F(RunSide, TwoEnclavesAreTwo) {
  const os::Path image = eif("serve");
  const Known first = started(image);
  const Known second = started(image, {"--enclave-cid", "77"});
  EXPECT_EQ(second.cid, 77U);
  EXPECT_EQ(described().array().size(), 2U);
  EXPECT_NE(document(first.cid).document().module_id, document(second.cid).document().module_id);
  const os::Output conflict = run(image, {"--enclave-cid", "77"});
  EXPECT_EQ(conflict.status, 33);
  EXPECT_THAT(conflict.err, HasSubstr("CID 77"));
  EXPECT_EQ(cli({"terminate-enclave", "--enclave-name", "serve_1"}).status, 0);
  EXPECT_EQ(described().array().size(), 1U);
  const os::Output all = cli({"terminate-enclave", "--all"});
  EXPECT_EQ(all.status, 0);
  EXPECT_THAT(all.err, HasSubstr(first.id));
  EXPECT_THAT(left(), IsEmpty());
}

TEST_F(RunSide, WaitAndAttachedConsoleFollowTheApplication) {
  const Known enclave = started(eif("serve"));
  std::thread quitter([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    (void)call(enclave.cid, 'q');
  });
  EXPECT_EQ(cli({"wait", "--enclave-id", enclave.id}).status, 7);
  quitter.join();
  const os::Output attached = run(eif("end"), {"--attach-console"});
  EXPECT_EQ(attached.status, 0) << attached.err;
  EXPECT_THAT(attached.out, HasSubstr("Successfully connected to the console.\n"));
  EXPECT_THAT(attached.out, HasSubstr("argument 1: end\n"));
  EXPECT_EQ(cli({"describe-enclaves"}).out, "[]\n");
}

TEST_F(RunSide, FailuresAreOneLineWithTheirNumberAndLeaveNothing) {
  const os::Path image = eif("serve");
  const auto expect = [&](const os::Output& output, int status, std::string_view start) {
    EXPECT_EQ(output.status, status) << output.err;
    EXPECT_THAT(output.err, HasSubstr(std::string(start)));
    EXPECT_THAT(output.out, IsEmpty());
  };
  expect(run("/nonexistent.eif"), 19, "[ E19 ] File operation failure: /nonexistent.eif: ");
  const os::Output small = cli({"run-enclave", "--cpu-count", "2", "--memory", "1", "--eif-path", image.native()});
  expect(small, 26, "[ E26 ] Insufficient memory requested: memory: 1 MiB, want at least ");

  Bytes truncated = image_of("serve");
  truncated.resize(truncated.size() / 2);
  ASSERT_THAT(os::write_file(root_ / "half.eif", truncated, 0600), IsOk());
  expect(run(root_ / "half.eif"), 35, "[ E35 ] EIF file parsing error: ");
  ASSERT_THAT(os::write_file(root_ / "text.eif", as_bytes("not an image"), 0600), IsOk());
  expect(run(root_ / "text.eif"), 35, "[ E35 ]");

  expect(run(image, {"--enclave-cid", "3"}), 3, "[ E03 ]");
  expect(cli({"console", "--enclave-id", "i-1-enc19a65df9f4c82b"}), 11, "[ E11 ] Socket error: enclave i-1-enc19a65df9f4c82b: not running");
  expect(cli({"terminate-enclave", "--enclave-name", "nobody"}), 58, "[ E58 ]");
  expect(cli({"run-enclave", "--frobnicate"}), 2, "error: ");
  expect(cli({"run-enclave", "--cpu-count", "2", "--memory", "64"}), 2, "--eif-path is required");
  expect(cli({"terminate-enclave"}), 2, "--enclave-id or --enclave-name is required");
  EXPECT_THAT(left(), IsEmpty());
}

TEST_F(RunSide, KilledEnclaveProcessLeavesNothingOnceSomebodyAsks) {
  const Known enclave = started(eif("serve"));
  const auto guest = runtime::Registry(paths_, {}).entries().take().at(0).guest;
  ASSERT_EQ(::kill(enclave.pid, SIGKILL), 0);
  for (int i = 0; i < 500 && os::identify(enclave.pid).ok(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(cli({"describe-enclaves"}).out, "[]\n");
  EXPECT_FALSE(os::alive(guest));
  EXPECT_THAT(left(), IsEmpty());
  const os::Output gone = cli({"terminate-enclave", "--enclave-id", enclave.id});
  EXPECT_EQ(gone.status, 11);
}

TEST_F(RunSide, ConfigurationFileStandsForTheFlags) {
  const std::string config = fmt::format(
      R"({{"enclave_name":"mine","cpu_count":2,"memory_mib":256,"eif_path":"{}","enclave_cid":40,"debug_mode":true}})",
      eif("serve").native());
  ASSERT_THAT(os::write_file(root_ / "config.json", as_bytes(config), 0600), IsOk());
  const os::Output output = cli({"run-enclave", "--config", (root_ / "config.json").native()});
  ASSERT_EQ(output.status, 0) << output.err;
  const json::Value list = described();
  EXPECT_EQ(*list.array().at(0).string_at("EnclaveName"), "mine");
  EXPECT_EQ(*list.array().at(0).int_at("EnclaveCID"), 40);
  EXPECT_EQ(cli({"run-enclave", "--config", "/nonexistent.json"}).status, 19);
}

}  // namespace
}  // namespace casemate
