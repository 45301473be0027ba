#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every comparison of a secret goes through equal_constant_time (or Secret's ==, which is it).

What is compared with what cannot be read off types everywhere, so this works by names and by places: no C comparison of
bytes outside base/bytes.h; no name that says secret on one side of == or !=; nothing exposed that is searched or
compared; and equal(), which stops at the first difference, only in files where what it compares is public.
"""

import pathlib
import re
import sys

# Where equal() compares, and why nothing there is secret.
PUBLIC = {
    "src/attestation/trust.cc": "names in certificates",
    "src/attestation/verify.cc": "names and key identifiers in certificates",
    "src/crypto/ecdsa.cc": "the constant front of a public key",
    "src/crypto/ecdsa.h": "points of public keys",
    "src/crypto/cms.cc": "literals of the encoding; the digest of a public key",
    "src/crypto/rsa.cc": "literals of the encoding of public keys",
    "src/runtime/measured_images.cc": "a checksum against damage, stored beside what it sums",
    "src/runtime/sandbox/root_record.cc": "a checksum against damage, stored beside what it sums",
    "src/kms/ciphertext.cc": "literals of the encoding; the ciphertext itself",
    "src/kms/store/sqlite/sqlite_store.cc": "the check value of the root key, which is in the file and says nothing of the key",
    "src/x509/certificate.cc": "algorithm identifiers",
    "src/cbor/reader.cc": "keys of maps",
}
# Where constant time is needed: what a client presents against what only the service can know.
SECRET = {
    "src/sigv4/verify.cc": "the signature of a request",
    "src/imds/service.cc": "the seal of a token",
    "src/kms/keyring_grants.cc": "the seal of a grant token",
    "src/kms/api/operations_signing.cc": "a MAC that is verified",
}
RAW = re.compile(r"\b(?:mem|str|strn|strcase|strncase|b)cmp\s*\(|\bCRYPTO_memcmp\b")
EQUAL = re.compile(r"(?<![\w:.])equal\s*\(")
NAME = r"[\w.>-]*(?:\bmac|_mac|signature|token|passphrase|password|secret|\bpin)_?(?:\(\))?"
COMPARED = re.compile(rf"(?<![\w:]){NAME}\s*(?:==|!=)\s*(?!nullptr|\"|k[A-Z]|\w+::)|(?:==|!=)\s*\*?{NAME}(?![\w(:.])")
SEARCHED = re.compile(r"expose\(\)\)?\s*(?:==|!=)|(?:==|!=)[^;&|]*expose\(\)\)?\s*[;)&|]|expose\(\)\)?\.(?:find|compare|starts_with|ends_with)\(")
COMMENT = re.compile(r"//.*$")
# In words: `tags == nullptr` and the like are about being there.
THERE = re.compile(r"(?:==|!=)\s*nullptr|nullptr\s*(?:==|!=)")


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent
    errors, used = [], set()
    for folder in ("src", "sdk", "apps"):
        for path in sorted((root / folder).rglob("*")):
            name = str(path.relative_to(root))
            if path.suffix not in (".h", ".cc") or name.endswith("_test.cc") or path.name.startswith("test_"):
                continue
            for number, line in enumerate(path.read_text().splitlines(), 1):
                line = COMMENT.sub("", line)
                where = f"{name}:{number}"
                if "equal_constant_time(" in line:
                    used.add(name)
                    continue
                if RAW.search(line) and name != "src/base/bytes.h":
                    errors.append(f"{where}: a comparison of C")
                if EQUAL.search(line) and name not in PUBLIC and name != "src/base/bytes.h":
                    errors.append(f"{where}: equal(): name the file as public in {pathlib.Path(__file__).name}, or use equal_constant_time")
                there = THERE.sub("", line)
                if COMPARED.search(there) or SEARCHED.search(there):
                    errors.append(f"{where}: looks like a secret compared: {line.strip()}")
    errors += [f"{name}: {what}: no equal_constant_time" for name, what in SECRET.items() if name not in used]
    print("\n".join(errors) if errors else f"{len(used)} files compare secrets, all in constant time")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
