#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each of the 56 operations once through the AWS CLI, and once through AWS's SDK for JavaScript: it succeeds, or is refused
as docs/kms.md says.

usage: kms_every_operation.py BUILD
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

from casemated_under_test import REGION, Casemated
from kms_world import OTHER_REGION, World

BUILD = sys.argv.pop(1) if len(sys.argv) > 1 else "build"
HERE = pathlib.Path(__file__).resolve().parent


def documented():
    """Operation to whether the table of docs/kms.md says that it works."""
    text = (HERE.parents[1] / "docs/kms.md").read_text()
    return {name: state.startswith("works") for name, state in re.findall(r"^\| ([A-Z]\w+) \| (works|refused)", text, re.M)}


class EveryOperation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Casemated(BUILD).__enter__().start("--regions", OTHER_REGION)
        cls.addClassCleanup(cls.service.__exit__)
        keys = cls.service.admin_keys()
        cls.environment = {"PATH": os.environ["PATH"], "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_CA_BUNDLE": cls.service.ca,
                           "AWS_ACCESS_KEY_ID": keys["aws_access_key_id"], "AWS_SECRET_ACCESS_KEY": keys["aws_secret_access_key"],
                           "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true",
                           "HOME": str(cls.service.folder)}

    def test_the_table_is_every_operation_of_the_docs(self):
        calls = World(self.service).every_operation()
        self.assertEqual(len(calls), 56)
        self.assertEqual({name: error is None for name, _, error in calls}, documented())

    def test_command_line(self):
        unknown = []
        calls = World(self.service).every_operation()
        commands = [["--endpoint-url", self.service.kms_url, "--output", "json", "--no-paginate", "kms", re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower(),
                     "--cli-input-json", json.dumps(parameters)] for name, parameters, _ in calls]
        done = subprocess.run(["/usr/bin/python3", HERE / "aws_calls.py"], input=json.dumps(commands), env=self.environment, capture_output=True, text=True, timeout=80)
        self.assertEqual(done.returncode, 0, done.stderr)
        for (name, _, error), (status, _, message) in zip(calls, json.loads(done.stdout), strict=True):
            if re.search("[Ii]nvalid choice|Unknown parameter in input", message):
                unknown.append(name)  # this CLI is older than the operation
            elif error is None:
                self.assertEqual(status, 0, f"{name}: {message}")
            else:
                self.assertIn(f"An error occurred ({error}) when calling the {name} operation: ", message)
        print(f"not known to this AWS CLI: {', '.join(unknown) or 'none'}")
        self.assertLessEqual(set(unknown), {"DeriveSharedSecret", "RotateKeyOnDemand", "ListKeyRotations", "GetKeyLastUsage", "Encapsulate", "Decapsulate"})

    def test_javascript_sdk(self):
        modules = self.service.build / "node/node_modules"
        self.assertTrue(modules.exists(), f"{modules} is not there: tools/setup.sh, casemate_setup test")
        calls = World(self.service).every_operation()
        environment = {**self.environment, "NODE_EXTRA_CA_CERTS": self.service.ca, "NODE_PATH": str(modules), "AWS_ENDPOINT_URL_KMS": self.service.kms_url}
        done = subprocess.run(["node", HERE / "node/every_operation.cjs"], input=json.dumps(calls), env=environment, capture_output=True, text=True, timeout=80)
        self.assertEqual(done.returncode, 0, done.stderr)
        answers = json.loads(done.stdout)
        self.assertEqual([answer["name"] for answer in answers], [name for name, _, _ in calls])
        for (name, _, error), answer in zip(calls, answers):
            self.assertEqual(answer.get("error"), error, answer)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
