#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Wrong input, killed processes, absent parts: one-line errors that name what and where, and nothing left behind."""

import os
import pathlib
import shutil
import signal
import socket
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from platform_under_test import IMAGES, Platform

SUBMIT = "data-processing-client --submit --ciphertext string.encrypted --alias my-enclave-key"


def prepare(p):
    for name in ("values.txt", "key_policy_template.json"):
        shutil.copy(IMAGES / name, p.work / name)
    shutil.copytree(IMAGES / "data-processing", p.work / "data-processing")


def make_key(p):
    key = p.aws("kms create-key --query KeyMetadata.KeyId --output text", p.admin)
    assert key.status == 0, key
    key = key.out.strip()
    for command in (f"kms create-alias --alias-name alias/my-enclave-key --target-key-id {key}",):
        output = p.aws(command, p.admin)
        assert output.status == 0, output
    arn = p.aws("sts get-caller-identity --query Arn --output text").out.strip()
    p.ok(f"sed -e 's|ACCOUNT_ID|111122223333|g' -e 's|AWS_PRINCIPAL|{arn}|g' key_policy_template.json > key_policy.json")
    output = p.aws(f"kms put-key-policy --key-id {key} --policy-name default --policy file://key_policy.json", p.admin)
    assert output.status == 0, output
    return key


class Failures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.p = Platform()
        cls.addClassCleanup(cls.p.close)
        prepare(cls.p)
        cls.p.up()
        cls.key = make_key(cls.p)
        uri = cls.p.build_with_buildah("data-processing", "data-processing")
        cls.uri = uri
        cls.p.build_enclave(uri, "data-processing")

    def refused(self, command, status, *words, env=None, lines=1):
        output = self.p.sh(command, env)
        self.assertEqual(output.status, status, f"{command}\n{output}")
        for word in words:
            self.assertIn(word, output.err, f"{command}\n{output}")
        if lines is not None:
            self.assertEqual(len(output.err.strip().splitlines()), lines, f"{command}\n{output}")
        return output

    def test_unknown_flags_are_usage_errors(self):
        for command in ("casemate up --nonsense", "casemate nonsense", "casemated --nonsense", "vsock-proxy --nonsense 1 a 2",
                        "data-processing-client --nonsense", "nitro-cli run-enclave --nonsense", "nitro-cli nonsense"):
            with self.subTest(command):
                output = self.p.sh(command)
                self.assertEqual(output.status, 2, output)
                self.assertIn("nonsense", output.err)

    def test_images_that_are_missing_or_cut_are_named(self):
        self.refused("nitro-cli run-enclave --cpu-count 2 --memory 512 --eif-path none.eif", 19, "E19", "none.eif", lines=None)
        self.p.ok("head -c 100000 data-processing.eif > cut.eif; head -c 10 data-processing.eif > stub.eif; : > empty.eif")
        for name in ("cut", "stub", "empty"):
            with self.subTest(name):
                output = self.p.sh(f"nitro-cli run-enclave --cpu-count 2 --memory 512 --eif-path {name}.eif")
                self.assertNotEqual(output.status, 0, output)
                self.assertIn(f"{name}.eif", output.text)
        self.assertEqual(self.p.describe(), [])

    def test_images_that_do_not_exist_leave_no_output(self):
        for uri in ("oci:nowhere", "oci-archive:none.tar", "docker-archive:none.tar"):
            with self.subTest(uri):
                output = self.p.sh(f"nitro-cli build-enclave --docker-uri {uri} --output-file out.eif")
                self.assertNotEqual(output.status, 0, output)
                self.assertFalse((self.p.work / "out.eif").exists())
        self.assertEqual([name for name in os.listdir(self.p.work) if "out.eif" in name], [])

    def test_too_little_memory_is_refused(self):
        self.refused("nitro-cli run-enclave --cpu-count 2 --memory 1 --eif-path data-processing.eif", 26, "E26", lines=None)
        self.assertEqual(self.p.describe(), [])

    def test_ports_in_use_are_named(self):
        with socket.create_server(("127.0.0.1", 0)) as busy:
            port = busy.getsockname()[1]
            env = dict(self.p.base, CASEMATE_HOME=str(self.p.folder / "other"), CASEMATE_RUN_DIR=str(self.p.folder / "other-run"))
            self.refused(f"casemate up --listen 127.0.0.1:{port} --imds 127.0.0.1:0", 1, str(port), "in use", env=env)
        proxy = self.p.start_proxy()
        self.refused("vsock-proxy 8000 kms.us-east-1.amazonaws.com 443", 1, "8000")
        proxy.terminate()
        proxy.wait(10)

    def test_proxies_refuse_what_the_allowlist_does_not_name(self):
        self.refused("vsock-proxy 8001 example.com 443", 1, "not allowed")

    def test_absent_services_are_named_and_waited_for_by_nobody(self):
        self.p.ok("data-processing-client --prepare --values values.txt --alias my-enclave-key")
        self.p.run_enclave("data-processing")
        self.refused(SUBMIT, 1, "vsock-proxy", "port 8000")
        proxy = self.p.start_proxy(dict(self.p.parent, VSOCK_PROXY_RESOLVE="kms.us-east-1.amazonaws.com:443:127.0.0.1:1"))
        self.refused(SUBMIT, 1, "KMS")
        proxy.terminate()
        proxy.wait(10)
        self.p.start_proxy().poll()
        self.assertEqual(self.p.sh(SUBMIT).status, 0)
        self.p.background[-1].terminate()
        self.p.background[-1].wait(10)
        self.p.terminate_all()

    def test_client_errors_name_what_is_missing(self):
        self.p.ok(": > empty.txt")
        self.refused("data-processing-client --prepare --values empty.txt --alias my-enclave-key", 1, "empty.txt")
        self.refused("data-processing-client --prepare --values none.txt --alias my-enclave-key", 1, "none.txt")
        self.refused("data-processing-client --prepare --values values.txt --alias no-such-alias", 1, "no-such-alias")
        self.refused("data-processing-client --submit --ciphertext none.encrypted --alias my-enclave-key", 1, "none.encrypted")
        down = dict(self.p.parent, AWS_ENDPOINT_URL_KMS="https://127.0.0.1:1")
        self.refused("data-processing-client --prepare --values values.txt --alias my-enclave-key", 1, "127.0.0.1", env=down)
        self.p.ok("data-processing-client --prepare --values values.txt --alias my-enclave-key")
        self.p.sh("nitro-cli terminate-enclave --all")
        self.refused(SUBMIT, 1, "enclave")


class KilledProcesses(unittest.TestCase):
    """kill -9 of any one process, then `casemate down`, leaves nothing; `casemate up` works again with keys intact."""

    def test_every_victim(self):
        p = Platform()
        self.addCleanup(p.close)
        prepare(p)
        p.up()
        key = make_key(p)
        uri = p.build_with_buildah("data-processing", "data-processing")
        p.build_enclave(uri, "data-processing")
        mounts = pathlib.Path("/proc/self/mountinfo").read_text().count(p.folder.name)
        for victim in ("casemated", "casemate-enclave", "vsock-proxy", "/server"):
            with self.subTest(victim):
                p.up()
                proxy = p.start_proxy()
                record = p.run_enclave("data-processing")
                p.wait_for_port(record["EnclaveCID"], 5000)
                pids = p.pid_of(victim) or [pid for pid, line in p.processes().items() if line.startswith(victim)]
                if victim == "/server":
                    pids = guest_pids(record["ProcessID"])
                self.assertTrue(pids, f"{victim} among {p.processes()}")
                os.kill(pids[0], signal.SIGKILL)
                time.sleep(0.3)
                p.ok("casemate down", p.base)
                proxy.wait(10)
                self.assertEqual(p.processes(), {}, victim)
                self.assertEqual(leftover_sockets(p), [], victim)
                self.assertEqual(pathlib.Path("/proc/self/mountinfo").read_text().count(p.folder.name), mounts)
        p.up()
        self.assertEqual(p.aws(f"kms describe-key --key-id {key} --query KeyMetadata.KeyState --output text", p.admin).out.strip(), "Enabled")

    def test_processes_ended_in_any_order_and_twice(self):
        p = Platform()
        self.addCleanup(p.close)
        p.up()
        p.up()
        p.ok("casemate down", p.base)
        p.ok("casemate down", p.base)
        self.assertEqual(p.processes(), {})


def guest_pids(supervisor):
    """The descendants of an enclave's supervisor."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry.name))
    found, todo = [], [supervisor]
    while todo:
        for child in children.get(todo.pop(), []):
            found.append(child)
            todo.append(child)
    return found


def leftover_sockets(p):
    return [str(path) for path in p.run_dir.rglob("*") if path.is_socket()]


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
