// SPDX-License-Identifier: Apache-2.0
#include "runtime/registry.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <set>
#include <thread>

#include "runtime/allocator.h"
#include "runtime/wire.h"

namespace casemate::runtime {
namespace {

constexpr std::chrono::milliseconds kLockPatience{10'000};
constexpr std::chrono::milliseconds kGuestPatience{0};  // SIGTERM means nothing to a namespace's init
constexpr std::size_t kEntryBytes = 64 * 1024;
constexpr std::string_view kEntryFile = "entry.json";
constexpr std::string_view kSocketFile = "control.sock";
constexpr std::string_view kNextCidFile = ".next-cid";

json::Value encode_process(const os::ProcessId& process) {
  return json::Object{{"pid", std::int64_t{process.pid}}, {"start_ticks", process.start_ticks}};
}

Result<os::ProcessId> decode_process(const json::Value& value, std::string_view name) {
  const json::Value* member = value.find(name);
  const std::int64_t* pid = member == nullptr ? nullptr : member->int_at("pid");
  const std::int64_t* ticks = member == nullptr ? nullptr : member->int_at("start_ticks");
  if (pid == nullptr || ticks == nullptr || *pid < 0 || *pid > std::numeric_limits<pid_t>::max() || *ticks < 0)
    return malformed("{}: want pid and start_ticks", name);
  return os::ProcessId{static_cast<pid_t>(*pid), static_cast<std::uint64_t>(*ticks)};
}

json::Value encode_entry(const Entry& entry) {
  json::Array cpus;
  for (const std::uint32_t cpu : entry.cpu_ids) cpus.emplace_back(cpu);
  return json::Object{{"id", entry.id},
                      {"name", entry.name},
                      {"cid", entry.cid},
                      {"cpu_ids", std::move(cpus)},
                      {"memory_mib", entry.memory_mib},
                      {"socket", entry.socket.native()},
                      {"supervisor", encode_process(entry.supervisor)},
                      {"guest", encode_process(entry.guest)}};
}

Result<Entry> decode_entry(std::string_view text) {
  const json::Value value = TRY(json::parse(text));
  const std::string* id = value.string_at("id");
  const std::string* name = value.string_at("name");
  const std::string* socket = value.string_at("socket");
  const std::int64_t* cid = value.int_at("cid");
  if (id == nullptr || name == nullptr || socket == nullptr || cid == nullptr)
    return malformed("want id, name, socket and cid");
  Entry entry{.id = *id, .name = *name, .cid = static_cast<std::uint32_t>(*cid), .cpu_ids = {}, .memory_mib = 0, .socket = *socket,
              .supervisor = TRY(decode_process(value, "supervisor")), .guest = TRY(decode_process(value, "guest"))};
  if (const std::int64_t* memory = value.int_at("memory_mib"); memory != nullptr && *memory > 0)
    entry.memory_mib = static_cast<std::uint64_t>(*memory);
  if (const json::Value* cpus = value.find("cpu_ids"); cpus != nullptr && cpus->if_array() != nullptr) {
    for (const json::Value& cpu : cpus->array()) {
      if (const std::int64_t* number = cpu.if_int64()) entry.cpu_ids.push_back(static_cast<std::uint32_t>(*number));
    }
  }
  return entry;
}

// The part of an EnclaveID after "-enc", which names the socket.
Result<std::string> slot_text(std::string_view id) {
  const std::size_t at = id.rfind("-enc");
  if (at == std::string_view::npos || at == 0) return malformed("enclave ID `{}`: want i-...-enc...", id);
  const std::string_view slot = id.substr(at + 4);
  const bool hex = !slot.empty() && slot.size() <= 16 && slot.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  if (!hex || id.find('/') != std::string_view::npos) return malformed("enclave ID `{}`: want i-...-enc...", id);
  return std::string(slot);
}

bool uses(const std::vector<Entry>& entries, std::uint32_t cid) {
  return std::any_of(entries.begin(), entries.end(), [cid](const Entry& entry) { return entry.cid == cid; });
}

std::string unique_name(const std::vector<Entry>& entries, const std::string& wanted) {
  const auto taken = [&](const std::string& name) {
    return std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.name == name; });
  };
  std::string name = wanted;
  for (int suffix = 1; taken(name); ++suffix) name = fmt::format("{}_{}", wanted, suffix);
  return name;
}

// A tree of run files: its removal must not stop at what another process removes at the same time.
void remove_tree(const os::Path& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

Result<void> put(const os::Path& path, std::string_view text) {
  // Run files do not outlive the machine: no fsync, which would cost a start several milliseconds.
  const os::Path temporary = path.native() + fmt::format(".{}", ::getpid());
  {
    const UniqueFd file = TRY(os::open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
    TRY(os::write_all(file.get(), as_bytes(text)));
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return errno_error(path.native());
  return {};
}

}  // namespace

std::vector<std::uint32_t> pick_cpus(std::uint32_t count, std::uint32_t machine_cpus, const std::vector<std::uint32_t>& used) {
  const std::set<std::uint32_t> taken(used.begin(), used.end());
  for (std::uint32_t half = std::max((machine_cpus + 1) / 2, 2U);; ++half) {
    std::vector<std::uint32_t> picked;
    for (std::uint32_t cpu = 1; cpu < half && picked.size() < count; ++cpu) {
      if (taken.contains(cpu) || taken.contains(cpu + half)) continue;
      picked.push_back(cpu);
      if (picked.size() < count) picked.push_back(cpu + half);
    }
    if (picked.size() == count) return picked;
  }
}

Result<Registry> Registry::from_environment() {
  const char* sockets = std::getenv("NITRO_CLI_SOCKETS_PATH");
  return Registry(TRY(os::paths_from_environment()), sockets == nullptr ? os::Path() : os::Path(sockets));
}

Result<os::FileLock> Registry::lock() const {
  TRY(os::make_private_directories(paths_.enclaves()));
  return os::FileLock::acquire(paths_.enclaves() / ".lock", kLockPatience).in("the list of enclaves");
}

Result<void> Registry::write(const Entry& entry, const os::Path& folder) const {
  return put(folder / kEntryFile, json::encode(encode_entry(entry)));
}

Result<std::vector<Entry>> Registry::entries() const {
  std::vector<Entry> entries;
  for (const std::string& name : TRY(os::list(paths_.enclaves()))) {
    if (name.starts_with('.')) continue;
    const Result<std::string> text = os::read_file(paths_.enclaves() / name / kEntryFile, kEntryBytes);
    if (!text && text.error().code() == ErrorCode::kNotFound) continue;  // released meanwhile
    if (!text) return text.error();
    entries.push_back(TRY(decode_entry(*text).in(name)));
  }
  return entries;
}

Result<void> Registry::release(const Entry& entry) {
  TRY(os::remove(entry.socket));
  remove_tree(paths_.fabric() / std::to_string(entry.cid));
  remove_tree(paths_.enclaves() / entry.id);
  return {};
}

Result<void> Registry::purge_locked() {
  for (const std::string& name : TRY(os::list(paths_.enclaves()))) {
    if (name.starts_with('.')) continue;
    const os::Path folder = paths_.enclaves() / name;
    const Result<std::string> text = os::read_file(folder / kEntryFile, kEntryBytes);
    // Entries are made and removed under this lock or by their living owner, so one that cannot be read is a leftover.
    Result<Entry> entry = text ? decode_entry(*text) : Result<Entry>(text.error());
    if (!entry) {
      remove_tree(folder);
      continue;
    }
    if (os::alive(entry->supervisor)) continue;
    if (entry->guest.pid != 0) TRY(os::end(entry->guest, kGuestPatience));
    TRY(release(*entry));
  }
  return {};
}

Result<void> Registry::purge() {
  const os::FileLock held = TRY(lock());
  return purge_locked();
}

Result<std::uint32_t> Registry::next_cid(const std::vector<Entry>& live) const {
  // The hypervisor does not hand out a CID again at once; a client that still holds an old one must not reach a new
  // enclave.
  std::uint64_t cid = kFirstAutomaticCid;
  if (const Result<std::string> text = os::read_file(paths_.enclaves() / kNextCidFile, 32); text.ok())
    cid = std::max<std::uint64_t>(std::strtoull(text->c_str(), nullptr, 10), kFirstAutomaticCid);
  constexpr std::uint64_t kHighest = 0x7fffffff;
  if (cid > kHighest) cid = kFirstAutomaticCid;
  while (uses(live, static_cast<std::uint32_t>(cid))) cid = cid == kHighest ? kFirstAutomaticCid : cid + 1;
  TRY(put(paths_.enclaves() / kNextCidFile, std::to_string(cid + 1)));
  return static_cast<std::uint32_t>(cid);
}

Result<std::vector<std::uint32_t>> Registry::allocate(const Wanted& wanted, const std::vector<Entry>& live, Shortage& shortage) const {
  const auto refuse = [&shortage](Shortage what, Error error) {
    shortage = what;
    return error;
  };
  const std::optional<Allocator> allocator = TRY(load_allocator(paths_));
  std::vector<std::uint32_t> used;
  std::uint64_t used_mib = 0;
  for (const Entry& other : live) {
    used.insert(used.end(), other.cpu_ids.begin(), other.cpu_ids.end());
    used_mib += other.memory_mib;
  }
  const std::uint32_t machine = std::max(std::thread::hardware_concurrency(), 1U);
  if (allocator) {
    const std::uint64_t left = allocator->memory_mib - std::min(allocator->memory_mib, used_mib);
    if (wanted.memory_mib > left)
      return refuse(Shortage::kMemory, over_limit("memory: {} MiB, the allocator file has {} MiB left of {}", wanted.memory_mib, left, allocator->memory_mib));
  }
  const std::vector<std::uint32_t> pool = allocator ? allocator->pool(machine) : std::vector<std::uint32_t>();
  const auto taken = [&used](std::uint32_t cpu) { return std::find(used.begin(), used.end(), cpu) != used.end(); };
  for (const std::uint32_t cpu : wanted.cpu_ids) {
    if (taken(cpu)) return refuse(Shortage::kCpuInUse, over_limit("CPU {}: in use by another enclave", cpu));
    if (allocator && std::find(pool.begin(), pool.end(), cpu) == pool.end())
      return refuse(Shortage::kCpuNotInPool, over_limit("CPU {}: not in the allocator file's pool", cpu));
  }
  if (wanted.cpu_count == 0) return wanted.cpu_ids;
  if (!allocator) return pick_cpus(wanted.cpu_count, machine, used);
  std::vector<std::uint32_t> picked;
  for (const std::uint32_t cpu : pool) {
    if (picked.size() < wanted.cpu_count && !taken(cpu)) picked.push_back(cpu);
  }
  if (picked.size() < wanted.cpu_count)
    return refuse(Shortage::kTooFewCpus, over_limit("cpu-count: {}, the allocator file has {} CPUs left of {}", wanted.cpu_count, picked.size(), pool.size()));
  return picked;
}

Result<Entry> Registry::reserve(const Wanted& wanted, Shortage& shortage) {
  shortage = Shortage::kNone;
  const os::FileLock held = TRY(lock());
  TRY(purge_locked());
  const std::vector<Entry> live = TRY(entries());

  Entry entry{.id = enclave_id(wanted.instance_id, wanted.slot), .name = unique_name(live, wanted.name), .cid = 0,
              .cpu_ids = {}, .memory_mib = wanted.memory_mib, .socket = {}, .supervisor = wanted.supervisor, .guest = {}};
  entry.socket = TRY(socket_of(entry.id));
  entry.cpu_ids = TRY(allocate(wanted, live, shortage));
  if (wanted.cid && uses(live, *wanted.cid)) return conflict("CID {}: in use by another enclave", *wanted.cid);
  entry.cid = wanted.cid ? *wanted.cid : TRY(next_cid(live));

  const os::Path folder = paths_.enclaves() / entry.id;
  if (!TRY(os::list(folder)).empty()) return conflict("enclave {}: exists", entry.id);
  TRY(os::make_private_directories(folder));
  TRY(write(entry, folder));
  return entry;
}

Result<void> Registry::set_guest(const Entry& entry, const os::ProcessId& guest) {
  Entry changed = entry;
  changed.guest = guest;
  return write(changed, paths_.enclaves() / entry.id);
}

Result<std::vector<os::Path>> Registry::sockets() const {
  std::vector<os::Path> found;
  if (!sockets_.empty()) {
    std::error_code error;
    if (!std::filesystem::is_directory(sockets_, error)) return not_found("{}: no such folder", sockets_.native());
    for (const std::string& name : TRY(os::list(sockets_))) {
      if (name.ends_with(".sock")) found.push_back(sockets_ / name);
    }
    return found;
  }
  for (const std::string& name : TRY(os::list(paths_.enclaves()))) {
    if (!name.starts_with('.')) found.push_back(paths_.enclaves() / name / kSocketFile);
  }
  return found;
}

Result<os::Path> Registry::socket_of(std::string_view id) const {
  const std::string slot = TRY(slot_text(id));
  if (!sockets_.empty()) return sockets_ / (slot + ".sock");
  return paths_.enclaves() / id / kSocketFile;
}

}  // namespace casemate::runtime
