// SPDX-License-Identifier: Apache-2.0
// Published ports: TCP on this machine's loopback, relayed to vsock ports of one enclave. Like a proxy on the parent,
// for clients that do not know vsock.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace casemate::runtime {

struct PublishedPort {
  std::uint16_t host_port = 0;  // 0: any free one
  std::uint32_t vsock_port = 0;
  friend bool operator==(const PublishedPort&, const PublishedPort&) = default;
};

// parse_published reads HOST_PORT:VSOCK_PORT. Errors: kMalformed.
Result<PublishedPort> parse_published(std::string_view text);

class Publisher {
 public:
  // start listens on 127.0.0.1 and relays on a thread of its own until the publisher is destroyed; `ports` then have the
  // host ports that were taken. A connection is closed when the enclave refuses it, and each direction ends on its own.
  // Errors: kConflict (port in use), kDenied (a privileged port), kInternal.
  static Result<std::unique_ptr<Publisher>> start(std::string fabric, std::uint32_t cid, std::vector<PublishedPort> ports);
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;
  ~Publisher();

  const std::vector<PublishedPort>& ports() const { return ports_; }

 private:
  struct Pair;
  Publisher() = default;
  void run();
  void accept(std::size_t listener);
  void move(Pair& pair);

  std::string fabric_;
  std::uint32_t cid_ = 0;
  std::vector<PublishedPort> ports_;
  std::vector<UniqueFd> listeners_;
  std::vector<std::unique_ptr<Pair>> pairs_;
  UniqueFd stop_;
  std::thread thread_;
};

}  // namespace casemate::runtime
