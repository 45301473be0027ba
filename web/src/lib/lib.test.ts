// SPDX-License-Identifier: Apache-2.0
import {describe, expect, it} from 'vitest';
import type {EnclaveInfo, EventRow} from '../api';
import {parseRoute} from '../router';
import {diffLines} from './diff';
import {duration, startedAt} from './enclave';
import {ApiError, toFailure} from './failure';
import {compareDigits} from './hex';
import {locate} from './locate';
import {addCondition, makePolicy, mergeStatements, parsePolicy, readDefaultView, splitAttested} from './policy';
import {ACTS, completed, type Facts} from './walkthrough';

describe('compareDigits', () => {
  it('marks each differing digit on both sides', () => {
    const {expected, presented, count} = compareDigits('ab12', 'aB92');
    expect(count).toBe(1);
    expect(expected).toEqual([{text: 'ab', differs: false}, {text: '1', differs: true}, {text: '2', differs: false}]);
    expect(presented.map(run => run.text).join('')).toBe('aB92');
  });
  it('counts digits that one side lacks', () => {
    expect(compareDigits('abcd', 'ab').count).toBe(2);
    expect(compareDigits('', '').count).toBe(0);
  });
});

describe('diffLines', () => {
  const restore = (before: string, after: string) => {
    const lines = diffLines(before, after);
    return [lines.filter(line => line.kind !== 'added').map(line => line.text).join('\n'),
      lines.filter(line => line.kind !== 'removed').map(line => line.text).join('\n')];
  };
  it('holds both texts whole', () => {
    for (const [a, b] of [['a\nb\nc', 'a\nc\nd'], ['', 'x'], ['x', ''], ['same', 'same'], ['a\nb', 'b\na']] as const)
      expect(restore(a, b)).toEqual([a, b]);
  });
  it('holds random texts whole', () => {
    let seed = 7;
    const next = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;
    for (let turn = 0; turn < 200; ++turn) {
      const text = () => Array.from({length: 1 + Math.floor(next() * 12)}, () => 'abc'[Math.floor(next() * 3)]).join('\n');
      const [a, b] = [text(), text()];
      expect(restore(a, b)).toEqual([a, b]);
    }
  });
  it('shows one changed line as one removed and one added', () => {
    expect(diffLines('a\nb\nc', 'a\nX\nc').map(line => line.kind)).toEqual(['same', 'removed', 'added', 'same']);
  });
});

describe('policies', () => {
  const account = '111122223333';
  it('are the one root statement without administrators and users', () => {
    const policy = makePolicy(account, [], [], true);
    expect(policy.Statement).toHaveLength(1);
    expect(policy.Statement[0]?.Sid).toBe('Enable IAM User Permissions');
    expect(readDefaultView(policy)).toEqual({administrators: [], users: [], allowDeletion: false});
  });
  it('come back from the default view as they were made', () => {
    const role = `arn:aws:iam::${account}:role/r`;
    const user = `arn:aws:iam::${account}:user/u`;
    expect(readDefaultView(makePolicy(account, [role], [user, role], false)))
      .toEqual({administrators: [role], users: [user, role], allowDeletion: false});
  });
  it('that say more have no default view', () => {
    const policy = makePolicy(account, [], ['arn:aws:iam::111122223333:role/r'], true);
    expect(readDefaultView(addCondition(policy, 1, [{key: 'kms:RecipientAttestation:PCR0', value: 'ab'}]))).toBeNull();
    expect(readDefaultView({Statement: [{Effect: 'Deny'}]})).toBeNull();
  });
  it('keep other conditions when a register is added', () => {
    const policy = addCondition({Statement: [{Effect: 'Allow', Action: 'kms:Decrypt', Condition: {Bool: {x: 'true'}, StringEqualsIgnoreCase: {y: 'z'}}}]},
      0, [{key: 'k', value: 'v'}]);
    expect(policy.Statement[0]?.Condition).toEqual({Bool: {x: 'true'}, StringEqualsIgnoreCase: {y: 'z', k: 'v'}});
  });
  it('have the attested actions split from the others', () => {
    const {policy, index} = splitAttested({Statement: [{Effect: 'Allow', Sid: 'Use', Action: ['kms:Encrypt', 'kms:Decrypt', 'kms:DescribeKey']}]}, 0);
    expect(policy.Statement.map(statement => statement.Action)).toEqual([['kms:Encrypt', 'kms:DescribeKey'], 'kms:Decrypt']);
    expect(index).toBe(1);
    expect(splitAttested({Statement: [{Effect: 'Allow', Action: 'kms:Decrypt'}]}, 0).index).toBe(0);
  });
  it('are merged by statements, losing none', () => {
    const base = {Statement: [{Effect: 'Allow', Sid: 'a'}]};
    const theirs = {Statement: [{Effect: 'Allow', Sid: 'a'}, {Effect: 'Allow', Sid: 'theirs'}]};
    const mine = {Statement: [{Effect: 'Allow', Sid: 'mine'}]};
    expect(mergeStatements(base, theirs, mine).Statement.map(statement => statement.Sid)).toEqual(['mine', 'theirs']);
  });
  it('may have a single statement without its array', () => {
    expect(parsePolicy('{"Statement":{"Effect":"Allow"}}')?.Statement).toHaveLength(1);
    for (const bad of ['', '[]', '{"Statement":[1]}', 'null']) expect(parsePolicy(bad)).toBeNull();
  });
});

describe('locate', () => {
  const text = '{"Statement": [{"Sid": "}"}, {"Condition": {"StringEquals": {"kms:RecipientAttestation:PCR0": "abc"}}}]}';
  it('finds the value of a path', () => {
    const {from, to} = locate(text, 'Statement[1].Condition.StringEquals.kms:RecipientAttestation:PCR0');
    expect(text.slice(from, to)).toBe('"abc"');
  });
  it('stops at what exists', () => {
    const {from, to} = locate(text, 'Statement[1].Nothing');
    expect(text.slice(from, to)).toBe('{"Condition": {"StringEquals": {"kms:RecipientAttestation:PCR0": "abc"}}}');
  });
  it('survives any text', () => {
    for (const bad of ['', '{', '[[[', '{"a', '"', '{"Statement":', ']]', '{"Statement":[{"a":"\\'])
      expect(locate(bad, 'Statement[3].x').from).toBeLessThanOrEqual(bad.length);
  });
});

describe('failures', () => {
  it('are told apart by what can be done', () => {
    const of = (name: string) => toFailure(Object.assign(new Error('m'), {name})).kind;
    expect(toFailure(new TypeError('Failed to fetch')).kind).toBe('lost');
    expect(of('TypeError')).toBe('failed');
    expect(of('ExpiredTokenException')).toBe('expired');
    expect(of('AccessDeniedException')).toBe('denied');
    expect(of('UnsupportedOperationException')).toBe('unsupported');
    expect(of('MalformedPolicyDocumentException')).toBe('invalid');
    expect(toFailure(new ApiError('NotFound', 'x', 404)).kind).toBe('notFound');
    expect(toFailure('text').message).toBe('text');
  });
});

describe('enclaves', () => {
  it('tell their start in their ID', () => {
    const milliseconds = 1_800_000_000_000;
    const id = `i-0123456789abcdef0-enc${(BigInt(milliseconds) << 16n).toString(16)}`;
    expect(startedAt(id)?.getTime()).toBe(milliseconds);
    expect(startedAt('i-1')).toBeNull();
  });
  it('have an uptime in two units', () => {
    expect(duration(0)).toBe('0 s');
    expect(duration(61_000)).toBe('1 min 1 s');
    expect(duration(90_061_000)).toBe('1 d 1 h');
  });
});

describe('routes', () => {
  it('are read from the fragment', () => {
    expect(parseRoute('')).toEqual({page: 'keys', id: ''});
    expect(parseRoute('#/keys/alias%2Fmy-key')).toEqual({page: 'key', id: 'alias/my-key'});
    expect(parseRoute('#/activity/12')).toEqual({page: 'event', id: '12'});
    expect(parseRoute('#/keys/%')).toEqual({page: 'unknown', id: ''});
    expect(parseRoute('#/x')).toEqual({page: 'unknown', id: ''});
  });
});

describe('the walkthrough', () => {
  const nothing: Facts = {keyExists: false, policy: '', enclaves: [], events: [], parentRole: 'casemate-parent'};
  const event = (row: Partial<EventRow>): EventRow =>
    ({id: '1-0', principal: 'arn:aws:sts::111122223333:assumed-role/casemate-parent/i-1', ...row});
  it('has fourteen acts and begins with none done', () => {
    expect(ACTS.map(act => act.number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    expect(completed(nothing, new Set()).size).toBe(0);
  });
  it('sees each act in what the server says', () => {
    const debug = {Flags: 'DEBUG_MODE', EnclaveID: 'x'} as EnclaveInfo;
    const granted = JSON.stringify({Statement: [{Effect: 'Allow', Action: ['kms:Encrypt', 'kms:Decrypt'], Principal: {AWS: 'arn:aws:iam::111122223333:role/casemate-parent'}}]});
    const bound = granted.replace('"Principal"', '"Condition":{"StringEqualsIgnoreCase":{"kms:RecipientAttestation:PCR0":"ab"}},"Principal"');
    const done = (facts: Partial<Facts>) => [...completed({...nothing, ...facts}, new Set())];
    expect(done({keyExists: true})).toContain(2);
    expect(done({events: [event({name: 'DescribeKey', error: 'AccessDenied'})]})).toContain(3);
    expect(done({policy: granted})).toContain(4);
    expect(done({policy: granted.replace('iam::111122223333:role/casemate-parent', 'sts::111122223333:assumed-role/casemate-parent/i-1')})).toContain(4);
    expect(done({policy: granted.replace('casemate-parent', 'other')})).not.toContain(4);
    expect(done({policy: granted})).not.toContain(9);
    expect(done({enclaves: [debug]})).toEqual(expect.arrayContaining([5, 6]));
    expect(done({policy: bound})).toContain(9);
    expect(done({events: [event({name: 'Decrypt', cause: 'NoDocument', error: 'AccessDenied'})]})).toContain(10);
    expect(done({events: [event({cause: 'DebugEnclave'})]})).toContain(11);
    const allowed = event({name: 'Decrypt', attested: true});
    const refused = event({name: 'Decrypt', cause: 'NoDocument', error: 'AccessDenied'});
    expect(done({policy: bound, events: [allowed, refused]})).toContain(12);
    expect(done({policy: bound, events: [refused, allowed]})).not.toContain(12);
    expect(done({events: [event({cause: 'OtherImage'})]})).toContain(13);
  });
  it('keeps what was done', () => {
    expect(completed(nothing, new Set([2, 9]))).toEqual(new Set([2, 9]));
  });
  it('minds only what the parent did', () => {
    const other = {...event({cause: 'OtherImage'}), principal: 'arn:aws:iam::111122223333:user/admin'};
    expect(completed({...nothing, events: [other]}, new Set()).size).toBe(0);
  });
});
