// SPDX-License-Identifier: Apache-2.0
// The console's own read-only API: what no service of AWS offers. Each request is signed like any other of AWS's.
import {Sha256} from '@aws-crypto/sha256-js';
import {HttpRequest} from '@smithy/protocol-http';
import {SignatureV4} from '@smithy/signature-v4';
import {ApiError} from './lib/failure';
import {currentSession, type Platform} from './session';

const ROOT = '/console/api/';

export interface Finding {severity: 'error' | 'warning'; code: string; where: string; what: string}
export interface LintAnswer {
  defect: {where: string; what: string} | null;
  findings: Finding[];
  locksOut: boolean | null;
}
export interface EnclaveInfo {
  EnclaveName?: string;
  EnclaveID: string;
  ProcessID: number;
  EnclaveCID: number;
  NumberOfCPUs: number;
  CPUIDs: number[];
  MemoryMiB: number;
  State: string;
  Flags: string;
  Measurements?: Record<string, string>;
  ImageName?: string;
  ImageVersion?: string;
  Metadata?: unknown;
}
export interface ConsolePiece {data: string; lost: number; next: number}
export interface ImageInfo {
  pcrs: Record<string, string>;
  size: number;
  signed: boolean;
  checksum: boolean;
  cmdline: string;
  violations: string[];
}
export interface Check {check: string; verdict: 'pass' | 'fail' | 'skip'; found: string; wanted: string}
export interface Certificate {
  sha256: string;
  subject?: string;
  issuer?: string;
  serial?: string;
  not_before?: string;
  not_after?: string;
}
export interface DocumentInfo {
  module_id: string;
  digest: string;
  timestamp: number;
  time: string;
  debug: boolean;
  pcrs: Record<string, string>;
  certificate: Certificate;
  cabundle: Certificate[];
  public_key: string | null;
  user_data: string | null;
  nonce: string | null;
}
export interface DocumentAnswer {
  trust: string;
  bytes: number;
  report: {verified: boolean; anchor: string | null; checks: Check[]};
  document: DocumentInfo | null;
}
export interface EventRow {
  id: string;
  time?: string;
  name?: string;
  source?: string;
  principal?: string;
  resource?: string;
  error?: string;
  requestId?: string;
  outcome?: string;
  cause?: string;
  attested?: boolean;
}
export interface EventPage {events: EventRow[]; next: string; end: boolean; newest: string}
export interface ConditionCheck {operator: string; key: string; expected: string[]; presented: string[] | null; met: boolean}
export interface StatementTrace {
  index: number;
  sid?: string;
  effect: 'Allow' | 'Deny';
  applied: boolean;
  missed?: string;
  expected?: string[];
  principalMatch?: string;
  conditions?: ConditionCheck[];
}
export interface Trace {
  decision: string;
  deniedBy?: string;
  cause?: string;
  because?: string;
  detail?: string;
  principal: string;
  action: string;
  resource: string;
  decisive?: {policy: number; statement: number};
  policies?: {type: string; name: string; statements: StatementTrace[]; omitted?: number}[];
  grants?: {grantId: string; missed?: string}[];
}
export interface AuditEvent {
  eventTime?: string;
  eventName?: string;
  eventSource?: string;
  errorCode?: string;
  errorMessage?: string;
  requestID?: string;
  sourceIPAddress?: string;
  userAgent?: string;
  userIdentity?: {arn?: string; type?: string};
  requestParameters?: unknown;
  resources?: {ARN?: string}[];
  additionalEventData?: {recipient?: Record<string, unknown>; casemate?: {decision?: Trace; detail?: string}};
}
export interface EventAnswer {event: AuditEvent; explanation: string[]}

async function read<T>(response: Response): Promise<T> {
  let body: unknown;
  try {
    body = await response.json();
  } catch {
    throw new ApiError('Unreadable', `casemated answered ${response.status} without JSON.`, response.status);
  }
  if (!response.ok) {
    const error = (body as {error?: {code?: string; message?: string}}).error;
    throw new ApiError(error?.code ?? 'Failed', error?.message ?? `status ${response.status}`, response.status);
  }
  return body as T;
}

const PLAIN: RequestInit = {credentials: 'omit', cache: 'no-store', redirect: 'error', referrerPolicy: 'no-referrer'};

async function request<T>(method: 'GET' | 'POST', path: string, query: Record<string, string> = {}, body?: unknown,
                          signal?: AbortSignal): Promise<T> {
  const session = currentSession();
  if (session === null) throw new ApiError('ExpiredToken', 'Not signed in.', 401);
  const text = body === undefined ? undefined : JSON.stringify(body);
  const unsigned = new HttpRequest({
    method,
    protocol: location.protocol,
    hostname: location.hostname,
    path: ROOT + path,
    query,
    headers: {host: location.host, ...(text === undefined ? {} : {'content-type': 'application/json'})},
    body: text,
  });
  const signer = new SignatureV4({
    credentials: session.credentials,
    region: session.platform.region,
    service: 'casemate',
    sha256: Sha256,
  });
  const signed = await signer.sign(unsigned);
  const headers = new Headers(signed.headers);
  headers.delete('host');
  const search = new URLSearchParams(query).toString().replaceAll('+', '%20');
  const response = await fetch(ROOT + path + (search === '' ? '' : '?' + search),
    {...PLAIN, method, headers, body: text, signal});
  return read<T>(response);
}

export const api = {
  platform: async (): Promise<Platform> => read(await fetch(ROOT + 'config', PLAIN)),
  redeem: async (token: string): Promise<{accessKeyId: string; secretAccessKey: string; sessionToken: string; expires: string}> =>
    read(await fetch(ROOT + 'session', {
      ...PLAIN, method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify({token}),
    })),
  enclaves: (signal?: AbortSignal) =>
    request<{enclaves: EnclaveInfo[]; failed: number}>('GET', 'enclaves', {}, undefined, signal),
  console: (id: string, from: number, signal?: AbortSignal) =>
    request<ConsolePiece>('GET', `enclaves/${id}/console`, {from: String(from)}, undefined, signal),
  image: (path: string) => request<ImageInfo>('GET', 'image', {path}),
  document: (document: string, at: 'now' | 'document') => request<DocumentAnswer>('POST', 'document', {}, {document, at}),
  lint: (policy: string, keyArn?: string, signal?: AbortSignal) =>
    request<LintAnswer>('POST', 'lint', {}, keyArn === undefined ? {policy} : {policy, keyArn}, signal),
  simulate: (input: unknown) => request<{decision: string; trace: Trace}>('POST', 'simulate', {}, input),
  events: (query: Record<string, string>, signal?: AbortSignal) =>
    request<EventPage>('GET', 'events', query, undefined, signal),
  event: (id: string) => request<EventAnswer>('GET', `events/${id}`),
};
