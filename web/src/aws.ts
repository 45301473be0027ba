// SPDX-License-Identifier: Apache-2.0
// AWS's own SDK against the origin of the page: the same endpoint, requests and answers as for every other client.
import type {KMSClient} from '@aws-sdk/client-kms';
import {currentSession, type Credentials, type Platform} from './session';

function settings(credentials: Credentials, region: string) {
  return {
    region,
    endpoint: location.origin,
    credentials: {
      accessKeyId: credentials.accessKeyId,
      secretAccessKey: credentials.secretAccessKey,
      sessionToken: credentials.sessionToken,
    },
    maxAttempts: 2,
  };
}

let client: {key: string; kms: KMSClient} | null = null;

export type KmsModule = typeof import('@aws-sdk/client-kms');

// kms runs with the SDK, loaded when it is first needed.
export async function kms<T>(run: (client: KMSClient, sdk: KmsModule) => Promise<T>): Promise<T> {
  const session = currentSession();
  if (session === null) throw Object.assign(new Error('Not signed in.'), {name: 'ExpiredToken'});
  const sdk = await import('@aws-sdk/client-kms');
  if (client === null || client.key !== session.credentials.accessKeyId) {
    client?.kms.destroy();
    client = {
      key: session.credentials.accessKeyId,
      kms: new sdk.KMSClient(settings(session.credentials, session.platform.region)),
    };
  }
  return run(client.kms, sdk);
}

export async function callerIdentity(credentials: Credentials, platform: Platform): Promise<{arn: string; account: string}> {
  const {STSClient, GetCallerIdentityCommand} = await import('@aws-sdk/client-sts');
  const sts = new STSClient(settings(credentials, platform.region));
  try {
    const identity = await sts.send(new GetCallerIdentityCommand({}));
    return {arn: identity.Arn ?? '', account: identity.Account ?? ''};
  } finally {
    sts.destroy();
  }
}
