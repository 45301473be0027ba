// SPDX-License-Identifier: Apache-2.0
// The five steps of AWS's wizard.
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Checkbox from '@cloudscape-design/components/checkbox';
import Container from '@cloudscape-design/components/container';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import RadioGroup from '@cloudscape-design/components/radio-group';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import TagEditor, {type TagEditorProps} from '@cloudscape-design/components/tag-editor';
import Textarea from '@cloudscape-design/components/textarea';
import Wizard from '@cloudscape-design/components/wizard';
import type {KeySpec, KeyUsageType} from '@aws-sdk/client-kms';
import {useState} from 'react';
import {kms} from '../aws';
import {FailureAlert} from '../components/Failures';
import {Principals} from '../components/Principals';
import {tagStrings} from '../components/tagStrings';
import {USAGES} from '../keys';
import {makePolicy} from '../lib/policy';
import {useNotice} from '../notices';
import {navigate} from '../router';
import {currentSession} from '../session';

const SPECS: Record<string, string[]> = {
  'symmetric ENCRYPT_DECRYPT': ['SYMMETRIC_DEFAULT'],
  'symmetric GENERATE_VERIFY_MAC': ['HMAC_256', 'HMAC_224', 'HMAC_384', 'HMAC_512'],
  'asymmetric ENCRYPT_DECRYPT': ['RSA_2048', 'RSA_3072', 'RSA_4096'],
  'asymmetric SIGN_VERIFY': ['ECC_NIST_P256', 'ECC_NIST_P384', 'ECC_NIST_P521', 'ECC_SECG_P256K1', 'RSA_2048', 'RSA_3072', 'RSA_4096'],
};

const ALIAS = /^[a-zA-Z0-9/_-]{1,250}$/;

export default function CreateKey() {
  const account = currentSession()?.account ?? '';
  const notice = useNotice();
  const [step, setStep] = useState(0);
  const [type, setType] = useState('symmetric');
  const [usage, setUsage] = useState('ENCRYPT_DECRYPT');
  const [spec, setSpec] = useState('SYMMETRIC_DEFAULT');
  const [alias, setAlias] = useState('');
  const [description, setDescription] = useState('');
  const [tags, setTags] = useState<TagEditorProps.Tag[]>([]);
  const [tagsValid, setTagsValid] = useState(true);
  const [administrators, setAdministrators] = useState<string[]>([]);
  const [users, setUsers] = useState<string[]>([]);
  const [allowDeletion, setAllowDeletion] = useState(true);
  const [aliasProblem, setAliasProblem] = useState('');
  const [error, setError] = useState<unknown>(undefined);
  const [busy, setBusy] = useState(false);
  // A key that was made although its alias was refused: a further try only makes the alias.
  const [made, setMade] = useState('');

  const choose = (nextType: string, nextUsage: string) => {
    const usages = usagesOf(nextType);
    const use = usages.includes(nextUsage) ? nextUsage : usages[0] ?? 'ENCRYPT_DECRYPT';
    setType(nextType);
    setUsage(use);
    setSpec(SPECS[`${nextType} ${use}`]?.[0] ?? 'SYMMETRIC_DEFAULT');
  };
  const usagesOf = (of: string) => Object.keys(SPECS).filter(key => key.startsWith(`${of} `)).map(key => key.slice(of.length + 1));
  const policy = makePolicy(account, administrators, users, allowDeletion, usage, spec);

  const checkAlias = (): boolean => {
    const name = alias.trim();
    const problem = name === '' ? 'Enter an alias.'
      : !ALIAS.test(name) ? 'Use letters, digits, slash, underscore and hyphen, at most 250.'
      : name.startsWith('aws/') ? 'Aliases that begin with aws/ are reserved.' : '';
    setAliasProblem(problem);
    return problem === '';
  };

  const finish = async () => {
    if (!checkAlias()) {
      setStep(1);
      return;
    }
    setBusy(true);
    setError(undefined);
    let id = made;
    try {
      if (id === '') {
        const list = tags.filter(tag => !tag.markedForRemoval).map(tag => ({TagKey: tag.key, TagValue: tag.value}));
        id = await kms(async (client, sdk) => {
          const answer = await client.send(new sdk.CreateKeyCommand({
            KeySpec: spec as KeySpec,
            KeyUsage: usage as KeyUsageType,
            Description: description,
            Policy: JSON.stringify(policy, null, 2),
            ...(list.length === 0 ? {} : {Tags: list}),
          }));
          return answer.KeyMetadata?.KeyId ?? '';
        });
        setMade(id);
      }
      await kms((client, sdk) => client.send(new sdk.CreateAliasCommand({AliasName: `alias/${alias.trim()}`, TargetKeyId: id})));
      notice({type: 'success', text: `Your KMS key was created with alias ${alias.trim()} and key ID ${id}.`});
      navigate('keys');
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };

  return (
    <Wizard
      activeStepIndex={step}
      onNavigate={event => {
        if (event.detail.requestedStepIndex > step && step === 1 && (!checkAlias() || !tagsValid)) return;
        setStep(event.detail.requestedStepIndex);
      }}
      onCancel={() => navigate('keys')}
      onSubmit={() => void finish()}
      isLoadingNextStep={busy}
      submitButtonText="Finish"
      i18nStrings={{
        stepNumberLabel: number => `Step ${number}`,
        collapsedStepsLabel: (number, count) => `Step ${number} of ${count}`,
        navigationAriaLabel: 'Steps', cancelButton: 'Cancel', previousButton: 'Previous', nextButton: 'Next', optional: 'optional',
      }}
      steps={[
        {
          title: 'Configure key',
          content: (
            <Container header={<Header variant="h2">Key type and usage</Header>}>
              <SpaceBetween size="l">
                <FormField label="Key type">
                  <RadioGroup value={type} onChange={event => choose(event.detail.value, usage)} items={[
                    {value: 'symmetric', label: 'Symmetric', description: 'A single key for encrypting and decrypting, or for HMAC.'},
                    {value: 'asymmetric', label: 'Asymmetric', description: 'A public and private key pair.'},
                  ]} />
                </FormField>
                <FormField label="Key usage">
                  <RadioGroup value={usage} onChange={event => choose(type, event.detail.value)}
                    items={usagesOf(type).map(value => ({value, label: USAGES[value] ?? value}))} />
                </FormField>
                <FormField label="Key spec">
                  <Select
                    selectedOption={{value: spec, label: spec}}
                    onChange={event => setSpec(event.detail.selectedOption.value ?? spec)}
                    options={(SPECS[`${type} ${usage}`] ?? []).map(value => ({value, label: value}))}
                  />
                </FormField>
              </SpaceBetween>
            </Container>
          ),
        },
        {
          title: 'Add labels',
          content: (
            <SpaceBetween size="l">
              <Container header={<Header variant="h2">Alias and description</Header>}>
                <SpaceBetween size="l">
                  <FormField label="Alias" errorText={aliasProblem} description="You can change the alias at any time.">
                    <Input value={alias} onChange={event => setAlias(event.detail.value)} spellcheck={false} autoComplete="off" />
                  </FormField>
                  <FormField label="Description - optional">
                    <Textarea value={description} onChange={event => setDescription(event.detail.value)} rows={3} />
                  </FormField>
                </SpaceBetween>
              </Container>
              <Container header={<Header variant="h2">Tags - optional</Header>}>
                <TagEditor tags={tags} tagLimit={50} i18nStrings={tagStrings} onChange={event => {
                  setTags([...event.detail.tags]);
                  setTagsValid(event.detail.valid);
                }} />
              </Container>
            </SpaceBetween>
          ),
        },
        {
          title: 'Define key administrative permissions',
          isOptional: true,
          content: (
            <Container header={<Header variant="h2">Key administrators</Header>}>
              <SpaceBetween size="l">
                <Principals label="Principal" description="Users and roles who can administer this key through the KMS API."
                  value={administrators} onChange={setAdministrators} />
                <Checkbox checked={allowDeletion} onChange={event => setAllowDeletion(event.detail.checked)}>
                  Allow key administrators to delete this key.
                </Checkbox>
              </SpaceBetween>
            </Container>
          ),
        },
        {
          title: 'Define key usage permissions',
          isOptional: true,
          content: (
            <Container header={<Header variant="h2">Key users</Header>}>
              <Principals label="Principal" description="Users and roles who can use the key in cryptographic operations."
                value={users} onChange={setUsers} />
            </Container>
          ),
        },
        {
          title: 'Review',
          content: (
            <SpaceBetween size="l">
              {made !== '' && (
                <Alert type="warning" header="The key exists, its alias does not">
                  Key {made} was created. Choose another alias in step 2 and finish again: no second key is made.
                </Alert>
              )}
              {error !== undefined && <FailureAlert error={error} what="Creating the key" />}
              <Container header={<Header variant="h2">Key configuration</Header>}>
                <KeyValuePairs columns={3} items={[
                  {label: 'Key type', value: type === 'symmetric' ? 'Symmetric' : 'Asymmetric'},
                  {label: 'Key spec', value: spec},
                  {label: 'Key usage', value: USAGES[usage] ?? usage},
                  {label: 'Alias', value: alias === '' ? '–' : alias},
                  {label: 'Description', value: description === '' ? '–' : description},
                  {label: 'Tags', value: tags.length === 0 ? '–' : tags.map(tag => `${tag.key}=${tag.value}`).join(', ')},
                ]} />
              </Container>
              <Container header={<Header variant="h2">Key policy</Header>}>
                <pre className="cm-pre" tabIndex={0} aria-label="Key policy">{JSON.stringify(policy, null, 2)}</pre>
                <Box variant="small">It can be changed at any time on the page of the key.</Box>
              </Container>
            </SpaceBetween>
          ),
        },
      ]}
    />
  );
}
