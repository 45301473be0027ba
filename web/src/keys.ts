// SPDX-License-Identifier: Apache-2.0
// Keys as the pages need them, out of KMS's own operations.
import type {GrantListEntry, KeyMetadata, ListAliasesCommandOutput, ListGrantsCommandOutput, ListKeysCommandOutput, Tag} from '@aws-sdk/client-kms';
import {kms} from './aws';

export interface KeyRow {
  id: string;
  arn: string;
  aliases: string[];
}

// listKeys reads all ids and all aliases: 10,000 keys are 10 requests and, with an alias each, 100 more.
export async function listKeys(progress?: (count: number) => void): Promise<KeyRow[]> {
  return kms(async (client, sdk) => {
    const rows = new Map<string, KeyRow>();
    let marker: string | undefined;
    do {
      const page: ListKeysCommandOutput = await client.send(new sdk.ListKeysCommand({Limit: 1000, Marker: marker}));
      for (const key of page.Keys ?? []) {
        if (key.KeyId !== undefined) rows.set(key.KeyId, {id: key.KeyId, arn: key.KeyArn ?? '', aliases: []});
      }
      progress?.(rows.size);
      marker = page.Truncated === true ? page.NextMarker : undefined;
    } while (marker !== undefined);
    do {
      const page: ListAliasesCommandOutput = await client.send(new sdk.ListAliasesCommand({Limit: 100, Marker: marker}));
      for (const alias of page.Aliases ?? []) {
        const row = alias.TargetKeyId === undefined ? undefined : rows.get(alias.TargetKeyId);
        if (row !== undefined && alias.AliasName !== undefined) row.aliases.push(alias.AliasName.replace(/^alias\//, ''));
      }
      marker = page.Truncated === true ? page.NextMarker : undefined;
    } while (marker !== undefined);
    return [...rows.values()];
  });
}

export function describeKey(id: string): Promise<KeyMetadata> {
  return kms(async (client, sdk) => {
    const answer = await client.send(new sdk.DescribeKeyCommand({KeyId: id}));
    if (answer.KeyMetadata === undefined) throw new Error('DescribeKey answered without KeyMetadata.');
    return answer.KeyMetadata;
  });
}

export function listAliases(id: string): Promise<string[]> {
  return kms(async (client, sdk) => {
    const aliases: string[] = [];
    let marker: string | undefined;
    do {
      const page: ListAliasesCommandOutput = await client.send(new sdk.ListAliasesCommand({KeyId: id, Limit: 100, Marker: marker}));
      aliases.push(...(page.Aliases ?? []).flatMap(alias => alias.AliasName ?? []));
      marker = page.Truncated === true ? page.NextMarker : undefined;
    } while (marker !== undefined);
    return aliases;
  });
}

export function getPolicy(id: string): Promise<string> {
  return kms(async (client, sdk) =>
    (await client.send(new sdk.GetKeyPolicyCommand({KeyId: id, PolicyName: 'default'}))).Policy ?? '');
}

export function putPolicy(id: string, policy: string, bypass: boolean): Promise<void> {
  return kms(async (client, sdk) => {
    await client.send(new sdk.PutKeyPolicyCommand({
      KeyId: id, PolicyName: 'default', Policy: policy, ...(bypass ? {BypassPolicyLockoutSafetyCheck: true} : {}),
    }));
  });
}

export function listTags(id: string): Promise<Tag[]> {
  return kms(async (client, sdk) => (await client.send(new sdk.ListResourceTagsCommand({KeyId: id, Limit: 50}))).Tags ?? []);
}

export function listGrants(id: string): Promise<GrantListEntry[]> {
  return kms(async (client, sdk) => {
    const grants: GrantListEntry[] = [];
    let marker: string | undefined;
    do {
      const page: ListGrantsCommandOutput = await client.send(new sdk.ListGrantsCommand({KeyId: id, Limit: 100, Marker: marker}));
      grants.push(...(page.Grants ?? []));
      marker = page.Truncated === true ? page.NextMarker : undefined;
    } while (marker !== undefined);
    return grants;
  });
}

export interface Rotation {
  enabled: boolean;
  periodDays?: number;
  next?: Date;
  history: {date?: Date; type?: string}[];
}

export function getRotation(id: string): Promise<Rotation> {
  return kms(async (client, sdk) => {
    const status = await client.send(new sdk.GetKeyRotationStatusCommand({KeyId: id}));
    const rotations = await client.send(new sdk.ListKeyRotationsCommand({KeyId: id, Limit: 100}));
    return {
      enabled: status.KeyRotationEnabled === true,
      periodDays: status.RotationPeriodInDays,
      next: status.NextRotationDate,
      history: (rotations.Rotations ?? []).map(one => ({date: one.RotationDate, type: one.RotationType})),
    };
  });
}

export const STATES: Record<string, {text: string; type: 'success' | 'stopped' | 'warning' | 'pending' | 'info'}> = {
  Enabled: {text: 'Enabled', type: 'success'},
  Disabled: {text: 'Disabled', type: 'stopped'},
  PendingDeletion: {text: 'Pending deletion', type: 'warning'},
  PendingImport: {text: 'Pending import', type: 'pending'},
  Unavailable: {text: 'Unavailable', type: 'warning'},
};

export const USAGES: Record<string, string> = {
  ENCRYPT_DECRYPT: 'Encrypt and decrypt',
  SIGN_VERIFY: 'Sign and verify',
  GENERATE_VERIFY_MAC: 'Generate and verify MAC',
  KEY_AGREEMENT: 'Key agreement',
};
