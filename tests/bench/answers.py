#!/usr/bin/env python3
"""How long one answer of the HTTP interface holds the loop while 1,000 calls are live: what the loop's
thread worked for each answer, and how late segued answers SIP meanwhile.

    SEGUE_BUILD=build python3 tests/bench/answers.py [--calls N] [--turns N]

Needs SIPp. The build should be optimised and without sanitizers. The longest
OPTIONS, one every 2 ms beside the questions, is as long as the loop was held, or the machine was busy.
"""
import argparse
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)

import segued
from web import WebLab

PATHS = ("/healthz", "/api/v1/events", "/api/v1/calls", "/api/v1/calls?limit=20", "/api/v1/agents", "/api/v1/queues", "/api/v1/events",
         "/api/v1/openapi.json")


def worked(pid):
    """Milliseconds that the loop's thread has run."""
    with open(f"/proc/{pid}/task/{pid}/schedstat") as f:
        return int(f.read().split()[0]) / 1e6


class Pings(threading.Thread):
    """OPTIONS, one after the other, 2 ms apart; how long each took."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.settimeout(5)
        self.to, self.ended, self.took = (lab.ip, lab.port), threading.Event(), []

    def run(self):
        here, n = self.sock.getsockname(), 0
        while not self.ended.is_set():
            n += 1
            began = time.monotonic()
            self.sock.sendto((f"OPTIONS sip:{self.to[0]} SIP/2.0\r\nVia: SIP/2.0/UDP {here[0]}:{here[1]};"
                              f"branch=z9hG4bK{n}\r\nFrom: <sip:p@x>;tag=1\r\nTo: <sip:x>\r\nCall-ID: p{n}\r\n"
                              "CSeq: 1 OPTIONS\r\nMax-Forwards: 1\r\nContent-Length: 0\r\n\r\n").encode(), self.to)
            try:
                self.sock.recv(4096)
            except TimeoutError:
                pass
            self.took.append((time.monotonic() - began) * 1000)
            time.sleep(0.002)


def ask(lab, session, path):
    """One answer, whole; of a stream the snapshot."""
    s = socket.create_connection(("127.0.0.1", lab.http_port))
    s.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\nCookie: segue_session={session.cookie}\r\n\r\n".encode())
    size, tail = 0, b""
    while True:
        data = s.recv(1 << 18)
        size, tail = size + len(data), (tail + data)[-2:]
        if not data or (path.endswith("events") and tail == b"\n\n"):
            break
    s.close()
    return size


def measure(lab, session, path, turns):
    pings, pid = Pings(lab), lab.daemon.proc.pid
    ask(lab, session, path)
    before = worked(pid)
    for _ in range(turns):
        size = ask(lab, session, path)
        time.sleep(0.02)
    each = (worked(pid) - before) / turns
    pings.start()
    for _ in range(turns):
        ask(lab, session, path)
        time.sleep(0.02)
    pings.ended.set()
    pings.join()
    took = sorted(pings.took)
    return size, each, took[len(took) // 2], took[len(took) * 99 // 100], took[-1]


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--calls", type=int, default=1000)
    args.add_argument("--turns", type=int, default=30)
    args = args.parse_args()
    if not shutil.which("sipp"):
        sys.exit("sipp is missing: install the package sip-tester")
    with WebLab(users=100, peers=2) as lab:
        port = segued.free_port("127.0.3.1")
        lab.add_user("callee", "5000", contact=f"sip:callee@127.0.3.1:{port}")
        session, quiet = lab.login("boss"), dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                                 env=dict(os.environ, TERM="dumb"), cwd=lab.dir)
        callee = subprocess.Popen(["sipp", "-sn", "uas", "-i", "127.0.3.1", "-p", str(port), "-nostdin"], **quiet)
        caller = subprocess.Popen(["sipp", "-sn", "uac", "-s", "5000", f"{lab.ip}:{lab.port}", "-i", "127.0.1.1",
                                   "-r", "100", "-m", str(args.calls), "-l", str(args.calls), "-d", "600000",
                                   "-nostdin"], **quiet)
        try:
            while session.get("/calls?state=talking", timeout=60).json["total"] < args.calls:
                time.sleep(0.5)
            print(f"{args.calls} calls\n{'':24} bytes   loop ms each   OPTIONS p50 / p99 / most ms")
            for path in PATHS:
                print("%-24s %8d %10.2f %12.2f / %.2f / %.2f" % (path, *measure(lab, session, path, args.turns)),
                      flush=True)
        finally:
            for p in (caller, callee):
                p.kill()
                p.wait()


if __name__ == "__main__":
    main()
