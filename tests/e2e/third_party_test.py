#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs that know nothing of casemate run in the sandbox unchanged: Python's socket.AF_VSOCK, a static Go program and
a C program; and an attestation document that an enclave asked for is verified without any code of ours."""

import glob
import json
import os
import pathlib
import shutil
import sys
import unittest

import cbor2

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from platform_under_test import Platform, copy_closure

PYTHON_SERVER = '''
import fcntl, os, socket, struct, sys

def attest(user_data):
    request = b"\\xa1\\x6bAttestation\\xa3\\x69user_data" + bytes([0x58, len(user_data)]) + user_data + b"\\x65nonce\\xf6\\x6apublic_key\\xf6"
    reply = bytearray(0x3000)
    ask, answer = (ctypes_buffer(request), ctypes_buffer(reply))
    raw = bytearray(struct.pack("=QQQQ", ask[1], len(request), answer[1], len(reply)))
    with open("/dev/nsm", "rb+", buffering=0) as device:
        fcntl.ioctl(device, 0xC0200A00, raw, True)
    return bytes(answer[0])[: struct.unpack("=QQQQ", raw)[3]]

def ctypes_buffer(data):
    import ctypes
    buffer = (ctypes.c_char * len(data)).from_buffer(bytearray(data))
    return buffer, ctypes.addressof(buffer)

server = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
server.bind((socket.VMADDR_CID_ANY, 7000))
server.listen()
print("listening on", server.getsockname(), flush=True)
while True:
    connection, peer = server.accept()
    with connection:
        data = connection.recv(4096)
        if data.startswith(b"attest "):
            connection.sendall(attest(data[7:]))
        else:
            connection.sendall(f"{peer[0]} {data.decode()[::-1]}".encode())
'''

GO_SERVER = '''
package main

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

type sockaddrVM struct {
	family    uint16
	reserved1 uint16
	port      uint32
	cid       uint32
	flags     uint8
	zero      [3]uint8
}

func main() {
	fd, _, errno := syscall.Syscall(syscall.SYS_SOCKET, 40, syscall.SOCK_STREAM, 0)
	if errno != 0 {
		fmt.Println("socket:", errno)
		os.Exit(1)
	}
	address := sockaddrVM{family: 40, port: 7001, cid: 0xffffffff}
	if _, _, errno = syscall.Syscall(syscall.SYS_BIND, fd, uintptr(unsafe.Pointer(&address)), unsafe.Sizeof(address)); errno != 0 {
		fmt.Println("bind:", errno)
		os.Exit(1)
	}
	syscall.Syscall(syscall.SYS_LISTEN, fd, 16, 0)
	fmt.Println("go listens")
	for {
		peer := sockaddrVM{}
		size := uint32(unsafe.Sizeof(peer))
		connection, _, errno := syscall.Syscall6(syscall.SYS_ACCEPT4, fd, uintptr(unsafe.Pointer(&peer)), uintptr(unsafe.Pointer(&size)), 0, 0, 0)
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			fmt.Println("accept:", errno)
			os.Exit(1)
		}
		go func() {
			file := os.NewFile(connection, "vsock")
			buffer := make([]byte, 4096)
			n, _ := file.Read(buffer)
			fmt.Fprintf(file, "%d %s", peer.cid, buffer[:n])
			file.Close()
		}()
	}
}
'''


class ThirdParty(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.p = Platform()
        cls.addClassCleanup(cls.p.close)
        cls.p.up()

    def image(self, name, dockerfile, fill):
        context = self.p.work / name
        context.mkdir()
        fill(context)
        (context / "Dockerfile").write_text(dockerfile)
        self.p.build_enclave(self.p.build_with_buildah(context, name), name)

    def ask(self, cid, port, data):
        with self.p.connect(cid, port) as sock:
            sock.sendall(data)
            reply = b""
            while chunk := sock.recv(65536):
                reply += chunk
            return reply

    def test_a_python_server(self):
        python = os.path.realpath("/usr/bin/python3")
        version = pathlib.Path(python).name

        def fill(context):
            root = context / "root"
            modules = glob.glob(f"/usr/lib/{version}/lib-dynload/*.so")
            copy_closure(root, [python] + [m for m in modules if "_socket" in m or "fcntl" in m or "_struct" in m or "_ctypes." in m])
            shutil.copytree(f"/usr/lib/{version}", root / f"usr/lib/{version}", dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("__pycache__", "test", "tests", "idlelib", "tkinter", "ensurepip", "config-*", "dist-packages"))
            (root / "server.py").write_text(PYTHON_SERVER)

        self.image("python", f'FROM scratch\nCOPY root /\nCMD ["{python}", "/server.py"]\n', fill)
        record = self.p.run_enclave("python")
        cid = record["EnclaveCID"]
        self.p.wait_for_port(cid, 7000)
        self.assertEqual(self.ask(cid, 7000, b"hello"), b"3 olleh")
        reply = cbor2.loads(self.ask(cid, 7000, b"attest " + b"from a test" * 3))
        self.verify_without_our_code(reply["Attestation"]["document"], b"from a test" * 3, record)

    def verify_without_our_code(self, document, user_data, record):
        """COSE_Sign1 by python3-cbor2; the chain and the signature by the OpenSSL command line."""
        (self.p.work / "document.bin").write_bytes(document)
        protected, unprotected, payload, signature = cbor2.loads(document)
        self.assertEqual(cbor2.loads(protected), {1: -35})
        self.assertEqual(unprotected, {})
        fields = cbor2.loads(payload)
        self.assertEqual(list(fields), ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle", "public_key", "user_data", "nonce"])
        self.assertEqual(fields["user_data"], user_data)
        self.assertEqual(len(signature), 96)
        (self.p.work / "leaf.der").write_bytes(fields["certificate"])
        for index, certificate in enumerate(fields["cabundle"]):
            (self.p.work / f"ca{index}.der").write_bytes(certificate)
        count = len(fields["cabundle"])
        self.p.ok("for f in leaf ca0 " + " ".join(f"ca{i}" for i in range(1, count)) +
                  "; do openssl x509 -inform DER -in $f.der -out $f.pem; done; cat " + " ".join(f"ca{i}.pem" for i in range(1, count)) + " > chain.pem")
        self.p.ok("openssl verify -CAfile ca0.pem -untrusted chain.pem leaf.pem")
        self.p.ok("openssl x509 -in leaf.pem -noout -pubkey > leaf.pub")
        # Sig_structure of RFC 9052, 4.4, over the payload as received; r and s in DER for OpenSSL.
        (self.p.work / "signed.bin").write_bytes(cbor2.dumps(["Signature1", protected, b"", payload]))
        r, s = (int.from_bytes(part, "big") for part in (signature[:48], signature[48:]))
        (self.p.work / "asn1.cnf").write_text(f"asn1=SEQUENCE:s\n[s]\nr=INTEGER:0x{r:x}\ns=INTEGER:0x{s:x}\n")
        self.p.ok("openssl asn1parse -genconf asn1.cnf -noout -out signature.der && "
                  "openssl dgst -sha384 -verify leaf.pub -signature signature.der signed.bin")
        measurements = json.loads(self.p.ok("nitro-cli describe-eif --eif-path python.eif"))["Measurements"]
        for index in (0, 1, 2):
            self.assertEqual(fields["pcrs"][index].hex(), measurements[f"PCR{index}"])

    def test_a_static_go_server(self):
        def fill(context):
            (context / "main.go").write_text(GO_SERVER)
            env = dict(self.p.base, CGO_ENABLED="0", GOFLAGS="-mod=mod", GO111MODULE="off", GOCACHE=str(self.p.folder / "gocache"),
                       GOPATH=str(self.p.folder / "gopath"))
            self.p.ok(f"cd {context} && /usr/bin/go build -o server main.go", env)

        self.image("go", 'FROM scratch\nCOPY server /server\nENTRYPOINT ["/server"]\n', fill)
        record = self.p.run_enclave("go", "--debug-mode")
        self.p.wait_for_port(record["EnclaveCID"], 7001)
        for i in range(20):
            self.assertEqual(self.ask(record["EnclaveCID"], 7001, b"hi %d" % i), b"3 hi %d" % i)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
