// SPDX-License-Identifier: Apache-2.0
import Alert from '@cloudscape-design/components/alert';
import Container from '@cloudscape-design/components/container';
import Header from '@cloudscape-design/components/header';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import {api} from '../api';
import {CopyInline} from '../components/Copy';
import {FailureAlert} from '../components/Failures';
import {LazyTerminal} from '../components/Lazy';
import {useAsync} from '../components/useAsync';
import {dateTime, duration, isDebug, startedAt} from '../lib/enclave';
import {Mode} from './Enclaves';

const EVERY_MS = 3000;
const MEANING: Record<string, string> = {
  PCR0: 'the whole image', PCR1: 'kernel and boot ramdisk', PCR2: 'the application', PCR8: 'the signing certificate',
};

export default function EnclaveDetails({id}: {id: string}) {
  const list = useAsync(signal => api.enclaves(signal), [], EVERY_MS);
  const enclave = list.value?.enclaves.find(one => one.EnclaveID === id);
  if (enclave === undefined) {
    return (
      <SpaceBetween size="m">
        <Header variant="h1">Enclave</Header>
        {list.error !== undefined ? <FailureAlert error={list.error} retry={list.reload} />
          : list.value === undefined ? <StatusIndicator type="loading">Loading the enclave</StatusIndicator>
          : <Alert type="info" header="This enclave does not run (any more)"><span className="cm-break">{id}</span></Alert>}
      </SpaceBetween>
    );
  }
  const started = startedAt(id);
  const debug = isDebug(enclave);
  const measurements = Object.entries(enclave.Measurements ?? {}).filter(([name]) => name.startsWith('PCR'));
  return (
    <SpaceBetween size="l">
      <Header variant="h1" description={<span className="cm-break">{id}</span>}>{enclave.EnclaveName ?? 'Enclave'}</Header>
      {list.error !== undefined && <FailureAlert error={list.error} retry={list.reload} />}
      <Container header={<Header variant="h2">Details</Header>}>
        <KeyValuePairs columns={4} items={[
          {label: 'State', value: <StatusIndicator type={enclave.State === 'RUNNING' ? 'success' : 'pending'}>{enclave.State}</StatusIndicator>},
          {label: 'Mode', value: <Mode debug={debug} />},
          {label: 'Uptime', value: started === null ? '–' : `${duration(Date.now() - started.getTime())}, since ${dateTime(started)}`},
          {label: 'CID', value: enclave.EnclaveCID},
          {label: 'CPUs', value: `${enclave.NumberOfCPUs} (${enclave.CPUIDs.join(', ')})`},
          {label: 'Memory', value: `${enclave.MemoryMiB} MiB`},
          {label: 'Process', value: enclave.ProcessID},
          {label: 'Image', value: `${enclave.ImageName ?? '–'} ${enclave.ImageVersion ?? ''}`},
        ]} />
      </Container>
      <Container header={<Header variant="h2" description={debug
        ? 'Of the image. In debug mode the enclave itself presents zeros for PCR0, PCR1 and PCR2.'
        : 'Of the image, and what the enclave presents.'}>Measurements</Header>}>
        <KeyValuePairs columns={1} items={measurements.map(([name, digits]) => ({
          label: `${name}${MEANING[name] === undefined ? '' : ` (${MEANING[name]})`}`,
          value: <span className="cm-mono"><CopyInline text={digits} what={name} /></span>,
        }))} />
      </Container>
      <Container header={<Header variant="h2">Console</Header>}>
        {debug ? <LazyTerminal id={id} /> : (
          <Alert type="info" header="Production: no console">
            An enclave in production mode shows nothing of itself, to nobody. Run it with --debug-mode to watch it; its
            measurements are then zero.
          </Alert>
        )}
      </Container>
    </SpaceBetween>
  );
}
