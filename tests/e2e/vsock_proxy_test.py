#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""vsock-proxy as its operators use it: routes and limits in the file, SIGHUP, metrics, half-close, hostile peers."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import struct
import sys
import threading
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from platform_under_test import Platform


class Echo:
    """Echoes until the client ends its side, then says goodbye: what half-close must let through."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self.listener.accept()[0],), daemon=True).start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                connection.sendall(data)
            connection.sendall(b"bye")

    def close(self):
        self.listener.close()


class VsockProxy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.p = Platform()
        cls.addClassCleanup(cls.p.close)
        cls.p.up()
        cls.echo = Echo()
        cls.addClassCleanup(cls.echo.close)
        cls.config = cls.p.work / "proxy.yaml"
        cls.write([(9000, 0), (9001, 2)])
        cls.process = cls.p.start(["vsock-proxy", "--config", str(cls.config), "--metrics", f"127.0.0.1:{cls.free_port()}",
                                   "--log-level", "info"])
        cls.wait_for_route(9000)
        cls.wait_for_route(9001)

    @classmethod
    def free_port(cls):
        with socket.create_server(("127.0.0.1", 0)) as sock:
            cls.metrics = sock.getsockname()[1]
        return cls.metrics

    @classmethod
    def write(cls, routes):
        lines = ["allowlist:", f"- {{address: 127.0.0.1, port: {cls.echo.port}}}", "routes:"]
        for port, limit in routes:
            lines.append(f"- {{port: {port}, address: 127.0.0.1, remote_port: {cls.echo.port}" + (f", max_connections: {limit}" if limit else "") + "}")
        cls.config.write_text("\n".join(lines) + "\n")

    @classmethod
    def path(cls, port):
        return cls.p.run_dir / "vsock" / "3" / str(port)

    @classmethod
    def wait_for_route(cls, port):
        cls.p.wait_for(cls.path(port).exists, f"the proxy listens on {port}")

    def metric(self, name, port):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10).read().decode()
        return int(re.search(rf'^vsock_proxy_{name}\{{port="{port}",remote="[^"]*"\}} (\d+)$', text, re.M)[1])

    def talk(self, port):
        with self.p.connect(3, port) as sock:
            sock.sendall(b"hello")
            sock.shutdown(socket.SHUT_WR)
            reply = b""
            while chunk := sock.recv(4096):
                reply += chunk
            return reply

    def test_half_close_is_kept_and_counted(self):
        before = self.metric("bytes_to_remote_total", 9000)
        self.assertEqual(self.talk(9000), b"hellobye")
        self.p.wait_for(lambda: self.metric("bytes_to_remote_total", 9000) == before + 5, "the metrics count")

    def test_a_routes_own_limit_lets_the_next_wait(self):
        with self.p.connect(3, 9001) as one, self.p.connect(3, 9001) as two:
            for sock in (one, two):
                sock.sendall(b"x")
                self.assertEqual(sock.recv(1), b"x")
            with self.p.connect(3, 9001) as three:
                three.sendall(b"y")
                three.settimeout(0.3)
                with self.assertRaises(TimeoutError):
                    three.recv(1)
                self.assertEqual(self.talk(9000), b"hellobye", "another route is not held up")
                one.close()
                three.settimeout(20)
                self.assertEqual(three.recv(1), b"y")

    def test_peers_that_stall_reset_or_trickle_delay_nobody(self):
        stalled = [self.p.connect(3, 9000) for _ in range(20)]
        try:
            for sock in stalled:
                sock.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        sock.send(b"z" * 65536)
            for _ in range(20):
                with self.p.connect(3, 9000) as sock:
                    sock.sendall(b"r")
                    sock.recv(1)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            trickle = self.p.connect(3, 9000)
            stalled.append(trickle)
            trickle.sendall(b"t")
            for _ in range(20):
                self.assertEqual(self.talk(9000), b"hellobye")
            self.assertEqual(trickle.recv(1), b"t")
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
            self.assertLess(int(re.search(r"VmRSS:\s+(\d+)", status)[1]), 100 * 1024)
        finally:
            for sock in stalled:
                sock.close()
        self.p.wait_for(lambda: self.metric("open_connections", 9000) == 0, "closed peers are let go")

    def test_sighup_changes_routes_and_keeps_connections(self):
        with self.p.connect(3, 9000) as kept:
            kept.sendall(b"a")
            self.assertEqual(kept.recv(1), b"a")
            self.write([(9001, 2), (9002, 0)])
            os.kill(self.process.pid, signal.SIGHUP)
            self.wait_for_route(9002)
            self.p.wait_for(lambda: not self.path(9000).exists(), "the old route is gone")
            self.assertEqual(self.talk(9002), b"hellobye")
            kept.sendall(b"b")
            self.assertEqual(kept.recv(1), b"b")
        self.config.write_text("allowlist: [\n")
        os.kill(self.process.pid, signal.SIGHUP)
        self.p.wait_for(lambda: "reload_failed" in (self.p.folder / "background.log").read_text(), "a broken file is named")
        self.assertEqual(self.talk(9002), b"hellobye")
        self.write([(9000, 0), (9001, 2)])
        os.kill(self.process.pid, signal.SIGHUP)
        self.wait_for_route(9000)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
