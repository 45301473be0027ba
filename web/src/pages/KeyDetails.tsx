// SPDX-License-Identifier: Apache-2.0
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import ButtonDropdown from '@cloudscape-design/components/button-dropdown';
import Checkbox from '@cloudscape-design/components/checkbox';
import Container from '@cloudscape-design/components/container';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import Modal from '@cloudscape-design/components/modal';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Table from '@cloudscape-design/components/table';
import Tabs from '@cloudscape-design/components/tabs';
import TagEditor, {type TagEditorProps} from '@cloudscape-design/components/tag-editor';
import type {GrantListEntry, GrantOperation} from '@aws-sdk/client-kms';
import {useEffect, useState} from 'react';
import {kms} from '../aws';
import {CopyInline} from '../components/Copy';
import {FailureAlert} from '../components/Failures';
import {PolicyTab} from '../components/PolicyTab';
import {Principals} from '../components/Principals';
import {tagStrings} from '../components/tagStrings';
import {useAsync} from '../components/useAsync';
import {describeKey, getRotation, listAliases, listGrants, listTags, STATES, USAGES} from '../keys';
import {dateTime} from '../lib/enclave';
import {useNotice} from '../notices';

// useAction runs a change, says that it was done, and keeps its failure for the page to show.
function useAction() {
  const notice = useNotice();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  const run = async (change: () => Promise<unknown>, done: string): Promise<boolean> => {
    setBusy(true);
    setError(undefined);
    try {
      await change();
      notice({type: 'success', text: done});
      return true;
    } catch (failure) {
      setError(failure);
      return false;
    } finally {
      setBusy(false);
    }
  };
  return {busy, error, run};
}

function Aliases({id}: {id: string}) {
  const aliases = useAsync(() => listAliases(id), [id]);
  const [name, setName] = useState('');
  const [selected, setSelected] = useState<string[]>([]);
  const action = useAction();
  const create = async () => {
    const alias = `alias/${name.trim()}`;
    if (await action.run(() => kms((client, sdk) => client.send(new sdk.CreateAliasCommand({AliasName: alias, TargetKeyId: id}))), `${alias} was created.`)) {
      setName('');
      aliases.reload();
    }
  };
  const remove = async () => {
    await action.run(async () => {
      for (const alias of selected) await kms((client, sdk) => client.send(new sdk.DeleteAliasCommand({AliasName: alias})));
    }, selected.length === 1 ? 'The alias was deleted.' : 'The aliases were deleted.');
    setSelected([]);
    aliases.reload();
  };
  return (
    <SpaceBetween size="m">
      {aliases.error !== undefined && <FailureAlert error={aliases.error} retry={aliases.reload} />}
      {action.error !== undefined && <FailureAlert error={action.error} />}
      <Table
        header={<Header variant="h2" counter={`(${aliases.value?.length ?? 0})`} actions={
          <Button disabled={selected.length === 0} loading={action.busy} onClick={() => void remove()}>Delete</Button>}>Aliases</Header>}
        items={(aliases.value ?? []).map(alias => ({alias}))}
        trackBy="alias"
        selectionType="multi"
        selectedItems={selected.map(alias => ({alias}))}
        onSelectionChange={event => setSelected(event.detail.selectedItems.map(item => item.alias))}
        columnDefinitions={[{id: 'alias', header: 'Alias name', isRowHeader: true, cell: item => <span className="cm-break">{item.alias}</span>}]}
        loading={aliases.loading && aliases.value === undefined}
        loadingText="Loading aliases"
        empty="No aliases"
        ariaLabels={{tableLabel: 'Aliases', allItemsSelectionLabel: () => 'Select all', itemSelectionLabel: (_, item) => item.alias,
          selectionGroupLabel: 'Selected aliases'}}
      />
      <FormField label="New alias" secondaryControl={<Button disabled={name.trim() === ''} onClick={() => void create()}>Create alias</Button>}>
        <Input value={name} onChange={event => setName(event.detail.value)} placeholder="my-enclave-key" spellcheck={false} />
      </FormField>
    </SpaceBetween>
  );
}

function Tags({id}: {id: string}) {
  const stored = useAsync(() => listTags(id), [id]);
  const [tags, setTags] = useState<TagEditorProps.Tag[]>([]);
  const [valid, setValid] = useState(true);
  const action = useAction();
  useEffect(() => {
    setTags((stored.value ?? []).map(tag => ({key: tag.TagKey ?? '', value: tag.TagValue ?? '', existing: true})));
  }, [stored.value]);
  const save = async () => {
    const gone = tags.filter(tag => tag.existing && tag.markedForRemoval === true).map(tag => tag.key);
    const kept = tags.filter(tag => tag.markedForRemoval !== true).map(tag => ({TagKey: tag.key, TagValue: tag.value}));
    const done = await action.run(async () => {
      if (gone.length > 0) await kms((client, sdk) => client.send(new sdk.UntagResourceCommand({KeyId: id, TagKeys: gone})));
      if (kept.length > 0) await kms((client, sdk) => client.send(new sdk.TagResourceCommand({KeyId: id, Tags: kept})));
    }, 'The tags were saved.');
    if (done) stored.reload();
  };
  return (
    <SpaceBetween size="m">
      {stored.error !== undefined && <FailureAlert error={stored.error} retry={stored.reload} what="Tags" />}
      {action.error !== undefined && <FailureAlert error={action.error} what="Saving the tags" />}
      <Container header={<Header variant="h2" actions={
        <Button disabled={!valid || stored.error !== undefined} loading={action.busy} onClick={() => void save()}>Save changes</Button>}>Tags</Header>}>
        <TagEditor tags={tags} tagLimit={50} i18nStrings={tagStrings} loading={stored.loading && stored.value === undefined}
          onChange={event => {
            setTags([...event.detail.tags]);
            setValid(event.detail.valid);
          }} />
      </Container>
    </SpaceBetween>
  );
}

function RotationTab({id}: {id: string}) {
  const stored = useAsync(() => getRotation(id), [id]);
  const [days, setDays] = useState('365');
  const action = useAction();
  const period = Number(days);
  const wrong = !Number.isInteger(period) || period < 90 || period > 2560;
  const change = async (work: () => Promise<unknown>, done: string) => {
    if (await action.run(work, done)) stored.reload();
  };
  return (
    <SpaceBetween size="m">
      {stored.error !== undefined && <FailureAlert error={stored.error} retry={stored.reload} what="Rotation" />}
      {action.error !== undefined && <FailureAlert error={action.error} what="Rotation" />}
      <Container header={<Header variant="h2" actions={
        <Button loading={action.busy} onClick={() => void change(
          () => kms((client, sdk) => client.send(new sdk.RotateKeyOnDemandCommand({KeyId: id}))), 'The key is being rotated.')}>Rotate now</Button>}>
        Key rotation</Header>}>
        <SpaceBetween size="m">
          <KeyValuePairs columns={3} items={[
            {label: 'Automatic rotation', value: stored.value === undefined ? '–' : stored.value.enabled ? 'Enabled' : 'Disabled'},
            {label: 'Period', value: stored.value?.periodDays === undefined ? '–' : `${stored.value.periodDays} days`},
            {label: 'Next rotation', value: dateTime(stored.value?.next)},
          ]} />
          <FormField label="Rotation period in days" constraintText="90 to 2560" errorText={wrong ? 'Enter a number from 90 to 2560.' : undefined}
            secondaryControl={
              <SpaceBetween direction="horizontal" size="xs">
                <Button disabled={wrong} onClick={() => void change(() => kms((client, sdk) =>
                  client.send(new sdk.EnableKeyRotationCommand({KeyId: id, RotationPeriodInDays: period}))), 'Automatic rotation is enabled.')}>Enable</Button>
                <Button disabled={stored.value?.enabled !== true} onClick={() => void change(() => kms((client, sdk) =>
                  client.send(new sdk.DisableKeyRotationCommand({KeyId: id}))), 'Automatic rotation is disabled.')}>Disable</Button>
              </SpaceBetween>}>
            <Input type="number" inputMode="numeric" value={days} onChange={event => setDays(event.detail.value)} />
          </FormField>
        </SpaceBetween>
      </Container>
      <Table
        header={<Header variant="h2">Rotation history</Header>}
        items={stored.value?.history ?? []}
        columnDefinitions={[
          {id: 'date', header: 'Date', isRowHeader: true, cell: item => dateTime(item.date)},
          {id: 'type', header: 'Type', cell: item => item.type ?? '–'},
        ]}
        empty="No rotations" loading={stored.loading && stored.value === undefined} loadingText="Loading"
        ariaLabels={{tableLabel: 'Rotation history'}}
      />
    </SpaceBetween>
  );
}

const GRANT_OPERATIONS = ['Decrypt', 'Encrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'ReEncryptFrom', 'ReEncryptTo', 'DescribeKey', 'CreateGrant', 'RetireGrant'];

function Grants({id}: {id: string}) {
  const stored = useAsync(() => listGrants(id), [id]);
  const [creating, setCreating] = useState(false);
  const [grantee, setGrantee] = useState<string[]>([]);
  const [operations, setOperations] = useState<string[]>(['Decrypt']);
  const action = useAction();
  const revoke = async (grant: GrantListEntry) => {
    if (await action.run(() => kms((client, sdk) => client.send(new sdk.RevokeGrantCommand({KeyId: id, GrantId: grant.GrantId}))), 'The grant was revoked.')) stored.reload();
  };
  const create = async () => {
    const done = await action.run(() => kms((client, sdk) => client.send(new sdk.CreateGrantCommand({
      KeyId: id, GranteePrincipal: grantee[0], Operations: operations as GrantOperation[],
    }))), 'The grant was created.');
    if (done) {
      setCreating(false);
      stored.reload();
    }
  };
  return (
    <SpaceBetween size="m">
      {stored.error !== undefined && <FailureAlert error={stored.error} retry={stored.reload} what="Grants" />}
      {action.error !== undefined && <FailureAlert error={action.error} what="Grants" />}
      <Table
        header={<Header variant="h2" counter={`(${stored.value?.length ?? 0})`} actions={<Button onClick={() => setCreating(true)}>Create grant</Button>}>Grants</Header>}
        items={stored.value ?? []}
        loading={stored.loading && stored.value === undefined} loadingText="Loading grants"
        empty="No grants"
        columnDefinitions={[
          {id: 'grantee', header: 'Grantee', isRowHeader: true, cell: grant => <span className="cm-mono cm-break">{grant.GranteePrincipal}</span>},
          {id: 'operations', header: 'Operations', cell: grant => (grant.Operations ?? []).join(', ')},
          {id: 'created', header: 'Created', cell: grant => dateTime(grant.CreationDate)},
          {id: 'id', header: 'Grant ID', cell: grant => <span className="cm-mono cm-break">{grant.GrantId}</span>},
          {id: 'revoke', header: 'Actions', cell: grant => <Button variant="inline-link" ariaLabel={`Revoke ${grant.GrantId ?? ''}`} onClick={() => void revoke(grant)}>Revoke</Button>},
        ]}
        ariaLabels={{tableLabel: 'Grants'}}
      />
      {creating && (
        <Modal visible header="Create grant" closeAriaLabel="Close" onDismiss={() => setCreating(false)} footer={
          <Box float="right"><SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={() => setCreating(false)}>Cancel</Button>
            <Button variant="primary" disabled={grantee.length !== 1 || operations.length === 0} loading={action.busy} onClick={() => void create()}>Create grant</Button>
          </SpaceBetween></Box>}>
          <SpaceBetween size="m">
            <Principals label="Grantee" description="One principal that may use the key." value={grantee} onChange={value => setGrantee(value.slice(-1))} />
            <FormField label="Operations">
              {GRANT_OPERATIONS.map(operation => (
                <Checkbox key={operation} checked={operations.includes(operation)} onChange={event =>
                  setOperations(event.detail.checked ? [...operations, operation] : operations.filter(one => one !== operation))}>{operation}</Checkbox>
              ))}
            </FormField>
          </SpaceBetween>
        </Modal>
      )}
    </SpaceBetween>
  );
}

export default function KeyDetails({id}: {id: string}) {
  const key = useAsync(() => describeKey(id), [id]);
  const aliases = useAsync(async () => key.value?.KeyId === undefined ? [] : listAliases(key.value.KeyId), [key.value?.KeyId]);
  const action = useAction();
  const [deleting, setDeleting] = useState(false);
  const [days, setDays] = useState('30');
  const [sure, setSure] = useState(false);
  if (key.value === undefined) {
    return key.error === undefined ? <StatusIndicator type="loading">Loading the key</StatusIndicator>
      : <SpaceBetween size="m"><Header variant="h1">Key</Header><FailureAlert error={key.error} retry={key.reload} /></SpaceBetween>;
  }
  const metadata = key.value;
  const keyId = metadata.KeyId ?? id;
  const state = STATES[metadata.KeyState ?? ''] ?? {text: metadata.KeyState ?? '–', type: 'info' as const};
  const pending = metadata.KeyState === 'PendingDeletion';
  const period = Number(days);
  const change = async (work: () => Promise<unknown>, done: string) => {
    await action.run(work, done);
    setDeleting(false);
    key.reload();
  };
  return (
    <SpaceBetween size="l">
      <Header variant="h1" actions={
        <SpaceBetween direction="horizontal" size="xs">
          <Button iconName="refresh" ariaLabel="Refresh" loading={key.loading} onClick={key.reload} />
          <ButtonDropdown
            items={[
              {id: 'enable', text: 'Enable', disabled: metadata.KeyState !== 'Disabled'},
              {id: 'disable', text: 'Disable', disabled: metadata.KeyState !== 'Enabled'},
              {id: 'delete', text: 'Schedule key deletion', disabled: pending},
              {id: 'cancel', text: 'Cancel key deletion', disabled: !pending},
            ]}
            onItemClick={event => {
              switch (event.detail.id) {
                case 'enable':
                  void change(() => kms((client, sdk) => client.send(new sdk.EnableKeyCommand({KeyId: keyId}))), 'The key is enabled.');
                  break;
                case 'disable':
                  void change(() => kms((client, sdk) => client.send(new sdk.DisableKeyCommand({KeyId: keyId}))), 'The key is disabled.');
                  break;
                case 'cancel':
                  void change(() => kms((client, sdk) => client.send(new sdk.CancelKeyDeletionCommand({KeyId: keyId}))), 'The deletion was cancelled. The key is disabled.');
                  break;
                case 'delete':
                  setSure(false);
                  setDeleting(true);
                  break;
              }
            }}
          >Key actions</ButtonDropdown>
        </SpaceBetween>
      }><span className="cm-break">{aliases.value?.[0]?.replace(/^alias\//, '') ?? keyId}</span></Header>
      {key.error !== undefined && <FailureAlert error={key.error} retry={key.reload} />}
      {action.error !== undefined && <FailureAlert error={action.error} />}
      {pending && <Alert type="warning">This key will be deleted on {dateTime(metadata.DeletionDate)}. Nothing can be decrypted under it until the deletion is cancelled, nor ever after.</Alert>}
      <Container header={<Header variant="h2">General configuration</Header>}>
        <KeyValuePairs columns={3} items={[
          {label: 'Alias', value: <span className="cm-break">{aliases.value?.map(alias => alias.replace(/^alias\//, '')).join(', ') ?? '–'}</span>},
          {label: 'Status', value: <StatusIndicator type={state.type}>{state.text}</StatusIndicator>},
          {label: 'Creation date', value: dateTime(metadata.CreationDate)},
          {label: 'ARN', value: <CopyInline text={metadata.Arn ?? ''} what="the ARN" />},
          {label: 'Description', value: <span className="cm-break">{metadata.Description === '' ? '–' : metadata.Description ?? '–'}</span>},
          {label: 'Key spec', value: metadata.KeySpec ?? '–'},
          {label: 'Key usage', value: USAGES[metadata.KeyUsage ?? ''] ?? '–'},
          {label: 'Origin', value: metadata.Origin ?? '–'},
          {label: 'Algorithms', value: (metadata.EncryptionAlgorithms ?? metadata.SigningAlgorithms ?? metadata.MacAlgorithms ?? []).join(', ') || '–'},
        ]} />
      </Container>
      <Tabs ariaLabel="Parts of the key" tabs={[
        {id: 'policy', label: 'Key policy', content: <PolicyTab id={keyId} arn={metadata.Arn ?? ''} />},
        {id: 'aliases', label: 'Aliases', content: <Aliases id={keyId} />},
        {id: 'tags', label: 'Tags', content: <Tags id={keyId} />},
        {id: 'rotation', label: 'Key rotation', content: <RotationTab id={keyId} />},
        {id: 'grants', label: 'Grants', content: <Grants id={keyId} />},
      ]} />
      {deleting && (
        <Modal visible header="Schedule key deletion" closeAriaLabel="Close" onDismiss={() => setDeleting(false)} footer={
          <Box float="right"><SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={() => setDeleting(false)}>Cancel</Button>
            <Button variant="primary" disabled={!sure || period < 7 || period > 30} loading={action.busy} onClick={() => void change(
              () => kms((client, sdk) => client.send(new sdk.ScheduleKeyDeletionCommand({KeyId: keyId, PendingWindowInDays: period}))),
              'The deletion is scheduled.')}>Schedule deletion</Button>
          </SpaceBetween></Box>}>
          <SpaceBetween size="m">
            <Alert type="warning">After the waiting period the key is gone, and with it everything that only it can decrypt.</Alert>
            <FormField label="Waiting period in days" constraintText="7 to 30">
              <Input type="number" inputMode="numeric" value={days} onChange={event => setDays(event.detail.value)} />
            </FormField>
            <Checkbox checked={sure} onChange={event => setSure(event.detail.checked)}>Delete this key after {days} days.</Checkbox>
          </SpaceBetween>
        </Modal>
      )}
    </SpaceBetween>
  );
}
