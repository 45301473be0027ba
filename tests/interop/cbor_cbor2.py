#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""cbor2 judges what our CBOR reader makes of a generated corpus.

Every item that cbor2 encodes canonically must be accepted with the same content. Of arbitrary bytes, whatever we accept
cbor2 must decode too, to the same content; whatever we reject must be undecodable, or one of the forms that we refuse on
purpose: not the shortest, of indefinite length, with a key twice, too deep, or followed by bytes.
"""
import io
import random
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


def ask(program, items):
    text = "".join(item.hex() + "\n" for item in items)
    out = subprocess.run([program], input=text, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(out) == len(items)
    return out


PURPOSEFUL = ("shortest", "indefinite", "twice", "nested", "after the end", "simple value", "items in", "reserved", "break")


def main():
    program = sys.argv[1]
    rng = random.Random(20250717)
    values = [make(rng, 0) for _ in range(4000)]
    # cbor2 writes maps in the order given unless canonical; either is one of ours.
    items = [cbor2.dumps(v) for v in values]
    for value, item, answer in zip(values, items, ask(program, items)):
        if answer != "accept " + shown(value):
            sys.exit(f"{item.hex()}: {answer}, want accept {shown(value)}")
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
    accepted = rejected = purposeful = 0
    for item, answer in zip(mutants, ask(program, mutants)):
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


main()
