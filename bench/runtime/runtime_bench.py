#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starting an enclave, cold (nothing kept of its image) and warm, beside docker, runc and bubblewrap starting the same root
file system, in turn; what intercepted calls and established connections cost in a guest, beside a bare notification and a
plain Unix socket; memory of supervisors, many at once. Prints medians.

BENCH_SIZES (MiB of the root, "1 50 500"), BENCH_ROUNDS (7), BENCH_CALL_ROUNDS (15), BENCH_TRAFFIC_ROUNDS (40), BENCH_MANY
(enclaves at once, 50; 0 for no such row). Needs root, and dockerd, runc and bwrap for their rows. The Docker engine is one of its own, in a folder that goes afterwards, without a network."""

import importlib.util
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("CASEMATE_BUILD_DIR", HERE.parents[1] / "build"))
SIZES = [int(size) for size in os.environ.get("BENCH_SIZES", "1 50 500").split()]
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
CALL_ROUNDS = int(os.environ.get("BENCH_CALL_ROUNDS", "15"))
TRAFFIC_ROUNDS = int(os.environ.get("BENCH_TRAFFIC_ROUNDS", "40"))
MANY = int(os.environ.get("BENCH_MANY", "50"))
MEMORY = "/dev/shm"
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
    if not SIZES or not shutil.which("dockerd") or not shutil.which("docker"):
        return None
    try:
        return Docker(folder)
    except RuntimeError as error:
        print(f"no docker rows: {error}")
        return None


def read_values(lines):
    values = {}
    for line in lines:
        if not line.strip():
            return values
        name, value = line.split()
        values[name] = float(value)
    raise RuntimeError("calls: ended early")


class Control:
    """The calls' guest, by its fabric socket."""

    def __init__(self, fabric, cid):
        self.socket = socket.socket(socket.AF_UNIX)
        own = fabric / "peer" / f"3.{os.getpid()}"
        self.socket.bind(str(own))
        self.socket.connect(str(fabric / str(cid) / "9000"))
        own.unlink()
        self.lines = self.socket.makefile("r")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.lines.close()
        self.socket.close()

    def round(self, which):
        self.socket.sendall(which)
        return read_values(self.lines)


class Bare:
    """Notifications without our supervisor."""

    def __init__(self, folder):
        self.process = subprocess.Popen([str(CALLS), "bare", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()

    def round(self):
        self.process.stdin.write(b"r")
        self.process.stdin.flush()
        return read_values(line.decode() for line in self.process.stdout)


class Bench:
    def __init__(self):
        self.soak = load_soak()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="casemate-bench-"))
        self.docker = open_docker(self.folder / "docker")
        # A memory file system, as /run is: bind(2) makes a file there.
        self.run_folder = pathlib.Path(tempfile.mkdtemp(prefix="casemate-bench-", dir=MEMORY))
        self.env = dict(os.environ, CASEMATE_HOME=str(self.folder / "home"), CASEMATE_RUN_DIR=str(self.run_folder / "run"))

    def close(self):
        self.cli("terminate-enclave", "--all")
        if self.docker:
            self.docker.close()
        for folder in (self.folder, self.run_folder):
            shutil.rmtree(folder, ignore_errors=True)

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
        """Rounds in a guest and beside it in turn: the median of the rounds' ratios, so that the machine's drift is in none."""
        image = self.image("calls", CALLS, "", 1)
        record = json.loads(self.run(image, "--debug-mode", "--wait-ready", "9000")[1])
        with tempfile.TemporaryDirectory(prefix="bare-", dir=MEMORY) as names, Control(self.run_folder / "run" / "vsock", record["EnclaveCID"]) as guest, \
                Bare(names) as bare:
            rows, traffic = [], []
            for i in range(CALL_ROUNDS + 1):
                in_guest, beside = guest.round(b"c"), bare.round()
                if i > 0:
                    rows.append((in_guest, beside))
            for i in range(TRAFFIC_ROUNDS + 1):
                row = guest.round(b"t")
                if i > 0:
                    traffic.append(row)
        answered = statistics.median(bare["answered"] for _, bare in rows)
        print(f"a notification that is merely answered: {answered:.1f} us")
        for name in rows[0][0]:
            cost = statistics.median(guest[name] for guest, _ in rows)
            merely = statistics.median(guest[name] / bare["answered"] for guest, bare in rows)
            text = f"intercepted {name:16} {cost:6.1f} us   x {merely:.2f} of one merely answered"
            if name in rows[0][1]:
                least = statistics.median(bare[name] for _, bare in rows)
                ratio = statistics.median(guest[name] / bare[name] for guest, bare in rows)
                text += f"; x {ratio:.2f} of the least that answers it ({least:.1f} us)"
            print(text)
        for what, unit in (("mb_s", "MB/s"), ("round_trips_s", "round trips/s")):
            ours, plain = (statistics.median(row[f"{kind}_{what}"] for row in traffic) for kind in ("vsock", "unix"))
            ratios = sorted(row[f"vsock_{what}"] / row[f"unix_{what}"] for row in traffic)
            print(f"established vsock {ours:.0f} {unit}, Unix socket {plain:.0f}: x {statistics.median(ratios):.3f} "
                  f"(half of the rounds {ratios[len(ratios) // 4]:.2f} to {ratios[3 * len(ratios) // 4]:.2f})", flush=True)

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
        if MANY:
            bench.many()
    finally:
        bench.close()


if __name__ == "__main__":
    main()
