// SPDX-License-Identifier: Apache-2.0
// The vsock fabric: AF_VSOCK addresses as Unix sockets of one private folder. A socket bound to (cid, port), of either
// type (one port space, as in Linux), is <root>/<cid>/<port>; a connector binds <root>/peer/<cid>.<port> first and
// unlinks it, so that the acceptor learns its address and no byte is added to the stream.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "base/fd.h"

namespace casemate::fabric {

inline constexpr std::uint32_t kParentCid = 3;
inline constexpr std::uint32_t kAnyCid = 0xffffffff;
inline constexpr std::uint32_t kAnyPort = 0xffffffff;
// Ports below are for the privileged (Linux's LAST_RESERVED_PORT).
inline constexpr std::uint32_t kFirstFreePort = 1024;

enum class Type { kStream, kSeqpacket };
enum class Blocking { kYes, kNo };

struct Address {
  std::uint32_t cid = 0;
  std::uint32_t port = 0;
  friend bool operator==(const Address&, const Address&) = default;
};

// BoundName is what a Unix socket's name says: its address, and whether it was bound to VMADDR_CID_ANY, or never bound
// and named by connect, which Linux treats as VMADDR_CID_ANY too.
struct BoundName {
  Address address;
  bool any_cid = false;
  bool named_by_connect = false;
};

// random_port gives a port for one that is any's.
std::uint32_t random_port();

// parse_name reads the path that getsockname or getpeername gave. nullopt: not a name of the fabric.
std::optional<BoundName> parse_name(std::string_view path);

// local_name and peer_name read a socket's own and its peer's name. Errors: kNotFound (unbound, not connected, or not of
// the fabric).
Result<BoundName> local_name(int socket);
Result<BoundName> peer_name(int socket);

// peer_address is peer_name's address: who connected to us, or whom we connected to.
Result<Address> peer_address(int socket);

// Root is the opened fabric folder, for one thread at a time.
class Root {
 public:
  // open makes the folder (0700, its parent must exist) and the parent context's in it where they are missing. Errors: kDenied where another user owns it
  // or could write in it.
  static Result<Root> open(const std::string& path);

  // add_cid makes a context's folder, empty of what a dead owner left. remove_cid removes it with all names in it.
  Result<void> add_cid(std::uint32_t cid) const;
  void remove_cid(std::uint32_t cid) const;
  bool has_cid(std::uint32_t cid) const;

  // bind names an unbound Unix socket; `port` kAnyPort takes a free one from kFirstFreePort up. A name whose owner is
  // dead is replaced. Returns the port. Errors: kNotFound (no such cid), kConflict (address in use), kInternal.
  enum class Scope { kOwnCid, kAny };
  Result<std::uint32_t> bind(int socket, Address address, Scope scope = Scope::kOwnCid) const;
  void unbind(Address address) const;

  // connect connects an unconnected Unix socket, naming it (source_cid, `port` or, where that is kAnyPort or taken, an
  // ephemeral one) unless the caller says that it has a name; `named` is true once it has one, which it need not where nobody listens. Whoever is connected to believes that
  // name, so a socket with one that the caller does not know of is refused. It never waits longer than one scheduler tick: a
  // listener whose backlog is full refuses, as a virtio transport does. The socket's own O_NONBLOCK does not matter.
  // Errors: kNotFound (no such cid), kUnavailable (nobody listens, wrong type, backlog full), kConflict (already
  // connected), kDenied (named by others), kInternal.
  Result<void> connect(int socket, std::uint32_t source_cid, Address to, bool& named, std::uint32_t port = kAnyPort) const;

  // sweep removes the names in a cid's folder whose owner is dead and returns how many live ones are left.
  std::size_t sweep(std::uint32_t cid) const;

  int fd() const { return folder_.get(); }

 private:
  explicit Root(UniqueFd folder) : folder_(std::move(folder)) {}
  UniqueFd folder_;
  // The folder in which was bound last, to be locked.
  mutable UniqueFd bound_in_;
  mutable std::uint32_t bound_in_cid_ = 0;
};

// Listener is a listening socket of the fabric; its name goes with it.
class Listener {
 public:
  Listener(Listener&&) = default;
  Listener& operator=(Listener&& other) noexcept;
  ~Listener() { close(); }

  int fd() const { return socket_.get(); }
  Address address() const { return address_; }
  // release hands the descriptor over and leaves the name in place.
  UniqueFd release() { return std::move(socket_); }
  void close();

 private:
  friend Result<Listener> listen(const std::string&, std::uint32_t, std::uint32_t, Type, int, Blocking);
  Listener(Root root, UniqueFd socket, Address address)
      : root_(std::move(root)), socket_(std::move(socket)), address_(address) {}

  Root root_;
  UniqueFd socket_;
  Address address_;
};

// listen opens a listener at (cid, port); `root` is the fabric's path; a guest's folder is made by its backend.
// Errors: as Root::bind, in particular kConflict `vsock 3:8000: address in use`.
Result<Listener> listen(const std::string& root, std::uint32_t cid, std::uint32_t port, Type type = Type::kStream,
                        int backlog = 128, Blocking blocking = Blocking::kYes);

// connect opens a connection from `source_cid` (any port) to `to`; it is connected on return, `blocking` is the mode
// in which the descriptor is handed over. Errors: as Root::connect.
Result<UniqueFd> connect(const std::string& root, std::uint32_t source_cid, Address to, Type type = Type::kStream,
                         Blocking blocking = Blocking::kYes);

}  // namespace casemate::fabric
