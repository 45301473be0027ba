// SPDX-License-Identifier: Apache-2.0
// Pages by the URL's fragment: nothing of what is looked at is sent to the server or to logs.
import {useSyncExternalStore} from 'react';

export interface Route {
  page: 'keys' | 'createKey' | 'key' | 'enclaves' | 'enclave' | 'inspector' | 'activity' | 'event' | 'unknown';
  id: string;
}

export function parseRoute(hash: string): Route {
  const parts = hash.replace(/^#\/?/, '').split('/');
  let id = '';
  try {
    id = decodeURIComponent(parts[1] ?? '');
  } catch {
    return {page: 'unknown', id: ''};
  }
  switch (parts[0]) {
    case '':
    case 'keys':
      return id === '' ? {page: 'keys', id} : id === 'create' ? {page: 'createKey', id: ''} : {page: 'key', id};
    case 'enclaves':
      return id === '' ? {page: 'enclaves', id} : {page: 'enclave', id};
    case 'inspector':
      return {page: 'inspector', id};
    case 'activity':
      return id === '' ? {page: 'activity', id} : {page: 'event', id};
    default:
      return {page: 'unknown', id: ''};
  }
}

export function navigate(path: string): void {
  location.hash = '#/' + path;
}

export function useRoute(): Route {
  const hash = useSyncExternalStore(
    listener => {
      window.addEventListener('hashchange', listener);
      return () => window.removeEventListener('hashchange', listener);
    },
    () => location.hash,
  );
  return parseRoute(hash);
}
