// SPDX-License-Identifier: Apache-2.0
#include "kmstool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "casemate/encoding.h"
#include "casemate/message.h"

namespace casemate::kmstool {
namespace {

using Command = Options::Command;

constexpr std::size_t kLargestCredentials = 64 * 1024;

Error malformed(std::string message) {
  return {ErrorCode::kMalformed, std::move(message)};
}

struct Verb {
  Command command;
  const char* name;
  const char* summary;
  // The flags beyond the common ones, in the order of the usage.
  std::vector<const char*> flags;
};

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> kVerbs = {
      {Command::kDecrypt, "decrypt", "Decrypt a given ciphertext blob.", {"ciphertext", "key-id", "encryption-algorithm", "encryption-context"}},
      {Command::kGenKey, "genkey", "Generate a datakey from KMS encrypted with the given key id.", {"key-id", "key-spec", "encryption-context"}},
      {Command::kGenRandom, "genrandom", "Generate a random byte string from KMS.", {"length"}},
      {Command::kEncrypt, "encrypt", "Encrypt a plaintext with the given key id.", {"key-id", "plaintext", "encryption-context"}},
      {Command::kGenDataKeyPair, "gendatakeypair", "Generate a data key pair, the private key encrypted with the given key id.", {"key-id", "key-spec", "encryption-context"}},
      {Command::kDeriveSharedSecret, "derivesharedsecret", "Derive the secret shared with a public key.", {"key-id", "public-key"}},
  };
  return kVerbs;
}

struct Flag {
  const char* name;
  const char* help;
};
constexpr Flag kFlags[] = {
    {"region", "REGION: AWS region to use for KMS. Default: 'us-east-1'"},
    {"proxy-port", "PORT: Connect to KMS proxy on PORT. Default: 8000"},
    {"aws-access-key-id", "ACCESS_KEY_ID: AWS access key ID"},
    {"aws-secret-access-key", "SECRET_ACCESS_KEY: AWS secret access key"},
    {"aws-session-token", "SESSION_TOKEN: Session token associated with the access key ID"},
    {"credentials-fd", "FD: read the credentials as JSON from this descriptor (0 is stdin) instead"},
    {"credentials-file", "FILE: read the credentials as JSON from this file instead"},
    {"endpoint-host", "HOST: name of the KMS endpoint. Default: that of the region"},
    {"ca-file", "FILE: trusted certificates, PEM. Default: SSL_CERT_FILE or the system's"},
    {"ciphertext", "CIPHERTEXT: base64-encoded ciphertext that need to decrypt"},
    {"plaintext", "PLAINTEXT: base64-encoded plaintext to encrypt"},
    {"public-key", "PUBLIC_KEY: base64-encoded public key of the other side (DER)"},
    {"key-id", "KEY_ID: key id (optional to decrypt with a symmetric key)"},
    {"key-spec", "KEY_SPEC: AES-256 or AES-128; for a key pair as KMS names it (ECC_NIST_P256, RSA_2048, ...)"},
    {"encryption-algorithm", "ENCRYPTION_ALGORITHM: encryption algorithm for ciphertext"},
    {"encryption-context", "NAME=VALUE: a pair of the encryption context; may be repeated"},
    {"length", "NO_OF_BYTES: The length of the random byte string"},
};
constexpr std::size_t kCommonFlags = 9;

const char* help_of(std::string_view name) {
  const auto it = std::find_if(std::begin(kFlags), std::end(kFlags), [&](const Flag& flag) { return flag.name == name; });
  return it == std::end(kFlags) ? "" : it->help;
}

std::string commands_usage() {
  std::string text = "usage: kmstool_enclave_cli [command]\n\n Commands: \n\n";
  for (const Verb& verb : verbs()) text += std::string("    ") + verb.name + ": " + verb.summary + "\n";
  return text;
}

std::string verb_usage(const Verb& verb) {
  std::string text = std::string("usage: kmstool_enclave_cli ") + verb.name + " [options]\n\n Options: \n\n    --help: Displays this message and exits\n";
  const auto add = [&](const char* name) { text += std::string("    --") + name + " " + help_of(name) + "\n"; };
  for (std::size_t i = 0; i < kCommonFlags; ++i) add(kFlags[i].name);
  for (const char* name : verb.flags) add(name);
  return text + "    --json: print one JSON object instead of lines\n";
}

template <typename T>
bool parse_number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

// set gives the flag its value, or says what is wrong with it.
std::string set(Options& options, std::string_view name, std::string_view value) {
  const std::pair<std::string_view, std::string*> texts[] = {
      {"region", &options.region},           {"aws-access-key-id", &options.access_key_id}, {"aws-secret-access-key", &options.secret_access_key},
      {"aws-session-token", &options.session_token}, {"credentials-file", &options.credentials_file}, {"ciphertext", &options.ciphertext},
      {"plaintext", &options.plaintext},     {"public-key", &options.public_key},           {"key-id", &options.key_id},
      {"key-spec", &options.key_spec},       {"encryption-algorithm", &options.encryption_algorithm}, {"endpoint-host", &options.host},
      {"ca-file", &options.ca_file}};
  for (const auto& [known, target] : texts) {
    if (known != name) continue;
    *target = value;
    return {};
  }
  const std::string shown(value);
  if (name == "proxy-port") return parse_number(value, options.proxy_port) ? "" : "--proxy-port: " + shown + ", want a number";
  if (name == "credentials-fd") return parse_number(value, options.credentials_fd) && options.credentials_fd >= 0 ? "" : "--credentials-fd: " + shown + ", want a number";
  if (name == "encryption-context") {
    const auto equals = value.find('=');
    if (equals == std::string_view::npos || equals == 0) return "--encryption-context: want NAME=VALUE";
    if (!options.encryption_context.emplace(value.substr(0, equals), value.substr(equals + 1)).second) return "--encryption-context: name given twice";
    return {};
  }
  long length = 0;
  if (!parse_number(value, length) || length <= 0) return "--length must be greater than 0";
  if (length > 1024) return "--length must be smaller or equal to 1024";
  options.length = static_cast<std::uint32_t>(length);
  return {};
}

// missing is AWS's message for the first flag that the command needs and was not given.
std::string missing(const Options& options) {
  const auto need = [](const std::string& value, const char* name) { return value.empty() ? std::string("--") + name + " must be set" : std::string(); };
  if (options.credentials_fd < 0 && options.credentials_file.empty()) {
    for (const std::string& message : {need(options.access_key_id, "aws-access-key-id"), need(options.secret_access_key, "aws-secret-access-key"),
                                       need(options.session_token, "aws-session-token")}) {
      if (!message.empty()) return message;
    }
  }
  std::vector<std::string> messages;
  switch (options.command) {
    case Command::kDecrypt: messages = {need(options.ciphertext, "ciphertext")}; break;
    case Command::kGenKey: {
      messages = {need(options.key_id, "key-id"), need(options.key_spec, "key-spec")};
      if (options.key_spec != "AES-256" && options.key_spec != "AES-128") messages.push_back("Unknown key spec: " + options.key_spec);
      break;
    }
    case Command::kGenRandom: messages = {options.length == 0 ? "--length must be set" : ""}; break;
    case Command::kEncrypt: messages = {need(options.key_id, "key-id"), need(options.plaintext, "plaintext")}; break;
    case Command::kGenDataKeyPair: messages = {need(options.key_id, "key-id"), need(options.key_spec, "key-spec")}; break;
    case Command::kDeriveSharedSecret: messages = {need(options.key_id, "key-id"), need(options.public_key, "public-key")}; break;
  }
  const auto first = std::find_if(messages.begin(), messages.end(), [](const std::string& message) { return !message.empty(); });
  return first == messages.end() ? "" : *first;
}

Result<std::string> read_all(int fd, const std::string& what) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t count = ::read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Error(ErrorCode::kInternal, what + ": " + std::strerror(errno));
    if (count == 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
    if (text.size() > kLargestCredentials) return Error(ErrorCode::kLimit, what + ": more than 64 KiB");
  }
}

Result<Credentials> find_credentials(const Options& options) {
  if (options.credentials_fd < 0 && options.credentials_file.empty()) {
    const auto& key = options.secret_access_key;
    return Credentials{options.access_key_id, Secret(Bytes(key.begin(), key.end())), options.session_token, std::nullopt};
  }
  std::string what = options.credentials_file.empty() ? "credentials" : options.credentials_file;
  UniqueFd file;
  if (!options.credentials_file.empty()) {
    file.reset(::open(what.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return Error(ErrorCode::kNotFound, what + ": " + std::strerror(errno));
  }
  auto text = read_all(file ? file.get() : options.credentials_fd, what);
  if (!text) return std::move(text).error();
  auto credentials = parse_credentials(*text);
  zeroize(text->data(), text->size());
  return std::move(credentials).in(what);
}

Result<Bytes> decode(const std::string& text, const char* what) {
  auto bytes = decode_base64(text);
  if (!bytes) return malformed(std::string(what) + " not a base64 string");
  return bytes;
}

// Output builds the lines or the JSON object in memory that is wiped.
class Output {
 public:
  explicit Output(bool json) : json_(json) {}

  void add(std::string_view name, ByteView value) {
    std::string text = encode_base64(value);
    if (json_) {
      append(bytes_.empty() ? "{\"" : ", \"");
      append(name);
      append("\": \"");
      append(text);
      append("\"");
    } else {
      append(name);
      append(": ");
      append(text);
      append("\n");
    }
    zeroize(text.data(), text.size());
  }
  Secret take() {
    if (json_) append("}\n");
    return Secret(std::move(bytes_));
  }

 private:
  void append(std::string_view text) {
    if (bytes_.capacity() - bytes_.size() < text.size()) {
      Bytes larger;
      larger.reserve(2 * (bytes_.size() + text.size()));
      larger.assign(bytes_.begin(), bytes_.end());
      zeroize(bytes_.data(), bytes_.size());
      bytes_ = std::move(larger);
    }
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }

  bool json_;
  Bytes bytes_;
};

}  // namespace

std::variant<Options, Usage> parse_arguments(std::span<const char* const> arguments, const Environment& environment) {
  const auto verb = arguments.empty() ? verbs().end() : std::find_if(verbs().begin(), verbs().end(), [&](const Verb& known) {
    return std::string_view(arguments[0]) == known.name;
  });
  if (verb == verbs().end()) return Usage{commands_usage()};
  Options options;
  options.command = verb->command;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    std::string_view name = arguments[i];
    if (name == "--help" || name == "-h") return Usage{verb_usage(*verb)};
    if (name == "--json") {
      options.json = true;
      continue;
    }
    if (!name.starts_with("--")) return Usage{"Unknown option: " + std::string(name) + "\n" + verb_usage(*verb)};
    name.remove_prefix(2);
    std::optional<std::string_view> value;
    if (const auto equals = name.find('='); equals != std::string_view::npos) {
      value = name.substr(equals + 1);
      name = name.substr(0, equals);
    }
    const bool common = std::any_of(kFlags, kFlags + kCommonFlags, [&](const Flag& flag) { return flag.name == name; });
    const bool own = std::any_of(verb->flags.begin(), verb->flags.end(), [&](const char* flag) { return flag == name; });
    if (!common && !own) return Usage{"Unknown option: --" + std::string(name) + "\n" + verb_usage(*verb)};
    if (!value) {
      if (i + 1 == arguments.size()) return Usage{"--" + std::string(name) + ": value missing\n" + verb_usage(*verb)};
      value = arguments[++i];
    }
    if (const std::string wrong = set(options, name, *value); !wrong.empty()) return Usage{wrong + "\n"};
  }
  if (options.access_key_id.empty() && options.secret_access_key.empty() && options.session_token.empty()) {
    options.access_key_id = environment("AWS_ACCESS_KEY_ID");
    options.secret_access_key = environment("AWS_SECRET_ACCESS_KEY");
    options.session_token = environment("AWS_SESSION_TOKEN");
  }
  if (const std::string message = missing(options); !message.empty()) return Usage{message + "\n"};
  return options;
}

Result<Credentials> parse_credentials(std::string_view text) {
  auto fields = message::parse(text);
  if (!fields) return std::move(fields).error();
  const std::string* id = fields->find("AccessKeyId");
  const std::string* secret = fields->find("SecretAccessKey");
  const std::string* token = fields->find("SessionToken");
  if (token == nullptr) token = fields->find("Token");
  if (id == nullptr || secret == nullptr) return malformed("want AccessKeyId, SecretAccessKey and Token");
  return Credentials{*id, Secret(Bytes(secret->begin(), secret->end())), token == nullptr ? "" : *token, std::nullopt};
}

Result<kms::Client> make_client(const Options& options) {
  auto credentials = find_credentials(options);
  if (!credentials) return std::move(credentials).error();
  kms::Client::Options client;
  client.region = options.region;
  client.host = options.host;
  client.ca_file = options.ca_file;
  client.connect = kms::vsock_connector(options.proxy_port);
  client.credentials = static_credentials(credentials.take());
  if (options.command != Command::kEncrypt) {
    auto module = nsm::Client::open();
    if (!module) return std::move(module).error();
    auto recipient = kms::Recipient::create(module.take());
    if (!recipient) return std::move(recipient).error();
    client.recipient = recipient.take();
  }
  return kms::Client::create(std::move(client));
}

Result<Secret> run(const Options& options, const kms::Client& client) {
  Output output(options.json);
  switch (options.command) {
    case Command::kDecrypt: {
      auto ciphertext = decode(options.ciphertext, "Ciphertext");
      if (!ciphertext) return std::move(ciphertext).error();
      auto decrypted = client.decrypt({ciphertext.take(), options.key_id, options.encryption_algorithm, options.encryption_context});
      if (!decrypted) return std::move(decrypted).error();
      output.add("PLAINTEXT", decrypted->plaintext.expose());
      break;
    }
    case Command::kGenKey: {
      auto key = client.generate_data_key({options.key_id, options.key_spec == "AES-128" ? "AES_128" : "AES_256", 0, options.encryption_context});
      if (!key) return std::move(key).error();
      output.add("CIPHERTEXT", key->ciphertext);
      output.add("PLAINTEXT", key->plaintext.expose());
      break;
    }
    case Command::kGenRandom: {
      auto random = client.generate_random(options.length);
      if (!random) return std::move(random).error();
      output.add("PLAINTEXT", random->expose());
      break;
    }
    case Command::kEncrypt: {
      auto plaintext = decode(options.plaintext, "Plaintext");
      if (!plaintext) return std::move(plaintext).error();
      auto encrypted = client.encrypt({options.key_id, Secret(plaintext.take()), options.encryption_context});
      if (!encrypted) return std::move(encrypted).error();
      output.add("CIPHERTEXT", encrypted->ciphertext);
      break;
    }
    case Command::kGenDataKeyPair: {
      auto pair = client.generate_data_key_pair({options.key_id, options.key_spec, options.encryption_context});
      if (!pair) return std::move(pair).error();
      output.add("CIPHERTEXT", pair->private_key_ciphertext);
      output.add("PLAINTEXT", pair->private_key.expose());
      output.add("PUBLICKEY", pair->public_key);
      break;
    }
    case Command::kDeriveSharedSecret: {
      auto public_key = decode(options.public_key, "Public key");
      if (!public_key) return std::move(public_key).error();
      auto secret = client.derive_shared_secret({options.key_id, public_key.take()});
      if (!secret) return std::move(secret).error();
      output.add("PLAINTEXT", secret->secret.expose());
      break;
    }
  }
  return output.take();
}

}  // namespace casemate::kmstool
