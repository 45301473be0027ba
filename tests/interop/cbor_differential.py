#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two other implementations judge what our CBOR reader makes of a generated corpus.

Every item that cbor2 encodes must be accepted with the same content. Of spoilt and arbitrary bytes, whatever we accept
they must decode too, to the same content; whatever we reject must be undecodable to them, or one of the forms that we
refuse on purpose: not the shortest, of indefinite length, with a key twice, too deep, or followed by bytes.
Usage: cbor_differential.py cbor2 OURS | cbor_differential.py libcbor OURS THEIRS, the programs being cbor_items and
cbor_libcbor_items.
"""
import io
import random
import re
import subprocess
import sys

try:
    import cbor2
except ImportError:
    print("SKIPPED: python3-cbor2 is not installed")
    sys.exit(77)


def shown(value):
    if value is True or value is False or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int):
        return str(value) if -(2**63) <= value < 2**64 else "big"
    if isinstance(value, bytes):
        return "h" + value.hex()
    if isinstance(value, str):
        return "t" + value.encode().hex()
    if isinstance(value, (list, tuple)):
        return "[" + "".join(shown(v) + "," for v in value) + "]"
    if isinstance(value, dict):
        return "{" + "".join(shown(k) + ":" + shown(v) + "," for k, v in value.items()) + "}"
    return "?"


def make(rng, depth):
    kind = rng.randrange(9 if depth < 5 else 6)
    if kind == 0:
        return rng.choice([0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1, rng.getrandbits(rng.randrange(1, 64))])
    if kind == 1:
        return -1 - rng.getrandbits(rng.randrange(1, 63))
    if kind == 2:
        return rng.randbytes(rng.choice([0, 1, 23, 24, 48, 255, 256, 300]))
    if kind == 3:
        return "".join(rng.choice("aé€𐍈\0z") for _ in range(rng.randrange(30)))
    if kind in (4, 5):
        return rng.choice([True, False, None])
    if kind in (6, 7):
        return [make(rng, depth + 1) for _ in range(rng.randrange(6))]
    return {rng.choice([f"k{i}", i, -i - 1, bytes([i])]): make(rng, depth + 1) for i in range(rng.randrange(6))}


def loose(rng, value, indefinite):
    """Encodes with heads of any length and, if asked, some strings and containers of indefinite length."""

    def head(major, number):
        least = 0 if number < 24 else 1 if number < 2**8 else 2 if number < 2**16 else 4 if number < 2**32 else 8
        width = rng.choice([w for w in (0, 1, 2, 4, 8) if w >= least])
        if width == 0:
            return bytes([major << 5 | number])
        return bytes([major << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[width]]) + number.to_bytes(width, "big")

    def string(major, data):
        if indefinite and rng.randrange(4) == 0:
            return bytes([major << 5 | 31]) + head(major, len(data)) + data + b"\xff"
        return head(major, len(data)) + data

    def container(major, count, body):
        if indefinite and rng.randrange(4) == 0:
            return bytes([major << 5 | 31]) + body + b"\xff"
        return head(major, count) + body

    if value is True or value is False or value is None:
        return {True: b"\xf5", False: b"\xf4", None: b"\xf6"}[value]
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return string(2, value)
    if isinstance(value, str):
        return string(3, value.encode())
    if isinstance(value, list):
        return container(4, len(value), b"".join(loose(rng, v, indefinite) for v in value))
    return container(5, len(value), b"".join(loose(rng, k, indefinite) + loose(rng, v, indefinite) for k, v in value.items()))


def ask(items, *program):
    text = "".join(item.hex() + "\n" for item in items)
    out = subprocess.run(program, input=text, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(out) == len(items)
    return out


PURPOSEFUL = ("shortest", "indefinite", "twice", "nested", "after the end", "simple value", "items in", "reserved", "break")


def corpus():
    rng = random.Random(20250717)
    values = [make(rng, 0) for _ in range(4000)]
    # cbor2 writes maps in the order given unless canonical; either is one of ours.
    items = [cbor2.dumps(v) for v in values]
    mutants = []
    for item in items:
        for _ in range(5):
            spoilt = bytearray(item)
            for _ in range(rng.randrange(1, 3)):
                at = rng.randrange(len(spoilt))
                how = rng.randrange(4)
                if how == 0:
                    spoilt[at] ^= 1 << rng.randrange(8)
                elif how == 1:
                    spoilt[at] = rng.randrange(256)
                elif how == 2:
                    del spoilt[at]
                else:
                    spoilt.insert(at, rng.randrange(256))
                if not spoilt:
                    spoilt = bytearray([rng.randrange(256)])
            mutants.append(bytes(spoilt))
    mutants += [rng.randbytes(rng.randrange(1, 12)) for _ in range(10000)]
    mutants += [loose(rng, value, indefinite) for value in values for indefinite in (False, True)]
    return values, items, mutants


def check_items(values, items, program):
    for value, item, answer in zip(values, items, ask(items, program)):
        if answer != "accept " + shown(value):
            sys.exit(f"{item.hex()}: {answer}, want accept {shown(value)}")


def compare_cbor2(program):
    values, items, mutants = corpus()
    check_items(values, items, program)
    accepted = rejected = purposeful = 0
    for item, answer in zip(mutants, ask(mutants, program)):
        stream = io.BytesIO(item)
        try:
            # Tags are kept apart from what cbor2 would make of them, and text must be UTF-8.
            value = cbor2.CBORDecoder(stream, tag_hook=lambda _, tag: tag).decode()
            whole = stream.read() == b""
            failure = None
        except Exception as error:  # cbor2 lets several kinds through
            value, whole, failure = None, False, error
        if answer.startswith("accept"):
            accepted += 1
            content = answer[len("accept "):]
            # Tags, floats and simple values are shown differently; what they are is not this comparison's business.
            if failure is not None:
                if "(" in content or "x" in content:
                    continue
                # A map or array as a key cannot be hashed by Python.
                if "unhashable" in str(failure):
                    continue
                sys.exit(f"{item.hex()}: accepted, cbor2: {failure}")
            if not whole:
                sys.exit(f"{item.hex()}: accepted with bytes after it")
            # To Python True and 1 are one key.
            if not any(mark in content for mark in ("(", "x", "big", "true:", "false:")) and "?" not in shown(value):
                if content != shown(value):
                    sys.exit(f"{item.hex()}: {content}, cbor2 {shown(value)}")
        else:
            rejected += 1
            if failure is None and whole:
                if not any(word in answer for word in PURPOSEFUL):
                    sys.exit(f"{item.hex()}: {answer}, cbor2 decodes {value!r}")
                purposeful += 1
    print(f"{len(items)} encoded items accepted; of {len(mutants)} spoilt ones {accepted} accepted, {rejected} rejected, "
          f"{purposeful} of these stricter than cbor2")


def compare_libcbor(program, theirs):
    values, items, mutants = corpus()
    check_items(values, items, theirs)
    answers = ask(mutants, theirs)
    # libcbor takes heads of any length, as we do where NSM requests are read, and does not look into text.
    for flags, allowed in ((), PURPOSEFUL + ("not UTF-8",)), (("--any-heads",), PURPOSEFUL[1:] + ("not UTF-8",)):
        accepted = rejected = purposeful = unknown = 0
        for item, ours, answer in zip(mutants, ask(mutants, program, *flags), answers):
            if ours.startswith("accept"):
                accepted += 1
                # We show the bytes of floats and simple values.
                content = re.sub(r"\bx[0-9a-f]+", "x", ours)
                if answer == "reject 3" and ("x" in content or "(" in content):
                    unknown += 1  # CBOR_ERR_MALFORMATED: a simple value, or a tag of 6 to 20, which libcbor does not know
                elif answer != content:
                    sys.exit(f"{item.hex()}: {ours}, libcbor: {answer}")
            else:
                rejected += 1
                if answer.startswith("accept"):
                    if not any(word in ours for word in allowed):
                        sys.exit(f"{item.hex()}: {ours}, libcbor: {answer}")
                    purposeful += 1
        if not accepted or not purposeful or unknown > accepted // 5:
            sys.exit(f"too little was compared: {accepted} accepted, {purposeful} stricter, {unknown} unknown to libcbor")
        print(f"{' '.join(flags) or 'strict'}: of {len(mutants)} spoilt items {accepted} accepted ({unknown} with a simple value or tag that libcbor "
              f"does not know), {rejected} rejected, {purposeful} of these stricter than libcbor")


if sys.argv[1] == "cbor2":
    compare_cbor2(sys.argv[2])
elif len(sys.argv) == 4:
    compare_libcbor(sys.argv[2], sys.argv[3])
else:
    print("SKIPPED: libcbor was not found when the build was configured")
    sys.exit(77)
