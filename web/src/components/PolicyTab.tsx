// SPDX-License-Identifier: Apache-2.0
// The key policy: default view, policy view, and editing with the server's lint, a diff before saving, and care for what
// others changed meanwhile.
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Checkbox from '@cloudscape-design/components/checkbox';
import Container from '@cloudscape-design/components/container';
import Header from '@cloudscape-design/components/header';
import Modal from '@cloudscape-design/components/modal';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import {useEffect, useMemo, useState} from 'react';
import {api, type LintAnswer} from '../api';
import {getPolicy, putPolicy} from '../keys';
import {locate} from '../lib/locate';
import {mergeStatements, parsePolicy, pretty, readDefaultView, type Policy} from '../lib/policy';
import {useNotice} from '../notices';
import {ConditionHelper} from './ConditionHelper';
import {Diff} from './Diff';
import {FailureAlert} from './Failures';
import type {Mark} from './JsonEditor';
import {LazyJsonEditor} from './Lazy';
import {useAsync} from './useAsync';

const LINT_AFTER_MS = 350;

interface Lint {answer?: LintAnswer; error?: unknown; busy: boolean}

function useLint(text: string, arn: string, active: boolean): Lint {
  const [lint, setLint] = useState<Lint>({busy: true});
  useEffect(() => {
    if (!active) return;
    const controller = new AbortController();
    setLint(old => ({...old, busy: true}));
    const timer = setTimeout(() => {
      api.lint(text, arn, controller.signal).then(
        answer => setLint({answer, busy: false}),
        (error: unknown) => {
          if (!controller.signal.aborted) setLint({error, busy: false});
        });
    }, LINT_AFTER_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [text, arn, active]);
  return lint;
}

export function marksOf(text: string, answer: LintAnswer | undefined): Mark[] {
  if (answer === undefined) return [];
  const marks: Mark[] = answer.findings.map(finding => ({
    ...locate(text, finding.where), severity: finding.severity, message: `${finding.code}: ${finding.what}`,
  }));
  if (answer.defect !== null) {
    const offset = /offset (\d+)/.exec(answer.defect.what)?.[1];
    const span = offset !== undefined ? {from: Number(offset), to: Number(offset) + 1} : locate(text, answer.defect.where);
    marks.push({...span, severity: 'error', message: answer.defect.what});
  }
  return marks;
}

function Findings({lint}: {lint: Lint}) {
  const answer = lint.answer;
  if (lint.error !== undefined) return <FailureAlert error={lint.error} what="Validating" />;
  if (answer === undefined) return <StatusIndicator type="in-progress">Validating</StatusIndicator>;
  return (
    <div role="status" aria-live="polite">
      <SpaceBetween size="xs">
        {answer.defect !== null && (
          <StatusIndicator type="error">
            {`${answer.defect.where === '' ? '' : answer.defect.where + ': '}${answer.defect.what}`}
          </StatusIndicator>
        )}
        {answer.findings.map((finding, at) => (
          <StatusIndicator key={at} type={finding.severity === 'error' ? 'error' : 'warning'}>
            <span className="cm-break">{`${finding.where}: ${finding.what} (${finding.code})`}</span>
          </StatusIndicator>
        ))}
        {answer.defect === null && answer.findings.length === 0 && <StatusIndicator type="success">No mistakes found</StatusIndicator>}
      </SpaceBetween>
    </div>
  );
}

function DefaultView({policy, onEdit}: {policy: Policy; onEdit: () => void}) {
  const view = readDefaultView(policy);
  if (view === null) {
    return (
      <SpaceBetween size="s">
        <Alert type="info">This policy says more than the default view can show. Use the policy view.</Alert>
        <Button onClick={onEdit}>Switch to policy view</Button>
      </SpaceBetween>
    );
  }
  const list = (arns: string[]) => arns.length === 0 ? <Box color="text-body-secondary">None</Box>
    : <ul>{arns.map(arn => <li key={arn} className="cm-mono cm-break">{arn}</li>)}</ul>;
  return (
    <SpaceBetween size="l">
      <div><Box variant="h3">Key administrators</Box>{list(view.administrators)}</div>
      <div><Box variant="h3">Key deletion</Box>
        <Checkbox checked={view.allowDeletion} disabled>Allow key administrators to delete this key.</Checkbox></div>
      <div><Box variant="h3">Key users</Box>{list(view.users)}</div>
    </SpaceBetween>
  );
}

export function PolicyTab({id, arn}: {id: string; arn: string}) {
  const stored = useAsync(() => getPolicy(id), [id]);
  const notice = useNotice();
  const [view, setView] = useState<'default' | 'policy'>('policy');
  const [editing, setEditing] = useState(false);
  const [base, setBase] = useState('');
  const [text, setText] = useState('');
  const [helper, setHelper] = useState(false);
  const [saving, setSaving] = useState(false);
  const [confirming, setConfirming] = useState(false);
  const [bypass, setBypass] = useState(false);
  const [theirs, setTheirs] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(undefined);
  const current = stored.value ?? '';
  const shown = useMemo(() => pretty(current), [current]);
  const lint = useLint(text, arn, editing);
  const marks = useMemo(() => marksOf(text, lint.answer), [text, lint.answer]);
  const parsed = parsePolicy(editing ? text : current);

  const edit = () => {
    setBase(current);
    setText(shown);
    setTheirs(null);
    setError(undefined);
    setView('policy');
    setEditing(true);
  };
  const review = async () => {
    setError(undefined);
    setSaving(true);
    try {
      const now = await getPolicy(id);
      if (now !== base) setTheirs(now);
      else {
        setBypass(false);
        setConfirming(true);
      }
    } catch (failure) {
      setError(failure);
    } finally {
      setSaving(false);
    }
  };
  const save = async () => {
    setError(undefined);
    setSaving(true);
    try {
      // KMS has no conditional PutKeyPolicy: the last look is as late as it can be.
      const now = await getPolicy(id);
      if (now !== base) {
        setConfirming(false);
        setTheirs(now);
        return;
      }
      await putPolicy(id, text, bypass);
      notice({type: 'success', text: 'The key policy was changed.'});
      setConfirming(false);
      setEditing(false);
      stored.reload();
    } catch (failure) {
      setConfirming(false);
      setError(failure);
    } finally {
      setSaving(false);
    }
  };
  const locksOut = lint.answer?.locksOut === true;
  const merge = () => {
    const [before, others, mine] = [parsePolicy(base), parsePolicy(theirs ?? ''), parsePolicy(text)];
    if (before !== null && others !== null && mine !== null) setText(JSON.stringify(mergeStatements(before, others, mine), null, 2));
    setBase(theirs ?? base);
    setTheirs(null);
  };

  const actions = editing ? (
    <SpaceBetween direction="horizontal" size="xs">
      <Button onClick={() => setHelper(true)} disabled={parsed === null}>Attestation condition</Button>
      <Button onClick={() => setEditing(false)}>Cancel</Button>
      <Button variant="primary" loading={saving} disabled={text === shown || lint.answer?.defect != null} onClick={() => void review()}>
        Review and save
      </Button>
    </SpaceBetween>
  ) : (
    <SpaceBetween direction="horizontal" size="xs">
      <Button iconName="refresh" ariaLabel="Refresh the policy" loading={stored.loading} onClick={stored.reload} />
      <Button onClick={() => setView(view === 'policy' ? 'default' : 'policy')}>
        {view === 'policy' ? 'Switch to default view' : 'Switch to policy view'}
      </Button>
      <Button disabled={stored.value === undefined} onClick={edit}>Edit</Button>
    </SpaceBetween>
  );
  return (
    <Container header={<Header variant="h2" actions={actions}>Key policy</Header>}>
      <SpaceBetween size="m">
        {stored.error !== undefined && <FailureAlert error={stored.error} retry={stored.reload} what="Reading the policy" />}
        {error !== undefined && <FailureAlert error={error} what="Saving the policy" />}
        {theirs !== null && (
          <Alert type="warning" header="The policy was changed meanwhile" action={
            <SpaceBetween direction="horizontal" size="xs">
              <Button onClick={() => {
                setBase(theirs);
                setText(pretty(theirs));
                setTheirs(null);
              }}>Discard mine</Button>
              <Button onClick={merge}>Merge into mine</Button>
              <Button onClick={() => {
                setBase(theirs);
                setTheirs(null);
              }}>Keep mine</Button>
            </SpaceBetween>
          }>
            <p>Someone stored another policy since you began to edit. Nothing was saved. This is what they changed; merging adds
              their new statements to your text, and you review all of it before it is saved.</p>
            <Diff label="What was changed meanwhile" before={pretty(base)} after={pretty(theirs)} />
          </Alert>
        )}
        {editing ? (
          <>
            <LazyJsonEditor label="Key policy" value={text} onChange={setText} marks={marks} />
            {locksOut && (
              <Alert type="warning" header="This policy locks you out">
                With it you could never change the key's policy again. KMS refuses it unless the check is bypassed.
              </Alert>
            )}
            <Findings lint={lint} />
          </>
        ) : stored.value === undefined ? <StatusIndicator type="loading">Loading</StatusIndicator>
          : view === 'default' && parsed !== null ? <DefaultView policy={parsed} onEdit={() => setView('policy')} />
          : <pre className="cm-pre" tabIndex={0} aria-label="Key policy" data-testid="policy">{shown}</pre>}
      </SpaceBetween>
      {helper && parsed !== null && (
        <ConditionHelper policy={parsed} onClose={() => setHelper(false)} onApply={changed => {
          setText(JSON.stringify(changed, null, 2));
          setHelper(false);
        }} />
      )}
      {confirming && (
        <Modal
          visible size="large" header="Save the key policy?" closeAriaLabel="Close" onDismiss={() => setConfirming(false)}
          footer={
            <Box float="right">
              <SpaceBetween direction="horizontal" size="xs">
                <Button variant="link" onClick={() => setConfirming(false)}>Cancel</Button>
                <Button variant="primary" loading={saving} disabled={locksOut && !bypass} onClick={() => void save()}>Save changes</Button>
              </SpaceBetween>
            </Box>
          }
        >
          <SpaceBetween size="m">
            <Diff label="What will change" before={pretty(base)} after={text} />
            <Findings lint={lint} />
            {locksOut && (
              <Alert type="error" header="You will lose access to this key's policy">
                <Checkbox checked={bypass} onChange={event => setBypass(event.detail.checked)}>
                  Store it all the same (BypassPolicyLockoutSafetyCheck).
                </Checkbox>
              </Alert>
            )}
          </SpaceBetween>
        </Modal>
      )}
    </Container>
  );
}
