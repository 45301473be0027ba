# SPDX-License-Identifier: Apache-2.0
# A Python guest, as tutorials have it: a blocking AF_VSOCK server, then a client, then asyncio, which asks for
# non-blocking sockets and epoll.
import asyncio
import signal
import socket
import sys

PARENT = 3


def serve(port, count):
    server = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    server.bind((socket.VMADDR_CID_ANY, port))
    server.listen(5)
    for _ in range(count):
        connection, (cid, peer_port) = server.accept()
        assert cid == PARENT and peer_port >= 1024, (cid, peer_port)
        assert connection.getsockname()[1] == port and connection.getpeername() == (cid, peer_port)
        assert connection.family == socket.AF_VSOCK, connection.family
        while data := connection.recv(4096):
            connection.sendall(data)
        connection.close()
    server.close()


def call(port):
    client = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    client.settimeout(5)
    client.connect((PARENT, port))
    assert client.getpeername() == (PARENT, port)
    client.sendall(b"from python")
    client.shutdown(socket.SHUT_WR)
    data = b""
    while part := client.recv(64):
        data += part
    assert data == b"from python", data
    # What detects a socket's family by its descriptor sees a vsock one.
    assert socket.socket(fileno=client.detach()).family == socket.AF_VSOCK


def refused():
    client = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    try:
        client.connect((PARENT, 9))
    except ConnectionResetError:
        return
    raise AssertionError("connect where nobody listens")


def interrupted():
    # PEP 475: the handler runs while accept waits, and accept goes on or the handler's exception ends it.
    class Alarm(Exception):
        pass

    def on_alarm(number, frame):
        raise Alarm

    signal.signal(signal.SIGALRM, on_alarm)
    server = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    server.bind((socket.VMADDR_CID_ANY, 6001))
    server.listen(1)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        server.accept()
    except Alarm:
        return
    raise AssertionError("accept without a connection")


async def call_async(port):
    loop = asyncio.get_running_loop()
    clients = [socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) for _ in range(8)]
    for client in clients:
        client.setblocking(False)
    await asyncio.gather(*(loop.sock_connect(client, (PARENT, port)) for client in clients))
    for number, client in enumerate(clients):
        await loop.sock_sendall(client, b"async %d" % number)
        client.shutdown(socket.SHUT_WR)
        assert await loop.sock_recv(client, 64) == b"async %d" % number
        client.close()


port = int(sys.argv[1])
print("python", sys.version.split()[0], flush=True)
interrupted()
refused()
serve(port, int(sys.argv[2]))
call(8000)
asyncio.run(call_async(8000))
