// SPDX-License-Identifier: Apache-2.0
import {diffLines} from '../lib/diff';

const CONTEXT = 3;

export function Diff({before, after, label}: {before: string; after: string; label: string}) {
  const lines = diffLines(before, after);
  const near = lines.map((_, at) =>
    lines.slice(Math.max(0, at - CONTEXT), at + CONTEXT + 1).some(line => line.kind !== 'same'));
  const added = lines.filter(line => line.kind === 'added').length;
  const removed = lines.filter(line => line.kind === 'removed').length;
  if (added + removed === 0) return <p>No difference.</p>;
  return (
    <>
      <p>{`${added} ${added === 1 ? 'line' : 'lines'} added, ${removed} removed.`}</p>
      <div className="cm-diff" role="region" aria-label={label} tabIndex={0}>
        <table>
          <tbody>
            {lines.map((line, at) => {
              if (!near[at]) return near[at - 1] ? <tr key={at}><td>…</td><td /></tr> : null;
              const sign = line.kind === 'added' ? '+' : line.kind === 'removed' ? '-' : ' ';
              return <tr key={at} className={line.kind}><td>{sign}</td><td>{line.text}</td></tr>;
            })}
          </tbody>
        </table>
      </div>
    </>
  );
}
