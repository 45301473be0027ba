// SPDX-License-Identifier: Apache-2.0
// Two values of a register, one above the other, the differing digits marked (and underlined: not by colour alone).
import {compareDigits, type Run} from '../lib/hex';

function Digits({runs}: {runs: Run[]}) {
  return <>{runs.map((run, at) => run.differs ? <mark key={at}>{run.text}</mark> : <span key={at}>{run.text}</span>)}</>;
}

export function RegisterPair({expected, presented, label}: {expected: string; presented: string | null; label: string}) {
  const compared = compareDigits(expected, presented ?? '');
  const caption = presented === null ? 'no such value was presented'
    : compared.count === 0 ? 'equal' : `${compared.count} of ${Math.max(expected.length, presented.length)} digits differ`;
  return (
    <table className="cm-registers" aria-label={`${label}: ${caption}`}>
      <tbody>
        <tr><th scope="row">expected</th><td>{presented === null ? expected : <Digits runs={compared.expected} />}</td></tr>
        <tr><th scope="row">presented</th><td>{presented === null ? 'nothing' : <Digits runs={compared.presented} />}</td></tr>
        <tr><th scope="row">verdict</th><td>{caption}</td></tr>
      </tbody>
    </table>
  );
}
