// SPDX-License-Identifier: Apache-2.0
// Calls the operations that stdin lists as [name, input, ...], one after the other, and prints what came of each.
"use strict";
const fs = require("node:fs");
const kms = require("@aws-sdk/client-kms");

const BLOBS = new Set(["Plaintext", "CiphertextBlob", "Message", "Signature", "Mac", "EncryptedKeyMaterial", "ImportToken", "PublicKey", "SharedSecretCiphertextBlob"]);

async function main() {
  const client = new kms.KMSClient({ maxAttempts: 1 });
  const answers = [];
  for (const [name, input] of JSON.parse(fs.readFileSync(0, "utf8"))) {
    const given = Object.fromEntries(Object.entries(input).map(([key, value]) => [key, BLOBS.has(key) ? Buffer.from(value, "base64") : value]));
    try {
      await client.send(new kms[`${name}Command`](given));
      answers.push({ name });
    } catch (error) {
      answers.push({ name, error: error.name, message: error.message });
    }
  }
  console.log(JSON.stringify(answers));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
