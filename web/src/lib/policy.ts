// SPDX-License-Identifier: Apache-2.0
// Key policies as the console writes and reads them: the statements of AWS's wizard, and attestation conditions.

export interface Statement {
  Sid?: string;
  Effect: string;
  Principal?: unknown;
  Action?: string | string[];
  Resource?: string | string[];
  Condition?: Record<string, Record<string, string | string[]>>;
  [member: string]: unknown;
}
export interface Policy {Version?: string; Id?: string; Statement: Statement[]}

export const ADMINISTRATOR_ACTIONS = [
  'kms:Create*', 'kms:Describe*', 'kms:Enable*', 'kms:List*', 'kms:Put*', 'kms:Update*', 'kms:Revoke*', 'kms:Disable*',
  'kms:Get*', 'kms:Delete*', 'kms:TagResource', 'kms:UntagResource', 'kms:ScheduleKeyDeletion', 'kms:CancelKeyDeletion',
];
export const USER_ACTIONS = ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'];
const MAC_ACTIONS = ['kms:DescribeKey', 'kms:GenerateMac', 'kms:VerifyMac'];
const SIGN_ACTIONS = ['kms:DescribeKey', 'kms:GetPublicKey', 'kms:Sign', 'kms:Verify'];
const ASYMMETRIC_CRYPT_ACTIONS = ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:DescribeKey', 'kms:GetPublicKey'];

export const SIDS = {
  root: 'Enable IAM User Permissions',
  administrators: 'Allow access for Key Administrators',
  users: 'Allow use of the key',
  grants: 'Allow attachment of persistent resources',
};

function userActions(usage: string, spec: string): string[] {
  if (usage === 'SIGN_VERIFY') return SIGN_ACTIONS;
  if (usage === 'GENERATE_VERIFY_MAC') return MAC_ACTIONS;
  return spec === 'SYMMETRIC_DEFAULT' ? USER_ACTIONS : ASYMMETRIC_CRYPT_ACTIONS;
}

// makePolicy is what AWS's wizard writes for these choices.
export function makePolicy(account: string, administrators: string[], users: string[], allowDeletion: boolean,
                           usage = 'ENCRYPT_DECRYPT', spec = 'SYMMETRIC_DEFAULT'): Policy {
  const statements: Statement[] = [{
    Sid: SIDS.root,
    Effect: 'Allow',
    Principal: {AWS: `arn:aws:iam::${account}:root`},
    Action: 'kms:*',
    Resource: '*',
  }];
  const principal = (arns: string[]) => ({AWS: arns.length === 1 ? arns[0] : arns});
  if (administrators.length > 0) {
    statements.push({
      Sid: SIDS.administrators,
      Effect: 'Allow',
      Principal: principal(administrators),
      Action: ADMINISTRATOR_ACTIONS.filter(action =>
        allowDeletion || (action !== 'kms:ScheduleKeyDeletion' && action !== 'kms:CancelKeyDeletion')),
      Resource: '*',
    });
  }
  if (users.length > 0) {
    statements.push(
      {Sid: SIDS.users, Effect: 'Allow', Principal: principal(users), Action: userActions(usage, spec), Resource: '*'},
      {
        Sid: SIDS.grants,
        Effect: 'Allow',
        Principal: principal(users),
        Action: ['kms:CreateGrant', 'kms:ListGrants', 'kms:RevokeGrant'],
        Resource: '*',
        Condition: {Bool: {'kms:GrantIsForAWSResource': 'true'}},
      },
    );
  }
  return {Version: '2012-10-17', Id: 'key-consolepolicy-3', Statement: statements};
}

export function parsePolicy(text: string): Policy | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return null;
    const statement = (value as {Statement?: unknown}).Statement;
    const list = Array.isArray(statement) ? statement : [statement];
    if (list.some(item => typeof item !== 'object' || item === null)) return null;
    return {...value, Statement: list as Statement[]};
  } catch {
    return null;
  }
}

export function asList(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

export function principalsOf(statement: Statement): string[] {
  if (statement.Principal === '*') return ['*'];
  if (typeof statement.Principal !== 'object' || statement.Principal === null) return [];
  return Object.values(statement.Principal).flatMap(asList);
}

export interface DefaultView {administrators: string[]; users: string[]; allowDeletion: boolean}

// readDefaultView is null for a policy that the wizard did not write, or that was changed since beyond what the default
// view can show.
export function readDefaultView(policy: Policy): DefaultView | null {
  const view: DefaultView = {administrators: [], users: [], allowDeletion: false};
  for (const statement of policy.Statement) {
    if (statement.Effect !== 'Allow') return null;
    switch (statement.Sid) {
      case SIDS.root:
        if (statement.Condition !== undefined) return null;
        break;
      case SIDS.administrators:
        if (statement.Condition !== undefined) return null;
        view.administrators = principalsOf(statement);
        view.allowDeletion = asList(statement.Action).includes('kms:ScheduleKeyDeletion');
        break;
      case SIDS.users:
        if (statement.Condition !== undefined) return null;
        view.users = principalsOf(statement);
        break;
      case SIDS.grants:
        break;
      default:
        return null;
    }
  }
  return view;
}

export interface RegisterChoice {key: string; value: string}

// registerKey is the condition key of a register.
export function registerKey(register: string): string {
  return `kms:RecipientAttestation:${register}`;
}

// statementChoices lists the statements that a condition can be added to, the ones with Decrypt first in mind.
export function attestable(statement: Statement): boolean {
  const attested = ['kms:decrypt', 'kms:generatedatakey', 'kms:generatedatakeypair', 'kms:generaterandom', 'kms:derivesharedsecret'];
  return statement.Effect === 'Allow' && asList(statement.Action).some(action => {
    const pattern = action.toLowerCase().replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.');
    return attested.some(name => new RegExp(`^${pattern}$`).test(name));
  });
}

// addCondition puts register conditions into one statement; values of the same key are replaced, other conditions stay.
export function addCondition(policy: Policy, index: number, choices: RegisterChoice[]): Policy {
  const operator = 'StringEqualsIgnoreCase';
  return {
    ...policy,
    Statement: policy.Statement.map((statement, at) => {
      if (at !== index) return statement;
      const added = Object.fromEntries(choices.map(choice => [choice.key, choice.value]));
      const condition = {...statement.Condition, [operator]: {...statement.Condition?.[operator], ...added}};
      return {...statement, Condition: condition};
    }),
  };
}

// splitAttested takes the attested actions out of a statement that also allows others, so that a register condition on
// them does not also lock Encrypt. Returns the policy and the index of the statement for the condition.
export function splitAttested(policy: Policy, index: number): {policy: Policy; index: number} {
  const statement = policy.Statement[index];
  if (statement === undefined) return {policy, index};
  const actions = asList(statement.Action);
  const attested = actions.filter(action => attestable({Effect: 'Allow', Action: action}) && !action.includes('*'));
  const rest = actions.filter(action => !attested.includes(action));
  if (attested.length === 0 || rest.length === 0) return {policy, index};
  const first = {...statement, Action: rest.length === 1 ? rest[0] : rest};
  const second: Statement = {
    ...statement,
    ...(statement.Sid === undefined ? {} : {Sid: `${statement.Sid} from the enclave`}),
    Action: attested.length === 1 ? attested[0] : attested,
  };
  const list = [...policy.Statement];
  list.splice(index, 1, first, second);
  return {policy: {...policy, Statement: list}, index: index + 1};
}

// canonical is a policy's text for comparison and editing.
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// mergeStatements adds to `mine` the statements that `theirs` has and `base` had not, told by their content.
export function mergeStatements(base: Policy, theirs: Policy, mine: Policy): Policy {
  const known = new Set([...base.Statement, ...mine.Statement].map(statement => JSON.stringify(statement)));
  const added = theirs.Statement.filter(statement => !known.has(JSON.stringify(statement)));
  return {...mine, Statement: [...mine.Statement, ...added]};
}
