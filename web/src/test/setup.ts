// SPDX-License-Identifier: Apache-2.0
import {cleanup, configure} from '@testing-library/react';
import {afterEach} from 'vitest';

// Only the end of a wait, for a machine that is busy.
configure({asyncUtilTimeout: 20_000});

// jsdom lacks what layouts ask for.
class NoObserver {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
}
globalThis.ResizeObserver ??= NoObserver as unknown as typeof ResizeObserver;
window.matchMedia ??= ((query: string) => ({
  matches: false, media: query, addEventListener: () => undefined, removeEventListener: () => undefined,
})) as unknown as typeof window.matchMedia;
Element.prototype.scrollIntoView ??= () => undefined;

afterEach(cleanup);
