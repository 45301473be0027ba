#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""nitro-cli's build half as a user meets it: what each command prints, to the byte; eif_build; images that are hostile;
--honour-oci-config; several architectures. usage: build_side.py BUILDDIR [unittest arguments]"""

import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tarfile
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "interop"))
import eif_build as eif  # noqa: E402
from eif_build import FIFO, FILE, FOLDER, HARD, LINK, digest, layer, measure  # noqa: E402

HELP = "https://docs.aws.amazon.com/enclaves/latest/user/cli-errors.html#"
TIME = "2024-02-29T23:59:59.123456789+00:00"
MIB = 1 << 20


def pretty(value):
    """As serde_json prints it: two spaces, text as it is."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


class BuildSide(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="casemate-build-")
        cls.dir = pathlib.Path(cls.folder.name)
        cls.blobs = cls.dir / "blobs"
        cls.blobs.mkdir()
        for name in ("bzImage", "Image"):
            (cls.blobs / name).write_bytes(name.encode() * 5000)
            (cls.blobs / f"{name}.config").write_text("#\n# Automatically generated\n# Linux/x86 6.1.192 Kernel Configuration\n#\n")
        (cls.blobs / "cmdline").write_text("console=ttyS0 panic=30\n")
        (cls.blobs / "init").write_bytes(b"init")
        cls.env = {"PATH": os.environ["PATH"], "NITRO_CLI_BLOBS": str(cls.blobs), "NITRO_CLI_LOGS_PATH": str(cls.dir / "logs"),
                   "DOCKER_HOST": "unix:///nonexistent/docker.sock", "TMPDIR": str(cls.dir), "HOME": str(cls.dir)}
        cls.layers = [layer([("run", FILE, b"#!/bin/sh\n", 0o755), ("etc/passwd", FILE, b"app:x:1000:100::/srv/app:/bin/sh\n", 0o644),
                             ("etc/group", FILE, b"staff:x:50:app\n", 0o644)])]
        eif.write_image(cls.dir / "app", cls.layers, {"Cmd": ["/run"], "Env": ["PATH=/bin", "NAME=J\u00f6rg"]})
        cls.key, cls.certificate = cls.make_key("secp384r1", "signer")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def make_key(cls, curve, name):
        key, certificate = cls.dir / f"{name}.key", cls.dir / f"{name}.pem"
        subprocess.run(["openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-out", key], check=True)
        subprocess.run(["openssl", "req", "-new", "-x509", "-key", key, "-subj", f"/C=US/ST=WA/O=Org/OU=Unit/CN={name}", "-days", "2", "-out", certificate],
                       check=True)
        return key, certificate

    def run_program(self, *arguments, expect=0, env=None, program="nitro-cli", stdin=b"", **options):
        done = subprocess.run([eif.BUILD / "bin" / program, *map(str, arguments)], env={**self.env, **(env or {})}, input=stdin, capture_output=True,
                              timeout=300, **options)
        out, err = done.stdout.decode(), done.stderr.decode()
        self.assertEqual(done.returncode, expect, f"{arguments}: {err}")
        return out, err

    def build(self, name, *more, uri=None, **options):
        path = self.dir / name
        out, err = self.run_program("build-enclave", "--docker-uri", uri or f"oci:{self.dir}/app", "--output-file", path, "--build-time", TIME, *more, **options)
        return path, out, err

    def registers(self, sections):
        """The registers by hashlib alone."""
        kernel, cmdline, ramdisks = sections.of(1)[0], sections.of(2)[0], sections.of(3)
        return {"HashAlgorithm": "Sha384 { ... }", "PCR0": measure(kernel + cmdline + b"".join(ramdisks)),
                "PCR1": measure(kernel + cmdline + ramdisks[0]), "PCR2": measure(b"".join(ramdisks[1:]))}

    def pcr8(self, certificate):
        return measure(subprocess.run(["openssl", "x509", "-in", certificate, "-outform", "der"], capture_output=True, check=True).stdout)


class Prints(BuildSide):
    def test_build_enclave(self):
        path, out, err = self.build("plain.eif")
        self.assertEqual(out, pretty({"Measurements": self.registers(eif.Sections(path))}))
        self.assertEqual(err, "Start building the Enclave Image...\nEnclave Image successfully created.\n")

    def test_build_enclave_signed(self):
        path, out, _ = self.build("signed.eif", "--signing-certificate", self.certificate, "--private-key", self.key)
        self.assertEqual(out, pretty({"Measurements": {**self.registers(eif.Sections(path)), "PCR8": self.pcr8(self.certificate)}}))

    def test_dry_run_and_text(self):
        path, out, _ = self.build("text.eif", "--output-format", "text")
        registers = self.registers(eif.Sections(path))
        text = "".join(f"{name} {registers[name]}\n" for name in ("PCR0", "PCR1", "PCR2"))
        self.assertEqual(out, text)
        out, err = self.run_program("build-enclave", "--docker-uri", f"oci:{self.dir}/app", "--dry-run")
        self.assertEqual(out, pretty({"Measurements": registers}))
        self.assertEqual(err, "Start building the Enclave Image...\n")

    def described(self, path, sections, signed):
        config = json.loads(eif.config_of(self.layers, {"Cmd": ["/run"], "Env": ["PATH=/bin", "NAME=J\u00f6rg"]}))
        image_id = digest(eif.config_of(self.layers, {"Cmd": ["/run"], "Env": ["PATH=/bin", "NAME=J\u00f6rg"]}))
        registers = self.registers(sections)
        out = {"EifVersion": 4, "Measurements": {**registers, "PCR8": self.pcr8(self.certificate)} if signed else registers, "IsSigned": signed}
        if signed:
            out["SigningCertificate"] = self.certificate_fields()
        out["CheckCRC"] = True
        if signed:
            out["SignatureCheck"] = True
        out.update({"ImageName": "named", "ImageVersion": image_id[7:], "Metadata": {
            "BuildTime": TIME, "BuildTool": "nitro-cli", "BuildToolVersion": self.version(), "OperatingSystem": "Linux", "KernelVersion": "6.1.192",
            "DockerInfo": {"Architecture": "amd64", "Config": {"Cmd": ["/run"], "Env": config["config"]["Env"]}, "Id": image_id, "Os": "linux",
                           "RepoTags": ["latest"], "RootFS": {"Layers": [digest(l) for l in self.layers], "Type": "layers"}},
            "list": [1, {"a": None}, []], "owner": "us"}})  # sorted, as AWS's tools keep objects
        return out

    def version(self):
        return self.run_program("--version")[0].split()[2]

    def certificate_fields(self):
        """What OpenSSL says of the certificate."""
        def ask(*flags):
            return subprocess.run(["openssl", "x509", "-in", self.certificate, "-noout", *flags], capture_output=True, check=True, text=True).stdout
        start, end = (line.split("=", 1)[1] for line in ask("-startdate", "-enddate").splitlines())
        text = ask("-text")
        algorithm = re.findall(r"Signature Algorithm: (\S+)", text)[-1]
        signature = "".join(text.split("Signature Value:")[1].split() if "Signature Value:" in text else text.rsplit(algorithm, 1)[1].split())
        return {"IssuerName": {"commonName": "signer", "countryName": "US", "organizationName": "Org", "organizationalUnitName": "Unit",
                               "stateOrProvinceName": "WA"},
                "Algorithm": algorithm, "NotBefore": start, "NotAfter": end, "Signature": signature.upper()}

    def test_describe_eif(self):
        (self.dir / "custom.json").write_text('{"owner": "us", "list": [1, {"a": null}, []]}')
        path, _, _ = self.build("described.eif", "--name", "named", "--metadata", self.dir / "custom.json")
        out, err = self.run_program("describe-eif", "--eif-path", path)
        self.assertEqual(out, pretty(self.described(path, eif.Sections(path), signed=False)))
        self.assertEqual(err, "")
        out, err = self.run_program("sign-eif", "--eif-path", path, "--signing-certificate", self.certificate, "--private-key", self.key)
        self.assertEqual(out, pretty({"Measurements": {**self.registers(eif.Sections(path)), "PCR8": self.pcr8(self.certificate)}}))
        self.assertEqual(err, "Enclave Image successfully signed.\n")
        out, _ = self.run_program("describe-eif", "--eif-path", path)
        self.assertEqual(out, pretty(self.described(path, eif.Sections(path), signed=True)))

    def test_a_certificate_made_as_aws_documents_it(self):
        """`openssl x509 -req` gives version 1, without extensions."""
        request, certificate = self.dir / "csr.pem", self.dir / "version1.pem"
        subprocess.run(["openssl", "req", "-new", "-key", self.key, "-sha384", "-nodes", "-subj", "/CN=AWS/C=US/ST=WA/L=Seattle/O=Amazon/OU=AWS", "-out",
                        request], check=True)
        subprocess.run(["openssl", "x509", "-req", "-days", "20", "-in", request, "-out", certificate, "-sha384", "-signkey", self.key], check=True,
                       capture_output=True)
        path, out, _ = self.build("version1.eif", "--signing-certificate", certificate, "--private-key", self.key)
        self.assertEqual(json.loads(out)["Measurements"]["PCR8"], self.pcr8(certificate))
        described = json.loads(self.run_program("describe-eif", "--eif-path", path)[0])
        self.assertTrue(described["SignatureCheck"])
        self.assertEqual(described["SigningCertificate"]["IssuerName"]["localityName"], "Seattle")

    def test_describe_eif_of_a_damaged_image(self):
        path, _, _ = self.build("damaged.eif", "--signing-certificate", self.certificate, "--private-key", self.key)
        data = bytearray(path.read_bytes())
        data[700] ^= 1  # in the kernel
        path.write_bytes(data)
        described = json.loads(self.run_program("describe-eif", "--eif-path", path)[0])
        self.assertEqual((described["CheckCRC"], described["SignatureCheck"]), (False, False))
        out, _ = self.run_program("validate-eif", "--eif-path", path, expect=35)
        self.assertRegex(out, r"^checksum: header says [0-9a-f]{8}, the file has [0-9a-f]{8}\ninvalid: 1 rule broken\n$")
        for size in (0, 100, 547, 560, len(data) - 1):
            path.write_bytes(data[:size])
            self.run_program("describe-eif", "--eif-path", path, expect=35)

    def test_pcr(self):
        (self.dir / "input").write_bytes(b"\0any file\n" * 300000)
        out, err = self.run_program("pcr", "--input", self.dir / "input")
        self.assertEqual((out, err), (pretty({"PCR": measure(b"\0any file\n" * 300000)}), ""))
        out, _ = self.run_program("pcr", "--signing-certificate", self.certificate)
        self.assertEqual(out, pretty({"PCR8": self.pcr8(self.certificate)}))
        self.run_program("pcr", expect=2)
        self.run_program("pcr", "--input", self.dir / "input", "--signing-certificate", self.certificate, expect=2)
        self.run_program("pcr", "--input", self.dir / "none", expect=19)
        self.run_program("pcr", "--signing-certificate", self.key, expect=57)

    def test_explain(self):
        titles = set()
        for number in range(61):
            out, err = self.run_program("explain", "--error-code", f"E{number:02}")
            first, meaning = out.rstrip("\n").split("\n")
            code, title = first.split(": ", 1)
            self.assertEqual((code, err), (f"E{number:02}", ""))
            self.assertRegex(meaning, r"[.?]$")
            titles.add(title)
        self.assertEqual(len(titles), 61)
        for text in ("E61", "E", "x", "-1"):
            self.run_program("explain", f"--error-code={text}", expect=3)

    def failure(self, code, *arguments, **options):
        """Checks the shape of an error and gives its first line."""
        out, err = self.run_program(*arguments, expect=max(code, 1), **options)
        self.assertEqual(out, "")
        lines = [line for line in err.split("\n") if line != "Start building the Enclave Image..."]
        self.assertRegex(lines[0], rf"^\[ E{code:02} \] [A-Z]")
        self.assertEqual(lines[1:3], ["", f"For more details, please visit {HELP}E{code:02}"])
        self.assertEqual(lines[3], "")
        found = re.fullmatch(r'If you open a support ticket, please provide the error log found at "(.*)"', lines[-2])
        self.assertIsNotNone(found, err)
        log = pathlib.Path(found.group(1))
        self.assertRegex(log.name, r"^err\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z-\d+\.log$")
        text = log.read_text()
        self.assertTrue(text.startswith(lines[0] + "\n  Action: "), text)
        self.assertIn("  Subactions:\n    ", text)
        self.assertEqual(log.stat().st_mode & 0o777, 0o600)
        return lines[0]

    def test_errors(self):
        output = self.dir / "error.eif"
        app = f"oci:{self.dir}/app"
        build = ("build-enclave", "--output-file", output, "--docker-uri")
        pair = ("--signing-certificate", self.certificate, "--private-key")
        self.assertIn("no such folder", self.failure(50, *build, f"oci:{self.dir}/none"))
        self.assertIn("it has: latest", self.failure(50, *build, f"{app}:other"))
        self.assertIn("/none", self.failure(19, "build-enclave", "--docker-uri", app, "--output-file", self.dir / "none/x.eif"))
        self.failure(52, *build, app, env={"NITRO_CLI_BLOBS": str(self.dir / "none")})
        half = self.dir / "half"
        half.mkdir()
        (half / "cmdline").write_text("x")
        self.assertIn("bzImage", self.failure(19, *build, app, env={"NITRO_CLI_BLOBS": str(half)}))
        self.failure(48, *build, app, "--private-key", self.key)
        self.failure(60, *build, app, *pair, self.dir / "none")
        other, _ = self.make_key("secp384r1", "other")
        self.assertIn("does not belong", self.failure(60, *build, app, *pair, other))
        subprocess.run(["openssl", "genrsa", "-out", self.dir / "rsa.key", "2048"], check=True, capture_output=True)
        self.failure(60, *build, app, *pair, self.dir / "rsa.key")
        self.assertIn("ARN of a KMS key", self.failure(60, *build, app, *pair, "arn:aws:s3:::key"))
        (self.dir / "large.json").write_text(json.dumps("x" * 5000))
        self.assertIn("4096", self.failure(48, *build, app, "--metadata", self.dir / "large.json"))
        (self.dir / "bad.json").write_text("{")
        self.failure(48, *build, app, "--metadata", self.dir / "bad.json")
        self.failure(3, *build, app, "--arch", "riscv")
        self.failure(35, "describe-eif", "--eif-path", self.dir / "none")
        self.failure(35, "describe-eif", "--eif-path", self.certificate)
        self.failure(35, "sign-eif", "--eif-path", self.certificate, *pair, self.key)
        self.failure(49, *build, "name", "--docker-dir", self.dir / "none")
        self.assertFalse(output.exists())
        for arguments in (("build-enclave",), ("describe-eif",), ("sign-eif", "--eif-path", "x"), ("explain",), ("no-such-verb",), (),
                          ("describe-eif", "--eif-path", "x", "--extra")):
            out, err = self.run_program(*arguments, expect=2)
            self.assertEqual(out, "")
            self.assertTrue(err.startswith("error: ") and err.count("\n") == 1, err)

    def test_backtrace(self):
        _, err = self.run_program("describe-eif", "--eif-path", self.dir / "none", expect=35, env={"BACKTRACE": "1"})
        self.assertIn("\n\nBacktrace:\n  Action: Describe EIF\n  Subactions:\n    Failed to describe EIF\n    Failed to initialize EIF reader\n", err)


class EifBuild(BuildSide):
    def extract(self, path):
        folder = self.dir / "parts"
        out, _ = self.run_program("eif", "extract", "--eif-path", path, "--output-dir", folder)
        self.assertEqual(out.split(), ["bzImage", "cmdline", "metadata.json", "ramdisk0.cpio", "ramdisk1.cpio"])
        return folder

    def test_gives_what_nitro_cli_gives(self):
        path, out, _ = self.build("whole.eif")
        parts = self.extract(path)
        again = self.dir / "again.eif"
        arguments = ["--kernel", parts / "bzImage", "--cmdline", (parts / "cmdline").read_text(), "--ramdisk", parts / "ramdisk0.cpio",
                     "--ramdisk", parts / "ramdisk1.cpio", "--output", again]
        printed, err = self.run_program(*arguments, program="eif_build")
        self.assertEqual(printed, f"Output file: {again}\n" + pretty(json.loads(out)["Measurements"]))
        self.assertEqual(err, "")
        ours, theirs = eif.Sections(again), eif.Sections(path)
        self.assertEqual([kind for kind, _ in ours.found], [1, 2, 5, 3, 3])
        for kind in (1, 2, 3):
            self.assertEqual(ours.of(kind), theirs.of(kind))
        metadata = json.loads(ours.of(5)[0])
        self.assertEqual((metadata["ImageName"], metadata["ImageVersion"], metadata["DockerInfo"], metadata["CustomMetadata"]), ("bzImage", "1.0", None, None))
        self.assertEqual(metadata["BuildMetadata"]["BuildTool"], "eif_build")
        self.run_program("validate-eif", "--eif-path", again)

    def test_flags_of_both_generations(self):
        parts = self.extract(self.build("flags.eif")[0])
        (self.dir / "custom.json").write_text('{"a":1}')
        base = ["--kernel", parts / "bzImage", "--cmdline", " as it is ", "--ramdisk", parts / "ramdisk0.cpio", "--arch", "aarch64", "--metadata",
                self.dir / "custom.json", "--build-time", TIME, "--build-tool", "tool", "--build-tool-version", "9", "--signing-certificate",
                self.certificate, "--private-key", self.key]
        first, second = self.dir / "first.eif", self.dir / "second.eif"
        self.run_program(*base, "--output", first, "--name", "n", "--version", "v", "--img-os", "os", "--img-kernel", "k", "--algo", "sha384", program="eif_build")
        self.run_program(*base, "--output", second, "--image-name", "n", "--image-version", "v", "--image-os", "os", "--image-kernel", "k", program="eif_build")
        sections = eif.Sections(first)
        self.assertEqual((sections.flags, sections.of(2)[0], sections.of(5)), (1, b" as it is ", eif.Sections(second).of(5)))
        self.assertEqual(sections.of(5)[0].decode(), json.dumps({
            "ImageName": "n", "ImageVersion": "v", "BuildMetadata": {"BuildTime": TIME, "BuildTool": "tool", "BuildToolVersion": "9", "OperatingSystem": "os",
                                                                    "KernelVersion": "k"}, "DockerInfo": None, "CustomMetadata": {"a": 1}}, separators=(",", ":")))
        self.assertTrue(json.loads(self.run_program("describe-eif", "--eif-path", first)[0])["SignatureCheck"])
        self.run_program(*base, "--output", first, "--kernel_config", self.blobs / "bzImage.config", program="eif_build")
        self.assertEqual(json.loads(eif.Sections(first).of(5)[0])["BuildMetadata"]["KernelVersion"], "6.1.192")

    def test_failures_leave_nothing(self):
        output = self.dir / "none.eif"
        base = ["--kernel", self.blobs / "bzImage", "--cmdline", "x", "--output", output]
        _, err = self.run_program(*base, "--ramdisk", self.dir / "absent", program="eif_build", expect=1)
        self.assertRegex(err, "^eif_build: .*absent")
        self.run_program(*base, *["--ramdisk", self.blobs / "init"] * 30, program="eif_build", expect=1)
        self.run_program(*base, program="eif_build", expect=2)
        self.run_program(*base, "--ramdisk", self.blobs / "init", "--algo", "sha256", program="eif_build", expect=2)
        self.run_program(*base, "--ramdisk", self.blobs / "init", "--private-key", self.key, program="eif_build", expect=2)
        self.assertFalse(output.exists())


class HonoursTheConfig(BuildSide):
    def files_of(self, name, run, *more, **options):
        folder = self.dir / name
        eif.write_image(folder, self.layers, run)
        path, _, _ = self.build(f"{name}.eif", *more, uri=f"oci:{folder}", **options)
        unpacked = self.dir / f"{name}-files"
        unpacked.mkdir()
        subprocess.run(["cpio", "--quiet", "-idm", "--no-absolute-filenames"], input=eif.Sections(path).of(3)[1], cwd=unpacked, check=True, capture_output=True)
        return (unpacked / "cmd").read_text().splitlines(), (unpacked / "env").read_text().splitlines(), unpacked / "rootfs"

    RUN = {"Entrypoint": ["run", "-a"], "Cmd": ["b", "c"], "WorkingDir": "/srv", "User": "app", "Env": ["PATH=/x:/bin"]}

    def test_off_by_default(self):
        cmd, env, root = self.files_of("default", self.RUN)
        self.assertEqual((cmd, env), (["b", "c"], ["PATH=/x:/bin"]))
        self.assertFalse((root / ".casemate-launch").exists())
        self.assertEqual(self.files_of("entrypoint", {"Entrypoint": ["/run"], "Env": []})[0], ["/run"])

    def test_joins_and_launches(self):
        blobs = self.dir / "with-launch"
        blobs.mkdir()
        for file in self.blobs.iterdir():
            (blobs / file.name).symlink_to(file)
        (blobs / "launch").write_bytes(b"launcher")
        env = {"NITRO_CLI_BLOBS": str(blobs)}
        cmd, variables, root = self.files_of("honour", self.RUN, "--honour-oci-config", env=env)
        self.assertEqual(cmd, ["/.casemate-launch", "1000", "100", "100,50", "/srv", "run", "-a", "b", "c"])
        self.assertEqual(variables, ["PATH=/x:/bin", "HOME=/srv/app"])
        self.assertEqual((root / ".casemate-launch").read_bytes(), b"launcher")
        self.assertTrue((root / "srv").is_dir())
        # Root, in /, by a path: init does as it is.
        cmd, variables, root = self.files_of("plain", {"Entrypoint": ["/run"], "Cmd": ["b"], "Env": ["HOME=/h"]}, "--honour-oci-config", env=env)
        self.assertEqual((cmd, variables, (root / ".casemate-launch").exists()), (["/run", "b"], ["HOME=/h"], False))

    def test_says_what_is_missing(self):
        folder = self.dir / "missing"
        eif.write_image(folder, self.layers, self.RUN)
        _, err = self.run_program("build-enclave", "--docker-uri", f"oci:{folder}", "--dry-run", "--honour-oci-config", expect=48)
        self.assertIn("launch: not among the blobs", err)
        eif.write_image(folder, self.layers, {**self.RUN, "User": "who"})
        _, err = self.run_program("build-enclave", "--docker-uri", f"oci:{folder}", "--dry-run", "--honour-oci-config", expect=48)
        self.assertIn("USER who", err)
        eif.write_image(folder, self.layers, {"Env": []})
        _, err = self.run_program("build-enclave", "--docker-uri", f"oci:{folder}", "--dry-run", "--honour-oci-config", expect=48)
        self.assertIn("neither CMD nor ENTRYPOINT", err)

    @unittest.skipUnless(os.geteuid() == 0, "only root may become somebody else")
    def test_the_launcher(self):
        launch = eif.BUILD / "blobs/launch"
        done = subprocess.run([launch, "1000", "100", "50,44", "/usr", "sh", "-c", "id -u; id -g; id -G; pwd; echo $HOME"], capture_output=True, text=True,
                              env={"PATH": "/bin:/usr/bin", "HOME": "/h"}, check=True)
        self.assertEqual(done.stdout.split("\n")[:-1], ["1000", "100", "100 44 50", "/usr", "/h"])
        for arguments in (["1000"], ["x", "0", "", "/", "true"], ["-1", "0", "", "/", "true"], ["4294967295", "0", "", "/", "true"], ["0", "0", "1,x", "/", "true"],
                          ["0", "0", "", "/nonexistent", "true"], ["0", "0", "", "/", "/nonexistent"]):
            done = subprocess.run([launch, *arguments], capture_output=True, text=True)
            self.assertEqual(done.returncode, 127, arguments)
            self.assertTrue(done.stderr.startswith("launch: "), done.stderr)


class Architectures(BuildSide):
    def test_an_index_of_several(self):
        layout = eif.Layout(self.dir / "multi")
        manifests = []
        for architecture, text in (("amd64", b"intel"), ("arm64", b"arm")):
            content = [layer([("run", FILE, text, 0o755)])]
            manifest = layout.manifest(eif.config_of(content, {"Cmd": ["/run"]}, architecture), content)
            manifests.append({**manifest, "platform": {"architecture": architecture, "os": "linux"}})
        attestation = [layer([("statement", FILE, b"{}", 0o644)])]
        manifests.append({**layout.manifest(eif.config_of(attestation, {}, "unknown"), attestation), "platform": {"architecture": "unknown", "os": "unknown"}})
        index = {"mediaType": "application/vnd.oci.image.index.v1+json", **layout.add_json({"schemaVersion": 2, "manifests": manifests})}
        layout.finish({**index, "annotations": {"org.opencontainers.image.ref.name": "latest"}})
        uri = f"oci:{self.dir}/multi"
        for arguments, flags, text in (((), 0, b"intel"), (("--arch", "x86_64"), 0, b"intel"), (("--arch", "aarch64"), 1, b"arm"), (("--arch", "arm64"), 1, b"arm")):
            sections = eif.Sections(self.build("arch.eif", *arguments, uri=uri)[0])
            self.assertEqual(sections.flags, flags)
            self.assertIn(text, sections.of(3)[1])
            self.assertEqual(sections.of(1)[0][:5], b"Image" if flags else b"bzIma")
        _, err = self.run_program("build-enclave", "--docker-uri", f"oci:{self.dir}/app", "--arch", "aarch64", "--dry-run", expect=50)
        self.assertIn("image is for amd64, want arm64", err)


def raw_layer(*infos):
    """A layer of tarfile's headers as they are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in infos:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def member(name, kind=FILE, data=b"", link="", **fields):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mtime = kind, link, 1700000000
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


class HostileImages(BuildSide):
    """Each either builds or fails in words; neither leaves a file behind nor takes memory or time without bound."""

    def attempt(self, name, layers, expect, text="", run=None, compress=lambda data: data, config=None, memory=512 * MIB):
        folder = self.dir / f"hostile-{name}"
        eif.write_image(folder, layers, run or {"Cmd": ["/run"]}, compress, config)
        output = self.dir / f"{name}.eif"
        output.write_bytes(b"precious")
        _, err = self.run_program("build-enclave", "--docker-uri", f"oci:{folder}", "--output-file", output, expect=expect,
                                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (memory, memory)))
        if expect != 0:
            self.assertIn(text, err)
            self.assertEqual(output.read_bytes(), b"precious")
        else:
            self.run_program("validate-eif", "--eif-path", output)
        self.assertEqual([file.name for file in self.dir.iterdir() if file.name.startswith(".")], [])
        output.unlink()
        return err

    def test_names_that_lead_out(self):
        for name in ("../out", "a/../../out", "/etc/passwd", "a/..", ".."):
            self.attempt("out", [raw_layer(member(name))], 48, "layer 1")
        self.attempt("hard", [raw_layer(member("a", HARD, link="../../etc/passwd"))], 48, "hard link")
        self.attempt("hard2", [raw_layer(member("a", HARD, link="none"))], 48, "does not exist")

    def test_links_across_layers(self):
        # A link out of the root is followed within it; the file lands in the image's own etc.
        first = raw_layer(member("etc", FOLDER), member("d", LINK, link="../../../etc"))
        self.attempt("link", [first, raw_layer(member("d/passwd", data=b"theirs"))], 0)
        self.assertNotEqual(pathlib.Path("/etc/passwd").read_bytes(), b"theirs")
        self.attempt("loop", [raw_layer(member("a", LINK, link="b"), member("b", LINK, link="a")), raw_layer(member("a/x"))], 48, "symbolic links")
        self.attempt("dangling", [raw_layer(member("a", LINK, link="none")), raw_layer(member("a/x"))], 48, "symbolic link to nothing")
        self.attempt("file", [raw_layer(member("a")), raw_layer(member("a/x"))], 48, "not a folder")

    def test_whiteouts(self):
        for name in (".wh.", ".wh..", ".wh...", "a/.wh..."):
            self.attempt("wh", [raw_layer(member("a", FOLDER)), raw_layer(member(name))], 48, "whiteout")
        self.attempt("white", [raw_layer(member("a")), raw_layer(member(".wh.none"), member(".wh..wh..opq"))], 0)

    def test_floods(self):
        kinds = (tarfile.CHRTYPE, tarfile.BLKTYPE, FIFO)
        self.attempt("devices", [raw_layer(*(member(f"dev/{n}", kinds[n % 3], devmajor=n, devminor=n) for n in range(20000)))], 0)
        self.attempt("device", [raw_layer(member("d", tarfile.CHRTYPE, devmajor=0o7777777, devminor=0o7777777))], 0)
        count = int(os.environ.get("CASEMATE_FLOOD", "100000"))  # CASEMATE_FLOOD=1000000 takes minutes
        flood = b"".join(tarfile.TarInfo(f"f{n:07}").tobuf(tarfile.USTAR_FORMAT) for n in range(count)) + bytes(1024)
        self.attempt("entries", [flood], 0, compress=lambda data: gzip.compress(data, 1), memory=1024 * MIB)
        self.attempt("layers", [raw_layer(member("a"))] * 1025, 50, "limit 1024")

    def test_names(self):
        self.attempt("long", [raw_layer(member("d/" * 2047 + "f"))], 48, "kernel unpacks at most")
        self.attempt("longer", [raw_layer(member("d/" * 2200 + "f"))], 48, "limit 4095")
        self.attempt("component", [raw_layer(member("n" * 256))], 48, "limit 255")
        err = self.attempt("control", [raw_layer(member("a\nb\x1b[31m/../c"))], 48, "a\\x0ab\\x1b[31m")
        self.assertNotIn("\x1b", err)
        self.attempt("newline", [raw_layer(member("a\nb", data=b"x"))], 0)
        self.attempt("link", [raw_layer(member("l", LINK, link="x" * 5000))], 48, "limit 4095")

    def test_damage(self):
        good = raw_layer(member("a", data=os.urandom(5000)), member("b", data=b"b"))
        for cut in (100, 511, 700, 5000, len(good) // 2):
            self.attempt("cut", [good[:cut]], 48, "tar")
        for at in (0, 105, 130, 150, 156, 257):
            flipped = bytearray(good)
            flipped[at] ^= 0x80
            self.attempt("flip", [bytes(flipped)], 48, "layer 1")
        packed = gzip.compress(good)
        config = eif.config_of([good], {"Cmd": ["/run"]})
        for data in (packed[:50], packed[:-10], packed[:40] + b"\xff" + packed[41:], b"\x1f\x8b" + bytes(100)):
            self.attempt("gzip", [good], 48, "layer 1", compress=lambda _, data=data: data, config=config)
        self.attempt("other", [good], 48, "after decompression: digest is", compress=lambda _: gzip.compress(good[:-512] + bytes(1024)), config=config)
        self.attempt("xz", [good], 48, "xz data", compress=lambda _: b"\xfd7zXZ\0" + bytes(50), config=config)
        self.attempt("garbage", [b"\xff" * 2000], 48, "tar")

    def test_digests(self):
        folder = self.dir / "digests"
        content = [layer([("a", FILE, b"one", 0o644)]), layer([("b", FILE, b"two", 0o644)])]
        for number in range(2):
            eif.write_image(folder, content, {"Cmd": ["/a"]})
            path = folder / "blobs/sha256" / digest(content[number])[7:]
            data = bytearray(path.read_bytes())
            data[600] ^= 1  # content alone: the archive stays whole
            path.write_bytes(data)
            output = self.dir / "digest.eif"
            _, err = self.run_program("build-enclave", "--docker-uri", f"oci:{folder}", "--output-file", output, expect=48)
            self.assertIn(f"layer {number + 1}: digest is sha256:", err)
            self.assertFalse(output.exists())
            out, _ = self.run_program("build-enclave", "--docker-uri", f"oci:{folder}", "--dry-run", expect=48)
            self.assertEqual(out, "", "measurements of what is not the image")

    def test_bombs(self):
        # 1 GiB of zeros in 1 MiB; content is streamed, so memory stays.
        head = member("zeros")[0]
        head.size = 1 << 30
        packed = io.BytesIO()
        whole = hashlib.sha256()
        with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as out:
            for piece in (head.tobuf(), *[bytes(MIB)] * 1024, bytes(1024)):
                whole.update(piece)
                out.write(piece)
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/run"]},
                             "rootfs": {"type": "layers", "diff_ids": ["sha256:" + whole.hexdigest()]}}).encode()
        self.attempt("bomb", [b""], 0, compress=lambda _: packed.getvalue(), config=config, memory=128 * MIB)
        # A sparse file of 5 TiB in some bytes: beyond what a ramdisk can hold.
        pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s", "GNU.sparse.realsize": str(5 << 40)}
        self.attempt("sparse", [raw_layer(member("s", data=b"0\n" + bytes(510), pax_headers=pax))], 48, "4")
        self.attempt("size", [raw_layer(member("s", pax_headers={"size": str(1 << 62)}))], 48, "layer 1")
        self.attempt("pax", [raw_layer(member("s", pax_headers={"comment": "x" * (4 << 20)}))], 48, "limit")

    def test_descriptions(self):
        for name, config, text in (("large", b'{"a":"' + b"x" * 100_000_000 + b'"}', "limit"), ("deep", b"[" * 10_000 + b"]" * 10_000, "nested deeper than 64"),
                                   ("twice", b'{"architecture":"amd64","architecture":"arm64"}', ""), ("null", b"null", "want an object"),
                                   ("nul", json.dumps({"architecture": "amd64", "config": {"Cmd": ["/a\0b"]}}).encode(), "NUL")):
            self.attempt(f"config-{name}", [], 50, text, config=config)
        folder = self.dir / "index"
        folder.mkdir()
        for text in (b"", b"{}", b"[" * 100_000, b'{"manifests":[{"digest":"sha256:../../../../../../etc/passwd"}]}', b'{"manifests":[{"digest":"sha256:' + b"0" * 64 + b'"}]}'):
            (folder / "index.json").write_bytes(text)
            self.run_program("build-enclave", "--docker-uri", f"oci:{folder}", "--dry-run", expect=50)
        (folder / "index.json").unlink()
        os.mkfifo(folder / "index.json")
        self.run_program("build-enclave", "--docker-uri", f"oci:{folder}", "--dry-run", expect=50)

    def test_archives_within_archives(self):
        def archive(*members):
            (self.dir / "x.tar").write_bytes(raw_layer(*members))
            return self.run_program("build-enclave", "--docker-uri", f"docker-archive:{self.dir}/x.tar", "--dry-run", expect=50)[1]
        self.assertIn("manifest.json", archive(member("other")))
        archive(member("manifest.json", LINK, link="manifest.json"))
        archive(member("manifest.json", LINK, link="/etc/passwd"))
        manifest = json.dumps([{"Config": "/etc/passwd", "Layers": []}]).encode()
        archive(member("manifest.json", data=manifest))
        manifest = json.dumps([{"Config": "../../../../etc/passwd", "Layers": []}]).encode()
        archive(member("manifest.json", data=manifest))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
