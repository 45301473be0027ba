// SPDX-License-Identifier: Apache-2.0
// What the cause of a denial means and what to change. The causes are those of the policy engine's traces.

export interface Explained {title: string; meaning: string; change: string}

const CAUSES: Record<string, Explained> = {
  DebugEnclave: {
    title: 'The enclave runs in debug mode: PCR0 is zero',
    meaning: 'An enclave in debug mode presents zeros for PCR0, PCR1 and PCR2, whatever its image.',
    change: 'Run it without --debug-mode, or use another key for debugging.',
  },
  OtherImage: {
    title: 'Another image asks',
    meaning: 'A register of the image differs from the one in the policy: the image was changed or built anew from other parts.',
    change: "If the new image is the one that you trust, put its registers into the policy's condition.",
  },
  RoleRegister: {title: "The parent's role differs (PCR3)", meaning: 'PCR3 measures the ARN of the IAM role of the parent instance.', change: 'Compare the role of the instance with the one that the policy was made for.'},
  InstanceRegister: {title: 'Another instance asks (PCR4)', meaning: 'PCR4 measures the ID of the parent instance.', change: 'Name this instance in the condition, or bind the key to something that outlives an instance.'},
  SignerRegister: {title: 'The image was signed by another certificate (PCR8), or by none', meaning: 'PCR8 measures the certificate that signed the image.', change: 'Sign the image with the expected certificate, or renew the condition after the certificate was renewed.'},
  OtherRegister: {title: 'A register differs', meaning: 'The value that was presented is not the one in the policy.', change: 'Compare both values below.'},
  RegisterCase: {title: 'The values differ only in case', meaning: 'Registers are presented in lower case and the operator minds case.', change: 'Use StringEqualsIgnoreCase, or write the value in lower case.'},
  RegisterUnusable: {title: "The policy's value can equal no register", meaning: 'A register has 96 hexadecimal digits.', change: 'Write the register again, without 0x and in full length.'},
  ExpectsDebugEnclave: {title: 'The policy expects a debug enclave', meaning: "The policy's value is zero, which only an enclave in debug mode presents.", change: 'Put the registers of the image into the condition.'},
  NoDocument: {
    title: 'No attestation document was presented',
    meaning: 'The policy asks for registers, and only an enclave can present them. The parent itself is locked out, as it should be.',
    change: 'Call from within the enclave, with a Recipient. If the parent should be allowed, give it a statement without this condition.',
  },
  RegisterAbsent: {title: 'The document lacks the register', meaning: 'The condition names a register that this enclave does not have.', change: 'Use a register that the enclave presents.'},
  DocumentStale: {title: 'The attestation document is too old', meaning: 'Documents are accepted for some minutes.', change: 'Ask the NSM for a new document for each request, and check the clocks.'},
  DocumentUntrusted: {title: 'The attestation document is not trusted', meaning: 'It was signed under a root that this service does not trust.', change: 'Start casemated with --trust local for enclaves of this platform.'},
  DocumentInvalid: {title: 'The attestation document is not valid', meaning: 'It is malformed, or its signature or chain does not hold.', change: 'Look at it in the attestation inspector.'},
  EncryptionContext: {title: 'The encryption context does not match', meaning: 'The policy or the grant asks for another encryption context.', change: 'Send the encryption context that the policy names.'},
  Condition: {title: 'A condition is not met', meaning: 'The statement would apply but for a condition.', change: 'Compare the expected and the presented value below.'},
  PrincipalNotNamed: {title: 'No statement names this principal', meaning: 'Neither the key policy nor an identity policy speaks of who asked.', change: 'Add the principal to the key policy.'},
  ActionNotListed: {title: 'The action is not allowed', meaning: 'Statements name this principal, but not this action.', change: 'Add the action to the statement.'},
  ResourceNotListed: {title: 'The resource does not match', meaning: 'Statements allow the action, but on other resources.', change: 'Use "*" as Resource in a key policy.'},
  NoIdentityPolicy: {
    title: 'Left to identity policies, and none allows',
    meaning: 'The key policy only enables identity policies of the account, and the principal has none for this action.',
    change: "Name the principal in the key policy, or give it an identity policy.",
  },
  Boundary: {title: 'Beyond the permissions boundary', meaning: 'The permissions boundary of the principal does not allow it.', change: 'Widen the boundary, if that is what you want.'},
  SessionPolicy: {title: 'Beyond the session policy', meaning: 'The session was narrowed when the role was assumed.', change: 'Assume the role without that session policy.'},
  GrantConstraint: {title: 'A grant exists, with another constraint', meaning: "The request's encryption context does not fit the grant.", change: 'Send the encryption context of the grant.'},
  ExplicitDeny: {title: 'Explicitly denied', meaning: 'A Deny statement applies, and Deny always wins.', change: 'Change or remove the Deny statement below.'},
  KeyState: {title: 'The state of the key forbids it', meaning: 'This is no matter of policy.', change: 'Enable the key, or cancel its deletion.'},
};

export function explainCause(cause: string | undefined): Explained {
  return CAUSES[cause ?? ''] ?? {title: 'Denied', meaning: 'See the statements below.', change: ''};
}
