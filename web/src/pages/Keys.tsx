// SPDX-License-Identifier: Apache-2.0
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Header from '@cloudscape-design/components/header';
import Link from '@cloudscape-design/components/link';
import Pagination from '@cloudscape-design/components/pagination';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Table, {type TableProps} from '@cloudscape-design/components/table';
import TextFilter from '@cloudscape-design/components/text-filter';
import type {KeyMetadata} from '@aws-sdk/client-kms';
import {useEffect, useMemo, useRef, useState} from 'react';
import {FailureAlert} from '../components/Failures';
import {useAsync} from '../components/useAsync';
import {describeKey, listKeys, STATES, USAGES, type KeyRow} from '../keys';
import {navigate} from '../router';

const PAGE = 20;
// Up to this many keys are described at once, so that status and spec can be sorted and searched; of more, only those shown.
const DESCRIBED = 300;
const AT_ONCE = 6;

const NONE: KeyRow[] = [];

type Details = Map<string, KeyMetadata | Error>;

// useDetails describes the given keys, a few at a time, each once.
function useDetails(ids: string[], generation: unknown): Details {
  const [details, setDetails] = useState<Details>(new Map());
  const asked = useRef({generation, ids: new Set<string>()});
  if (asked.current.generation !== generation) asked.current = {generation, ids: new Set()};
  const wanted = ids.join();
  useEffect(() => {
    const queue = ids.filter(id => !asked.current.ids.has(id));
    for (const id of queue) asked.current.ids.add(id);
    const work = async () => {
      for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
        const key = id;
        const found = await describeKey(key).catch((error: unknown) => error instanceof Error ? error : new Error(String(error)));
        if (asked.current.generation === generation) setDetails(old => new Map(old).set(key, found));
      }
    };
    for (let i = 0; i < AT_ONCE; ++i) void work();
    return () => {
      for (const id of queue.splice(0)) asked.current.ids.delete(id);
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [wanted, generation]);
  return details;
}

function metadata(details: Details, row: KeyRow): KeyMetadata | undefined {
  const found = details.get(row.id);
  return found instanceof Error ? undefined : found;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export default function Keys() {
  const [filter, setFilter] = useState('');
  const [page, setPage] = useState(1);
  const [sorting, setSorting] = useState<{column: string; descending: boolean}>({column: 'alias', descending: false});
  const keys = useAsync(() => listKeys(), []);
  const rows = keys.value ?? NONE;
  const small = rows.length <= DESCRIBED;

  const [described, setDescribed] = useState<string[]>([]);
  const details = useDetails(described, keys.value);

  const value = (row: KeyRow, column: string): string => {
    const known = metadata(details, row);
    switch (column) {
      case 'alias': return row.aliases[0] ?? '';
      case 'id': return row.id;
      case 'status': return known?.KeyState ?? '';
      case 'spec': return known?.KeySpec ?? '';
      case 'usage': return USAGES[known?.KeyUsage ?? ''] ?? '';
      default: return '';
    }
  };
  // Sorted before it is filtered: typing in the filter sorts nothing.
  const sorted = useMemo(() => [...rows].sort((a, b) => {
    const left = value(a, sorting.column);
    const right = value(b, sorting.column);
    if ((left === '') !== (right === '')) return left === '' ? 1 : -1;
    return (sorting.descending ? -1 : 1) * compare(left, right) || compare(a.id, b.id);
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }), [rows, sorting, small ? details : null]);
  const shown = useMemo(() => {
    const text = filter.trim().toLowerCase();
    return text === '' ? sorted : sorted.filter(row =>
      row.id.includes(text) || row.aliases.some(alias => alias.toLowerCase().includes(text)) ||
      (small && ['status', 'spec', 'usage'].some(column => value(row, column).toLowerCase().includes(text))));
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [sorted, filter]);
  const pages = Math.max(1, Math.ceil(shown.length / PAGE));
  const current = Math.min(page, pages);
  const visible = shown.slice((current - 1) * PAGE, current * PAGE);
  const wanted = (small ? rows : visible).map(row => row.id);
  const key = wanted.join();
  useEffect(() => setDescribed(wanted), [key]);  // eslint-disable-line react-hooks/exhaustive-deps

  const columns: TableProps.ColumnDefinition<KeyRow>[] = [
    {
      id: 'alias', header: 'Alias', sortingField: 'alias', isRowHeader: true,
      cell: row => (
        <Link href={`#/keys/${row.id}`}>
          {row.aliases.length === 0 ? '–' : row.aliases[0]}{row.aliases.length > 1 ? ` (+${row.aliases.length - 1})` : ''}
        </Link>
      ),
    },
    {id: 'id', header: 'Key ID', sortingField: 'id', cell: row => <Link href={`#/keys/${row.id}`}><span className="cm-mono">{row.id}</span></Link>},
    {
      id: 'status', header: 'Status', sortingField: small ? 'status' : undefined,
      cell: row => {
        const found = details.get(row.id);
        if (found === undefined) return <StatusIndicator type="loading">Loading</StatusIndicator>;
        if (found instanceof Error) return <StatusIndicator type="error">{found.name === 'AccessDeniedException' ? 'Access denied' : 'Not readable'}</StatusIndicator>;
        const state = STATES[found.KeyState ?? ''] ?? {text: found.KeyState ?? '–', type: 'info' as const};
        return <StatusIndicator type={state.type}>{state.text}</StatusIndicator>;
      },
    },
    {id: 'spec', header: 'Key spec', sortingField: small ? 'spec' : undefined, cell: row => metadata(details, row)?.KeySpec ?? '–'},
    {id: 'usage', header: 'Key usage', sortingField: small ? 'usage' : undefined, cell: row => USAGES[metadata(details, row)?.KeyUsage ?? ''] ?? '–'},
  ];
  const sortingColumn = columns.find(column => column.id === sorting.column);
  return (
    <SpaceBetween size="m">
      {keys.error !== undefined && <FailureAlert error={keys.error} retry={keys.reload} what="Listing keys" />}
      <Table
        variant="full-page"
        stickyHeader
        header={
          <Header
            variant="awsui-h1-sticky"
            counter={keys.value === undefined ? undefined : `(${rows.length})`}
            actions={
              <SpaceBetween size="xs" direction="horizontal">
                <Button iconName="refresh" ariaLabel="Refresh" loading={keys.loading} onClick={keys.reload} />
                <Button variant="primary" onClick={() => navigate('keys/create')}>Create key</Button>
              </SpaceBetween>
            }
          >Customer managed keys</Header>
        }
        columnDefinitions={columns}
        items={visible}
        trackBy="id"
        loading={keys.value === undefined && keys.error === undefined}
        loadingText="Loading keys"
        sortingColumn={sortingColumn}
        sortingDescending={sorting.descending}
        onSortingChange={event => {
          setSorting({column: event.detail.sortingColumn.sortingField ?? 'alias', descending: event.detail.isDescending ?? false});
          setPage(1);
        }}
        filter={
          <TextFilter
            filteringText={filter}
            filteringPlaceholder={small ? 'Find keys by alias, ID, status, spec or usage' : 'Find keys by alias or ID'}
            filteringAriaLabel="Find keys"
            countText={filter === '' ? undefined : `${shown.length} ${shown.length === 1 ? 'match' : 'matches'}`}
            onChange={event => {
              setFilter(event.detail.filteringText);
              setPage(1);
            }}
          />
        }
        pagination={
          <Pagination
            currentPageIndex={current}
            pagesCount={pages}
            onChange={event => setPage(event.detail.currentPageIndex)}
            ariaLabels={{nextPageLabel: 'Next page', previousPageLabel: 'Previous page', paginationLabel: 'Pages of keys',
              pageLabel: number => `Page ${number}`}}
          />
        }
        empty={
          <Box textAlign="center" color="inherit">
            <SpaceBetween size="s">
              <b>{filter === '' ? 'No keys' : 'No matches'}</b>
              {filter === ''
                ? <Button onClick={() => navigate('keys/create')}>Create key</Button>
                : <Button onClick={() => setFilter('')}>Clear the filter</Button>}
            </SpaceBetween>
          </Box>
        }
        ariaLabels={{tableLabel: 'Customer managed keys'}}
      />
    </SpaceBetween>
  );
}
