"""segued: the built daemon on free ports, with a database, users and peers, for tests.

    with segued.Lab() as lab:
        c = lab.trunk(); a = lab.phone()        # a Ua on a peer's address, a registered Ua
        ...
        lab.ledger(call).segments               # rows, once the conversation is final

Promise: everything lives in a temporary directory and on loopback; what was started is stopped by
its pid; leaving the lab fails if the daemon crashed, complained to a sanitizer, ended with an
error, or holds calls that no test owns.
"""
import ctypes
import json
import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import flows
import pg
import tap
import ua

SRC = os.environ.get("SEGUE_SRC") or \
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("SEGUE_BUILD", SRC)
REALM = "segue.test"
DIRECTORY = re.compile(r"(insert into|update|delete from) segue\.(users|queues|queue_members|ivrs|user_skills|"
                       r"queue_skills|queue_overflow|queue_supervisors|settings|number_classes)\b")
PEER_NET = "127.0.1."   # peers have an address each, since that is what they are known by
STRANGER = "127.0.9.9"
USERS, PEERS = 150, 60
PR_SET_PDEATHSIG = 1    # a test that is killed takes its daemon along


def program(name):
    for d in (BUILD, os.path.join(BUILD, "src/app")):
        path = os.path.join(d, name)
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(f"{name} is not in {BUILD}: build it first (make)")


_reserved = []


def _reserve(port):
    """No other test takes it while this process lives: the name of a socket says whose it is."""
    mine = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mine.bind(f"\0segue-test-port-{port}")
    except OSError:
        mine.close()
        return False
    _reserved.append(mine)
    return True


def free_port(ip="127.0.0.1"):
    """A port that is free on UDP and TCP, and is not one of those that the kernel gives to whoever
    asks for any: such a port could be gone again before it is used."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    for _ in range(200):
        port = random.randrange(10000, 20000)
        with socket.socket(family, socket.SOCK_STREAM) as t, \
                socket.socket(family, socket.SOCK_DGRAM) as u:
            try:
                t.bind((ip, port))
                u.bind((ip, port))
            except OSError:
                continue
            if _reserve(port):
                return port
    raise OSError("no free port")


def quoted(values):
    return ", ".join(f'"{v}"' for v in values)


class Daemon:
    """One run of segued with a config file.

    Its log goes to a file that is read when it is looked at: a line that was written before an answer
    was sent is there for whoever has the answer.
    """

    def __init__(self, dir, conf, env=()):
        self.dir, self.conf, self.env = dir, conf, dict(env)
        self.proc = self.file = None
        self.read, self.rest, self.lock = [], b"", threading.Lock()

    def start(self):
        env = dict(os.environ, ASAN_OPTIONS="abort_on_error=0:detect_leaks=1:exitcode=99:"
                                            "verify_asan_link_order=0",
                   UBSAN_OPTIONS="print_stacktrace=1", **self.env)
        libc = ctypes.CDLL(None)
        fd, path = tempfile.mkstemp(".log", time.strftime("segued-%H%M%S-"), self.dir)
        self.file = open(path, "rb")
        with open(fd, "ab") as log:
            self.proc = subprocess.Popen(
                [program("segued"), "-c", self.conf], cwd=self.dir, env=env,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))

    @property
    def lines(self):
        """All that it has said so far. The list is ours: it grows."""
        with self.lock:
            if self.file:
                *whole, self.rest = (self.rest + self.file.read()).split(b"\n")
                self.read += [x.decode("utf-8", "replace") for x in whole]
            return self.read

    def log(self, pattern, since=0):
        """The log lines that match."""
        return [x for x in self.lines[since:] if re.search(pattern, x)]

    def wait_log(self, pattern, timeout=30, since=0):
        """Waits for a log line; returns it."""
        deadline = time.monotonic() + timeout
        while True:
            over = self.proc.poll() is not None or time.monotonic() > deadline
            new = self.lines[since:]
            for x in new:
                if re.search(pattern, x):
                    return x
            since += len(new)
            if over:
                raise AssertionError(f"no log line matches {pattern!r} "
                                     + (f"in {timeout} s" if self.proc.poll() is None else
                                        f"and segued ended with {self.proc.poll()}")
                                     + "; the last are:\n" + "\n".join(self.lines[-40:]))
            time.sleep(0.01)

    def mark(self):
        """A position in the log, for since=."""
        return len(self.lines)

    def kill(self):
        self.proc.send_signal(signal.SIGKILL)
        self.proc.wait(10)

    def stop(self, timeout=60):
        """SIGTERM; fails unless it then ends by itself, with status 0 and no complaint."""
        if self.proc is None:
            return
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        try:
            rc = self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"segued did not end within {timeout} s of SIGTERM:\n"
                                 + "\n".join(self.lines[-30:]))
        bad = [i for i, x in enumerate(self.lines)
               if re.search(r"AddressSanitizer|LeakSanitizer|runtime error:|Assertion", x)]
        if bad or rc:
            at = bad[0] if bad else max(0, len(self.lines) - 60)
            raise AssertionError(f"segued ended with {rc}:\n" + "\n".join(self.lines[at:at + 60]))


class Ledger:
    """The rows of one conversation."""

    def __init__(self, lab, conv):
        self.conversation = conv
        cid = conv["id"]
        rows = lambda table, order: lab.rows(
            f"select * from segue.{table} where conversation_id = '{cid}' order by {order}")
        self.segments = rows("segments", "seq")
        self.transfers = rows("transfers", "asked_at")
        self.timeline = rows("timeline", "seq")
        self.intervals = lab.rows(
            "select i.* from segue.intervals i join segue.segments s on s.id = i.segment_id "
            f"where s.conversation_id = '{cid}' order by s.seq, i.seq")

    def types(self):
        return [t["type"] for t in self.timeline]

    def segment(self, who, n=0):
        """The n-th segment of that user."""
        found = [s for s in self.segments if s["who"] == who]
        assert len(found) > n, f"no segment {n} of {who} in {self.segments}"
        return found[n]

    def __str__(self):
        return json.dumps([self.conversation, self.segments, self.transfers,
                           [(t["seq"], t["type"], t["actor"]) for t in self.timeline]], indent=1)


class Lab:
    """segued, PostgreSQL, users and peers."""

    def __init__(self, conf="", cluster=None, t=None, peer_conf=None, sip="", routes="",
                 fallback=None, users=USERS, peers=PEERS, ipv6=False, transfer="", silent=(),
                 ip="127.0.0.1", port=None, database=None, control="", more_peers=()):
        self.conf_extra, self.sip_extra, self.routes = conf, sip, routes
        self.timers = {"setup": 20000, "ring": 6000, "recall": 6000, "join": 6000,
                       "resume": 3000, "bye": 500, "notify": 2000}
        self.timers.update(t or {})
        self.peer_conf = peer_conf or (lambda i: "")
        self.fallback = fallback
        self.cluster, self.own_cluster = cluster, False
        self.nusers, self.npeers = users, peers
        self.ipv6, self.domain, self.transfer_extra = ipv6, REALM, transfer
        self.silent = silent  # peers whose first address never answers
        self.ip, self.port = ip, port or free_port(ip)
        self.db = database    # of another lab, whose cluster is given too; None: a new one
        self.control, self.more_peers = control, more_peers
        self.lock = threading.Lock()
        self.next_user = 0
        self.agents = []

    # -- life ------------------------------------------------------------------------------

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="segue-lab-")
        try:
            self._database()
            self.port6 = free_port("::1") if self.ipv6 else 0
            self.peers = [ua.Ua(f"peer{i:02d}", (self.ip, self.port), ip=f"{PEER_NET}{i + 1}",
                                user=f"+4930{i:06d}", domain=REALM) for i in range(self.npeers)]
            self.idle_peers = list(range(self.npeers))
            self.conf = os.path.join(self.dir, "segue.conf")
            with open(self.conf, "w") as f:
                f.write(self.config())
            self.restart()
        except BaseException:
            self.__exit__(None, None, None, quiet=True)
            raise
        return self

    def __exit__(self, *exc, quiet=False):
        try:
            if getattr(self, "daemon", None):
                self.daemon.stop()
        except AssertionError:
            if not quiet:
                raise
        finally:
            for agent in self.agents + getattr(self, "peers", []):
                agent.close()
            if self.own_cluster:
                self.cluster.remove()
            keep = os.environ.get("SEGUE_TEST_KEEP")
            if keep:
                print(f"# kept: {self.dir}", flush=True)
            else:
                shutil.rmtree(self.dir, ignore_errors=True)

    def _database(self):
        own = self.cluster is None or self.cluster.server is None  # else it is another lab's
        if self.cluster is None:
            self.cluster = pg.test_cluster()
        if self.cluster.made and self.cluster.server is None:
            self.cluster.start()
        if self.db is not None:
            self.conninfo = self.cluster.conninfo(self.db)
            return
        self.own_cluster = own and self.cluster.made
        self.db = pg.test_database(self.cluster)
        self.conninfo = self.cluster.conninfo(self.db)
        self.seguectl("db", "init", "--db", self.conninfo, "--sql", os.path.join(SRC, "sql"),
                      config=False)
        self._late()
        self._users()

    def start(self):
        """A new daemon on the same config, ports and database."""
        self.daemon = Daemon(self.dir, self.conf, self.environment())
        self.daemon.start()

    def environment(self):
        """What the daemon has in its environment besides ours."""
        return {}

    def restart(self):
        """A new daemon that is ready."""
        self.start()
        self.wait_ready()

    def wait_ready(self):
        """Until it answers OPTIONS and knows the last of the users."""
        probe = ua.Ua("probe", (self.ip, self.port), user=f"u{self.nusers - 1:03d}",
                      password=f"pw-u{self.nusers - 1:03d}", domain=REALM)
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    if probe.register(expires=0, contacts=["*"], ok=range(200, 700),
                                      timeout=0.3).status == 200:
                        self.daemon.wait_log("directory_read from=")  # the rest of it
                        return
                    time.sleep(0.05)
                except AssertionError:
                    pass
                except OSError:
                    time.sleep(0.05)
                if self.daemon.proc.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError("segued is not ready:\n"
                                         + "\n".join(self.daemon.lines[-40:]) + "\n"
                                         + str(probe.ladder))
        finally:
            probe.close()

    # -- config ----------------------------------------------------------------------------

    def add_user(self, name, number, password=None, contact=None):
        c = f"'{contact}'" if contact else "null"
        self.sql(f"insert into segue.users (name, number, display_name, contact) values "
                 f"('{name}', '{number}', 'User {name}', {c}); "
                 f"select segue.set_sip_password('{name}', '{password or 'pw-' + name}')")

    def _late(self):
        """With SEGUE_LATE_MS every batch of facts takes that long to be stored."""
        ms = float(os.environ.get("SEGUE_LATE_MS", 0))
        if ms:
            self.sql("create function public.late() returns trigger language plpgsql as "
                     f"$$ begin perform pg_sleep({ms / 1000}); return null; end $$; "
                     "create trigger late before update on segue.outboxes "
                     "for each statement execute function public.late()")

    def _users(self):
        """All users of the pool, in one go."""
        self.sql(f"""
            update segue.settings set value = '{REALM}' where key = 'realm';
            insert into segue.users (name, number, display_name)
                select format('u%s', to_char(i, 'FM000')), (2000 + i)::text, 'User ' || i
                from generate_series(0, {self.nusers - 1}) i;
            select count(segue.set_sip_password(name, 'pw-' || name)) from segue.users;""")

    def _peer(self, i):
        p, yes = self.peers[i], "true" if i % 2 == 0 else "false"
        where = [p.hostport]
        if i in self.silent:
            p.deaf = ua.Ua("deaf", p.server, ip=p.transport.ip)
            p.deaf.drop = lambda m: True
            self.agents.append(p.deaf)
            where.insert(0, p.deaf.hostport)
        return (f'{{ name = "peer{i:02d}"; address = [ {quoted(where)} ]; username = "login{i}"; '
                f'password = "secret{i}"; trusted = {yes}; trust_case_id = {yes}; '
                f'{self.peer_conf(i)} }}')

    def _route(self, i):
        return (f'{{ pattern = "9{i:02d}."; kind = "external"; target = "peer{i:02d}"; strip = 3; '
                'transfer = true; }')

    def config(self):
        listen = [f"{t}:{self.ip}:{self.port}" for t in ("udp", "tcp")]
        if self.ipv6:
            listen += [f"{t}:[::1]:{self.port6}" for t in ("udp", "tcp")]
        times = "".join(f'{k} = "{v}ms"; ' for k, v in self.timers.items() if k != "setup")
        fallback = f"fallback = [ {quoted(self.fallback)} ];" if self.fallback else ""
        join = lambda f: ",\n\t".join(f(i) for i in range(self.npeers))
        peers = ",\n\t".join(list(map(self._peer, range(self.npeers))) + list(self.more_peers))
        return f"""
sip: {{ listen = [ {quoted(listen)} ]; domains = [ "{REALM}" ]; realm = "{REALM}";
\tregistrations = "{self.dir}/registrations"; {self.sip_extra} }};
call: {{ setup = "{self.timers['setup']}ms"; }};
transfer: {{ {times} {fallback} {self.transfer_extra} }};
ledger: {{ database = "{self.conninfo}"; outbox = "{self.dir}/outbox"; outbox_size = "256MB";
\tdirectory_copy = "{self.dir}/directory"; linger = "20ms"; retry = "200ms"; }};
control: {{ socket = "{self.dir}/segued.sock"; drain = "3s"; {self.control} }};
log: {{ level = "debug"; }};
devices = ( {{ user_agent = "Impatient"; refer_progress = "immediate"; }},
	{{ user_agent = "Old digest"; md5_only = true; }} );
peers = ({peers});
routes = ({self.routes}{join(self._route)});
{self.conf_extra}
"""

    def outside(self, trunk, number):
        """What to dial to reach that number through that peer."""
        return f"9{trunk.index:02d}{number}"

    # -- people ----------------------------------------------------------------------------

    def refer_to(self, to):
        """A Refer-To value for a number, or the value itself."""
        return to if ":" in to else f"<sip:{to}@{REALM}>"

    def _ladder(self):
        """One per case, shown if the case fails."""
        ladder = getattr(tap._local, "ladder", None)
        if ladder is None or getattr(tap._local, "ladder_of", None) is not tap._local.notes:
            ladder = tap._local.ladder = ua.Ladder()
            tap._local.ladder_of = tap._local.notes
            tap.note(lambda: f"{ladder}")
            daemon, mark = self.daemon, self.daemon.mark()
            tap.note(lambda: self._story(ladder, daemon.lines[mark:]))
        return ladder

    def _story(self, ladder, log):
        """Of those log lines what is about the messages of this ladder, as far as can be told."""
        sip = {getattr(m, "call_id", None) for _, _, _, m in ladder.lines}
        ids = {m.group(1) for m in (re.search(r" call=(\S+) .*sip_call_id=(\S+)", x) for x in log)
               if m and m.group(2) in sip}
        mine = [x for x in log if (m := re.search(r" call=(\S+)", x)) is None or m.group(1) in ids]
        return "\n".join(x for x in mine if " debug event " not in x or " call=" in x)[-12000:]

    def user(self, register=False, **kw):
        """A phone of the next user, not registered."""
        with self.lock:
            i, self.next_user = self.next_user, self.next_user + 1
        assert i < self.nusers - 2, "the lab needs more users"
        return self.named(i, **kw)

    def named(self, i, **kw):
        """A phone of user number i, not registered. The last two are never given out by user()."""
        name = f"u{i:03d}"
        agent = ua.Ua(name, kw.pop("server", (self.ip, self.port)), user=name,
                      password=f"pw-{name}", domain=REALM, ladder=self._ladder(), **kw)
        agent.dial = str(2000 + i)
        self.agents.append(agent)
        tap.at_end(agent.close)
        return agent

    def device(self, other, **kw):
        """Another phone of the same user."""
        agent = ua.Ua(other.user + "b", (self.ip, self.port), user=other.user,
                      password=other.password, domain=REALM, ladder=self._ladder(), **kw)
        agent.dial = other.dial
        self.agents.append(agent)
        tap.at_end(agent.close)
        return agent

    def phone(self, **kw):
        """A phone of the next user, registered."""
        agent = self.user(**kw)
        agent.register()
        return agent

    def registered(self, *phones):
        """Until the registrations of these phones are written down: the next process knows them."""
        path = os.path.join(self.dir, "registrations")
        known = lambda: open(path, errors="replace").read() if os.path.exists(path) else ""
        flows.wait("the registrations are written down", lambda: all(x.user in known() for x in phones))

    def trunk(self, trusted=None, index=None):
        """A peer that no other running case has; trusted or not, or a certain one, if it matters."""
        with self.lock:
            i = next(i for i in self.idle_peers if trusted in (None, i % 2 == 0)
                     and index in (None, i))
            self.idle_peers.remove(i)
        peer = self.peers[i]
        peer.ladder, peer.index, peer.drop = self._ladder(), i, None
        with peer.cond:
            peer.box.clear()
            peer.log.clear()
        tap.at_end(lambda: self.idle_peers.append(i))
        return peer

    def stranger(self, **kw):
        agent = ua.Ua("stranger", (self.ip, self.port), ip=STRANGER, domain=REALM,
                      ladder=self._ladder(), **kw)
        self.agents.append(agent)
        return agent

    # -- database and control ----------------------------------------------------------------

    def sql(self, text):
        """Runs SQL. If it changes the directory, segue knows when this returns."""
        daemon = getattr(self, "daemon", None)
        if daemon is None or daemon.proc.poll() is not None or not DIRECTORY.search(text):
            return self.cluster.psql(text, self.db)
        rows = self._read_after(text)
        # that one may have begun before the change; the next one has not
        self._read_after("update segue.settings set value = value where false")
        return rows

    def _read_after(self, text):
        mark = self.daemon.mark()
        rows = self.cluster.psql(text, self.db)
        self.daemon.wait_log("directory_read from=database", since=mark)
        return rows

    def rows(self, query):
        """The rows of a query, as dicts."""
        got = self.cluster.psql(f"select to_jsonb(q) from ({query}) q", self.db)
        return [json.loads(r[0]) for r in got]

    def conversation(self, call, timeout=30, final=True):
        """The conversation row that this call (of a Ua) made or belongs to."""
        cid = call if isinstance(call, str) else call.call_id
        where = "and ended_at is not null" if final else ""
        return flows.wait(f"call {cid} has a {'final ' if final else ''}row", lambda: self.rows(
            f"select * from segue.conversations where sip_call_id = '{cid}' {where}"),
            timeout)[0]

    def ledger(self, call, timeout=30, final=True):
        """All rows of the call's conversation; checks what must hold for every conversation."""
        led = Ledger(self, self.conversation(call, timeout, final))
        tap.note(lambda: str(led))
        if final:
            self.check(led)
        return led

    def check(self, led):
        """INV-2, INV-3, gap-free timeline; and what segue.check_ledger() finds wrong."""
        for s in led.segments:
            mine = [i for i in led.intervals if i["segment_id"] == s["id"]]
            for a, b in zip(mine, mine[1:]):
                assert a["ended_at"] == b["started_at"], f"intervals not contiguous: {a} {b}"
            talk = sum(i["duration_ms"] for i in mine if i["state"] in ("talking", "conference"))
            known = None if s["tracking"] == "lost" else talk
            assert known == s["talk_ms"] and (known is not None or not mine), f"talk_ms {s['talk_ms']} but intervals say {talk}"
            assert s["ended_at"], f"segment still open: {s}"
        for t in led.transfers:
            assert t["outcome"], f"transfer without outcome: {t}"
        seqs = [t["seq"] for t in led.timeline]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), f"timeline has gaps: {seqs}"
        wrong = self.rows("select * from segue.check_ledger()")
        ours = {None} | {x["id"] for x in self.rows(
            f"select id from segue.conversations where '{led.conversation['id']}' in (id, merged_into)")}
        mine = [w for w in wrong if w["conversation_id"] in ours]
        assert not mine, f"check_ledger: {mine}"

    def seguectl(self, *args, config=True, ok=True):
        """Runs seguectl; returns what it printed."""
        cmd = [program("seguectl")] + (["-c", self.conf] if config else []) + list(args)
        p = subprocess.run(cmd, capture_output=True, text=True, timeout=60)
        if ok and p.returncode:
            raise AssertionError(f"{' '.join(cmd)} ended with {p.returncode}:\n{p.stdout}{p.stderr}")
        return p.stdout + p.stderr
