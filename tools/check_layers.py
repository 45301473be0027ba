#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares #include lines with the layer rule of ARCHITECTURE.md.

Each folder of src/ names in deps.txt the folders that it may include; this checks that deps.txt only points downward,
that no source includes what deps.txt does not name, and that third-party headers stay in the folders that own them.
"""

import pathlib
import re
import sys

LAYERS = [
    ["base"],
    ["crypto", "json", "cbor", "cpio", "http"],
    ["cose", "x509", "sigv4", "oci"],
    ["attestation", "nsm", "eif", "iam", "query"],
    ["os", "net", "seccomp", "fabric", "identity"],
    ["pki", "proxy", "runtime", "kms", "sts", "imds", "image", "audit"],
    ["kms/store", "kms/store/sqlite", "kms/seal", "kms/api", "iam/api", "runtime/sandbox", "console"],
    ["cli", "cli/casemate", "cli/enclave", "cli/nitro", "cli/vsock_proxy", "cli/casemated", "cli/zeroing"],
]
# Within a layer, only these pairs.
SIDEWAYS = {
    ("nsm", "attestation"), ("eif", "attestation"), ("fabric", "os"), ("net", "os"), ("seccomp", "os"),
    ("x509", "cose"), ("cose", "x509"), ("kms/api", "kms/store"), ("kms/store/sqlite", "kms/store"),
    ("cli/casemate", "cli"), ("cli/nitro", "cli"),
}
# Header prefix -> folders that may include it.
THIRD_PARTY = {
    "openssl/": {"crypto", "x509", "net", "cli", "cli/casemated", "cli/zeroing"},
    "nettle/": {"crypto"},
    "boost/": {"json"},
    "archive": {"oci"},
    "seccomp.h": {"seccomp"},
    "CLI/": {"cli", "cli/casemate", "cli/nitro", "cli/vsock_proxy", "cli/casemated"},
    "sqlite3.h": {"kms/store/sqlite"},
    "p11-kit/": {"kms/seal"},
    "yaml-cpp/": {"proxy", "cli"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent / "src"
    layer_of = {folder: number for number, folders in enumerate(LAYERS) for folder in folders}
    errors = []
    for deps_file in sorted(root.rglob("deps.txt")):
        folder = str(deps_file.parent.relative_to(root))
        if folder not in layer_of:
            errors.append(f"src/{folder}: not in the table of layers")
            continue
        deps = {line for line in deps_file.read_text().splitlines() if re.match(r"[a-z]", line)}
        for dep in sorted(deps):
            if dep not in layer_of:
                errors.append(f"src/{folder}/deps.txt: {dep}: no such folder in the table of layers")
            elif layer_of[dep] >= layer_of[folder] and (folder, dep) not in SIDEWAYS:
                errors.append(f"src/{folder}/deps.txt: {dep}: layer {layer_of[dep]}, want below {layer_of[folder]}")
        # What a dependency may include is at hand through it.
        reach, todo = set(), [folder]
        while todo:
            name = todo.pop()
            if name in reach:
                continue
            reach.add(name)
            file = root / name / "deps.txt"
            if file.exists():
                todo += [line for line in file.read_text().splitlines() if re.match(r"[a-z]", line)]
        for source in sorted(deps_file.parent.glob("*.[hc]*")):
            is_test = source.stem.endswith("_test") or source.stem.startswith("test_")
            for quote, name in INCLUDE.findall(source.read_text(errors="replace")):
                where = f"src/{source.relative_to(root)}"
                if quote == "<":
                    for prefix, owners in THIRD_PARTY.items():
                        if name.startswith(prefix) and folder not in owners and not is_test:
                            errors.append(f"{where}: <{name}>: belongs to {', '.join(sorted(owners))}")
                elif "/" in name and not is_test:
                    included = name.rsplit("/", 1)[0]
                    if included in layer_of and included not in reach:
                        errors.append(f"{where}: \"{name}\": {included} is not in src/{folder}/deps.txt")
    for error in errors:
        print(error)
    print(f"{len(layer_of)} folders, {len(errors)} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
