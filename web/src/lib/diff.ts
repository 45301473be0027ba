// SPDX-License-Identifier: Apache-2.0
// Differences of two texts by lines: what saving would add and remove.

export interface Line {kind: 'same' | 'added' | 'removed'; text: string; before?: number; after?: number}

const LONGEST = 4000;

// diffLines gives the lines of both texts in order, by a longest common subsequence. Texts longer than LONGEST lines
// after their common ends are cut off are shown as wholly replaced.
export function diffLines(before: string, after: string): Line[] {
  const a = before === '' ? [] : before.split('\n');
  const b = after === '' ? [] : after.split('\n');
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) ++head;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) ++tail;
  const n = a.length - head - tail;
  const m = b.length - head - tail;
  const out: Line[] = [];
  const same = (i: number, j: number) => out.push({kind: 'same', text: a[i] ?? '', before: i + 1, after: j + 1});
  const removed = (i: number) => out.push({kind: 'removed', text: a[i] ?? '', before: i + 1});
  const added = (j: number) => out.push({kind: 'added', text: b[j] ?? '', after: j + 1});
  for (let i = 0; i < head; ++i) same(i, i);
  if (n > LONGEST || m > LONGEST || n * m > 4_000_000) {
    for (let i = 0; i < n; ++i) removed(head + i);
    for (let j = 0; j < m; ++j) added(head + j);
  } else {
    const width = m + 1;
    const lengths = new Uint16Array((n + 1) * width);
    for (let i = n - 1; i >= 0; --i) {
      for (let j = m - 1; j >= 0; --j) {
        lengths[i * width + j] = a[head + i] === b[head + j]
          ? (lengths[(i + 1) * width + j + 1] ?? 0) + 1
          : Math.max(lengths[(i + 1) * width + j] ?? 0, lengths[i * width + j + 1] ?? 0);
      }
    }
    let i = 0;
    let j = 0;
    while (i < n || j < m) {
      if (i < n && j < m && a[head + i] === b[head + j]) same(head + i++, head + j++);
      else if (j >= m || (i < n && (lengths[(i + 1) * width + j] ?? 0) >= (lengths[i * width + j + 1] ?? 0))) removed(head + i++);
      else added(head + j++);
    }
  }
  for (let k = tail; k > 0; --k) same(a.length - k, b.length - k);
  return out;
}
