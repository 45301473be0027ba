// SPDX-License-Identifier: Apache-2.0
import Badge from '@cloudscape-design/components/badge';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Header from '@cloudscape-design/components/header';
import Link from '@cloudscape-design/components/link';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Table from '@cloudscape-design/components/table';
import {api} from '../api';
import {FailureAlert} from '../components/Failures';
import {useAsync} from '../components/useAsync';
import {duration, isDebug, startedAt} from '../lib/enclave';

const EVERY_MS = 3000;

export function Mode({debug}: {debug: boolean}) {
  return debug ? <Badge color="severity-medium">Debug</Badge> : <Badge color="green">Production</Badge>;
}

export default function Enclaves() {
  const list = useAsync(signal => api.enclaves(signal), [], EVERY_MS);
  const enclaves = list.value?.enclaves ?? [];
  return (
    <SpaceBetween size="m">
      {list.error !== undefined && <FailureAlert error={list.error} retry={list.reload} what="Listing enclaves" />}
      <Table
        variant="full-page"
        header={<Header variant="awsui-h1-sticky" counter={list.value === undefined ? undefined : `(${enclaves.length})`}
          description="Those of this platform, as nitro-cli describe-enclaves lists them. The page follows."
          actions={<Button iconName="refresh" ariaLabel="Refresh" onClick={list.reload} />}>Enclaves</Header>}
        items={enclaves}
        trackBy="EnclaveID"
        loading={list.value === undefined && list.error === undefined}
        loadingText="Loading enclaves"
        columnDefinitions={[
          {id: 'name', header: 'Name', isRowHeader: true, cell: one => <Link href={`#/enclaves/${one.EnclaveID}`}>{one.EnclaveName ?? one.EnclaveID}</Link>},
          {id: 'id', header: 'Enclave ID', cell: one => <span className="cm-mono cm-break">{one.EnclaveID}</span>},
          {id: 'state', header: 'State', cell: one => <StatusIndicator type={one.State === 'RUNNING' ? 'success' : 'pending'}>{one.State}</StatusIndicator>},
          {id: 'mode', header: 'Mode', cell: one => <Mode debug={isDebug(one)} />},
          {id: 'cid', header: 'CID', cell: one => one.EnclaveCID},
          {id: 'uptime', header: 'Uptime', cell: one => {
            const started = startedAt(one.EnclaveID);
            return started === null ? '–' : duration(Date.now() - started.getTime());
          }},
        ]}
        empty={
          <Box textAlign="center" color="inherit">
            <b>No enclaves</b>
            <Box variant="p" color="inherit"><code>nitro-cli run-enclave</code> starts one.</Box>
          </Box>
        }
        ariaLabels={{tableLabel: 'Enclaves'}}
      />
    </SpaceBetween>
  );
}
