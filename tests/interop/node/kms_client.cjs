// SPDX-License-Identifier: Apache-2.0
// AWS's SDK for JavaScript against the service that the environment names. Prints the envelope for the recipient.
"use strict";
const assert = require("node:assert/strict");
const kms = require("@aws-sdk/client-kms");

async function main() {
  const client = new kms.KMSClient({ maxAttempts: 1 });
  const created = await client.send(new kms.CreateKeyCommand({ Description: "from JavaScript" }));
  const KeyId = created.KeyMetadata.KeyId;
  assert.ok(created.KeyMetadata.CreationDate instanceof Date);
  const Plaintext = Buffer.from("from JavaScript");
  const EncryptionContext = { a: "1", b: "2" };
  const sealed = await client.send(new kms.EncryptCommand({ KeyId, Plaintext, EncryptionContext }));
  const opened = await client.send(new kms.DecryptCommand({ CiphertextBlob: sealed.CiphertextBlob, EncryptionContext }));
  assert.deepEqual(Buffer.from(opened.Plaintext), Plaintext);
  await assert.rejects(client.send(new kms.DecryptCommand({ CiphertextBlob: sealed.CiphertextBlob })), kms.InvalidCiphertextException);
  await assert.rejects(client.send(new kms.DescribeKeyCommand({ KeyId: "alias/none" })), kms.NotFoundException);
  await assert.rejects(client.send(new kms.EncryptCommand({ KeyId, Plaintext, DryRun: true })), kms.DryRunOperationException);
  const keys = [];
  for await (const page of kms.paginateListKeys({ client, pageSize: 1 }, {})) keys.push(...page.Keys);
  assert.ok(keys.some((key) => key.KeyId === KeyId));

  const Recipient = { KeyEncryptionAlgorithm: "RSAES_OAEP_SHA_256", AttestationDocument: Buffer.from(process.env.RECIPIENT_DOCUMENT, "base64") };
  const attested = await client.send(new kms.DecryptCommand({ CiphertextBlob: sealed.CiphertextBlob, EncryptionContext, Recipient }));
  assert.equal(attested.Plaintext, undefined);
  console.log(Buffer.from(attested.CiphertextForRecipient).toString("base64"));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
