#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""casemated as a process: files, restarts, refusals to start, what stays in its memory and what it writes.

usage: kms_service.py BUILD
"""
import base64
import concurrent.futures
import hashlib
import json
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
import unittest
import urllib.request

from botocore.exceptions import ClientError

from casemated_under_test import ACCOUNT, Casemated, allow_parent, policy, signed

BUILD = sys.argv.pop(1) if len(sys.argv) > 1 else "build"
PCR0 = "ab" * 48


def memory_of(pid):
    """Every readable byte of a process."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if not match or line.rstrip().endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            start, end = (int(value, 16) for value in match.groups())
            try:
                memory.seek(start)
                yield line.rstrip(), memory.read(end - start)
            except OSError:
                continue


def forms_of(secret):
    """The secret as it is and in base64, at each of the three alignments."""
    forms = {"raw": secret}
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + secret)
        forms[f"base64+{shift}"] = text[4 if shift else 0:len(text) - 4]
    return forms


class Service(unittest.TestCase):
    def setUp(self):
        self.service = Casemated(BUILD)
        self.addCleanup(self.service.__exit__)

    def admin(self):
        return self.service.client("kms", self.service.admin_keys())

    def assertModes(self, **modes):
        for name, mode in modes.items():
            path = self.service.home / name.replace("__", "/").replace("_", ".")
            self.assertEqual(path.stat().st_mode & 0o777, mode, path)

    def test_files_are_the_owners_only(self):
        self.service.start()
        self.admin().create_key()
        self.assertEqual(self.service.home.stat().st_mode & 0o777, 0o700)
        self.assertModes(root_key=0o600, kms_db=0o600, credentials=0o600, audit_jsonl=0o600, ca__ca_key=0o600, ca__server_key=0o600, ca__ca_pem=0o644)
        self.assertEqual(self.service.stop(), 0)
        self.assertEqual(sorted(os.listdir(self.service.run_dir)), [])

    def test_keys_and_sessions_outlive_a_kill(self):
        self.service.start()
        parent = self.service.parent_keys()
        key = self.admin().create_key()["KeyMetadata"]["KeyId"]
        self.admin().create_alias(AliasName="alias/kept", TargetKeyId=key)
        blob = self.admin().encrypt(KeyId="alias/kept", Plaintext=b"kept")["CiphertextBlob"]
        self.service.stop(signal.SIGKILL)
        self.service.start()
        self.assertEqual(self.admin().decrypt(CiphertextBlob=blob)["Plaintext"], b"kept")
        self.assertEqual(self.admin().describe_key(KeyId="alias/kept")["KeyMetadata"]["KeyId"], key)
        self.assertIn("casemate-parent", self.service.client("sts", parent).get_caller_identity()["Arn"])

    def test_acknowledged_writes_survive_kills_in_the_middle(self):
        self.service.start()
        acknowledged = []
        for _ in range(5):
            client = self.admin()

            def create(_):
                try:
                    acknowledged.append(client.create_key()["KeyMetadata"]["KeyId"])
                except Exception:  # the service is being killed
                    pass

            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                work = [pool.submit(create, i) for i in range(200)]
                target = len(acknowledged) + 10
                while len(acknowledged) < target:
                    time.sleep(0.002)
                self.service.stop(signal.SIGKILL)
                for item in work:
                    item.cancel()
            self.service.start()
        kept = {k["KeyId"] for page in self.admin().get_paginator("list_keys").paginate() for k in page["Keys"]}
        self.assertLessEqual(set(acknowledged), kept)
        for key in kept:
            self.assertTrue(self.admin().encrypt(KeyId=key, Plaintext=b"x"))

    def test_no_answer_leaves_without_its_event(self):
        """Many connections pipeline quick calls, whose events are written together, until the process is killed."""
        self.service.start()
        request = signed(self.service, "GenerateRandom", {"NumberOfBytes": 8})
        address = ("127.0.0.1", int(self.service.kms_url.rsplit(":", 1)[1]))
        context = ssl.create_default_context(cafile=self.service.ca)

        def converse(_):
            answers = b""
            try:
                with context.wrap_socket(socket.create_connection(address, timeout=20), server_hostname="localhost") as connection:
                    while True:
                        connection.sendall(request * 5)
                        for _ in range(5):
                            answers += connection.recv(65536)
            except OSError:
                return answers

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            talks = [pool.submit(converse, i) for i in range(16)]
            time.sleep(1)
            self.service.stop(signal.SIGKILL)
            answered = [match.decode() for talk in talks for match in re.findall(rb"x-amzn-RequestId: ([0-9a-f-]{36})\r\n", talk.result())]
        self.assertGreater(len(answered), 100)
        self.assertEqual(len(set(answered)), len(answered))
        self.service.start()
        recorded = {event.get("requestID") for event in self.service.audit_events()}
        self.assertEqual(set(answered) - recorded, set())

    def test_refuses_what_it_cannot_trust_and_changes_nothing(self):
        self.service.start()
        self.admin().create_key()
        self.service.stop(signal.SIGKILL)
        home = self.service.home
        root, database = (home / "root.key").read_bytes(), (home / "kms.db").read_bytes()
        log = (home / "kms.db-wal").read_bytes()
        self.assertTrue(log)

        (home / "root.key").write_text(secrets.token_hex(32) + "\n")
        self.assertIn("kms.db: made with another root key", self.service.refuses_to_start())
        (home / "root.key").unlink()
        self.assertIn("root.key: missing, while", self.service.refuses_to_start())
        self.assertFalse((home / "root.key").exists())
        (home / "root.key").write_bytes(root)
        (home / "root.key").chmod(0o644)
        self.assertIn("root.key", self.service.refuses_to_start())
        (home / "root.key").chmod(0o600)
        self.assertEqual(((home / "kms.db").read_bytes(), (home / "kms.db-wal").read_bytes()), (database, log))

        self.service.start()
        self.assertEqual(self.service.stop(), 0)
        whole = (home / "kms.db").read_bytes()
        damaged = whole[:4096] + b"\x5a" * 4096 + whole[8192:]
        (home / "kms.db").write_bytes(damaged)
        self.assertIn("kms.db: ", self.service.refuses_to_start())
        self.assertEqual((home / "kms.db").read_bytes(), damaged)
        (home / "kms.db").write_bytes(whole)
        self.service.start()
        self.assertEqual(len(self.admin().list_keys()["Keys"]), 1)

    def test_refuses_a_taken_port_and_a_taken_home(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.assertIn("address in use", self.service.refuses_to_start(listen=f"127.0.0.1:{taken.getsockname()[1]}"))
        self.assertEqual(os.listdir(self.service.run_dir), [])
        self.service.start()
        self.assertIn("in use by another casemated", self.service.refuses_to_start())

    def test_usage(self):
        for arguments in (["--nope"], ["--listen", "x:y"], ["--services", "s3"], ["--account", "1"]):
            done = subprocess.run([self.service.build / "bin/casemated", *arguments], capture_output=True, text=True, timeout=30)
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1), done)
        self.assertIn("nobody", self.service.refuses_to_start(trust="nobody"))

    def test_serves_what_it_is_told_to(self):
        self.service.start("--services", "kms")
        context = ssl.create_default_context(cafile=self.service.ca)
        self.assertEqual(urllib.request.urlopen(self.service.kms_url + "/healthz", context=context).read(), b"ok\n")
        self.assertEqual(json.loads((self.service.run_dir / "endpoints.json").read_text()).keys(), {"kms"})
        self.assertEqual(self.admin().list_keys()["Keys"], [])
        with self.assertRaises(Exception):  # botocore's parser has errors of no common kind
            self.service.client("sts", self.service.admin_keys()).get_caller_identity()

    def test_certificate_has_the_names_of_aws(self):
        self.service.start()
        port = int(self.service.kms_url.rsplit(":", 1)[1])
        context = ssl.create_default_context(cafile=self.service.ca)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        for name in ("localhost", "127.0.0.1", "kms.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com", "sts.amazonaws.com"):
            with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain, server_hostname=name) as tls:
                self.assertEqual(tls.version(), "TLSv1.3")
        with socket.create_connection(("127.0.0.1", port)) as plain, self.assertRaises(ssl.SSLCertVerificationError):
            context.wrap_socket(plain, server_hostname="s3.amazonaws.com")

    def test_audit_log_is_a_chain_without_secrets(self):
        self.service.start()
        plaintext = secrets.token_hex(24).encode()
        key = self.admin().create_key()["KeyMetadata"]["KeyId"]
        blob = self.admin().encrypt(KeyId=key, Plaintext=plaintext)["CiphertextBlob"]
        self.admin().decrypt(CiphertextBlob=blob)
        with self.assertRaises(ClientError):
            self.service.client("kms", self.service.parent_keys()).decrypt(CiphertextBlob=blob)
        self.service.client("sts", self.service.admin_keys()).get_caller_identity()
        text = (self.service.home / "audit.jsonl").read_text()
        previous = "0" * 64
        for line in text.splitlines():
            event = json.loads(line)
            digest = event["casemate"]["hash"]
            self.assertEqual(event["casemate"]["previous"], previous)
            sealed, tail = line.rsplit('","hash":"', 1)
            self.assertEqual(tail, digest + '"}}')
            self.assertEqual(hashlib.sha256(sealed.encode()).hexdigest(), digest)
            previous = digest
        events = self.service.audit_events()
        self.assertEqual([e["eventName"] for e in events], ["CreateKey", "Encrypt", "Decrypt", "Decrypt", "GetCallerIdentity"])
        self.assertEqual(events[3]["errorCode"], "AccessDenied")
        decision = events[3]["additionalEventData"]["casemate"]["decision"]
        self.assertTrue(decision["cause"])
        self.assertEqual(events[0]["userIdentity"]["arn"], f"arn:aws:iam::{ACCOUNT}:user/admin")
        for form in forms_of(plaintext).values():
            self.assertNotIn(form.decode(), text)

    @unittest.skipUnless(os.geteuid() == 0, "only root may read the memory of an undumpable process")
    def test_plaintext_does_not_stay_in_memory(self):
        self.service.start("--threads", "4")
        key = self.admin().create_key()["KeyMetadata"]["KeyId"]
        self.admin().put_key_policy(KeyId=key, PolicyName="default", Policy=policy(allow_parent("kms:Decrypt")))
        private, public = self.service.recipient_key()
        secrets_used = []
        clients = [self.admin() for _ in range(4)]  # whose connections stay open
        for i in range(12):
            plaintext = secrets.token_bytes((16, 48, 300, 4000)[i % 4])
            blob = clients[i % 4].encrypt(KeyId=key, Plaintext=plaintext)["CiphertextBlob"]
            self.assertEqual(clients[(i + 1) % 4].decrypt(CiphertextBlob=blob)["Plaintext"], plaintext)
            status, _ = self.service.call("Decrypt", {"CiphertextBlob": base64.b64encode(blob).decode(), "Recipient": self.service.recipient(PCR0, key=public)},
                                          self.service.parent_keys())
            self.assertEqual(status, 200)
            secrets_used += [plaintext[:32], plaintext[-32:]]
            secrets_used.append(clients[i % 4].generate_data_key(KeyId=key, NumberOfBytes=64)["Plaintext"])
        # That the administrator's secret is found shows that the search would find the others.
        control = self.service.admin_keys()["aws_secret_access_key"].encode()
        found, control_found = [], False
        for where, content in memory_of(self.service.process.pid):
            control_found = control_found or control in content
            for secret in secrets_used:
                found += [(where, form) for form, value in forms_of(secret).items() if value in content]
        self.assertTrue(control_found)
        self.assertEqual(found, [])


class Operation(unittest.TestCase):
    def setUp(self):
        self.service = Casemated(BUILD)
        self.addCleanup(self.service.__exit__)

    def admin(self):
        return self.service.client("kms", self.service.admin_keys())

    def casemate(self, *arguments, code=0):
        environment = {**os.environ, "CASEMATE_HOME": str(self.service.home), "CASEMATE_RUN_DIR": str(self.service.run_dir)}
        done = subprocess.run([self.service.build / "bin/casemate", *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done)
        return done.stdout + done.stderr

    def test_backup_restore_and_rewrap(self):
        self.service.start()
        blob = self.admin().encrypt(KeyId=self.admin().create_key()["KeyMetadata"]["KeyId"], Plaintext=b"kept")["CiphertextBlob"]
        copy = self.service.folder / "copy.db"
        self.casemate("backup", copy)
        self.assertIn("exists", self.casemate("backup", copy, code=1))
        self.admin().create_key()
        self.assertIn("casemated is running", self.casemate("restore", copy, code=1))
        self.assertIn("casemated is running", self.casemate("rewrap", code=1))
        self.service.stop()
        self.casemate("restore", copy)
        passphrase = self.service.folder / "passphrase"
        passphrase.write_text("correct horse\n")
        passphrase.chmod(0o600)
        before = (self.service.home / "root.key").read_bytes()
        self.casemate("rewrap", "--new-passphrase-file", passphrase)
        self.assertNotEqual((self.service.home / "root.key").read_bytes(), before)
        self.assertIn("sealed under a passphrase", self.service.refuses_to_start())
        self.service.start("--root-key-passphrase-file", str(passphrase))
        self.assertEqual(len(self.admin().list_keys()["Keys"]), 1)
        self.assertEqual(self.admin().decrypt(CiphertextBlob=blob)["Plaintext"], b"kept")
        self.service.stop()
        self.assertIn("another root key", self.casemate("restore", copy, "--root-key-passphrase-file", passphrase, code=1))

    def test_metrics_quotas_and_configuration(self):
        configuration = self.service.folder / "casemated.conf"
        configuration.write_text("quota = \"CreateKey=2\"\nmetrics = \"127.0.0.1:0\"\n")
        self.service.start("--config", str(configuration))
        client = self.admin()
        with self.assertRaises(ClientError) as caught:
            for _ in range(20):
                client.create_key()
        self.assertEqual(caught.exception.response["Error"]["Code"], "ThrottlingException")
        client.list_keys()
        base = json.loads((self.service.run_dir / "endpoints.json").read_text())["metrics"]
        text = urllib.request.urlopen(base + "/metrics").read().decode()
        self.assertIn('casemate_kms_requests_total{operation="ListKeys",result="ok"} 1', text)
        self.assertIn("casemate_kms_throttled_total 1", text)
        self.assertEqual(urllib.request.urlopen(base + "/healthz").read(), b"ok\n")
        self.service.process.send_signal(signal.SIGHUP)
        self.assertTrue(client.list_keys()["Keys"])

    def fingerprint(self):
        port = int(self.service.kms_url.rsplit(":", 1)[1])
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as tls:
            return hashlib.sha256(tls.getpeercert(True)).hexdigest()

    def wait_for_log(self, event, count):
        deadline = time.monotonic() + 30
        while (self.service.folder / "log").read_text().count(event) < count:
            assert time.monotonic() < deadline, (self.service.folder / "log").read_text()
            time.sleep(0.02)

    def test_sighup_reads_the_certificate_again(self):
        certificate, key = self.service.folder / "tls.pem", self.service.folder / "tls.key"

        def issue():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                            "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate], check=True, capture_output=True)
            key.chmod(0o600)
            return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()

        first = issue()
        self.service.start("--tls-certificate", str(certificate), "--tls-key", str(key))
        self.service.ca = str(certificate)
        self.assertEqual(self.fingerprint(), first)
        client = self.admin()
        client.list_keys()
        second = issue()
        self.assertEqual(self.fingerprint(), first)
        self.service.process.send_signal(signal.SIGHUP)
        self.wait_for_log('tls.reloaded', 1)
        self.assertEqual(self.fingerprint(), second)
        client.list_keys()  # over the connection of before

        # What cannot be used changes nothing.
        whole = certificate.read_text()
        for content in ("", whole[:100], whole.replace("A", "B")):
            certificate.write_text(content)
            failures = (self.service.folder / "log").read_text().count('tls.reload-failed')
            self.service.process.send_signal(signal.SIGHUP)
            self.wait_for_log('tls.reload-failed', failures + 1)
            self.assertEqual(self.fingerprint(), second)
        self.assertEqual(self.service.stop(), 0)

    def test_memory_stays_out_of_swap_and_cores(self):
        self.service.start()
        pid = self.service.process.pid
        limits = open(f"/proc/{pid}/limits").read()
        self.assertRegex(limits, r"Max core file size +0 +0 ")
        self.assertEqual(os.stat(f"/proc/{pid}/environ").st_uid, 0, "undumpable: its files in /proc are root's")
        locked = int(re.search(r"VmLck:\s+(\d+) kB", open(f"/proc/{pid}/status").read())[1])
        self.assertGreater(locked, 0)
        self.service.stop()
        # Where next to nothing may be locked it starts and serves all the same.
        self.service.command = lambda *extra: ["prlimit", "--memlock=8192:8192", "setpriv", "--bounding-set=-all", "--inh-caps=-all",
                                               *Casemated.command(self.service, *extra)]
        self.service.start()
        self.assertTrue(self.admin().create_key())
        status = open(f"/proc/{self.service.process.pid}/status").read()
        if os.geteuid() == 0:
            self.assertIn("VmLck:\t       0 kB" if "locked=nothing" in (self.service.folder / "log").read_text() else "VmLck:", status)

    def test_a_full_disk_stops_changes_only(self):
        self.service.home.mkdir(parents=True)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", self.service.home], capture_output=True, text=True)
        if mounted.returncode != 0:
            self.skipTest(f"no tmpfs of its own: {mounted.stderr.strip()}")
        try:
            self.service.start()
            client = self.admin()
            key = client.create_key()["KeyMetadata"]["KeyId"]
            with open(self.service.home / "filler", "wb", buffering=0) as filler:
                try:
                    while True:
                        filler.write(b"x" * 4096)
                except OSError:
                    pass
            for _ in range(3):
                with self.assertRaises(ClientError) as caught:
                    for _ in range(50):  # what is allocated already takes a few
                        client.create_key()
                self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 500)
                self.assertIn("no space", caught.exception.response["Error"]["Message"])
                self.assertTrue(client.encrypt(KeyId=key, Plaintext=b"x"))
                self.assertTrue(client.describe_key(KeyId=key))
            (self.service.home / "filler").unlink()
            self.assertTrue(client.create_key())
            self.assertEqual(self.service.stop(), 0)
        finally:
            if self.service.process and self.service.process.poll() is None:
                self.service.process.kill()
                self.service.process.wait()
            subprocess.run(["umount", self.service.home], check=True)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
