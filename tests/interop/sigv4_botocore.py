#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""botocore signs, casemate verifies: every request as signed, and again with one thing changed.

usage: sigv4_botocore.py PROGRAM   (sigv4_lines)
"""
import base64
import json
import random
import subprocess
import sys
import urllib.parse

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEYS = {"AKIDLONGTERM": ["wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""],
        "ASIATEMPORARY": ["anotherSecret/With+Signs=", "token//with+signs=="]}
REGION = "us-east-1"


def signed(rng, access_key, service, query_auth, method, path, query, headers, body):
    secret, token = KEYS[access_key]
    url = f"https://{service}.{REGION}.amazonaws.com{path}"
    request = AWSRequest(method=method, url=url, params=query or None, headers=headers, data=body)
    credentials = Credentials(access_key, secret, token or None)
    if query_auth:
        SigV4QueryAuth(credentials, service, REGION, expires=rng.choice([60, 900])).add_auth(request)
    else:
        SigV4Auth(credentials, service, REGION).add_auth(request)
    prepared = request.prepare()
    parts = urllib.parse.urlsplit(prepared.url)
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    sent = [["Host", parts.netloc]]
    for name, value in prepared.headers.items():
        if name.lower() != "host":
            sent.append([name, value.decode() if isinstance(value, bytes) else value])
    dates = [v for n, v in sent if n.lower() == "x-amz-date"] or urllib.parse.parse_qs(parts.query).get("X-Amz-Date")
    data = prepared.body or b""
    data = data.encode() if isinstance(data, str) else data
    return {"method": method, "target": target, "headers": sent, "body": base64.b64encode(data).decode(),
            "now": dates[0], "service": service, "region": REGION, "keys": KEYS}


def changed(rng, request):
    """The same request with one signed thing changed."""
    out = json.loads(json.dumps(request))
    what = rng.choice(["method", "body", "query", "header", "secret"])
    if what == "method":
        out["method"] = "PUT"
    elif what == "body":
        out["body"] = base64.b64encode(base64.b64decode(out["body"]) + b"x").decode()
    elif what == "query":
        out["target"] += ("&" if "?" in out["target"] else "?") + "extra=1"
    elif what == "header":
        out["headers"] = [[n, v + "x" if n.lower() == "host" else v] for n, v in out["headers"]]
    else:
        out["keys"] = {k: [s + "x", t] for k, (s, t) in KEYS.items()}
    return out


def main():
    rng = random.Random(20260131)
    requests = []
    for _ in range(300):
        access_key = rng.choice(list(KEYS))
        if rng.random() < 0.4:
            headers = {"Content-Type": "application/x-amz-json-1.1",
                       "X-Amz-Target": "TrentService." + rng.choice(["Decrypt", "Encrypt", "ListKeys"]),
                       "User-Agent": "Boto3/1.26", "X-Odd": "  spaced \t  out  "}
            body = json.dumps({"Text": "".join(rng.choice("aé\u1234 \"") for _ in range(rng.randrange(50)))})
            requests.append(signed(rng, access_key, "kms", False, "POST", "/", {}, headers, body))
        elif rng.random() < 0.5:
            body = urllib.parse.urlencode({"Action": "GetCallerIdentity", "Version": "2011-06-15"})
            headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
            requests.append(signed(rng, access_key, "sts", False, "POST", "/", {}, headers, body))
        else:
            path = rng.choice(["/", "/a/b", "/a%20b", "/a/../b", "//a//", "/%C3%A9", "/a=b"])
            query = {rng.choice(["Action", "b c", "é", "a=b"]): rng.choice(["x", "", "y z", "1+1", "/&="])
                     for _ in range(rng.randrange(4))}
            requests.append(signed(rng, access_key, "sts", rng.random() < 0.7, "GET", path, query, {}, b""))
    lines = [json.dumps(r) for r in requests] + [json.dumps(changed(rng, r)) for r in requests]
    run = subprocess.run([sys.argv[1]], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    verdicts = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(verdicts) == len(lines), (len(verdicts), len(lines))
    failures = 0
    for request, verdict in zip(requests, verdicts):
        if "identity" not in verdict:
            failures += 1
            print("refused:", json.dumps({k: request[k] for k in ("method", "target", "headers", "body")}), verdict)
    for line, verdict in zip(lines[len(requests):], verdicts[len(requests):]):
        if verdict.get("error") != "InvalidSignatureException":
            failures += 1
            print("accepted though changed:", line, verdict)
    print(f"{len(requests)} requests of botocore, as signed and changed: {failures} wrong verdicts")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
