#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Enclaves on a host that has control groups of version 2 only: Debian's kernel in a virtual machine (QEMU without KVM) whose
root holds nothing but our programs, two images and a shell. As root, as a user whose subtree is delegated (as systemd does for
user@.service), and as one without: what bounds an enclave, what a memory bomb meets, and that nothing is left."""

import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("CASEMATE_BUILD_DIR", HERE.parents[1] / "build"))
QEMU = "qemu-system-x86_64"
TOOLS = ("sh", "mount", "cp", "chroot", "cat", "ls", "mkdir", "sleep", "chown", "find", "setpriv", "wc", "sort", "grep", "rmdir")
MEMORY_MIB = 64
PLAIN_USER = 1000

# The first root is the kernel's rootfs, which nobody can pivot from; an ordinary host's is a file system of its own.
FIRST = """#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t tmpfs -o mode=755,size=75% root /new
cp -a /bin /lib /lib64 /etc /test /new/
mkdir /new/proc /new/sys /new/dev /new/run /new/tmp
cd /new
mount -n --move . /
exec chroot . /bin/sh /test/main
"""

MAIN = """
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec </dev/null >/dev/console 2>&1
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
cd /sys/fs/cgroup

# in_group FOLDER COMMAND...
in_group() {
  folder=$1; shift
  sh -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$folder" "$@"
}

# A machine where nobody has enabled a controller.
sh /test/scenario bare

echo '+cpu +memory +pids' > cgroup.subtree_control
mkdir -p system.slice/shell.service
echo '+memory +pids' > system.slice/cgroup.subtree_control
in_group system.slice/shell.service sh /test/scenario root

user=user.slice/user-@USER@.slice
mkdir -p $user/session-1.scope $user/user@@USER@.service/shell.scope
echo '+cpu +memory +pids' > user.slice/cgroup.subtree_control
echo '+cpu +memory +pids' > $user/cgroup.subtree_control
delegated=$user/user@@USER@.service
chown @USER@ $delegated $delegated/cgroup.procs $delegated/cgroup.subtree_control $delegated/cgroup.threads
chown -R @USER@ $delegated/shell.scope
echo '+cpu +memory +pids' > $delegated/cgroup.subtree_control
as_user="setpriv --reuid @USER@ --regid @USER@ --clear-groups"
in_group $delegated/shell.scope $as_user sh /test/scenario delegated
in_group $user/session-1.scope $as_user sh /test/scenario plain
echo all-done
echo o > /proc/sysrq-trigger
sleep 60
"""

SCENARIO = """
export HOME=/tmp/$1
export CASEMATE_HOME=$HOME/state CASEMATE_RUN_DIR=$HOME/run NITRO_CLI_LOGS_PATH=$HOME/logs NITRO_CLI_ARTIFACTS=$HOME
mkdir -p $HOME
item() { echo "item $1"; }
groups() { find /sys/fs/cgroup -type d -name 'casemate-*'; }
# The brackets keep grep from finding itself.
programs() { grep -a -l -e '[c]asemate' -e '[/]app' -e '[/]init' /proc/[0-9]*/cmdline 2>/dev/null | wc -l; }

echo "begin $1"
item before
wc -l < /proc/self/mountinfo
programs
item run
nitro-cli run-enclave --eif-path /test/serve.eif --cpu-count 1 --memory @MEMORY@ --enclave-name one --debug-mode 2>$HOME/err || cat $HOME/err
item groups
for group in $(groups); do
  echo "group $group"
  for file in memory.max memory.swap.max memory.oom.group pids.max cpu.max; do echo "$file $(cat $group/$file 2>&1)"; done
  echo "processes $(wc -l < $group/cgroup.procs)"
done
item bomb
nitro-cli run-enclave --eif-path /test/bomb.eif --cpu-count 1 --memory @MEMORY@ --enclave-name bomb --debug-mode >$HOME/bomb 2>&1 || cat $HOME/bomb
nitro-cli wait --enclave-id $(grep -o 'i-[0-9a-f]*-enc[0-9a-f]*' $HOME/bomb | sort -u) >/dev/null 2>$HOME/err
echo "status $?"
item describe
nitro-cli describe-enclaves
item log
cat $HOME/logs/nitro_enclaves.log
item terminate
nitro-cli terminate-enclave --enclave-name one 2>&1
item after
# The supervisor of an enclave that has ended may still be on its way out.
for attempt in 1 2 3 4 5 6 7 8 9 10; do [ "$(programs)" = 0 ] && break; sleep 0.5; done
wc -l < /proc/self/mountinfo
programs
item left
groups
echo "end $1"
"""


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def copy_program(root, program, name):
    """The program, stripped, as /bin/NAME, and the libraries that it names."""
    target = root / "bin" / name
    shutil.copy(program, target)
    subprocess.run(["strip", target], check=True)
    for library in re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", program], capture_output=True, text=True).stdout):
        place = root / library.lstrip("/")
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, place)


def make_root(root):
    for name in ("bin", "lib", "lib64", "etc", "proc", "dev", "new", "test"):
        (root / name).mkdir(parents=True)
    for tool in TOOLS:
        copy_program(root, pathlib.Path(shutil.which("dash" if tool == "sh" else tool)).resolve(), tool)
    for program in ("nitro-cli", "casemate-enclave"):
        copy_program(root, BUILD / "bin" / program, program)
    (root / "etc" / "passwd").write_text(f"root:x:0:0::/:/bin/sh\nuser:x:{PLAIN_USER}:{PLAIN_USER}::/tmp:/bin/sh\n")
    (root / "etc" / "group").write_text(f"root:x:0:\nuser:x:{PLAIN_USER}:\n")
    soak = load("soak", HERE.parent / "soak" / "soak.py")
    soak.eif(root / "test" / "serve.eif", "serve")
    soak.eif(root / "test" / "bomb.eif", "memory-bomb", BUILD / "tests" / "guests" / "probe")
    for name, text in (("init", FIRST), ("test/main", MAIN), ("test/scenario", SCENARIO)):
        (root / name).write_text(text.replace("@MEMORY@", str(MEMORY_MIB)).replace("@USER@", str(PLAIN_USER)))
        (root / name).chmod(0o755)


class Section:
    """What one scenario printed, by item."""

    def __init__(self, text):
        self.items = {}
        for part in re.split(r"^item ", text, flags=re.M)[1:]:
            name, _, rest = part.partition("\n")
            self.items[name] = rest.strip()

    def json(self, name):
        text = self.items[name]
        return json.loads(text[min(text.index(mark) for mark in "[{" if mark in text) :])

    def groups(self):
        found = []
        for part in re.split(r"^group ", self.items["groups"], flags=re.M)[1:]:
            path, *lines = part.strip().splitlines()
            found.append((path, dict(line.split(" ", 1) for line in lines)))
        return found


class CgroupV2(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        kernel = BUILD / "blobs" / "bzImage"
        for missing, hint in ((not kernel.exists(), f"{kernel}: missing; cmake --build build --target blobs makes it"),
                              (shutil.which(QEMU) is None, f"no {QEMU}; tools/setup.sh installs it")):
            if missing:
                raise unittest.SkipTest(hint)
        with tempfile.TemporaryDirectory(prefix="casemate-cgroup-") as folder:
            root = pathlib.Path(folder) / "root"
            make_root(root)
            names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
            archive = pathlib.Path(folder) / "initrd"
            archive.write_bytes(subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=root, input=names.encode(), check=True,
                                               capture_output=True).stdout)
            machine = subprocess.run(
                [QEMU, "-accel", "tcg", "-M", "pc", "-cpu", "max", "-smp", "2", "-m", "768", "-nodefaults", "-no-user-config", "-display", "none",
                 "-serial", "stdio", "-no-reboot", "-kernel", kernel, "-initrd", archive,
                 "-append", "console=ttyS0 loglevel=3 reboot=t panic=-1 random.trust_cpu=on cgroup_no_v1=all"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=600)
        cls.text = machine.stdout.replace("\r", "") + machine.stderr
        cls.sections = {name: Section(part) for name, part in re.findall(r"^begin (\w+)\n(.*?)^end \1$", cls.text, flags=re.M | re.S)}

    def section(self, name):
        self.assertIn(name, self.sections, self.text[-8000:])
        return self.sections[name]

    def assert_bounded_by_a_group(self, name, parent):
        section = self.section(name)
        run = section.json("run")
        groups = section.groups()
        self.assertEqual(len(groups), 1, section.items)
        path, values = groups[0]
        self.assertEqual(path, f"/sys/fs/cgroup{parent}/casemate-{run['ProcessID']}-{run['EnclaveCID']}")
        # The enclave's memory, and what its init needs beside it.
        self.assertEqual(int(values["memory.max"]), (MEMORY_MIB + 8) << 20)
        self.assertEqual(values["pids.max"], "1024")
        self.assertEqual(values["cpu.max"], "100000 100000")
        # One process is killed, as in a machine with so much memory, not all.
        self.assertEqual(values["memory.oom.group"], "0")
        # Keeper, init, application.
        self.assertEqual(values["processes"], "3")
        self.assertIn("status 137", section.items["bomb"])
        self.assert_nothing_is_left(section)

    def assert_nothing_is_left(self, section):
        names = [enclave["EnclaveName"] for enclave in section.json("describe")]
        self.assertEqual(names, ["one"], section.items)
        self.assertEqual(section.json("terminate")["EnclaveName"], "one")
        self.assertEqual(section.items["after"], section.items["before"])
        self.assertEqual(section.items["left"], "")

    def test_root_where_no_controller_is_enabled(self):
        self.assert_bounded_by_a_group("bare", "")

    def test_root_beside_its_own_group(self):
        self.assert_bounded_by_a_group("root", "/system.slice")

    def test_a_user_with_a_delegated_subtree(self):
        self.assert_bounded_by_a_group("delegated", f"/user.slice/user-{PLAIN_USER}.slice/user@{PLAIN_USER}.service")

    def test_a_user_without_one_is_told_and_bounded_by_limits_of_processes(self):
        section = self.section("plain")
        self.assertEqual(section.groups(), [])
        self.assertIn("no control group", section.items["log"])
        self.assertIn("status 42", section.items["bomb"])
        self.assert_nothing_is_left(section)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
