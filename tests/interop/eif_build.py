#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Enclave images that nitro-cli builds, checked with other people's tools: Debian's cpio, zlib, hashlib, python3-cbor2,
the OpenSSL program, buildah, skopeo and a Docker engine. usage: eif_build.py BUILDDIR [unittest arguments]"""

import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
import zlib

import cbor2

BUILD = pathlib.Path(sys.argv[1]).resolve()
NITRO_CLI = str(BUILD / "bin/nitro-cli")


def layer(members):
    """An uncompressed layer of (name, type, content or link, mode)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, content, mode in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime = kind, mode, 1700000000
            info.uid, info.gid = (1000, 100) if name.startswith("home") else (0, 0)
            if kind == tarfile.REGTYPE:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.linkname = content
                tar.addfile(info)
    return out.getvalue()


FILE, FOLDER, LINK, HARD, FIFO = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE
LAYERS = [
    layer([("app/", FOLDER, "", 0o755), ("app/run", FILE, b"#!/bin/sh\n" * 300, 0o755), ("app-data", FILE, b"x", 0o644),
           ("app/" + "n" * 150, FILE, b"long", 0o600), ("gone", FILE, b"gone", 0o644), ("usr/", FOLDER, "", 0o755),
           ("usr/lib/", FOLDER, "", 0o755), ("lib", LINK, "usr/lib", 0o777), ("home/", FOLDER, "", 0o700),
           ("home/f", FILE, b"f", 0o4755), ("z", FILE, b"same", 0o644), ("a", HARD, "z", 0o644),
           ("old/", FOLDER, "", 0o755), ("old/f", FILE, b"f", 0o644), ("etc", LINK, "usr", 0o777)]),
    layer([("lib/new", FILE, os.urandom(5000), 0o644), (".wh.gone", FILE, b"", 0o644), ("old/.wh..wh..opq", FILE, b"", 0o644),
           ("old/g", FILE, b"g", 0o644), ("pipe", FIFO, "", 0o640), ("app-data", FILE, b"y" * 700000, 0o644)]),
]


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def config_of(layers, run, architecture="amd64"):
    return json.dumps({"architecture": architecture, "os": "linux", "config": run,
                       "rootfs": {"type": "layers", "diff_ids": [digest(l) for l in layers]}}).encode()


RUN = {"Cmd": ["/app/run", "--port", "5000"], "Env": ["PATH=/bin"], "WorkingDir": "/srv/dir"}
CONFIG = config_of(LAYERS, RUN)
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


class Layout:
    """An OCI layout in the making: blobs by digest, and an index."""

    def __init__(self, folder):
        self.folder = folder
        self.blobs = folder / "blobs/sha256"
        self.blobs.mkdir(parents=True, exist_ok=True)

    def add(self, data):
        (self.blobs / hashlib.sha256(data).hexdigest()).write_bytes(data)
        return {"digest": digest(data), "size": len(data)}

    def add_json(self, value):
        return self.add(json.dumps(value).encode())

    def manifest(self, config, layers):
        return {"mediaType": "application/vnd.oci.image.manifest.v1+json",
                **self.add_json({"schemaVersion": 2, "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **self.add(config)},
                                 "layers": [{"mediaType": LAYER_TYPE, **self.add(l)} for l in layers]})}

    def finish(self, *manifests):
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": list(manifests)}))
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def write_image(folder, layers, run, compress=lambda data: data, config=None):
    """A layout of one image, tagged latest; `run` is the config's own config."""
    layout = Layout(folder)
    manifest = layout.manifest(config_of(layers, run) if config is None else config, [compress(l) for l in layers])
    layout.finish({**manifest, "annotations": {"org.opencontainers.image.ref.name": "latest"}})


def write_layout(folder, compress):
    write_image(folder, LAYERS, None, compress, CONFIG)


def write_docker_archive(path):
    with tarfile.open(path, "w") as tar:
        def add(name, data):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        name = digest(CONFIG)[7:] + ".json"
        add(name, CONFIG)
        for number, data in enumerate(LAYERS):
            add(f"{number}/layer.tar", data)
        add("manifest.json", json.dumps([{"Config": name, "RepoTags": ["casemate-test:latest"],
                                          "Layers": [f"{n}/layer.tar" for n in range(len(LAYERS))]}]).encode())


class Sections:
    """An image taken apart by the format's description, with no code of ours."""

    def __init__(self, path):
        self.data = pathlib.Path(path).read_bytes()
        magic, self.version, self.flags, _, _, _, count = struct.unpack(">4sHHQQHH", self.data[:28])
        assert magic == b".eif"
        offsets = struct.unpack(">32Q", self.data[28:284])
        sizes = struct.unpack(">32Q", self.data[284:540])
        _, crc = struct.unpack(">II", self.data[540:548])
        assert crc == zlib.crc32(self.data[548:], zlib.crc32(self.data[:544]))
        self.found = []
        at = 548
        for number in range(count):
            assert offsets[number] == at, "table of offsets"
            kind, flags, size = struct.unpack(">HHQ", self.data[at:at + 12])
            assert (flags, size) == (0, sizes[number]), "table of sizes"
            self.found.append((kind, self.data[at + 12:at + 12 + size]))
            at += 12 + size
        assert at == len(self.data) and offsets[count:] == (0,) * (32 - count)

    def of(self, kind):
        return [data for found, data in self.found if found == kind]


def measure(data):
    return hashlib.sha384(bytes(48) + hashlib.sha384(data).digest()).hexdigest()


class EnclaveImages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="casemate-eif-")
        cls.dir = pathlib.Path(cls.folder.name)
        blobs = cls.dir / "blobs"
        blobs.mkdir()
        (blobs / "bzImage").write_bytes(os.urandom(100000))
        (blobs / "bzImage.config").write_text("#\n# Automatically generated\n# Linux/x86 6.1.192 Kernel Configuration\n#\n")
        (blobs / "cmdline").write_text("console=ttyS0 panic=30\n")
        (blobs / "init").write_bytes(b"init")
        # Storage of its own: the machine's may be locked by somebody who builds.
        storage = cls.dir / "storage.conf"
        storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{cls.dir}/graph"\nrunroot = "{cls.dir}/run"\n')
        cls.env = dict(os.environ, CONTAINERS_STORAGE_CONF=str(storage), BUILDAH_ISOLATION="chroot", NITRO_CLI_BLOBS=str(blobs), NITRO_CLI_LOGS_PATH=str(cls.dir / "logs"),
                       DOCKER_HOST="unix:///nonexistent/docker.sock", TMPDIR=str(cls.dir))
        cls.env.pop("STORAGE_DRIVER", None)
        write_layout(cls.dir / "layout", lambda data: data)
        write_layout(cls.dir / "gzip", lambda data: gzip.compress(data))
        write_docker_archive(cls.dir / "docker.tar")
        for name in ("layout", "gzip"):
            with tarfile.open(cls.dir / f"{name}.tar", "w") as tar:
                tar.add(cls.dir / name, ".")
        cls.reference = cls.measurements(f"oci:{cls.dir}/layout")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def run_cli(cls, *arguments, expect=0, stdin=None, env=None, preexec=None):
        done = subprocess.run([NITRO_CLI, *arguments], env=env or cls.env, input=stdin, capture_output=True, timeout=120, preexec_fn=preexec)
        if done.returncode != expect:
            raise AssertionError(f"{arguments}: status {done.returncode}, want {expect}\n{done.stderr.decode()}")
        return done

    @classmethod
    def measurements(cls, uri, *more, **options):
        done = cls.run_cli("build-enclave", "--docker-uri", uri, "--dry-run", *more, **options)
        return json.loads(done.stdout)["Measurements"]

    def build(self, name, *more, uri=None):
        path = self.dir / name
        self.run_cli("build-enclave", "--docker-uri", uri or f"oci:{self.dir}/layout", "--output-file", str(path), *more)
        return path

    def test_every_source_gives_the_same_pcrs(self):
        sources = [f"oci:{self.dir}/layout:latest", f"oci:{self.dir}/gzip", f"oci-archive:{self.dir}/layout.tar",
                   f"oci-archive:{self.dir}/gzip.tar", f"docker-archive:{self.dir}/docker.tar"]
        for uri in sources:
            self.assertEqual(self.measurements(uri), self.reference, uri)
        for name in ("layout.tar", "docker.tar"):
            data = (self.dir / name).read_bytes()
            self.assertEqual(self.measurements("-", stdin=data), self.reference, name)
            self.assertEqual(self.measurements("-", stdin=gzip.compress(data)), self.reference, name)

    @unittest.skipUnless(shutil.which("zstd"), "no zstd program")
    def test_zstd_layers_give_the_same_pcrs(self):
        write_layout(self.dir / "zstd", lambda data: subprocess.run(["zstd", "-c"], input=data, capture_output=True, check=True).stdout)
        self.assertEqual(self.measurements(f"oci:{self.dir}/zstd"), self.reference)

    def test_surroundings_do_not_matter(self):
        env = dict(self.env, TZ="Asia/Kathmandu", LC_ALL="tr_TR.UTF-8", HOME="/")
        self.assertEqual(self.measurements(f"oci:{self.dir}/layout", env=env, preexec=lambda: os.umask(0o077)), self.reference)

    def test_source_date_epoch_makes_the_file_reproducible(self):
        one = self.build("one.eif", "--source-date-epoch", "1700000000")
        two = self.build("two.eif", "--source-date-epoch", "1700000000", "--name", "layout", uri=f"oci-archive:{self.dir}/gzip.tar")
        self.assertEqual(one.read_bytes(), two.read_bytes())
        metadata = json.loads(Sections(one).of(5)[0])
        self.assertEqual(list(metadata), ["ImageName", "ImageVersion", "BuildMetadata", "DockerInfo", "CustomMetadata"])
        self.assertEqual(metadata["BuildMetadata"]["BuildTime"], "2023-11-14T22:13:20+00:00")
        self.assertEqual(metadata["BuildMetadata"]["KernelVersion"], "6.1.192")
        self.assertEqual(metadata["ImageVersion"], digest(CONFIG)[7:])

    def test_sections_and_registers_are_what_the_format_says(self):
        sections = Sections(self.build("plain.eif"))
        self.assertEqual([kind for kind, _ in sections.found], [1, 2, 5, 3, 3])
        kernel, cmdline, (boot, application) = sections.of(1)[0], sections.of(2)[0], sections.of(3)
        self.assertEqual(cmdline, b"console=ttyS0 panic=30")
        self.assertEqual(self.reference, {"HashAlgorithm": "Sha384 { ... }", "PCR0": measure(kernel + cmdline + boot + application),
                                          "PCR1": measure(kernel + cmdline + boot), "PCR2": measure(application)})

    def test_cpio_unpacks_the_application(self):
        application = Sections(self.build("cpio.eif")).of(3)[1]
        target = self.dir / "unpacked"
        target.mkdir()
        done = subprocess.run(["cpio", "--quiet", "-idm", "--no-absolute-filenames"], input=application, cwd=target, capture_output=True)
        if os.geteuid() == 0:
            self.assertEqual(done.returncode, 0, done.stderr)
        root = target / "rootfs"
        self.assertEqual((root / "app-data").read_bytes(), b"y" * 700000)
        self.assertEqual((root / "usr/lib/new").stat().st_size, 5000)
        self.assertEqual(os.readlink(root / "lib"), "usr/lib")
        self.assertEqual(os.readlink(root / "z"), "a")
        self.assertFalse((root / "gone").exists())
        self.assertEqual(os.listdir(root / "old"), ["g"])
        self.assertTrue((root / "srv/dir").is_dir())
        self.assertTrue((root / "etc").is_dir() and not (root / "etc").is_symlink())
        self.assertEqual((root / "app" / ("n" * 150)).read_bytes(), b"long")
        self.assertEqual((target / "cmd").read_text(), "/app/run\n--port\n5000\n")
        self.assertEqual((target / "env").read_text(), "PATH=/bin\n")

    def make_key(self, curve, name):
        key, certificate = self.dir / f"{name}.key", self.dir / f"{name}.pem"
        subprocess.run(["openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-out", key], check=True)
        subprocess.run(["openssl", "req", "-new", "-x509", "-key", key, "-subj", f"/C=US/CN={name}", "-days", "2", "-out", certificate], check=True)
        return key, certificate

    def check_signature(self, path, certificate, curve):
        sections = Sections(path)
        (entry,) = cbor2.loads(sections.of(4)[0])
        self.assertEqual(bytes(entry["signing_certificate"]), certificate.read_bytes())
        protected, unprotected, payload, signature = cbor2.loads(bytes(entry["signature"]))
        algorithm, bits, size = {"prime256v1": (-7, "sha256", 32), "secp384r1": (-35, "sha384", 48), "secp521r1": (-36, "sha512", 66)}[curve]
        self.assertEqual((cbor2.loads(protected), unprotected, len(signature)), ({1: algorithm}, {}, 2 * size))
        measured = sections.of(1)[0] + sections.of(2)[0] + b"".join(sections.of(3))
        self.assertEqual(cbor2.loads(payload), {"register_index": 0, "register_value": list(bytes.fromhex(measure(measured)))})

        def integer(half):
            data = int.from_bytes(half, "big").to_bytes(size + 1, "big").lstrip(b"\0") or b"\0"
            if data[0] & 0x80:
                data = b"\0" + data
            return bytes([2, len(data)]) + data
        body = integer(signature[:size]) + integer(signature[size:])
        head = bytes([0x30, len(body)]) if len(body) < 128 else bytes([0x30, 0x81, len(body)])
        (self.dir / "sig").write_bytes(head + body)
        (self.dir / "signed").write_bytes(cbor2.dumps(["Signature1", protected, b"", payload]))
        public = subprocess.run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"], capture_output=True, check=True).stdout
        (self.dir / "pub").write_bytes(public)
        subprocess.run(["openssl", "dgst", f"-{bits}", "-verify", self.dir / "pub", "-signature", self.dir / "sig", self.dir / "signed"],
                       check=True, capture_output=True)
        der = subprocess.run(["openssl", "x509", "-in", certificate, "-outform", "der"], capture_output=True, check=True).stdout
        return measure(der)

    def test_openssl_verifies_signatures_of_every_curve(self):
        for curve in ("prime256v1", "secp384r1", "secp521r1"):
            key, certificate = self.make_key(curve, curve)
            path = self.build(f"{curve}.eif", "--signing-certificate", str(certificate), "--private-key", str(key))
            pcr8 = self.check_signature(path, certificate, curve)
            described = json.loads(self.run_cli("describe-eif", "--eif-path", str(path)).stdout)
            self.assertEqual(described["Measurements"]["PCR8"], pcr8)
            self.assertTrue(described["SignatureCheck"] and described["CheckCRC"] and described["IsSigned"])
            self.assertEqual(described["SigningCertificate"]["IssuerName"], {"commonName": curve, "countryName": "US"})
            self.assertEqual(list(described), ["EifVersion", "Measurements", "IsSigned", "SigningCertificate", "CheckCRC", "SignatureCheck",
                                               "ImageName", "ImageVersion", "Metadata"])
            printed = json.loads(self.run_cli("pcr", "--signing-certificate", str(certificate)).stdout)
            self.assertEqual(printed, {"PCR8": pcr8})

    def test_sign_eif_keeps_the_header_true(self):
        path = self.build("resigned.eif")
        for curve in ("prime256v1", "secp521r1", "secp384r1"):
            key, certificate = self.make_key(curve, "re" + curve)
            self.run_cli("sign-eif", "--eif-path", str(path), "--signing-certificate", str(certificate), "--private-key", str(key))
            self.check_signature(path, certificate, curve)
            self.run_cli("validate-eif", "--eif-path", str(path))

    def test_pcr_diff_names_the_file(self):
        a = self.build("a.eif")
        changed = layer([("app/run", FILE, b"changed", 0o755)])
        folder = self.dir / "modified"
        global LAYERS, CONFIG
        layers, config = LAYERS, CONFIG
        try:
            LAYERS = layers + [changed]
            described = json.loads(config)
            described["rootfs"]["diff_ids"].append(digest(changed))
            CONFIG = json.dumps(described).encode()
            write_layout(folder, lambda data: data)
        finally:
            LAYERS, CONFIG = layers, config
        b = self.build("b.eif", uri=f"oci:{folder}")
        text = self.run_cli("pcr-diff", str(a), str(b), expect=1).stdout.decode()
        self.assertIn("ramdisk 1 (PCR0 and PCR2): ~ rootfs/app/run: content (3000 -> 7 bytes)", text)
        self.assertIn("PCR1 equal", text)
        self.assertIn(f"image layer 3: only in the second: {digest(changed)}", text)
        self.run_cli("pcr-diff", str(a), str(a))

    @unittest.skipUnless(shutil.which("buildah"), "no buildah")
    def test_buildah_storage(self):
        pulled = subprocess.run(["buildah", "pull", "--quiet", f"docker-archive:{self.dir}/docker.tar"], env=self.env, capture_output=True)
        if pulled.returncode != 0:
            self.skipTest(f"buildah cannot store images here: {pulled.stderr.decode().strip()}")
        self.assertEqual(self.measurements("casemate-test:latest"), self.reference)
        self.run_cli("build-enclave", "--docker-uri", "absent:latest", "--dry-run", expect=50)
        subprocess.run(["buildah", "rmi", "--all", "--force"], env=self.env, capture_output=True)

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("dockerd") and shutil.which("docker"), "no Docker engine to start")
    def test_docker_engine(self):
        home = self.dir / "engine"
        home.mkdir()
        socket = f"unix://{home}/docker.sock"
        log = open(home / "log", "wb")
        engine = subprocess.Popen(["dockerd", "--data-root", home / "data", "--exec-root", home / "exec", "-H", socket, "--iptables=false",
                                   "--bridge=none", "--storage-driver", "vfs", "--pidfile", home / "pid"], stdout=log, stderr=log, start_new_session=True)
        try:
            env = dict(self.env, DOCKER_HOST=socket)
            for _ in range(120):
                if subprocess.run(["docker", "version"], env=env, capture_output=True).returncode == 0:
                    break
                if engine.poll() is not None:
                    self.skipTest("dockerd does not start here: " + (home / "log").read_text()[-300:])
                time.sleep(0.5)
            subprocess.run(["docker", "load", "-i", self.dir / "docker.tar"], env=env, check=True, capture_output=True)
            for name in ("casemate-test", "casemate-test:latest"):
                self.assertEqual(self.measurements(name, env=env), self.reference)
            container = subprocess.run(["docker", "create", "casemate-test"], env=env, check=True, capture_output=True).stdout.decode().strip()
            exported = subprocess.run(["docker", "export", container], env=env, check=True, capture_output=True).stdout
            self.compare_with_export(exported)
            failed = self.run_cli("build-enclave", "--docker-uri", "absent.invalid/none:1", "--dry-run", expect=50, env=env)
            self.assertIn(b"E50", failed.stderr)
        finally:
            if engine.poll() is None:
                engine.terminate()
                engine.wait(60)
            log.close()
            for mount in reversed(pathlib.Path("/proc/self/mounts").read_text().splitlines()):
                if str(home) in mount:
                    subprocess.run(["umount", mount.split()[1]])

    def compare_with_export(self, exported):
        """The engine's own merge of the layers has the same names in the same order, with the same metadata."""
        theirs = []
        skipped = {".dockerenv", "dev/console", "etc/hostname"}
        with tarfile.open(fileobj=io.BytesIO(exported)) as tar:
            for info in tar:
                if info.name in skipped:
                    continue
                name = info.name + ("/" if info.isdir() else "")
                theirs.append((f"rootfs/{name}", info.mode & 0o7777, info.uid, info.gid))
        ours = []
        data = Sections(self.build("export.eif")).of(3)[1]
        at = 0
        while True:
            fields = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
            name = data[at + 110:at + 110 + fields[11] - 1].decode()
            at = (at + 110 + fields[11] + 3) // 4 * 4
            at = (at + fields[6] + 3) // 4 * 4
            if name == "TRAILER!!!":
                break
            ours.append((name, fields[1] & 0o7777, fields[2], fields[3]))
        self.assertEqual(ours[0][0], "rootfs")
        self.assertEqual(ours[1:1 + len(theirs)], theirs)

    def test_failures_leave_nothing(self):
        target = self.dir / "clean"
        target.mkdir()
        output = str(target / "x.eif")
        broken = self.dir / "broken"
        shutil.copytree(self.dir / "layout", broken)
        victim = broken / "blobs/sha256" / digest(LAYERS[1])[7:]
        data = bytearray(victim.read_bytes())
        data[2000] ^= 1
        victim.write_bytes(data)
        failed = self.run_cli("build-enclave", "--docker-uri", f"oci:{broken}", "--output-file", output, expect=48)
        self.assertIn(b"layer 2: digest is", failed.stderr)
        victim.write_bytes(data[:3000])
        self.run_cli("build-enclave", "--docker-uri", f"oci:{broken}", "--output-file", output, expect=48)
        self.run_cli("build-enclave", "--docker-uri", f"oci:{self.dir}/nothing", "--output-file", output, expect=50)
        self.run_cli("build-enclave", "--docker-uri", "absent:latest", "--output-file", output, expect=50)
        self.run_cli("build-enclave", "--docker-uri", "-", "--output-file", output, expect=50, stdin=b"")
        self.run_cli("build-enclave", "--docker-uri", "-", "--output-file", output, expect=50, stdin=b"no archive" * 100)
        self.run_cli("build-enclave", "--docker-uri", f"oci:{self.dir}/layout", "--output-file", "/nonexistent/x.eif", expect=19)
        self.run_cli("build-enclave", "--docker-uri", f"oci:{self.dir}/layout", "--output-file", output, expect=52,
                     env=dict(self.env, NITRO_CLI_BLOBS="/nonexistent"))
        self.run_cli("build-enclave", "--docker-uri", f"oci:{self.dir}/layout", expect=2)
        self.run_cli("build-enclave", "--docker-uri", f"oci:{self.dir}/layout", "--output-file", output, "--no-such-flag", expect=2)
        self.assertEqual(os.listdir(target), [])
        # What is there stays when a build fails.
        (target / "x.eif").write_bytes(b"precious")
        self.run_cli("build-enclave", "--docker-uri", f"oci:{broken}", "--output-file", output, expect=48)
        self.assertEqual((target / "x.eif").read_bytes(), b"precious")

    def test_interrupt_leaves_nothing(self):
        target = self.dir / "interrupted"
        target.mkdir()
        process = subprocess.Popen([NITRO_CLI, "build-enclave", "--docker-uri", "-", "--output-file", str(target / "x.eif")], env=self.env,
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        process.stdin.write((self.dir / "docker.tar").read_bytes()[:100000])
        process.stdin.flush()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        self.assertNotEqual(process.wait(10), 0)
        process.stdin.close()
        self.assertEqual(os.listdir(target), [])

    def test_full_disk_leaves_nothing(self):
        target = self.dir / "small"
        target.mkdir()
        script = f'mount -t tmpfs -o size=300k none "{target}" || exit 99; "$@"; status=$?; ls -A "{target}"; exit $status'
        done = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", NITRO_CLI, "build-enclave", "--docker-uri",
                               f"oci:{self.dir}/layout", "--output-file", str(target / "x.eif")], env=self.env, capture_output=True)
        if done.returncode in (1, 99) and b"[ E" not in done.stderr:
            self.skipTest("no user namespaces here")
        self.assertEqual(done.returncode, 48, done.stderr)
        self.assertIn(b"No space left on device", done.stderr)
        self.assertEqual(done.stdout, b"")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
