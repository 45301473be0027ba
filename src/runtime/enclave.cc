// SPDX-License-Identifier: Apache-2.0
#include "runtime/enclave.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace casemate::runtime {
namespace {

constexpr std::size_t kMaxNameBytes = 128;
constexpr std::size_t kMaxCpus = 1024;
constexpr std::size_t kMaxPublished = 64;
constexpr std::uint64_t kMaxBootTimeout = 24 * 3600;

Result<std::string> string_member(std::string_view name, const json::Value& value) {
  const std::string* text = value.if_string();
  if (text == nullptr) return malformed("{}: {}, want a string", name, value.type_name());
  return *text;
}

Result<std::uint64_t> number_member(std::string_view name, const json::Value& value, std::uint64_t highest) {
  const std::int64_t* number = value.if_int64();
  if (number == nullptr) return malformed("{}: {}, want a whole number", name, value.type_name());
  if (*number < 0 || static_cast<std::uint64_t>(*number) > highest)
    return malformed("{}: {}, want 0 to {}", name, *number, highest);
  return static_cast<std::uint64_t>(*number);
}

Result<bool> bool_member(std::string_view name, const json::Value& value) {
  const bool* flag = value.if_bool();
  if (flag == nullptr) return malformed("{}: {}, want true or false", name, value.type_name());
  return *flag;
}

Result<std::vector<std::uint32_t>> cpu_list(std::string_view name, const json::Value& value) {
  const json::Array* list = value.if_array();
  if (list == nullptr) return malformed("{}: {}, want an array", name, value.type_name());
  if (list->size() > kMaxCpus) return malformed("{}: {} CPUs, want at most {}", name, list->size(), kMaxCpus);
  std::vector<std::uint32_t> ids;
  for (const json::Value& item : *list)
    ids.push_back(static_cast<std::uint32_t>(TRY(number_member(name, item, std::numeric_limits<std::uint32_t>::max()))));
  return ids;
}

json::Array to_array(const std::vector<std::uint32_t>& ids) {
  json::Array array;
  for (const std::uint32_t id : ids) array.emplace_back(id);
  return array;
}

Result<Faults> fault_list(std::string_view name, const json::Value& value) {
  const json::Array* list = value.if_array();
  if (list == nullptr) return malformed("{}: {}, want an array", name, value.type_name());
  Faults faults;
  for (const json::Value& item : *list) faults.add(TRY(parse_fault(TRY(string_member(name, item)))));
  return faults;
}

Result<std::vector<PublishedPort>> published_list(std::string_view name, const json::Value& value) {
  const json::Array* list = value.if_array();
  if (list == nullptr) return malformed("{}: {}, want an array", name, value.type_name());
  if (list->size() > kMaxPublished) return malformed("{}: {} ports, want at most {}", name, list->size(), kMaxPublished);
  std::vector<PublishedPort> ports;
  for (const json::Value& item : *list) ports.push_back(TRY(parse_published(TRY(string_member(name, item)))));
  return ports;
}

json::Array to_array(const std::vector<PublishedPort>& ports) {
  json::Array array;
  for (const PublishedPort& port : ports) array.emplace_back(fmt::format("{}:{}", port.host_port, port.vsock_port));
  return array;
}

json::Array to_array(const Faults& faults) {
  json::Array array;
  for (const std::string_view name : faults.names()) array.emplace_back(name);
  return array;
}

Result<void> read_run_member(RunRequest& request, const std::string& name, const json::Value& value) {
  constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();
  if (value.is_null()) return {};
  if (name == "eif_path") {
    request.eif_path = TRY(string_member(name, value));
  } else if (name == "enclave_name") {
    request.enclave_name = TRY(string_member(name, value));
  } else if (name == "enclave_cid") {
    request.enclave_cid = static_cast<std::uint32_t>(TRY(number_member(name, value, kMax32)));
  } else if (name == "cpu_count") {
    request.cpu_count = static_cast<std::uint32_t>(TRY(number_member(name, value, kMaxCpus)));
    if (request.cpu_count == 0) return malformed("cpu_count: 0, want at least 1");
  } else if (name == "cpu_ids") {
    request.cpu_ids = TRY(cpu_list(name, value));
  } else if (name == "memory_mib") {
    request.memory_mib = TRY(number_member(name, value, std::uint64_t{1} << 40));
  } else if (name == "debug_mode") {
    request.debug_mode = TRY(bool_member(name, value));
  } else if (name == "attach_console") {
    request.attach_console = TRY(bool_member(name, value));
  } else if (name == "faults") {
    request.faults = TRY(fault_list(name, value));
  } else if (name == "wait_ready") {
    request.wait_ready = static_cast<std::uint32_t>(TRY(number_member(name, value, kMax32 - 1)));
  } else if (name == "published") {
    request.published = TRY(published_list(name, value));
  } else if (name == "restart") {
    request.restart = TRY(parse_restart(TRY(string_member(name, value)), request.restart_limit));
  } else if (name == "boot_timeout_s") {
    request.boot_timeout_s = static_cast<std::uint32_t>(TRY(number_member(name, value, kMaxBootTimeout)));
  } else {
    return malformed("{}: unknown member", name);
  }
  return {};
}

}  // namespace

Result<RunRequest> parse_run_request(const json::Value& value) {
  const json::Object* object = value.if_object();
  if (object == nullptr) return malformed("{}, want an object", value.type_name());
  RunRequest request;
  for (const auto& [name, member] : *object) TRY(read_run_member(request, name, member));
  if (request.eif_path.empty()) return malformed("eif_path: missing");
  if (request.cpu_count != 0 && !request.cpu_ids.empty()) return conflict("cpu_count and cpu_ids: want one of them");
  if (request.cpu_count == 0 && request.cpu_ids.empty()) return malformed("cpu_count or cpu_ids: missing");
  if (request.enclave_name.size() > kMaxNameBytes)
    return malformed("enclave_name: {} bytes, want at most {}", request.enclave_name.size(), kMaxNameBytes);
  if (request.attach_console) request.debug_mode = true;
  return request;
}

json::Value to_json(const RunRequest& request) {
  json::Object object;
  object.set("eif_path", request.eif_path);
  if (!request.enclave_name.empty()) object.set("enclave_name", request.enclave_name);
  if (request.enclave_cid) object.set("enclave_cid", *request.enclave_cid);
  if (request.cpu_count != 0) object.set("cpu_count", request.cpu_count);
  if (!request.cpu_ids.empty()) object.set("cpu_ids", to_array(request.cpu_ids));
  object.set("memory_mib", request.memory_mib);
  object.set("debug_mode", request.debug_mode);
  object.set("attach_console", request.attach_console);
  if (!request.faults.empty()) object.set("faults", to_array(request.faults));
  if (request.boot_timeout_s != 0) object.set("boot_timeout_s", request.boot_timeout_s);
  if (request.wait_ready) object.set("wait_ready", *request.wait_ready);
  if (!request.published.empty()) object.set("published", to_array(request.published));
  if (request.restart != Restart::kNo) {
    const std::string limit = request.restart_limit != 0 ? fmt::format(":{}", request.restart_limit) : "";
    object.set("restart", std::string(to_string(request.restart)) + limit);
  }
  return object;
}

std::chrono::milliseconds boot_timeout(std::uint64_t image_bytes, std::uint64_t memory_mib) {
  constexpr std::uint64_t kImagePart = std::uint64_t{6} << 30;
  constexpr std::uint64_t kMemoryPart = std::uint64_t{100} << 10;  // MiB
  static constexpr std::uint64_t kParts = std::uint64_t{1} << 20;
  const auto parts = [](std::uint64_t size, std::uint64_t part) { return std::min(1 + (size == 0 ? 0 : size - 1) / part, kParts); };
  return std::chrono::seconds(90) * static_cast<std::int64_t>(parts(image_bytes, kImagePart) + parts(memory_mib, kMemoryPart));
}

std::string_view to_string(Restart restart) {
  switch (restart) {
    case Restart::kNo: return "no";
    case Restart::kOnFailure: return "on-failure";
    case Restart::kAlways: return "always";
  }
  return "no";
}

Result<Restart> parse_restart(std::string_view text, std::uint32_t& limit) {
  const auto colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  limit = 0;
  bool good = colon == std::string_view::npos;
  if (!good) {
    const std::string_view digits = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), limit);
    good = error == std::errc() && end == digits.data() + digits.size() && limit != 0;
  }
  if (good && name == "no" && colon == std::string_view::npos) return Restart::kNo;
  if (good && name == "on-failure") return Restart::kOnFailure;
  if (good && name == "always") return Restart::kAlways;
  return malformed("restart: `{}`, want no, on-failure[:MAX] or always[:MAX]", text.substr(0, 64));
}

std::string_view to_string(State state) {
  switch (state) {
    case State::kRunning: return "RUNNING";
    case State::kTerminating: return "TERMINATING";
    case State::kEmpty: return "EMPTY";
  }
  return "EMPTY";
}

json::Object run_json(const EnclaveInfo& info) {
  json::Object object{{"EnclaveName", info.name},
                      {"EnclaveID", info.id},
                      {"ProcessID", std::int64_t{info.pid}},
                      {"EnclaveCID", info.cid},
                      {"NumberOfCPUs", std::uint64_t{info.cpu_ids.size()}},
                      {"CPUIDs", to_array(info.cpu_ids)},
                      {"MemoryMiB", info.memory_mib}};
  if (!info.published.empty()) object.set("PublishedPorts", to_array(info.published));
  return object;
}

json::Object describe_json(const EnclaveInfo& info) {
  json::Object object = run_json(info);
  object.set("State", to_string(info.state));
  object.set("Flags", info.debug_mode ? "DEBUG_MODE" : "NONE");
  if (!info.faults.empty()) object.set("Faults", to_array(info.faults));
  object.set("Measurements", info.measurements);
  for (const auto& [name, value] : info.metadata) object.set(name, value);
  return object;
}

Result<EnclaveInfo> parse_description(const json::Value& value) {
  constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();
  const json::Object* object = value.if_object();
  if (object == nullptr) return malformed("{}, want an object", value.type_name());
  EnclaveInfo info;
  for (const auto& [name, member] : *object) {
    if (name == "EnclaveName") {
      info.name = TRY(string_member(name, member));
    } else if (name == "EnclaveID") {
      info.id = TRY(string_member(name, member));
    } else if (name == "ProcessID") {
      info.pid = static_cast<pid_t>(TRY(number_member(name, member, std::numeric_limits<pid_t>::max())));
    } else if (name == "EnclaveCID") {
      info.cid = static_cast<std::uint32_t>(TRY(number_member(name, member, kMax32)));
    } else if (name == "CPUIDs") {
      info.cpu_ids = TRY(cpu_list(name, member));
    } else if (name == "MemoryMiB") {
      info.memory_mib = TRY(number_member(name, member, std::uint64_t{1} << 40));
    } else if (name == "State") {
      const std::string state = TRY(string_member(name, member));
      info.state = state == "RUNNING" ? State::kRunning : state == "TERMINATING" ? State::kTerminating : State::kEmpty;
    } else if (name == "Flags") {
      info.debug_mode = TRY(string_member(name, member)) == "DEBUG_MODE";
    } else if (name == "PublishedPorts") {
      info.published = TRY(published_list(name, member));
    } else if (name == "Faults") {
      info.faults = TRY(fault_list(name, member));
    } else if (name == "Measurements") {
      if (member.if_object() == nullptr) return malformed("{}: {}, want an object", name, member.type_name());
      info.measurements = member.object();
    } else if (name != "NumberOfCPUs") {
      info.metadata.set(name, member);
    }
  }
  if (info.id.empty() || info.cid < kFirstFreeCid) return malformed("description: EnclaveID or EnclaveCID missing");
  return info;
}

SlotId SlotId::make(WallTime now, Rng& rng) {
  std::array<std::uint8_t, 2> random{};
  rng.fill(random);
  const auto millis = static_cast<std::uint64_t>(now.time_since_epoch().count());
  return {millis << 16 | std::uint64_t{random[0]} << 8 | random[1]};
}

std::string enclave_id(std::string_view instance_id, SlotId slot) { return fmt::format("{}-enc{:x}", instance_id, slot.value); }

std::string module_id(std::string_view instance_id, SlotId slot) {
  return fmt::format("{}-enc{:016x}", instance_id, slot.value);
}

std::string default_name(std::string_view eif_path) {
  std::string_view name = eif_path.substr(eif_path.rfind('/') + 1);
  if (name.ends_with(".eif")) name.remove_suffix(4);
  return std::string(name.substr(0, kMaxNameBytes));
}

}  // namespace casemate::runtime
