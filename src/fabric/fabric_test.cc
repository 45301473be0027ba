// SPDX-License-Identifier: Apache-2.0
#include "fabric/fabric.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "base/test_matchers.h"

namespace casemate::fabric {
namespace {

using testing::HasSubstr;

class Fabric : public testing::Test {
 protected:
  Fabric() {
    std::string pattern = "/tmp/fabric-test-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    // Deeper than a sockaddr_un is long.
    root_ = folder_ + "/" + std::string(120, 'd');
    EXPECT_EQ(::mkdir(root_.c_str(), 0700), 0);
    root_ += "/vsock";
  }
  ~Fabric() override { std::filesystem::remove_all(folder_); }

  std::size_t names(const std::string& folder) const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(root_ + "/" + folder)) ++count;
    return count;
  }

  std::string folder_;
  std::string root_;
};

TEST_F(Fabric, BothEndsLearnEachOthersAddressAndNoByteIsAdded) {
  auto listener = listen(root_, kParentCid, 8000);
  ASSERT_THAT(listener, IsOk());
  auto client = connect(root_, 16, {kParentCid, 8000});
  ASSERT_THAT(client, IsOk());
  const UniqueFd accepted(::accept(listener->fd(), nullptr, nullptr));
  ASSERT_TRUE(accepted);

  const auto from = peer_name(accepted.get());
  ASSERT_THAT(from, IsOk());
  EXPECT_EQ(from->address.cid, 16u);
  EXPECT_GE(from->address.port, kFirstFreePort);
  const auto own = local_name(client->get());
  ASSERT_THAT(own, IsOk());
  EXPECT_TRUE(own->any_cid);
  EXPECT_EQ(own->address, from->address);
  EXPECT_THAT(peer_address(client->get()), IsOkAnd((Address{kParentCid, 8000})));
  EXPECT_EQ(names("peer"), 0u);

  ASSERT_EQ(::write(client->get(), "x", 1), 1);
  char text[4] = {};
  EXPECT_EQ(::read(accepted.get(), text, sizeof text), 1);
  EXPECT_EQ(text[0], 'x');
}

TEST_F(Fabric, SeqpacketKeepsMessagesApartAndSharesThePortSpace) {
  auto listener = listen(root_, kParentCid, 7, Type::kSeqpacket);
  ASSERT_THAT(listener, IsOk());
  EXPECT_THAT(listen(root_, kParentCid, 7, Type::kStream), IsError(ErrorCode::kConflict, "vsock 3:7: address in use"));
  EXPECT_THAT(connect(root_, 16, {kParentCid, 7}, Type::kStream), IsError(ErrorCode::kUnavailable));
  auto client = connect(root_, 16, {kParentCid, 7}, Type::kSeqpacket);
  ASSERT_THAT(client, IsOk());
  const UniqueFd accepted(::accept(listener->fd(), nullptr, nullptr));
  ASSERT_EQ(::send(client->get(), "ab", 2, 0), 2);
  ASSERT_EQ(::send(client->get(), "c", 1, 0), 1);
  char text[8];
  EXPECT_EQ(::recv(accepted.get(), text, sizeof text, 0), 2);
}

TEST_F(Fabric, NamesWhatIsMissing) {
  ASSERT_THAT(listen(root_, kParentCid, 1), IsOk());
  EXPECT_THAT(connect(root_, 3, {99, 1}), IsError(ErrorCode::kNotFound, "vsock 99:1: no such context"));
  EXPECT_THAT(connect(root_, 3, {kParentCid, 2}), IsError(ErrorCode::kUnavailable, "vsock 3:2: nobody listens"));
  EXPECT_THAT(listen(root_, 99, 1), IsError(ErrorCode::kNotFound, HasSubstr("cid 99")));
}

TEST_F(Fabric, NobodyIsToldANameThatTheConnectorDidNotGive) {
  auto listener = listen(root_, kParentCid, 1);
  ASSERT_THAT(listener, IsOk());
  auto root = Root::open(root_);
  ASSERT_THAT(root, IsOk());
  // As a guest could have named it: another context's address, in a folder of its own.
  ASSERT_TRUE(std::filesystem::create_directory(folder_ + "/peer"));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const std::string path = folder_ + "/peer/3.5000";
  ASSERT_LT(path.size(), sizeof name.sun_path);
  path.copy(name.sun_path, path.size());
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  ASSERT_EQ(local_name(socket.get())->address, (Address{3, 5000}));
  bool named = false;
  EXPECT_THAT(root->connect(socket.get(), 16, {kParentCid, 1}, named), IsError(ErrorCode::kDenied, HasSubstr("has a name already")));
  EXPECT_FALSE(named);
}

TEST_F(Fabric, ConnectsFromThePortThatIsAskedForWhereItIsFree) {
  auto listener = listen(root_, kParentCid, 1);
  ASSERT_THAT(listener, IsOk());
  auto root = Root::open(root_);
  ASSERT_THAT(root, IsOk());
  for (const bool free : {true, false}) {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    bool named = false;
    // The name of a connecting socket is gone once it is connected, so it takes a file to be in the way.
    const std::string taken = root_ + "/peer/16.5000";
    if (!free) std::ofstream(taken).put('x');
    ASSERT_THAT(root->connect(socket.get(), 16, {kParentCid, 1}, named, 5000), IsOk());
    EXPECT_TRUE(named);
    const UniqueFd accepted(::accept4(listener->fd(), nullptr, nullptr, SOCK_CLOEXEC));
    const auto peer = peer_address(accepted.get());
    ASSERT_THAT(peer, IsOk());
    EXPECT_EQ(peer->cid, 16U);
    EXPECT_EQ(peer->port == 5000, free);
  }
}

TEST_F(Fabric, AFullBacklogRefusesAtOnceEvenOnABlockingSocket) {
  auto listener = listen(root_, kParentCid, 1, Type::kStream, 0);
  ASSERT_THAT(listener, IsOk());
  auto first = connect(root_, 16, {kParentCid, 1});
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(connect(root_, 16, {kParentCid, 1}), IsError(ErrorCode::kUnavailable, HasSubstr("backlog is full")));
  timeval timeout{9, 9};
  socklen_t size = sizeof timeout;
  ASSERT_EQ(::getsockopt(first->get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, &size), 0);
  EXPECT_EQ(timeout.tv_sec, 0);
  EXPECT_EQ(timeout.tv_usec, 0);
}

TEST_F(Fabric, ANameGoesWithItsListener) {
  { ASSERT_THAT(listen(root_, kParentCid, 5), IsOk()); }
  EXPECT_EQ(names("3"), 0u);
  EXPECT_THAT(listen(root_, kParentCid, 5), IsOk());
}

TEST_F(Fabric, ADeadOwnersNameIsReplacedALiveOnesIsNot) {
  const pid_t child = ::fork();
  if (child == 0) {
    auto listener = listen(root_, kParentCid, 5);
    ::_exit(listener.ok() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_EQ(names("3"), 1u);
  auto listener = listen(root_, kParentCid, 5);
  ASSERT_THAT(listener, IsOk());
  EXPECT_THAT(listen(root_, kParentCid, 5), IsError(ErrorCode::kConflict));
  // The probe of a live name leaves no connection behind.
  ::fcntl(listener->fd(), F_SETFL, O_NONBLOCK);
  EXPECT_EQ(::accept(listener->fd(), nullptr, nullptr), -1);
}

TEST_F(Fabric, ABoundSocketThatDoesNotListenHoldsItsPort) {
  auto root = Root::open(root_);
  ASSERT_THAT(root, IsOk());
  ASSERT_THAT(root->add_cid(16), IsOk());
  const UniqueFd bound(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_THAT(root->bind(bound.get(), {16, 5000}, Root::Scope::kAny), IsOkAnd(5000u));
  EXPECT_THAT(listen(root_, 16, 5000), IsError(ErrorCode::kConflict));
  EXPECT_THAT(connect(root_, 3, {16, 5000}), IsError(ErrorCode::kUnavailable));
  const auto own = local_name(bound.get());
  ASSERT_THAT(own, IsOk());
  EXPECT_TRUE(own->any_cid);
  EXPECT_EQ(own->address, (Address{16, 5000}));
  EXPECT_EQ(root->sweep(16), 1u);
  root->remove_cid(16);
  EXPECT_FALSE(root->has_cid(16));
}

TEST_F(Fabric, AnyPortIsAFreeOneFrom1024Up) {
  auto a = listen(root_, kParentCid, kAnyPort);
  auto b = listen(root_, kParentCid, kAnyPort);
  ASSERT_THAT(a, IsOk());
  ASSERT_THAT(b, IsOk());
  EXPECT_NE(a->address().port, b->address().port);
  EXPECT_GE(a->address().port, kFirstFreePort);
  EXPECT_THAT(connect(root_, 16, a->address()), IsOk());
}

TEST_F(Fabric, OneOfManyRacersForADeadNameWins) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(listen(root_, kParentCid, 5).ok() ? 0 : 1);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  std::vector<std::thread> racers;
  std::vector<std::optional<Listener>> won(8);
  for (auto& slot : won)
    racers.emplace_back([this, &slot] {
      auto listener = listen(root_, kParentCid, 5);
      if (listener.ok()) slot = listener.take();
    });
  for (auto& racer : racers) racer.join();
  EXPECT_EQ(std::count_if(won.begin(), won.end(), [](const auto& slot) { return slot.has_value(); }), 1);
}

TEST_F(Fabric, RefusesAFolderThatOthersMayWrite) {
  ASSERT_EQ(::mkdir(root_.c_str(), 0700), 0);
  ASSERT_EQ(::chmod(root_.c_str(), 0777), 0);
  EXPECT_THAT(Root::open(root_), IsError(ErrorCode::kDenied));
}

TEST(FabricName, ReadsBothFormsAndNothingElse) {
  EXPECT_EQ(parse_name("/proc/self/fd/7/16/5000")->address, (Address{16, 5000}));
  EXPECT_FALSE(parse_name("/proc/self/fd/7/16/5000")->any_cid);
  EXPECT_TRUE(parse_name("/x/16/./5000")->any_cid);
  EXPECT_EQ(parse_name("/x/peer/3.4294967294")->address, (Address{3, 4294967294}));
  EXPECT_EQ(parse_name("/x/peer/3.77.abc")->address, (Address{3, 77}));
  for (const char* bad : {"", "/", "5000", "/x/5000", "/16/", "/16/x", "/x/peer/3", "/x/peer/3.", "/16/4294967296", "/16/-1"})
    EXPECT_FALSE(parse_name(bad)) << bad;
}

}  // namespace
}  // namespace casemate::fabric
