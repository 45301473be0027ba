// SPDX-License-Identifier: Apache-2.0
#include "image/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace casemate::image {

namespace {


class FdStream final : public oci::Stream {
 public:
  FdStream(int fd, std::uint64_t offset) : fd_(fd), offset_(offset) {}
  Result<std::size_t> read(std::span<std::uint8_t> out) override {
    for (;;) {
      const ssize_t got = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset_));
      if (got >= 0) {
        offset_ += static_cast<std::uint64_t>(got);
        return static_cast<std::size_t>(got);
      }
      if (errno != EINTR) return errno_error("read");
    }
  }
  Result<void> skip(std::uint64_t count) override {
    offset_ += count;
    return {};
  }

 private:
  int fd_;
  std::uint64_t offset_;
};

class FdBlob final : public oci::Blob {
 public:
  FdBlob(UniqueFd fd, std::uint64_t size) : fd_(std::move(fd)), size_(size) {}
  std::uint64_t size() const override { return size_; }
  Result<std::unique_ptr<oci::Stream>> open(std::uint64_t offset) const override {
    return std::unique_ptr<oci::Stream>(std::make_unique<FdStream>(fd_.get(), offset));
  }

 private:
  UniqueFd fd_;
  std::uint64_t size_;
};

Result<std::unique_ptr<oci::Blob>> blob_of(UniqueFd fd, std::string_view name) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return errno_error(name);
  if (!S_ISREG(status.st_mode)) return malformed("{}: not a regular file", name);
  return std::unique_ptr<oci::Blob>(std::make_unique<FdBlob>(std::move(fd), static_cast<std::uint64_t>(status.st_size)));
}

class DirectoryFiles final : public oci::Files {
 public:
  explicit DirectoryFiles(os::Path directory) : directory_(std::move(directory)) {}
  Result<std::unique_ptr<oci::Blob>> find(std::string_view path) const override {
    const os::Path relative(path);
    if (relative.is_absolute() || std::find(relative.begin(), relative.end(), "..") != relative.end()) {
      return malformed("path leads out of the folder");
    }
    return open_blob(directory_ / relative);
  }

 private:
  os::Path directory_;
};

os::Path temporary_folder() {
  const char* folder = std::getenv("TMPDIR");
  return folder != nullptr && *folder != '\0' ? os::Path(folder) : os::Path("/var/tmp");
}

// Names that must go when a signal ends the process. Fixed storage, since the handler may not allocate.
struct PendingName {
  std::array<char, 4096> path;
  std::atomic<bool> used = false;
};
PendingName pending_file;

void remove_pending(int signal) {
  if (pending_file.used.load()) ::unlink(pending_file.path.data());
  // The handler was installed with SA_RESETHAND: the second time the signal ends the process.
  ::raise(signal);
}

void remember_pending(const os::Path& path) {
  const std::string& text = path.native();
  if (text.size() >= pending_file.path.size()) return;
  std::memcpy(pending_file.path.data(), text.c_str(), text.size() + 1);
  pending_file.used = true;
  struct sigaction action {};
  action.sa_handler = remove_pending;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction current {};
    if (::sigaction(signal, nullptr, &current) == 0 && current.sa_handler == SIG_DFL) ::sigaction(signal, &action, nullptr);
  }
}

// open_unnamed opens a file that has no name; where the file system cannot, one that loses its name at once.
Result<UniqueFd> open_unnamed(const os::Path& folder) {
  if (auto fd = os::open(folder, O_TMPFILE | O_RDWR, 0600)) return fd;
  std::string name = (folder / ".casemate-XXXXXX").native();
  UniqueFd fd(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd) return errno_error(folder.native());
  ::unlink(name.c_str());
  return fd;
}

}  // namespace

Result<std::unique_ptr<oci::Blob>> open_blob(const os::Path& path) {
  return blob_of(TRY(os::open(path, O_RDONLY | O_NONBLOCK)), path.native());
}

Result<std::unique_ptr<oci::Files>> open_directory(const os::Path& directory) {
  std::error_code error;
  if (!std::filesystem::is_directory(directory, error)) return not_found("{}: no such folder", directory.native());
  return std::unique_ptr<oci::Files>(std::make_unique<DirectoryFiles>(directory));
}

Result<std::unique_ptr<oci::Blob>> spool(ByteSource& source, std::uint64_t limit) {
  UniqueFd fd = TRY(open_unnamed(temporary_folder()));
  Bytes buffer(kCopyBytes);
  std::uint64_t total = 0;
  for (;;) {
    const std::size_t got = TRY(source.read(buffer));
    if (got == 0) break;
    if (got > limit - total) return over_limit("input of more than {} bytes", limit);
    total += got;
    TRY(os::write_all(fd.get(), ByteView(buffer).first(got)).in(temporary_folder().native()));
  }
  return blob_of(std::move(fd), "temporary file");
}

Result<TemporaryDirectory> TemporaryDirectory::create() {
  std::string name = (temporary_folder() / "casemate-XXXXXX").native();
  if (::mkdtemp(name.data()) == nullptr) return errno_error(temporary_folder().native());
  return TemporaryDirectory(os::Path(name));
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Result<std::unique_ptr<OutputFile>> OutputFile::create(const os::Path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    return malformed("{}: exists and is not a regular file", path.native());
  }
  os::Path folder = path.parent_path();
  if (folder.empty()) folder = ".";
  // Without a name until it is whole: nothing can be left behind, however this process ends.
  if (auto fd = os::open(folder, O_TMPFILE | O_RDWR, 0666)) {
    return std::unique_ptr<OutputFile>(new OutputFile(path, std::move(fd).take(), {}));
  } else if (fd.error().code() == ErrorCode::kDenied || fd.error().code() == ErrorCode::kNotFound) {
    return std::move(fd).error();
  }
  std::string name = (folder / fmt::format(".{}.XXXXXX", path.filename().native())).native();
  UniqueFd fd(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd) return errno_error(folder.native());
  const mode_t mask = ::umask(0);
  ::umask(mask);
  if (::fchmod(fd.get(), 0666 & ~mask) != 0) return errno_error(name);
  remember_pending(name);
  return std::unique_ptr<OutputFile>(new OutputFile(path, std::move(fd), name));
}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  pending_file.used = false;
}

Result<void> OutputFile::write(ByteView data) { return os::write_all(fd_.get(), data).in(path_.native()); }

Result<void> OutputFile::write_at(std::uint64_t offset, ByteView data) {
  while (!data.empty()) {
    const ssize_t done = ::pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return errno_error(path_.native());
    offset += static_cast<std::uint64_t>(done);
    data = data.subspan(static_cast<std::size_t>(done));
  }
  return {};
}

Result<void> OutputFile::commit() {
  if (temporary_.empty()) {
    // linkat cannot replace, so the file gets a name beside the wanted one first.
    const std::string own = fmt::format("/proc/self/fd/{}", fd_.get());
    for (int attempt = 0; attempt < 100; ++attempt) {
      os::Path name = path_.parent_path() / fmt::format(".{}.{}.{}", path_.filename().native(), ::getpid(), attempt);
      if (::linkat(AT_FDCWD, own.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0) {
        temporary_ = std::move(name);
        break;
      }
      if (errno != EEXIST) return errno_error(path_.native());
    }
    if (temporary_.empty()) return conflict("{}: too many temporary files beside it", path_.native());
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return errno_error(path_.native());
  temporary_.clear();
  return {};
}

}  // namespace casemate::image
