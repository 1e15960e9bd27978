"""engine: rtpengine on free ports of loopback, for tests.

    with engine.Engine() as e:
        lab = segued.Lab(conf=e.conf())
        e.calls()            # call-ids that it holds
        e.kill()             # as if its machine had died: the port is gone

Promise: what was started is stopped by its pid, and dies with the test.
"""
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import rtp
from segued import free_port

PR_SET_PDEATHSIG = 1
PORTS = 400           # of RTP for each engine
MUSIC, RINGBACK, JAZZ = rtp.TONES[-1], rtp.TONES[-2], rtp.TONES[-3]


def music(directory):
    """The files that segue plays: each is a tone of its own, a second long."""
    os.makedirs(directory, exist_ok=True)
    for name, tone in (("default", MUSIC), ("ringback", RINGBACK), ("jazz", JAZZ)):
        rtp.write_wav(os.path.join(directory, name + ".wav"), tone, 1)
    return directory


class Engine:
    def __init__(self, ip="127.0.0.1"):
        self.ip, self.port, self.proc = ip, free_port(ip), None
        self.dir = tempfile.mkdtemp(prefix="segue-engine-")
        self.music = music(os.path.join(self.dir, "music"))
        self.records = os.path.join(self.dir, "records")
        self.wavs = os.path.join(self.dir, "wavs")   # made of them
        self.asked = 0

    def __enter__(self):
        os.makedirs(self.records)
        self.start()
        return self

    def __exit__(self, *exc):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def address(self):
        return f"{self.ip}:{self.port}"

    def start(self):
        low = random.randrange(30000, 59000, PORTS)
        libc = ctypes.CDLL(None)
        self.log = open(os.path.join(self.dir, "log"), "a")
        self.proc = subprocess.Popen(
            ["rtpengine", "--config-file=none", "--table=-1", f"--interface={self.ip}", f"--listen-ng={self.address}",
             f"--port-min={low}", f"--port-max={low + PORTS - 1}", "--foreground", "--log-stderr",
             "--log-level=5", f"--pidfile={self.dir}/pid", "--delete-delay=0",
             f"--recording-dir={self.records}", "--recording-method=pcap",
             "--recording-format=eth"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
        deadline = time.monotonic() + 20
        while True:
            try:
                if self.ask(command="ping")["result"] == "pong":
                    return
            except OSError:
                time.sleep(0.05)
            assert self.proc.poll() is None and time.monotonic() < deadline, self.tail()

    def kill(self):
        if self.proc is not None:
            self.proc.kill()
            self.proc.wait(10)
            self.log.close()
            self.proc = None

    def pause(self):
        """It hangs: its port is there, and nobody answers."""
        self.proc.send_signal(signal.SIGSTOP)

    def resume(self):
        self.proc.send_signal(signal.SIGCONT)

    def tail(self):
        with open(os.path.join(self.dir, "log")) as f:
            return "rtpengine:\n" + f.read()[-3000:]

    def ask(self, timeout=1, **what):
        self.asked += 1
        cookie = f"test{os.getpid()}_{id(self)}_{self.asked}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(timeout)
            s.connect((self.ip, self.port))
            s.send(f"{cookie} {json.dumps(what)}".encode())
            head, _, body = s.recv(65535).partition(b" ")
        assert head.decode() == cookie, head
        return json.loads(body)

    def calls(self):
        return self.ask(command="list", limit=1000)["calls"]

    def conf(self, *others, extra=""):
        """The section `media` for segued, with these engines too."""
        engines = ", ".join(f'"{e.address}"' for e in (self,) + others)
        return (f'media: {{ engines = [ {engines} ]; music = "{self.music}"; ping = "200ms"; '
                f'timeout = "300ms"; {extra} }};')
