#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an image's configuration becomes in a running enclave: as AWS's tool reads it (CMD alone, root, /), and with
--honour-oci-config as a container engine does (ENTRYPOINT and CMD, USER with its groups, WORKDIR, ENV)."""

import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from platform_under_test import Platform

PROBE = r'''
#define _GNU_SOURCE
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char** argv) {
  gid_t groups[16];
  char folder[256];
  int count = getgroups(16, groups);
  printf("probe uid=%d gid=%d cwd=%s home=%s colour=%s groups=", getuid(), getgid(), getcwd(folder, sizeof folder), getenv("HOME"), getenv("COLOUR"));
  for (int i = 0; i < count; ++i) printf("%d,", groups[i]);
  for (int i = 0; i < argc; ++i) printf(" [%s]", argv[i]);
  printf(" end\n");
  fflush(stdout);
  pause();
}
'''
DOCKERFILE = '''FROM scratch
COPY probe /srv/app/probe
COPY passwd group /etc/
ENV COLOUR=green
USER worker
WORKDIR /srv/app
ENTRYPOINT ["./probe", "-a"]
CMD ["/srv/app/probe", "b c"]
'''


class ImageConfiguration(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.p = p = Platform()
        cls.addClassCleanup(p.close)
        image = p.work / "image"
        image.mkdir()
        (image / "Dockerfile").write_text(DOCKERFILE)
        (image / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nworker:x:1000:100:worker:/srv/worker:/bin/sh\n")
        (image / "group").write_text("users:x:100:\ndisk:x:6:worker\nother:x:7:\n")
        (p.work / "probe.c").write_text(PROBE)
        subprocess.run(["gcc", "-static", "-o", image / "probe", p.work / "probe.c"], check=True)
        p.up()
        cls.uri = p.build_with_buildah("image", "probe")

    def tearDown(self):
        self.p.terminate_all()

    def run_probe(self, name, more=""):
        p = self.p
        measurements = p.build_enclave(self.uri, name, more)
        enclave = p.run_enclave(name, "--debug-mode")
        logs = f"nitro-cli logs {enclave['EnclaveID']}"
        said = p.wait_for(lambda: [line for line in p.ok(logs).splitlines() if "probe uid=" in line and line.rstrip().endswith("end")], "the probe's line")
        return measurements, said[0][said[0].index("probe") :].strip()

    def test_as_aws_reads_it(self):
        _, said = self.run_probe("plain")
        self.assertEqual(said, "probe uid=0 gid=0 cwd=/ home=(null) colour=green groups= [/srv/app/probe] [b c] end")

    def test_honoured(self):
        plain = self.p.build_enclave(self.uri, "other")
        honoured, said = self.run_probe("honoured", "--honour-oci-config")
        self.assertEqual(said, "probe uid=1000 gid=100 cwd=/srv/app home=/srv/worker colour=green groups=6,100, [./probe] [-a] [/srv/app/probe] [b c] end")
        self.assertEqual(plain["PCR1"], honoured["PCR1"])
        self.assertNotEqual(plain["PCR2"], honoured["PCR2"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
