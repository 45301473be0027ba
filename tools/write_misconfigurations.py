#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/misconfigurations.md: each case of tests/policy/misconfigurations.json with what casemate says of it.

Usage: tools/write_misconfigurations.py PATH/TO/casemate
The test MisconfigurationTable in src/iam compares the page with what is printed now.
"""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEAD = """# Forty ways to be denied, and what casemate says

Every row is a case of [tests/policy/misconfigurations.json](../tests/policy/misconfigurations.json), decided by the same
code that answers `kms:Decrypt`; the text below each title is what `casemate explain` prints for it. Try one yourself:

    jq -c '.[0].input' tests/policy/misconfigurations.json | casemate policy simulate --explain

"""


def main():
    cases = json.loads((ROOT / "tests/policy/misconfigurations.json").read_text())
    table = "| # | what was done | what is said |\n|--:|---|---|\n"
    parts = ""
    for number, case in enumerate(cases, 1):
        run = subprocess.run([sys.argv[1], "policy", "simulate", "--explain"], input=json.dumps(case["input"]),
                             capture_output=True, text=True, check=True)
        lines = run.stdout.rstrip("\n").split("\n")
        cause = next(line for line in lines if line.startswith("Cause: "))
        table += f"| {number} | {case['mistake']} | {cause[len('Cause: '):]} |\n"
        parts += f"\n## {number}. {case['mistake']}\n\n```text\n" + "\n".join(lines) + "\n```\n"
    (ROOT / "docs/misconfigurations.md").write_text(HEAD.replace("Forty", "Fifty-seven" if len(cases) == 57 else str(len(cases))) + table + parts)


if __name__ == "__main__":
    main()
