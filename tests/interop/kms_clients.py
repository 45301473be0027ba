#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""AWS's own clients, unmodified, against casemated: boto3, the AWS CLI and the SDK for JavaScript; OpenSSL opens envelopes.

usage: kms_clients.py BUILD
"""
import base64
import json
import os
import subprocess
import sys
import unittest

from botocore.exceptions import ClientError

from casemated_under_test import ACCOUNT, REGION, Casemated, allow_parent, policy

BUILD = sys.argv.pop(1) if len(sys.argv) > 1 else "build"
PCR0 = "ab" * 48


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Casemated(BUILD).__enter__().start()
        cls.addClassCleanup(cls.service.__exit__)
        cls.admin = cls.service.client("kms", cls.service.admin_keys())
        cls.parent = cls.service.client("kms", cls.service.parent_keys())

    def new_key(self, **parameters):
        return self.admin.create_key(**parameters)["KeyMetadata"]

    def refused(self, code, call, **parameters):
        with self.assertRaises(ClientError) as caught:
            call(**parameters)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 400)
        return caught.exception.response["Error"]["Message"]

    def test_identities(self):
        self.assertEqual(self.service.client("sts", self.service.admin_keys()).get_caller_identity()["Arn"], f"arn:aws:iam::{ACCOUNT}:user/admin")
        parent = self.service.client("sts", self.service.parent_keys()).get_caller_identity()
        self.assertRegex(parent["Arn"], f"^arn:aws:sts::{ACCOUNT}:assumed-role/casemate-parent/i-[0-9a-f]+$")
        wrong = {**self.service.admin_keys(), "aws_secret_access_key": "wrong"}
        with self.assertRaises(ClientError) as caught:
            self.service.client("sts", wrong).get_caller_identity()
        self.assertEqual(caught.exception.response["Error"]["Code"], "SignatureDoesNotMatch")
        self.assertIn("does not match", self.refused("InvalidSignatureException", self.service.client("kms", wrong).list_keys))

    def test_key_life(self):
        key = self.new_key(Description="d\u00e9scription", Tags=[{"TagKey": "team", "TagValue": "blue"}])
        self.assertEqual(key["Description"], "d\u00e9scription")
        self.assertEqual((key["KeyState"], key["KeyUsage"], key["Origin"], key["AWSAccountId"]), ("Enabled", "ENCRYPT_DECRYPT", "AWS_KMS", ACCOUNT))
        arn = key["Arn"]
        self.admin.disable_key(KeyId=key["KeyId"])
        self.assertEqual(self.refused("DisabledException", self.admin.encrypt, KeyId=arn, Plaintext=b"x"), f"{arn} is disabled.")
        self.admin.enable_key(KeyId=arn)
        deletion = self.admin.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
        self.assertEqual(deletion["KeyId"], arn)
        self.assertEqual(self.admin.describe_key(KeyId=arn)["KeyMetadata"]["DeletionDate"], deletion["DeletionDate"])
        self.assertEqual(self.refused("KMSInvalidStateException", self.admin.encrypt, KeyId=arn, Plaintext=b"x"), f"{arn} is pending deletion.")
        self.admin.cancel_key_deletion(KeyId=arn)
        self.assertEqual(self.admin.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"], "Disabled")
        missing = "00000000-0000-4000-8000-000000000000"
        self.assertEqual(self.refused("NotFoundException", self.admin.describe_key, KeyId=missing),
                         f"Key 'arn:aws:kms:{REGION}:{ACCOUNT}:key/{missing}' does not exist")
        self.refused("UnsupportedOperationException", self.admin.create_key, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY", Origin="AWS_CLOUDHSM")
        self.refused("UnsupportedOperationException", self.admin.get_public_key, KeyId=arn)

    def test_aliases_and_pages(self):
        key = self.new_key()["KeyId"]
        for i in range(5):
            self.admin.create_alias(AliasName=f"alias/page-{i}", TargetKeyId=key)
        self.refused("AlreadyExistsException", self.admin.create_alias, AliasName="alias/page-0", TargetKeyId=key)
        pages = list(self.admin.get_paginator("list_aliases").paginate(KeyId=key, PaginationConfig={"PageSize": 2}))
        self.assertEqual([len(page["Aliases"]) for page in pages], [2, 2, 1])
        keys = [k["KeyId"] for page in self.admin.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 1}) for k in page["Keys"]]
        self.assertIn(key, keys)
        self.assertEqual(len(keys), len(set(keys)))
        other = self.new_key()["KeyId"]
        self.admin.update_alias(AliasName="alias/page-0", TargetKeyId=other)
        self.assertEqual(self.admin.describe_key(KeyId="alias/page-0")["KeyMetadata"]["KeyId"], other)
        self.admin.delete_alias(AliasName="alias/page-0")
        self.refused("NotFoundException", self.admin.describe_key, KeyId="alias/page-0")

    def test_cryptography(self):
        key = self.new_key()["Arn"]
        context = {"purpose": "test", "emoji": "\U0001f511"}
        for size in (1, 32, 100, 4096):
            plaintext = os.urandom(size)
            sealed = self.admin.encrypt(KeyId=key, Plaintext=plaintext, EncryptionContext=context)
            self.assertEqual(sealed["KeyId"], key)
            self.assertTrue(base64.b64encode(sealed["CiphertextBlob"]).startswith(b"AQICAH"))
            self.assertEqual(self.admin.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context)["Plaintext"], plaintext)
        self.refused("InvalidCiphertextException", self.admin.decrypt, CiphertextBlob=sealed["CiphertextBlob"])
        self.refused("InvalidCiphertextException", self.admin.decrypt, CiphertextBlob=sealed["CiphertextBlob"][:-1], EncryptionContext=context)
        self.refused("IncorrectKeyException", self.admin.decrypt, CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context, KeyId=self.new_key()["KeyId"])
        data_key = self.admin.generate_data_key(KeyId=key, KeySpec="AES_256")
        self.assertEqual(self.admin.decrypt(CiphertextBlob=data_key["CiphertextBlob"])["Plaintext"], data_key["Plaintext"])
        bare = self.admin.generate_data_key_without_plaintext(KeyId=key, NumberOfBytes=64)
        self.assertNotIn("Plaintext", bare)
        self.assertEqual(len(self.admin.generate_random(NumberOfBytes=1024)["Plaintext"]), 1024)
        moved = self.admin.re_encrypt(CiphertextBlob=data_key["CiphertextBlob"], DestinationKeyId=self.new_key()["KeyId"])
        self.assertEqual(self.admin.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"], data_key["Plaintext"])

    def test_policies(self):
        key = self.new_key()["Arn"]
        denial = self.refused("AccessDeniedException", self.parent.describe_key, KeyId=key)
        self.assertRegex(denial, f"^User: arn:aws:sts::{ACCOUNT}:assumed-role/casemate-parent/i-[0-9a-f]+ is not authorized to perform: "
                                 f"kms:DescribeKey on resource: {key} because no identity-based policy allows the kms:DescribeKey action$")
        text = policy(allow_parent("kms:Encrypt", "kms:Decrypt"))
        self.admin.put_key_policy(KeyId=key, PolicyName="default", Policy=text)
        self.assertEqual(self.admin.get_key_policy(KeyId=key, PolicyName="default")["Policy"], text)
        self.assertEqual(self.admin.list_key_policies(KeyId=key)["PolicyNames"], ["default"])
        blob = self.parent.encrypt(KeyId=key, Plaintext=b"value")["CiphertextBlob"]
        self.assertEqual(self.parent.decrypt(CiphertextBlob=blob)["Plaintext"], b"value")
        bound = policy(allow_parent("kms:Encrypt"), allow_parent("kms:Decrypt", StringEqualsIgnoreCase={"kms:RecipientAttestation:PCR0": PCR0}))
        self.admin.put_key_policy(KeyId=key, PolicyName="default", Policy=bound)
        self.assertIn("kms:Decrypt", self.refused("AccessDeniedException", self.parent.decrypt, CiphertextBlob=blob))
        self.assertTrue(self.parent.encrypt(KeyId=key, Plaintext=b"value"))
        self.assertIn("update the key policy in the future", self.refused(
            "MalformedPolicyDocumentException", self.admin.put_key_policy, KeyId=key, PolicyName="default",
            Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow_parent("kms:*")]})))

    def test_recipient(self):
        key = self.new_key()["Arn"]
        blob = base64.b64encode(self.admin.encrypt(KeyId=key, Plaintext=b"the value")["CiphertextBlob"]).decode()
        self.admin.put_key_policy(KeyId=key, PolicyName="default", Policy=policy(
            allow_parent("kms:Decrypt", "kms:GenerateDataKey", StringEqualsIgnoreCase={"kms:RecipientAttestation:PCR0": PCR0})))
        private, public = self.service.recipient_key()
        parent = self.service.parent_keys()
        status, reply = self.service.call("Decrypt", {"CiphertextBlob": blob, "Recipient": self.service.recipient(PCR0, key=public)}, parent)
        self.assertEqual((status, sorted(reply)), (200, ["CiphertextForRecipient", "EncryptionAlgorithm", "KeyId"]))
        self.assertEqual(self.service.open_envelope(reply["CiphertextForRecipient"], private), b"the value")
        status, reply = self.service.call("GenerateDataKey", {"KeyId": key, "KeySpec": "AES_256", "Recipient": self.service.recipient(PCR0, key=public)}, parent)
        self.assertEqual(status, 200, reply)
        self.assertEqual(self.service.open_envelope(reply["CiphertextForRecipient"], private),
                         self.admin.decrypt(CiphertextBlob=base64.b64decode(reply["CiphertextBlob"]))["Plaintext"])
        for pcr0, age, expected in ((PCR0[:-1] + "c", 0, "AccessDeniedException"), ("00" * 48, 0, "AccessDeniedException"), (PCR0, 400, "ValidationException")):
            status, reply = self.service.call("Decrypt", {"CiphertextBlob": blob, "Recipient": self.service.recipient(pcr0, age, public)}, parent)
            self.assertEqual((status, reply["__type"]), (400, expected))
        event = [e for e in self.service.audit_events() if e["eventName"] == "Decrypt" and "recipient" in e.get("additionalEventData", {})][0]
        self.assertEqual(base64.b64decode(event["additionalEventData"]["recipient"]["attestationDocumentEnclaveImageDigest"]).hex(), PCR0)

    def test_aws_command(self):
        # Debian 12's AWS CLI puts no slash between the endpoint and the path.
        environment = {**{k: v for k, v in os.environ.items() if not k.startswith("AWS_")}, "AWS_CA_BUNDLE": self.service.ca, "AWS_DEFAULT_REGION": REGION,
                       "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.service.imds_url + "/", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
                       "AWS_PAGER": ""}
        admin = {**environment, "AWS_ACCESS_KEY_ID": self.service.admin_keys()["aws_access_key_id"],
                 "AWS_SECRET_ACCESS_KEY": self.service.admin_keys()["aws_secret_access_key"]}

        def aws(*arguments, who=environment):
            return subprocess.run(["/usr/bin/aws", "--endpoint-url", self.service.kms_url, *arguments], env=who, capture_output=True, text=True, timeout=120)

        identity = aws("sts", "get-caller-identity")
        self.assertIn("assumed-role/casemate-parent", identity.stdout, identity.stderr)
        key = json.loads(aws("kms", "create-key", who=admin).stdout)["KeyMetadata"]["KeyId"]
        self.assertEqual(aws("kms", "create-alias", "--alias-name", "alias/cli", "--target-key-id", key, who=admin).stderr, "")
        denied = aws("kms", "describe-key", "--key-id", "alias/cli")
        self.assertIn("An error occurred (AccessDeniedException) when calling the DescribeKey operation: User: arn:aws:sts::", denied.stderr)
        blob = self.service.folder / "blob"
        blob.write_bytes(self.admin.encrypt(KeyId=key, Plaintext=b"from the CLI")["CiphertextBlob"])
        opened = aws("kms", "decrypt", "--ciphertext-blob", f"fileb://{blob}", "--output", "text", "--query", "Plaintext", who=admin)
        self.assertEqual(base64.b64decode(opened.stdout), b"from the CLI")

    def test_javascript_sdk(self):
        modules = self.service.build / "node/node_modules"
        if not modules.exists():
            self.skipTest(f"{modules} is not there")
        private, public = self.service.recipient_key()
        keys = self.service.admin_keys()
        environment = {"PATH": os.environ["PATH"], "NODE_EXTRA_CA_CERTS": self.service.ca, "AWS_REGION": REGION, "NODE_PATH": str(modules),
                       "AWS_ENDPOINT_URL_KMS": self.service.kms_url, "AWS_ACCESS_KEY_ID": keys["aws_access_key_id"],
                       "AWS_SECRET_ACCESS_KEY": keys["aws_secret_access_key"], "RECIPIENT_DOCUMENT": self.service.document(PCR0, key=public)}
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node/kms_client.cjs")
        done = subprocess.run(["node", script], env=environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.service.open_envelope(done.stdout.strip(), private), b"from JavaScript")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
