// SPDX-License-Identifier: Apache-2.0
// The walkthrough beside the page: what to do, commands to copy, and marks that set themselves.
import Box from '@cloudscape-design/components/box';
import ExpandableSection from '@cloudscape-design/components/expandable-section';
import HelpPanel from '@cloudscape-design/components/help-panel';
import Link from '@cloudscape-design/components/link';
import ProgressBar from '@cloudscape-design/components/progress-bar';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import {useEffect, useRef, useState} from 'react';
import {api, type EventRow} from '../api';
import {describeKey, getPolicy} from '../keys';
import {ACTS, completed, type Facts} from '../lib/walkthrough';
import {Commands} from './Copy';
import {FailureAlert} from './Failures';
import {useAsync} from './useAsync';

const EVERY_MS = 2500;
const KEPT = 4000;
const ALIAS = 'alias/my-enclave-key';

async function facts(events: {rows: EventRow[]; after: string | null}, signal: AbortSignal): Promise<Facts> {
  const page = await api.events(events.after === null ? {limit: '1000'} : {after: events.after, limit: '1000'}, signal);
  if (events.after === null) {
    events.rows = page.events;
    events.after = page.newest;
  } else {
    events.rows = [...page.events.reverse(), ...events.rows].slice(0, KEPT);
    events.after = page.next;
  }
  const [key, policy, enclaves] = await Promise.all([
    describeKey(ALIAS).catch(() => null),
    describeKey(ALIAS).then(found => getPolicy(found.KeyId ?? '')).catch(() => ''),
    api.enclaves(signal).then(answer => answer.enclaves).catch(() => []),
  ]);
  return {keyExists: key !== null && key.KeyState !== 'PendingDeletion', policy, enclaves, events: events.rows, parentRole: 'casemate-parent'};
}

// Acts stay done while the tab lives, though the panel is closed.
let seen: ReadonlySet<number> = new Set();

export default function Walkthrough() {
  const events = useRef<{rows: EventRow[]; after: string | null}>({rows: [], after: null});
  const [done, setDone] = useState(seen);
  const loaded = useAsync(signal => facts(events.current, signal), [], EVERY_MS);
  useEffect(() => {
    if (loaded.value === undefined) return;
    seen = completed(loaded.value, seen);
    setDone(seen);
  }, [loaded.value]);
  const next = ACTS.find(act => !done.has(act.number));
  return (
    <HelpPanel header={<h2>Walkthrough</h2>}>
      <SpaceBetween size="m">
        <ProgressBar value={Math.round(done.size / ACTS.length * 100)} label="Acts done" description={`${done.size} of ${ACTS.length}`} />
        {loaded.error !== undefined && <FailureAlert error={loaded.error} retry={loaded.reload} />}
        {ACTS.map(act => (
          <ExpandableSection
            key={`${act.number}${act === next}`}
            defaultExpanded={act === next}
            headerText={
              <span data-testid={`act-${act.number}`}>
                <StatusIndicator type={done.has(act.number) ? 'success' : 'pending'}
                  iconAriaLabel={done.has(act.number) ? 'done' : 'to do'}>{`${act.number}. ${act.title}`}</StatusIndicator>
              </span>
            }
          >
            <SpaceBetween size="s">
              <Box>{act.text}</Box>
              {act.commands !== undefined && <Commands text={act.commands} />}
              {act.page !== undefined && <Link href={`#/${act.page.path}`}>{act.page.label}</Link>}
            </SpaceBetween>
          </ExpandableSection>
        ))}
      </SpaceBetween>
    </HelpPanel>
  );
}
