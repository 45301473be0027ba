// SPDX-License-Identifier: Apache-2.0
// How each kind of failure looks, everywhere alike.
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import {useEffect} from 'react';
import {signOut} from '../session';
import {toFailure, type Failure} from '../lib/failure';

const TITLES: Record<Failure['kind'], string> = {
  lost: 'Connection lost',
  expired: 'Your session has ended',
  denied: 'You do not have permission',
  unsupported: 'Not available on this server',
  notFound: 'Not found',
  invalid: 'The request was refused',
  failed: 'The request failed',
};

export function FailureAlert({error, retry, what}: {error: unknown; retry?: () => void; what?: string}) {
  const failure = toFailure(error);
  useEffect(() => {
    if (failure.kind === 'expired') signOut('expired');
  }, [failure.kind]);
  return (
    <Alert
      type={failure.kind === 'unsupported' || failure.kind === 'lost' ? 'warning' : 'error'}
      header={what === undefined ? TITLES[failure.kind] : `${what}: ${TITLES[failure.kind].toLowerCase()}`}
      action={retry === undefined ? undefined : <Button onClick={retry}>Retry</Button>}
    >
      <div className="cm-break">{failure.message}</div>
      {failure.kind !== 'lost' && (
        <Box variant="small" color="inherit">
          {failure.code}{failure.requestId === undefined ? '' : ` · request ${failure.requestId}`}
        </Box>
      )}
    </Alert>
  );
}
