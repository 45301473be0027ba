// SPDX-License-Identifier: Apache-2.0
// What the supervisor and the guest's init (init/main.cc) say to each other, once, before the application runs.
//
//   supervisor ── keeper channel ── keeper ──fork── init (pid 1 of the guest) ──fork── application
//        └──────── guest channel ─────────────────────┘
//
// The keeper stays outside the guest's pid namespace: it makes the sockets that stand for AF_VSOCK ones in an empty
// network namespace of its own, and reports how init ended. Channels are SOCK_SEQPACKET pairs; a message is a kind
// and a body.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"

namespace casemate::runtime::sandbox {

// Descriptors of the init program when it is executed.
enum BootFd : int { kKeeperChannel = 3, kGuestChannel = 4, kImageFile = 5, kConsole = 6, kBootSpec = 7, kFirstForeignFd = 8 };
// And when it unpacks a root to be kept, a job for the keeper alone.
inline constexpr int kFilledRoot = kGuestChannel;
inline constexpr int kFilledLists = kConsole;

// The heartbeat byte that init and the hypervisor exchange (Nitro init).
inline constexpr std::uint8_t kHeartbeatByte = 0xB7;

// Of a whole cmd or env file. The kernel bounds arguments and environment together at a quarter of the stack.
inline constexpr std::size_t kMaxListBytes = 2 * 1024 * 1024;

// ListFiles are the image's cmd and env files, one item a line, or what Nitro's init has in their place.
struct ListFiles {
  std::string command;
  std::string environment;

  bool operator==(const ListFiles&) const = default;
};
void append_lists(Bytes& out, const ListFiles& lists);
// Errors: kMalformed, kLimit.
Result<ListFiles> read_lists(ByteReader& in);

// CachedTree is an unpacked root that the guest gets below a layer of its own; the descriptor of its folder, or of a mount
// of it, comes with kGo.
struct CachedTree {
  std::string path;         // to be mounted from; empty: the descriptor is a mount
  std::uint64_t bytes = 0;  // of the guest's memory that it takes
  ListFiles lists;
};

struct BootSpec {
  std::uint32_t supervisor = 0;  // its pid, to notice that it died before PR_SET_PDEATHSIG was in force
  std::uint64_t memory_bytes = 0;
  std::uint64_t open_files = 0;
  // Limits in place of a cgroup's; 0 for none.
  std::uint64_t data_bytes = 0;
  std::uint64_t processes = 0;
  bool many_ids = false;  // ids 0..65535 are mapped, else 0 only
  bool hang = false;           // before the heartbeat
  bool interruptible = false;  // as a kernel before 5.19 has it, for tests
  bool fill = false;           // unpack into kFilledRoot and end
  std::uint64_t most_entries = 0;  // that the ramdisks may have; 0 for any number
  std::optional<CachedTree> tree;
  std::vector<std::uint32_t> cpus;
  struct Range {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };
  std::vector<Range> ramdisks;  // the application's, in order
  std::string hostname;
  std::string trust_anchors_pem;
  Bytes filter;  // sock_filter[]
};

Bytes encode_boot_spec(const BootSpec& spec);
Result<BootSpec> parse_boot_spec(ByteView input);

enum class MessageKind : std::uint8_t {
  // From the keeper.
  kMapIds = 'U',       // its user namespace wants its id maps; answered with kGo
  kInitStarted = 'P',  // u32: pid of init
  kSockets = 's',      // answer to kWantSockets, with descriptors; kReleased follows
  kReleased = 'r',     // the keeper holds none of them any more
  kInitEnded = 'X',    // u32: wait status; the keeper ends after it
  kFilled = 'f',       // the root is unpacked and its lists are written; it ends after it
  // From init.
  kHeartbeat = 'H',    // u8 0xB7; answered with kHeartbeat
  kFilter = 'F',       // u8 interruptible, u8 cached tree in use, u64 network namespace cookie, u64 mount of /dev/nsm, u64 mount of /dev/vsock; listener
  kStarted = 'G',      // the application was executed
  kAppEnded = 'x',     // u32: its wait status
  // From either: text of the error, first byte the ErrorCode.
  kFailed = 'E',
  // From the supervisor.
  kGo = 'g',
  kWantSockets = 'w',  // u8: 0 stream, 1 seqpacket
};

struct Message {
  MessageKind kind = MessageKind::kFailed;
  Bytes body;
  std::vector<UniqueFd> fds;
};

// Channel is one end of a SOCK_SEQPACKET pair. Errors: kUnavailable when the other end is closed.
class Channel {
 public:
  Channel() = default;
  explicit Channel(UniqueFd fd) : fd_(std::move(fd)) {}
  int fd() const { return fd_.get(); }
  Result<void> send(MessageKind kind, ByteView body = {}, const std::vector<int>& fds = {}) const;
  Result<Message> receive() const;
  void close() { fd_.reset(); }

 private:
  UniqueFd fd_;
};

}  // namespace casemate::runtime::sandbox
