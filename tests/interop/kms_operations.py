#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every operation of KMS through boto3, each answer held against botocore's own model of it; cryptography is checked by
OpenSSL's command. Operations that this botocore does not know go as signed requests.

usage: kms_operations.py BUILD
"""
import base64
import datetime
import json
import os
import subprocess
import sys
import unittest

import boto3
import botocore.session
from botocore.exceptions import ClientError

from casemated_under_test import ACCOUNT, REGION, ROLE, Casemated

BUILD = sys.argv.pop(1) if len(sys.argv) > 1 else "build"
MODEL = botocore.session.get_session().get_service_model("kms")
OTHER_REGION = "eu-west-1"
# Members that the service has gained since the oldest botocore that runs this.
NEWER = {"CurrentKeyMaterialId", "KeyMaterialId", "SourceKeyMaterialId", "DestinationKeyMaterialId", "RotationPeriodInDays", "NextRotationDate",
         "KeyAgreementAlgorithms", "GranteeServicePrincipal", "RetiringServicePrincipal", "CiphertextForRecipient",
         "ImportKeyMaterial.KeyId", "GetKeyPolicy.PolicyName", "GetKeyRotationStatus.KeyId"}
NEWER_ANSWERS = {"DeleteImportedKeyMaterial"}
NEWER_VALUES = {"KEY_AGREEMENT", "ECC_NIST_EDWARDS25519", "ED25519_SHA_512", "ED25519_PH_SHA_512", "DeriveSharedSecret"}
ALL = """CancelKeyDeletion ConnectCustomKeyStore CreateAlias CreateCustomKeyStore CreateGrant CreateKey Decapsulate Decrypt DeleteAlias
DeleteCustomKeyStore DeleteImportedKeyMaterial DeriveSharedSecret DescribeCustomKeyStores DescribeKey DisableKey DisableKeyRotation
DisconnectCustomKeyStore EnableKey EnableKeyRotation Encapsulate Encrypt GenerateDataKey GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext
GenerateDataKeyWithoutPlaintext GenerateMac GenerateRandom GetKeyLastUsage GetKeyPolicy GetKeyRotationStatus GetParametersForImport GetPublicKey
ImportKeyMaterial ListAliases ListGrants ListKeyPolicies ListKeyRotations ListKeys ListResourceTags ListRetirableGrants PutKeyPolicy ReEncrypt
ReplicateKey RetireGrant RevokeGrant RotateKeyOnDemand ScheduleKeyDeletion Sign TagResource UntagResource UpdateAlias UpdateCustomKeyStore
UpdateKeyDescription UpdatePrimaryRegion Verify VerifyMac""".split()


def check(value, shape, path):
    """Yields what in a JSON value does not fit a shape of the model."""
    kinds = {"string": str, "blob": str, "boolean": bool, "integer": int, "list": list, "map": dict, "structure": dict, "timestamp": (int, float)}
    if not isinstance(value, kinds[shape.type_name]) or (shape.type_name == "integer" and isinstance(value, bool)):
        yield f"{path}: {value!r} is no {shape.type_name}"
        return
    if shape.type_name == "structure":
        for name in shape.required_members:
            if name not in value:
                yield f"{path}.{name}: missing"
        for name, member in value.items():
            if name in shape.members:
                yield from check(member, shape.members[name], f"{path}.{name}")
            elif name not in NEWER and f"{path}.{name}" not in NEWER:
                yield f"{path}.{name}: not in the model"
    elif shape.type_name == "list":
        for i, item in enumerate(value):
            yield from check(item, shape.member, f"{path}[{i}]")
    elif shape.type_name == "map":
        for item in value.values():
            yield from check(item, shape.value, path)
    elif shape.type_name in ("string", "blob"):
        length = len(base64.b64decode(value, validate=True)) if shape.type_name == "blob" else len(value)
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max", length)
        if not low <= length <= high:
            yield f"{path}: length {length}, want {low} to {high}"
        if getattr(shape, "enum", None) and value not in shape.enum and value not in NEWER_VALUES:
            yield f"{path}: {value} is none of {shape.enum}"


class Operations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Casemated(BUILD).__enter__().start("--regions", OTHER_REGION)
        cls.addClassCleanup(cls.service.__exit__)
        cls.keys = cls.service.admin_keys()
        cls.kms = cls.service.client("kms", cls.keys)
        cls.seen, cls.misfits = set(), []
        cls.kms.meta.events.register("response-received.kms", cls.received)

    @classmethod
    def received(cls, response_dict, event_name, **_):
        operation_name = event_name.rsplit(".", 1)[1]
        cls.seen.add(operation_name)
        shape = MODEL.operation_model(operation_name).output_shape
        if response_dict["status_code"] != 200:
            return
        body = response_dict["body"]
        if shape is None:
            if body and operation_name not in NEWER_ANSWERS:
                cls.misfits.append(f"{operation_name}: a body of {len(body)} bytes where the model has none")
            return
        cls.misfits += check(json.loads(body), shape, operation_name)

    @classmethod
    def tearDownClass(cls):
        missing = set(ALL) - cls.seen
        assert not missing, f"operations that no test called: {sorted(missing)}"
        assert not cls.misfits, "\n".join(cls.misfits)

    def raw(self, operation, **parameters):
        type(self).seen.add(operation)
        status, body = self.service.call(operation, parameters, self.keys)
        self.assertEqual(status, 200, body)
        return body

    def refused(self, code, call, **parameters):
        with self.assertRaises(ClientError) as caught:
            call(**parameters)
        self.assertEqual(caught.exception.response["Error"]["Code"], code, caught.exception)
        return caught.exception.response["Error"]["Message"]

    def key(self, **parameters):
        return self.kms.create_key(**parameters)["KeyMetadata"]["KeyId"]

    def openssl(self, *arguments, **files):
        paths = {}
        for name, content in files.items():
            paths[name] = self.service.folder / name
            paths[name].write_bytes(content)
        done = subprocess.run(["openssl", *[str(paths.get(a, a)) for a in arguments]], capture_output=True)
        return done.returncode, done.stdout + done.stderr

    def test_keys(self):
        key = self.key(Description="d", Tags=[{"TagKey": "a", "TagValue": "1"}])
        arn = self.kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"]
        self.kms.update_key_description(KeyId=key, Description="other")
        self.assertEqual(self.kms.describe_key(KeyId=key)["KeyMetadata"]["Description"], "other")
        self.kms.tag_resource(KeyId=key, Tags=[{"TagKey": "b", "TagValue": "2"}])
        self.kms.untag_resource(KeyId=key, TagKeys=["a"])
        self.assertEqual(self.kms.list_resource_tags(KeyId=key)["Tags"], [{"TagKey": "b", "TagValue": "2"}])
        self.kms.create_alias(AliasName="alias/ops", TargetKeyId=key)
        self.kms.update_alias(AliasName="alias/ops", TargetKeyId=self.key())
        self.assertEqual(len(self.kms.list_aliases()["Aliases"]), 1)
        self.kms.delete_alias(AliasName="alias/ops")
        text = self.kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
        self.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=text)
        self.assertEqual(self.kms.list_key_policies(KeyId=key)["PolicyNames"], ["default"])
        self.assertIn({"KeyId": key, "KeyArn": arn}, self.kms.list_keys()["Keys"])
        self.kms.disable_key(KeyId=key)
        self.kms.enable_key(KeyId=key)
        self.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        self.kms.cancel_key_deletion(KeyId=key)
        used = self.raw("GetKeyLastUsage", KeyId=key)
        self.assertEqual((used["KeyId"], used["KeyLastUsage"]), (arn, {}))

    def test_encryption(self):
        key, other = self.key(), self.key()
        context = {"a": "1"}
        blob = self.kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=context)["CiphertextBlob"]
        moved = self.kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=context, DestinationKeyId=other)["CiphertextBlob"]
        self.assertEqual(self.kms.decrypt(CiphertextBlob=moved)["Plaintext"], b"x")
        self.assertEqual(len(self.kms.generate_random(NumberOfBytes=7)["Plaintext"]), 7)
        self.assertEqual(len(self.kms.generate_data_key(KeyId=key, KeySpec="AES_128")["Plaintext"]), 16)
        self.kms.generate_data_key_without_plaintext(KeyId=key, KeySpec="AES_256")
        pair = self.kms.generate_data_key_pair(KeyId=key, KeyPairSpec="ECC_NIST_P521")
        self.assertEqual(self.openssl("pkey", "-inform", "DER", "-in", "key", "-pubout", "-outform", "DER", key=pair["PrivateKeyPlaintext"]), (0, pair["PublicKey"]))
        self.kms.generate_data_key_pair_without_plaintext(KeyId=key, KeyPairSpec="ECC_SECG_P256K1")
        self.assertEqual(self.raw("GetKeyLastUsage", KeyId=key)["KeyLastUsage"]["Operation"], "GenerateDataKeyPairWithoutPlaintext")
        self.assertIn("DryRun", self.service.call("Encrypt", {"KeyId": key, "Plaintext": "AA==", "DryRun": True}, self.keys)[1]["message"])

    def test_rsa_encryption_as_openssl_decrypts(self):
        key = self.key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
        public = self.kms.get_public_key(KeyId=key)["PublicKey"]
        for algorithm, digest in (("RSAES_OAEP_SHA_1", "sha1"), ("RSAES_OAEP_SHA_256", "sha256")):
            code, sealed = self.openssl("pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", "public", "-in", "text", "-pkeyopt",
                                        "rsa_padding_mode:oaep", "-pkeyopt", f"rsa_oaep_md:{digest}", public=public, text=b"from openssl")
            self.assertEqual(code, 0, sealed)
            opened = self.kms.decrypt(KeyId=key, CiphertextBlob=sealed, EncryptionAlgorithm=algorithm)
            self.assertEqual(opened["Plaintext"], b"from openssl")

    def test_signatures_as_openssl_verifies(self):
        specs = {"RSA_2048": ("RSASSA_PSS_SHA_256", "sha256"), "ECC_NIST_P256": ("ECDSA_SHA_256", "sha256"), "ECC_NIST_P384": ("ECDSA_SHA_384", "sha384"),
                 "ECC_NIST_P521": ("ECDSA_SHA_512", "sha512"), "ECC_SECG_P256K1": ("ECDSA_SHA_256", "sha256")}
        for spec, (algorithm, digest) in specs.items():
            key = self.key(KeySpec=spec, KeyUsage="SIGN_VERIFY")
            signature = self.kms.sign(KeyId=key, Message=b"message", SigningAlgorithm=algorithm)["Signature"]
            self.assertTrue(self.kms.verify(KeyId=key, Message=b"message", Signature=signature, SigningAlgorithm=algorithm)["SignatureValid"])
            self.refused("KMSInvalidSignatureException", self.kms.verify, KeyId=key, Message=b"other", Signature=signature, SigningAlgorithm=algorithm)
            padding = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"] if spec == "RSA_2048" else []
            code, text = self.openssl("dgst", f"-{digest}", *padding, "-keyform", "DER", "-verify", "public", "-signature", "signature", "message",
                                      public=self.kms.get_public_key(KeyId=key)["PublicKey"], signature=signature, message=b"message")
            self.assertEqual((code, text), (0, b"Verified OK\n"), spec)
        key = self.raw("CreateKey", KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
        signature = self.raw("Sign", KeyId=key, Message="AAAA", SigningAlgorithm="ED25519_SHA_512")["Signature"]
        code, text = self.openssl("pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", "public", "-in", "message", "-sigfile", "signature",
                                  public=base64.b64decode(self.raw("GetPublicKey", KeyId=key)["PublicKey"]), message=b"\0\0\0", signature=base64.b64decode(signature))
        self.assertEqual(code, 0, text)

    def test_macs_and_agreement(self):
        key = self.key(KeySpec="HMAC_384", KeyUsage="GENERATE_VERIFY_MAC")
        mac = self.kms.generate_mac(KeyId=key, Message=b"m", MacAlgorithm="HMAC_SHA_384")["Mac"]
        self.assertTrue(self.kms.verify_mac(KeyId=key, Message=b"m", MacAlgorithm="HMAC_SHA_384", Mac=mac)["MacValid"])
        self.refused("KMSInvalidMacException", self.kms.verify_mac, KeyId=key, Message=b"n", MacAlgorithm="HMAC_SHA_384", Mac=mac)
        key = self.raw("CreateKey", KeySpec="ECC_NIST_P384", KeyUsage="KEY_AGREEMENT")["KeyMetadata"]["KeyId"]
        own = base64.b64decode(self.raw("GetPublicKey", KeyId=key)["PublicKey"])
        _, private = self.openssl("ecparam", "-name", "secp384r1", "-genkey", "-noout")
        _, public = self.openssl("pkey", "-in", "private", "-pubout", "-outform", "DER", private=private)
        secret = self.raw("DeriveSharedSecret", KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=base64.b64encode(public).decode())["SharedSecret"]
        code, derived = self.openssl("pkeyutl", "-derive", "-inkey", "private", "-peerkey", "own", "-peerform", "DER", private=private, own=own)
        self.assertEqual((code, base64.b64encode(derived).decode()), (0, secret))

    def test_grants(self):
        key = self.key()
        made = self.kms.create_grant(KeyId=key, GranteePrincipal=ROLE, RetiringPrincipal=ROLE, Operations=["Encrypt"], Name="n",
                                     Constraints={"EncryptionContextEquals": {"a": "1"}})
        parent = self.service.client("kms", self.service.parent_keys())
        parent.meta.events.register("response-received.kms", self.received)
        parent.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "1"}, GrantTokens=[made["GrantToken"]])
        self.refused("AccessDeniedException", parent.encrypt, KeyId=key, Plaintext=b"x")
        self.assertEqual(self.kms.list_grants(KeyId=key)["Grants"][0]["GrantId"], made["GrantId"])
        self.assertEqual(len(self.kms.list_retirable_grants(RetiringPrincipal=ROLE)["Grants"]), 1)
        parent.retire_grant(GrantToken=made["GrantToken"])
        again = self.kms.create_grant(KeyId=key, GranteePrincipal=ROLE, Operations=["Decrypt"])
        self.kms.revoke_grant(KeyId=key, GrantId=again["GrantId"])
        self.assertEqual(self.kms.list_grants(KeyId=key)["Grants"], [])

    def test_rotation(self):
        key = self.key()
        blob = self.kms.encrypt(KeyId=key, Plaintext=b"old")["CiphertextBlob"]
        self.kms.enable_key_rotation(KeyId=key)
        self.assertTrue(self.kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"])
        self.raw("RotateKeyOnDemand", KeyId=key)
        rotations = self.raw("ListKeyRotations", KeyId=key)["Rotations"]
        self.assertEqual([r["RotationType"] for r in rotations], ["ON_DEMAND"])
        self.assertEqual(self.kms.decrypt(CiphertextBlob=blob)["Plaintext"], b"old")
        self.kms.disable_key_rotation(KeyId=key)

    def test_import(self):
        key = self.key(Origin="EXTERNAL")
        parameters = self.kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
        _, wrapped = self.openssl("pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", "public", "-in", "material", "-pkeyopt",
                                  "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256", public=parameters["PublicKey"], material=os.urandom(32))
        expiry = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
        self.kms.import_key_material(KeyId=key, ImportToken=parameters["ImportToken"], EncryptedKeyMaterial=wrapped, ValidTo=expiry)
        shown = self.kms.describe_key(KeyId=key)["KeyMetadata"]
        self.assertEqual((shown["KeyState"], shown["ExpirationModel"]), ("Enabled", "KEY_MATERIAL_EXPIRES"))
        self.kms.delete_imported_key_material(KeyId=key)
        self.assertEqual(self.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"], "PendingImport")

    def test_regions(self):
        key = self.key(MultiRegion=True)
        blob = self.kms.encrypt(KeyId=key, Plaintext=b"everywhere")["CiphertextBlob"]
        self.kms.replicate_key(KeyId=key, ReplicaRegion=OTHER_REGION)
        other = boto3.client("kms", region_name=OTHER_REGION, endpoint_url=self.service.kms_url, verify=self.service.ca, **self.keys)
        self.assertEqual(other.decrypt(CiphertextBlob=blob)["KeyId"], f"arn:aws:kms:{OTHER_REGION}:{ACCOUNT}:key/{key}")
        self.kms.update_primary_region(KeyId=key, PrimaryRegion=OTHER_REGION)
        self.assertEqual(self.kms.describe_key(KeyId=key)["KeyMetadata"]["MultiRegionConfiguration"]["MultiRegionKeyType"], "REPLICA")

    def test_refusals_by_name(self):
        for call, parameters in ((self.kms.create_custom_key_store, {"CustomKeyStoreName": "n"}), (self.kms.describe_custom_key_stores, {}),
                                 (self.kms.update_custom_key_store, {"CustomKeyStoreId": "i"}), (self.kms.delete_custom_key_store, {"CustomKeyStoreId": "i"}),
                                 (self.kms.connect_custom_key_store, {"CustomKeyStoreId": "i"}), (self.kms.disconnect_custom_key_store, {"CustomKeyStoreId": "i"})):
            self.assertIn("Custom key stores are not supported", self.refused("UnsupportedOperationException", call, **parameters))
        key = self.key()
        for operation, more in (("Encapsulate", {}), ("Decapsulate", {"SharedSecretCiphertextBlob": "AAAA"})):
            type(self).seen.add(operation)
            status, body = self.service.call(operation, {"KeyId": key, "EncapsulationAlgorithm": "ML_KEM", **more}, self.keys)
            self.assertEqual((status, body["__type"]), (400, "UnsupportedOperationException"))


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
