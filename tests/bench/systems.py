"""systems: the systems under test, each started on a free port of its own, pinned to one CPU.

Every system has: name, pid, port, start(), stop(). What they write goes to a file in `dir`.
"""
import os
import shutil
import socket
import subprocess
import time

import build as builds
import pg
import procs

HERE = os.path.dirname(os.path.abspath(__file__))
SRC = os.path.dirname(os.path.dirname(HERE))
SUT_IP = "127.0.0.1"
CALLER_IP, CALLEE_IP, AGENT_IP, TARGET_IP = "127.0.1.1", "127.0.1.2", "127.0.1.4", "127.0.1.3"
CALLEES, AGENTS, TARGETS = range(2000, 3000), range(3000, 3200), range(4000, 4200)
PASSWORD = "bench"  # of the agents
QUEUE, MEMBERS = 7000, range(5000, 6000)  # a queue and its agents, who have the callees' phone

SUT_CPU = {0}
OTHER_CPUS = set(range(1, os.cpu_count())) or {0}


def free_port(ip):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((ip, 0))
        return s.getsockname()[1]


def tool(name, dir, *flags, libs=()):
    """Builds one of the C helpers."""
    out = os.path.join(dir, name)
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-D_GNU_SOURCE", *flags, "-o", out,
                    os.path.join(HERE, f"{name}.c"), *libs], check=True)
    return out


class System:
    """A program that takes SIP on self.port."""
    has_ledger = False

    def __init__(self, dir, ports):
        self.dir, self.ports = dir, ports
        self.port = free_port(SUT_IP)
        self.proc = None

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def start(self):
        self.log = os.path.join(self.dir, f"{self.name}.log")
        with open(self.log, "wb") as log:
            self.proc = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir,
                env=dict(os.environ, **self.environment()),
                preexec_fn=lambda: os.sched_setaffinity(0, SUT_CPU))
        self.pid = self.proc.pid
        self.wait_port()

    def wait_port(self):
        """Until the UDP port is bound."""
        end = f":{self.port:04X}"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with open("/proc/net/udp") as f:
                if any(line.split()[1].endswith(end) for line in f.readlines()[1:]):
                    return
            if self.proc.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not listen on {self.port}:\n{self.tail()}")

    def tail(self):
        with open(self.log, errors="replace") as f:
            return f.read()[-3000:]

    def stop(self):
        if self.proc and self.proc.poll() is None:
            self.proc.terminate()
            try:
                self.proc.wait(30)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()

    def drops(self):
        return procs.udp_drops(self.port)


class Relay(System):
    name = "relay"

    def command(self):
        return [tool("relay", self.dir), f"{SUT_IP}:{self.port}",
                f"{CALLEE_IP}:{self.ports['callee']}"]


class Kamailio(System):
    name = "kamailio"
    children = 1  # on one CPU more workers only get in each other's way

    def command(self):
        exe = shutil.which("kamailio") or "/usr/sbin/kamailio"
        if not os.access(exe, os.X_OK):
            raise RuntimeError("kamailio is missing: install the package kamailio")
        return [exe, "-f", os.path.join(HERE, "kamailio.cfg"), "-DD", "-E", "-x", "fm", "-X", "fm",
                "-b", "4194304", "-m", "512", "-M", "16", "-w", self.dir, "-Y", self.dir,
                "-P", os.path.join(self.dir, "kamailio.pid"),
                "-A", f"BENCH_LISTEN=udp:{SUT_IP}:{self.port}",
                "-A", f'BENCH_CALLEE="sip:{CALLEE_IP}:{self.ports["callee"]}"',
                "-A", f"BENCH_CHILDREN={self.children}"]


class Segue(System):
    """segued of an optimised build, with its ledger on, beside a PostgreSQL of its own."""
    has_ledger = True

    def __init__(self, dir, ports, build, log_level="info", name="segue"):
        self.name = name
        dir = os.path.join(dir, name)
        os.makedirs(dir)
        super().__init__(dir, ports)
        self.build, self.log_level = build, log_level
        self.heap_socket = os.path.join(dir, "heap")

    def program(self, name):
        for d in (self.build, os.path.join(self.build, "src/app")):
            path = os.path.join(d, name)
            if os.access(path, os.X_OK):
                return path
        raise RuntimeError(f"{name} is not in {self.build}")

    def command(self):
        return [self.program("segued"), "-c", os.path.join(self.dir, "segue.conf")]

    def environment(self):
        return {"LD_PRELOAD": tool("heap", self.dir, "-shared", "-fPIC"),
                "BENCH_HEAP": self.heap_socket}

    def start(self):
        self.cluster = pg.Cluster(settings={"shared_buffers": "256MB", "max_wal_size": "4GB"})
        self.cluster.start()
        procs.pin(self.cluster.server.pid, OTHER_CPUS)
        procs.yield_to_others(self.cluster.server.pid)
        self.cluster.createdb("segue")
        self.conninfo = self.cluster.conninfo("segue")
        subprocess.run([self.program("seguectl"), "db", "init", "--db", self.conninfo, "--sql",
                        os.path.join(builds.source(self.build), "sql")], check=True,
                       stdout=subprocess.DEVNULL)
        for users, ip, port in ((CALLEES, CALLEE_IP, "callee"), (MEMBERS, CALLEE_IP, "callee"),
                                (AGENTS, AGENT_IP, "agent"), (TARGETS, TARGET_IP, "target")):
            self.cluster.psql(
                "insert into segue.users (name, number, display_name, contact) select 'u' || n, n, "
                f"'User ' || n, format('sip:%s@{ip}:{self.ports[port]}', n) "
                f"from generate_series({users.start}, {users.stop - 1}) n")
        self.cluster.psql(  # SIPp answers challenges of MD5
            f"update segue.users set ha1_md5 = md5(name || ':segue:{PASSWORD}') where number::int "
            f"between {AGENTS.start} and {AGENTS.stop - 1}")
        self.cluster.psql(
            f"insert into segue.queues (name, number) values ('desk', '{QUEUE}'); "
            "insert into segue.queue_members (queue, user_name) select 'desk', 'u' || n "
            f"from generate_series({MEMBERS.start}, {MEMBERS.stop - 1}) n")
        with open(os.path.join(self.dir, "segue.conf"), "w") as f:
            f.write(self.config())
        super().start()

    def stop(self):
        super().stop()
        if hasattr(self, "cluster"):
            self.cluster.remove()

    def config(self):
        return f"""
sip: {{ listen = [ "udp:{SUT_IP}:{self.port}" ]; registrations = ""; }};
ledger: {{ database = "{self.conninfo}"; outbox = "{self.dir}/outbox";
	directory_copy = "{self.dir}/directory"; }};
control: {{ socket = "{self.dir}/segued.sock"; }};
log: {{ level = "{self.log_level}"; }};
peers = ({{ name = "trunk"; address = [ "{CALLER_IP}:{self.ports['caller']}" ]; }});
"""

    # -- what only segue is asked ------------------------------------------------------------

    def heap(self):
        """Bytes that the heap holds, after what is free went back to the kernel."""
        mine = self.heap_socket + ".me"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            if os.path.exists(mine):
                os.unlink(mine)
            s.bind(mine)
            s.settimeout(30)
            s.sendto(b"?", self.heap_socket)
            return int(s.recv(64).split()[0])

    def shipped(self):
        """Facts that are in the tables."""
        return int(self.cluster.value("select coalesce(sum(shipped), 0) from segue.outboxes"))

    def open_conversations(self):
        return int(self.cluster.value(
            "select count(*) from segue.conversations where ended_at is null"))

    def wait_shipped(self, patience=20):
        """Until the tables have all that ended; seconds it took."""
        t0 = time.monotonic()
        while self.open_conversations() and time.monotonic() - t0 < patience:
            time.sleep(0.1)
        return time.monotonic() - t0

    def pg_cpu(self):
        return procs.cpu(self.cluster.server.pid)
