// SPDX-License-Identifier: Apache-2.0
#include "proxy/resolver.h"

#include <netdb.h>

#include <algorithm>
#include <utility>

namespace casemate::proxy {
namespace {

constexpr std::chrono::seconds kAdmitTime{10};
constexpr std::chrono::milliseconds kUnknownTtl{30'000};
// A record that may not be kept at all would mean a look-up for every connection.
constexpr std::chrono::milliseconds kShortestKeep{1'000};

const Override* find_override(const std::vector<Override>& overrides, const HostPort& remote) {
  const auto it =
      std::find_if(overrides.begin(), overrides.end(), [&](const Override& each) { return each.name == remote; });
  return it == overrides.end() ? nullptr : &*it;
}

}  // namespace

Result<std::vector<IpAddress>> system_lookup(const std::string& host, Family family) {
  addrinfo hints{};
  hints.ai_family = family == Family::kAny ? AF_UNSPEC : family == Family::kIpv4 ? AF_INET : AF_INET6;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int failure = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (failure == EAI_NONAME || failure == EAI_NODATA)
    return not_found("{}: name does not exist or has no address", host);
  if (failure != 0) return unavailable("{}: {}", host, ::gai_strerror(failure));
  std::vector<IpAddress> out;
  for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
    if (each->ai_family != AF_INET && each->ai_family != AF_INET6) continue;
    const auto address = IpAddress::from(*each->ai_addr);
    if (address.matches(family) && std::find(out.begin(), out.end(), address) == out.end()) out.push_back(address);
  }
  ::freeaddrinfo(list);
  if (out.empty()) return not_found("{}: no address of the wanted family", host);
  return out;
}

Lookup behind_overrides(std::vector<Override> overrides, Lookup lookup) {
  return [overrides = std::move(overrides), lookup = std::move(lookup)](
             const std::string& host, Family family) -> Result<std::vector<IpAddress>> {
    if (const auto literal = IpAddress::parse(host)) return std::vector{*literal};
    std::vector<IpAddress> given;
    for (const auto& each : overrides) {
      if (each.name.host == host && each.address.matches(family)) given.push_back(each.address);
    }
    if (!given.empty()) return given;
    return lookup(host, family);
  };
}

Result<Admission> admit(const HostPort& remote, const Allowlist& allowlist, Family family, const Lookup& lookup) {
  if (allowlist.names(remote)) return Admission{};
  const auto addresses = lookup(remote.host, family);
  if (!addresses.ok())
    return denied("The given address and port are not allowed: {} is not listed by name, and {}", remote.text(),
                  addresses.error().message());
  const auto deadline = std::chrono::steady_clock::now() + kAdmitTime;
  Admission admission;
  for (const auto& entry : allowlist.entries()) {
    if (entry.port != remote.port || entry.host.starts_with('*')) continue;
    if (std::chrono::steady_clock::now() > deadline) break;
    const auto of_entry = lookup(entry.host, family);
    if (!of_entry.ok() || std::find(of_entry->begin(), of_entry->end(), addresses->front()) == of_entry->end())
      continue;
    admission.pinned.insert(admission.pinned.end(), of_entry->begin(), of_entry->end());
  }
  if (admission.pinned.empty()) return denied("The given address and port are not allowed: {}", remote.text());
  return admission;
}

struct Resolver::State {
  struct Name {
    std::vector<IpAddress> addresses;
    net::SteadyTime fetched;
    std::chrono::milliseconds keep{0};
    bool asking = false;
    std::vector<std::pair<std::uint16_t, Done>> waiting;
  };

  net::Loop& loop;
  net::Pool& pool;
  Lookup ask;
  std::vector<Override> overrides;
  std::chrono::milliseconds keep;
  std::chrono::milliseconds stale;
  Ttl ttl;
  std::map<std::pair<std::string, Family>, Name> names;
  bool ended = false;

  void answered(const std::pair<std::string, Family>& key, Result<std::vector<IpAddress>> answer,
                std::optional<std::chrono::seconds> lives = {}) {
    if (ended) return;
    Name& name = names[key];
    name.asking = false;
    const auto now = std::chrono::steady_clock::now();
    if (answer.ok()) {
      name.addresses = *answer;
      name.fetched = now;
      name.keep = std::min(keep, lives ? std::max<std::chrono::milliseconds>(*lives, kShortestKeep) : kUnknownTtl);
    } else if (!name.addresses.empty() && now - name.fetched < name.keep + stale) {
      answer = name.addresses;  // RFC 8767: an old answer is better than none
    }
    for (auto& [port, done] : std::exchange(name.waiting, {})) {
      if (answer.ok()) {
        done(Target{*answer, port, false});
      } else {
        done(Error(answer.error()));
      }
    }
  }
};

Resolver::Resolver(net::Loop& loop, net::Pool& pool, Lookup lookup, std::vector<Override> overrides,
                   std::chrono::milliseconds keep, std::chrono::milliseconds stale, Ttl ttl)
    : state_(new State{loop, pool, std::move(lookup), std::move(overrides), keep, stale, std::move(ttl), {}, false}) {}

Resolver::~Resolver() {
  state_->ended = true;
}

void Resolver::forget() {
  for (auto& [key, name] : state_->names) name.fetched = {};
}

void Resolver::resolve(const HostPort& remote, Family family, Done done) {
  State& state = *state_;
  if (const Override* const found = find_override(state.overrides, remote))
    return done(Target{{found->address}, found->port, true});
  if (const auto literal = IpAddress::parse(remote.host)) return done(Target{{*literal}, remote.port, true});

  const std::pair key(remote.host, family);
  auto& name = state.names[key];
  if (!name.addresses.empty() && std::chrono::steady_clock::now() - name.fetched < name.keep)
    return done(Target{name.addresses, remote.port, false});
  name.waiting.emplace_back(remote.port, std::move(done));
  if (name.asking) return;
  name.asking = true;
  const bool queued = state.pool.submit([shared = state_, ask = state.ask, ttl = state.ttl, &loop = state.loop, key] {
    auto answer = ask(key.first, key.second);
    const auto lives = answer.ok() && ttl ? ttl(key.first, key.second) : std::nullopt;
    loop.post([shared, key, answer = std::move(answer), lives] { shared->answered(key, answer, lives); });
  });
  if (!queued) state.answered(key, unavailable("{}: too many look-ups under way", remote.host));
}

Result<std::vector<IpAddress>> permitted(const HostPort& remote, const Target& target, const Admission& admission) {
  const bool local_name = remote.host == "localhost" || remote.host.ends_with(".localhost");
  std::vector<IpAddress> out;
  std::string_view reason = "none of its addresses is allowed";
  for (const auto& address : target.addresses) {
    const auto& pinned = admission.pinned;
    if (!pinned.empty() && std::find(pinned.begin(), pinned.end(), address) == pinned.end()) {
      reason = "its addresses are no longer those of an allowlist entry";
    } else if (!target.given && address.is_unroutable()) {
      reason = "it resolves to a link-local, multicast or unspecified address";
    } else if (!target.given && address.is_loopback() && !local_name) {
      reason = "it resolves to a loopback address, which takes --resolve to allow";
    } else {
      out.push_back(address);
    }
  }
  if (out.empty()) return denied("{}: {}", remote.text(), reason);
  return out;
}

}  // namespace casemate::proxy
