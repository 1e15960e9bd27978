#!/usr/bin/env python3
"""1,000 listeners of the event stream at 200 facts a second: what they cost segued, how late the
facts reach them, and whether calls are set up any slower.

    SEGUE_BUILD=build python3 tests/bench/listeners.py [--listeners N] [--seconds S] [--write]

Needs SIPp, and the right to capture (root): when messages passed is read from the kernel's stamps. The build should be optimised and without sanitizers. Prints one table, and puts it into
docs/performance.md with --write. The latencies are from the fact's own time to the listener's clock, of
ten listeners that read what they get. The others are a process of their own, where the kernel throws
away what comes: reading it all would cost more than sending it.
"""
import argparse
import datetime as dates
import multiprocessing
import os
import re
import selectors
import shutil
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)

import procs
import report
import segued
import wire
from web import WebLab

CALLS_A_SECOND = 17  # of some 12 facts each
BEGIN, END = "<!-- listeners:begin -->", "<!-- listeners:end -->"
HEAD = ["Listeners", "facts/s", "CPU of segued, %", "a fact reaches its listener, p50 / p99 ms",
        "set-up p50 / p99 ms", "of that segued, for each message passed on, p50 / p99 / most ms", "RSS, MB",
        "cut off", "its loop waited for a processor, %"]
READERS = 10
AT = re.compile(rb'event: timeline\ndata: [^\n]*?"at":"([^"]+)"')


def listen(session, n):
    """n sockets on the stream, in a selector."""
    sel = selectors.DefaultSelector()
    request = (f"GET /api/v1/events HTTP/1.0\r\nHost: x\r\nCookie: segue_session="
               f"{session.cookie}\r\n\r\n").encode()
    for _ in range(n):
        s = socket.create_connection(("127.0.0.1", session.lab.http_port))
        s.sendall(request)
        s.setblocking(False)
        sel.register(s, selectors.EVENT_READ)
    return sel


class Readers(threading.Thread):
    """A few that read, and note how late each timeline entry was."""

    def __init__(self, session, n):
        super().__init__(daemon=True)
        self.sel, self.late, self.lost = listen(session, n), [], 0
        self.ended = threading.Event()

    def run(self):
        rest = {}
        while not self.ended.is_set():
            for key, _ in self.sel.select(0.5):
                data = key.fileobj.recv(1 << 16)
                if not data:
                    self.lost += 1
                    self.sel.unregister(key.fileobj)
                    continue
                now = time.time()
                whole, _, rest[key.fd] = (rest.get(key.fd, b"") + data).rpartition(b"\n\n")
                self.late += [now - datetime.fromisoformat(
                    at.decode().replace("Z", "+00:00")).timestamp() for at in AT.findall(whole)]


def drain(session, n, ready, ended, lost):
    """The others, in a process of their own."""
    sel = listen(session, n)
    ready.set()
    while not ended.is_set():
        for key, _ in sel.select(0.5):
            try:
                gone = not key.fileobj.recv(1 << 20, socket.MSG_TRUNC)
            except ConnectionError:
                gone = True
            if gone:
                sel.unregister(key.fileobj)
                with lost.get_lock():
                    lost.value += 1


def percentile(values, p):
    s = sorted(values)
    return s[min(len(s) - 1, int(len(s) * p / 100))] * 1000 if s else float("nan")


def calls(lab, seconds, number):
    """Runs SIPp for so long; what was seen on the wire meanwhile."""
    seen = wire.Wire(lab.port)
    seen.start()
    subprocess.run(["sipp", "-sn", "uac", "-s", number, f"{lab.ip}:{lab.port}", "-i", "127.0.1.1",
                    "-r", str(CALLS_A_SECOND), "-m", str(CALLS_A_SECOND * seconds), "-d", "1500",
                    "-nostdin"],
                   cwd=lab.dir, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env=dict(os.environ, TERM="dumb"), timeout=seconds + 60)
    seen.ended.set()
    seen.join()
    return seen


def facts(lab, session):
    text = session.get("//metrics").body.decode()
    return float(re.search(r"^segue_facts_total (\S+)", text, re.M).group(1))


def starved(pid):
    """Seconds that the loop's thread was ready to run and had no processor: with much of that the
    figures are the machine's, not segued's."""
    with open(f"/proc/{pid}/task/{pid}/schedstat") as f:
        return int(f.read().split()[1]) / 1e9


def measure(lab, session, seconds, number, n):
    """One row: what n listeners cost while calls are made."""
    fork = multiprocessing.get_context("fork")
    ready, ended, lost = fork.Event(), fork.Event(), fork.Value("i", 0)
    crowd = fork.Process(target=drain, daemon=True,
                         args=(session, n - min(n, READERS), ready, ended, lost))
    crowd.start()
    assert ready.wait(60), "the listeners did not all get in"
    readers = Readers(session, min(n, READERS))
    readers.start()
    time.sleep(2)  # the snapshots are out
    readers.late.clear()
    pid, count = lab.daemon.proc.pid, facts(lab, session)
    cpu, waited, began = procs.cpu(pid), starved(pid), time.monotonic()
    seen = calls(lab, seconds, number)
    took = time.monotonic() - began
    row = (n, (facts(lab, session) - count) / took, 100 * (procs.cpu(pid) - cpu) / took,
           percentile(readers.late, 50), percentile(readers.late, 99),
           percentile(seen.setup, 50), percentile(seen.setup, 99), percentile(seen.passed, 50),
           percentile(seen.passed, 99), percentile(seen.passed, 100), procs.rss(pid) / 1e6,
           lost.value + readers.lost, 100 * (starved(pid) - waited) / took)
    ended.set()
    readers.ended.set()
    crowd.join()
    readers.join()
    return row


def write(rows, load):
    """The table, in its place in docs/performance.md."""
    path = os.path.join(HERE, "..", "..", "docs", "performance.md")
    lines = [HEAD] + [[r[0], f"{r[1]:.0f}", f"{r[2]:.1f}", f"{r[3]:.1f} / {r[4]:.1f}",
                       f"{r[5]:.1f} / {r[6]:.1f}", f"{r[7]:.2f} / {r[8]:.2f} / {r[9]:.2f}",
                       f"{r[10]:.0f}", r[11], f"{r[12]:.0f}"] for r in rows]
    text = (f"{BEGIN}\n{report.rows(lines)}\n\nMeasured {dates.date.today()} with listeners, phones "
            f"and database on the same {os.cpu_count()} cores; what else ran there made for a load of "
            f"{load:.1f} at the start.\n{END}")
    with open(path, encoding="utf-8") as f:
        page = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(page[:page.index(BEGIN)] + text + page[page.index(END) + len(END):])


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--listeners", type=int, default=1000)
    args.add_argument("--seconds", type=int, default=20)
    args.add_argument("--turns", type=int, default=1, help="of a measurement without and with them")
    args.add_argument("--write", action="store_true")
    args = args.parse_args()
    if not shutil.which("sipp"):
        sys.exit("sipp is missing: install the package sip-tester")
    load, rows = os.getloadavg()[0], []
    with WebLab(users=3, peers=2) as lab:
        port = segued.free_port("127.0.3.1")
        lab.add_user("callee", "5000", contact=f"sip:callee@127.0.3.1:{port}")
        session = lab.login("boss")
        callee = subprocess.Popen(["sipp", "-sn", "uas", "-i", "127.0.3.1", "-p", str(port),
                                   "-nostdin"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, env=dict(os.environ, TERM="dumb"))
        try:
            time.sleep(1)
            print("listeners  facts/s  CPU %  late p50 ms  p99 ms  set-up p50 ms  p99 ms  passed p50"
                  "  p99  most  RSS MB  cut  starved %")
            for n in (1, args.listeners) * args.turns:
                rows.append(measure(lab, session, args.seconds, "5000", n))
                print("%9d  %7.0f  %5.1f  %11.1f  %6.1f  %13.2f  %6.2f  %10.2f  %5.2f  %5.2f  %6.1f  %3d"
                      "  %9.0f" % rows[-1],
                      flush=True)
        finally:
            callee.kill()
            callee.wait()
    if args.write:
        write(rows, load)


if __name__ == "__main__":
    main()
