// SPDX-License-Identifier: Apache-2.0
#include "kms/api/audit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encoding.h"
#include "crypto/digest.h"

namespace casemate::kms::api {
namespace {

const std::string kFirst(64, '0');
constexpr std::size_t kLongestLine = 1024 * 1024;

// hash_of covers the event with `casemate.previous` and without `casemate.hash`.
std::string hash_of(const std::string& event) {
  return encode_hex(crypto::sha256(as_bytes(event)));
}

Result<std::string> read_hash(std::string_view line) {
  const json::Value event = TRY(json::parse(line));
  const json::Value* seal = event.find("casemate");
  const std::string* hash = seal == nullptr ? nullptr : seal->string_at("hash");
  if (hash == nullptr || hash->size() != 64) return malformed("no casemate.hash");
  return *hash;
}

struct Tail {
  std::string last_line;
  std::uint64_t end = 0;  // just past the last line end
};

Result<Tail> read_tail(int fd) {
  const off_t size = ::lseek(fd, 0, SEEK_END);
  if (size < 0) return errno_error("lseek");
  Tail tail;
  const auto from =
      static_cast<std::uint64_t>(size) > 2 * kLongestLine ? static_cast<std::uint64_t>(size) - 2 * kLongestLine : 0;
  std::string text(static_cast<std::size_t>(static_cast<std::uint64_t>(size) - from), '\0');
  os::FdSource source(fd, from, text.size());
  for (std::size_t done = 0; done < text.size();) {
    const std::size_t got = TRY(source.read({reinterpret_cast<std::uint8_t*>(text.data()) + done, text.size() - done}));
    if (got == 0) return internal("file became shorter");
    done += got;
  }
  const std::size_t end = text.rfind('\n');
  if (end == std::string::npos) return tail;
  tail.end = from + end + 1;
  const std::size_t before = end == 0 ? std::string::npos : text.rfind('\n', end - 1);
  tail.last_line =
      text.substr(before == std::string::npos ? 0 : before + 1, before == std::string::npos ? end : end - before - 1);
  return tail;
}

}  // namespace

Result<std::unique_ptr<AuditLog>> AuditLog::open(const os::Path& path) {
  UniqueFd file = TRY(os::open(path, O_RDWR | O_CREAT | O_APPEND, 0600));
  if (::fchmod(file.get(), 0600) != 0) return errno_error(path.native());
  const Tail tail = TRY(read_tail(file.get()).in(path.native()));
  std::string hash = kFirst;
  if (!tail.last_line.empty()) hash = TRY(read_hash(tail.last_line).in("last line").in(path.native()));
  if (::ftruncate(file.get(), static_cast<off_t>(tail.end)) != 0) return errno_error(path.native());
  return std::unique_ptr<AuditLog>(new AuditLog(std::move(file), std::move(hash)));
}

Result<void> AuditLog::append(json::Object event) {
  const std::lock_guard lock(mutex_);
  event.set("casemate", json::Object{{"previous", last_hash_}});
  const std::string hash = hash_of(json::encode(event));
  event.set("casemate", json::Object{{"previous", last_hash_}, {"hash", hash}});
  const std::string line = json::encode(event) + "\n";
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) return errno_error("audit log");
  const auto written = os::write_all(file_.get(), as_bytes(line));
  if (!written.ok()) {
    // Half a line must not stay in front of the next one.
    if (::ftruncate(file_.get(), status.st_size) != 0) return errno_error("audit log");
    return written.error();
  }
  last_hash_ = hash;
  return {};
}

Result<std::size_t> AuditLog::verify_chain(std::string_view text) {
  std::size_t count = 0;
  std::string previous = kFirst;
  while (!text.empty()) {
    const std::string step = fmt::format("line {}", count + 1);
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return malformed("{}: no line end", step);
    json::Value event = TRY(json::parse(text.substr(0, end)).in(step));
    json::Object* object = event.if_object();
    json::Value* seal = object == nullptr ? nullptr : object->find("casemate");
    json::Object* chain = seal == nullptr ? nullptr : seal->if_object();
    if (chain == nullptr || seal->string_at("hash") == nullptr) return malformed("{}: no casemate.hash", step);
    const std::string hash = *seal->string_at("hash");
    const std::string* claimed = seal->string_at("previous");
    if (claimed == nullptr || *claimed != previous) return untrusted("{}: does not follow the line before", step);
    chain->erase("hash");
    if (hash_of(json::encode(event)) != hash) return untrusted("{}: changed", step);
    previous = hash;
    text.remove_prefix(end + 1);
    ++count;
  }
  return count;
}

}  // namespace casemate::kms::api
