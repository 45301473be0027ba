// SPDX-License-Identifier: Apache-2.0
// Choosing principals by ARN: those that are known here, and any other that is typed.
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Autosuggest from '@cloudscape-design/components/autosuggest';
import FormField from '@cloudscape-design/components/form-field';
import SpaceBetween from '@cloudscape-design/components/space-between';
import TokenGroup from '@cloudscape-design/components/token-group';
import {useState} from 'react';
import {currentSession} from '../session';

export function knownPrincipals(account: string): string[] {
  return [`arn:aws:iam::${account}:role/casemate-parent`, `arn:aws:iam::${account}:user/admin`];
}

const SHAPE = /^(arn:aws[a-z-]*:iam::\d{12}:(root|user\/.+|role\/.+)|arn:aws[a-z-]*:sts::\d{12}:assumed-role\/.+|\d{12})$/;

export function Principals({label, description, value, onChange}: {
  label: string; description: string; value: string[]; onChange: (value: string[]) => void;
}) {
  const [text, setText] = useState('');
  const [problem, setProblem] = useState('');
  const account = currentSession()?.account ?? '';
  const add = (arn: string) => {
    const trimmed = arn.trim();
    if (trimmed === '') return;
    if (!SHAPE.test(trimmed)) {
      setProblem('Enter the ARN of a user, a role or an account.');
      return;
    }
    if (!value.includes(trimmed)) onChange([...value, trimmed]);
    setText('');
    setProblem('');
  };
  return (
    <SpaceBetween size="s">
      <FormField label={label} description={description} errorText={problem}
        secondaryControl={<Button onClick={() => add(text)}>Add</Button>}>
        <Autosuggest
          value={text}
          onChange={event => setText(event.detail.value)}
          onSelect={event => add(event.detail.value)}
          options={knownPrincipals(account).filter(arn => !value.includes(arn)).map(arn => ({value: arn}))}
          enteredTextLabel={entered => `Use "${entered}"`}
          placeholder={`arn:aws:iam::${account}:role/…`}
          ariaLabel={label}
        />
      </FormField>
      {value.length === 0
        ? <Box color="text-body-secondary">None. The account's own identity policies decide.</Box>
        : <TokenGroup
            items={value.map(arn => ({label: arn, dismissLabel: `Remove ${arn}`}))}
            onDismiss={event => onChange(value.filter((_, at) => at !== event.detail.itemIndex))}
            alignment="vertical"
          />}
    </SpaceBetween>
  );
}
