#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An enclave application in plain Python and boto3: decrypts what it is sent and gives back the last four digits.

It knows nothing of attestation. casemate-kms-proxy starts it with AWS_ENDPOINT_URL_KMS set, signs its calls with the
enclave's credentials, attests them and opens the answers:

    CMD ["/casemate-kms-proxy", "--", "python3", "/app.py"]

It speaks the data-processing sample's protocol, one JSON object each way, so data-processing-client is its client.
"""

import base64
import json
import os
import socket
import sys
import threading

import boto3

LARGEST_REQUEST = 64 * 1024


def receive(connection):
    """One JSON object: it ends where its braces do."""
    decoder, text = json.JSONDecoder(), b""
    while len(text) < LARGEST_REQUEST:
        chunk = connection.recv(4096)
        if not chunk:
            break
        text += chunk
        try:
            return decoder.raw_decode(text.decode().lstrip())[0]
        except ValueError:
            continue
    raise ValueError("request: not a JSON object")


def answer(request):
    # botocore before 1.31 does not read AWS_ENDPOINT_URL_KMS by itself.
    kms = boto3.session.Session().client("kms", region_name=request["region"], endpoint_url=os.environ["AWS_ENDPOINT_URL_KMS"])
    value = kms.decrypt(CiphertextBlob=base64.b64decode(request["ciphertext"]))["Plaintext"].decode()
    return {"last_four": value[-4:]}


def serve(connection):
    with connection:
        connection.settimeout(30)
        try:
            reply = answer(receive(connection))
        except Exception as error:
            reply = {"error": str(error)}
        connection.sendall(json.dumps(reply).encode() + b"\n")


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    server = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    server.bind((socket.VMADDR_CID_ANY, port))
    server.listen(16)
    print(f"app: listening on vsock port {port}", flush=True)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
