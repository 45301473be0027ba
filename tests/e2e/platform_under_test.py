# SPDX-License-Identifier: Apache-2.0
"""A casemate platform of its own for one test: programs, folders, environments, and how to reach an enclave's vsock."""

import contextlib
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("CASEMATE_BUILD_DIR", SOURCE / "build"))
BIN = BUILD / "bin"
IMAGES = BUILD / "images"
BUILDAH = ["buildah", "--storage-driver", "vfs"]


class Output:
    def __init__(self, completed):
        self.status = completed.returncode
        self.out = completed.stdout
        self.err = completed.stderr
        self.text = self.out + self.err

    def __repr__(self):
        return f"exit status {self.status}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Platform:
    """Everything lives under one temporary folder; close() brings the platform down and removes it."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="casemate-e2e-"))
        self.home = self.folder / "home"
        self.run_dir = self.folder / "run"
        self.logs = self.folder / "logs"
        self.work = self.folder / "work"
        self.logs.mkdir()
        self.work.mkdir()
        self.background = []
        self.base = dict(os.environ)
        for name in list(self.base):
            if name.startswith(("AWS_", "CASEMATE_", "NITRO_", "VSOCK_")):
                del self.base[name]
        self.base.update(
            CASEMATE_HOME=str(self.home),
            CASEMATE_RUN_DIR=str(self.run_dir),
            NITRO_CLI_LOGS_PATH=str(self.logs),
            HOME=str(self.folder),
            PATH=f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        # buildah's storage must not land in the home folder of whoever runs the tests, nor be made anew per platform.
        self.base["CONTAINERS_STORAGE_CONF"] = str(self.storage_conf())
        self.parent = None
        self.admin = None

    def storage_conf(self):
        conf = self.folder / "storage.conf"
        conf.write_text(
            f'[storage]\ndriver = "vfs"\nrunroot = "{self.folder}/containers-run"\ngraphroot = "{self.folder}/containers"\n'
        )
        return conf

    def sh(self, command, env=None, timeout=180, stdin=None):
        """Runs a shell command in the working folder and returns its Output."""
        return Output(
            subprocess.run(
                ["bash", "--noprofile", "--norc", "-c", command],
                cwd=self.work,
                env=env or self.parent or self.base,
                stdin=subprocess.DEVNULL if stdin is None else None,
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
            )
        )

    def ok(self, command, env=None, timeout=180):
        output = self.sh(command, env, timeout)
        assert output.status == 0, f"{command}\n{output}"
        return output.out

    def up(self, flags=""):
        self.ok(f"casemate up --listen 127.0.0.1:0 --imds 127.0.0.1:0 {flags}", self.base)
        self.parent = self.environment("")
        self.admin = self.environment("--admin")
        # The functions of the shell do not cross an exec; the tests say --endpoint-url themselves where it is needed.
        return self

    def environment(self, flags):
        text = self.ok(f'eval "$(casemate env {flags})" && env -0', self.base)
        return dict(item.split("=", 1) for item in text.split("\0") if "=" in item and not item.startswith("BASH_FUNC"))

    def aws(self, arguments, env=None):
        env = env or self.parent
        return self.sh(f'aws --endpoint-url "$AWS_ENDPOINT_URL_KMS" {arguments}', env)

    def start(self, arguments, env=None):
        """Starts a program in the background, ended by close()."""
        log = open(self.folder / "background.log", "ab")
        process = subprocess.Popen(arguments, cwd=self.work, env=env or self.parent, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        self.background.append(process)
        return process

    def start_proxy(self, env=None):
        process = self.start(["vsock-proxy", "8000", "kms.us-east-1.amazonaws.com", "443"], env)
        self.wait_for(lambda: (self.run_dir / "vsock" / "3" / "8000").exists(), "vsock-proxy listens")
        return process

    @staticmethod
    def wait_for(condition, what, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            result = condition()
            if result:
                return result
            time.sleep(0.02)
        raise AssertionError(f"not within {seconds} s: {what}")

    def build_with_buildah(self, context, name):
        self.ok(f"{' '.join(BUILDAH)} build --quiet --isolation chroot --tag {name}:latest {context}", self.base)
        self.ok(f"{' '.join(BUILDAH)} push --quiet {name}:latest oci-archive:{name}.tar:{name}:latest", self.base)
        return f"oci-archive:{name}.tar"

    def build_enclave(self, uri, name, more="", env=None):
        text = self.ok(f"nitro-cli build-enclave --docker-uri {uri} --name {name} --output-file {name}.eif {more}", env or self.base)
        return json.loads(text)["Measurements"]

    def run_enclave(self, name, more=""):
        return json.loads(self.ok(f"nitro-cli run-enclave --cpu-count 2 --memory 2148 --eif-path {name}.eif {more}"))

    def describe(self):
        return json.loads(self.ok("nitro-cli describe-enclaves"))

    def terminate_all(self):
        self.ok("nitro-cli terminate-enclave --all")

    def connect(self, cid, port, timeout=20):
        """Connects to a vsock port of an enclave as a program on the parent (CID 3) would."""
        peers = self.run_dir / "vsock" / "peer"
        peers.mkdir(mode=0o700, exist_ok=True)
        with contextlib.ExitStack() as stack:
            root = os.open(self.run_dir / "vsock", os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, root)
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            name = f"/proc/self/fd/{root}/peer/3.{1024 + secrets.randbelow(1 << 30)}.{os.getpid()}"
            sock.bind(name)
            stack.callback(os.unlink, name)
            sock.settimeout(timeout)
            sock.connect(f"/proc/self/fd/{root}/{cid}/{port}")
            return sock

    def wait_for_port(self, cid, port, seconds=30):
        self.wait_for(lambda: (self.run_dir / "vsock" / str(cid) / str(port)).exists(), f"enclave {cid} listens on {port}", seconds)

    def processes(self):
        """Every process whose environment names this platform's run folder, guests included: {pid: command line}."""
        found = {}
        needle = f"CASEMATE_RUN_DIR={self.run_dir}".encode()
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                if needle in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return found

    def pid_of(self, program):
        return [pid for pid, line in self.processes().items() if line.split(" ", 1)[0].endswith("/" + program) or line.split(" ", 1)[0] == program]

    def close(self):
        for process in self.background:
            process.terminate()
        for process in self.background:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.sh("casemate down", self.base)
        for pid in self.processes():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


def copy_closure(root, programs):
    """Copies programs with the shared libraries that ldd names."""
    todo = {pathlib.Path(path) for path in programs}
    for program in programs:
        for line in subprocess.run(["ldd", program], capture_output=True, text=True).stdout.splitlines():
            for word in line.split():
                if word.startswith("/"):
                    todo.add(pathlib.Path(word))
    for path in todo:
        target = root / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


class DockerEngine:
    """Debian's Docker engine on a socket and data root of its own."""

    PROGRAM = "/usr/sbin/dockerd"
    CLIENT = "/usr/bin/docker"

    def __init__(self, folder):
        self.folder = pathlib.Path(folder) / "docker"
        self.folder.mkdir()
        self.socket = self.folder / "docker.sock"
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(
            [self.PROGRAM, "--iptables=false", "--bridge=none", "--data-root", self.folder / "data", "--exec-root", self.folder / "exec",
             "--pidfile", self.folder / "pid", "--host", f"unix://{self.socket}", "--storage-driver", "vfs"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            Platform.wait_for(self.answers, "the Docker engine answers", 60)
        except AssertionError:
            self.close()
            raise

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError((self.folder / "log").read_text(errors="replace")[-2000:])
        return subprocess.run([self.CLIENT, "version"], env=dict(os.environ, DOCKER_HOST=f"unix://{self.socket}"),
                              capture_output=True).returncode == 0

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def memory_regions(pid):
    """Yields (start, bytes) of a process's readable private memory."""
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps.splitlines():
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) (....) \S+ \S+ \S+\s*(.*)", line)
            if not match or match[3][0] != "r" or match[4] in ("[vvar]", "[vvar_vclock]", "[vsyscall]"):
                continue
            start, end = int(match[1], 16), int(match[2], 16)
            with contextlib.suppress(OSError, ValueError):
                memory.seek(start)
                yield start, memory.read(end - start)


def find_in_memory(pid, needles):
    return [(hex(start + data.find(needle)), needle) for start, data in memory_regions(pid) for needle in needles if needle in data]


def find_in_files(folder, needles, skip=()):
    hits = []
    for path in pathlib.Path(folder).rglob("*"):
        if path in skip or not path.is_file():
            continue
        data = path.read_bytes()
        hits += [(str(path), needle) for needle in needles if needle in data]
    return hits


class RecordingRelay:
    """A TCP relay on loopback that keeps every byte it passes on, to stand between vsock-proxy and KMS."""

    def __init__(self, target_port):
        import threading

        self.target_port = target_port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.recorded = bytearray()
        self.lock = threading.Lock()
        self.threading = threading
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target_port))
            for source, sink in ((client, server), (server, client)):
                self.threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                with self.lock:
                    self.recorded += data
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def close(self):
        self.listener.close()
