// SPDX-License-Identifier: Apache-2.0
// Light and dark: the system's choice until the user makes one. The choice is the only thing that is ever stored.
import {applyMode, Mode} from '@cloudscape-design/global-styles';
import {useSyncExternalStore} from 'react';

const KEY = 'casemate-mode';
const listeners = new Set<() => void>();
let mode: Mode = Mode.Light;

function stored(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function apply(next: Mode): void {
  mode = next;
  applyMode(next);
  document.documentElement.style.colorScheme = next === Mode.Dark ? 'dark' : 'light';
  for (const listener of listeners) listener();
}

export function startMode(): void {
  const system = matchMedia('(prefers-color-scheme: dark)');
  const follow = () => {
    const chosen = stored();
    apply(chosen === 'dark' || (chosen === null && system.matches) ? Mode.Dark : Mode.Light);
  };
  system.addEventListener('change', follow);
  follow();
}

export function toggleMode(): void {
  apply(mode === Mode.Dark ? Mode.Light : Mode.Dark);
  try {
    localStorage.setItem(KEY, mode === Mode.Dark ? 'dark' : 'light');
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

export function useDark(): boolean {
  return useSyncExternalStore(
    listener => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => mode === Mode.Dark,
  );
}
