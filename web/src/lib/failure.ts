// SPDX-License-Identifier: Apache-2.0
// What can go wrong with a request, told apart by what the user can do about it.

export type FailureKind = 'lost' | 'expired' | 'denied' | 'unsupported' | 'notFound' | 'invalid' | 'failed';

export interface Failure {
  kind: FailureKind;
  code: string;
  message: string;
  requestId?: string;
}

const EXPIRED = new Set(['ExpiredTokenException', 'ExpiredToken', 'UnrecognizedClientException', 'InvalidClientTokenId',
  'InvalidSignatureException', 'SignatureDoesNotMatch', 'MissingAuthenticationTokenException', 'IncompleteSignature']);
const DENIED = new Set(['AccessDeniedException', 'AccessDenied']);
const UNSUPPORTED = new Set(['UnsupportedOperationException', 'UnknownOperationException']);
const NOT_FOUND = new Set(['NotFoundException', 'NotFound']);
const INVALID = new Set(['ValidationException', 'MalformedPolicyDocumentException', 'InvalidArnException', 'Malformed',
  'LimitExceeded', 'AlreadyExistsException', 'InvalidAliasNameException', 'LimitExceededException', 'KMSInvalidStateException',
  'TagException', 'Conflict', 'DependencyTimeoutException']);

// What browsers say of a fetch that reached nobody.
const LOST = /failed to fetch|networkerror|load failed|network request/i;

export class ApiError extends Error {
  constructor(readonly code: string, message: string, readonly status: number) {
    super(message);
    this.name = code;
  }
}

interface Loose {
  name?: unknown;
  message?: unknown;
  $metadata?: {requestId?: unknown; httpStatusCode?: unknown};
}

export function toFailure(error: unknown): Failure {
  const loose: Loose = typeof error === 'object' && error !== null ? error : {};
  const code = typeof loose.name === 'string' ? loose.name : 'Error';
  const message = typeof loose.message === 'string' && loose.message !== '' ? loose.message : String(error);
  const id = loose.$metadata?.requestId;
  const failure = {code, message, requestId: typeof id === 'string' ? id : undefined};
  if ((code === 'TypeError' && LOST.test(message)) || code === 'TimeoutError' || code === 'NetworkError') {
    return {kind: 'lost', code: 'ConnectionLost', message: 'casemated does not answer. What you see may be out of date.'};
  }
  if (EXPIRED.has(code)) return {kind: 'expired', ...failure};
  if (DENIED.has(code)) return {kind: 'denied', ...failure};
  if (UNSUPPORTED.has(code)) return {kind: 'unsupported', ...failure};
  if (NOT_FOUND.has(code)) return {kind: 'notFound', ...failure};
  if (INVALID.has(code)) return {kind: 'invalid', ...failure};
  return {kind: 'failed', ...failure};
}
