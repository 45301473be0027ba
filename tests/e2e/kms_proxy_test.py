#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Unmodified AWS clients in an enclave through casemate-kms-proxy, in production mode, with a key bound to the image:
boto3 (the sample), the AWS CLI and the SDK for JavaScript; and kmstool_enclave_cli beside them."""

import base64
import importlib.util
import json
import os
import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from platform_under_test import BIN, BUILD, IMAGES, SOURCE, Platform

sys.dont_write_bytecode = True
SPEC = importlib.util.spec_from_file_location("image_context", SOURCE / "samples/python-kms/image_context.py")
image_context = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(image_context)

CLI = ("import sys\nsys.argv = ['aws', '--endpoint-url', 'http://127.0.0.1:1', '--region', 'us-east-1', 'kms', 'decrypt', '--ciphertext-blob', 'AAAA']\n"
       "import contextlib, io, os\nos.environ.update(AWS_ACCESS_KEY_ID='a', AWS_SECRET_ACCESS_KEY='b')\nimport awscli.clidriver\n"
       "with contextlib.redirect_stderr(io.StringIO()):\n    awscli.clidriver.main()\n")

# Runs the command line that it is sent and gives back what came of it: one JSON object each way.
COMMAND_SERVER = '''
import json, os, socket, subprocess

server = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
server.bind((socket.VMADDR_CID_ANY, 5001))
server.listen(16)
while True:
    connection, _ = server.accept()
    with connection, connection.makefile("r") as lines:
        request = json.loads(lines.readline())
        done = subprocess.run(request["argv"], input=request.get("stdin", ""), env=dict(os.environ, **request.get("env", {})), capture_output=True, text=True)
        connection.sendall(json.dumps({"status": done.returncode, "out": done.stdout, "err": done.stderr}).encode())
'''

NODE_SERVER = '''
"use strict";
// Node has no AF_VSOCK: it reads base64 from standard input and prints the plaintext.
const { KMSClient, DecryptCommand, GenerateDataKeyCommand, GenerateRandomCommand } = require("@aws-sdk/client-kms");
let text = "";
process.stdin.on("data", (chunk) => (text += chunk)).on("end", async () => {
  const { ciphertext, key } = JSON.parse(text);
  const client = new KMSClient({});
  try {
    const { Plaintext } = await client.send(new DecryptCommand({ CiphertextBlob: Buffer.from(ciphertext, "base64") }));
    const random = await client.send(new GenerateRandomCommand({ NumberOfBytes: 24 }));
    const made = await client.send(new GenerateDataKeyCommand({ KeyId: key, KeySpec: "AES_256" }));
    const again = await client.send(new DecryptCommand({ CiphertextBlob: made.CiphertextBlob }));
    console.log(JSON.stringify({ plaintext: Buffer.from(Plaintext).toString(), random: random.Plaintext.length,
      same: Buffer.from(made.Plaintext).equals(Buffer.from(again.Plaintext)), envelope: made.CiphertextForRecipient === undefined }));
  } catch (error) {
    console.log(JSON.stringify({ name: error.name, message: error.message }));
  }
});
'''


class KmsProxy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.p = Platform()
        cls.addClassCleanup(cls.p.close)
        cls.p.up()
        cls.p.start_proxy()
        cls.p.start(["casemate-credentials-server", "8001"])
        cls.p.wait_for(lambda: (cls.p.run_dir / "vsock" / "3" / "8001").exists(), "the credentials server listens")
        cls.arn = cls.p.aws("sts get-caller-identity --query Arn --output text").out.strip()
        cls.key = cls.admin("kms create-key --query KeyMetadata.KeyId --output text").strip()
        cls.admin(f"kms create-alias --alias-name alias/my-enclave-key --target-key-id {cls.key}")
        # GenerateRandom has no key whose policy could allow it.
        random = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:GenerateRandom", "Resource": "*"}]})
        cls.admin(f"iam put-role-policy --role-name casemate-parent --policy-name random --policy-document '{random}'")
        cls.bind(None)
        shutil.copy(IMAGES / "values.txt", cls.p.work / "values.txt")
        cls.p.ok("data-processing-client --prepare --values values.txt --alias my-enclave-key")
        cls.ciphertext = (cls.p.work / "string.encrypted").read_text().strip()

    @classmethod
    def admin(cls, arguments):
        output = cls.p.aws(arguments, cls.p.admin)
        assert output.status == 0, output
        return output.out

    @classmethod
    def bind(cls, pcr0):
        """Lets the parent encrypt, and decrypt or make data keys only from the enclave with that PCR0."""
        use = {"Effect": "Allow", "Principal": {"AWS": cls.arn}, "Resource": "*", "Action": ["kms:Decrypt", "kms:GenerateDataKey*", "kms:DeriveSharedSecret"]}
        if pcr0:
            use["Condition"] = {"StringEqualsIgnoreCase": {"kms:RecipientAttestation:PCR0": pcr0}}
        policy = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
            {"Effect": "Allow", "Principal": {"AWS": cls.arn}, "Action": ["kms:Encrypt", "kms:DescribeKey"], "Resource": "*"}, use]}
        (cls.p.work / "policy.json").write_text(json.dumps(policy))
        cls.admin(f"kms put-key-policy --key-id {cls.key} --policy-name default --policy file://policy.json")

    def start(self, name, context, port):
        measurements = self.p.build_enclave(self.p.build_with_buildah(context, name), name)
        record = self.p.run_enclave(name)
        self.addCleanup(self.p.sh, f"nitro-cli terminate-enclave --enclave-id {record['EnclaveID']}")
        self.p.wait_for_port(record["EnclaveCID"], port, 120)
        return record["EnclaveCID"], measurements["PCR0"]

    def command_image(self, name, fill):
        context = self.p.work / name
        root = context / "root"
        root.mkdir(parents=True)
        fill(root)
        (root / "server.py").write_text(COMMAND_SERVER)
        image_context.finish(context, root, BIN / "casemate-kms-proxy", ["/usr/bin/python3", "/server.py"])
        return context

    def stub_other_services(self, root):
        """The CLI wants every service to have a model by name, and reads only those that it calls: 100 MB less."""
        for data in image_context.DIST.glob("awscli/**/data"):
            for model in [*data.glob("*/*/service-2.json"), *data.glob("*/*/service-2.json.gz")]:
                stub = root / model.relative_to("/").with_name("service-2.json")
                if stub.parent.parent.name not in image_context.KEPT_SERVICES:
                    stub.parent.mkdir(parents=True, exist_ok=True)
                    stub.write_text("{}")

    def execute(self, cid, argv, stdin="", env=None):
        with self.p.connect(cid, 5001, timeout=120) as sock:
            sock.sendall(json.dumps({"argv": argv, "stdin": stdin, "env": env or {}}).encode() + b"\n")
            reply = b""
            while chunk := sock.recv(65536):
                reply += chunk
            return json.loads(reply)

    def test_the_python_sample(self):
        self.p.ok(f"/usr/bin/python3 {SOURCE}/samples/python-kms/image_context.py {BIN}/casemate-kms-proxy python")
        cid, pcr0 = self.start("python", "python", 5000)
        submit = "data-processing-client --submit --ciphertext string.encrypted --alias my-enclave-key"
        self.bind(pcr0)
        allowed = self.p.sh(submit)
        self.assertEqual(allowed.status, 0, allowed)
        values = (self.p.work / "values.txt").read_text().split()
        self.assertTrue(any(value[-4:] in allowed.out for value in values), allowed)
        self.bind(pcr0[:-1] + ("0" if pcr0[-1] != "0" else "1"))
        denied = self.p.sh(submit)
        self.assertNotEqual(denied.status, 0, denied)
        self.assertIn("AccessDeniedException", denied.text)
        self.assertIn("when calling the Decrypt operation", denied.text)
        self.bind(pcr0)
        self.assertEqual(self.p.sh(submit).status, 0)

    def test_the_aws_cli_and_kmstool(self):
        def fill(root):
            image_context.python_root(root, CLI)
            self.stub_other_services(root)
            shutil.copy("/usr/bin/aws", root / "usr/bin/aws")
            shutil.copy(BIN / "kmstool_enclave_cli", root / "kmstool_enclave_cli")
            image_context.copy_with_libraries(root, ["/usr/bin/env"])

        cid, pcr0 = self.start("cli", self.command_image("cli", fill), 5001)
        aws = ["/usr/bin/python3", "/usr/bin/aws", "--endpoint-url", "http://127.0.0.1:8090", "--region", "us-east-1", "--output", "text", "kms"]
        decrypt = [*aws, "decrypt", "--ciphertext-blob", self.ciphertext, "--query", "Plaintext"]
        plain = self.plaintext()
        wrong = pcr0[:-1] + ("0" if pcr0[-1] != "0" else "1")

        self.bind(pcr0)
        allowed = self.execute(cid, decrypt)
        self.assertEqual((allowed["status"], allowed["out"].strip()), (0, base64.b64encode(plain).decode()), allowed)
        described = self.execute(cid, [*aws, "describe-key", "--key-id", "alias/my-enclave-key", "--query", "KeyMetadata.KeyId"])
        self.assertEqual(described["out"].strip(), self.key, described)
        self.bind(wrong)
        denied = self.execute(cid, decrypt)
        self.assertNotEqual(denied["status"], 0)
        self.assertIn("An error occurred (AccessDeniedException) when calling the Decrypt operation: User: ", denied["err"])

        credentials = self.role_credentials()
        kmstool = ["/kmstool_enclave_cli", "decrypt", "--region", "us-east-1", "--proxy-port", "8000", "--ciphertext", self.ciphertext]
        in_argv = ["--aws-access-key-id", credentials["AccessKeyId"], "--aws-secret-access-key", credentials["SecretAccessKey"],
                   "--aws-session-token", credentials["Token"]]
        line = f"PLAINTEXT: {base64.b64encode(plain).decode()}\n"
        refused = self.execute(cid, [*kmstool, *in_argv])
        self.assertNotEqual(refused["status"], 0)
        self.assertIn("AccessDeniedException", refused["err"])
        self.bind(pcr0)
        self.assertEqual(self.execute(cid, [*kmstool, *in_argv])["out"], line)
        self.assertEqual(self.execute(cid, [*kmstool, "--credentials-fd", "0"], json.dumps(credentials))["out"], line)
        environment = {"AWS_ACCESS_KEY_ID": credentials["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
                       "AWS_SESSION_TOKEN": credentials["Token"]}
        made = self.execute(cid, ["/kmstool_enclave_cli", "genkey", "--key-id", self.key, "--key-spec", "AES-256"], env=environment)
        sealed, opened = (text.split(": ")[1] for text in made["out"].splitlines())
        again = self.execute(cid, ["/kmstool_enclave_cli", "decrypt", "--ciphertext", sealed, "--json"], env=environment)
        self.assertEqual(json.loads(again["out"]), {"PLAINTEXT": opened}, again)
        pair = self.execute(cid, ["/kmstool_enclave_cli", "gendatakeypair", "--key-id", self.key, "--key-spec", "ECC_NIST_P256", "--json"], env=environment)
        self.assertEqual(list(json.loads(pair["out"])), ["CIPHERTEXT", "PLAINTEXT", "PUBLICKEY"], pair)
        agreement = self.admin("kms create-key --key-spec ECC_NIST_P256 --key-usage KEY_AGREEMENT --query KeyMetadata.KeyId --output text").strip()
        shutil.copy(self.p.work / "policy.json", self.p.work / "agreement.json")
        self.admin(f"kms put-key-policy --key-id {agreement} --policy-name default --policy file://agreement.json")
        peer = json.loads(pair["out"])["PUBLICKEY"]
        derived = self.execute(cid, ["/kmstool_enclave_cli", "derivesharedsecret", "--key-id", agreement, "--public-key", peer], env=environment)
        self.assertEqual(len(base64.b64decode(derived["out"].removeprefix("PLAINTEXT: "))), 32, derived)
        write = ["/usr/bin/python3", "-c", "import os, sys; open('/tmp/credentials', 'w', opener=lambda *a: os.open(*a, mode=0o600)).write(sys.stdin.read())"]
        self.assertEqual(self.execute(cid, write, json.dumps(credentials))["status"], 0)
        by_file = ["--region", "us-east-1", "--credentials-file", "/tmp/credentials", "--encryption-context", "purpose=test", "--encryption-context", "a=b=c"]
        sealed = self.execute(cid, ["/kmstool_enclave_cli", "encrypt", "--key-id", self.key, "--plaintext", base64.b64encode(b"sealed inside").decode(), *by_file])
        self.assertEqual(sealed["status"], 0, sealed)
        blob = ["--ciphertext", sealed["out"].strip().removeprefix("CIPHERTEXT: ")]
        opened = self.execute(cid, ["/kmstool_enclave_cli", "decrypt", *blob, *by_file])
        self.assertEqual(opened["out"], f"PLAINTEXT: {base64.b64encode(b'sealed inside').decode()}\n", opened)
        bare = self.execute(cid, ["/kmstool_enclave_cli", "decrypt", *blob, *by_file[:4]])
        self.assertIn("InvalidCiphertextException", bare["err"], bare)
        random = self.execute(cid, ["/kmstool_enclave_cli", "genrandom", "--length", "17"], env=environment)
        self.assertEqual(len(base64.b64decode(random["out"].removeprefix("PLAINTEXT: "))), 17, random)

    def test_credentials_of_the_metadata_service(self):
        """Nothing on the parent but vsock-proxy: its second route leads to the instance's metadata."""
        cid, pcr0 = self.start("metadata", self.command_image("metadata", image_context.python_root), 5001)
        self.bind(pcr0)
        metadata = self.p.parent["AWS_EC2_METADATA_SERVICE_ENDPOINT"].removeprefix("http://").rstrip("/")
        (self.p.work / "routes.yaml").write_text(
            "allowlist:\n- {address: 169.254.169.254, port: 80}\nroutes:\n- {port: 8002, address: 169.254.169.254, remote_port: 80}\n")
        self.p.start(["vsock-proxy", "--config", "routes.yaml", "--resolve", f"169.254.169.254:80:{metadata}"])
        self.p.wait_for(lambda: (self.p.run_dir / "vsock" / "3" / "8002").exists(), "the metadata route listens")
        script = ("import base64, boto3, sys\nkms = boto3.client('kms', endpoint_url='http://127.0.0.1:8091', region_name='us-east-1')\n"
                  "print(kms.decrypt(CiphertextBlob=base64.b64decode(sys.argv[1]))['Plaintext'].decode())\n")
        done = self.execute(cid, ["/casemate-kms-proxy", "--listen", "127.0.0.1:8091", "--credentials", "imds", "--", "/usr/bin/python3", "-c", script, self.ciphertext])
        self.assertEqual((done["status"], done["out"].strip()), (0, self.plaintext().decode()), done)

    def test_the_sdk_for_javascript(self):
        modules = BUILD / "node" / "node_modules"
        if not modules.exists():
            self.fail(f"{modules} is missing: ./test.sh installs it")

        def fill(root):
            image_context.python_root(root, "")
            node = os.path.realpath(shutil.which("node"))
            image_context.copy_with_libraries(root, [node])
            # Debian 13's Node.js reads some of its own modules from files.
            for name in ("acorn", "acorn-walk", "cjs-module-lexer", "minimatch", "undici"):
                folder = pathlib.Path("/usr/share/nodejs") / name
                if folder.is_dir():
                    shutil.copytree(folder, root / folder.relative_to("/"), ignore_dangling_symlinks=True)
            (root / "node").symlink_to(node)
            shutil.copytree(modules, root / "app" / "node_modules", ignore=lambda folder, names: [
                name for name in names if name.endswith((".d.ts", ".map", ".md")) or name in ("dist-es", "dist-types", ".bin")])
            (root / "app" / "client.cjs").write_text(NODE_SERVER)

        cid, pcr0 = self.start("node", self.command_image("node", fill), 5001)
        # Nitro sets no HOME, and Node wants one when there is no /etc/passwd either.
        environment = {"AWS_REGION": "us-east-1", "HOME": "/"}
        request = json.dumps({"ciphertext": self.ciphertext, "key": self.key})
        self.bind(pcr0)
        allowed = self.execute(cid, ["/node", "/app/client.cjs"], request, environment)
        self.assertEqual(allowed["status"], 0, allowed)
        self.assertEqual(json.loads(allowed["out"]), {"plaintext": self.plaintext().decode(), "random": 24, "same": True, "envelope": True}, allowed)
        self.bind(pcr0[:-1] + ("0" if pcr0[-1] != "0" else "1"))
        denied = json.loads(self.execute(cid, ["/node", "/app/client.cjs"], request, environment)["out"])
        self.assertEqual(denied["name"], "AccessDeniedException")

    def plaintext(self):
        self.bind(None)
        text = self.p.aws(f"kms decrypt --ciphertext-blob {self.ciphertext} --query Plaintext --output text").out
        return base64.b64decode(text)

    def role_credentials(self):
        with self.p.connect(3, 8001) as sock:
            reply = b""
            while chunk := sock.recv(65536):
                reply += chunk
        return json.loads(reply)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
