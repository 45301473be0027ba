#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The web console in a real browser, against the real casemated and real enclaves: acts 2, 4 and 9 done in the page, and the
denials of acts 10, 11 and 13 explained by it. The browser is driven by console/drive.mjs; this sets the platform up."""

import base64
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from platform_under_test import BIN, BUILD, IMAGES, Platform, copy_closure

DRIVER = pathlib.Path(__file__).parent / "console" / "drive.mjs"
OLD_EVENTS = 100_000
KEYS = 10_000


def write_old_events(path, count):
    """An audit log as it would be after a long time; each line follows the one before. Half of it was put aside."""
    previous = "0" * 64
    lines = []
    for number in range(count):
        event = {"eventVersion": "1.11", "userIdentity": {"arn": "arn:aws:iam::111122223333:user/someone"},
                 "eventTime": "2026-01-01T00:00:00Z", "eventSource": "kms.amazonaws.com", "eventName": f"Old{number}",
                 "requestID": f"old-{number}", "resources": []}
        text = json.dumps(event, separators=(",", ":"))[:-1] + f',"casemate":{{"sequence":{number + 1},"previous":"{previous}'
        previous = hashlib.sha256(text.encode()).hexdigest()
        lines.append(f'{text}","hash":"{previous}"}}}}')
    half = count // 2
    for name, part in ((path.with_name("audit-000000000001.jsonl"), lines[:half]), (path, lines[half:])):
        name.write_text("\n".join(part) + "\n")
        name.chmod(0o600)


class Console(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.p = Platform()
        try:
            for name in ("values.txt", "key_policy_template.json"):
                shutil.copy(IMAGES / name, cls.p.work / name)
            for name in ("data-processing", "data-processing-modified"):
                shutil.copytree(IMAGES / name, cls.p.work / name)
            cls.p.home.mkdir(mode=0o700)
            write_old_events(cls.p.home / "audit.jsonl", OLD_EVENTS)
            cls.p.up()
        except BaseException:
            cls.p.close()
            raise
        cls.port = int(cls.p.parent["AWS_ENDPOINT_URL_KMS"].rsplit(":", 1)[1])

    @classmethod
    def tearDownClass(cls):
        cls.p.close()

    def document_from_an_enclave(self):
        """Builds document.eif, whose production enclave gives its attestation document to whoever connects."""
        root = self.p.work / "document" / "root"
        copy_closure(root, ["/usr/bin/socat", str(BIN / "casemate")])
        shutil.copy(BIN / "casemate", root / "casemate")
        (self.p.work / "document" / "Dockerfile").write_text(
            'FROM scratch\nCOPY root /\nCMD ["/usr/bin/socat", "VSOCK-LISTEN:7000,fork", "EXEC:/casemate attest get"]\n')
        self.p.build_enclave(self.p.build_with_buildah("document", "document"), "document")
        cid = self.p.run_enclave("document")["EnclaveCID"]

        def ask():
            try:
                with self.p.connect(cid, 7000) as sock:
                    return b"".join(iter(lambda: sock.recv(65536), b""))
            except (FileNotFoundError, ConnectionRefusedError):
                return b""

        document = self.p.wait_for(ask, "an enclave gives its document")
        self.p.terminate_all()
        return document

    def curl(self, more, path):
        return self.p.ok(f"curl -s --cacert {self.p.home}/ca/ca.pem -o /dev/null -w '%{{http_code}} %{{redirect_url}}' {more} https://localhost:{self.port}{path}")

    def test_1_is_served_only_under_its_own_name(self):
        self.assertTrue((BUILD / "web" / "manifest.json").exists(), "casemate_web of tools/setup.sh builds the page")
        self.assertEqual(self.curl("", "/console/").split()[0], "200")
        self.assertEqual(self.curl("-H 'Host: rebound.example'", "/console/").split()[0], "421")
        self.assertEqual(self.curl("-H 'Host: rebound.example'", "/console/api/config").split()[0], "421")
        self.assertTrue(self.curl("", "/").startswith("302 "))
        self.assertEqual(self.curl("-X OPTIONS -H 'Origin: https://evil.example'", "/console/api/events").split()[0], "404")
        headers = self.p.ok(f"curl -sk -D - -o /dev/null https://localhost:{self.port}/console/").lower()
        self.assertIn("frame-ancestors 'none'", headers)
        self.assertNotIn("unsafe-inline", headers)
        self.assertNotIn("access-control-", headers)
        self.assertNotIn("set-cookie", headers)

    def test_2_links_are_short_lived_secrets_of_the_administrator(self):
        url = self.p.ok("casemate console --print-url").strip()
        self.assertRegex(url, rf"^https://localhost:{self.port}/console/#token=[A-Za-z0-9_-]{{43}}$")
        token = url.split("token=")[1]
        exchange = (f"curl -sk -H 'Content-Type: application/json' -d '{{\"token\":\"{token}\"}}' -w '\\n%{{http_code}}' "
                    f"https://localhost:{self.port}/console/api/session")
        self.assertTrue(self.p.ok(exchange).endswith("200"))
        self.assertTrue(self.p.ok(exchange).endswith("403"))
        logs = (self.p.run_dir / "casemated.log").read_text() + (self.p.home / "audit.jsonl").read_text()
        self.assertNotIn(token, logs)

    def test_3_in_the_browser(self):
        self.assertTrue((BUILD / "web-work" / "node_modules" / "playwright-core").exists(), "casemate_web of tools/setup.sh installs it")
        measurements = {}
        for name in ("data-processing", "data-processing-modified"):
            uri = self.p.build_with_buildah(name, name)
            measurements[name] = self.p.build_enclave(uri, name)
        document = self.document_from_an_enclave()
        (self.p.work / "document.bin").write_bytes(document)
        fields = json.loads(self.p.ok("casemate attest show --json document.bin"))
        self.p.start_proxy()
        settings = {
            "url": f"https://localhost:{self.port}", "work": str(self.p.work), "run": str(self.p.run_dir), "parent": self.p.parent,
            "admin": self.p.admin, "base": self.p.base, "modules": str(BUILD / "web-work"), "measurements": measurements,
            "screenshots": os.environ.get("CASEMATE_SCREENSHOTS", ""), "keys": KEYS,
            "document": base64.b64encode(document).decode(), "chain": len(fields["cabundle"]) + 1,
        }
        path = self.p.folder / "settings.json"
        path.write_text(json.dumps(settings))
        # The browser keeps its profile in TMPDIR and removes it; what else it writes goes to HOME, which is not the user's.
        browser = self.p.folder / "browser"
        (browser / "home").mkdir(parents=True)
        (browser / "tmp").mkdir()
        env = dict(self.p.base, HOME=str(browser / "home"), TMPDIR=str(browser / "tmp"))
        done = subprocess.run(["node", DRIVER, path], env=env, stdin=subprocess.DEVNULL, timeout=780)
        self.assertEqual(done.returncode, 0)
        self.p.wait_for(lambda: not [line for line in self.p.processes().values() if "chrom" in line or "node" in line],
                        "the browser's processes end")
        self.assertEqual([str(path) for path in (browser / "tmp").rglob("*") if path.is_file()], [])

    def test_4_leaves_no_process(self):
        for process in self.p.background:
            process.terminate()
            process.wait(10)
        self.p.ok("casemate down", self.p.base)
        self.p.wait_for(lambda: not self.p.processes(), f"no process is left of {self.p.processes()}")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
