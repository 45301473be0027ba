// SPDX-License-Identifier: Apache-2.0
// Matchers for the regular expressions of the service's model, one function each: input of a request never meets an
// expression engine. Each matches the whole text.
#pragma once

#include <string_view>

namespace casemate::kms::api::shapes {

bool is_alias(std::string_view text);
bool is_hex(std::string_view text);
bool is_account(std::string_view text);
bool is_cluster(std::string_view text);
bool is_arn(std::string_view text);
bool is_text(std::string_view text);
bool is_marker(std::string_view text);
bool is_word(std::string_view text);
bool is_policy(std::string_view text);
bool is_principal(std::string_view text);
bool is_region(std::string_view text);
bool is_service(std::string_view text);
bool is_xks_key(std::string_view text);
bool is_base32(std::string_view text);
bool is_base64(std::string_view text);
bool is_xks_endpoint(std::string_view text);
bool is_xks_path(std::string_view text);
bool is_vpce(std::string_view text);

}  // namespace casemate::kms::api::shapes
