// SPDX-License-Identifier: Apache-2.0
#include "kms/api/errors.h"

#include "json/value.h"

namespace casemate::kms::api {
namespace {

struct Row {
  FaultKind kind;
  std::string_view name;
  unsigned status;
  std::string_view message_member;
};

// In the order of FaultKind. Client errors are 400 on the wire whatever the models say; only AccessDenied spells its
// message with a capital.
constexpr Row kRows[] = {
    {FaultKind::kAccessDenied, "AccessDeniedException", 400, "Message"},
    {FaultKind::kAlreadyExists, "AlreadyExistsException", 400, "message"},
    {FaultKind::kConflict, "ConflictException", 400, "message"},
    {FaultKind::kDependencyTimeout, "DependencyTimeoutException", 503, "message"},
    {FaultKind::kDisabled, "DisabledException", 400, "message"},
    {FaultKind::kDryRun, "DryRunOperationException", 400, "message"},
    {FaultKind::kExpiredImportToken, "ExpiredImportTokenException", 400, "message"},
    {FaultKind::kIncorrectKey, "IncorrectKeyException", 400, "message"},
    {FaultKind::kIncorrectKeyMaterial, "IncorrectKeyMaterialException", 400, "message"},
    {FaultKind::kInternal, "KMSInternalException", 500, "message"},
    {FaultKind::kInvalidAliasName, "InvalidAliasNameException", 400, "message"},
    {FaultKind::kInvalidArn, "InvalidArnException", 400, "message"},
    {FaultKind::kInvalidCiphertext, "InvalidCiphertextException", 400, "message"},
    {FaultKind::kInvalidGrantId, "InvalidGrantIdException", 400, "message"},
    {FaultKind::kInvalidGrantToken, "InvalidGrantTokenException", 400, "message"},
    {FaultKind::kInvalidImportToken, "InvalidImportTokenException", 400, "message"},
    {FaultKind::kInvalidKeyUsage, "InvalidKeyUsageException", 400, "message"},
    {FaultKind::kInvalidMac, "KMSInvalidMacException", 400, "message"},
    {FaultKind::kInvalidMarker, "InvalidMarkerException", 400, "message"},
    {FaultKind::kInvalidSignature, "KMSInvalidSignatureException", 400, "message"},
    {FaultKind::kInvalidState, "KMSInvalidStateException", 400, "message"},
    {FaultKind::kKeyUnavailable, "KeyUnavailableException", 500, "message"},
    {FaultKind::kLimitExceeded, "LimitExceededException", 400, "message"},
    {FaultKind::kMalformedPolicy, "MalformedPolicyDocumentException", 400, "message"},
    {FaultKind::kNotAuthorized, "NotAuthorizedException", 400, "message"},
    {FaultKind::kNotFound, "NotFoundException", 400, "message"},
    {FaultKind::kSerialization, "SerializationException", 400, "message"},
    {FaultKind::kTag, "TagException", 400, "message"},
    {FaultKind::kThrottling, "ThrottlingException", 400, "message"},
    {FaultKind::kUnknownOperation, "UnknownOperationException", 400, "message"},
    {FaultKind::kUnsupported, "UnsupportedOperationException", 400, "message"},
    {FaultKind::kValidation, "ValidationException", 400, "message"},
};

const Row& row_of(FaultKind kind) {
  const Row& row = kRows[static_cast<std::size_t>(kind)];
  CASEMATE_CHECK(row.kind == kind);
  return row;
}

}  // namespace

std::string_view error_name(FaultKind kind) {
  return row_of(kind).name;
}

http::Response error_response(const Fault& fault) {
  const Row& row = row_of(fault.kind);
  json::Object body{{"__type", row.name}};
  if (fault.message) body.set(row.message_member, *fault.message);
  http::Response response;
  response.status = row.status;
  response.body = json::encode(body);
  return response;
}

http::Response error_response(std::string_view type, std::string_view message, unsigned status) {
  http::Response response;
  response.status = status;
  response.body = json::encode(json::Object{{"__type", type}, {"message", message}});
  return response;
}

}  // namespace casemate::kms::api
