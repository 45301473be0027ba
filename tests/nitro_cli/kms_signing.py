#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images signed by keys that a KMS keeps: casemated is the service, OpenSSL the judge.
usage: kms_signing.py BUILDDIR [unittest arguments]"""

import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "interop"))
import casemated_under_test as service  # noqa: E402
import eif_build as eif  # noqa: E402

CURVES = {"ECC_NIST_P256": "prime256v1", "ECC_NIST_P384": "secp384r1", "ECC_NIST_P521": "secp521r1"}


class SignsWithKms(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.casemated = service.Casemated(eif.BUILD)
        cls.addClassCleanup(cls.casemated.__exit__)
        cls.casemated.start()
        cls.dir = cls.casemated.folder
        cls.keys = cls.casemated.admin_keys()
        cls.kms = cls.casemated.client("kms", cls.keys)
        blobs = cls.dir / "blobs"
        blobs.mkdir()
        (blobs / "bzImage").write_bytes(b"kernel" * 1000)
        (blobs / "bzImage.config").write_text("#\n#\n# Linux/x86 6.1.192 Kernel Configuration\n")
        (blobs / "cmdline").write_text("console=ttyS0")
        (blobs / "init").write_bytes(b"init")
        eif.write_image(cls.dir / "app", [eif.layer([("run", eif.FILE, b"#!/bin/sh\n", 0o755)])], {"Cmd": ["/run"]})
        cls.env = {"PATH": os.environ["PATH"], "NITRO_CLI_BLOBS": str(blobs), "NITRO_CLI_LOGS_PATH": str(cls.dir / "logs"), "TMPDIR": str(cls.dir),
                   "HOME": str(cls.dir), **cls.environment(cls.keys)}
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", cls.dir / "ca.key", "-out",
                        cls.dir / "ca.pem", "-subj", "/CN=authority", "-days", "2"], check=True, capture_output=True)

    @classmethod
    def environment(cls, keys):
        out = {"AWS_ENDPOINT_URL_KMS": cls.casemated.kms_url, "AWS_CA_BUNDLE": cls.casemated.ca, "AWS_ACCESS_KEY_ID": keys["aws_access_key_id"],
               "AWS_SECRET_ACCESS_KEY": keys["aws_secret_access_key"]}
        if "aws_session_token" in keys:
            out["AWS_SESSION_TOKEN"] = keys["aws_session_token"]
        return out

    def make_key(self, spec, usage="SIGN_VERIFY"):
        """A KMS key, and a certificate of its public half."""
        arn = self.kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["Arn"]
        public = self.dir / f"{spec}.pub"
        public.write_bytes(self.kms.get_public_key(KeyId=arn)["PublicKey"])
        certificate = self.dir / f"{spec}.pem"
        subprocess.run(["openssl", "pkey", "-pubin", "-inform", "DER", "-in", public, "-out", f"{public}.pem"], check=True)
        subprocess.run(["openssl", "x509", "-new", "-subj", f"/CN={spec}", "-force_pubkey", f"{public}.pem", "-CA", self.dir / "ca.pem", "-CAkey",
                        self.dir / "ca.key", "-days", "2", "-out", certificate], check=True, capture_output=True)
        return arn, certificate

    def nitro_cli(self, *arguments, expect=0, env=None):
        done = subprocess.run([eif.NITRO_CLI, *map(str, arguments)], env={**self.env, **(env or {})}, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done

    def build(self, certificate, key, **options):
        path = self.dir / "signed.eif"
        path.unlink(missing_ok=True)
        done = self.nitro_cli("build-enclave", "--docker-uri", f"oci:{self.dir}/app", "--output-file", path, "--signing-certificate", certificate,
                              "--private-key", key, **options)
        return path, done

    def test_builds_and_signs_with_every_curve(self):
        for spec, curve in CURVES.items():
            arn, certificate = self.make_key(spec)
            path, done = self.build(certificate, arn)
            pcr8 = eif.EnclaveImages.check_signature(self, path, certificate, curve)
            self.assertEqual(json.loads(done.stdout)["Measurements"]["PCR8"], pcr8)
            described = json.loads(self.nitro_cli("describe-eif", "--eif-path", path).stdout)
            self.assertTrue(described["SignatureCheck"])
            self.nitro_cli("sign-eif", "--eif-path", path, "--signing-certificate", certificate, "--private-key", arn)
            eif.EnclaveImages.check_signature(self, path, certificate, curve)
            self.nitro_cli("validate-eif", "--eif-path", path)

    def test_refusals(self):
        arn, certificate = self.make_key("ECC_NIST_P384")
        unknown = arn.rsplit("/", 1)[0] + "/00000000-0000-0000-0000-000000000000"
        symmetric = self.kms.create_key()["KeyMetadata"]["Arn"]
        rsa = self.kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        other, _ = self.make_key("ECC_NIST_P256")
        for key, text, env in (
                (unknown, "KMS GetPublicKey: NotFoundException", {}),
                (symmetric, "KMS GetPublicKey: UnsupportedOperationException", {}),
                (rsa, "KMS key", {}),
                (other, "does not belong to the signing certificate", {}),
                (arn, "KMS GetPublicKey: AccessDeniedException", self.environment(self.casemated.parent_keys())),
                (arn, "KMS GetPublicKey: ", {"AWS_SECRET_ACCESS_KEY": "wrong"}),
                (arn, "KMS GetPublicKey: ", {"AWS_ENDPOINT_URL_KMS": "https://127.0.0.1:1"}),
                (arn, "KMS GetPublicKey: ", {"AWS_CA_BUNDLE": str(self.dir / "ca.pem")})):
            path, done = self.build(certificate, key, expect=60, env=env)
            self.assertIn("[ E60 ]", done.stderr)
            self.assertIn(text, done.stderr)
            self.assertFalse(path.exists())

    def test_a_key_that_is_disabled_meanwhile_leaves_nothing(self):
        arn, certificate = self.make_key("ECC_NIST_P256")
        path, _ = self.build(certificate, arn)
        before = path.read_bytes()
        self.kms.disable_key(KeyId=arn)
        done = self.nitro_cli("sign-eif", "--eif-path", path, "--signing-certificate", certificate, "--private-key", arn, expect=60)
        self.assertIn("DisabledException", done.stderr)
        self.assertEqual(path.read_bytes(), before)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
