#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An enclave image in a virtual machine of QEMU's, without hardware help: the kernel unpacks the ramdisks and runs init.
There is no NSM and no parent there, so init ends where it calls the parent; a second image with an init that looks around
says what was unpacked. usage: boot_qemu.py BUILDDIR [unittest arguments]"""

import os
import pathlib
import selectors
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "interop"))
import eif_build as eif  # noqa: E402

BLOBS = eif.BUILD / "blobs"
PATIENCE = 300  # seconds: without hardware help and beside other tests


class Machine:
    """Boots an image's kernel and ramdisks and reads the serial console."""

    def __init__(self, path, folder):
        sections = eif.Sections(path)
        (folder / "kernel").write_bytes(sections.of(1)[0])
        (folder / "initrd").write_bytes(b"".join(sections.of(3)))
        command_line = sections.of(2)[0].decode()
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg", "-M", "q35", "-cpu", "max", "-m", "512", "-nodefaults", "-no-user-config", "-nographic",
             "-serial", "stdio", "-no-reboot", "-kernel", folder / "kernel", "-initrd", folder / "initrd", "-append", command_line],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.text = ""

    def read_until(self, wanted):
        """The console's text up to the line that holds `wanted`."""
        end = time.monotonic() + PATIENCE
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while wanted not in self.text.rpartition("\n")[0]:
                if time.monotonic() > end or not selector.select(end - time.monotonic()):
                    raise AssertionError(f"no {wanted!r} in {PATIENCE} s: {self.text[-3000:]}")
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    raise AssertionError(f"ended without {wanted!r}: {self.text[-3000:]}")
                self.text += data.decode(errors="replace").replace("\r", "")
        return self.text

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class BootsInQemu(unittest.TestCase):
    def setUp(self):
        for name in ("bzImage", "bzImage.config", "cmdline", "init"):
            self.assertTrue((BLOBS / name).exists(), f"{BLOBS / name}: missing: cmake --build {eif.BUILD} --target blobs")
        self.folder = tempfile.TemporaryDirectory(prefix="casemate-boot-")
        self.dir = pathlib.Path(self.folder.name)
        self.env = dict(os.environ, NITRO_CLI_BLOBS=str(BLOBS), NITRO_CLI_LOGS_PATH=self.folder.name, TMPDIR=self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def build(self, layers, config, blobs=BLOBS):
        eif.write_image(self.dir / "layout", layers, config)
        path = self.dir / "boot.eif"
        subprocess.run([eif.NITRO_CLI, "build-enclave", "--docker-uri", f"oci:{self.dir}/layout", "--output-file", path],
                       env=dict(self.env, NITRO_CLI_BLOBS=str(blobs)), check=True, capture_output=True)
        return path

    def sample(self):
        """The sample's image, as its Dockerfile makes it."""
        server = (eif.BUILD / "images/data-processing/server").read_bytes()
        return eif.layer([("server", eif.FILE, server, 0o755)])

    def test_the_samples_image_runs_init(self):
        path = self.build([self.sample()], {"Cmd": ["/server"], "Env": ["PATH=/"]})
        machine = Machine(path, self.dir)
        try:
            # Debian's kernel has vsock as a module only, so this is where init must end.
            text = machine.read_until("init: socket vsock:")
        finally:
            machine.stop()
        self.assertIn("Run /init as init process", text)
        self.assertNotIn("Initramfs unpacking failed", text)

    def test_the_kernel_unpacks_what_the_image_holds(self):
        blobs = self.dir / "blobs"
        blobs.mkdir()
        for name in ("bzImage", "bzImage.config", "cmdline"):
            (blobs / name).symlink_to(BLOBS / name)
        (blobs / "init").symlink_to(eif.BUILD / "tests/boot_probe")
        long_name = "n" * 200
        # A first file of odd length and many entries move everything after them off the boundaries.
        filler = eif.layer([(f"f/{number:04}", eif.FILE, b"x" * (number % 7), 0o644) for number in range(500)])
        image = eif.layer([("app/", eif.FOLDER, "", 0o750), ("app/run", eif.FILE, b"r" * 70001, 0o4755), ("link", eif.LINK, "app/run", 0o777),
                           ("b", eif.FILE, b"same", 0o640), ("a", eif.HARD, "b", 0o640), ("home/", eif.FOLDER, "", 0o700), ("pipe", eif.FIFO, "", 0o600),
                           (long_name, eif.FILE, b"long", 0o600), ("white space", eif.FILE, b"w", 0o644)])
        files = ["/server", "/app", "/app/run", "/link", "/a", "/b", "/home", "/pipe", "/" + long_name, "/white space", "/f/0499", "/etc/hosts", "/tmp", "/none"]
        machine = Machine(self.build([filler, self.sample(), image], {"Cmd": files}, blobs), self.dir)
        try:
            text = machine.read_until("probe: done")
        finally:
            machine.stop()
        found = dict(line.split("probe: ", 1)[1].rsplit(" mode ", 1) for line in text.splitlines() if "probe: " in line and " mode " in line)
        size = (eif.BUILD / "images/data-processing/server").stat().st_size
        time_of_files = 1700000000
        self.assertEqual(found["/server"].strip(), f"100755 owner 0:0 size {size} time {time_of_files}")
        self.assertTrue(found["/app"].startswith("40750 owner 0:0 "))
        self.assertEqual(found["/app/run"].strip(), f"104755 owner 0:0 size 70001 time {time_of_files}")
        self.assertTrue(found["/link"].startswith("120777 ") and found["/link"].endswith("app/run"))
        self.assertTrue(found["/b"].startswith("120640 ") or found["/b"].startswith("120777 "), found["/b"])
        self.assertTrue(found["/b"].endswith(" a"))
        self.assertTrue(found["/a"].startswith("100640 owner 0:0 size 4 "))
        self.assertTrue(found["/home"].startswith("40700 owner 1000:100 "))
        self.assertTrue(found["/pipe"].startswith("10600 "))
        self.assertTrue(found["/" + long_name].startswith("100600 "))
        self.assertIn("/white space", found)
        self.assertTrue(found["/f/0499"].startswith("100644 owner 0:0 size 2 "))
        self.assertTrue(found["/etc/hosts"].startswith("100755 owner 0:0 size 160 "))
        self.assertTrue(found["/tmp"].startswith("40755 "))
        self.assertIn("probe: /none absent", text)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
