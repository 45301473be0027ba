// SPDX-License-Identifier: Apache-2.0
// The operations of STS, each from a call to the XML of its result.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "query/query.h"
#include "sts/service.h"

namespace casemate::sts {

struct Call {
  const query::Parameters& parameters;
  const iam::Caller& caller;
  const http::Request& request;
  std::string_view region;
  WallTime now;
  const identity::Directory& directory;
  identity::StatePtr state;
  Rng& rng;
  const ServiceOptions& options;
  std::optional<json::Value> decision;  // the trace of a refusal, for the audit log
};

using Operation = query::Outcome<std::string> (*)(Call&);

// is_unsigned: AWS takes these from callers without credentials; they are refused before a signature is asked for.
bool is_unsigned(std::string_view action);
std::string unsupported_text(std::string_view action);

// find_operation is null for an action that STS does not have, or that is not served here.
Operation find_operation(std::string_view action);

}  // namespace casemate::sts
