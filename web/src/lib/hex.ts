// SPDX-License-Identifier: Apache-2.0
// Comparing register values digit by digit.

export interface Run {text: string; differs: boolean}

// compareDigits cuts both values into runs of equal and differing digits; case does not count, length does.
export function compareDigits(expected: string, presented: string): {expected: Run[]; presented: Run[]; count: number} {
  const longest = Math.max(expected.length, presented.length);
  const left: Run[] = [];
  const right: Run[] = [];
  let count = 0;
  const add = (runs: Run[], digit: string, differs: boolean) => {
    if (digit === '') return;
    const last = runs[runs.length - 1];
    if (last !== undefined && last.differs === differs) last.text += digit;
    else runs.push({text: digit, differs});
  };
  for (let i = 0; i < longest; ++i) {
    const a = expected[i] ?? '';
    const b = presented[i] ?? '';
    const differs = a.toLowerCase() !== b.toLowerCase();
    if (differs) ++count;
    add(left, a, differs);
    add(right, b, differs);
  }
  return {expected: left, presented: right, count};
}

export function isZero(value: string): boolean {
  return /^0+$/.test(value);
}
