#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starting an enclave, cold (nothing kept of its image) and warm, beside docker, runc and bubblewrap starting the same root
file system, in turn; what intercepted calls and established connections cost in a guest, beside a bare notification and a
plain Unix socket; memory of supervisors, many at once. Prints medians.

BENCH_SIZES (MiB of the root, "1 50 500"), BENCH_ROUNDS (7), BENCH_MANY (enclaves at once, 50). Needs root, and dockerd, runc
and bwrap for their rows. The Docker engine is one of its own, in a folder that goes afterwards, without a network."""

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
SIZES = [int(size) for size in os.environ.get("BENCH_SIZES", "1 50 500").split()]
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
MANY = int(os.environ.get("BENCH_MANY", "50"))
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


class Docker:
    """An engine of this run's own."""

    def __init__(self, folder):
        self.folder = folder
        self.host = f"unix://{folder}/docker.sock"
        folder.mkdir()
        self.log = (folder / "log").open("w")
        self.engine = subprocess.Popen(
            ["dockerd", "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid"), "-H", self.host,
             "--iptables=false", "--ip6tables=false", "--bridge=none"], stdout=self.log, stderr=self.log, start_new_session=True)
        deadline = time.monotonic() + 60
        while subprocess.run(["docker", "-H", self.host, "version"], capture_output=True).returncode != 0:
            if time.monotonic() > deadline or self.engine.poll() is not None:
                self.close()
                raise RuntimeError((folder / "log").read_text()[-500:])
            time.sleep(0.1)

    def add(self, name, root):
        with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
            subprocess.run(["docker", "-H", self.host, "import", "-", name], stdin=tar.stdout, check=True, capture_output=True)

    def run(self, name):
        return timed(["docker", "-H", self.host, "run", "--rm", "--network", "none", name, "/app", "end"])[0]

    def close(self):
        self.engine.terminate()
        self.engine.wait(timeout=60)
        self.log.close()


def open_docker(folder):
    if not shutil.which("dockerd") or not shutil.which("docker"):
        return None
    try:
        return Docker(folder)
    except RuntimeError as error:
        print(f"no docker rows: {error}")
        return None


class Bench:
    def __init__(self):
        self.soak = load_soak()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="casemate-bench-"))
        self.docker = open_docker(self.folder / "docker")
        self.env = dict(os.environ, CASEMATE_HOME=str(self.folder / "home"), CASEMATE_RUN_DIR=str(self.folder / "run"))

    def close(self):
        self.cli("terminate-enclave", "--all")
        if self.docker:
            self.docker.close()
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
        time.sleep(0.1)  # younger files are not known again
        if self.docker:
            self.docker.add(f"start{size_mib}", root)
        bwrap = ["bwrap", "--unshare-all", "--bind", str(root), "/", "--proc", "/proc", "--dev", "/dev", "/app", "end"]
        number = iter(range(1000))

        def cold():
            shutil.rmtree(self.folder / "home" / "cache", ignore_errors=True)
            return self.run(image)[0]

        ways = {"run-enclave, cold": cold, "run-enclave, warm": lambda: self.run(image)[0]}
        if self.docker:
            ways["docker run"] = lambda: self.docker.run(f"start{size_mib}")
        if shutil.which("runc"):
            ways["runc run"] = lambda: timed(["runc", "run", "--bundle", str(bundle), f"bench{os.getpid()}-{next(number)}"])[0]
        if shutil.which("bwrap"):
            ways["bubblewrap"] = lambda: timed(bwrap)[0]
        rows = {name: [] for name in ways}
        for i in range(ROUNDS + 1):
            for name, way in ways.items():
                took = way()
                if i > 0:  # the first of each fills caches of its own
                    rows[name].append(took)
        medians = {name: statistics.median(values) for name, values in rows.items()}
        warm = medians["run-enclave, warm"]
        for name, value in medians.items():
            print(f"start, root of {size_mib:4} MiB   {name:20} {value:8.1f} ms   warm start: x {warm / value:.2f}", flush=True)
        shutil.rmtree(bundle)
        image.unlink()

    def calls(self):
        image = self.image("calls", CALLS, "", 1)
        record = json.loads(self.run(image, "--debug-mode")[1])
        timed([self.soak.NITRO_CLI, "wait", "--enclave-id", record["EnclaveID"]], env=self.env)
        text = self.cli("logs", "--enclave-id", record["EnclaveID"])[1]
        values = dict(line.split() for line in text.splitlines() if len(line.split()) == 2 and line[0].isalpha())
        v = {name: float(value) for name, value in values.items()}
        v["bare_us"] = statistics.median(float(timed([str(CALLS), "bare"])[1].split()[1]) for _ in range(3))
        print(f"intercepted call {v['intercepted_us']:.1f} us, bare notification {v['bare_us']:.1f} us: x {v['intercepted_us'] / v['bare_us']:.2f}; "
              f"resumed (with a look at the socket) {v['resumed_us']:.1f} us")
        print(f"established vsock {v['vsock_mb_s']:.0f} MB/s, Unix socket {v['unix_mb_s']:.0f} MB/s: x {v['vsock_mb_s'] / v['unix_mb_s']:.2f}")
        print(f"round trips {v['vsock_round_trips_s']:.0f}/s, Unix socket {v['unix_round_trips_s']:.0f}/s: x {v['vsock_round_trips_s'] / v['unix_round_trips_s']:.2f}")

    def many(self):
        image = self.image("many", self.soak.GUEST, "serve", 1)
        ids = [json.loads(self.run(image)[1])["EnclaveID"] for _ in range(MANY)]
        sizes = [json.loads(self.cli("stats", "--enclave-id", enclave)[1])["SupervisorResidentBytes"] / 2**20 for enclave in ids]
        print(f"{len(ids)} enclaves at once; supervisor {statistics.median(sizes):.1f} MiB resident")


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
