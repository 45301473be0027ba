#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""casemated's KMS over HTTPS with keep-alive, SigV4 verified, every call audited, beside nginx answering a fixed body over
TLS. The servers are held to one core, the load to another. Each turn measures all of them one after the other; a ratio is
the median of the turns' ratios, so that what the machine does from minute to minute takes little part.

usage: run.py BUILD [SECONDS [KEYS[,KEYS...] [OPERATION...]]]    SECONDS of a measurement; a service for each number of keys
"""
import base64
import contextlib
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/interop"))
import botocore.exceptions  # noqa: E402
from casemated_under_test import Casemated, signed  # noqa: E402

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve()
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 1
KEYS = [int(text) for text in (sys.argv[3] if len(sys.argv) > 3 else "10").split(",")]
TURNS = 7
ONLY = sys.argv[4:]
PCR0 = "ab" * 48
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"


def pin(pid, core):
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {core})


def load(port, request, connections):
    with tempfile.NamedTemporaryFile() as file:
        file.write(request)
        file.flush()
        done = subprocess.run(["taskset", "-c", "1", BUILD / "bench/kms_load", "127.0.0.1", str(port), file.name, str(connections), str(SECONDS)],
                              check=True, capture_output=True, text=True)
    rate, p50, p99, others = done.stdout.split()
    assert others == "0", f"{others} answers were not 200"
    return float(rate), int(p50), int(p99)


class Nginx:
    def __init__(self, folder, home, port):
        configuration = folder / "nginx.conf"
        configuration.write_text(f"""daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {home}/ca/server.pem; ssl_certificate_key {home}/ca/server.key; default_type application/json;
location / {{ return 200 '{"x" * 300}'; }} }} }}
""")
        self.process = subprocess.Popen(["taskset", "-c", "0", NGINX, "-c", str(configuration)], stderr=subprocess.DEVNULL)
        self.port = port


class Moto:
    """moto's server with one key: it verifies no signature, decides no policy and closes after each answer."""

    def __init__(self, program, service):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.kms_url = f"https://localhost:{self.port}"
        self.service = service
        self.process = subprocess.Popen(["taskset", "-c", "0", program, "-H", "127.0.0.1", "-p", str(self.port), "-c", f"{service.home}/ca/server.pem",
                                         "-k", f"{service.home}/ca/server.key"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def admin_keys(self):
        return self.service.admin_keys()

    def measure(self):
        client = self.service.client("kms", self.admin_keys(), self.kms_url)
        for _ in range(100):
            with contextlib.suppress(botocore.exceptions.EndpointConnectionError):
                key = client.create_key()["KeyMetadata"]["KeyId"]
                break
            time.sleep(0.2)
        blob = base64.b64encode(client.encrypt(KeyId=key, Plaintext=os.urandom(32))["CiphertextBlob"]).decode()
        operations = parameters_of(key, blob)
        return ", ".join(f"{name} {load(self.port, signed(self, name, parameters), 4)[0]:,.0f}" for name, parameters in operations.items())


def parameters_of(key, blob):
    return {
        "DescribeKey": {"KeyId": key},
        "Encrypt": {"KeyId": key, "Plaintext": base64.b64encode(bytes(32)).decode()},
        "Decrypt": {"CiphertextBlob": blob},
        "GenerateDataKey": {"KeyId": key, "KeySpec": "AES_256"},
        "GenerateRandom": {"NumberOfBytes": 32},
    }


def verify_rate():
    done = subprocess.run(["taskset", "-c", "0", BUILD / "bench/kms_verify_rate", str(SECONDS)], check=True, capture_output=True, text=True)
    return float(done.stdout)


class Contender:
    """A service with a number of keys, and what is asked of it."""

    def __init__(self, service, keys):
        service.start()
        self.service = service
        self.port = int(service.kms_url.rsplit(":", 1)[1])
        admin = service.client("kms", service.admin_keys())
        key = admin.create_key()["KeyMetadata"]["KeyId"]
        self.keys = 1
        while keys - self.keys > SECONDS * 1000:
            self.keys += int(load(self.port, signed(service, "CreateKey", {}), 64)[0] * SECONDS)
        for _ in range(keys - self.keys):
            admin.create_key()
        self.keys = max(keys, self.keys)
        pin(service.process.pid, 0)
        blob = base64.b64encode(admin.encrypt(KeyId=key, Plaintext=os.urandom(32))["CiphertextBlob"]).decode()
        _, public = service.recipient_key()
        self.operations = {
            **parameters_of(key, blob),
            "Decrypt with Recipient": {"CiphertextBlob": blob, "Recipient": service.recipient(PCR0, key=public)},
            "PutKeyPolicy": {"KeyId": key, "PolicyName": "default",
                             "Policy": admin.get_key_policy(KeyId=key, PolicyName="default")["Policy"]},
        }

    def request(self, name):
        return signed(self.service, name.split()[0], self.operations[name])

    def resident_mib(self):
        status = pathlib.Path(f"/proc/{self.service.process.pid}/status").read_text()
        return int([line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")][0]) / 1024


def compare(name, contenders, nginx_port):
    fixed = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60\r\n\r\n" + b"x" * 60
    attested = name == "Decrypt with Recipient"
    requests = [contender.request(name) for contender in contenders]
    turns = []
    order = list(range(len(contenders)))
    for _ in range(TURNS):
        nginx = load(nginx_port, fixed, 64)[0]
        raw = verify_rate() if attested else None
        many = {i: load(contenders[i].port, requests[i], 64) for i in order}
        turns.append((nginx, raw, many))
        order.reverse()
    for i, contender in enumerate(contenders):
        one, some = (load(contender.port, requests[i], n) for n in (1, 32))
        many = [turn[2][i] for turn in turns]
        median = statistics.median
        cells = [f"{name}, {contender.keys:,} keys", f"{one[0]:,.0f}", one[2], f"{some[0]:,.0f}", some[2], f"{median(m[0] for m in many):,.0f}",
                 median(m[1] for m in many), median(m[2] for m in many),
                 f"{median(turn[2][i][0] / turn[0] for turn in turns):.2f} ({median(turn[0] for turn in turns):,.0f})",
                 f"{median(turn[2][i][0] / turn[1] for turn in turns):.2f} ({median(turn[1] for turn in turns):,.0f})" if attested else "",
                 f"{median(turn[2][i][0] / turn[2][0][0] for turn in turns):.2f}" if i else ""]
        print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def main():
    with contextlib.ExitStack() as stack:
        contenders = [Contender(stack.enter_context(Casemated(BUILD)), keys) for keys in KEYS]
        with socket.create_server(("127.0.0.1", 0)) as free:
            nginx_port = free.getsockname()[1]
        first = contenders[0].service
        nginx = Nginx(first.folder, first.home, nginx_port)
        try:
            time.sleep(1)
            print("requests a second; p50 and p99 in microseconds; ratios at 64 connections")
            print("| | 1 conn | p99 | 32 conns | p99 | 64 conns | p50 | p99 | of nginx | of raw verification | of the first number of keys |\n"
                  "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
            for name in contenders[0].operations:
                if not ONLY or name in ONLY:
                    compare(name, contenders, nginx_port)
            for contender in contenders:
                print(f"resident with {contender.keys:,} keys: {contender.resident_mib():.0f} MiB")
            if program := shutil.which("moto_server"):
                moto = Moto(program, first)
                try:
                    print(f"moto: {moto.measure()}")
                finally:
                    moto.process.terminate()
                    moto.process.wait()
            else:
                print("moto: not installed")
        finally:
            nginx.process.terminate()
            nginx.process.wait()


main()
