// SPDX-License-Identifier: Apache-2.0
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import RadioGroup from '@cloudscape-design/components/radio-group';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Table from '@cloudscape-design/components/table';
import Textarea from '@cloudscape-design/components/textarea';
import {useRef, useState, type DragEvent} from 'react';
import {api, type DocumentAnswer, type DocumentInfo, type ImageInfo} from '../api';
import {CopyInline} from '../components/Copy';
import {FailureAlert} from '../components/Failures';
import {RegisterPair} from '../components/Registers';
import {dateTime} from '../lib/enclave';
import {isZero} from '../lib/hex';

const VERDICTS = {pass: 'success', fail: 'error', skip: 'stopped'} as const;
const WORDS = {pass: 'passed', fail: 'failed', skip: 'not checked'};
// A document is some kilobytes; this is what the server would take.
const LONGEST = 256 * 1024;

async function asText(file: File): Promise<string> {
  if (file.size > LONGEST) throw new Error(`${file.name}: ${file.size} bytes are more than an attestation document can have.`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  const binary = bytes[0] === 0x84 || bytes[0] === 0xd2;
  return binary ? btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join('')) : new TextDecoder().decode(bytes);
}

function Result({answer}: {answer: DocumentAnswer}) {
  const document = answer.document;
  const registers = Object.entries(document?.pcrs ?? {}).filter(([, digits]) => !isZero(digits));
  const zeros = Object.entries(document?.pcrs ?? {}).filter(([, digits]) => isZero(digits)).map(([number]) => number);
  return (
    <SpaceBetween size="l">
      {answer.report.verified
        ? <Alert type="success" header="The document verifies">Trusted through {answer.report.anchor}.</Alert>
        : <Alert type="error" header="The document does not verify">Trusted roots: {answer.trust}. Nothing that it says may be relied on.</Alert>}
      {document?.debug === true && <Alert type="warning">The enclave runs in debug mode: PCR0, PCR1 and PCR2 are zero.</Alert>}
      <Table
        header={<Header variant="h2" counter={`(${answer.report.checks.length})`}>Checks</Header>}
        items={answer.report.checks}
        columnDefinitions={[
          {id: 'verdict', header: 'Verdict', width: 130, cell: check => <StatusIndicator type={VERDICTS[check.verdict]}>{WORDS[check.verdict]}</StatusIndicator>},
          {id: 'check', header: 'Check', isRowHeader: true, cell: check => check.check},
          {id: 'found', header: 'Found', cell: check => <span className="cm-break">{check.found}</span>},
          {id: 'wanted', header: 'Wanted', cell: check => <span className="cm-break">{check.wanted === '' ? '–' : check.wanted}</span>},
        ]}
        wrapLines
        ariaLabels={{tableLabel: 'Checks'}}
      />
      {document !== null && (
        <>
          <Container header={<Header variant="h2">Document</Header>}>
            <KeyValuePairs columns={2} items={[
              {label: 'Module', value: <span className="cm-break">{document.module_id}</span>},
              {label: 'Time', value: `${dateTime(document.timestamp)} (${document.timestamp} ms)`},
              {label: 'User data', value: <span className="cm-mono cm-break">{document.user_data ?? 'absent'}</span>},
              {label: 'Nonce', value: <span className="cm-mono cm-break">{document.nonce ?? 'absent'}</span>},
              {label: 'Public key', value: <span className="cm-mono cm-break">{document.public_key ?? 'absent'}</span>},
              {label: 'Registers that are zero', value: zeros.length === 0 ? 'none' : zeros.join(', ')},
            ]} />
          </Container>
          <Container header={<Header variant="h2">Registers</Header>}>
            <KeyValuePairs columns={1} items={registers.map(([number, digits]) => ({
              label: `PCR${number}`, value: <span className="cm-mono"><CopyInline text={digits} what={`PCR${number}`} /></span>,
            }))} />
          </Container>
          <Table
            header={<Header variant="h2" description="From the root to the enclave.">Certificate chain</Header>}
            items={[...document.cabundle, document.certificate]}
            columnDefinitions={[
              {id: 'subject', header: 'Subject', isRowHeader: true, cell: one => <span className="cm-break">{one.subject ?? 'unreadable'}</span>},
              {id: 'from', header: 'Valid from', cell: one => dateTime(one.not_before)},
              {id: 'to', header: 'Valid to', cell: one => dateTime(one.not_after)},
              {id: 'sha256', header: 'SHA-256', cell: one => <span className="cm-mono cm-break">{one.sha256}</span>},
            ]}
            wrapLines
            ariaLabels={{tableLabel: 'Certificate chain'}}
          />
        </>
      )}
    </SpaceBetween>
  );
}

// Registers of the image beside those of the document.
function Comparison({image, document}: {image: ImageInfo; document: DocumentInfo}) {
  const registers = Object.entries(image.pcrs);
  const same = registers.every(([number, digits]) => digits === document.pcrs[number]);
  return (
    <SpaceBetween size="s">
      {same ? <Alert type="success">The document comes from this image.</Alert>
        : document.debug ? <Alert type="warning">In debug mode the document does not say from which image it comes.</Alert>
        : <Alert type="error">The document comes from another image.</Alert>}
      {registers.map(([number, digits]) => (
        <div key={number}>
          <Box variant="h3">{`PCR${number}`}</Box>
          <RegisterPair label={`PCR${number}`} expected={digits} presented={document.pcrs[number] ?? null} />
        </div>
      ))}
    </SpaceBetween>
  );
}

export default function Inspector() {
  const [text, setText] = useState('');
  const [at, setAt] = useState<'now' | 'document'>('now');
  const [answer, setAnswer] = useState<DocumentAnswer | null>(null);
  const [image, setImage] = useState<ImageInfo | null>(null);
  const [path, setPath] = useState('');
  const [error, setError] = useState<unknown>(undefined);
  const [busy, setBusy] = useState(false);
  const [over, setOver] = useState(false);
  const file = useRef<HTMLInputElement>(null);

  const attempt = async (work: () => Promise<void>) => {
    setBusy(true);
    setError(undefined);
    try {
      await work();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  const inspect = (document: string) => attempt(async () => {
    setImage(null);
    setAnswer(await api.document(document, at));
  });
  const takeFile = (chosen: File | undefined) => {
    if (chosen === undefined) return;
    void attempt(async () => {
      const document = await asText(chosen);
      setText(document);
      setImage(null);
      setAnswer(await api.document(document, at));
    });
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    takeFile(event.dataTransfer.files[0]);
  };
  return (
    <SpaceBetween size="l">
      <Header variant="h1" description="The same verifier that KMS asks, check by check.">Attestation inspector</Header>
      <Container>
        <SpaceBetween size="m">
          <div className={over ? 'cm-drop over' : 'cm-drop'} onDragOver={event => {
            event.preventDefault();
            setOver(true);
          }} onDragLeave={() => setOver(false)} onDrop={drop}>
            <FormField label="Attestation document" description="Paste it in base64 or hexadecimal, or drop a file here." stretch>
              <Textarea value={text} onChange={event => setText(event.detail.value)} rows={6} spellcheck={false} />
            </FormField>
          </div>
          <FormField label="Judge the chain">
            <RadioGroup value={at} onChange={event => setAt(event.detail.value === 'document' ? 'document' : 'now')} items={[
              {value: 'now', label: 'now'}, {value: 'document', label: "at the document's own time", description: 'Right for documents that were kept.'},
            ]} />
          </FormField>
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="primary" disabled={text.trim() === ''} loading={busy} onClick={() => void inspect(text)}>Inspect</Button>
            <Button iconName="upload" onClick={() => file.current?.click()}>Choose a file</Button>
            <input ref={file} type="file" hidden aria-label="Document file" onChange={event => takeFile(event.target.files?.[0])} />
          </SpaceBetween>
        </SpaceBetween>
      </Container>
      {error !== undefined && <FailureAlert error={error} />}
      {answer !== null && <Result answer={answer} />}
      {answer?.document !== null && answer?.document !== undefined && (
        <Container header={<Header variant="h2">Compare with an image</Header>}>
          <SpaceBetween size="m">
            <FormField label="Path of the EIF" description="An absolute path on the machine of casemated."
              secondaryControl={<Button disabled={path.trim() === ''} onClick={() => void attempt(async () => setImage(await api.image(path.trim())))}>Compare</Button>}>
              <Input value={path} onChange={event => setPath(event.detail.value)} spellcheck={false} />
            </FormField>
            {image !== null && <Comparison image={image} document={answer.document} />}
          </SpaceBetween>
        </Container>
      )}
    </SpaceBetween>
  );
}
