#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The walkthrough, act by act, with AWS's own clients: the AWS CLI, boto3 and the SDK for JavaScript."""

import base64
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import unittest

import boto3
import botocore.exceptions

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from platform_under_test import (BUILD, IMAGES, SOURCE, DockerEngine, Platform, RecordingRelay, find_in_files, find_in_memory)

ALIAS = "alias/my-enclave-key"
SUBMIT = "data-processing-client --submit --ciphertext string.encrypted --alias my-enclave-key"


def flip_last_digit(text):
    return text[:-1] + ("1" if text[-1] == "0" else "0")


class Walkthrough(unittest.TestCase):
    """One platform for all acts, in order; each test is an act and stands on the one before."""

    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.p = Platform()
        cls.stack.callback(cls.p.close)
        try:
            for name in ("values.txt", "key_policy_template.json"):
                shutil.copy(IMAGES / name, cls.p.work / name)
            for name in ("data-processing", "data-processing-modified"):
                shutil.copytree(IMAGES / name, cls.p.work / name)
            cls.p.up()
            cls.relay = RecordingRelay(int(cls.p.parent["AWS_ENDPOINT_URL_KMS"].rsplit(":", 1)[1]))
            cls.stack.callback(cls.relay.close)
        except BaseException:
            cls.stack.close()
            raise
        cls.state = {}

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def setUp(self):
        if self.state.get("failed"):
            self.skipTest(f"stands on {self.state['failed']}, which failed")
        self.state["failed"] = self.id().rsplit(".", 1)[1]

    def passed(self):
        self.state["failed"] = None

    def boto(self, service, env):
        credentials = {}
        if "AWS_ACCESS_KEY_ID" in env:
            credentials = {"aws_access_key_id": env["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": env["AWS_SECRET_ACCESS_KEY"]}
        else:
            role = json.loads(self.p.ok(
                'curl -sf -H "X-aws-ec2-metadata-token: $(curl -sf -X PUT -H \'X-aws-ec2-metadata-token-ttl-seconds: 60\' '
                '$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest/api/token)" '
                '$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest/meta-data/iam/security-credentials/casemate-parent'))
            credentials = {"aws_access_key_id": role["AccessKeyId"], "aws_secret_access_key": role["SecretAccessKey"],
                           "aws_session_token": role["Token"]}
        return boto3.client(service, region_name="us-east-1", endpoint_url=env["AWS_ENDPOINT_URL_KMS"], verify=env["AWS_CA_BUNDLE"], **credentials)

    def admin_kms(self):
        return self.boto("kms", self.p.admin)

    def put_policy(self, condition=None):
        policy = json.loads((self.p.work / "key_policy.json").read_text())
        decrypt = [statement for statement in policy["Statement"] if statement["Action"] == "kms:Decrypt"]
        self.assertEqual(len(decrypt), 1)
        if condition:
            decrypt[0]["Condition"] = condition
        self.admin_kms().put_key_policy(KeyId=self.state["key"], PolicyName="default", Policy=json.dumps(policy))

    def bind(self, register, value, operator="StringEqualsIgnoreCase"):
        self.put_policy({operator: {f"kms:RecipientAttestation:{register}": value}})

    def submit_denied(self):
        output = self.p.sh(SUBMIT)
        self.assertNotEqual(output.status, 0, output)
        self.assertIn("AccessDeniedException", output.text)
        self.assertNotIn(self.state["whole"][12:], output.text)
        self.assertEqual(len(output.err.strip().splitlines()), 1, output)

    def explained(self, cause, presented):
        text = self.p.ok("casemate explain --last", self.p.admin)
        self.assertIn(f"was denied to {self.state['arn']}.\nCause: {cause}\n", text)
        self.assertIn(f"  policy:    {self.state['measurements']['PCR0']}\n  presented: {presented}\n", text)
        self.assertIn("\nWhat to change: ", text)

    def submit_allowed(self):
        output = self.p.sh(SUBMIT)
        self.assertEqual(output.status, 0, output)
        self.assertIn(self.state["whole"][12:], output.out)
        self.assertNotIn(self.state["whole"], output.text)

    def test_act_01_start(self):
        output = self.p.aws("sts get-caller-identity")
        self.assertEqual(output.status, 0, output)
        identity = json.loads(output.out)
        self.assertEqual(identity["Account"], "111122223333")
        self.assertRegex(identity["Arn"], r"^arn:aws:sts::111122223333:assumed-role/casemate-parent/i-[0-9a-f]{17}$")
        self.assertEqual(self.boto("sts", self.p.parent).get_caller_identity()["Arn"], identity["Arn"])
        self.state["arn"] = identity["Arn"]
        self.passed()

    def test_act_02_create_the_key(self):
        kms = self.admin_kms()
        metadata = kms.create_key()["KeyMetadata"]
        self.assertEqual(metadata["KeySpec"], "SYMMETRIC_DEFAULT")
        kms.create_alias(AliasName=ALIAS, TargetKeyId=metadata["KeyId"])
        policy = json.loads(kms.get_key_policy(KeyId=metadata["KeyId"], PolicyName="default")["Policy"])
        self.assertEqual([statement["Sid"] for statement in policy["Statement"]], ["Enable IAM User Permissions"])
        self.assertEqual(policy["Statement"][0]["Principal"], {"AWS": "arn:aws:iam::111122223333:root"})
        self.state["key"] = metadata["KeyId"]
        self.passed()

    def test_act_03_no_access_yet(self):
        output = self.p.aws(f"kms describe-key --key-id {ALIAS}")
        self.assertNotEqual(output.status, 0)
        self.assertIn(f"An error occurred (AccessDeniedException) when calling the DescribeKey operation: User: {self.state['arn']} is not "
                      f"authorized to perform: kms:DescribeKey on resource: arn:aws:kms:us-east-1:111122223333:key/{self.state['key']} because",
                      output.err)
        self.passed()

    def test_act_04_grant_the_parent(self):
        self.p.ok(f"sed -e 's|ACCOUNT_ID|111122223333|g' -e 's|AWS_PRINCIPAL|{self.state['arn']}|g' key_policy_template.json > key_policy.json")
        self.put_policy()
        kms = self.boto("kms", self.p.parent)
        blob = kms.encrypt(KeyId=ALIAS, Plaintext=b"hello")["CiphertextBlob"]
        self.assertEqual(kms.decrypt(CiphertextBlob=blob)["Plaintext"], b"hello")
        self.passed()

    def test_act_05_the_server_is_static_and_knows_no_platform(self):
        server = (self.p.work / "data-processing" / "server").read_bytes()
        headers = subprocess.run(["readelf", "--program-headers", "--wide", self.p.work / "data-processing" / "server"],
                                 capture_output=True, text=True, check=True).stdout
        self.assertNotIn("INTERP", headers)
        for word in (b"CASEMATE_", b"casemated", b"/vsock/peer"):
            self.assertFalse(word in server, word)
        self.passed()

    def test_act_05_build(self):
        uri = self.p.build_with_buildah("data-processing", "data-processing")
        first = self.p.build_enclave(uri, "data-processing")
        again = self.p.build_enclave(uri, "data-processing-again")
        self.assertEqual(first, again)
        self.assertEqual(first["HashAlgorithm"], "Sha384 { ... }")
        self.state["measurements"] = first
        self.passed()

    def test_act_05_build_with_the_docker_engine(self):
        if os.geteuid() != 0:
            self.passed()
            self.skipTest("the Docker engine needs root")
        engine = DockerEngine(self.p.folder)
        try:
            env = dict(self.p.base, DOCKER_HOST=f"unix://{engine.socket}", DOCKER_BUILDKIT="0")
            self.p.ok(f"{engine.CLIENT} build --quiet --tag data-processing:latest data-processing", env)
            text = self.p.ok("nitro-cli build-enclave --docker-uri data-processing:latest --output-file docker.eif", env)
            measurements = json.loads(text)["Measurements"]
            self.assertEqual(measurements["PCR1"], self.state["measurements"]["PCR1"])
            output = self.p.sh("nitro-cli build-enclave --docker-uri no-such-image:latest --output-file none.eif", env)
            self.assertNotEqual(output.status, 0)
            self.assertFalse((self.p.work / "none.eif").exists())
        finally:
            engine.close()
        self.passed()

    def test_act_06_run_in_debug_mode(self):
        port = self.relay.port
        env = dict(self.p.parent, VSOCK_PROXY_RESOLVE=f"kms.us-east-1.amazonaws.com:443:127.0.0.1:{port}")
        self.p.start_proxy(env)
        record = self.p.run_enclave("data-processing", "--debug-mode")
        for name in ("EnclaveName", "EnclaveID", "ProcessID", "EnclaveCID", "NumberOfCPUs", "CPUIDs", "MemoryMiB"):
            self.assertIn(name, record)
        [described] = self.p.describe()
        self.assertEqual(described["EnclaveID"], record["EnclaveID"])
        self.assertEqual(described["State"], "RUNNING")
        self.assertEqual(described["Flags"], "DEBUG_MODE")
        self.p.wait_for_port(record["EnclaveCID"], 5000)
        self.state["enclave"] = record
        self.state["debug_enclave"] = record["EnclaveID"]
        self.passed()

    def console(self):
        return self.p.sh(f"timeout -s INT 2 nitro-cli console --enclave-id {self.state['enclave']['EnclaveID']}").out

    def test_act_07_prepare(self):
        text = self.p.ok("data-processing-client --prepare --values values.txt --alias my-enclave-key")
        encoded = (self.p.work / "string.encrypted").read_text()
        self.assertIn(encoded.strip(), text)
        self.state["blob"] = base64.b64decode(encoded, validate=False)
        plain = self.boto("kms", self.p.parent).decrypt(CiphertextBlob=self.state["blob"])["Plaintext"].decode()
        self.assertIn(plain, (self.p.work / "values.txt").read_text().splitlines())
        self.assertIn(plain[12:], text)
        self.state["whole"] = plain
        self.passed()

    def test_act_08_submit_unprotected(self):
        self.submit_allowed()
        self.assertIn(self.state["whole"], self.console())
        self.passed()

    def test_act_09_bind_the_key_to_the_image(self):
        self.bind("PCR0", self.state["measurements"]["PCR0"])
        self.passed()

    def test_act_10_the_parent_is_locked_out(self):
        kms = self.boto("kms", self.p.parent)
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            kms.decrypt(CiphertextBlob=self.state["blob"])
        self.assertEqual(caught.exception.response["Error"]["Code"], "AccessDeniedException")
        self.explained("the request carried no attestation document.", "(absent)")
        kms.encrypt(KeyId=ALIAS, Plaintext=b"again")
        self.passed()

    def test_act_11_debug_is_locked_out(self):
        self.submit_denied()
        self.submit_denied()
        self.explained("the enclave runs in debug mode: the register is zero.", "0" * 96)
        self.passed()

    def test_act_11_mixed_requests_leave_the_server_serving(self):
        cid = self.state["enclave"]["EnclaveCID"]

        def exchange(data, half=False):
            with self.p.connect(cid, 5000) as sock:
                sock.sendall(data)
                if half:
                    return None
                sock.shutdown(socket.SHUT_WR)
                reply = b""
                while chunk := sock.recv(65536):
                    reply += chunk
                return json.loads(reply)

        for i in range(25):
            self.assertIn("error", exchange(b"garbage"))
            self.assertIn("error", exchange(b'{"region": "us-east-1"'))
            self.assertIn("error", exchange(b'{"a":"' + b"x" * (64 * 1024 - 7) + b'"}'))
            exchange(b'{"access_key_id"', half=True)
            if i % 4 == 0:
                self.submit_denied()
        self.put_policy()
        self.submit_allowed()
        self.bind("PCR0", self.state["measurements"]["PCR0"])
        self.passed()

    def search_for_plaintext(self):
        whole = self.state["whole"].encode()
        needles = [whole, base64.b64encode(whole)]
        guest = set()
        for pid, line in self.p.processes().items():
            if "/server" in line.split(" ", 1)[0]:
                guest.add(pid)
        searched = {}
        for pid, line in self.p.processes().items():
            program = line.split(" ", 1)[0].rsplit("/", 1)[-1]
            if program in ("casemated", "casemate-enclave", "vsock-proxy"):
                searched[program] = find_in_memory(pid, needles)
        self.assertEqual(set(searched), {"casemated", "casemate-enclave", "vsock-proxy"})
        for program, hits in searched.items():
            self.assertEqual(hits, [], f"plaintext in the memory of {program}")
        # The console of act 8's enclave is kept after its end, as it was readable: it ran in debug mode.
        debug_console = self.p.run_dir / "ended" / self.state["debug_enclave"] / "console"
        skip = {self.p.work / "values.txt", debug_console}
        self.assertEqual(find_in_files(self.p.folder, needles, skip=skip), [])

    def test_act_12_production_works(self):
        self.p.terminate_all()
        self.assertEqual(self.p.describe(), [])
        record = self.p.run_enclave("data-processing")
        self.state["enclave"] = record
        self.p.wait_for_port(record["EnclaveCID"], 5000)
        recorded_before = len(self.relay.recorded)
        self.submit_allowed()
        refused = self.p.sh(f"nitro-cli console --enclave-id {record['EnclaveID']}")
        self.assertEqual(refused.status, 44, refused)
        self.assertIn("E44", refused.text)
        relayed = bytes(self.relay.recorded[recorded_before:])
        self.assertGreater(len(relayed), 4000)
        self.assertEqual(relayed[0], 0x16, "a TLS handshake record")
        for needle in (self.state["whole"].encode(), self.state["blob"], base64.b64encode(self.state["blob"])):
            self.assertNotIn(needle, relayed)
        if os.geteuid() == 0:
            self.search_for_plaintext()
        self.passed()

    def test_act_13_a_modified_image_is_locked_out(self):
        uri = self.p.build_with_buildah("data-processing-modified", "data-processing-modified")
        modified = self.p.build_enclave(uri, "data-processing-modified")
        original = self.state["measurements"]
        self.assertNotEqual(modified["PCR0"], original["PCR0"])
        self.assertEqual(modified["PCR1"], original["PCR1"])
        self.assertNotEqual(modified["PCR2"], original["PCR2"])
        self.p.terminate_all()
        record = self.p.run_enclave("data-processing-modified")
        self.p.wait_for_port(record["EnclaveCID"], 5000)
        self.submit_denied()
        self.explained("the enclave runs another image than the policy allows.", modified["PCR0"])
        self.put_policy()
        output = self.p.sh(SUBMIT)
        self.assertIn(self.state["whole"], output.text, "the modified server does return the whole value when it may decrypt")
        self.p.terminate_all()
        self.passed()

    def test_act_14_the_other_registers(self):
        self.p.ok("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -sha384 -days 30 -subj /CN=signer "
                  "-keyout signer.key -out signer.pem 2>/dev/null && openssl x509 -in signer.pem -outform DER -out signer.der")
        signed = self.p.build_enclave("oci-archive:data-processing.tar", "signed", "--signing-certificate signer.pem --private-key signer.key")

        def extend(data):
            return hashlib.sha384(b"\0" * 48 + data).hexdigest()

        self.assertEqual(signed["PCR0"], self.state["measurements"]["PCR0"])
        self.assertEqual(signed["PCR8"], extend(hashlib.sha384((self.p.work / "signer.der").read_bytes()).digest()))
        record = self.p.run_enclave("signed")
        self.p.wait_for_port(record["EnclaveCID"], 5000)
        registers = {
            "PCR0": signed["PCR0"], "PCR1": signed["PCR1"], "PCR2": signed["PCR2"], "PCR8": signed["PCR8"],
            "PCR3": extend(b"arn:aws:iam::111122223333:role/casemate-parent"),
            "PCR4": extend(self.state["arn"].rsplit("/", 1)[1].encode()),
            "ImageSha384": signed["PCR0"],
        }
        for register, value in registers.items():
            with self.subTest(register):
                self.bind(register, value)
                self.submit_allowed()
                self.bind(register, flip_last_digit(value))
                self.submit_denied()
                self.bind(register, value.upper())
                self.submit_allowed()
                self.bind(register, value.upper(), "StringEquals")
                self.submit_denied()
        self.passed()

    def test_act_15_the_sdk_for_javascript_is_a_client_too(self):
        modules = BUILD / "node" / "node_modules"
        if not modules.exists():
            self.fail(f"{modules} is missing: ./test.sh installs it")
        self.put_policy()
        script = self.p.work / "client.mjs"
        script.write_text(f"""
import {{ createRequire }} from "node:module";
const {{ KMSClient, EncryptCommand, DecryptCommand, DescribeKeyCommand }} = createRequire("{BUILD}/node/package.json")("@aws-sdk/client-kms");
const client = new KMSClient({{ region: "us-east-1" }});
const blob = await client.send(new EncryptCommand({{ KeyId: "{ALIAS}", Plaintext: Buffer.from("from JavaScript") }}));
const plain = await client.send(new DecryptCommand({{ CiphertextBlob: blob.CiphertextBlob }}));
console.log(Buffer.from(plain.Plaintext).toString());
try {{
  await client.send(new DescribeKeyCommand({{ KeyId: "alias/none" }}));
}} catch (error) {{
  console.log(error.name);
}}
""")
        env = dict(self.p.parent, NODE_EXTRA_CA_CERTS=self.p.parent["AWS_CA_BUNDLE"])
        lines = self.p.ok("node client.mjs", env).splitlines()
        self.assertEqual(lines[0], "from JavaScript")
        self.assertEqual(lines[1], "NotFoundException")
        self.passed()


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
