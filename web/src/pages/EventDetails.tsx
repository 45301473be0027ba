// SPDX-License-Identifier: Apache-2.0
// One event: the call, the decision in words, and statement by statement, condition by condition.
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Container from '@cloudscape-design/components/container';
import ExpandableSection from '@cloudscape-design/components/expandable-section';
import Header from '@cloudscape-design/components/header';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import Link from '@cloudscape-design/components/link';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import {api, type ConditionCheck, type StatementTrace, type Trace} from '../api';
import {FailureAlert} from '../components/Failures';
import {RegisterPair} from '../components/Registers';
import {useAsync} from '../components/useAsync';
import {dateTime} from '../lib/enclave';
import {explainCause} from '../lib/causes';

const POLICIES: Record<string, string> = {
  'resource-based': 'Key policy', 'identity-based': 'Identity policy', 'permissions boundary': 'Permissions boundary', session: 'Session policy',
};

function nearest(expected: string[], presented: string): string {
  let best = expected[0] ?? '';
  let fewest = Infinity;
  for (const value of expected) {
    let differing = Math.abs(value.length - presented.length);
    for (let i = 0; i < Math.min(value.length, presented.length); ++i) {
      if (value[i]?.toLowerCase() !== presented[i]?.toLowerCase()) ++differing;
    }
    if (differing < fewest) {
      fewest = differing;
      best = value;
    }
  }
  return best;
}

function Condition({check}: {check: ConditionCheck}) {
  const presented = check.presented?.join(', ') ?? null;
  const isRegister = check.key.toLowerCase().startsWith('kms:recipientattestation:');
  return (
    <div data-testid="condition">
      <StatusIndicator type={check.met ? 'success' : 'error'}>
        <span className="cm-break">{`${check.operator} ${check.key}: ${check.met ? 'met' : 'not met'}`}</span>
      </StatusIndicator>
      {isRegister
        ? <RegisterPair label={check.key} expected={nearest(check.expected, presented ?? '')} presented={presented} />
        : <KeyValuePairs columns={2} items={[
            {label: 'expected', value: <span className="cm-break">{check.expected.join(' or ')}</span>},
            {label: 'presented', value: <span className="cm-break">{presented ?? 'nothing'}</span>},
          ]} />}
    </div>
  );
}

function Statement({statement, decisive}: {statement: StatementTrace; decisive: boolean}) {
  const name = statement.sid ?? `Statement ${statement.index + 1}`;
  const said = statement.applied ? `applies (${statement.effect})` : `does not apply: its ${statement.missed ?? 'Condition'} does not match`;
  return (
    <ExpandableSection
      defaultExpanded={decisive}
      headerText={`${name} ${said}`}
      headerDescription={decisive ? 'This statement decided, or came closest.' : undefined}
    >
      <SpaceBetween size="m">
        {statement.missed !== undefined && statement.missed !== 'Condition' && statement.expected !== undefined && (
          <KeyValuePairs columns={1} items={[{
            label: `${statement.missed} in the policy`,
            value: <span className="cm-mono cm-break">{statement.expected.join(', ')}</span>,
          }]} />
        )}
        {statement.principalMatch !== undefined && <Box>Principal matched: {statement.principalMatch}.</Box>}
        {(statement.conditions ?? []).map((check, at) => <Condition key={at} check={check} />)}
      </SpaceBetween>
    </ExpandableSection>
  );
}

export function TraceView({trace, explanation}: {trace: Trace; explanation: string[]}) {
  const denied = trace.decision !== 'Allowed';
  const cause = explainCause(trace.cause);
  return (
    <SpaceBetween size="l">
      {denied && (
        <Alert type="error" header={cause.title}>
          <SpaceBetween size="xs">
            {trace.detail !== undefined && <div className="cm-break">{trace.detail}</div>}
            <div>{cause.meaning}</div>
            {cause.change !== '' && <div><b>Suggested change: </b>{cause.change}</div>}
          </SpaceBetween>
        </Alert>
      )}
      <Container header={<Header variant="h2">Decision</Header>}>
        <KeyValuePairs columns={2} items={[
          {label: 'Outcome', value: <StatusIndicator type={denied ? 'error' : 'success'}>{trace.decision}</StatusIndicator>},
          {label: 'Cause', value: trace.cause ?? '–'},
          {label: 'Principal', value: <span className="cm-mono cm-break">{trace.principal}</span>},
          {label: 'Action', value: trace.action},
          {label: 'Resource', value: <span className="cm-mono cm-break">{trace.resource}</span>},
          {label: 'Denied by', value: trace.deniedBy ?? '–'},
        ]} />
      </Container>
      {(trace.policies ?? []).map((policy, at) => (
        <Container key={at} header={<Header variant="h2" counter={`(${policy.statements.length})`} description={<span className="cm-break">{policy.name}</span>}>
          {POLICIES[policy.type] ?? policy.type}</Header>}>
          <SpaceBetween size="s">
            {policy.statements.map((statement, position) => (
              <Statement key={statement.index} statement={statement}
                decisive={trace.decisive?.policy === at && trace.decisive.statement === position} />
            ))}
            {policy.statements.length === 0 && <Box>No statements.</Box>}
            {policy.omitted !== undefined && policy.omitted > 0 && <Box>{policy.omitted} statements further from matching are left out.</Box>}
          </SpaceBetween>
        </Container>
      ))}
      {(trace.grants ?? []).length > 0 && (
        <Container header={<Header variant="h2">Grants</Header>}>
          <KeyValuePairs columns={1} items={(trace.grants ?? []).map(grant => ({
            label: grant.grantId, value: grant.missed === undefined ? 'applied' : `does not apply: ${grant.missed}`,
          }))} />
        </Container>
      )}
      {explanation.length > 0 && (
        <ExpandableSection variant="container" headerText="In words, as casemate explain says it">
          <pre className="cm-pre" tabIndex={0} aria-label="Explanation">{explanation.join('\n')}</pre>
        </ExpandableSection>
      )}
    </SpaceBetween>
  );
}

export default function EventDetails({id}: {id: string}) {
  const loaded = useAsync(async () => {
    if (!/^\d{1,20}-\d{1,20}$/.test(id)) throw new Error('This is no event.');
    return api.event(id);
  }, [id]);
  if (loaded.value === undefined) {
    return (
      <SpaceBetween size="m">
        <Header variant="h1">Event</Header>
        {loaded.error === undefined ? <StatusIndicator type="loading">Loading the event</StatusIndicator>
          : <FailureAlert error={loaded.error} retry={loaded.reload} />}
      </SpaceBetween>
    );
  }
  const {event, explanation} = loaded.value;
  const trace = event.additionalEventData?.casemate?.decision;
  const recipient = event.additionalEventData?.recipient;
  return (
    <SpaceBetween size="l">
      <Header variant="h1" description={dateTime(event.eventTime)}>{event.eventName ?? 'Event'}</Header>
      {trace === undefined && (event.errorCode === undefined
        ? <Alert type="success">The request was allowed.</Alert>
        : <Alert type="warning" header={event.errorCode}>{event.errorMessage ?? 'No policy decided that.'}</Alert>)}
      {trace !== undefined && <TraceView trace={trace} explanation={explanation} />}
      <Container header={<Header variant="h2">Request</Header>}>
        <KeyValuePairs columns={2} items={[
          {label: 'Principal', value: <span className="cm-mono cm-break">{event.userIdentity?.arn ?? '–'}</span>},
          {label: 'Resource', value: event.resources?.[0]?.ARN === undefined ? '–'
            : <span className="cm-mono cm-break">{event.resources[0].ARN.includes(':key/')
                ? <Link href={`#/keys/${event.resources[0].ARN.split('/').pop() ?? ''}`}>{event.resources[0].ARN}</Link> : event.resources[0].ARN}</span>},
          {label: 'Request ID', value: <span className="cm-mono cm-break">{event.requestID ?? '–'}</span>},
          {label: 'Source', value: `${event.sourceIPAddress ?? '–'} · ${event.eventSource ?? ''}`},
          {label: 'User agent', value: <span className="cm-break">{event.userAgent ?? '–'}</span>},
          {label: 'Error', value: <span className="cm-break">{event.errorMessage ?? event.errorCode ?? '–'}</span>},
        ]} />
      </Container>
      {recipient !== undefined && (
        <Container header={<Header variant="h2">Attestation of the recipient</Header>}>
          <KeyValuePairs columns={1} items={Object.entries(recipient).map(([name, value]) => ({
            label: name, value: <span className="cm-mono cm-break">{typeof value === 'string' ? value : JSON.stringify(value)}</span>,
          }))} />
        </Container>
      )}
      <ExpandableSection variant="container" headerText="The event as it is in the log">
        <pre className="cm-pre" tabIndex={0} aria-label="Event">{JSON.stringify(event, null, 2)}</pre>
      </ExpandableSection>
    </SpaceBetween>
  );
}
