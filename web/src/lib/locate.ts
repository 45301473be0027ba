// SPDX-License-Identifier: Apache-2.0
// Finding an element of a policy in its text, for the marks of the editor.

interface Span {from: number; to: number}

// Scanner walks JSON that may be broken; it never throws and gives up quietly.
class Scanner {
  at = 0;
  constructor(readonly text: string) {}

  space(): void {
    while (this.at < this.text.length && ' \t\r\n'.includes(this.text[this.at] ?? '')) ++this.at;
  }
  string(): string | null {
    if (this.text[this.at] !== '"') return null;
    let end = this.at + 1;
    while (end < this.text.length && this.text[end] !== '"') end += this.text[end] === '\\' ? 2 : 1;
    const raw = this.text.slice(this.at, end + 1);
    this.at = Math.min(end + 1, this.text.length);
    try {
      return JSON.parse(raw) as string;
    } catch {
      return null;
    }
  }
  skip(): void {
    let depth = 0;
    while (this.at < this.text.length) {
      const c = this.text[this.at] ?? '';
      if (c === '"') {
        this.string();
        if (depth === 0) return;
        continue;
      }
      if (c === '{' || c === '[') ++depth;
      if (c === '}' || c === ']') {
        if (depth === 0) return;
        --depth;
        ++this.at;
        if (depth === 0) return;
        continue;
      }
      if (depth === 0 && (c === ',' || c === ' ' || c === '\n')) return;
      ++this.at;
    }
  }
}

function splitPath(where: string): string[] {
  const parts: string[] = [];
  for (const part of where.split('.')) {
    const match = /^([^[]*)((?:\[\d+\])*)$/.exec(part);
    if (match === null) {
      parts.push(part);
      continue;
    }
    if (match[1] !== '') parts.push(match[1] ?? '');
    for (const index of (match[2] ?? '').matchAll(/\[(\d+)\]/g)) parts.push(index[1] ?? '');
  }
  return parts;
}

// locate finds the value that `Statement[1].Condition.StringEquals.kms:X` names, or as much of the path as exists.
export function locate(text: string, where: string): Span {
  const parts = splitPath(where);
  const scanner = new Scanner(text);
  let found: Span = {from: 0, to: Math.min(text.length, 1)};
  for (let depth = 0; ; ++depth) {
    scanner.space();
    const begin = scanner.at;
    const probe = new Scanner(text);
    probe.at = begin;
    probe.skip();
    if (depth > 0) found = {from: begin, to: Math.max(probe.at, begin + 1)};
    const part = parts[depth];
    if (part === undefined) return found;
    const open = text[scanner.at];
    // A single statement may stand without its array.
    if (open === '{' && /^\d+$/.test(part)) continue;
    if (open !== '{' && open !== '[') return found;
    ++scanner.at;
    let index = 0;
    let matched = false;
    while (scanner.at < text.length) {
      scanner.space();
      if (text[scanner.at] === '}' || text[scanner.at] === ']') break;
      if (open === '{') {
        const name = scanner.string();
        if (name === null) return found;
        scanner.space();
        if (text[scanner.at] !== ':') return found;
        ++scanner.at;
        scanner.space();
        matched = name === part;
      } else {
        matched = String(index) === part;
        ++index;
      }
      if (matched) break;
      scanner.skip();
      scanner.space();
      if (text[scanner.at] !== ',') return found;
      ++scanner.at;
    }
    if (!matched) return found;
  }
}
