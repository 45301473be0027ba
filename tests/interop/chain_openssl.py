#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`openssl verify -attime` judges the certificate chains that our verifier judges.

For each genuine document, at times before, in and after the validity of two of its certificates in turn, and with
certificates of the chain left out or exchanged for those of another document, both must agree. Usage: chain_openssl.py CHAIN-LINES VECTORS
"""
import base64
import concurrent.futures
import datetime
import json
import os
import pathlib
import random
import re
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


def openssl_says(folder, index, leaf, bundle, at):
    names = [folder / f"{index}.{part}" for part in ("root", "chain", "leaf")]
    names[0].write_text(pem(bundle[0]))
    names[1].write_text("".join(pem(c) for c in bundle[1:]))
    names[2].write_text(pem(leaf))
    command = ["openssl", "verify", "-attime", str(at), "-CAfile", names[0], "-no-CApath", "-no-CAstore"]
    if bundle[1:]:
        command += ["-untrusted", names[1]]
    return subprocess.run(command + [names[2]], capture_output=True).returncode == 0


def dates(der):
    """The validity of a certificate: its only two UTCTimes."""
    found = re.findall(rb"\x17\x0d(\d{12})Z", der)
    assert len(found) == 2
    return [int(datetime.datetime.strptime("20" + text.decode(), "%Y%m%d%H%M%S").replace(tzinfo=datetime.timezone.utc).timestamp()) for text in found]


def cases_of(number, payload, stamp, other):
    bundle, leaf = payload["cabundle"], payload["certificate"]
    times = {stamp, stamp - 86400 * 30, stamp + 86400 * 30}
    chain = [leaf] + bundle
    for der in (chain[number % len(chain)], chain[(number + 2) % len(chain)]):
        begin, end = dates(der)
        # Not `end` itself: RFC 5280 includes it, OpenSSL does not.
        times |= {begin - 1, begin, end - 1, end + 1}
    cases = [(leaf, bundle, at) for at in sorted(times)]
    cases += [(leaf, bundle[:i] + bundle[i + 1:], stamp) for i in range(1, len(bundle))]
    if other is not payload:
        cases += [(leaf, bundle[:i] + [other["cabundle"][i]] + bundle[i + 1:], stamp) for i in range(1, len(bundle))]
        cases += [(other["certificate"], bundle, stamp)]
    return cases


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
        cose = cbor2.loads((vectors / entry["file"]).read_bytes())
        documents.append((entry["file"], cose, cbor2.loads(cose[2]), entry["timestamp_ms"] // 1000))
    questions, lines = [], []
    for number, (file, cose, payload, stamp) in enumerate(documents):
        for leaf, bundle, at in cases_of(number, payload, stamp, rng.choice(documents)[2]):
            questions.append((file, leaf, bundle, at))
            # A payload that no one signed: the chain is judged before the signature.
            document = cbor2.dumps([cose[0], {}, cbor2.dumps(dict(payload, certificate=leaf, cabundle=bundle)), bytes(95) + b"\1"])
            lines.append(f"{at} {bundle[0].hex()} {document.hex()}\n")
    with tempfile.TemporaryDirectory() as name, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        ours = pool.submit(subprocess.run, [program], input="".join(lines), capture_output=True, text=True, check=True)
        theirs = list(pool.map(lambda q: openssl_says(pathlib.Path(name), q[0], *q[1][1:]), enumerate(questions)))
        answers = ours.result().stdout.splitlines()
    assert len(answers) == len(questions)
    compared = {True: 0, False: 0}
    for (file, _, _, at), answer, their in zip(questions, answers, theirs):
        if answer != ("yes" if their else "no"):
            sys.exit(f"{file} at {at}: casemate {answer}, openssl {'yes' if their else 'no'}")
        compared[their] += 1
    if min(compared.values()) < len(documents):
        sys.exit(f"too little was compared: {compared}")
    print(f"{compared[True]} chains accepted and {compared[False]} refused by both")


main()
