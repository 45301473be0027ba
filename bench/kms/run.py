#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""casemated's KMS over HTTPS with keep-alive, SigV4 verified, every call audited, beside nginx answering a fixed body over
TLS in the same run. The server is held to one core, the load to another.

usage: run.py BUILD [SECONDS [KEYS [OPERATION...]]]
"""
import base64
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/interop"))
from botocore.auth import SigV4Auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402
from casemated_under_test import REGION, Casemated  # noqa: E402

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve()
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 3
KEYS = int(sys.argv[3]) if len(sys.argv) > 3 else 10
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


def signed(service, operation, parameters):
    request = AWSRequest("POST", service.kms_url + "/", data=json.dumps(parameters).encode(),
                         headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"TrentService.{operation}"})
    keys = service.admin_keys()
    SigV4Auth(Credentials(keys["aws_access_key_id"], keys["aws_secret_access_key"]), "kms", REGION).add_auth(request)
    prepared = request.prepare()
    headers = {"Host": urllib.parse.urlsplit(prepared.url).netloc, **dict(prepared.headers), "Content-Length": str(len(prepared.body))}
    return b"POST / HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()).encode() + b"\r\n" + prepared.body


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


def main():
    import socket
    import time
    with Casemated(BUILD) as service:
        service.start()
        admin = service.client("kms", service.admin_keys())
        key = admin.create_key()["KeyMetadata"]["KeyId"]
        port = int(service.kms_url.rsplit(":", 1)[1])
        made = 1
        while KEYS - made > SECONDS * 1000:
            made += int(load(port, signed(service, "CreateKey", {}), 64)[0] * SECONDS)
        for _ in range(KEYS - made):
            admin.create_key()
        pin(service.process.pid, 0)
        blob = base64.b64encode(admin.encrypt(KeyId=key, Plaintext=os.urandom(32))["CiphertextBlob"]).decode()
        _, public = service.recipient_key()
        text = admin.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
        operations = {
            "DescribeKey": {"KeyId": key},
            "Encrypt": {"KeyId": key, "Plaintext": base64.b64encode(bytes(32)).decode()},
            "Decrypt": {"CiphertextBlob": blob},
            "GenerateDataKey": {"KeyId": key, "KeySpec": "AES_256"},
            "GenerateRandom": {"NumberOfBytes": 32},
            "Decrypt with Recipient": {"CiphertextBlob": blob, "Recipient": service.recipient(PCR0, key=public)},
            "PutKeyPolicy": {"KeyId": key, "PolicyName": "default", "Policy": text},
        }
        with socket.create_server(("127.0.0.1", 0)) as free:
            nginx_port = free.getsockname()[1]
        nginx = Nginx(service.folder, service.home, nginx_port)
        try:
            time.sleep(1)
            fixed = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60\r\n\r\n" + b"x" * 60
            print(f"{max(KEYS, made)} keys; requests a second, p50 and p99 in microseconds; against nginx in the same minute")
            print("| | 1 conn | p99 | 32 conns | p99 | 64 conns | p50 | p99 | of nginx at 64 |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|")
            for name, parameters in operations.items():
                if ONLY and name not in ONLY:
                    continue
                reference = [load(nginx_port, fixed, 64)[0]]
                request = signed(service, name.split()[0], parameters)
                one, some, many = (load(port, request, n) for n in (1, 32, 64))
                reference.append(load(nginx_port, fixed, 64)[0])
                against = statistics.mean(reference)
                print(f"| {name} | {one[0]:,.0f} | {one[2]} | {some[0]:,.0f} | {some[2]} | {many[0]:,.0f} | {many[1]} | {many[2]} | {many[0] / against:.2f} ({against:,.0f}) |",
                      flush=True)
            status = pathlib.Path(f"/proc/{service.process.pid}/status").read_text()
            print("resident", [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")][0], "KiB")
        finally:
            nginx.process.terminate()
            nginx.process.wait()


main()
