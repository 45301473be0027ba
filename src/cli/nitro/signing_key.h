// SPDX-License-Identifier: Apache-2.0
// The key that build-enclave and sign-eif sign with: a PEM file, or a key that KMS keeps.
#pragma once

#include <string>
#include <string_view>

#include "eif/signature.h"

namespace casemate::cli::nitro {

// is_kms_key_arn says whether --private-key names a KMS key, as AWS decides it: arn:aws:kms:REGION:ACCOUNT:key/ID, in the
// partitions aws, aws-cn and aws-us-gov.
bool is_kms_key_arn(std::string_view text);

// load_signing_key reads the certificate, and the key from its PEM file or by asking KMS for its public half: the endpoint
// is AWS_ENDPOINT_URL_KMS or that of the ARN's region, with AWS_CA_BUNDLE and the environment's or the instance's
// credentials. Errors: kNotFound, kDenied, those of eif::parse_signing_key and of the SDK's KMS client; kUnsupported (a
// KMS key of another kind).
Result<eif::SigningKey> load_signing_key(const std::string& certificate, const std::string& key, WallTime now);

}  // namespace casemate::cli::nitro
