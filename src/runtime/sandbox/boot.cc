// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/boot.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace casemate::runtime::sandbox {
namespace {

constexpr std::size_t kMaxBody = 4096;
constexpr std::size_t kMaxFds = 64;

void append_text(Bytes& out, ByteView text) {
  append_be<8>(out, text.size());
  append(out, text);
}

Result<ByteView> read_text(ByteReader& in) {
  const std::uint64_t size = TRY(in.read_u64());
  if (size > in.rest().size()) return malformed("boot spec: {} bytes of text, {} left", size, in.rest().size());
  return in.read(static_cast<std::size_t>(size));
}

Result<std::size_t> read_count(ByteReader& in, std::size_t item_size) {
  const std::uint32_t count = TRY(in.read_u32());
  if (count > in.rest().size() / item_size) return malformed("boot spec: {} items in {} bytes", count, in.rest().size());
  return count;
}

}  // namespace

void append_lists(Bytes& out, const ListFiles& lists) {
  append_text(out, as_bytes(lists.command));
  append_text(out, as_bytes(lists.environment));
}

Result<ListFiles> read_lists(ByteReader& in) {
  ListFiles lists;
  for (std::string* list : {&lists.command, &lists.environment}) {
    *list = as_text(TRY(read_text(in)));
    if (list->size() > kMaxListBytes) return over_limit("list of {} bytes, want at most {}", list->size(), kMaxListBytes);
  }
  return lists;
}

Bytes encode_boot_spec(const BootSpec& spec) {
  Bytes out;
  append_be<4>(out, spec.supervisor);
  append_be<8>(out, spec.memory_bytes);
  append_be<8>(out, spec.open_files);
  append_be<8>(out, spec.data_bytes);
  append_be<8>(out, spec.processes);
  append_be<1>(out, spec.many_ids ? 1 : 0);
  append_be<1>(out, spec.hang ? 1 : 0);
  append_be<1>(out, spec.interruptible ? 1 : 0);
  append_be<1>(out, spec.fill ? 1 : 0);
  append_be<8>(out, spec.most_entries);
  append_be<1>(out, spec.tree ? 1 : 0);
  if (spec.tree) {
    append_text(out, as_bytes(spec.tree->path));
    append_be<8>(out, spec.tree->bytes);
    append_lists(out, spec.tree->lists);
  }
  append_be<4>(out, spec.cpus.size());
  for (const std::uint32_t cpu : spec.cpus) append_be<4>(out, cpu);
  append_be<4>(out, spec.ramdisks.size());
  for (const auto& range : spec.ramdisks) {
    append_be<8>(out, range.offset);
    append_be<8>(out, range.size);
  }
  append_text(out, as_bytes(spec.hostname));
  append_text(out, as_bytes(spec.trust_anchors_pem));
  append_text(out, spec.filter);
  return out;
}

Result<BootSpec> parse_boot_spec(ByteView input) {
  ByteReader in(input);
  BootSpec spec;
  spec.supervisor = TRY(in.read_u32());
  spec.memory_bytes = TRY(in.read_u64());
  spec.open_files = TRY(in.read_u64());
  spec.data_bytes = TRY(in.read_u64());
  spec.processes = TRY(in.read_u64());
  spec.many_ids = TRY(in.read_u8()) != 0;
  spec.hang = TRY(in.read_u8()) != 0;
  spec.interruptible = TRY(in.read_u8()) != 0;
  spec.fill = TRY(in.read_u8()) != 0;
  spec.most_entries = TRY(in.read_u64());
  if (TRY(in.read_u8()) != 0) {
    CachedTree tree;
    tree.path = as_text(TRY(read_text(in)));
    tree.bytes = TRY(in.read_u64());
    tree.lists = TRY(read_lists(in));
    spec.tree = std::move(tree);
  }
  spec.cpus.resize(TRY(read_count(in, 4)));
  for (auto& cpu : spec.cpus) cpu = TRY(in.read_u32());
  spec.ramdisks.resize(TRY(read_count(in, 16)));
  for (auto& range : spec.ramdisks) {
    range.offset = TRY(in.read_u64());
    range.size = TRY(in.read_u64());
  }
  spec.hostname = as_text(TRY(read_text(in)));
  spec.trust_anchors_pem = as_text(TRY(read_text(in)));
  spec.filter = to_bytes(TRY(read_text(in)));
  if (!in.empty()) return malformed("boot spec: {} bytes after its end", in.rest().size());
  return spec;
}

Result<void> Channel::send(MessageKind kind, ByteView body, const std::vector<int>& fds) const {
  CASEMATE_CHECK(body.size() <= kMaxBody && fds.size() <= kMaxFds);
  auto tag = static_cast<std::uint8_t>(kind);
  std::array<iovec, 2> parts{iovec{&tag, 1}, iovec{const_cast<std::uint8_t*>(body.data()), body.size()}};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxFds)> control{};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    auto* header = reinterpret_cast<cmsghdr*>(control.data());
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  while (::sendmsg(fd_.get(), &message, MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    if (errno == EPIPE || errno == ECONNRESET) return unavailable("boot channel: closed");
    return errno_error("boot channel");
  }
  return {};
}

Result<Message> Channel::receive() const {
  std::array<std::uint8_t, 1 + kMaxBody> buffer{};
  iovec part{buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxFds)> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t count = 0;
  while ((count = ::recvmsg(fd_.get(), &header, MSG_CMSG_CLOEXEC)) < 0) {
    if (errno == EAGAIN) return unavailable("boot channel: no answer in time");
    if (errno == ECONNRESET) return unavailable("boot channel: closed");
    if (errno != EINTR) return errno_error("boot channel");
  }
  Message message;
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t fds = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < fds; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(item) + i * sizeof(int), sizeof fd);
      message.fds.emplace_back(fd);
    }
  }
  if (count == 0) return unavailable("boot channel: closed");
  message.kind = static_cast<MessageKind>(buffer[0]);
  message.body.assign(buffer.begin() + 1, buffer.begin() + count);
  return message;
}

}  // namespace casemate::runtime::sandbox
