# SPDX-License-Identifier: Apache-2.0
"""A world in which every operation of KMS can be called once with success, and the calls that do so."""
import base64
import os
import subprocess

from casemated_under_test import ACCOUNT, ROLE

OTHER_REGION = "eu-west-1"
ADMIN = f"arn:aws:iam::{ACCOUNT}:user/admin"
UNSUPPORTED = "UnsupportedOperationException"


def b64(data):
    return base64.b64encode(data).decode()


class World:
    def __init__(self, service):
        self.service = service
        self.keys = service.admin_keys()
        self.symmetric, self.other, self.switched, self.doomed, self.rotating = (self.key() for _ in range(5))
        self.rsa = self.key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
        self.signing = self.key(KeySpec="ECC_NIST_P384", KeyUsage="SIGN_VERIFY")
        self.mac = self.key(KeySpec="HMAC_384", KeyUsage="GENERATE_VERIFY_MAC")
        self.agreement = self.key(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")
        self.peer = self.call("GetPublicKey", KeyId=self.key(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT"))["PublicKey"]
        self.primary = self.key(MultiRegion=True)
        self.empty, self.filled = self.key(Origin="EXTERNAL"), self.key(Origin="EXTERNAL")
        self.call("ImportKeyMaterial", KeyId=self.filled, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE", **self.material(self.filled))
        self.imported = self.material(self.empty)
        self.call("TagResource", KeyId=self.symmetric, Tags=[{"TagKey": "Purpose", "TagValue": "Test"}, {"TagKey": "CostCenter", "TagValue": "87654"}])
        self.call("ScheduleKeyDeletion", KeyId=self.doomed, PendingWindowInDays=7)
        self.blob = self.call("Encrypt", KeyId=self.symmetric, Plaintext=b64(b"data"))["CiphertextBlob"]
        self.message_mac = self.call("GenerateMac", KeyId=self.mac, Message=b64(b"Hello World"), MacAlgorithm="HMAC_SHA_384")["Mac"]
        self.signature = self.call("Sign", KeyId=self.signing, Message=b64(b"message"), SigningAlgorithm="ECDSA_SHA_384")["Signature"]
        self.revoked, self.retired = (self.call("CreateGrant", KeyId=self.symmetric, GranteePrincipal=ROLE, RetiringPrincipal=ADMIN, Operations=["Encrypt"], Name=name)
                                      for name in ("revoked", "retired"))
        self.policy = self.call("GetKeyPolicy", KeyId=self.symmetric, PolicyName="default")["Policy"]

    def call(self, operation, **parameters):
        status, body = self.service.call(operation, parameters, self.keys)
        assert status == 200, (operation, body)
        return body

    def key(self, **parameters):
        return self.call("CreateKey", **parameters)["KeyMetadata"]["KeyId"]

    def material(self, key):
        """Key material wrapped by OpenSSL, and its token."""
        parameters = self.call("GetParametersForImport", KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
        public = self.service.folder / f"public-{key}"
        public.write_bytes(base64.b64decode(parameters["PublicKey"]))
        wrapped = subprocess.run(["openssl", "pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", public, "-pkeyopt", "rsa_padding_mode:oaep",
                                  "-pkeyopt", "rsa_oaep_md:sha256"], input=os.urandom(32), capture_output=True, check=True).stdout
        return {"EncryptedKeyMaterial": b64(wrapped), "ImportToken": parameters["ImportToken"]}

    def every_operation(self):
        """(operation, parameters with blobs in base64, the error that is its answer or None), in an order in which all succeed."""
        s = self.symmetric
        return [
            ("CreateKey", {"Description": "of the client"}, None),
            ("DescribeKey", {"KeyId": s}, None),
            ("ListKeys", {"Limit": 3}, None),
            ("UpdateKeyDescription", {"KeyId": s, "Description": "other"}, None),
            ("CreateAlias", {"AliasName": "alias/client", "TargetKeyId": s}, None),
            ("UpdateAlias", {"AliasName": "alias/client", "TargetKeyId": self.other}, None),
            ("ListAliases", {"KeyId": self.other}, None),
            ("DeleteAlias", {"AliasName": "alias/client"}, None),
            ("TagResource", {"KeyId": s, "Tags": [{"TagKey": "k", "TagValue": "v"}]}, None),
            ("ListResourceTags", {"KeyId": s}, None),
            ("UntagResource", {"KeyId": s, "TagKeys": ["k"]}, None),
            ("DisableKey", {"KeyId": self.switched}, None),
            ("EnableKey", {"KeyId": self.switched}, None),
            ("ScheduleKeyDeletion", {"KeyId": self.switched, "PendingWindowInDays": 7}, None),
            ("CancelKeyDeletion", {"KeyId": self.doomed}, None),
            ("ListKeyPolicies", {"KeyId": s}, None),
            ("GetKeyPolicy", {"KeyId": s, "PolicyName": "default"}, None),
            ("PutKeyPolicy", {"KeyId": s, "PolicyName": "default", "Policy": self.policy}, None),
            ("Encrypt", {"KeyId": s, "Plaintext": b64(b"client"), "EncryptionContext": {"a": "1"}}, None),
            ("Decrypt", {"CiphertextBlob": self.blob}, None),
            ("ReEncrypt", {"CiphertextBlob": self.blob, "DestinationKeyId": self.other}, None),
            ("GenerateDataKey", {"KeyId": s, "KeySpec": "AES_256"}, None),
            ("GenerateDataKeyWithoutPlaintext", {"KeyId": s, "NumberOfBytes": 64}, None),
            ("GenerateDataKeyPair", {"KeyId": s, "KeyPairSpec": "ECC_NIST_P256"}, None),
            ("GenerateDataKeyPairWithoutPlaintext", {"KeyId": s, "KeyPairSpec": "ECC_NIST_P256"}, None),
            ("GenerateRandom", {"NumberOfBytes": 32}, None),
            ("GetPublicKey", {"KeyId": self.rsa}, None),
            ("Sign", {"KeyId": self.signing, "Message": b64(b"message"), "SigningAlgorithm": "ECDSA_SHA_384"}, None),
            ("Verify", {"KeyId": self.signing, "Message": b64(b"message"), "Signature": self.signature, "SigningAlgorithm": "ECDSA_SHA_384"}, None),
            ("GenerateMac", {"KeyId": self.mac, "Message": b64(b"Hello World"), "MacAlgorithm": "HMAC_SHA_384"}, None),
            ("VerifyMac", {"KeyId": self.mac, "Message": b64(b"Hello World"), "Mac": self.message_mac, "MacAlgorithm": "HMAC_SHA_384"}, None),
            ("DeriveSharedSecret", {"KeyId": self.agreement, "KeyAgreementAlgorithm": "ECDH", "PublicKey": self.peer}, None),
            ("CreateGrant", {"KeyId": s, "GranteePrincipal": ROLE, "Operations": ["Decrypt"]}, None),
            ("ListGrants", {"KeyId": s}, None),
            ("ListRetirableGrants", {"RetiringPrincipal": ADMIN}, None),
            ("RetireGrant", {"GrantToken": self.retired["GrantToken"]}, None),
            ("RevokeGrant", {"KeyId": s, "GrantId": self.revoked["GrantId"]}, None),
            ("EnableKeyRotation", {"KeyId": self.rotating}, None),
            ("GetKeyRotationStatus", {"KeyId": self.rotating}, None),
            ("RotateKeyOnDemand", {"KeyId": self.rotating}, None),
            ("ListKeyRotations", {"KeyId": self.rotating}, None),
            ("DisableKeyRotation", {"KeyId": self.rotating}, None),
            ("GetParametersForImport", {"KeyId": self.filled, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}, None),
            ("ImportKeyMaterial", {"KeyId": self.empty, "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", **self.imported}, None),
            ("DeleteImportedKeyMaterial", {"KeyId": self.filled}, None),
            ("ReplicateKey", {"KeyId": self.primary, "ReplicaRegion": OTHER_REGION}, None),
            ("UpdatePrimaryRegion", {"KeyId": self.primary, "PrimaryRegion": OTHER_REGION}, None),
            ("GetKeyLastUsage", {"KeyId": s}, None),
            ("CreateCustomKeyStore", {"CustomKeyStoreName": "n"}, UNSUPPORTED),
            ("DescribeCustomKeyStores", {}, UNSUPPORTED),
            ("UpdateCustomKeyStore", {"CustomKeyStoreId": "i"}, UNSUPPORTED),
            ("ConnectCustomKeyStore", {"CustomKeyStoreId": "i"}, UNSUPPORTED),
            ("DisconnectCustomKeyStore", {"CustomKeyStoreId": "i"}, UNSUPPORTED),
            ("DeleteCustomKeyStore", {"CustomKeyStoreId": "i"}, UNSUPPORTED),
            ("Encapsulate", {"KeyId": s, "EncapsulationAlgorithm": "ML_KEM"}, UNSUPPORTED),
            ("Decapsulate", {"KeyId": s, "EncapsulationAlgorithm": "ML_KEM", "SharedSecretCiphertextBlob": "AAAA"}, UNSUPPORTED),
        ]
