#!/usr/bin/env python3
"""1,000 listeners of the event stream at 200 facts a second: what they cost segued, how late the
facts reach them, and whether calls are set up any slower.

    SEGUE_BUILD=build python3 tests/bench/listeners.py [--listeners N] [--seconds S]

Needs SIPp. The build should be optimised and without sanitizers. Prints one table; the latencies
are from the fact's own time to the listener's clock, of ten listeners that read what they get; the
others throw it away, as reading would cost more than sending.
"""
import argparse
import csv
import glob
import os
import re
import selectors
import shutil
import subprocess
import sys
import threading
import time
from datetime import datetime
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)

import procs
import segued
from web import WebLab

CALLS_A_SECOND = 13  # of some 16 facts each
READERS = 10
AT = re.compile(rb'event: timeline\ndata: [^\n]*?"at":"([^"]+)"')


class Listeners(threading.Thread):
    """Sockets on the stream; those that read note how late each timeline entry was."""

    def __init__(self, session, n):
        super().__init__(daemon=True)
        self.sel, self.late, self.bytes, self.lost = selectors.DefaultSelector(), [], 0, 0
        self.ended = threading.Event()
        request = (f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nCookie: segue_session="
                   f"{session.cookie}\r\n\r\n").encode()
        for i in range(n):
            s = session.lab.connection().__class__("127.0.0.1", session.lab.http_port)
            s.connect()
            s.sock.sendall(request)
            s.sock.setblocking(False)
            self.sel.register(s.sock, selectors.EVENT_READ, (s, i < READERS))

    def run(self):
        while not self.ended.is_set():
            for key, _ in self.sel.select(0.5):
                conn, reads = key.data
                data = key.fileobj.recv(1 << 16)
                self.bytes += len(data)
                if not data:
                    self.lost += 1
                    self.sel.unregister(key.fileobj)
                elif reads:
                    now = time.time()
                    self.late += [now - datetime.fromisoformat(
                        at.decode().replace("Z", "+00:00")).timestamp() for at in AT.findall(data)]


def percentile(values, p):
    s = sorted(values)
    return s[min(len(s) - 1, int(len(s) * p / 100))] * 1000 if s else float("nan")


def calls(lab, seconds, number, tag):
    """Runs SIPp for so long; the times from INVITE to 200, in seconds."""
    dir = os.path.join(lab.dir, tag)
    os.makedirs(dir)
    subprocess.run(["sipp", "-sn", "uac", "-s", number, f"{lab.ip}:{lab.port}", "-i", "127.0.1.1",
                    "-r", str(CALLS_A_SECOND), "-m", str(CALLS_A_SECOND * seconds), "-d", "1500",
                    "-trace_rtt", "-rtt_freq", "1", "-nostdin"],
                   cwd=dir, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env=dict(os.environ, TERM="dumb"), timeout=seconds + 60)
    out = []
    for path in glob.glob(os.path.join(dir, "*_rtt.csv")):
        with open(path) as f:
            out += [float(row[1]) / 1000 for row in csv.reader(f, delimiter=";") if
                    len(row) > 1 and re.fullmatch(r"[0-9.]+", row[1])]
    return out


def facts(lab, session):
    text = session.get("//metrics").body.decode()
    return float(re.search(r"^segue_facts_total (\S+)", text, re.M).group(1))


def measure(lab, session, seconds, number, n):
    listeners = Listeners(session, n)
    listeners.start()
    time.sleep(2)  # the snapshots are out
    listeners.late.clear()
    pid, count = lab.daemon.proc.pid, facts(lab, session)
    cpu, began = procs.cpu(pid), time.monotonic()
    setup = calls(lab, seconds, number, f"with{n}")
    took = time.monotonic() - began
    row = (n, (facts(lab, session) - count) / took, 100 * (procs.cpu(pid) - cpu) / took,
           percentile(listeners.late, 50), percentile(listeners.late, 99),
           percentile(setup, 50), percentile(setup, 99), procs.rss(pid) / 1e6, listeners.lost)
    listeners.ended.set()
    listeners.join()
    return row


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--listeners", type=int, default=1000)
    args.add_argument("--seconds", type=int, default=20)
    args = args.parse_args()
    if not shutil.which("sipp"):
        sys.exit("sipp is missing: install the package sip-tester")
    with WebLab(users=3, peers=2) as lab:
        port = segued.free_port("127.0.3.1")
        lab.add_user("callee", "5000", contact=f"sip:callee@127.0.3.1:{port}")
        session = lab.login("boss")
        callee = subprocess.Popen(["sipp", "-sn", "uas", "-i", "127.0.3.1", "-p", str(port),
                                   "-nostdin"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, env=dict(os.environ, TERM="dumb"))
        try:
            time.sleep(1)
            print("listeners  facts/s  CPU %  late p50 ms  p99 ms  set-up p50 ms  p99 ms  RSS MB  cut")
            for n in (1, args.listeners):
                print("%9d  %7.0f  %5.1f  %11.1f  %6.1f  %13.1f  %6.1f  %6.1f  %3d"
                      % measure(lab, session, args.seconds, "5000", n), flush=True)
        finally:
            callee.kill()
            callee.wait()


if __name__ == "__main__":
    main()
