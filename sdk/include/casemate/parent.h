// SPDX-License-Identifier: Apache-2.0
// The parent instance's side: find an enclave and connect to it, credentials and region of the instance, KMS as the
// environment names it. Works on EC2 and on the local platform; nothing here belongs into an enclave.
#pragma once

#include <chrono>

#include "casemate/kms.h"
#include "casemate/vsock.h"

namespace casemate::parent {

// connect reaches an enclave: over the local platform when it is up for this user (a `vsock` folder in CASEMATE_RUN_DIR or
// its default), else over the kernel's AF_VSOCK. Errors: kNotFound (no such enclave), kUnavailable (nothing listens
// there, time is up).
Result<UniqueFd> connect(const vsock::Address& enclave, std::chrono::milliseconds timeout);

// Listener is a vsock port on the parent (CID 3) that enclaves connect to. The descriptor is non-blocking.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual int fd() const = 0;
};
// listen opens it where connect would look: on the local platform when it is up, else in the kernel. Errors: kConflict (port
// in use), kDenied, kNotFound.
Result<std::unique_ptr<Listener>> listen(std::uint32_t port, int backlog = 128);

struct Enclave {
  std::string id;
  std::string name;
  std::uint32_t cid = 0;
  std::string state;  // as nitro-cli says: "RUNNING"
  std::string flags;  // "NONE", "DEBUG_MODE"
};

// describe_enclaves asks `nitro-cli describe-enclaves`: the nitro-cli beside this program, else the one on PATH.
// Errors: kNotFound (no nitro-cli), kUnavailable (it failed or took too long), kMalformed (its output).
Result<std::vector<Enclave>> describe_enclaves(std::chrono::milliseconds timeout);

// first_enclave is the first of them. Errors: also kNotFound (none is running).
Result<Enclave> first_enclave(std::chrono::milliseconds timeout);

// The instance metadata service: version 2, then version 1 where the service knows no tokens.
struct MetadataOptions {
  // Empty: AWS_EC2_METADATA_SERVICE_ENDPOINT, else http://169.254.169.254.
  std::string endpoint;
  std::chrono::milliseconds timeout{2000};
  // How to reach it; empty: TCP to the endpoint. In an enclave: kms::vsock_connector(port) to a vsock-proxy route that leads to
  // 169.254.169.254 port 80.
  kms::Connector connect = nullptr;
  Now now = nullptr;  // empty: the system's clock
};

// instance_credentials are the instance role's, kept until 5 minutes before they expire.
std::shared_ptr<CredentialsProvider> instance_credentials(MetadataOptions options = {});

// environment_credentials are AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. Errors: kNotFound.
Result<std::shared_ptr<CredentialsProvider>> environment_credentials();

// default_credentials are the environment's where it has them, else the instance's.
std::shared_ptr<CredentialsProvider> default_credentials();

// find_region is AWS_REGION, AWS_DEFAULT_REGION or the instance's. Errors: kNotFound.
Result<std::string> find_region(const MetadataOptions& options = {});

// kms_options are for a client on the parent: endpoint from AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL or the region, trust from
// AWS_CA_BUNDLE or the system, default_credentials. Errors: kMalformed (endpoint).
Result<kms::Client::Options> kms_options(std::string region);

}  // namespace casemate::parent
