# SPDX-License-Identifier: Apache-2.0
"""A casemated of its own for one test: temporary folders, free ports, boto3 clients and signed raw requests."""
import base64
import configparser
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import boto3
import botocore.config
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

REGION = "us-east-1"
ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/casemate-parent"

for name in list(os.environ):
    if name.startswith(("AWS_", "CASEMATE_")):
        del os.environ[name]
os.environ.update(AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null", AWS_EC2_METADATA_DISABLED="true")


class Casemated:
    def __init__(self, build):
        self.build = pathlib.Path(build)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="casemated-test-"))
        self.home = self.folder / "home"
        self.run_dir = self.folder / "run"
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder)

    def command(self, *extra, listen="127.0.0.1:0", trust="aws,local"):
        return [str(self.build / "bin/casemated"), "--home", str(self.home), "--run-dir", str(self.run_dir), "--listen", listen,
                "--imds", "127.0.0.1:0", "--trust", trust, *extra]

    def start(self, *extra):
        for name in ("endpoints.json", "casemated.pid"):
            (self.run_dir / name).unlink(missing_ok=True)
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(self.command(*extra), stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not (self.run_dir / "endpoints.json").exists():
            assert self.process.poll() is None and time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.02)
        endpoints = json.loads((self.run_dir / "endpoints.json").read_text())
        self.kms_url, self.imds_url = endpoints["kms"], endpoints.get("imds")
        self.ca = str(self.home / "ca/ca.pem")
        return self

    def refuses_to_start(self, **options):
        """Its one line on standard error."""
        done = subprocess.run(self.command(**options), capture_output=True, text=True, timeout=30)
        assert done.returncode == 1, done
        lines = [line for line in done.stderr.splitlines() if line.startswith("casemated: ")]
        assert len(lines) == 1 and done.stderr.splitlines()[-1] == lines[0], done.stderr
        return lines[0]

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(timeout=20)

    def admin_keys(self):
        file = configparser.ConfigParser()
        file.read(self.home / "credentials")
        return {"aws_access_key_id": file["admin"]["aws_access_key_id"], "aws_secret_access_key": file["admin"]["aws_secret_access_key"]}

    def parent_keys(self):
        """As the SDKs get them: a token, then the role's name, then its credentials."""
        def get(path, method="GET", **headers):
            request = urllib.request.Request(self.imds_url + path, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()})
            return urllib.request.urlopen(request, timeout=10).read().decode()
        token = get("/latest/api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds="60")
        base = "/latest/meta-data/iam/security-credentials/"
        role = get(base, X_aws_ec2_metadata_token=token)
        document = json.loads(get(base + role, X_aws_ec2_metadata_token=token))
        return {"aws_access_key_id": document["AccessKeyId"], "aws_secret_access_key": document["SecretAccessKey"],
                "aws_session_token": document["Token"]}

    def client(self, service, keys, endpoint=None):
        return boto3.client(service, region_name=REGION, endpoint_url=endpoint or self.kms_url, verify=self.ca,
                            config=botocore.config.Config(retries={"max_attempts": 0}), **keys)

    def call(self, operation, parameters, keys):
        """A request that this boto3 is too old to make: (status, body)."""
        request = AWSRequest("POST", self.kms_url + "/", data=json.dumps(parameters).encode(),
                             headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"TrentService.{operation}"})
        SigV4Auth(Credentials(keys["aws_access_key_id"], keys["aws_secret_access_key"], keys.get("aws_session_token")), "kms", REGION).add_auth(request)
        prepared = request.prepare()
        wire = urllib.request.Request(prepared.url, data=prepared.body, headers=dict(prepared.headers), method="POST")
        try:
            with urllib.request.urlopen(wire, context=ssl.create_default_context(cafile=self.ca), timeout=20) as reply:
                return reply.status, json.loads(reply.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def document(self, pcr0, age=0, key=None):
        command = [self.build / "tests/make_document", self.home, pcr0, str(age)] + ([key] if key else [])
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def recipient(self, *arguments, **named):
        return {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": self.document(*arguments, **named)}

    def recipient_key(self):
        """An RSA key of OpenSSL's making: paths of the private key and of its SubjectPublicKeyInfo."""
        private, public = self.folder / "recipient.pem", self.folder / "recipient.der"
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", private], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-outform", "DER", "-out", public], check=True)
        return private, public

    def open_envelope(self, envelope, private):
        blob = self.folder / "envelope"
        blob.write_bytes(base64.b64decode(envelope))
        return subprocess.run(["openssl", "cms", "-decrypt", "-inform", "DER", "-in", blob, "-inkey", private], check=True, capture_output=True).stdout

    def audit_events(self):
        return [json.loads(line) for line in (self.home / "audit.jsonl").read_text().splitlines()]


def signed(service, operation, parameters):
    """The bytes of a whole request, signed by the administrator."""
    request = AWSRequest("POST", service.kms_url + "/", data=json.dumps(parameters).encode(),
                         headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"TrentService.{operation}"})
    keys = service.admin_keys()
    SigV4Auth(Credentials(keys["aws_access_key_id"], keys["aws_secret_access_key"]), "kms", REGION).add_auth(request)
    prepared = request.prepare()
    headers = {"Host": urllib.parse.urlsplit(prepared.url).netloc, **dict(prepared.headers), "Content-Length": str(len(prepared.body))}
    return b"POST / HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()).encode() + b"\r\n" + prepared.body


def policy(*statements):
    everything = {"Sid": "Enable IAM User Permissions", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                  "Action": "kms:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [everything, *statements]})


def allow_parent(*actions, **condition):
    statement = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": list(actions), "Resource": "*"}
    return {**statement, **({"Condition": condition} if condition else {})}
