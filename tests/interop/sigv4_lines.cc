// SPDX-License-Identifier: Apache-2.0
// Verifies signed requests given as JSON lines on standard input and prints one verdict a line:
// {"method","target","headers":[[name,value]],"body":base64,"now":basic time,"service","region","keys":{id:[secret,token]}}
#include <iostream>
#include <string>

#include "base/encoding.h"
#include "base/time_text.h"
#include "json/value.h"
#include "sigv4/sigv4.h"

namespace casemate {
namespace {

class Keys final : public sigv4::CredentialSource<std::string> {
 public:
  explicit Keys(const json::Value& keys) : keys_(keys) {}
  sigv4::Lookup<std::string> find(std::string_view id, std::optional<std::string_view> token, WallTime) override {
    sigv4::Lookup<std::string> out;
    const json::Value* found = keys_.find(id);
    const json::Array* pair = found == nullptr ? nullptr : found->if_array();
    if (pair == nullptr || pair->size() != 2) return out;
    const std::string* secret = (*pair)[0].if_string();
    const std::string* wanted = (*pair)[1].if_string();
    if (secret == nullptr || wanted == nullptr || token.value_or("") != *wanted) return out;
    out.found = sigv4::Found::kCredential;
    out.secret_access_key = Secret::copy_of(as_bytes(*secret));
    out.identity = id;
    return out;
  }

 private:
  const json::Value& keys_;
};

Result<std::string> text(const json::Value& line, std::string_view name) {
  const std::string* found = line.string_at(name);
  if (found == nullptr) return malformed("line: no {}", name);
  return *found;
}

Result<std::string> judge(std::string_view input) {
  const json::Value line = TRY(json::parse(input));
  http::Request request;
  request.method = TRY(text(line, "method"));
  request.target = TRY(text(line, "target"));
  request.body = as_text(TRY(decode_base64(TRY(text(line, "body")))));
  const json::Value* headers = line.find("headers");
  const json::Array* list = headers == nullptr ? nullptr : headers->if_array();
  if (list == nullptr) return malformed("line: no headers");
  for (const json::Value& header : *list) {
    const json::Array* pair = header.if_array();
    if (pair == nullptr || pair->size() != 2) return malformed("line: a header is no pair");
    const std::string* name = (*pair)[0].if_string();
    const std::string* value = (*pair)[1].if_string();
    if (name == nullptr || value == nullptr) return malformed("line: a header is no pair of strings");
    request.headers.add(*name, *value);
  }
  const json::Value* keys = line.find("keys");
  if (keys == nullptr) return malformed("line: no keys");
  Keys source(*keys);
  const sigv4::Expectation expectation{{TRY(text(line, "service"))}, {TRY(text(line, "region"))}};
  const auto verdict = sigv4::verify<std::string>(request, expectation, TRY(parse_basic(TRY(text(line, "now")))), source);
  if (const auto* failure = std::get_if<sigv4::Failure>(&verdict)) {
    return json::encode(json::Object{{"error", sigv4::json_error(failure->kind).code}, {"message", failure->message}});
  }
  return json::encode(json::Object{{"identity", std::get<sigv4::Authenticated<std::string>>(verdict).identity}});
}

}  // namespace
}  // namespace casemate

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto verdict = casemate::judge(line);
    if (!verdict) {
      std::cerr << verdict.error().message() << "\n";
      return 1;
    }
    std::cout << *verdict << "\n";
  }
  return 0;
}
