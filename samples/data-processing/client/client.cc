// SPDX-License-Identifier: Apache-2.0
#include "client.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <thread>

#include "casemate/encoding.h"
#include "casemate/parent.h"

namespace data_processing {

using casemate::Error;
using casemate::ErrorCode;
using casemate::Result;
using casemate::Secret;
using casemate::UniqueFd;
using casemate::message::Fields;

namespace {

constexpr std::size_t kLargestFile = 1024 * 1024;
constexpr std::chrono::milliseconds kPatience{5'000};
// The enclave's own limit for KMS is shorter, so its reason arrives before ours.
constexpr std::chrono::milliseconds kReplyPatience{30'000};

Error malformed(std::string message) {
  return {ErrorCode::kMalformed, std::move(message)};
}

Error file_error(const std::string& path) {
  const ErrorCode code = errno == ENOENT ? ErrorCode::kNotFound : errno == EACCES ? ErrorCode::kDenied : ErrorCode::kInternal;
  return {code, path + ": " + std::strerror(errno)};
}

bool sixteen_digits(std::string_view line) {
  return line.size() == 16 && std::all_of(line.begin(), line.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// choose is uniform over 0 .. count-1.
std::size_t choose(std::size_t count) {
  for (;;) {
    std::uint32_t random = 0;
    if (::getrandom(&random, sizeof random, 0) != sizeof random) continue;
    const std::uint64_t fair = (std::uint64_t{1} << 32) / count * count;
    if (random < fair) return random % count;
  }
}

std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

Result<casemate::kms::Client::Options> kms_options(const ClientOptions& options) {
  std::string region = options.region;
  if (region.empty()) {
    auto found = casemate::parent::find_region();
    if (!found) return std::move(found).error();
    region = found.take();
  }
  return casemate::parent::kms_options(std::move(region));
}

Result<void> prepare(const ClientOptions& options) {
  auto text = read_file(options.values);
  if (!text) return std::move(text).error();
  auto values = parse_values(*text);
  if (!values) return std::move(values).error().in(options.values);
  const std::string& value = (*values)[choose(values->size())];

  auto kms = kms_options(options);
  if (!kms) return std::move(kms).error();
  auto client = casemate::kms::Client::create(kms.take());
  if (!client) return std::move(client).error();
  const std::string key = options.alias.starts_with("alias/") ? options.alias : "alias/" + options.alias;
  auto encrypted = client->encrypt({key, Secret(casemate::Bytes(value.begin(), value.end())), {}});
  if (!encrypted) return std::move(encrypted).error();

  const std::string ciphertext = casemate::encode_base64(encrypted->ciphertext);
  if (auto written = write_file(options.ciphertext, ciphertext + "\n"); !written) return written;
  std::printf("Ciphertext: %s\nLast four digits: %s\nWritten to %s\n", ciphertext.c_str(), value.substr(12).c_str(),
              options.ciphertext.c_str());
  return {};
}

Result<std::uint32_t> find_cid(const ClientOptions& options) {
  if (options.enclave_cid) return *options.enclave_cid;
  auto enclave = casemate::parent::first_enclave(kPatience);
  if (!enclave) return std::move(enclave).error();
  return enclave->cid;
}

// An enclave that has just been started may not listen yet: an application needs a moment after its enclave's boot.
Result<UniqueFd> connect_to_server(const casemate::vsock::Address& server) {
  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    auto socket = casemate::parent::connect(server, kPatience);
    if (socket || socket.error().code() != ErrorCode::kUnavailable || std::chrono::steady_clock::now() >= give_up) return socket;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

Result<void> submit(const ClientOptions& options) {
  auto text = read_file(options.ciphertext);
  if (!text) return std::move(text).error();
  auto ciphertext = parse_ciphertext(*text);
  if (!ciphertext) return std::move(ciphertext).error().in(options.ciphertext);
  auto kms = kms_options(options);
  if (!kms) return std::move(kms).error();
  auto cid = find_cid(options);
  if (!cid) return std::move(cid).error();
  auto credentials = kms->credentials->get(kPatience);
  if (!credentials) return std::move(credentials).error().in("credentials");

  auto socket = connect_to_server({*cid, options.port});
  if (!socket) return std::move(socket).error();
  auto last_four = exchange(socket->get(), request_fields(**credentials, kms->region, *ciphertext));
  if (!last_four) return std::move(last_four).error();
  std::printf("Last four digits: %s\n", printable(last_four.take()).c_str());
  return {};
}

template <typename T>
bool parse_number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

const char* const kClientUsage =
    "usage: data-processing-client --prepare --values FILE --alias NAME [--ciphertext FILE] [--region REGION]\n"
    "       data-processing-client --submit --ciphertext FILE [--alias NAME] [--region REGION] [--enclave-cid CID] [--port PORT]\n"
    "\n"
    "--prepare encrypts one random line of FILE (values.txt) under the key NAME and writes it to string.encrypted.\n"
    "--submit has the first running enclave decrypt it and prints the last four digits. The ciphertext names its key,\n"
    "so --alias is accepted there and not needed.\n"
    "Credentials come from the environment (AWS_ACCESS_KEY_ID, ...) or, as on EC2, from the instance metadata.\n";

Result<ClientOptions> parse_client_arguments(std::span<const char* const> arguments) {
  ClientOptions options;
  bool prepare = false;
  bool submit = false;
  const std::pair<std::string_view, std::string*> texts[] = {
      {"--values", &options.values}, {"--ciphertext", &options.ciphertext}, {"--alias", &options.alias}, {"--region", &options.region}};
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string_view name = arguments[i];
    if (name == "--help" || name == "-h") return ClientOptions{};
    if (name == "--prepare" || name == "--submit") {
      (name == "--prepare" ? prepare : submit) = true;
      continue;
    }
    std::optional<std::string_view> value;
    if (const auto equals = name.find('='); equals != std::string_view::npos) {
      value = name.substr(equals + 1);
      name = name.substr(0, equals);
    } else if (i + 1 < arguments.size()) {
      value = arguments[i + 1];
    }
    const bool joined = std::string_view(arguments[i]).size() != name.size();
    const auto text = std::find_if(std::begin(texts), std::end(texts), [&](const auto& entry) { return entry.first == name; });
    const bool number = name == "--port" || name == "--enclave-cid";
    if (text == std::end(texts) && !number) return malformed("unknown argument " + std::string(name));
    if (!value || value->empty()) return malformed(std::string(name) + ": value missing");
    if (!joined) ++i;
    if (text != std::end(texts)) {
      *text->second = *value;
      continue;
    }
    std::uint32_t parsed = 0;
    if (!parse_number(*value, parsed)) return malformed(std::string(name) + ": " + std::string(*value) + ", want a number");
    if (name == "--port") {
      options.port = parsed;
    } else {
      options.enclave_cid = parsed;
    }
  }
  if (prepare == submit) return malformed("want either --prepare or --submit");
  if (prepare && options.alias.empty()) return malformed("--alias is missing: the key to encrypt with");
  options.action = prepare ? ClientOptions::Action::kPrepare : ClientOptions::Action::kSubmit;
  return options;
}

Result<std::vector<std::string>> parse_values(std::string_view text) {
  std::vector<std::string> values;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    if (!sixteen_digits(line)) return malformed("line " + std::to_string(number) + ": want 16 digits");
    values.emplace_back(line);
  }
  if (values.empty()) return malformed("empty, want at least one value of 16 digits");
  return values;
}

Result<std::string> parse_ciphertext(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  if (text.empty()) return malformed("empty, want the output of --prepare");
  if (auto bytes = casemate::decode_base64(text); !bytes) return std::move(bytes).error();
  return std::string(text);
}

Result<std::string> read_file(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return file_error(path);
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t count = ::read(file.get(), buffer, sizeof buffer);
    if (count < 0) return file_error(path);
    if (count == 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
    if (text.size() > kLargestFile) return Error(ErrorCode::kLimit, path + ": more than 1 MiB");
  }
}

Result<void> write_file(const std::string& path, std::string_view text) {
  std::string temporary = path + ".XXXXXX";
  const UniqueFd file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file) return file_error(path);
  bool written = ::fchmod(file.get(), 0644) == 0;
  while (written && !text.empty()) {
    const ssize_t count = ::write(file.get(), text.data(), text.size());
    written = count >= 0;
    if (written) text.remove_prefix(static_cast<std::size_t>(count));
  }
  if (written && ::fsync(file.get()) == 0 && ::rename(temporary.c_str(), path.c_str()) == 0) return {};
  Error error = file_error(path);
  ::unlink(temporary.c_str());
  return error;
}

Fields request_fields(const casemate::Credentials& credentials, std::string_view region, std::string_view ciphertext) {
  const casemate::ByteView secret = credentials.secret_access_key.expose();
  return {{"access_key_id", credentials.access_key_id},
          {"secret_access_key", std::string(secret.begin(), secret.end())},
          {"token", credentials.session_token},
          {"region", std::string(region)},
          {"ciphertext", std::string(ciphertext)}};
}

Result<std::string> exchange(int socket, const Fields& request) {
  if (auto sent = casemate::message::send(socket, request, kPatience); !sent) return std::move(sent).error().in("enclave");
  auto reply = casemate::message::receive(socket, kReplyPatience);
  if (!reply) return std::move(reply).error().in("enclave");
  if (const std::string* error = reply->find("error")) return Error(ErrorCode::kDenied, "enclave: " + printable(*error));
  const std::string* last_four = reply->find("last_four");
  if (last_four == nullptr) return malformed("enclave: reply without last_four");
  return *last_four;
}

Result<void> run(const ClientOptions& options) {
  switch (options.action) {
    case ClientOptions::Action::kPrepare: return prepare(options);
    case ClientOptions::Action::kSubmit: return submit(options);
    case ClientOptions::Action::kHelp: break;
  }
  std::fputs(kClientUsage, stdout);
  return {};
}

}  // namespace data_processing
