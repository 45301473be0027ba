#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Attestation as an enclave and its relying party use it: a C program that was compiled against libnsm's ABI runs in an
image of Debian's C library with our shared library beside it; `casemate attest get` asks for documents inside, and show,
verify, chain and pcrs judge them outside, in every form of input."""

import base64
import json
import os
import pathlib
import re
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from platform_under_test import BIN, BUILD, SOURCE, Platform, copy_closure


class Attestation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.p = Platform()
        cls.addClassCleanup(cls.p.close)
        cls.p.up()
        root = cls.p.work / "abi" / "root"
        root.mkdir(parents=True)
        library = BUILD / "lib" / "libnsm.so"
        cls.p.ok(f"gcc -Wall -Wextra -Werror -O1 -D_GNU_SOURCE {SOURCE}/tests/guests/nsm_abi.c -L{library.parent} -lnsm -lpthread -o {root}/nsm_abi")
        copy_closure(root, ["/bin/true", str(BIN / "casemate")])
        # Where the loader looks for it, and casemate where nothing of the build tree's path matters.
        libc = next(path for path in root.rglob("libc.so.6"))
        shutil.copy(library, libc.parent)
        (root / "usr/bin").mkdir(parents=True, exist_ok=True)
        shutil.copy(BIN / "casemate", root / "usr/bin/casemate")
        (cls.p.work / "abi" / "Dockerfile").write_text('FROM scratch\nCOPY root /\nCMD ["/nsm_abi"]\n')
        cls.measurements = cls.p.build_enclave(cls.p.build_with_buildah(cls.p.work / "abi", "abi"), "abi")
        cls.record = cls.p.run_enclave("abi")
        cls.wait_for_listener(cls.record["EnclaveCID"])

    @classmethod
    def wait_for_listener(cls, cid):
        cls.p.wait_for_port(cid, 7000)

        def listens():
            try:
                cls.p.connect(cid, 7000).close()
                return True
            except ConnectionRefusedError:  # bound, and listen(2) not yet called
                return False

        cls.p.wait_for(listens, f"enclave {cid} listens on 7000")

    def ask(self, line, cid=None):
        with self.p.connect(cid or self.record["EnclaveCID"], 7000, 120) as sock:
            sock.sendall(line.encode() + b"\n")
            reply = b""
            while chunk := sock.recv(65536):
                reply += chunk
            return reply

    def get(self, arguments, cid=None):
        reply = self.ask(f"run /usr/bin/casemate attest get {arguments}", cid)
        self.assertTrue(reply.endswith(b"status 0\n"), reply)
        return reply[: -len(b"status 0\n")]

    def test_every_call_of_the_c_interface(self):
        lines = self.ask("check").decode().splitlines()
        self.assertEqual([line for line in lines if not line.startswith("ok ")][-1], "done")
        self.assertEqual([line for line in lines if line.startswith("WRONG")], [])
        self.assertGreater(sum(line.startswith("ok ") for line in lines), 90)
        module = next(line.split()[1] for line in lines if line.startswith("module "))
        self.assertRegex(module, r"^i-[0-9a-f]{17}-enc[0-9a-f]{16}$")
        parent, enclave = self.record["EnclaveID"].split("-enc")
        self.assertEqual(module, f"{parent}-enc{int(enclave, 16):016x}")

    def test_a_document_from_inside_in_every_form(self):
        document = self.get("--nonce 0102 --user-data cafe")
        self.assertEqual(document[0], 0x84)
        (self.p.work / "document.bin").write_bytes(document)
        (self.p.work / "document.hex").write_text(document.hex() + "\n")
        (self.p.work / "document.b64").write_bytes(base64.encodebytes(document))
        for arguments in ("document.bin", "document.hex", "document.b64", "- <document.bin", "- <document.hex", "- <document.b64"):
            output = self.p.sh(f"casemate attest verify --trust local --nonce 0102 --user-data CAFE --max-age 5m {arguments}")
            self.assertEqual(output.status, 0, output)
            *checks, verdict = output.out.splitlines()
            self.assertTrue(all(line.startswith("pass  ") for line in checks), output)
            self.assertTrue(verdict.startswith("verified"), output)
        for form in ("hex", "base64"):
            (self.p.work / "printed").write_bytes(self.get(f"--format {form}"))
            self.p.ok("casemate attest verify --trust local printed")
        fields = json.loads(self.p.ok("casemate attest show --json document.bin"))
        self.assertEqual((fields["nonce"], fields["user_data"], fields["public_key"]), ("0102", "cafe", None))
        self.p.ok("casemate attest chain document.bin >chain.pem && casemate pki export --out root.pem && "
                  "openssl verify -CAfile root.pem -untrusted chain.pem chain.pem")
        measured = self.measurements
        self.p.ok(f"casemate attest verify --trust root.pem --pcr 0={'00' * 48},{measured['PCR0'].upper()} --pcr 1={measured['PCR1']} document.bin")
        for arguments, text in (("", "FAIL  root: SHA-256"), ("--trust local --nonce 0103", "FAIL  nonce: 0102 (want 0103)"),
                                (f"--trust local --pcr 2={measured['PCR0']}", "FAIL  PCR2: "), ("--trust local --at 2020-01-01T00:00:00Z", "FAIL  certificate: validity")):
            output = self.p.sh(f"casemate attest verify {arguments} document.bin")
            self.assertEqual(output.status, 1, output)
            self.assertIn(text, output.out)

    def test_get_outside_an_enclave_says_so(self):
        if os.path.exists("/dev/nsm"):
            return
        output = self.p.sh("casemate attest get")
        self.assertEqual(output.status, 1, output)
        self.assertIn("inside an enclave", output.err)

    def test_an_image_is_told_from_a_document(self):
        (self.p.work / "running.bin").write_bytes(self.get(""))
        output = self.p.sh("casemate attest pcrs --eif abi.eif --document running.bin")
        self.assertEqual(output.status, 0, output)
        self.assertEqual(len(re.findall(r"^same ", output.out, re.M)), 4, output)
        # One more file in the application, and nothing else.
        context = self.p.work / "other"
        shutil.copytree(self.p.work / "abi", context)
        (context / "root" / "extra").write_text("x")
        self.p.build_enclave(self.p.build_with_buildah(context, "other"), "other")
        output = self.p.sh("casemate attest pcrs --eif other.eif --document running.bin")
        self.assertEqual(output.status, 1, output)
        self.assertIn("same    PCR1", output.out)
        self.assertIn("DIFFER  PCR2 (application)", output.out)
        self.assertTrue(output.out.endswith("what differs: application\n"), output)
        # The same image with another command line of the kernel.
        shutil.copytree(BUILD / "blobs", self.p.work / "blobs")
        with open(self.p.work / "blobs" / "cmdline", "a") as cmdline:
            cmdline.write(" quiet")
        self.p.build_enclave("oci-archive:abi.tar", "quiet", env=dict(self.p.base, NITRO_CLI_BLOBS=str(self.p.work / "blobs")))
        output = self.p.sh("casemate attest pcrs --eif quiet.eif --document running.bin")
        self.assertTrue(output.out.endswith("what differs: kernel, command line or boot ramdisk\n"), output)
        # In debug mode there is nothing to compare.
        record = self.p.run_enclave("abi", "--debug-mode --enclave-name debugged")
        self.wait_for_listener(record["EnclaveCID"])
        (self.p.work / "debug.bin").write_bytes(self.get("", record["EnclaveCID"]))
        output = self.p.sh("casemate attest pcrs --eif abi.eif --document debug.bin")
        self.assertEqual(output.status, 1, output)
        self.assertIn("cannot tell: the document is of an enclave in debug mode", output.out)
        self.assertEqual(self.p.sh("casemate attest verify --trust local debug.bin").status, 1)
        self.p.ok("casemate attest verify --trust local --allow-debug debug.bin")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
