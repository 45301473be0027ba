// SPDX-License-Identifier: Apache-2.0
import type {EnclaveInfo} from '../api';

// startedAt is in an EnclaveID: 48 bits of its creation in milliseconds, then 16 random ones.
export function startedAt(id: string): Date | null {
  const match = /-enc([0-9a-f]{1,16})$/.exec(id);
  if (match === null) return null;
  const milliseconds = Number(BigInt('0x' + match[1]) >> 16n);
  return milliseconds > 0 ? new Date(milliseconds) : null;
}

export function isDebug(enclave: Pick<EnclaveInfo, 'Flags'>): boolean {
  return enclave.Flags.includes('DEBUG');
}

export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const parts: [number, string][] = [
    [Math.floor(seconds / 86400), 'd'], [Math.floor(seconds / 3600) % 24, 'h'], [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return '0 s';
  return parts.slice(first, first + 2).map(([count, unit]) => `${count} ${unit}`).join(' ');
}

export function dateTime(value: Date | string | number | undefined): string {
  if (value === undefined) return '–';
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return String(value);
  return date.toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' UTC');
}
