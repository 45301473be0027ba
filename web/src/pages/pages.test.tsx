// SPDX-License-Identifier: Apache-2.0
import {render, screen, waitFor, within} from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import axe from 'axe-core';
import {beforeEach, describe, expect, it, vi} from 'vitest';
import type {LintAnswer, Trace} from '../api';
import {readMeasurements} from '../components/ConditionHelper';
import {Diff} from '../components/Diff';
import {ErrorBoundary} from '../components/ErrorBoundary';
import {marksOf} from '../components/PolicyTab';
import {RegisterPair} from '../components/Registers';
import {WindowedRows} from '../components/WindowedRows';
import {signIn, signOut} from '../session';
import {TraceView} from './EventDetails';

const kms = vi.hoisted(() => ({listKeys: vi.fn(), describeKey: vi.fn()}));
vi.mock('../keys', async original => ({...await original<typeof import('../keys')>(), ...kms}));
const {default: Keys} = await import('./Keys');
const {SignIn} = await import('./SignIn');

async function violations(): Promise<string[]> {
  // Contrast needs a layout, which jsdom has none of; the browser's tests check it.
  const result = await axe.run(document.body, {rules: {'color-contrast': {enabled: false}, region: {enabled: false}}});
  return result.violations.map(violation => violation.id);
}

beforeEach(() => {
  signIn({
    credentials: {accessKeyId: 'AKID', secretAccessKey: 's'}, platform: {account: '111122223333', region: 'us-east-1', version: '1'},
    arn: 'arn:aws:iam::111122223333:user/admin', account: '111122223333',
  });
});

describe('the table of keys', () => {
  const row = (n: number, alias = `key-${n}`) => ({id: `id-${String(n).padStart(5, '0')}`, arn: '', aliases: [alias]});
  it('shows a hostile name as text', async () => {
    kms.listKeys.mockResolvedValue([row(1, '<img src=x onerror=alert(1)>')]);
    kms.describeKey.mockResolvedValue({KeyState: 'Enabled', KeySpec: 'SYMMETRIC_DEFAULT', KeyUsage: 'ENCRYPT_DECRYPT'});
    render(<Keys />);
    expect(await screen.findByText('<img src=x onerror=alert(1)>')).toBeTruthy();
    expect(document.querySelector('img')).toBeNull();
    await waitFor(() => expect(screen.getByText('Encrypt and decrypt')).toBeTruthy());
    expect(await violations()).toEqual([]);
  });
  it('has few rows in the page and describes only those, of 10,000 keys', async () => {
    kms.listKeys.mockResolvedValue(Array.from({length: 10_000}, (_, n) => row(n)));
    kms.describeKey.mockReset();
    kms.describeKey.mockResolvedValue({KeyState: 'Enabled'});
    render(<Keys />);
    expect(await screen.findByText('key-0')).toBeTruthy();
    await waitFor(() => expect(kms.describeKey.mock.calls.length).toBe(20));
    expect(document.querySelectorAll('tbody tr').length).toBeLessThanOrEqual(20);
    const user = userEvent.setup();
    await user.type(screen.getByLabelText('Find keys'), 'key-9999');
    // Once for the eye, and later once more for readers of the screen.
    expect((await screen.findAllByText('1 match')).length).toBeGreaterThan(0);
  });
  it('says that the server is lost and keeps the way to retry', async () => {
    kms.listKeys.mockRejectedValue(new TypeError('Failed to fetch'));
    render(<Keys />);
    expect(await screen.findByText(/connection lost/)).toBeTruthy();
    expect(screen.getByText('Retry')).toBeTruthy();
  });
  it('says that nothing is there', async () => {
    kms.listKeys.mockResolvedValue([]);
    render(<Keys />);
    expect(await screen.findByText('No keys')).toBeTruthy();
  });
});

describe('signing in', () => {
  it('asks for both parts and says why one was signed out', async () => {
    signOut('expired');
    render(<SignIn token={null} reason="expired" />);
    expect(screen.getByText(/Your session has ended/)).toBeTruthy();
    await userEvent.setup().click(screen.getByRole('button', {name: 'Sign in'}));
    expect(screen.getByText(/Enter an access key ID/)).toBeTruthy();
    expect(await violations()).toEqual([]);
  });
});

describe('registers', () => {
  it('mark the digits that differ', () => {
    render(<RegisterPair label="PCR0" expected="aaaa" presented="aaba" />);
    expect([...document.querySelectorAll('mark')].map(mark => mark.textContent)).toEqual(['a', 'b']);
    expect(screen.getByText('1 of 4 digits differ')).toBeTruthy();
  });
  it('say when nothing was presented', () => {
    render(<RegisterPair label="PCR0" expected="aaaa" presented={null} />);
    expect(screen.getByText('no such value was presented')).toBeTruthy();
  });
});

describe('a trace', () => {
  const trace: Trace = {
    decision: 'ImplicitlyDenied', cause: 'DebugEnclave', principal: 'arn:p', action: 'kms:Decrypt', resource: 'arn:k',
    decisive: {policy: 0, statement: 1},
    policies: [{
      type: 'resource-based', name: 'key policy', statements: [
        {index: 0, sid: '<b>one</b>', effect: 'Allow', applied: false, missed: 'Principal', expected: ['arn:x']},
        {index: 1, effect: 'Allow', applied: false, missed: 'Condition', principalMatch: 'Role', conditions: [{
          operator: 'StringEqualsIgnoreCase', key: 'kms:RecipientAttestation:PCR0', expected: ['a1'.repeat(48), 'ff'.repeat(48)],
          presented: ['a1'.repeat(47) + 'b1'], met: false,
        }]},
      ],
    }],
  };
  it('shows the nearest expected value, the cause and the change, and escapes what it shows', async () => {
    render(<TraceView trace={trace} explanation={[]} />);
    expect(screen.getByText('The enclave runs in debug mode: PCR0 is zero')).toBeTruthy();
    expect(screen.getByText(/Run it without --debug-mode/)).toBeTruthy();
    expect(screen.getByText('1 of 96 digits differ')).toBeTruthy();
    expect(screen.getByText(/<b>one<\/b> does not apply/)).toBeTruthy();
    expect(await violations()).toEqual([]);
  });
});

describe('the editor', () => {
  it('marks findings where they are', () => {
    const text = '{"Statement": [{"Effect": "Allow"}]}';
    const answer: LintAnswer = {defect: null, locksOut: null, findings: [{severity: 'warning', code: 'X', where: 'Statement[0].Effect', what: 'w'}]};
    const [mark] = marksOf(text, answer);
    expect(text.slice(mark?.from, mark?.to)).toBe('"Allow"');
    expect(marksOf(text, undefined)).toEqual([]);
  });
  it('shows a diff as text', () => {
    render(<Diff label="d" before={'a\n<i>b</i>'} after={'a\nc'} />);
    expect(screen.getByText('<i>b</i>')).toBeTruthy();
    expect(screen.getByText('1 line added, 1 removed.')).toBeTruthy();
  });
});

describe('measurements', () => {
  it('are read as nitro-cli prints them', () => {
    const digits = 'Ab'.repeat(48);
    expect(readMeasurements(JSON.stringify({Measurements: {HashAlgorithm: 'x', PCR0: digits, PCR8: digits}})))
      .toEqual({0: digits.toLowerCase(), 8: digits.toLowerCase()});
    expect(readMeasurements(JSON.stringify({PCR0: digits}))).toEqual({0: digits.toLowerCase()});
    for (const bad of ['', '[]', 'null', '{"PCR0":"ab"}', '7']) expect(readMeasurements(bad)).toBeNull();
  });
});

describe('a page that fails', () => {
  it('says so and can be shown again', async () => {
    const quiet = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    let broken = true;
    const Page = () => {
      if (broken) throw new Error('<b>boom</b>');
      return <p>whole</p>;
    };
    render(<ErrorBoundary><Page /></ErrorBoundary>);
    expect(screen.getByText('<b>boom</b>')).toBeTruthy();
    broken = false;
    await userEvent.setup().click(screen.getByText('Show it again'));
    expect(screen.getByText('whole')).toBeTruthy();
    quiet.mockRestore();
  });
});

describe('windowed rows', () => {
  it('hold few of 100,000 in the page', () => {
    render(<WindowedRows label="events" head={['A']} count={100_000} total={100_000} empty="" row={at => ({key: String(at), cells: [`row ${at}`]})} />);
    const table = screen.getByRole('table', {name: 'events'});
    expect(within(table).getAllByRole('row').length).toBeLessThan(50);
    expect(table.getAttribute('aria-rowcount')).toBe('100001');
  });
});
