#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Enclaves under load and sudden death: kill -9 of the supervisor, the application or nitro-cli at random points; start
and terminate, again and again; many starts at once. Nothing may be left behind, and describe-enclaves must stay true.

Counts come from the environment, for long runs: SOAK_KILLS (20), SOAK_CYCLES (20), SOAK_PARALLEL (20), SOAK_MANY (10).
"""

import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib
from concurrent.futures import ThreadPoolExecutor

BUILD = pathlib.Path(os.environ.get("CASEMATE_BUILD_DIR", pathlib.Path(__file__).resolve().parents[2] / "build"))
NITRO_CLI = str(BUILD / "bin" / "nitro-cli")
GUEST = BUILD / "tests" / "run_side_guest"
KILLS = int(os.environ.get("SOAK_KILLS", "20"))
CYCLES = int(os.environ.get("SOAK_CYCLES", "20"))
PARALLEL = int(os.environ.get("SOAK_PARALLEL", "20"))
MANY = int(os.environ.get("SOAK_MANY", "10"))
SEED = int(os.environ.get("SOAK_SEED", "1"))


def cpio(entries):
    out = b""
    for inode, (name, mode, data) in enumerate(entries + [("TRAILER!!!", 0, b"")], 721):
        fields = (inode, mode, 0, 0, 1, 0, len(data), 3, 1, 0, 0, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return out + b"\0" * (-len(out) % 512)


def eif(path, argument, program=GUEST, more=()):
    folders = [(name, 0o40755, b"") for name in ("rootfs", "rootfs/dev", "rootfs/run", "rootfs/sys", "rootfs/var", "rootfs/proc", "rootfs/tmp")]
    boot = cpio([("init", 0o100755, b"never run")])
    application = cpio(folders + [("rootfs/app", 0o100755, program.read_bytes()), *more, ("cmd", 0o100644, f"/app\n{argument}\n".encode()),
                                  ("env", 0o100644, b"PATH=/\n")])
    metadata = b'{"ImageName":"soak","ImageVersion":"1","BuildMetadata":{},"DockerInfo":null,"CustomMetadata":null}'
    sections = [(1, b"kernel"), (2, b"reboot=k"), (5, metadata), (3, boot), (3, application)]
    body, offsets, sizes = b"", [0] * 32, [0] * 32
    for i, (kind, data) in enumerate(sections):
        offsets[i], sizes[i] = 548 + len(body), len(data)
        body += struct.pack(">HHQ", kind, 0, len(data)) + data
    arm = 1 if os.uname().machine == "aarch64" else 0
    header = b".eif" + struct.pack(">HHQQHH32Q32QI", 4, arm, 1 << 30, 2, 0, len(sections), *offsets, *sizes, 0)
    path.write_bytes(header + struct.pack(">I", zlib.crc32(body, zlib.crc32(header))) + body)


class Soak(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="casemate-soak-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.run_dir = self.folder / "run"
        self.env = dict(os.environ, CASEMATE_HOME=str(self.folder / "home"), CASEMATE_RUN_DIR=str(self.run_dir),
                        NITRO_CLI_LOGS_PATH=str(self.folder / "logs"))
        for name in ("NITRO_CLI_SOCKETS_PATH", "NOTIFY_SOCKET"):
            self.env.pop(name, None)
        eif(self.folder / "soak.eif", "serve")
        self.addCleanup(lambda: self.cli("terminate-enclave", "--all"))
        self.supervisors = set()
        self.mounts = pathlib.Path("/proc/self/mountinfo").read_text()
        # The hierarchy of keys is made by the first start; the others then cost the same.
        self.terminate(self.start()["EnclaveID"])

    def command(self, *more):
        return [NITRO_CLI, "run-enclave", "--cpu-count", "2", "--memory", "64", "--eif-path", str(self.folder / "soak.eif"), *more]

    def cli(self, *arguments):
        return subprocess.run([NITRO_CLI, *arguments], env=self.env, capture_output=True, text=True, timeout=120)

    def start(self, *more):
        done = subprocess.run(self.command(*more), env=self.env, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        record = json.loads(done.stdout)
        self.supervisors.add(record["ProcessID"])
        return record

    def terminate(self, enclave):
        done = self.cli("terminate-enclave", "--enclave-id", enclave)
        self.assertEqual(done.returncode, 0, done.stderr)

    def described(self):
        done = self.cli("describe-enclaves")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def ours(self):
        """Every process of this platform: supervisors, their keepers and guests, by their environment or their parents."""
        needle = f"CASEMATE_RUN_DIR={self.run_dir}".encode()
        parents, found = {}, set()
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                state, parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:2]
                if state == "Z":
                    continue
                parents[int(entry.name)] = int(parent)
                if needle in (entry / "environ").read_bytes().split(b"\0"):
                    found.add(int(entry.name))
            except OSError:
                continue
        grown = True
        while grown:
            more = {pid for pid, parent in parents.items() if parent in found} - found
            grown = bool(more)
            found |= more
        return found

    def guests(self):
        """Processes of an application of ours, wherever they hang: their program is /app of this image."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and (entry / "cmdline").read_bytes() == b"/app\0serve\0":
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def groups(self):
        """Control groups of supervisors of ours, by their pids."""
        return [str(path) for path in pathlib.Path("/sys/fs/cgroup").rglob("casemate-*")
                if path.is_dir() and int(path.name.split("-")[1]) in self.supervisors]

    def assert_nothing_left(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and (self.ours() or self.left()):
            self.described()  # whoever asks clears away
            time.sleep(0.02)
        self.assertEqual(self.ours(), set())
        self.assertEqual(self.left(), [])
        self.assertEqual(pathlib.Path("/proc/self/mountinfo").read_text(), self.mounts)

    def left(self):
        names = [f"enclaves/{p.name}" for p in (self.run_dir / "enclaves").iterdir() if not p.name.startswith(".")]
        return names + [f"vsock/{p.name}" for p in (self.run_dir / "vsock").iterdir() if p.name not in ("peer", "3")]

    def test_sudden_death_at_any_point(self):
        rng = random.Random(SEED)
        before = self.guests()
        for i in range(KILLS):
            victim = rng.choice(["nitro-cli", "supervisor", "application", "supervisor while starting"])
            starting = subprocess.Popen(self.command(), env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            if victim in ("nitro-cli", "supervisor while starting"):
                time.sleep(rng.random() * 0.15)
                target = starting.pid
                if victim != "nitro-cli":
                    children = [pid for pid in self.ours() if pid != starting.pid]
                    target = min(children) if children else starting.pid
                try:
                    os.kill(target, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                starting.communicate(timeout=60)
            else:
                out, err = starting.communicate(timeout=60)
                self.assertEqual(starting.returncode, 0, err)
                record = json.loads(out)
                self.supervisors.add(record["ProcessID"])
                target = record["ProcessID"]
                if victim == "application":
                    mine = [pid for pid in self.guests() if pid not in before]
                    target = mine[-1] if mine else target
                time.sleep(rng.random() * 0.05)
                try:
                    os.kill(target, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            alive = {enclave["ProcessID"] for enclave in self.described()}
            for pid in alive:
                self.assertTrue(pathlib.Path(f"/proc/{pid}").exists(), f"{victim}: described, but gone")
            self.cli("terminate-enclave", "--all")
            with self.subTest(i=i, victim=victim):
                self.assert_nothing_left()
        # A killed supervisor's groups go with the next start.
        self.terminate(self.start()["EnclaveID"])
        self.assertEqual(self.groups(), [])

    def test_starting_and_terminating_leaks_nothing(self):
        for _ in range(CYCLES):
            self.terminate(self.start()["EnclaveID"])
        self.assert_nothing_left()
        self.assertLessEqual(len(list((self.run_dir / "ended").iterdir())), 32)

    def test_starts_at_once(self):
        with ThreadPoolExecutor(PARALLEL) as pool:
            records = list(pool.map(lambda _: self.start(), range(PARALLEL)))
        self.assertEqual(len({record["EnclaveCID"] for record in records}), PARALLEL)
        self.assertEqual(len({record["EnclaveName"] for record in records}), PARALLEL)
        self.assertEqual({e["EnclaveID"] for e in self.described()}, {record["EnclaveID"] for record in records})
        self.assertEqual(self.cli("terminate-enclave", "--all").returncode, 0)
        self.assert_nothing_left()

    def test_many_at_once_stay_small(self):
        records = [self.start() for _ in range(MANY)]
        self.assertEqual(len(self.described()), MANY)
        sizes = [json.loads(self.cli("stats", "--enclave-id", record["EnclaveID"]).stdout)["SupervisorResidentBytes"] for record in records]
        print(f"{MANY} enclaves at once, supervisors of {min(sizes) / 2**20:.1f} to {max(sizes) / 2**20:.1f} MiB", file=sys.stderr)
        self.assertEqual(self.cli("terminate-enclave", "--all").returncode, 0)
        self.assert_nothing_left()


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
