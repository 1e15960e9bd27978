"""dbtest: databases with the schema, and hand-made streams of facts, for the tests of db/."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
SRC = os.environ.get("SEGUE_SRC", os.path.dirname(os.path.dirname(HERE)))
BUILD = os.environ.get("SEGUE_BUILD", SRC)
sys.path.insert(0, os.path.join(SRC, "tests", "lib"))

import pg  # noqa: E402
import tap  # noqa: E402

SQL = os.path.join(SRC, "sql")
T0 = 1_795_269_600_000_000  # some day in 2026, in microseconds


def program(name):
    return os.path.join(BUILD, "tests", "db", name)


def directory(prefix):
    """A directory that is removed with the case. No TemporaryDirectory: a process that another case
    forks has no other threads, collects what they had, and would remove theirs."""
    path = tempfile.mkdtemp(prefix=prefix)
    tap.at_end(lambda: shutil.rmtree(path, ignore_errors=True))
    return path


def migrate(cluster, db, sql=SQL):
    """Runs the migrations; returns the finished process."""
    return subprocess.run([program("ledgertool"), "migrate", sql, cluster.conninfo(db)],
                          capture_output=True, text=True, timeout=60)


class Lab:
    """A cluster with a template database that has the schema."""

    def __init__(self):
        self.cluster = pg.test_cluster()
        self.template = pg.test_database(self.cluster)
        p = migrate(self.cluster, self.template)
        if p.returncode:
            raise AssertionError(p.stderr)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def database(self, empty=False):
        """A database of its own for a case."""
        name = "c_" + uuid.uuid4().hex[:12]
        self.cluster.psql(f'create database "{name}"' +
                          ("" if empty else f' template "{self.template}"'), "postgres")
        tap.at_end(lambda: self.cluster.dropdb(name))
        return Database(self.cluster, name)


class Database:
    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self.conninfo = cluster.conninfo(name)

    def rows(self, sql, **variables):
        return self.cluster.psql(sql, self.name, variables)

    def value(self, sql):
        return self.cluster.value(sql, self.name)

    def violations(self):
        return self.rows("select rule, detail from segue.check_ledger()")

    def must_add_up(self, but=()):
        """check_ledger() finds nothing wrong, except against the rules named."""
        wrong = [v for v in self.violations() if v[0] not in but]
        assert wrong == [], wrong

    def fails(self, sql, expected):
        """Runs SQL that must be refused with a message that matches."""
        try:
            self.rows(sql)
        except pg.SqlError as e:
            assert re.search(expected, str(e)), f"{sql}: {e}"
            return
        raise AssertionError(f"{sql}: was not refused")


class Outbox:
    """An outbox in a directory of its own, and the shipper as a program."""

    def __init__(self):
        self.dir = os.path.join(directory("segue-outbox-"), "outbox")

    def run(self, *args, stdin=None, timeout=90):
        p = subprocess.run([program("ledgertool"), args[0], self.dir, *map(str, args[1:])],
                           input=stdin, capture_output=True, text=True, timeout=timeout)
        self.log = p.stderr
        self.rc = p.returncode
        return dict(re.findall(r"(\w+)=(\S+)", p.stdout))

    def append(self, facts):
        out = self.run("append", stdin="".join(f + "\n" for f in facts))
        assert self.rc == 0, self.log

        return int(out["last"])

    def ship(self, db, ms=60000):
        """Ships everything; returns what the shipper says."""
        out = self.run("ship", db.conninfo, ms)
        assert self.rc == 0, f"{out} {self.log}"
        return {k: int(v) for k, v in out.items()}

    def start(self, db, calls, rate, batch=0):
        """Made-up calls in the background."""
        p = subprocess.Popen([program("ledgertool"), "run", self.dir, db.conninfo, str(calls),
                              str(rate), str(batch)], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        tap.at_end(lambda: p.poll() is None and p.kill())
        return p


def wait_for(what, fn, timeout=60):
    """Waits until fn() is true and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        got = fn()
        if got:
            return got
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(0.02)


def escape(value):
    raw = value if isinstance(value, bytes) else str(value).encode()
    return "".join(chr(b) if 33 <= b < 127 and b != 37 else f"%{b:02x}" for b in raw)


class Segment:
    """One visit; keeps its intervals, so that its sums are right."""
    COLUMNS = {"ringing": "ring", "talking": "talk", "conference": "talk", "holding": "hold",
               "held": "held", "consulting": "consult", "queued": "wait", "limbo": "limbo"}

    def __init__(self, call, kind, who, number, state, xfer, prev):
        self.call, self.id, self.who = call, str(uuid.uuid4()), who
        self.state, self.since, self.n, self.sums = state, call.at, 0, {}
        call.fact("segment_opened", seg=self.id, conv=call.conv, n=call.segments, kind=kind, who=who,
                  number=number, transfer_in=xfer and xfer.id, prev=prev and prev.id)
        call.segments += 1
        call.timeline("offered", who, self)

    def become(self, state):
        """Ends the present interval."""
        ms = (self.call.at - self.since) // 1000
        if ms or self.state != "ringing":
            self.call.fact("interval", seg=self.id, n=self.n, state=self.state, **{
                "from": self.since, "to": self.call.at, "ms": ms})
            self.n += 1
            column = self.COLUMNS[self.state]
            self.sums[column] = self.sums.get(column, 0) + ms
        self.state, self.since = state, self.call.at

    def answer(self):
        self.become("talking")
        self.call.fact("segment_answered", seg=self.id)
        self.call.timeline("answered", self.who, self)
        self.call.fact("case_owner", conv=self.call.conv, user=self.who)

    def close(self, outcome, by="customer", xfer=None, **more):
        self.become(None)
        self.call.fact("segment_closed", seg=self.id, outcome=outcome, released_by=by,
                       transfer_out=xfer and xfer.id,
                       **{f"{k}_ms": v for k, v in self.sums.items()}, **more)


class Transfer:
    def __init__(self, call, asker, target, source, kind="blind", via="sip_refer", prev=None):
        self.call, self.id = call, str(uuid.uuid4())
        call.fact("transfer_opened", xfer=self.id, conv=call.conv, kind=kind, via=via, asker=asker,
                  target_kind="user", target=target, from_seg=source.id, attempt=1,
                  prev=prev and prev.id)
        call.fact("transfer_marked", xfer=self.id, mark="accepted")
        call.timeline("transfer_requested", asker, source, self, headline=1)

    def mark(self, mark, to=None):
        self.call.fact("transfer_marked", xfer=self.id, mark=mark, to_seg=to and to.id)

    def close(self, outcome, to=None, **more):
        self.call.fact("transfer_closed", xfer=self.id, outcome=outcome, to_seg=to and to.id, **more)
        self.call.timeline("transfer_" + outcome, None, to, self, headline=1)


class Call:
    """A conversation as segued's core would tell it."""

    def __init__(self, number="+493012345", at=T0, kind="inbound", **more):
        self.at, self.start = at, at
        self.conv = str(uuid.uuid4())
        self.lines, self.seq, self.segments = [], 0, 0
        self.fact("conversation_opened", conv=self.conv, kind=kind, customer_number=number,
                  dialled="101", source="pbx", sip_call_id="abc@192.0.2.1", call="1.1", **more)
        self.timeline("conversation_started", "customer", headline=1)

    def fact(self, type, /, **fields):
        given = "".join(f" {k}={escape(v)}" for k, v in fields.items() if v not in (None, ""))
        self.lines.append(f"{self.at} {type}{given}")

    def wait(self, seconds):
        self.at += int(seconds * 1_000_000)

    def timeline(self, type, actor, seg=None, xfer=None, headline=0, **more):
        self.fact("timeline", conv=self.conv, seq=self.seq, type=type, actor=actor,
                  seg=seg and seg.id, xfer=xfer and xfer.id, headline=headline, **more)
        self.seq += 1

    def offer(self, who, kind="agent", number=None, state="ringing", xfer=None, prev=None):
        return Segment(self, kind, who, number, state, xfer, prev)

    def transfer(self, asker, target, source, **more):
        return Transfer(self, asker, target, source, **more)

    def end(self, outcome="answered", by="customer", **durations):
        """durations in seconds: talk=60; counters as they are: n_blind=1."""
        self.timeline("conversation_ended", by, headline=1)
        ms = {k if k.startswith("n_") or k == "estimated" else f"{k}_ms":
              v if k.startswith("n_") or k == "estimated" else int(v * 1000)
              for k, v in durations.items()}
        ms.setdefault("agent_talk_ms", ms.get("talk_ms", 0))
        self.fact("conversation_closed", conv=self.conv, outcome=outcome, ended_by=by,
                  total_ms=(self.at - self.start) // 1000, **ms)
        return self.lines


def agent_states(user, at, *changes, intent="available", **more):
    """Facts of an agent's day: (seconds, state that begins then) in order; the first is how it was."""
    lines, was, since = [], None, 0
    for seconds, state, *fields in changes:
        c = Call.__new__(Call)
        c.at, c.lines = at + int(seconds * 1_000_000), lines
        if was:
            c.fact("agent_state", user=user, state=state, was=was, ms=int((seconds - since) * 1000),
                   **{"intent": intent, **more, **(fields[0] if fields else {})})
        was, since = state, seconds
    return lines


def plain_call(**more):
    """Rings 3 s, talks 20 s."""
    c = Call(**more)
    a = c.offer("alice")
    c.wait(3)
    a.answer()
    c.wait(20)
    a.close("released")
    c.end(ring=3, talk=20)
    return c


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
