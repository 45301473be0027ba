// SPDX-License-Identifier: Apache-2.0
// The acts of the walkthrough and how each is seen to have succeeded, out of what the server says.
import type {EnclaveInfo, EventRow} from '../api';
import {isDebug} from './enclave';
import {asList, parsePolicy, principalsOf} from './policy';

export interface Facts {
  keyExists: boolean;
  policy: string;
  enclaves: EnclaveInfo[];
  events: EventRow[];  // newest first
  parentRole: string;  // name of the parent's role
}

export interface Act {
  number: number;
  title: string;
  text: string;
  commands?: string;
  page?: {path: string; label: string};
  done: (facts: Facts) => boolean;
}

function byParent(facts: Facts, event: EventRow): boolean {
  return isParent(facts, event.principal ?? '');
}
// The role itself, or a session of it.
function isParent(facts: Facts, arn: string): boolean {
  return arn.endsWith(`role/${facts.parentRole}`) || arn.includes(`assumed-role/${facts.parentRole}/`);
}
function some(facts: Facts, test: (event: EventRow) => boolean): boolean {
  return facts.events.some(event => byParent(facts, event) && test(event));
}
function registers(policy: string): string[] {
  return (parsePolicy(policy)?.Statement ?? []).flatMap(statement =>
    Object.values(statement.Condition ?? {}).flatMap(keys => Object.keys(keys)))
    .filter(key => key.toLowerCase().startsWith('kms:recipientattestation:'))
    .map(key => key.slice('kms:RecipientAttestation:'.length).toUpperCase());
}

const ALIAS = 'my-enclave-key';
const DECRYPT = `base64 -d string.encrypted > string.encrypted.binary
aws kms decrypt --ciphertext-blob fileb://string.encrypted.binary \\
    --output text --query Plaintext | base64 --decode`;
const SUBMIT = `data-processing-client --submit --ciphertext string.encrypted --alias ${ALIAS}`;

export const ACTS: Act[] = [
  {
    number: 1, title: 'Start',
    text: 'The platform is up and you are signed in. In a terminal of the parent, the real AWS command line answers as its role.',
    commands: 'eval "$(casemate env)"\naws sts get-caller-identity',
    done: facts => some(facts, event => event.name === 'GetCallerIdentity'),
  },
  {
    number: 2, title: 'Create the key',
    text: `Create a symmetric key with the alias ${ALIAS}, without key administrators and key users.`,
    page: {path: 'keys/create', label: 'Create key'},
    done: facts => facts.keyExists,
  },
  {
    number: 3, title: 'No access yet', text: 'The parent has no permission, and KMS says so in its own words.',
    commands: `aws kms describe-key --key-id alias/${ALIAS}`,
    done: facts => some(facts, event => event.name === 'DescribeKey' && event.error === 'AccessDenied'),
  },
  {
    number: 4, title: 'Grant the parent',
    text: "In the key's policy view, add a statement that allows the parent's role to encrypt and decrypt.",
    page: {path: `keys/alias%2F${ALIAS}`, label: 'Open the key'},
    done: facts => (parsePolicy(facts.policy)?.Statement ?? []).some(statement =>
      principalsOf(statement).some(arn => isParent(facts, arn)) &&
      asList(statement.Action).some(action => /^kms:(decrypt|\*)$/i.test(action))),
  },
  {
    number: 5, title: 'Build the image', text: 'Build the enclave image. Building it twice gives the same measurements.',
    commands: 'docker build -t data-processing:latest .\nnitro-cli build-enclave --docker-uri data-processing:latest \\\n    --output-file data-processing.eif',
    done: facts => facts.enclaves.length > 0 || some(facts, event => event.attested === true),
  },
  {
    number: 6, title: 'Run in debug mode', text: 'Run the image with its console open, and watch it on the page of the enclave.',
    commands: 'nitro-cli run-enclave --debug-mode --cpu-count 2 --memory 2148 \\\n    --eif-path ./data-processing.eif',
    page: {path: 'enclaves', label: 'Enclaves'},
    done: facts => facts.enclaves.some(isDebug) || some(facts, event => event.cause === 'DebugEnclave'),
  },
  {
    number: 7, title: 'Prepare a value', text: 'The client encrypts one line of values.txt under the key.',
    commands: `data-processing-client --prepare --values values.txt --alias ${ALIAS}`,
    done: facts => some(facts, event => event.name === 'Encrypt' && event.error === undefined),
  },
  {
    number: 8, title: 'Submit, unprotected',
    text: 'The enclave decrypts the value, and so can the parent: nothing binds the key yet.',
    commands: `${SUBMIT}\n${DECRYPT}`,
    done: facts => some(facts, event => event.name === 'Decrypt' && event.error === undefined && event.attested !== true),
  },
  {
    number: 9, title: 'Bind the key to the image',
    text: "With the attestation condition helper in the policy editor, let only this image decrypt: pick the running enclave and PCR0.",
    page: {path: `keys/alias%2F${ALIAS}`, label: 'Open the key'},
    done: facts => registers(facts.policy).length > 0,
  },
  {
    number: 10, title: 'The parent is locked out', text: 'The same command as in act 8 is denied now. Look at why in Activity.',
    commands: DECRYPT, page: {path: 'activity', label: 'Activity'},
    done: facts => some(facts, event => event.name === 'Decrypt' && event.cause === 'NoDocument'),
  },
  {
    number: 11, title: 'Debug is locked out',
    text: 'Submit to the debug enclave: denied, because PCR0 of an enclave in debug mode is zero.',
    commands: SUBMIT, page: {path: 'activity', label: 'Activity'},
    done: facts => some(facts, event => event.cause === 'DebugEnclave'),
  },
  {
    number: 12, title: 'Production works', text: 'Run the same image without --debug-mode and submit again.',
    commands: `nitro-cli terminate-enclave --all\nnitro-cli run-enclave --cpu-count 2 --memory 2148 --eif-path ./data-processing.eif\n${SUBMIT}`,
    // Allowed after the parent was locked out: events come newest first.
    done: facts => {
      const lockedOut = facts.events.findIndex(event => event.cause === 'NoDocument');
      return registers(facts.policy).length > 0 && facts.events.slice(0, Math.max(0, lockedOut)).some(event =>
        byParent(facts, event) && event.name === 'Decrypt' && event.error === undefined && event.attested === true);
    },
  },
  {
    number: 13, title: 'A modified image is locked out',
    text: 'Change one line of the server, build, run and submit: PCR0 differs, and the trace shows each digit.',
    commands: `nitro-cli build-enclave --docker-uri data-processing-modified:latest \\\n    --output-file data-processing-modified.eif\nnitro-cli run-enclave --cpu-count 2 --memory 2148 \\\n    --eif-path ./data-processing-modified.eif\n${SUBMIT}`,
    page: {path: 'activity', label: 'Activity'},
    done: facts => some(facts, event => event.cause === 'OtherImage'),
  },
  {
    number: 14, title: 'The other registers', text: 'Bind the key to PCR3 (role), PCR4 (instance) or PCR8 (signer) instead.',
    page: {path: `keys/alias%2F${ALIAS}`, label: 'Open the key'},
    done: facts => registers(facts.policy).some(register => register !== 'PCR0') ||
      some(facts, event => ['RoleRegister', 'InstanceRegister', 'SignerRegister', 'OtherRegister'].includes(event.cause ?? '')),
  },
];

// completed gives the numbers of the acts that were seen to succeed. Facts pass (an enclave ends, a policy changes), acts
// stay done: `before` holds those seen earlier.
export function completed(facts: Facts, before: ReadonlySet<number>): Set<number> {
  return new Set([...before, ...ACTS.filter(act => act.done(facts)).map(act => act.number)]);
}
