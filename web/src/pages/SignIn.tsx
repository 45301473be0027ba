// SPDX-License-Identifier: Apache-2.0
import Alert from '@cloudscape-design/components/alert';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import Form from '@cloudscape-design/components/form';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Spinner from '@cloudscape-design/components/spinner';
import {useEffect, useRef, useState} from 'react';
import {api} from '../api';
import {callerIdentity} from '../aws';
import {toFailure} from '../lib/failure';
import {signIn, type Credentials, type SignedOut} from '../session';

const REASONS: Record<NonNullable<SignedOut['reason']>, string> = {
  expired: 'Your session has ended. Sign in again; the page that you were on opens again.',
  invalid: 'The credentials are not valid any more.',
  left: 'You signed out.',
};

// tokens holds those that were sent: a link is good once, and effects may run twice.
const sent = new Set<string>();

async function begin(credentials: Credentials): Promise<void> {
  const platform = await api.platform();
  const {arn, account} = await callerIdentity(credentials, platform);
  signIn({credentials, platform, arn, account});
}

export function SignIn({token, reason}: {token: string | null; reason: SignedOut['reason']}) {
  const [id, setId] = useState('');
  const [secret, setSecret] = useState('');
  const [sessionToken, setSessionToken] = useState('');
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  const mounted = useRef(true);

  const attempt = async (work: () => Promise<void>, prefix: string) => {
    setBusy(true);
    setProblem('');
    try {
      await work();
    } catch (error) {
      if (mounted.current) setProblem(`${prefix}${toFailure(error).message}`);
    } finally {
      if (mounted.current) setBusy(false);
    }
  };

  useEffect(() => {
    mounted.current = true;
    document.title = 'Sign in · casemate';
    if (token !== null && !sent.has(token)) {
      sent.add(token);
      void attempt(async () => {
        const given = await api.redeem(token);
        await begin({...given, expires: new Date(given.expires)});
      }, 'The link did not sign you in. ');
    }
    return () => {
      mounted.current = false;
    };
  }, [token]);

  const submit = () => {
    if (id.trim() === '' || secret === '') {
      setProblem('Enter an access key ID and its secret access key.');
      return;
    }
    void attempt(() => begin({
      accessKeyId: id.trim(),
      secretAccessKey: secret.trim(),
      sessionToken: sessionToken.trim() === '' ? undefined : sessionToken.trim(),
    }), '');
  };

  return (
    <main className="cm-signin">
      <SpaceBetween size="l">
        {reason !== undefined && <Alert type={reason === 'left' ? 'info' : 'warning'}>{REASONS[reason]}</Alert>}
        <div role="alert">{problem !== '' && <Alert type="error" header="Not signed in">{problem}</Alert>}</div>
        {busy && <div role="status"><Spinner /> Signing in</div>}
        <form onSubmit={event => {
          event.preventDefault();
          submit();
        }}>
          <Form actions={<Button variant="primary" formAction="submit" loading={busy}>Sign in</Button>}>
            <Container header={<Header variant="h1" description="The secret stays in this tab's memory. It is used to sign requests and never sent.">Sign in</Header>}>
              <SpaceBetween size="m">
                <FormField label="Access key ID">
                  <Input value={id} onChange={event => setId(event.detail.value)} autoComplete="off" spellcheck={false} />
                </FormField>
                <FormField label="Secret access key">
                  <Input type="password" value={secret} onChange={event => setSecret(event.detail.value)} autoComplete="off" />
                </FormField>
                <FormField label="Session token - optional" description="Of temporary credentials only.">
                  <Input value={sessionToken} onChange={event => setSessionToken(event.detail.value)} autoComplete="off" spellcheck={false} />
                </FormField>
              </SpaceBetween>
            </Container>
          </Form>
        </form>
        <Alert type="info" header="On the machine itself">
          <code className="cm-mono">casemate console</code> opens this page signed in, by a link that works once.
        </Alert>
      </SpaceBetween>
    </main>
  );
}
