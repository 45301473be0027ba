#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times nitro-cli's build-enclave, --dry-run and describe-eif against `openssl dgst -sha384` and `cp` of the same bytes,
in turn, in one run: the machine drifts, so only ratios count. Images are uncompressed OCI layouts.
usage: bench/image/run.py BUILDDIR [MEGABYTES...]   (default 50 500 2000; a release build)"""

import hashlib
import io
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

ROUNDS = 7
ROUNDS_FROM_A_GIGABYTE = 3


def layout(folder, megabytes):
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    path = folder / "layer"
    block = os.urandom(1 << 20)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        # Large files for half of it (a cpio entry ends at 4 GiB), small ones for the rest, as images are.
        for number in range(megabytes // 2 * 16):
            info = tarfile.TarInfo(f"usr/lib/{number % 97:02}/file{number:06}")
            info.size, info.mode, info.mtime = 1 << 16, 0o644, 1700000000
            tar.addfile(info, io.BytesIO(block[:1 << 16]))

        class Repeat(io.RawIOBase):
            def read(self, size=-1):
                return block[:size]

        left = megabytes // 2
        while left > 0:
            info = tarfile.TarInfo(f"var/data{left}")
            info.size, info.mode, info.mtime = min(left, 2048) << 20, 0o644, 1700000000
            tar.addfile(info, Repeat())
            left -= min(left, 2048)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    layer = digest.hexdigest()
    path.rename(blobs / layer)

    def add(value):
        data = json.dumps(value).encode()
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return {"digest": f"sha256:{name}", "size": len(data)}
    config = add({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/run"], "Env": ["PATH=/bin"]},
                  "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]}})
    manifest = add({"schemaVersion": 2, "config": config, "layers": [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": f"sha256:{layer}", "size": (blobs / layer).stat().st_size}]})
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))


def timed(command, env):
    """Seconds, and seconds of processor time, which other work on the machine changes little."""
    start = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, errors = process.communicate()
    seconds = time.monotonic() - start
    if process.returncode != 0:
        sys.exit(f"{command}: {errors.decode()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    nitro_cli = str(pathlib.Path(sys.argv[1]).resolve() / "bin/nitro-cli")
    sizes = [int(text) for text in sys.argv[2:]] or [50, 500, 2000]
    print(f"{'MB':>6} {'openssl':>8} {'cp':>8} {'build':>8} {'dry-run':>8} {'describe':>8}   build/max  dry-run/openssl  describe/openssl")
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as name:
        folder = pathlib.Path(name)
        blobs = folder / "blobs"
        blobs.mkdir()
        (blobs / "bzImage").write_bytes(os.urandom(10 << 20))
        (blobs / "bzImage.config").write_text("#\n#\n# Linux/x86 6.1.192 Kernel Configuration\n")
        (blobs / "cmdline").write_text("console=ttyS0")
        (blobs / "init").write_bytes(b"init")
        env = dict(os.environ, NITRO_CLI_BLOBS=str(blobs), NITRO_CLI_LOGS_PATH=name)
        for size in sizes:
            image = folder / f"image{size}"
            layout(image, size)
            eif, copy = folder / "x.eif", folder / "copy"
            uri = f"oci:{image}"
            commands = {
                "build": [nitro_cli, "build-enclave", "--docker-uri", uri, "--output-file", str(eif)],
                "openssl": ["openssl", "dgst", "-sha384", str(eif)],
                "cp": ["cp", str(eif), str(copy)],
                "dry-run": [nitro_cli, "build-enclave", "--docker-uri", uri, "--dry-run"],
                "describe": [nitro_cli, "describe-eif", "--eif-path", str(eif)],
            }
            taken = {verb: [] for verb in commands}
            # The first round is not counted: memory that the page cache has never had costs whoever writes first.
            for turn in range((ROUNDS if size < 1000 else ROUNDS_FROM_A_GIGABYTE) + 1):
                for verb, command in commands.items():
                    written = {"build": eif, "cp": copy}.get(verb)
                    if written is not None:
                        written.unlink(missing_ok=True)
                    seconds = timed(command, env)
                    if turn > 0:
                        taken[verb].append(seconds)
            median = {verb: statistics.median(wall for wall, _ in times) for verb, times in taken.items()}
            processor = {verb: statistics.median(used for _, used in times) for verb, times in taken.items()}
            walls = {verb: [wall for wall, _ in times] for verb, times in taken.items()}
            limit = [max(pair) for pair in zip(walls["openssl"], walls["cp"])]

            def ratio(verb, base):
                """Median of the turns' ratios: what a turn runs is seconds apart, the turns are not."""
                return statistics.median(one / other for one, other in zip(walls[verb], base))
            print(f"{size:6} " + " ".join(f"{median[verb]:8.2f}" for verb in ("openssl", "cp", "build", "dry-run", "describe")) +
                  f"   {ratio('build', limit):9.2f}  {ratio('dry-run', walls['openssl']):15.2f}"
                  f"  {ratio('describe', walls['openssl']):16.2f}", flush=True)
            print("   cpu " + " ".join(f"{processor[verb]:8.2f}" for verb in ("openssl", "cp", "build", "dry-run", "describe")), flush=True)
            subprocess.run(["rm", "-rf", str(image)], check=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        print(f"peak memory of any process: {peak} MiB")


if __name__ == "__main__":
    main()
