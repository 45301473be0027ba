// SPDX-License-Identifier: Apache-2.0
#include "eif/ramdisk.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "cpio/cpio.h"

namespace casemate::eif {

namespace {

constexpr std::string_view kPrefix = "rootfs/";
// The kernel skips entries whose name, with its NUL, is longer than PATH_MAX.
constexpr std::size_t kMaxName = 4095;

constexpr std::string_view kHosts =
    "127.0.0.1       localhost\n"
    "::1     localhost ip6-localhost ip6-loopback\n"
    "fe00::0 ip6-localnet\n"
    "ff00::0 ip6-mcastprefix\n"
    "ff02::1 ip6-allnodes\n"
    "ff02::2 ip6-allrouters\n";
constexpr std::string_view kResolvTarget = "/run/resolvconf/resolv.conf";
constexpr std::string_view kMtabTarget = "/proc/mounts";

// Files of the container engine that are no part of the image.
constexpr std::array kExcluded = {std::string_view(".dockerenv"), std::string_view("Dockerfile"), std::string_view("dev/console"),
                                  std::string_view("dev/pts"),    std::string_view("dev/shm"),    std::string_view("etc/hostname")};
// Folders whose time depends on when the engine made them, so the build tool sets it.
constexpr std::array kTouched = {std::string_view("dev"), std::string_view("dev/pts"), std::string_view("dev/shm"),
                                 std::string_view("etc"), std::string_view("proc"),    std::string_view("sys")};
// What the build tool's configuration adds after the image.
constexpr std::array kAddedFolders = {std::string_view("rootfs"),     std::string_view("rootfs/dev"), std::string_view("rootfs/run"),
                                      std::string_view("rootfs/sys"), std::string_view("rootfs/var"), std::string_view("rootfs/proc"),
                                      std::string_view("rootfs/tmp")};

template <typename List>
bool contains(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

cpio::Entry entry_of(std::string_view name, std::uint32_t mode, std::uint32_t mtime = kToolTime) {
  cpio::Entry entry;
  entry.name = name;
  entry.mode = mode;
  entry.mtime = mtime;
  return entry;
}

std::uint32_t type_bits(oci::FileType type) {
  switch (type) {
    case oci::FileType::kRegular: return cpio::kRegular;
    case oci::FileType::kDirectory: return cpio::kDirectory;
    case oci::FileType::kSymlink:
    case oci::FileType::kHardLink: return cpio::kSymlink;
    case oci::FileType::kCharacterDevice: return cpio::kCharacterDevice;
    case oci::FileType::kBlockDevice: return cpio::kBlockDevice;
    case oci::FileType::kFifo: return cpio::kFifo;
  }
  return cpio::kRegular;
}

// The build tool turns a hard link into a symbolic one: the way from `from`'s folder to `to`.
std::string relative_link(std::string_view from, std::string_view to) {
  std::size_t common = 0;  // length of the folders that both share, slash included
  for (std::size_t i = 0; i < std::min(from.size(), to.size()) && from[i] == to[i]; ++i) {
    if (from[i] == '/') common = i + 1;
  }
  std::string link;
  for (const char c : from.substr(common)) {
    if (c == '/') link += "../";
  }
  link += to.substr(common);
  return link;
}

std::uint32_t time_of(std::int64_t mtime) {
  // Engines unpack a time before 1970 as 1970; the format ends in 2106.
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(mtime, 0, 0xffffffff));
}

std::string lines(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text.append(item).push_back('\n');
  return text;
}

Result<void> write_file(cpio::Writer& writer, const oci::RootFs::Visit& visit, const CopyContent& copy) {
  const oci::Inode& inode = visit.inode;
  const std::string_view path = visit.path;
  const bool folder = inode.type == oci::FileType::kDirectory;
  if (!folder && contains(kExcluded, path)) return {};
  cpio::Entry entry = entry_of("", inode.mode | type_bits(inode.type), time_of(inode.mtime));
  entry.name.reserve(kPrefix.size() + path.size() + 1);
  entry.name.append(kPrefix).append(path);
  if (folder) entry.name.push_back('/');
  if (entry.name.size() > kMaxName) {
    return over_limit("path of {} bytes, the kernel unpacks at most {}: {}...", entry.name.size(), kMaxName, entry.name.substr(0, 60));
  }
  entry.uid = inode.uid;
  entry.gid = inode.gid;
  if (!folder && path == "etc/hosts") {
    entry.mode = inode.mode | cpio::kRegular;
    entry.mtime = kToolTime;
    return writer.add(std::move(entry), as_bytes(kHosts));
  }
  if (!folder && path == "etc/resolv.conf") {
    entry.mode = inode.mode | cpio::kSymlink;
    entry.mtime = kToolTime;
    return writer.add(std::move(entry), as_bytes(kResolvTarget));
  }
  if ((folder && contains(kTouched, path)) || (!folder && path == "etc/mtab")) entry.mtime = kToolTime;
  if (!visit.hard_link_to.empty()) {
    entry.mode = inode.mode | cpio::kSymlink;
    return writer.add(std::move(entry), as_bytes(relative_link(path, visit.hard_link_to)));
  }
  entry.rdev_major = inode.rdev_major;
  entry.rdev_minor = inode.rdev_minor;
  if (inode.type == oci::FileType::kSymlink) return writer.add(std::move(entry), as_bytes(inode.target));
  if (inode.type != oci::FileType::kRegular) return writer.add(std::move(entry));
  entry.size = inode.size;
  TRY(writer.begin(entry));
  class EntrySink final : public ByteSink {
   public:
    explicit EntrySink(cpio::Writer& inner) : inner_(inner) {}
    Result<void> write(ByteView data) override { return inner_.write(data); }

   private:
    cpio::Writer& inner_;
  };
  EntrySink content(writer);
  return copy(inode, content);
}

// CountingSink knows how long its input is, but not what is in it.
class CountingSink final : public ByteSink {
 public:
  Result<void> write(ByteView data) override {
    bytes_ += data.size();
    return {};
  }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::uint64_t bytes_ = 0;
};

}  // namespace

Result<void> write_boot_ramdisk(ByteSink& sink, ByteView init, std::optional<ByteView> nsm_driver) {
  cpio::Writer writer(sink);
  TRY(writer.add(entry_of("dev", cpio::kDirectory | 0755)));
  TRY(writer.add(entry_of("init", cpio::kRegular | 0755), init));
  if (nsm_driver) TRY(writer.add(entry_of("nsm.ko", cpio::kRegular | 0755), *nsm_driver));
  return writer.finish();
}

Result<void> prepare_container(oci::RootFs& rootfs, const std::string& working_directory) {
  oci::Inode folder;
  folder.type = oci::FileType::kDirectory;
  folder.mode = 0755;
  folder.mtime = kToolTime;
  oci::Inode file = folder;
  file.type = oci::FileType::kRegular;
  oci::Inode mtab = folder;
  mtab.type = oci::FileType::kSymlink;
  mtab.mode = 0777;
  mtab.target = kMtabTarget;
  const std::array<std::pair<std::string_view, const oci::Inode*>, 10> own = {{{"dev/pts", &folder},
                                                                             {"dev/shm", &folder},
                                                                             {"proc", &folder},
                                                                             {"sys", &folder},
                                                                             {".dockerenv", &file},
                                                                             {"etc/resolv.conf", &file},
                                                                             {"etc/hosts", &file},
                                                                             {"etc/hostname", &file},
                                                                             {"dev/console", &file},
                                                                             {"etc/mtab", &mtab}}};
  for (const auto& [path, inode] : own) {
    for (std::size_t end = path.find('/'); end != std::string_view::npos; end = path.find('/', end + 1)) {
      rootfs.remove_unless_directory(path.substr(0, end));
    }
    rootfs.remove_unless_directory(path);
    rootfs.ensure(path, *inode, folder);
  }
  if (working_directory.empty()) return {};
  return rootfs.ensure_directory(working_directory, folder).in("working directory");
}

Result<void> write_application_ramdisk(ByteSink& sink, const Application& application, const CopyContent& copy) {
  cpio::Writer writer(sink);
  TRY(writer.add(entry_of("rootfs", cpio::kDirectory | 0755)));
  TRY(application.rootfs.walk([&](const oci::RootFs::Visit& visit) { return write_file(writer, visit, copy); }));
  for (const std::string_view path : kAddedFolders) TRY(writer.add(entry_of(path, cpio::kDirectory | 0755)));
  if (application.launcher) {
    TRY(writer.add(entry_of(std::string(kPrefix).append(kLauncherPath), cpio::kRegular | 0755), *application.launcher));
  }
  TRY(writer.add(entry_of("cmd", cpio::kRegular | 0644), as_bytes(lines(application.command))));
  TRY(writer.add(entry_of("env", cpio::kRegular | 0644), as_bytes(lines(application.environment))));
  return writer.finish();
}

Result<std::uint64_t> application_ramdisk_size(const Application& application) {
  CountingSink sink;
  const CopyContent count = [](const oci::Inode& inode, ByteSink& out) -> Result<void> {
    static const Bytes step(1 << 20);
    for (std::uint64_t left = inode.size; left > 0;) {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, step.size()));
      TRY(out.write(ByteView(step).first(size)));
      left -= size;
    }
    return {};
  };
  TRY(write_application_ramdisk(sink, application, count));
  return sink.bytes();
}

}  // namespace casemate::eif
