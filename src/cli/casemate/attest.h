// SPDX-License-Identifier: Apache-2.0
// `casemate attest`: show, verify, get, chain, pcrs.
#pragma once

#include <string>
#include <vector>

#include "attestation/verify.h"
#include "eif/reader.h"

namespace CLI {
class App;
}

namespace casemate::cli {

// add_attest adds the verb; its callbacks print and set `exit_code`: 0 done, 1 refused or failed.
void add_attest(CLI::App& app, int& exit_code);

// What `attest verify` was asked for, as text; make_policy reads it. Errors: kMalformed naming the option.
struct PolicyOptions {
  bool at_document_time = false;
  std::string at;
  std::string max_age;
  std::string nonce;
  std::string user_data;
  std::string public_key;
  std::vector<std::string> pcrs;  // N=HEX[,HEX...]
  bool allow_debug = false;
};
Result<attestation::Policy> make_policy(const PolicyOptions& options, WallTime now);

// PcrComparison holds an image's measurements against the registers of a document.
struct PcrComparison {
  struct Row {
    attestation::PcrIndex index;
    std::string part;
    Bytes image;
    std::optional<Bytes> document;
    bool same() const { return document == image; }
  };
  std::vector<Row> rows;
  std::vector<std::string> differing;  // the parts of the image that are not the document's; empty if all are
  bool debug = false;
  bool same() const { return differing.empty(); }
};
PcrComparison compare_pcrs(const eif::Measurements& image, const attestation::Document& document);

// The printed forms; each ends with a line end.
std::string document_text(const attestation::Document& document);
std::string document_json(const attestation::Document& document);
std::string report_text(const attestation::Report& report);
std::string report_json(const attestation::Report& report);
std::string comparison_text(const PcrComparison& comparison);

}  // namespace casemate::cli
