#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starting an enclave beside runc and bubblewrap starting the same root file system, in turn; what intercepted calls and
established connections cost in a guest; memory of supervisors. Prints medians.

BENCH_SIZES (MiB of the root, "1 50"), BENCH_ROUNDS (7), BENCH_MANY (enclaves at once, 10). Needs root, and runc and bwrap for
their rows."""

import importlib.util
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("CASEMATE_BUILD_DIR", HERE.parents[1] / "build"))
SIZES = [int(size) for size in os.environ.get("BENCH_SIZES", "1 50").split()]
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
MANY = int(os.environ.get("BENCH_MANY", "10"))
CALLS = BUILD / "bench" / "runtime_calls"


def load_soak():
    spec = importlib.util.spec_from_file_location("soak", HERE.parents[1] / "tests" / "soak" / "soak.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def timed(command, **more):
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    took = (time.monotonic() - start) * 1000
    if done.returncode not in (0, 7):
        raise RuntimeError(f"{command[0]}: {done.stderr}")
    return took, done.stdout


def make_bundle(folder, guest, size_mib):
    root = folder / "rootfs"
    for name in ("dev", "run", "sys", "var", "proc", "tmp"):
        (root / name).mkdir(parents=True)
    shutil.copy(guest, root / "app")
    if size_mib > 1:
        (root / "filler").write_bytes(os.urandom(1 << 20) * size_mib)
    subprocess.run(["runc", "spec"], cwd=folder, check=True)
    spec = json.loads((folder / "config.json").read_text())
    spec["process"]["terminal"] = False
    spec["process"]["args"] = ["/app", "end"]
    (folder / "config.json").write_text(json.dumps(spec))
    return root


class Bench:
    def __init__(self):
        self.soak = load_soak()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="casemate-bench-"))
        self.env = dict(os.environ, CASEMATE_HOME=str(self.folder / "home"), CASEMATE_RUN_DIR=str(self.folder / "run"))

    def close(self):
        self.cli("terminate-enclave", "--all")
        shutil.rmtree(self.folder, ignore_errors=True)

    def cli(self, *arguments):
        return timed([self.soak.NITRO_CLI, *arguments], env=self.env)

    def image(self, name, program, argument, size_mib):
        path = self.folder / f"{name}.eif"
        filler = [("rootfs/filler", 0o100644, os.urandom(1 << 20) * size_mib)] if size_mib > 1 else []
        self.soak.eif(path, argument, program, filler)
        return path

    def run(self, image, *more):
        memory = str(max(64, 4 * image.stat().st_size // (1 << 20) + 8))
        return self.cli("run-enclave", "--cpu-count", "2", "--memory", memory, "--eif-path", str(image), *more)

    def starts(self, size_mib):
        bundle = self.folder / f"bundle{size_mib}"
        bundle.mkdir()
        root = make_bundle(bundle, self.soak.GUEST, size_mib)
        image = self.image(f"start{size_mib}", self.soak.GUEST, "end", size_mib)
        rows = {"nitro-cli run-enclave": [], "runc run": [], "bubblewrap": []}
        for i in range(ROUNDS + 1):
            rows["nitro-cli run-enclave"].append(self.run(image)[0])
            if shutil.which("runc"):
                rows["runc run"].append(timed(["runc", "run", "--bundle", str(bundle), f"bench{os.getpid()}-{i}"])[0])
            if shutil.which("bwrap"):
                rows["bubblewrap"].append(timed(["bwrap", "--unshare-all", "--bind", str(root), "/", "--proc", "/proc", "--dev", "/dev", "/app", "end"])[0])
        for name, values in rows.items():
            if values:
                print(f"start, root of {size_mib:4} MiB   {name:24} {values[0]:8.1f} ms first, {statistics.median(values[1:]):8.1f} ms median")

    def calls(self):
        image = self.image("calls", CALLS, "", 1)
        record = json.loads(self.run(image, "--debug-mode")[1])
        timed([self.soak.NITRO_CLI, "wait", "--enclave-id", record["EnclaveID"]], env=self.env)
        text = self.cli("logs", "--enclave-id", record["EnclaveID"])[1]
        values = dict(line.split() for line in text.splitlines() if len(line.split()) == 2 and line[0].isalpha())
        v = {name: float(value) for name, value in values.items()}
        print(f"intercepted call {v['intercepted_us']:.1f} us, resumed (a bare notification and a look at the socket) {v['resumed_us']:.1f} us: x {v['intercepted_us'] / v['resumed_us']:.2f}")
        print(f"established vsock {v['vsock_mb_s']:.0f} MB/s, Unix socket {v['unix_mb_s']:.0f} MB/s: x {v['vsock_mb_s'] / v['unix_mb_s']:.2f}")
        print(f"round trips {v['vsock_round_trips_s']:.0f}/s, Unix socket {v['unix_round_trips_s']:.0f}/s: x {v['vsock_round_trips_s'] / v['unix_round_trips_s']:.2f}")

    def many(self):
        image = self.image("many", self.soak.GUEST, "serve", 1)
        ids = [json.loads(self.run(image)[1])["EnclaveID"] for _ in range(MANY)]
        sizes = [json.loads(self.cli("stats", "--enclave-id", enclave)[1])["SupervisorResidentBytes"] / 2**20 for enclave in ids]
        print(f"{MANY} enclaves at once; supervisor {statistics.median(sizes):.1f} MiB resident")


def main():
    bench = Bench()
    try:
        bench.calls()
        for size in SIZES:
            bench.starts(size)
        bench.many()
    finally:
        bench.close()


if __name__ == "__main__":
    main()
