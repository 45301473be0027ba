// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "casemate/parent.h"
#include "json/value.h"
#include "os/process.h"

namespace casemate::parent {
namespace {

Result<std::string> find_nitro_cli() {
  if (const auto self = os::executable_path()) {
    const auto beside = self->parent_path() / "nitro-cli";
    if (::access(beside.c_str(), X_OK) == 0) return beside.string();
  }
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    const std::string folder(rest.substr(0, colon));
    rest = colon == std::string_view::npos ? std::string_view{} : rest.substr(colon + 1);
    // An empty entry would be the current folder.
    if (folder.empty()) continue;
    const std::string candidate = folder + "/nitro-cli";
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return not_found("nitro-cli: neither beside this program nor on PATH");
}

std::string first_line(std::string_view text) {
  return std::string(text.substr(0, std::min<std::size_t>(text.find('\n'), 256)));
}

std::string text_or_empty(const json::Value& value, std::string_view name) {
  const std::string* text = value.string_at(name);
  return text == nullptr ? "" : *text;
}

}  // namespace

Result<std::vector<Enclave>> describe_enclaves(std::chrono::milliseconds timeout) {
  const std::string program = TRY(find_nitro_cli());
  const os::Output output = TRY(os::run({program, "describe-enclaves"}, timeout).in("nitro-cli describe-enclaves"));
  if (output.status != 0) return unavailable("nitro-cli describe-enclaves: status {}: {}", output.status, first_line(output.err));
  const json::Value value = TRY(json::parse(output.out).in("nitro-cli describe-enclaves"));
  const json::Array* entries = value.if_array();
  if (entries == nullptr) return malformed("nitro-cli describe-enclaves: {}, want an array", value.type_name());

  std::vector<Enclave> enclaves;
  for (const json::Value& entry : *entries) {
    const std::int64_t* cid = entry.int_at("EnclaveCID");
    if (cid == nullptr || *cid < 0 || *cid > 0xffffffff) return malformed("nitro-cli describe-enclaves: EnclaveCID missing or out of range");
    enclaves.push_back({text_or_empty(entry, "EnclaveID"), text_or_empty(entry, "EnclaveName"), static_cast<std::uint32_t>(*cid),
                        text_or_empty(entry, "State"), text_or_empty(entry, "Flags")});
  }
  return enclaves;
}

Result<Enclave> first_enclave(std::chrono::milliseconds timeout) {
  std::vector<Enclave> enclaves = TRY(describe_enclaves(timeout));
  if (enclaves.empty()) return not_found("no enclave is running: start one with nitro-cli run-enclave");
  return std::move(enclaves.front());
}

}  // namespace casemate::parent
