// SPDX-License-Identifier: Apache-2.0
#include "fabric/fabric.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <memory>

namespace casemate::fabric {
namespace {

constexpr std::string_view kPeerFolder = "peer";

struct UnixName {
  sockaddr_un address{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

// Names go through the folder's descriptor: sun_path ends at 108 bytes, a run folder's path may not.
UnixName unix_name(int folder, std::string_view rest) {
  UnixName name;
  name.address.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", folder, rest);
  CASEMATE_CHECK(path.size() < sizeof name.address.sun_path);
  std::memcpy(name.address.sun_path, path.c_str(), path.size() + 1);
  name.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return name;
}

std::optional<std::uint32_t> parse_number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

// split_last takes the last path component off `path`.
std::string_view split_last(std::string_view& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return std::exchange(path, {});
  const std::string_view last = path.substr(slash + 1);
  path = path.substr(0, slash);
  return last;
}

std::string file_name(Address address, Root::Scope scope) {
  // getsockname gives back the very text that was bound: the spelling tells VMADDR_CID_ANY from the cid's own number.
  return fmt::format("{}/{}{}", address.cid, scope == Root::Scope::kAny ? "./" : "", address.port);
}

// is_live tells whether a process still holds the socket behind a name, without becoming its peer: a connect of another
// type is EPROTOTYPE on a live socket, listening or not, and ECONNREFUSED on a dead one.
bool is_live(const UnixName& name) {
  const UniqueFd probe(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe) return true;
  return ::connect(probe.get(), name.get(), name.size) == 0 || (errno != ECONNREFUSED && errno != ENOENT);
}

Result<BoundName> name_of(int socket, decltype(&::getsockname) get, std::string_view which) {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  if (get(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    if (errno == ENOTCONN) return not_found("socket: not connected");
    return errno_error(which);
  }
  if (address.sun_family != AF_UNIX || size <= offsetof(sockaddr_un, sun_path)) return not_found("{}: no name", which);
  const std::size_t room = std::min<std::size_t>(size - offsetof(sockaddr_un, sun_path), sizeof address.sun_path);
  const auto name = parse_name({address.sun_path, ::strnlen(address.sun_path, room)});
  if (!name) return not_found("{}: not a name of the fabric", which);
  return *name;
}

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

Dir open_dir(int folder, const std::string& name) {
  UniqueFd fd(::openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return nullptr;
  Dir dir(::fdopendir(fd.get()));
  if (dir) fd.release();
  return dir;
}

// ShortWait bounds a connect to one scheduler tick on a blocking socket and restores its timeout.
class ShortWait {
 public:
  explicit ShortWait(int socket) : socket_(socket) {
    socklen_t size = sizeof before_;
    ::getsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &before_, &size);
    const timeval tick{0, 1};
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof tick);
  }
  ShortWait(const ShortWait&) = delete;
  ShortWait& operator=(const ShortWait&) = delete;
  ~ShortWait() {
    const int saved = errno;
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &before_, sizeof before_);
    errno = saved;
  }

 private:
  int socket_;
  timeval before_{};
};

class FileLock {
 public:
  explicit FileLock(int file) : file_(file), held_(::flock(file, LOCK_EX) == 0) {}
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock() {
    if (held_) ::flock(file_, LOCK_UN);
  }
  bool held() const { return held_; }

 private:
  int file_;
  bool held_;
};

Result<UniqueFd> make_socket(Type type, Blocking blocking) {
  const int kind = type == Type::kStream ? SOCK_STREAM : SOCK_SEQPACKET;
  UniqueFd socket(::socket(AF_UNIX, kind | SOCK_CLOEXEC | (blocking == Blocking::kNo ? SOCK_NONBLOCK : 0), 0));
  if (!socket) return errno_error("socket");
  return socket;
}

}  // namespace

std::uint32_t random_port() {
  std::uint32_t value = 0;
  if (::getrandom(&value, sizeof value, 0) != sizeof value) CASEMATE_CHECK(errno == EINTR);
  return kFirstFreePort + value % (kAnyPort - kFirstFreePort);
}

std::optional<BoundName> parse_name(std::string_view path) {
  const std::string_view last = split_last(path);
  std::string_view folder = split_last(path);
  if (folder == kPeerFolder) {
    const auto dot = last.find('.');
    if (dot == std::string_view::npos) return std::nullopt;
    const auto cid = parse_number(last.substr(0, dot));
    const std::string_view rest = last.substr(dot + 1);
    const auto port = parse_number(rest.substr(0, rest.find('.')));
    if (!cid || !port) return std::nullopt;
    return BoundName{{*cid, *port}, true, true};
  }
  const bool any_cid = folder == ".";
  if (any_cid) folder = split_last(path);
  const auto cid = parse_number(folder);
  const auto port = parse_number(last);
  if (!cid || !port) return std::nullopt;
  return BoundName{{*cid, *port}, any_cid, false};
}

Result<BoundName> local_name(int socket) {
  return name_of(socket, &::getsockname, "getsockname");
}

Result<BoundName> peer_name(int socket) {
  return name_of(socket, &::getpeername, "getpeername");
}

Result<Address> peer_address(int socket) {
  return TRY(peer_name(socket)).address;
}

Result<Root> Root::open(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return errno_error(path);
  UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return errno_error(path);
  struct stat status{};
  if (::fstat(folder.get(), &status) != 0) return errno_error(path);
  if (status.st_uid != ::geteuid() || (status.st_mode & 022) != 0)
    return denied("{}: owned or writable by another user, want a private folder", path);
  if (::mkdirat(folder.get(), std::string(kPeerFolder).c_str(), 0700) != 0 && errno != EEXIST)
    return errno_error(path + "/peer");
  // There is always a parent, whether it listens or not.
  if (::mkdirat(folder.get(), std::to_string(kParentCid).c_str(), 0700) != 0 && errno != EEXIST)
    return errno_error(path + "/3");
  return Root(std::move(folder));
}

Result<void> Root::add_cid(std::uint32_t cid) const {
  const std::string name = std::to_string(cid);
  if (::mkdirat(folder_.get(), name.c_str(), 0700) == 0) return {};
  if (errno != EEXIST) return errno_error("vsock folder " + name);
  sweep(cid);
  return {};
}

void Root::remove_cid(std::uint32_t cid) const {
  const std::string name = std::to_string(cid);
  if (const Dir dir = open_dir(folder_.get(), name)) {
    while (const dirent* entry = ::readdir(dir.get())) ::unlinkat(::dirfd(dir.get()), entry->d_name, 0);
  }
  ::unlinkat(folder_.get(), name.c_str(), AT_REMOVEDIR);
}

bool Root::has_cid(std::uint32_t cid) const {
  return ::faccessat(folder_.get(), std::to_string(cid).c_str(), F_OK, 0) == 0;
}

Result<std::uint32_t> Root::bind(int socket, Address address, Scope scope) const {
  const std::string cid = std::to_string(address.cid);
  if (!bound_in_ || bound_in_cid_ != address.cid) {
    bound_in_.reset(::openat(folder_.get(), cid.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!bound_in_) return errno == ENOENT ? not_found("vsock cid {}: no such context", cid) : errno_error("vsock cid " + cid);
    bound_in_cid_ = address.cid;
  }
  // Two that find the same dead name must not both replace it.
  const FileLock lock(bound_in_.get());
  if (!lock.held()) return errno_error("lock of vsock cid " + cid);

  constexpr int kAttempts = 64;  // of random ports out of 2^32: more means that something else is wrong
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const Address wanted{address.cid, address.port == kAnyPort ? random_port() : address.port};
    const UnixName name = unix_name(folder_.get(), file_name(wanted, scope));
    if (::bind(socket, name.get(), name.size) == 0) return wanted.port;
    if (errno != EADDRINUSE) return errno_error(fmt::format("vsock {}:{}", wanted.cid, wanted.port));
    if (!is_live(name)) {
      unbind(wanted);
      if (::bind(socket, name.get(), name.size) == 0) return wanted.port;
    }
    if (address.port != kAnyPort) break;
  }
  return conflict("vsock {}:{}: address in use", address.cid, address.port);
}

void Root::unbind(Address address) const {
  ::unlinkat(folder_.get(), file_name(address, Scope::kOwnCid).c_str(), 0);
}

Result<void> Root::connect(int socket, std::uint32_t source_cid, Address to, bool& named, std::uint32_t port) const {
  // Without a name to connect to none is made to connect from: two changes of the file system.
  if (::faccessat(folder_.get(), file_name(to, Scope::kOwnCid).c_str(), F_OK, 0) != 0) {
    if (!has_cid(to.cid)) return not_found("vsock {}:{}: no such context", to.cid, to.port);
    return unavailable("vsock {}:{}: nobody listens", to.cid, to.port);
  }
  std::string source;
  if (!named) {
    for (int attempt = 0;; ++attempt) {
      source = fmt::format("{}/{}.{}", kPeerFolder, source_cid, attempt == 0 && port != kAnyPort ? port : random_port());
      const UnixName name = unix_name(folder_.get(), source);
      if (::bind(socket, name.get(), name.size) == 0) break;
      if (errno == EINVAL) return denied("vsock source address: the socket has a name already");
      if (errno != EADDRINUSE || attempt == 8) return errno_error("vsock source address");
    }
    named = true;
  }
  const UnixName name = unix_name(folder_.get(), file_name(to, Scope::kOwnCid));
  int status = 0;
  {
    const ShortWait wait(socket);
    status = ::connect(socket, name.get(), name.size);
  }
  const int failure = status == 0 ? 0 : errno;
  if (!source.empty()) ::unlinkat(folder_.get(), source.c_str(), 0);
  switch (failure) {
    case 0: return {};
    case ENOENT:
    case ECONNREFUSED:
    case EPROTOTYPE: return unavailable("vsock {}:{}: nobody listens", to.cid, to.port);
    case EAGAIN: return unavailable("vsock {}:{}: backlog is full", to.cid, to.port);
    case EISCONN: return conflict("vsock {}:{}: socket is already connected", to.cid, to.port);
    default: return errno_error(fmt::format("vsock {}:{}", to.cid, to.port), failure);
  }
}

std::size_t Root::sweep(std::uint32_t cid) const {
  const std::string folder = std::to_string(cid);
  std::size_t live = 0;
  const Dir dir = open_dir(folder_.get(), folder);
  if (!dir) return 0;
  if (::flock(::dirfd(dir.get()), LOCK_EX) != 0) return 0;
  while (const dirent* entry = ::readdir(dir.get())) {
    const auto port = parse_number(entry->d_name);
    if (!port) continue;
    if (is_live(unix_name(folder_.get(), file_name({cid, *port}, Scope::kOwnCid)))) {
      ++live;
    } else {
      unbind({cid, *port});
    }
  }
  return live;
}

Listener& Listener::operator=(Listener&& other) noexcept {
  if (this == &other) return *this;
  close();
  root_ = std::move(other.root_);
  socket_ = std::move(other.socket_);
  address_ = other.address_;
  return *this;
}

void Listener::close() {
  if (!socket_) return;
  // The name first: a successor that binds between the two must not lose its own.
  root_.unbind(address_);
  socket_.reset();
}

Result<Listener> listen(const std::string& root, std::uint32_t cid, std::uint32_t port, Type type, int backlog,
                        Blocking blocking) {
  Root folder = TRY(Root::open(root));
  UniqueFd socket = TRY(make_socket(type, blocking));
  const Address address{cid, TRY(folder.bind(socket.get(), {cid, port}))};
  Listener listener(std::move(folder), std::move(socket), address);
  if (::listen(listener.fd(), backlog) != 0) return errno_error(fmt::format("vsock {}:{}", cid, address.port));
  return listener;
}

Result<UniqueFd> connect(const std::string& root, std::uint32_t source_cid, Address to, Type type, Blocking blocking) {
  const Root folder = TRY(Root::open(root));
  UniqueFd socket = TRY(make_socket(type, blocking));
  bool named = false;
  TRY(folder.connect(socket.get(), source_cid, to, named));
  return socket;
}

}  // namespace casemate::fabric
