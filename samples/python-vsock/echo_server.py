#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An enclave program in plain Python: echoes, in upper case, what arrives on vsock port 5005, one connection at a time.

It uses nothing but the standard library's AF_VSOCK sockets, and runs on Nitro hardware as it is:

    FROM python:3-slim
    COPY echo_server.py /echo_server.py
    CMD ["python3", "/echo_server.py"]
"""

import socket
import sys


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5005
    server = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    server.bind((socket.VMADDR_CID_ANY, port))
    server.listen(16)
    print(f"echo: listening on vsock port {port}", flush=True)
    while True:
        connection, (cid, peer_port) = server.accept()
        with connection:
            print(f"echo: CID {cid} port {peer_port}", flush=True)
            while data := connection.recv(4096):
                connection.sendall(data.upper())


if __name__ == "__main__":
    main()
