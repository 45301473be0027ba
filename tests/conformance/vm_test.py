#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same program that runs in the sandbox asks Debian's kernel in a virtual machine (QEMU without KVM), with the
vsock_loopback module: its answers must be those of kernel.txt (Debian 12's 6.1), which the sandbox is compared with, or what
kernel-6.12.txt has in their place from Debian 13's kernel on.

The vsock of that machine is its own kernel's loopback; no device of the host's is involved."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("CASEMATE_BUILD_DIR", HERE.parents[1] / "build"))
QEMU = "qemu-system-x86_64"
MODULES = ("vsock", "vmw_vsock_virtio_transport_common", "vsock_loopback")


def answers(text):
    lines = [line.strip() for line in text.replace("\r", "").splitlines()]
    # The kernel's own messages share the console.
    lines = [line for line in lines if not line.startswith("[")]
    return lines[lines.index("begin") + 1 : lines.index("end")]


def wanted():
    """The recorded answers of the kernel in the blobs folder."""
    lines = answers((HERE / "kernel.txt").read_text())
    version = re.search(r"Linux/\S+ (\d+)\.(\d+)", (BUILD / "blobs" / "bzImage.config").read_text())
    if tuple(map(int, version.groups())) < (6, 12):
        return lines
    later = {line.split(": ")[0]: line for line in answers((HERE / "kernel-6.12.txt").read_text())}
    changed = [later.pop(line.split(": ")[0], line) for line in lines]
    assert not later, f"kernel-6.12.txt: no such call: {later}"
    return changed


class Kernel(unittest.TestCase):
    maxDiff = None

    def test_it_still_answers_so(self):
        for needed in (BUILD / "blobs" / "bzImage", *(BUILD / "blobs" / "modules" / f"{name}.ko" for name in MODULES)):
            if not needed.exists():
                self.skipTest(f"{needed}: missing; cmake --build build --target blobs makes it")
        if shutil.which(QEMU) is None:
            self.skipTest(f"no {QEMU}; tools/setup.sh installs it")
        with tempfile.TemporaryDirectory(prefix="casemate-vm-") as folder:
            root = pathlib.Path(folder) / "root"
            (root / "modules").mkdir(parents=True)
            shutil.copy(BUILD / "tests" / "guests" / "vsock_conformance", root / "init")
            for name in MODULES:
                shutil.copy(BUILD / "blobs" / "modules" / f"{name}.ko", root / "modules")
            names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
            archive = pathlib.Path(folder) / "initrd"
            archive.write_bytes(subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=names.encode(), check=True, capture_output=True).stdout)
            machine = subprocess.run(
                [QEMU, "-accel", "tcg", "-M", "pc", "-m", "256", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
                 "-no-reboot", "-kernel", BUILD / "blobs" / "bzImage", "-initrd", archive,
                 "-append", "console=ttyS0 loglevel=4 reboot=t panic=-1"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=600)
            self.assertIn("\nend", machine.stdout.replace("\r", ""), machine.stdout + machine.stderr)
            self.assertEqual(answers(machine.stdout), wanted())


if __name__ == "__main__":
    if not shutil.which("cpio"):
        sys.exit("no cpio; tools/setup.sh installs it")
    unittest.main(verbosity=2, warnings="ignore")
