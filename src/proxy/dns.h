// SPDX-License-Identifier: Apache-2.0
// How long DNS lets an answer be kept, which getaddrinfo(3) does not tell.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "proxy/address.h"

namespace casemate::proxy {

// smallest_ttl is the smallest time to live among the address and alias records of a DNS response's answer section
// (RFC 1035, 4.1), a negative one being 0 (RFC 2181, 8). nullopt: no such record, or not a response.
std::optional<std::chrono::seconds> smallest_ttl(ByteView response);

// dns_ttl asks the system's resolver. It blocks for a few seconds at most. nullopt: DNS does not know the name (it may be in
// /etc/hosts) or does not answer.
std::optional<std::chrono::seconds> dns_ttl(const std::string& host, Family family);

}  // namespace casemate::proxy
