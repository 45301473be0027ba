// SPDX-License-Identifier: Apache-2.0
#include "runtime/supervisor.h"

#include <set>
#include <thread>

#include "base/test_matchers.h"
#include "runtime/ended.h"
#include "runtime/test_enclave.h"

namespace casemate::runtime {
namespace {

using testing::World;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using std::chrono::milliseconds;

constexpr std::string_view kForever = "echo up; exec sleep 1000";

std::vector<EnclaveInfo> listed(World& world, Metadata metadata = Metadata::kNo) {
  Registry registry = world.registry();
  auto listing = list_enclaves(registry, metadata);
  EXPECT_THAT(listing, IsOk());
  EXPECT_EQ(listing->failed, 0U);
  return std::move(listing->enclaves);
}

Result<Terminated> terminate(World& world, std::string_view id) {
  Registry registry = world.registry();
  return terminate_enclave(TRY(open_enclave(registry, id)));
}

std::string read_console(Connection& connection, std::string_view until) {
  std::string text;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (text.find(until) == std::string::npos && std::chrono::steady_clock::now() < deadline) {
    auto data = connection.read_raw(milliseconds(1000));
    if (!data) continue;
    if (data->empty()) break;
    text += as_text(*data);
  }
  return text;
}

std::size_t leftovers(const World& world) {
  std::size_t count = 0;
  for (const std::string& name : os::list(world.paths.enclaves()).take()) count += name.starts_with('.') ? 0 : 1;
  for (const std::string& name : os::list(world.paths.fabric()).take()) count += name == "peer" ? 0 : 1;
  return count;
}

bool eventually(const std::function<bool()>& holds) {
  for (int i = 0; i < 1000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return false;
}

TEST(Supervisor, RunsDescribesAndTerminates) {
  World world;
  const std::string id = world.started(world.request(kForever));
  EXPECT_EQ(world.said, "Start allocating memory...\nStarted enclave with enclave-cid: 16, memory: 64 MiB, cpu-ids: [1, 3]\n");
  const auto enclaves = listed(world);
  ASSERT_EQ(enclaves.size(), 1U);
  EXPECT_EQ(enclaves[0].id, id);
  EXPECT_EQ(enclaves[0].name, "hello");
  EXPECT_EQ(enclaves[0].cid, 16U);
  EXPECT_EQ(enclaves[0].pid, world.children[0]);
  EXPECT_TRUE(enclaves[0].debug_mode);
  EXPECT_EQ(enclaves[0].measurements.find("PCR0")->if_string()->size(), 96U) << "the image's, in debug mode too";
  EXPECT_TRUE(enclaves[0].metadata.empty());

  const auto terminated = terminate(world, id);
  ASSERT_THAT(terminated, IsOk());
  EXPECT_EQ(terminated->name, "hello");
  EXPECT_TRUE(listed(world).empty());
  EXPECT_EQ(leftovers(world), 0U);
  EXPECT_THAT(terminate(world, id), IsError(ErrorCode::kNotFound, HasSubstr("not running")));
}

TEST(Supervisor, FlattensTheMetadataWhenAsked) {
  World world;
  world.started(world.request(kForever));
  const auto enclaves = listed(world, Metadata::kYes);
  ASSERT_EQ(enclaves.size(), 1U);
  EXPECT_EQ(json::encode(enclaves[0].metadata),
            R"({"ImageName":"img","ImageVersion":"1","Metadata":{"BuildTool":"test","DockerInfo":{"a":1},"mine":2}})");
}

TEST(Supervisor, ShowsHistoryAndLiveConsole) {
  World world;
  const std::string id = world.started(world.request("echo first; sleep 0.3; echo second; exec sleep 1000"));
  Registry registry = world.registry();
  ASSERT_TRUE(eventually([&] {
    auto early = open_enclave(registry, id);
    return early.ok() && ask(*early, json::Object{{"command", "console"}, {"follow", false}}, kReplyPatience).ok() &&
           read_console(*early, "first").find("first") != std::string::npos;
  }));
  auto late = open_enclave(registry, id);
  ASSERT_THAT(late, IsOk());
  ASSERT_THAT(ask(*late, json::Object{{"command", "console"}}, kReplyPatience), IsOk());
  EXPECT_EQ(read_console(*late, "second\n"), "first\nsecond\n");
}

TEST(Supervisor, LeavesTheCallersFolderAndAnswersTheNsm) {
  World world;
  const std::string id = world.started(world.request("echo $NSM; exec sleep 1000"));
  Registry registry = world.registry();
  auto connection = open_enclave(registry, id);
  ASSERT_THAT(ask(*connection, json::Object{{"command", "console"}}, kReplyPatience), IsOk());
  EXPECT_THAT(read_console(*connection, "\n"), HasSubstr("i-0000000000000000-enc0"));
  EXPECT_EQ(std::filesystem::read_symlink(fmt::format("/proc/{}/cwd", world.children[0])), "/");
}

TEST(Supervisor, AttachedConsoleIsCompleteEvenOfAGuestThatEndsAtOnce) {
  World world;
  RunRequest request = world.request("echo one; echo two; exit 3");
  request.attach_console = true;
  auto outcome = world.start(request);
  ASSERT_THAT(outcome, IsOk());
  auto& started = std::get<Started>(*outcome);
  std::string text;
  for (;;) {
    auto data = started.connection.read_raw(milliseconds(5000));
    ASSERT_THAT(data, IsOk());
    if (data->empty()) break;
    text += as_text(*data);
  }
  EXPECT_EQ(text, "one\ntwo\n");
  EXPECT_TRUE(eventually([&] { return leftovers(world) == 0; }));
}

TEST(Supervisor, ProductionHasNoConsole) {
  World world;
  const std::string id = world.started(world.request(kForever, false));
  Registry registry = world.registry();
  auto connection = open_enclave(registry, id);
  EXPECT_THAT(ask(*connection, json::Object{{"command", "console"}}, kReplyPatience), IsError(ErrorCode::kDenied));
  // The test's guest has been forked, but its output may be the test's own until it executes the shell.
  EXPECT_TRUE(eventually([&] {
    std::error_code error;
    return std::filesystem::read_symlink(fmt::format("/proc/{}/fd/1", registry.entries()->at(0).guest.pid), error) == "/dev/null";
  }));
}

TEST(Supervisor, WhatEndedIsRemembered) {
  World world;
  const std::string id = world.started(world.request("echo last words; exit 5"));
  std::optional<Ended> ended;
  ASSERT_TRUE(eventually([&] { return (ended = find_ended(world.paths, id, "").take()).has_value(); }));
  EXPECT_EQ(ended->name, "hello");
  EXPECT_EQ(ended->exit.status, 5);
  EXPECT_FALSE(ended->exit.signalled);
  EXPECT_THAT(read_ended_console(world.paths, *ended), IsOkAnd("last words\n"));
  EXPECT_TRUE(find_ended(world.paths, "", "hello")->has_value());
  EXPECT_FALSE(find_ended(world.paths, "i-1-enc1", "")->has_value());
  const std::string secret = world.started(world.request("echo secret; exit 0", false));
  ASSERT_TRUE(eventually([&] { return (ended = find_ended(world.paths, secret, "").take()).has_value(); }));
  EXPECT_THAT(read_ended_console(world.paths, *ended), IsError(ErrorCode::kDenied));
}

TEST(Ended, OnlyTheNewestAreKept) {
  World world;
  for (int i = 0; i < 40; ++i) {
    const Ended ended{fmt::format("i-1-enc{:x}", i + 1), "n", true, {false, i}, WallTime(std::chrono::milliseconds(i))};
    ASSERT_THAT(keep_ended(world.paths, ended, ConsoleRing()), IsOk());
  }
  EXPECT_EQ(os::list(world.paths.run / "ended")->size(), kKeptEnded);
  EXPECT_EQ((*find_ended(world.paths, "", "n"))->exit.status, 39);
  EXPECT_FALSE(find_ended(world.paths, "i-1-enc1", "")->has_value());
}

TEST(Supervisor, RestartsAnApplicationThatFails) {
  World world;
  RunRequest request = world.request("echo run; exit 4");
  request.restart = Restart::kOnFailure;
  request.restart_limit = 2;
  const std::string id = world.started(request);
  std::optional<Ended> ended;
  ASSERT_TRUE(eventually([&] { return (ended = find_ended(world.paths, id, "").take()).has_value(); }));
  EXPECT_EQ(ended->exit.status, 4);
  const std::string console = read_ended_console(world.paths, *ended).take();
  EXPECT_THAT(console, HasSubstr("restart 2 in"));
  std::size_t runs = 0;
  for (std::size_t at = 0; (at = console.find("run\n", at)) != std::string::npos; ++at) ++runs;
  EXPECT_EQ(runs, 3U) << console;
  EXPECT_TRUE(eventually([&] { return leftovers(world) == 0; }));
}

TEST(Supervisor, TerminationEndsRestarting) {
  World world;
  RunRequest request = world.request("exit 1");
  request.restart = Restart::kAlways;
  const std::string id = world.started(request);
  EXPECT_THAT(terminate(world, id), IsOk());
  EXPECT_EQ(leftovers(world), 0U);
}

TEST(Supervisor, WaitTellsTheApplicationsStatus) {
  World world;
  const std::string id = world.started(world.request("sleep 0.3; exit 7"));
  Registry registry = world.registry();
  auto connection = open_enclave(registry, id);
  const auto reply = ask(*connection, json::Object{{"command", "wait"}}, milliseconds(10'000));
  ASSERT_THAT(reply, IsOk());
  EXPECT_EQ(json::encode(*reply), R"({"signalled":false,"status":7})");
  EXPECT_EQ(leftovers(world), 0U) << "gone before the reply";
}

TEST(Supervisor, StartFailuresNameTheStepAndLeaveNothing) {
  World world;
  const auto failure = [&](const RunRequest& request) {
    auto outcome = world.start(request);
    EXPECT_THAT(outcome, IsOk());
    return std::get<StartFailure>(std::move(*outcome));
  };
  RunRequest request = world.request("refuse");
  EXPECT_EQ(failure(request).step, StartStep::kBoot);

  request = world.request(kForever);
  request.eif_path = "/nonexistent.eif";
  EXPECT_EQ(failure(request).step, StartStep::kOpenImage);

  request = world.request(kForever);
  request.memory_mib = 0;
  const StartFailure memory = failure(request);
  EXPECT_EQ(memory.step, StartStep::kMemory);
  EXPECT_THAT(memory.error.message(), HasSubstr("want at least 1 MiB"));

  request = world.request(kForever);
  std::filesystem::resize_file(request.eif_path, 600);
  EXPECT_EQ(failure(request).step, StartStep::kReadImage);

  request = world.request(kForever);
  request.cpu_count = 0;
  request.cpu_ids = {1, 1};
  EXPECT_EQ(failure(request).step, StartStep::kCpus);

  EXPECT_EQ(leftovers(world), 0U);
  EXPECT_TRUE(listed(world).empty());
}

TEST(Supervisor, ChecksumOfADamagedImageIsRefused) {
  World world;
  const RunRequest request = world.request(kForever);
  Bytes image = testing::image_with(kForever);
  image.back() ^= 1;
  ASSERT_THAT(os::write_file(request.eif_path, image, 0600), IsOk());
  auto outcome = world.start(request);
  ASSERT_THAT(outcome, IsOk());
  EXPECT_THAT(std::get<StartFailure>(*outcome).error.message(), HasSubstr("checksum"));
}

TEST(Supervisor, EndsWhenNitroCliGoesAwayBeforeItIsTold) {
  World world;
  {
    Connection abandoned = world.spawn();
    ASSERT_THAT(abandoned.send(json::Object{{"run", to_json(world.request(kForever))}}), IsOk());
  }
  int status = 0;
  ASSERT_EQ(::waitpid(world.children[0], &status, 0), world.children[0]);
  EXPECT_EQ(leftovers(world), 0U);
}

TEST(Supervisor, EndsInOrderOnSigterm) {
  World world;
  world.started(world.request(kForever));
  const pid_t guest = world.registry().entries()->at(0).guest.pid;
  ::kill(world.children[0], SIGTERM);
  ASSERT_EQ(::waitpid(world.children[0], nullptr, 0), world.children[0]);
  EXPECT_EQ(leftovers(world), 0U);
  EXPECT_THAT(os::identify(guest), IsError(ErrorCode::kNotFound));
}

TEST(Supervisor, KilledOneIsNoLongerDescribedAndItsGuestIsEnded) {
  World world;
  const std::string id = world.started(world.request(kForever));
  const os::ProcessId guest = world.registry().entries()->at(0).guest;
  ::kill(world.children[0], SIGKILL);
  ASSERT_EQ(::waitpid(world.children[0], nullptr, 0), world.children[0]);
  EXPECT_EQ(leftovers(world), 1U);
  EXPECT_TRUE(listed(world).empty());
  EXPECT_EQ(leftovers(world), 0U);
  EXPECT_TRUE(eventually([&] { return !os::alive(guest); }));
}

TEST(Supervisor, ReusedPidDoesNotKeepADeadEntry) {
  World world;
  Registry registry = world.registry();
  os::ProcessId other = *os::identify(::getpid());
  other.start_ticks -= 1;  // same pid, but started earlier: not this process
  Registry::Shortage shortage{};
  ASSERT_THAT(registry.reserve({.name = "old", .cid = {}, .cpu_count = 2, .cpu_ids = {}, .memory_mib = 64, .instance_id = "i-1", .slot = {0x10},
                                .supervisor = other}, shortage),
              IsOk());
  EXPECT_EQ(leftovers(world), 1U);
  EXPECT_THAT(registry.purge(), IsOk());
  EXPECT_EQ(leftovers(world), 0U);
}

TEST(Supervisor, NamesCidsAndCpusDiffer) {
  World world;
  for (int i = 0; i < 3; ++i) world.started(world.request(kForever));
  const auto enclaves = listed(world);
  ASSERT_EQ(enclaves.size(), 3U);
  EXPECT_EQ(enclaves[0].name, "hello");
  EXPECT_EQ(enclaves[1].name, "hello_1");
  EXPECT_EQ(enclaves[2].name, "hello_2");
  EXPECT_EQ(enclaves[0].cid, 16U);
  EXPECT_EQ(enclaves[2].cid, 18U);
  EXPECT_NE(enclaves[0].cpu_ids, enclaves[1].cpu_ids);
  // A CID is not handed out again at once.
  ASSERT_THAT(terminate(world, enclaves[2].id), IsOk());
  world.started(world.request(kForever));
  EXPECT_EQ(listed(world)[2].cid, 19U);
  EXPECT_EQ(listed(world)[2].name, "hello_2");
}

TEST(Supervisor, RefusesACidInUse) {
  World world;
  RunRequest request = world.request(kForever);
  request.enclave_cid = 50;
  world.started(request);
  auto outcome = world.start(request);
  ASSERT_THAT(outcome, IsOk());
  const auto& failure = std::get<StartFailure>(*outcome);
  EXPECT_EQ(failure.step, StartStep::kReserve);
  EXPECT_THAT(failure.error.message(), HasSubstr("CID 50"));
}

TEST(Supervisor, TwentyStartedAtOnceAllSucceed) {
  World world;
  const RunRequest request = world.request(kForever);
  std::vector<Connection> starting;
  for (int i = 0; i < 20; ++i) {
    starting.push_back(world.spawn());
    ASSERT_THAT(starting.back().send(json::Object{{"run", to_json(request)}}), IsOk());
  }
  for (Connection& connection : starting) {
    for (;;) {
      auto message = connection.receive(milliseconds(30'000));
      ASSERT_THAT(message, IsOk());
      ASSERT_EQ(message->find("failed"), nullptr) << json::encode(*message);
      if (message->find("started") != nullptr) break;
    }
  }
  const auto enclaves = listed(world);
  ASSERT_EQ(enclaves.size(), 20U);
  std::set<std::string> names;
  std::set<std::uint32_t> cids;
  std::set<std::uint32_t> cpus;
  for (const EnclaveInfo& info : enclaves) {
    names.insert(info.name);
    cids.insert(info.cid);
    cpus.insert(info.cpu_ids.begin(), info.cpu_ids.end());
  }
  EXPECT_EQ(names.size(), 20U);
  EXPECT_EQ(cids.size(), 20U);
  EXPECT_EQ(cpus.size(), 40U);
}

TEST(Supervisor, ServesOthersWhileAGuestFloodsItsConsole) {
  World world;
  const std::string id = world.started(world.request("exec cat /dev/zero"));
  Registry registry = world.registry();
  auto reader = open_enclave(registry, id);
  ASSERT_THAT(ask(*reader, json::Object{{"command", "console"}}, kReplyPatience), IsOk());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(listed(world).size(), 1U);
  EXPECT_THAT(terminate(world, id), IsOk()) << "although the reader reads nothing";
}

TEST(Supervisor, SurvivesHostilePeers) {
  World world;
  const std::string id = world.started(world.request(kForever));
  Registry registry = world.registry();
  const auto raw = [&](std::string_view bytes) {
    auto fd = connect_unix(*registry.socket_of(id));
    ASSERT_THAT(fd, IsOk());
    ASSERT_THAT(os::write_all(fd->get(), as_bytes(bytes)), IsOk());
  };
  raw("\xff\xff\xff\xff{}");
  raw(std::string_view("\0\0\0\2[[", 6));
  raw(std::string_view("\0\0\0\2{}", 6));
  raw("\1");
  const auto reply = [&](json::Value request) {
    auto connection = open_enclave(registry, id);
    return ask(*connection, request, kReplyPatience);
  };
  EXPECT_THAT(reply(json::Object{{"command", "reboot"}}), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(reply(json::Object{{"command", 1}}), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(reply(json::Array{}), IsError(ErrorCode::kMalformed));
  std::vector<Connection> silent;
  for (int i = 0; i < 100; ++i) silent.push_back(open_enclave(registry, id).take());
  EXPECT_EQ(listed(world).size(), 1U);
}

TEST(Supervisor, OnlyOwnerAndRootMayTerminate) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become someone else";
  World world;
  world.sockets = world.root / "sockets";
  ASSERT_THAT(os::make_private_directories(world.sockets), IsOk());
  const std::string id = world.started(world.request(kForever));
  std::filesystem::permissions(world.root, std::filesystem::perms(0755));
  std::filesystem::permissions(world.sockets, std::filesystem::perms(0755));
  EXPECT_EQ(listed(world).size(), 1U);
  const pid_t other = ::fork();
  if (other == 0) {
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(10);
    Registry registry = world.registry();
    auto listing = list_enclaves(registry, Metadata::kNo);
    if (!listing || listing->enclaves.size() != 1) ::_exit(11);
    auto connection = open_enclave(registry, id);
    if (!connection) ::_exit(12);
    const auto terminated = terminate_enclave(connection.take());
    ::_exit(!terminated && terminated.error().code() == ErrorCode::kDenied ? 0 : 13);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(other, &status, 0), other);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_THAT(terminate(world, id), IsOk());
}

TEST(TerminateAll, EndsTheLivingTheStoppedAndTheDead) {
  World world;
  for (int i = 0; i < 3; ++i) world.started(world.request(kForever));
  std::vector<os::ProcessId> guests;
  for (const Entry& entry : world.registry().entries().take()) guests.push_back(entry.guest);
  ::kill(world.children[0], SIGKILL);
  ASSERT_EQ(::waitpid(world.children[0], nullptr, 0), world.children[0]);
  ::kill(world.children[1], SIGSTOP);
  const auto count = terminate_all(world.paths.run);
  ASSERT_THAT(count, IsOk());
  EXPECT_EQ(*count, 2U);
  EXPECT_EQ(leftovers(world), 0U);
  for (const os::ProcessId& guest : guests) EXPECT_TRUE(eventually([&] { return !os::alive(guest); }));
  EXPECT_THAT(terminate_all(world.paths.run), IsOkAnd(0U));
  EXPECT_THAT(terminate_all(world.root / "nothing"), IsOkAnd(0U));
}

TEST(Registry, KnowsAnEnclaveIdWhenItSeesOne) {
  World world;
  Registry registry = world.registry();
  EXPECT_THAT(registry.socket_of("i-1-enc19a"), IsOk());
  EXPECT_THAT(registry.socket_of("nonsense"), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(registry.socket_of("i-1-enc../../x"), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(registry.socket_of("../i-1-enc1"), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(open_enclave(registry, "i-1-enc19a"), IsError(ErrorCode::kNotFound));
}

TEST(Wire, SplitsMessagesWhereverTheStreamIsCut) {
  Bytes stream = encode_message(json::Object{{"a", 1}});
  append(stream, encode_message(json::Array{}));
  FrameReader reader;
  int seen = 0;
  for (const std::uint8_t byte : stream) {
    reader.add({&byte, 1});
    const auto message = reader.next();
    ASSERT_THAT(message, IsOk());
    seen += message->has_value() ? 1 : 0;
  }
  EXPECT_EQ(seen, 2);
  EXPECT_TRUE(reader.rest().empty());
}

TEST(Wire, RefusesAMessageBeyondTheLimitBeforeItIsHeld) {
  FrameReader reader(WireLimits{16});
  reader.add(as_bytes(std::string_view("\0\0\0\x11", 4)));
  EXPECT_THAT(reader.next(), IsError(ErrorCode::kLimit));
}

}  // namespace
}  // namespace casemate::runtime
