// SPDX-License-Identifier: Apache-2.0
// Who is signed in. Credentials live in this module's memory and nowhere else: not in the URL, not in any storage.
import {useSyncExternalStore} from 'react';

export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  expires?: Date;
}

export interface Platform {
  account: string;
  region: string;
  version: string;
}

export interface Session {
  credentials: Credentials;
  platform: Platform;
  arn: string;
  account: string;
}

export type SignedOut = {reason?: 'expired' | 'invalid' | 'left'};
type State = {session: Session} | {session: null; signedOut: SignedOut};

let state: State = {session: null, signedOut: {}};
const listeners = new Set<() => void>();

function set(next: State): void {
  state = next;
  for (const listener of listeners) listener();
}

export function signIn(session: Session): void {
  set({session});
}

export function signOut(reason: SignedOut['reason']): void {
  if (state.session !== null) set({session: null, signedOut: {reason}});
}

export function currentSession(): Session | null {
  return state.session;
}

export function useSessionState(): State {
  return useSyncExternalStore(
    listener => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => state,
  );
}
