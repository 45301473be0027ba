# SPDX-License-Identifier: Apache-2.0
"""Identities as people script them: `aws iam` makes a user, a key and a policy, and KMS obeys."""

import json
import unittest

from platform_under_test import Platform

DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["kms:DescribeKey", "kms:Encrypt"], "Resource": "*"}]})
ACCOUNTS = {"accounts": [{"id": "444455556666", "users": [{"name": "guest", "accessKey": True}]}]}


class Identity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.p = Platform()
        cls.addClassCleanup(cls.p.close)
        (cls.p.work / "accounts.json").write_text(json.dumps(ACCOUNTS))
        cls.p.up("--accounts accounts.json")

    def aws(self, arguments, env=None, status=0):
        output = self.p.aws(arguments, env or self.p.admin)
        self.assertEqual(output.status == 0, status == 0, f"aws {arguments}\n{output}")
        return json.loads(output.out) if output.out.strip() and status == 0 else output.text

    def test_users_made_by_aws_iam_are_allowed_and_denied(self):
        p = self.p
        key = self.aws("kms create-key --query KeyMetadata.KeyId")
        self.aws("iam create-user --user-name alice")
        made = self.aws("iam create-access-key --user-name alice")["AccessKey"]
        arn = self.aws(f"iam create-policy --policy-name use --policy-document '{DOCUMENT}'")["Policy"]["Arn"]
        alice = dict(p.admin, AWS_ACCESS_KEY_ID=made["AccessKeyId"], AWS_SECRET_ACCESS_KEY=made["SecretAccessKey"])
        refusal = self.aws(f"kms describe-key --key-id {key}", alice, 254)
        self.assertIn("because no identity-based policy allows the kms:DescribeKey action", refusal)
        self.aws(f"iam attach-user-policy --user-name alice --policy-arn {arn}")
        self.aws(f"kms describe-key --key-id {key}", alice)
        self.aws(f"kms encrypt --key-id {key} --plaintext aGVsbG8=", alice)
        refusal = self.aws(f"kms disable-key --key-id {key}", alice, 254)
        self.assertIn("AccessDenied", refusal)
        said = p.ok("casemate explain --last --denied", p.admin)
        self.assertIn("kms:DisableKey", said)
        self.assertIn("arn:aws:iam::111122223333:user/alice", said)

        # The trace is for those who may read it.
        event = json.loads(p.ok("casemate explain --last --denied --json", p.admin))
        self.assertIn("AccessDenied", self.aws(
            f"sts decode-authorization-message --encoded-message {event['requestID']}", alice, 254))
        decoded = self.aws(f"sts decode-authorization-message --encoded-message {event['requestID']}")
        self.assertEqual(json.loads(decoded["DecodedMessage"])["decision"], "ImplicitlyDenied")

        # Identities and the log outlive the service.
        p.ok("casemate down", p.base)
        p.up()
        self.aws(f"kms describe-key --key-id {key}", dict(p.admin, AWS_ACCESS_KEY_ID=made["AccessKeyId"],
                                                         AWS_SECRET_ACCESS_KEY=made["SecretAccessKey"]))
        self.assertIn("the chain is whole", p.ok("casemate audit verify", p.admin))
        self.assertEqual([user["UserName"] for user in self.aws("iam list-users")["Users"]], ["admin", "alice"])

        guest = p.environment("--as 444455556666-guest")
        self.assertEqual(self.aws("sts get-caller-identity", guest)["Account"], "444455556666")
        self.assertIn("AccessDenied", self.aws(f"kms describe-key --key-id arn:aws:kms:us-east-1:111122223333:key/{key}", guest, 254))

    def test_a_successor_of_the_same_name_is_another(self):
        arn = "arn:aws:iam::111122223333:user/bob"
        key = self.aws("kms create-key --query KeyMetadata.KeyId")

        def make():
            made = self.aws("iam create-user --user-name bob")["User"]["UserId"]
            secret = self.aws("iam create-access-key --user-name bob")["AccessKey"]
            return made, dict(self.p.admin, AWS_ACCESS_KEY_ID=secret["AccessKeyId"], AWS_SECRET_ACCESS_KEY=secret["SecretAccessKey"])

        def put(principal, status=0):
            policy = {"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
                {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "kms:DescribeKey", "Resource": "*"}]}
            return self.aws(f"kms put-key-policy --key-id {key} --policy-name default --policy '{json.dumps(policy)}'", status=status)

        first, bob = make()
        put(first)  # a unique id names it as well
        self.aws(f"kms describe-key --key-id {key}", bob)
        put(arn)
        self.aws(f"kms describe-key --key-id {key}", bob)
        self.aws(f"iam delete-access-key --user-name bob --access-key-id {bob['AWS_ACCESS_KEY_ID']}")
        self.aws("iam delete-user --user-name bob")
        shown = json.loads(self.aws(f"kms get-key-policy --key-id {key} --policy-name default")["Policy"])
        self.assertEqual(shown["Statement"][1]["Principal"], {"AWS": first})
        second, bob = make()
        self.assertNotEqual(second, first)
        self.assertIn("AccessDenied", self.aws(f"kms describe-key --key-id {key}", bob, 254))
        self.assertIn("MalformedPolicyDocument", put(first, 254))  # nobody has that id any more
        put(arn)
        self.aws(f"kms describe-key --key-id {key}", bob)
        self.aws(f"iam delete-access-key --user-name bob --access-key-id {bob['AWS_ACCESS_KEY_ID']}")
        self.aws("iam delete-user --user-name bob")

    def test_generated_policies_are_clean(self):
        zero = "ab" * 48
        self.p.ok("casemate policy generate --principal arn:aws:iam::111122223333:role/casemate-parent "
                  f"--pcr 0={zero} --pcr 8={zero} | casemate policy lint", self.p.admin)


if __name__ == "__main__":
    unittest.main(verbosity=2)
