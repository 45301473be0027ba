// SPDX-License-Identifier: Apache-2.0
// Documents and reports as JSON, for tools and pages that show them.
#pragma once

#include "attestation/verify.h"
#include "json/value.h"

namespace casemate::attestation {

// to_json of a document: its fields under their own names, binary ones in hexadecimal, `pcrs` by number, `time` beside
// `timestamp`, each certificate as {sha256, subject, issuer, serial, not_before, not_after, der}. Says nothing about trust.
json::Value to_json(const Document& document);

// to_json of a report: {verified, anchor, checks: [{check, verdict: pass|fail|skip, found, wanted}]}.
json::Value to_json(const Report& report);

}  // namespace casemate::attestation
