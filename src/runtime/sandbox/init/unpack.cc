// SPDX-License-Identifier: Apache-2.0
// The application's ramdisks, unpacked as the kernel unpacks an initramfs, except that no name leads out of /rootfs.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <optional>

#include "cpio/cpio.h"
#include "runtime/sandbox/init/steps.h"

namespace casemate::runtime::sandbox {
namespace {

constexpr std::size_t kMaxSymlinkTarget = 4096;  // PATH_MAX

class RangeSource final : public ByteSource {
 public:
  RangeSource(int fd, BootSpec::Range range) : fd_(fd), offset_(range.offset), left_(range.size) {}

  Result<std::size_t> read(std::span<std::uint8_t> out) override {
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), left_));
    if (wanted == 0) return std::size_t{0};
    ssize_t count = 0;
    while ((count = ::pread(fd_, out.data(), wanted, static_cast<off_t>(offset_))) < 0) {
      if (errno != EINTR) return errno_error("image");
    }
    offset_ += static_cast<std::uint64_t>(count);
    left_ -= static_cast<std::uint64_t>(count);
    return static_cast<std::size_t>(count);
  }

 private:
  int fd_;
  std::uint64_t offset_;
  std::uint64_t left_;
};

Error step_error(std::string_view name) {
  if (errno == ENOSPC || errno == EDQUOT || errno == ENOMEM) return over_limit("{}: does not fit in the enclave's memory", name);
  return errno_error(name);
}

class Unpacker {
 public:
  Unpacker(int root, const BootSpec& spec)
      : root_(root), many_ids_(spec.many_ids), most_entries_(spec.most_entries), buffer_(256 * 1024) {}

  Result<void> unpack(ByteSource& source) {
    cpio::Reader reader(source);
    while (auto entry = TRY(reader.next())) {
      if (++entries_ > most_entries_ && most_entries_ != 0) return over_limit("ramdisk: more than {} entries", most_entries_);
      std::string_view name = entry->name;
      while (name.starts_with("./") || name.starts_with('/')) name.remove_prefix(name[0] == '/' ? 1 : 2);
      while (name.ends_with('/')) name.remove_suffix(1);
      if (name == "cmd" || name == "env") {
        lists_[std::string(name)] = TRY(read_small(reader, kMaxListBytes));
      } else if (name.starts_with("rootfs/")) {
        TRY(make(reader, *entry, name.substr(7)));
      }
    }
    return {};
  }

  // Times of folders last: making what is in them changes them.
  void finish() {
    for (const auto& [name, mtime] : folders_) set_time(name, mtime);
  }

  std::optional<std::string> list(const std::string& name) const {
    const auto found = lists_.find(name);
    if (found == lists_.end()) return std::nullopt;
    return found->second;
  }

 private:
  // open_parent resolves inside /rootfs whatever links the image planted. Names without a folder entry of their own get
  // one, as some archives leave them out.
  Result<UniqueFd> open_parent(std::string_view name, std::string& last) {
    const auto slash = name.rfind('/');
    last = name.substr(slash == std::string_view::npos ? 0 : slash + 1);
    if (last.empty() || last == "." || last == "..") return malformed("ramdisk: {}: not a file's name", name);
    if (slash == std::string_view::npos) return open_in_root(".");
    const std::string folder(name.substr(0, slash));
    auto parent = open_in_root(folder);
    if (parent.ok() || parent.error().code() != ErrorCode::kNotFound) return parent;
    std::string above;
    const UniqueFd grandparent = TRY(open_parent(folder, above));
    if (::mkdirat(grandparent.get(), above.c_str(), 0755) != 0 && errno != EEXIST) return step_error(folder);
    return open_in_root(folder);
  }

  Result<UniqueFd> open_in_root(const std::string& path) {
    open_how how{};
    how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, root_, path.c_str(), &how, sizeof how)));
    if (!fd) return step_error(path);
    return fd;
  }

  Result<std::string> read_small(cpio::Reader& reader, std::uint64_t limit) {
    if (reader.remaining() > limit) return over_limit("ramdisk: list of {} bytes, want at most {}", reader.remaining(), limit);
    std::string text(static_cast<std::size_t>(reader.remaining()), '\0');
    std::size_t done = 0;
    while (done < text.size()) {
      const std::size_t count = TRY(reader.read_data({reinterpret_cast<std::uint8_t*>(text.data()) + done, text.size() - done}));
      if (count == 0) return malformed("ramdisk: file ends early");
      done += count;
    }
    return text;
  }

  Result<void> make(cpio::Reader& reader, const cpio::Entry& entry, std::string_view name) {
    std::string last;
    const UniqueFd parent = TRY(open_parent(name, last));
    const mode_t permissions = entry.mode & 07777;
    switch (entry.type()) {
      case cpio::kDirectory:
        if (::mkdirat(parent.get(), last.c_str(), 0755) != 0 && errno != EEXIST) return step_error(name);
        folders_[std::string(name)] = entry.mtime;
        break;
      case cpio::kSymlink: {
        const std::string target = TRY(read_small(reader, kMaxSymlinkTarget));
        ::unlinkat(parent.get(), last.c_str(), 0);
        if (::symlinkat(target.c_str(), parent.get(), last.c_str()) != 0) return step_error(name);
        break;
      }
      case cpio::kRegular: TRY(make_regular(reader, entry, parent.get(), last, name)); break;
      case cpio::kFifo:
        if (::mkfifoat(parent.get(), last.c_str(), permissions) != 0 && errno != EEXIST) return step_error(name);
        break;
      default: return {};  // device nodes: the guest's /dev is mounted over them, elsewhere they would be dead
    }
    // An id outside 0..65535, or any but 0 where only that is mapped, stays with root.
    if (many_ids_ && entry.uid < 65536 && entry.gid < 65536 && (entry.uid != 0 || entry.gid != 0))
      (void)!::fchownat(parent.get(), last.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW);
    // After chown, which clears the set-id bits.
    if (entry.type() != cpio::kSymlink && ::fchmodat(parent.get(), last.c_str(), permissions, 0) != 0) return step_error(name);
    if (entry.type() != cpio::kDirectory) set_time_at(parent.get(), last, entry.mtime);
    return {};
  }

  Result<void> make_regular(cpio::Reader& reader, const cpio::Entry& entry, int parent, const std::string& last, std::string_view name) {
    ::unlinkat(parent, last.c_str(), 0);
    const UniqueFd file(::openat(parent, last.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return step_error(name);
    // newc keeps the content with the last of a file's links; the kernel joins links by inode.
    if (entry.nlink > 1) TRY(join_links(entry, parent, last, name, file.get()));
    std::uint64_t written = 0;
    while (const std::size_t count = TRY(reader.read_data(buffer_))) {
      for (std::size_t done = 0; done < count;) {
        const ssize_t step = ::write(file.get(), buffer_.data() + done, count - done);
        if (step < 0 && errno == EINTR) continue;
        if (step <= 0) return step_error(name);
        done += static_cast<std::size_t>(step);
      }
      written += count;
    }
    if (written != entry.size) return malformed("ramdisk: {}: {} bytes, want {}", name, written, entry.size);
    return {};
  }

  Result<void> join_links(const cpio::Entry& entry, int parent, const std::string& last, std::string_view name, int file) {
    const std::uint64_t key = std::uint64_t{entry.ino} << 32 | (entry.dev_major << 16 ^ entry.dev_minor);
    Link& known = links_[key];
    if (entry.size == 0 && !known.name.empty()) {
      std::string other;
      const auto folder = open_parent(known.name, other);
      struct stat status{};
      // Only what was made for this inode: a later entry may have taken the name.
      if (folder.ok() && ::fstatat(folder->get(), other.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_ino == known.inode) {
        ::unlinkat(parent, last.c_str(), 0);
        if (::linkat(folder->get(), other.c_str(), parent, last.c_str(), 0) != 0) return step_error(last);
        return {};
      }
    }
    struct stat status{};
    if (::fstat(file, &status) != 0) return step_error(last);
    known = {std::string(name), status.st_ino};
    return {};
  }

  void set_time_at(int parent, const std::string& last, std::uint32_t mtime) {
    const timespec times[2] = {{static_cast<time_t>(mtime), 0}, {static_cast<time_t>(mtime), 0}};
    ::utimensat(parent, last.c_str(), times, AT_SYMLINK_NOFOLLOW);
  }
  void set_time(const std::string& name, std::uint32_t mtime) {
    std::string last;
    if (const auto parent = open_parent(name, last); parent.ok()) set_time_at(parent->get(), last, mtime);
  }

  int root_;
  bool many_ids_;
  std::uint64_t most_entries_;
  Bytes buffer_;
  std::map<std::string, std::string> lists_;
  std::map<std::string, std::uint32_t> folders_;
  struct Link {
    std::string name;
    ino_t inode = 0;
  };
  std::map<std::uint64_t, Link> links_;
  std::uint64_t entries_ = 0;
};

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

}  // namespace

Result<ListFiles> unpack(const BootSpec& spec, int image, int root) {
  Unpacker unpacker(root, spec);
  for (std::size_t i = 0; i < spec.ramdisks.size(); ++i) {
    RangeSource source(image, spec.ramdisks[i]);
    TRY(unpacker.unpack(source).in(fmt::format("ramdisk[{}]", i + 1)));
  }
  unpacker.finish();
  // Nitro's init runs a shell when there is no cmd file, and gives it a PATH when there is no env file.
  return ListFiles{unpacker.list("cmd").value_or("sh\n"), unpacker.list("env").value_or("PATH=/sbin:/usr/sbin:/bin:/usr/bin\n")};
}

Result<ListFiles> unpack_root(const BootSpec& spec, int image) {
  if (::mkdir("/rootfs", 0755) != 0) return errno_error("/rootfs");
  if (::mount("/rootfs", "/rootfs", nullptr, MS_BIND, nullptr) != 0) return errno_error("/rootfs");
  const UniqueFd root(::open("/rootfs", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return errno_error("/rootfs");
  return unpack(spec, image, root.get());
}

Result<Command> parse_lists(const ListFiles& lists) {
  Command command{split_lines(lists.command), split_lines(lists.environment)};
  if (command.arguments.empty()) return malformed("ramdisk: cmd: empty, want the application's command");
  return command;
}

}  // namespace casemate::runtime::sandbox
