// SPDX-License-Identifier: Apache-2.0
// The attestation condition helper: where the registers come from, which of them count, and the condition that follows.
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Checkbox from '@cloudscape-design/components/checkbox';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import Modal from '@cloudscape-design/components/modal';
import SegmentedControl from '@cloudscape-design/components/segmented-control';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Textarea from '@cloudscape-design/components/textarea';
import {useState} from 'react';
import {api} from '../api';
import {isZero} from '../lib/hex';
import {addCondition, asList, attestable, registerKey, splitAttested, type Policy} from '../lib/policy';
import {FailureAlert} from './Failures';
import {useAsync} from './useAsync';

const MEANING: Record<string, string> = {
  0: 'the whole image', 1: 'kernel and boot ramdisk', 2: 'the application', 3: "the parent's IAM role",
  4: "the parent's instance", 8: 'the certificate that signed the image',
};

type Registers = Record<string, string>;

// readText takes what nitro-cli prints (Measurements), a bare object of registers, or nothing.
export function readMeasurements(text: string): Registers | null {
  try {
    const value = JSON.parse(text) as Record<string, unknown>;
    const inner = (typeof value['Measurements'] === 'object' && value['Measurements'] !== null ? value['Measurements'] : value) as Record<string, unknown>;
    const found = Object.entries(inner).flatMap(([name, digits]) => {
      const number = /^PCR(\d{1,2})$/i.exec(name)?.[1];
      return number !== undefined && typeof digits === 'string' && /^[0-9a-f]{96}$/i.test(digits) ? [[number, digits.toLowerCase()]] : [];
    });
    return found.length === 0 ? null : Object.fromEntries(found) as Registers;
  } catch {
    return null;
  }
}

export function ConditionHelper({policy, onApply, onClose}: {
  policy: Policy; onApply: (policy: Policy) => void; onClose: () => void;
}) {
  const [source, setSource] = useState('enclave');
  const [registers, setRegisters] = useState<Registers | null>(null);
  const [note, setNote] = useState('');
  const [error, setError] = useState<unknown>(undefined);
  const [chosen, setChosen] = useState<string[]>(['0']);
  const [path, setPath] = useState('');
  const [text, setText] = useState('');
  const [enclave, setEnclave] = useState('');
  const [split, setSplit] = useState(true);
  const candidates = policy.Statement.map((statement, index) => ({statement, index})).filter(one => attestable(one.statement));
  const [target, setTarget] = useState(() => {
    const named = candidates.filter(one => asList(one.statement.Action).some(action => /^kms:decrypt$/i.test(action)));
    return named[0]?.index ?? candidates[candidates.length - 1]?.index ?? -1;
  });
  const enclaves = useAsync(signal => api.enclaves(signal), []);
  const list = enclaves.value?.enclaves ?? [];

  const take = async (load: () => Promise<{registers: Registers; note: string}>) => {
    setError(undefined);
    try {
      const found = await load();
      setRegisters(found.registers);
      setNote(found.note);
      setChosen(Object.keys(found.registers).includes('0') ? ['0'] : []);
    } catch (failure) {
      setRegisters(null);
      setError(failure);
    }
  };
  const takeEnclave = (id: string) => {
    setEnclave(id);
    const found = list.find(one => one.EnclaveID === id);
    if (found === undefined) return;
    void take(async () => ({
      registers: readMeasurements(JSON.stringify(found.Measurements ?? {})) ?? {},
      note: found.Flags.includes('DEBUG')
        ? 'This enclave runs in debug mode and presents zeros. The condition is made of its image, so only the image in production mode will be let in.' : '',
    }));
  };
  const takeImage = () => void take(async () => {
    const image = await api.image(path.trim());
    return {registers: image.pcrs, note: image.violations.length === 0 ? '' : `The image breaks rules: ${image.violations.join('; ')}`};
  });
  const takeText = () => void take(async () => {
    const measurements = readMeasurements(text);
    if (measurements !== null) return {registers: measurements, note: ''};
    const answer = await api.document(text, 'document');
    if (answer.document === null) throw new Error('This is no attestation document and no Measurements that nitro-cli printed.');
    return {
      registers: answer.document.pcrs,
      note: answer.report.verified ? '' : 'This document does not verify here. Its registers may be anyone\'s.',
    };
  });

  const values = Object.entries(registers ?? {}).filter(([number]) => MEANING[number] !== undefined);
  const zeros = chosen.some(number => isZero(registers?.[number] ?? '1'));
  const statement = policy.Statement[target];
  const mixed = statement !== undefined && splitAttested(policy, target).index !== target;
  const apply = () => {
    const choices = chosen.map(number => ({key: registerKey(`PCR${number}`), value: registers?.[number] ?? ''}));
    const placed = mixed && split ? splitAttested(policy, target) : {policy, index: target};
    onApply(addCondition(placed.policy, placed.index, choices));
  };
  const ready = registers !== null && chosen.length > 0 && target >= 0;
  return (
    <Modal
      visible
      size="large"
      onDismiss={onClose}
      closeAriaLabel="Close"
      header="Attestation condition"
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onClose}>Cancel</Button>
            <Button variant="primary" disabled={!ready} onClick={apply}>Write the condition</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="l">
        <SegmentedControl label="Where the registers come from" selectedId={source} onChange={event => setSource(event.detail.selectedId)} options={[
          {id: 'enclave', text: 'Running enclave'}, {id: 'image', text: 'Image (EIF)'}, {id: 'text', text: 'Document or measurements'},
        ]} />
        {source === 'enclave' && (
          <FormField label="Enclave" errorText={enclaves.error === undefined ? undefined : 'The enclaves could not be listed.'}>
            <Select
              selectedOption={enclave === '' ? null : {value: enclave, label: enclave}}
              placeholder={list.length === 0 ? 'No enclave is running' : 'Choose an enclave'}
              onChange={event => takeEnclave(event.detail.selectedOption.value ?? '')}
              statusType={enclaves.loading ? 'loading' : 'finished'}
              empty="No enclave is running"
              options={list.map(one => ({value: one.EnclaveID, label: one.EnclaveID, description: `${one.EnclaveName ?? ''} ${one.Flags}`}))}
            />
          </FormField>
        )}
        {source === 'image' && (
          <FormField label="Path of the EIF" description="An absolute path on the machine of casemated; it reads and measures the file."
            secondaryControl={<Button onClick={takeImage}>Measure</Button>}>
            <Input value={path} onChange={event => setPath(event.detail.value)} placeholder="/home/you/data-processing.eif" spellcheck={false} />
          </FormField>
        )}
        {source === 'text' && (
          <FormField label="Attestation document or Measurements"
            description="A document in base64 or hexadecimal, or the JSON that nitro-cli build-enclave prints."
            secondaryControl={<Button onClick={takeText}>Read</Button>}>
            <Textarea value={text} onChange={event => setText(event.detail.value)} rows={5} spellcheck={false} />
          </FormField>
        )}
        {error !== undefined && <FailureAlert error={error} />}
        {note !== '' && <Alert type="info">{note}</Alert>}
        {registers !== null && (
          <FormField label="Registers" description="A value that a request does not present equal is denied.">
            <SpaceBetween size="xs">
              {values.map(([number, digits]) => (
                <Checkbox key={number} checked={chosen.includes(number)} onChange={event =>
                  setChosen(event.detail.checked ? [...chosen, number] : chosen.filter(one => one !== number))}
                  description={<span className="cm-mono cm-break">{digits}</span>}>
                  {`PCR${number} (${MEANING[number]})`}
                </Checkbox>
              ))}
            </SpaceBetween>
          </FormField>
        )}
        {zeros && <Alert type="warning">A register of zeros lets every enclave in debug mode in, whoever wrote it, and no production enclave.</Alert>}
        <FormField label="Statement" errorText={candidates.length === 0 ? 'No statement of this policy allows Decrypt or another attested operation.' : undefined}>
          <Select
            selectedOption={statement === undefined ? null : {value: String(target), label: statement.Sid ?? `Statement ${target + 1}`}}
            onChange={event => setTarget(Number(event.detail.selectedOption.value))}
            options={candidates.map(one => ({
              value: String(one.index), label: one.statement.Sid ?? `Statement ${one.index + 1}`,
              description: asList(one.statement.Action).join(', '),
            }))}
          />
        </FormField>
        {mixed && (
          <Checkbox checked={split} onChange={event => setSplit(event.detail.checked)}
            description="Encrypt carries no attestation document: under the condition it would be denied too.">
            Put the condition only on the attested actions, in a statement of their own
          </Checkbox>
        )}
      </SpaceBetween>
    </Modal>
  );
}
