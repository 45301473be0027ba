#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The request and response pairs that AWS publishes with the model of KMS: each request is taken, with the ids of keys that
exist, and its answer has the members of the published one; what it has beyond them is in the model. The files are AWS's
and not kept here: the folder has kms-examples-1.json and kms-service-2.json.

usage: kms_examples.py BUILD FOLDER
"""
import base64
import json
import pathlib
import sys
import unittest

from casemated_under_test import ACCOUNT, ROLE, Casemated
from kms_world import ADMIN, UNSUPPORTED, World, b64

BUILD, FOLDER = (sys.argv.pop(1), pathlib.Path(sys.argv.pop(1))) if len(sys.argv) > 2 else ("build", pathlib.Path("../shared/spec"))
KINDS = {"string": str, "blob": str, "boolean": bool, "integer": int, "timestamp": (int, float), "list": list, "map": dict, "structure": dict}


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.examples = json.loads((FOLDER / "kms-examples-1.json").read_text())["examples"]
        model = json.loads((FOLDER / "kms-service-2.json").read_text())
        cls.shapes, cls.operations = model["shapes"], model["operations"]
        cls.service = Casemated(BUILD).__enter__().start("--regions", "us-west-2")
        cls.addClassCleanup(cls.service.__exit__)

    def encoded(self, shape_name, value):
        """A published value in JSON's form: they write blobs as text."""
        shape = self.shapes[shape_name]
        if shape["type"] == "structure":
            return {name: self.encoded(shape["members"][name]["shape"], item) for name, item in value.items()}
        if shape["type"] == "blob":
            return value if value.startswith("=") else b64(value.encode())
        return value

    def substituted(self, world, operation, example):
        """The input with what exists in the world, and binary data that means something (marked by =)."""
        given = dict(example.get("input") or {})
        key = world.symmetric
        description = json.dumps(example)
        if operation == "CancelKeyDeletion":
            key = world.doomed
        elif operation in ("GetParametersForImport", "ImportKeyMaterial"):
            key = world.empty
        elif operation == "DeleteImportedKeyMaterial":
            key = world.filled
        elif operation == "ReplicateKey":
            key = world.primary
        elif operation == "DescribeKey" and "MultiRegionConfiguration" in description:
            key = world.replicated
        elif operation in ("GenerateMac", "VerifyMac") or (operation == "DescribeKey" and "HMAC" in description):
            key = world.mac
        elif operation == "DescribeKey" and "SigningAlgorithms" in description:
            key = world.signing
        elif operation == "GetPublicKey":
            key = world.rsa
        elif operation in ("EnableKeyRotation", "DisableKeyRotation", "GetKeyRotationStatus"):
            key = world.rotating
        elif operation in ("DisableKey", "EnableKey", "ScheduleKeyDeletion"):
            key = world.switched
        arn = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{key}"
        values = {"KeyId": arn if str(given.get("KeyId", "")).startswith("arn:") else key, "TargetKeyId": key, "DestinationKeyId": world.other,
                  "Plaintext": "=" + b64(b"data"), "CiphertextBlob": "=" + world.blob, "Mac": "=" + world.message_mac, "Signature": "=" + world.signature,
                  "EncryptedKeyMaterial": "=" + world.imported["EncryptedKeyMaterial"], "ImportToken": "=" + world.imported["ImportToken"]}
        if operation == "Verify":
            given["Message"] = "message"
        if str(given.get("KeyId", "")).startswith("alias/"):
            del values["KeyId"]
        if "GrantId" in given:
            grant = world.retired if operation == "RetireGrant" else world.revoked
            values["GrantId"] = grant["GrantId"]
        if "Policy" in given:
            # The example names roles of somebody's account.
            values["Policy"] = world.policy
        if "CloudHsmClusterId" in given:
            # The example's has a digit that the model's own pattern has not.
            values["CloudHsmClusterId"] = "cluster-2a23b4cdefg"
        if "RetiringPrincipal" in given:
            values["RetiringPrincipal"] = ADMIN
        if "GranteePrincipal" in given:
            values["GranteePrincipal"] = ROLE
        given = {name: values.get(name, value) for name, value in given.items()}
        shape = self.operations[operation].get("input", {}).get("shape")
        out = self.encoded(shape, given) if shape else given
        return {name: value[1:] if isinstance(value, str) and value.startswith("=") else value for name, value in out.items()}

    def compare(self, path, shape_name, published, answered):
        """Yields what the answer lacks of the published one, and what it has that the model has not."""
        shape = self.shapes[shape_name]
        kind = shape["type"]
        if not isinstance(answered, KINDS[kind]):
            yield f"{path}: {answered!r} is no {kind}"
        elif kind == "structure":
            for name in answered:
                if name not in shape["members"]:
                    yield f"{path}.{name}: not in the model"
            for name, value in published.items():
                if name not in answered:
                    yield f"{path}.{name}: missing"
                elif name in shape["members"]:
                    yield from self.compare(f"{path}.{name}", shape["members"][name]["shape"], value, answered[name])
        elif kind == "list" and published:
            if not answered:
                yield f"{path}: empty"
            # Items differ in the members that are optional: what any of them has counts.
            if answered and isinstance(answered[0], dict):
                answered = [{name: value for item in answered for name, value in item.items()}]
            for item in answered[:1]:
                yield from self.compare(f"{path}[0]", shape["member"]["shape"], published[0], item)

    def test_every_pair(self):
        wrong, count = [], 0
        world = World(self.service)
        replicated = world.key(MultiRegion=True)
        world.call("ReplicateKey", KeyId=replicated, ReplicaRegion="us-west-2")
        world.replicated = replicated
        world.call("TagResource", KeyId=world.symmetric, Tags=[{"TagKey": "CreatedBy", "TagValue": "ExampleUser"}])
        for operation, examples in sorted(self.examples.items()):
            for example in examples:
                for alias, key in (("alias/ECC_signing_key", world.signing), ("alias/ExampleAlias", world.symmetric)):
                    self.service.call("DeleteAlias", {"AliasName": alias}, world.keys)
                    if operation != "CreateAlias":
                        world.call("CreateAlias", AliasName=alias, TargetKeyId=key)
                count += 1
                status, answer = self.service.call(operation, self.substituted(world, operation, example), world.keys)
                name = f"{operation} {example['id']}"
                if "CustomKeyStore" in operation or "CustomKeyStoreId" in (example.get("input") or {}):
                    if answer.get("__type") != UNSUPPORTED:
                        wrong.append(f"{name}: {answer}")
                    continue
                if status != 200:
                    wrong.append(f"{name}: {status} {answer}")
                    continue
                shape = self.operations[operation].get("output", {}).get("shape")
                if shape:
                    wrong += [f"{name}: {what}" for what in self.compare(operation, shape, example.get("output") or {}, answer)]
                elif answer:
                    wrong.append(f"{name}: {answer}, want no answer")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))
        self.assertGreaterEqual(count, 60)
        print(f"{count} pairs of {len(self.examples)} operations")


if __name__ == "__main__":
    if not (FOLDER / "kms-examples-1.json").exists():
        print(f"skipped: no {FOLDER}/kms-examples-1.json; CASEMATE_SPEC names the folder that has AWS's files")
        sys.exit(77)
    unittest.main(verbosity=2, warnings="ignore")
