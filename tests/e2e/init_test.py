#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`casemate init hello && cd hello && ./run`, as a new user types it."""

import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from platform_under_test import Platform


class Init(unittest.TestCase):
    def test_a_new_project_runs_as_it_is(self):
        p = Platform()
        self.addCleanup(p.close)
        env = {name: value for name, value in p.base.items() if not name.startswith("CASEMATE_")}
        made = p.sh("casemate init hello", env)
        self.assertEqual(made.status, 0, made)
        again = p.sh("casemate init hello", env)
        self.assertEqual(again.status, 1)
        self.assertIn("hello: exists already", again.err)
        self.assertEqual(p.sh("casemate init 'He llo'", env).status, 1)
        run = p.sh("cd hello && ./run", env, timeout=600)
        self.assertEqual(run.status, 0, run)
        self.assertIn("last: 4242", run.out)
        self.assertIn("AccessDeniedException", run.out)
        build = p.work / "hello" / "build"
        self.assertEqual(list((build / "platform/run").rglob("*.pid")), [], "nothing runs on")
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    self.assertNotIn(str(build / "platform/run").encode(), (entry / "environ").read_bytes(), entry)
                except OSError:
                    pass


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
