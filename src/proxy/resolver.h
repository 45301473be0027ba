// SPDX-License-Identifier: Apache-2.0
// Name look-ups off the loop, one at a time for a name, kept for a while; and the decision whether a remote is allowed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/pool.h"
#include "proxy/allowlist.h"

namespace casemate::proxy {

// Lookup blocks. Errors: kNotFound (no such name or no address of the family), kUnavailable (try again).
using Lookup = std::function<Result<std::vector<IpAddress>>(const std::string& host, Family family)>;

// system_lookup is getaddrinfo(3): /etc/hosts, DNS and whatever else the machine is set up for.
Result<std::vector<IpAddress>> system_lookup(const std::string& host, Family family);

// behind_overrides answers literals and overridden names itself and leaves the others to `lookup`.
Lookup behind_overrides(std::vector<Override> overrides, Lookup lookup);

// Admission says why a remote is allowed. Allowed by its name, its addresses are DNS's to tell; allowed because it has
// the address of an entry, it is held to those addresses, or DNS could widen the allowlist later.
struct Admission {
  std::vector<IpAddress> pinned;  // empty: by name
};

// admit decides as AWS's proxy does: the entry's host and port are the remote's, or an address of the entry's host is
// the remote's first. It blocks on look-ups of the second kind. Errors: kDenied.
Result<Admission> admit(const HostPort& remote, const Allowlist& allowlist, Family family, const Lookup& lookup);

// Target is where a connection may go, in order of preference. `given` marks addresses that the user wrote down.
struct Target {
  std::vector<IpAddress> addresses;
  std::uint16_t port = 0;
  bool given = false;
};

class Resolver {
 public:
  // Ttl is dns_ttl or a stand-in; empty: no answer has one.
  using Ttl = std::function<std::optional<std::chrono::seconds>(const std::string& host, Family family)>;
  // Answers are used for their time to live, `keep` at most, or for 30 seconds where it is not known; after that a failing
  // look-up still gives the last good answer for `stale`.
  Resolver(net::Loop& loop, net::Pool& pool, Lookup lookup, std::vector<Override> overrides,
           std::chrono::milliseconds keep, std::chrono::milliseconds stale, Ttl ttl = nullptr);
  ~Resolver();

  using Done = std::function<void(Result<Target>)>;
  // resolve calls `done` on the loop's thread, at once when the answer is at hand.
  void resolve(const HostPort& remote, Family family, Done done);
  // forget drops what is kept.
  void forget();

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with look-ups under way
};

// permitted keeps the target's addresses that the admission and common sense allow: pinned ones only, none that is
// link-local, multicast or unspecified, and loopback only for localhost or when the user wrote it down. Errors:
// kDenied.
Result<std::vector<IpAddress>> permitted(const HostPort& remote, const Target& target, const Admission& admission);

}  // namespace casemate::proxy
