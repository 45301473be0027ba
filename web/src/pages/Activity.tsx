// SPDX-License-Identifier: Apache-2.0
// The audit log, live and filtered. Rows are windowed: however long the log, only those in sight are in the page.
import Button from '@cloudscape-design/components/button';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Toggle from '@cloudscape-design/components/toggle';
import {useCallback, useEffect, useRef, useState} from 'react';
import {api, type EventRow} from '../api';
import {FailureAlert} from '../components/Failures';
import {WindowedRows} from '../components/WindowedRows';
import {dateTime} from '../lib/enclave';

const PAGE = 200;
const EVERY_MS = 1500;
const FILTER_AFTER_MS = 300;

export function Outcome({row}: {row: EventRow}) {
  if (row.outcome !== undefined && row.outcome !== 'Allowed') {
    return <StatusIndicator type="error">{row.cause === undefined ? 'Denied' : `Denied: ${row.cause}`}</StatusIndicator>;
  }
  return row.error === undefined ? <StatusIndicator type="success">Allowed</StatusIndicator>
    : <StatusIndicator type="warning">{row.error}</StatusIndicator>;
}

export function shortName(arn: string | undefined): string {
  return arn === undefined ? '–' : arn.replace(/^arn:aws[a-z-]*:(iam|sts|kms):[a-z0-9-]*:\d*:/, '');
}

export default function Activity() {
  const [rows, setRows] = useState<EventRow[]>([]);
  const [more, setMore] = useState(true);
  const [live, setLive] = useState(true);
  const [denied, setDenied] = useState(false);
  const [text, setText] = useState('');
  const [filter, setFilter] = useState('');
  const [error, setError] = useState<unknown>(undefined);
  const [generation, setGeneration] = useState(0);
  const place = useRef({before: null as string | null, after: '', busy: false, generation: 0});

  useEffect(() => {
    const timer = setTimeout(() => setFilter(text.trim()), FILTER_AFTER_MS);
    return () => clearTimeout(timer);
  }, [text]);

  const query = useCallback((extra: Record<string, string>): Record<string, string> => ({
    ...extra, limit: String(PAGE), ...(denied ? {denied: 'true'} : {}), ...(filter === '' ? {} : {text: filter}),
  }), [denied, filter]);

  // older adds what came before the oldest row; an answer can be empty without being the end, and is then gone on from.
  const older = useCallback(async () => {
    const state = place.current;
    if (state.busy) return;
    state.busy = true;
    const turn = state.generation;
    try {
      for (;;) {
        const page = await api.events(query(state.before === null ? {} : {before: state.before}));
        if (turn !== place.current.generation) return;
        if (state.before === null) state.after = page.newest;
        state.before = page.next;
        setRows(old => [...old, ...page.events]);
        setMore(!page.end);
        setError(undefined);
        if (page.events.length > 0 || page.end) break;
      }
    } catch (failure) {
      if (turn === place.current.generation) setError(failure);
    } finally {
      if (turn === place.current.generation) state.busy = false;
    }
  }, [query]);

  useEffect(() => {
    place.current = {before: null, after: '', busy: false, generation: place.current.generation + 1};
    setRows([]);
    setMore(true);
    void older();
  }, [older, generation]);

  useEffect(() => {
    if (!live) return;
    let stopped = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const tick = async () => {
      const state = place.current;
      if (!document.hidden && state.before !== null) {
        try {
          const page = await api.events(query({after: state.after}));
          if (stopped || state !== place.current) return;
          state.after = page.next;
          setError(undefined);
          if (page.events.length > 0) setRows(old => [...page.events.reverse(), ...old]);
        } catch (failure) {
          if (!stopped) setError(failure);
        }
      }
      if (!stopped) timer = setTimeout(() => void tick(), EVERY_MS);
    };
    timer = setTimeout(() => void tick(), EVERY_MS);
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [live, query, generation]);

  return (
    <SpaceBetween size="m">
      <Header variant="h1" description="Every call of every client, with the reason of each decision. Only those whom the policies allow see it."
        actions={<Button iconName="refresh" ariaLabel="Refresh" onClick={() => setGeneration(old => old + 1)} />}>Activity</Header>
      <SpaceBetween direction="horizontal" size="l" alignItems="center">
        <Input type="search" value={text} onChange={event => setText(event.detail.value)} placeholder="Find in events" ariaLabel="Find in events" clearAriaLabel="Clear" />
        <Toggle checked={denied} onChange={event => setDenied(event.detail.checked)}>Denied only</Toggle>
        <Toggle checked={live} onChange={event => setLive(event.detail.checked)}>Live</Toggle>
      </SpaceBetween>
      {error !== undefined && <FailureAlert error={error} retry={() => setGeneration(old => old + 1)} />}
      <WindowedRows
        label="Audit events, newest first"
        head={['Time', 'Event', 'Principal', 'Resource', 'Outcome']}
        count={rows.length}
        total={more ? -1 : rows.length}
        onEnd={more && error === undefined ? older : undefined}
        empty={more ? 'Loading events' : denied || filter !== '' ? 'No event matches' : 'No events yet'}
        row={at => {
          const row = rows[at];
          if (row === undefined) return {key: String(at), cells: []};
          return {
            key: row.id,
            cells: [
              dateTime(row.time),
              <a key="link" href={`#/activity/${row.id}`}>{row.name ?? 'event'}</a>,
              <span key="who" title={row.principal}>{shortName(row.principal)}</span>,
              <span key="what" title={row.resource}>{shortName(row.resource)}</span>,
              <Outcome key="outcome" row={row} />,
            ],
          };
        }}
      />
      <p role="status">{`${rows.length} ${rows.length === 1 ? 'event' : 'events'} loaded${more ? ', more below' : ''}`}</p>
    </SpaceBetween>
  );
}
