#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Parent programs that know nothing of casemate, under `casemate exec`: a client in Python that speaks the sample's
protocol over socket.AF_VSOCK, and socat as server and client; and the faults of an enclave as the KMS judges them."""

import json
import pathlib
import shutil
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from platform_under_test import IMAGES, Platform

PYTHON = "/usr/bin/python3"

# What a parent program on EC2 is like: boto3 for the credentials, AF_VSOCK for the enclave.
CLIENT = '''
import boto3, json, socket, sys
cid, ciphertext = int(sys.argv[1]), open(sys.argv[2]).read().strip()
session = boto3.Session(region_name="us-east-1")
key = session.get_credentials().get_frozen_credentials()
with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as enclave:
    enclave.connect((cid, 5000))
    assert enclave.getpeername() == (cid, 5000), enclave.getpeername()
    assert enclave.family == socket.AF_VSOCK
    enclave.sendall(json.dumps({"access_key_id": key.access_key, "secret_access_key": key.secret_key, "token": key.token,
                                "region": "us-east-1", "ciphertext": ciphertext}).encode())
    reply = b""
    while not reply.rstrip().endswith(b"}"):
        data = enclave.recv(4096)
        if not data:
            break
        reply += data
print(json.loads(reply))
'''


def key_and_policy(p):
    key = p.aws("kms create-key --query KeyMetadata.KeyId --output text", p.admin).out.strip()
    assert p.aws(f"kms create-alias --alias-name alias/my-enclave-key --target-key-id {key}", p.admin).status == 0
    arn = p.aws("sts get-caller-identity --query Arn --output text").out.strip()
    p.ok(f"sed -e 's|ACCOUNT_ID|111122223333|g' -e 's|AWS_PRINCIPAL|{arn}|g' key_policy_template.json > key_policy.json")
    put_policy(p, key, json.loads((p.work / "key_policy.json").read_text()))
    return key


def put_policy(p, key, policy):
    (p.work / "policy.json").write_text(json.dumps(policy))
    output = p.aws(f"kms put-key-policy --key-id {key} --policy-name default --policy file://policy.json", p.admin)
    assert output.status == 0, output


class Exec(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.p = p = Platform()
        cls.addClassCleanup(p.close)
        for name in ("values.txt", "key_policy_template.json"):
            shutil.copy(IMAGES / name, p.work / name)
        shutil.copytree(IMAGES / "data-processing", p.work / "data-processing")
        p.up()
        cls.key = key_and_policy(p)
        cls.measurements = p.build_enclave(p.build_with_buildah("data-processing", "data-processing"), "data-processing")
        p.start_proxy()
        p.ok("data-processing-client --prepare --values values.txt --alias my-enclave-key")
        (p.work / "client.py").write_text(CLIENT)
        cls.plain = (p.work / "values.txt").read_text().strip().split()[0]

    def tearDown(self):
        self.p.terminate_all()

    def submit(self, more=""):
        cid = self.p.run_enclave("data-processing", more)["EnclaveCID"]
        self.p.wait_for_port(cid, 5000)
        return self.p.sh(f"casemate exec -- {PYTHON} client.py {cid} string.encrypted")

    def bind_key_to_image(self):
        policy = json.loads((self.p.work / "key_policy.json").read_text())
        for statement in policy["Statement"]:
            if "kms:Decrypt" in statement["Action"]:
                statement["Condition"] = {"StringEqualsIgnoreCase": {"kms:RecipientAttestation:PCR0": self.measurements["PCR0"]}}
        put_policy(self.p, self.key, policy)

    def test_the_walkthrough_with_a_python_client(self):
        output = self.submit()
        self.assertEqual(output.status, 0, output)
        self.assertIn("last_four", output.out)
        cpp = self.p.ok("data-processing-client --submit --ciphertext string.encrypted --alias my-enclave-key")
        self.assertIn(json.loads(output.out.replace("'", '"'))["last_four"], cpp)

    def test_without_exec_the_same_client_reaches_nothing(self):
        cid = self.p.run_enclave("data-processing")["EnclaveCID"]
        self.p.wait_for_port(cid, 5000)
        self.assertNotEqual(self.p.sh(f"{PYTHON} client.py {cid} string.encrypted").status, 0)

    def test_the_kms_refuses_what_faulty_enclaves_attest(self):
        self.bind_key_to_image()
        self.addCleanup(lambda: put_policy(self.p, self.key, json.loads((self.p.work / "key_policy.json").read_text())))
        self.assertIn("last_four", self.submit().out)
        for fault in ("expired-leaf", "wrong-pcr", "bad-signature", "foreign-root"):
            with self.subTest(fault):
                self.p.terminate_all()
                output = self.submit(f"--fault {fault}")
                self.assertNotIn("last_four", output.out, output)
                self.assertIn("error", output.out, output)

    def test_socat_serves_and_calls(self):
        server = self.p.start(["casemate", "exec", "--", "socat", "VSOCK-LISTEN:9201,reuseaddr", "EXEC:/bin/cat"])
        self.p.wait_for(lambda: (self.p.run_dir / "vsock" / "3" / "9201").exists(), "socat listens")
        self.assertEqual(self.p.sh("echo to socat | casemate exec -- socat -t 5 - VSOCK-CONNECT:3:9201").out, "to socat\n")
        self.assertEqual(server.wait(10), 0)

    def test_exit_statuses_are_the_commands(self):
        for command, status in (("sh -c 'exit 7'", 7), ("no-such-program", 127), ("sh -c 'kill -9 $$'", 137), ("/etc/passwd", 126)):
            self.assertEqual(self.p.sh(f"casemate exec -- {command}").status, status, command)
        self.assertEqual(self.p.sh("casemate exec").status, 2)
        nested = self.p.sh("casemate exec -- casemate exec -- true")
        self.assertEqual(nested.status, 125)
        self.assertIn("already in place", nested.err)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
