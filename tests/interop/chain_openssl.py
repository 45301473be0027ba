#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`openssl verify -attime` judges the chains that `casemate attest verify` judges.

For each genuine document, at times before, in and after every certificate's validity, and with certificates of the chain
left out or exchanged for those of another document, both must agree. Usage: chain_openssl.py CASEMATE VECTORS
"""
import base64
import datetime
import json
import pathlib
import random
import subprocess
import sys
import tempfile

try:
    import cbor2
except ImportError:
    print("SKIPPED: python3-cbor2 is not installed")
    sys.exit(77)


def pem(der):
    return "-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der).decode() + "-----END CERTIFICATE-----\n"


def openssl_says(folder, leaf, bundle, at):
    (folder / "root.pem").write_text(pem(bundle[0]))
    (folder / "chain.pem").write_text("".join(pem(c) for c in bundle[1:]))
    (folder / "leaf.pem").write_text(pem(leaf))
    command = ["openssl", "verify", "-attime", str(at), "-CAfile", folder / "root.pem", "-no-CApath", "-no-CAstore"]
    if bundle[1:]:
        command += ["-untrusted", folder / "chain.pem"]
    return subprocess.run(command + [folder / "leaf.pem"], capture_output=True).returncode == 0


def casemate_says(program, folder, root, document, at):
    (folder / "trusted.pem").write_text(pem(root))
    (folder / "document").write_bytes(document)
    out = subprocess.run([program, "attest", "verify", "--json", "--allow-debug", "--at", str(at), "--trust", folder / "trusted.pem", folder / "document"],
                         capture_output=True, text=True)
    report = json.loads(out.stdout)
    chain = [c for c in report["checks"] if c["check"].startswith(("certificate", "cabundle"))]
    return bool(chain) and all(c["verdict"] == "pass" for c in chain)


def dates(der):
    out = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-dates"], input=der, capture_output=True, check=True).stdout.decode()
    found = []
    for line in out.splitlines():
        text = line.split("=", 1)[1]
        moment = datetime.datetime.strptime(text, "%b %d %H:%M:%S %Y %Z").replace(tzinfo=datetime.timezone.utc)
        found.append(int(moment.timestamp()))
    return found


def main():
    program, vectors = sys.argv[1], pathlib.Path(sys.argv[2]) / "attestation"
    if not (vectors / "manifest.json").exists():
        print(f"SKIPPED: no documents in {vectors}; CASEMATE_VECTORS names their folder")
        sys.exit(77)
    rng = random.Random(7)
    documents = []
    for entry in json.loads((vectors / "manifest.json").read_text()):
        if "MOCKROOT" in entry["file"]:
            continue
        raw = (vectors / entry["file"]).read_bytes()
        cose = cbor2.loads(raw)
        documents.append((entry["file"], cose, cbor2.loads(cose[2]), entry["timestamp_ms"] // 1000))
    compared = {True: 0, False: 0}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for file, cose, payload, stamp in documents:
            other = rng.choice(documents)[2]
            bundle, leaf = payload["cabundle"], payload["certificate"]
            times = {stamp, stamp - 86400 * 30, stamp + 86400 * 30}
            for der in [leaf] + bundle[1:]:
                begin, end = dates(der)
                # Not `end` itself: RFC 5280 includes it, OpenSSL does not.
            times |= {begin - 1, begin, end - 1, end + 1}
            cases = [(leaf, bundle, at) for at in sorted(times)]
            cases += [(leaf, bundle[:i] + bundle[i + 1:], stamp) for i in range(1, len(bundle))]
            if other is not payload:
                cases += [(leaf, bundle[:i] + [other["cabundle"][i]] + bundle[i + 1:], stamp) for i in range(1, len(bundle))]
                cases += [(other["certificate"], bundle, stamp)]
            for case_leaf, case_bundle, at in cases:
                spoilt = dict(payload, certificate=case_leaf, cabundle=case_bundle)
                document = cbor2.dumps([cose[0], {}, cbor2.dumps(spoilt), cose[3]])
                theirs = openssl_says(folder, case_leaf, case_bundle, at)
                ours = casemate_says(program, folder, case_bundle[0], document, at)
                if ours != theirs:
                    sys.exit(f"{file} at {at}: casemate {ours}, openssl {theirs}")
                compared[ours] += 1
    print(f"{compared[True]} chains accepted and {compared[False]} refused by both")


main()
