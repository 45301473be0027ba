// SPDX-License-Identifier: Apache-2.0
// What every answer of the console carries and every request must show: headers that confine the page, and checks that
// it was asked for under our own name and by our own page.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace casemate::console {

// host_name takes the port off a Host header: `localhost` of `localhost:4443`, `[::1]` of `[::1]:4443`, lower case.
// Empty when it is no host.
std::string host_name(std::string_view host);

// is_our_host is whether the request has one Host header that names one of `hosts`. A page of another name that was
// made to resolve to our address (DNS rebinding) has its own name there.
bool is_our_host(const http::Request& request, const std::vector<std::string>& hosts);

// is_our_page is whether a browser, if it is one, says that our own page asks: Sec-Fetch-Site and Origin.
bool is_our_page(const http::Request& request);

// confine adds Content-Security-Policy and its company; no header is added twice.
void confine(http::Response& response);

}  // namespace casemate::console
