"""The call log as CSV, however long: 25,000 conversations, a reader who takes its time, one who leaves, and a
database that goes away in the middle."""
import contextlib
import csv
import http.client
import io
import os
import socket
import subprocess
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import end, talk, wait
from web import WebLab

N = 25000
CSV = "/api/v1/conversations.csv"


class LongLab(WebLab):
    """With many conversations on record, so many a minute that some share their time."""

    def _users(self):
        super()._users()
        self.sql(f"""
            insert into segue.conversations (id, kind, customer_number, customer_name, dialled, source,
                started_at, ended_at, outcome, ended_by, sip_cause, total_ms, ring_ms, wait_ms, talk_ms,
                agent_talk_ms, hold_ms, held_ms, consult_ms, limbo_ms, ivr_ms, outbox_id, fact_id,
                closed_fact_id)
            select gen_random_uuid(), 'inbound', '+4930' || i, 'Customer "' || i || '", of many', '100',
                'trunk', timestamptz '2020-01-01' + i / 7 * interval '1 min',
                timestamptz '2020-01-01' + i / 7 * interval '1 min', 'abandoned', 'customer', 0,
                0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, i, i
            from generate_series(1, {N}) i; analyze segue.conversations;""")

    @property
    def boss(self):
        with self.lock:
            if not hasattr(self, "boss_session"):
                self.boss_session = self.login("boss")
        return self.boss_session

    def meant(self):
        return [r["id"] for r in self.rows("select id from segue.conversations where started_at < '2021-01-01' "
                                           "order by started_at desc, id desc")]


def ids(text):
    return [r["id"] for r in csv.DictReader(io.StringIO(text, newline=""))]


class Reader:
    """Reads an export by hand, as much as it is told to."""

    def __init__(self, lab, query="?to=2021-01-01", buffer=None):
        self.sock = socket.socket()
        if buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.sock.settimeout(60)
        self.sock.connect(("127.0.0.1", lab.http_port))
        self.sock.sendall(f"GET {CSV}{query} HTTP/1.1\r\nHost: x\r\nCookie: segue_session={lab.boss.cookie}\r\n"
                          "\r\n".encode())
        self.answer = http.client.HTTPResponse(self.sock)

    def leave(self):
        self.answer.close()
        self.sock.close()

    def begin(self):
        self.answer.begin()
        assert self.answer.status == 200, self.answer.status
        return self


def asking(lab):
    """Exports that the database works at now."""
    return lab.rows("select pid from pg_stat_activity where datname = current_database() and state = 'active' "
                    "and query like '%WITH page AS%concat_ws(%' and pid <> pg_backend_pid()")


@tap.case("all 25,000 conversations, each once, newest first, in the order of the pages")
def whole(lab):
    got = lab.boss.get("/conversations.csv?to=2021-01-01", timeout=120)
    assert got.status == 200 and got.headers["Content-Type"].startswith("text/csv"), got
    assert got.headers["Transfer-Encoding"] == "chunked" and got.headers["Link"] is None, got.headers
    seen = ids(got.body.decode())
    assert len(seen) == N and seen == lab.meant(), (len(seen), len(set(seen)))


@tap.case("limit: so many of them, over several pages, and the link leads to the others")
def limited(lab):
    meant, seen, url = lab.meant(), [], CSV + "?to=2021-01-01&limit=9000"
    while url:
        got = lab.boss.get("/" + url, timeout=60)
        page = ids(got.body.decode())
        assert got.status == 200 and len(page) <= 9000, (url, len(page))
        seen += page
        url = got.headers["Link"] and got.headers["Link"].split(">")[0].lstrip("<")
    assert seen == meant, (len(seen), len(set(seen)))
    for n in (500, 501, 1000):  # as long as pages are, and not
        assert ids(lab.boss.get(f"/conversations.csv?to=2021-01-01&limit={n}").body.decode()) == meant[:n], n


@tap.case("a reader who takes its time: calls and other questions go on beside it, and it misses nothing")
def slow(lab):
    r = Reader(lab, buffer=4096).begin()
    text = r.answer.read(20000)
    for _ in range(3):
        c, a = talk(lab)
        row = lab.boss.call_of(c)
        assert lab.boss.post(f"/calls/{row['id']}/hold").status == 200
        assert lab.boss.get("/conversations?limit=5").status == 200
        end(c, a)
        text += r.answer.read(20000)
    wait("nobody waits in the database for a slow reader", lambda: asking(lab) == [])
    text += r.answer.read()
    assert ids(text.decode()) == lab.meant()


@tap.case("five at a time, each whole")
def several(lab):
    readers = [Reader(lab).begin() for _ in range(5)]
    meant = lab.meant()
    for r in readers:
        assert ids(r.answer.read().decode()) == meant


def ended(lab, r):
    """Its question waits in the database, and ends there once it has left."""
    wait("it is asked", lambda: asking(lab))
    r.leave()
    wait("the question has ended while the table is still locked", lambda: asking(lab) == [])


@contextlib.contextmanager
def locked(lab):
    """The call log cannot be read meanwhile."""
    lock = subprocess.Popen(["psql", "-X", "-q", "-d", lab.conninfo], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    try:
        lock.stdin.write("begin; lock table segue.conversations in access exclusive mode;\n\\echo held\n")
        lock.stdin.flush()
        assert any("held" in line for line in iter(lock.stdout.readline, ""))
        yield
    finally:
        lock.communicate("rollback;\n\\q\n", timeout=20)


@tap.case("who leaves is asked for no more: also a question that waits in the database ends there, be it for "
          "the first page or a later one")
def cut(_):
    with LongLab(users=2, peers=2, http='query = "120s";') as lab:
        for read in (100, 300000):
            r = Reader(lab).begin()
            r.answer.read(read)
            r.leave()
        wait("nothing is asked", lambda: asking(lab) == [])
        r = Reader(lab, buffer=4096).begin()
        r.answer.read(20000)
        with locked(lab):
            r.sock.settimeout(0.2)
            while not asking(lab):  # what was asked for before is read first
                with contextlib.suppress(TimeoutError):
                    r.sock.recv(65536)
            ended(lab, r)
            ended(lab, Reader(lab))
        assert len(ids(lab.boss.get("/conversations.csv?to=2021-01-01", timeout=120).body.decode())) == N


@tap.case("a page that cannot be had cuts the connection: who reads knows that it is not all")
def broken(_):
    with LongLab(users=2, peers=2) as lab:
        meant, r = lab.meant(), Reader(lab, buffer=4096).begin()
        text = r.answer.read(20000)
        lab.sql("alter table segue.conversations rename to away")
        try:
            try:
                text += r.answer.read()
                raise AssertionError("it ended as if it were whole")
            except http.client.IncompleteRead as e:
                text += e.partial
            except ConnectionError:
                pass
        finally:
            lab.sql("alter table segue.away rename to conversations")
        seen = ids(text[:text.rindex(b"\r\n") + 2].decode())
        assert seen == meant[:len(seen)] and len(seen) < N, len(seen)
        lab.daemon.wait_log("export_cut_off")


@tap.case("a login that ends takes its export along")
def logged_out(_):
    with LongLab(users=2, peers=2) as lab:
        other = lab.login("boss")
        r = Reader(lab, buffer=4096).begin()
        text = r.answer.read(20000)
        assert lab.boss.post("/logout").status == 204
        try:
            text += r.answer.read()
            raise AssertionError("it ended as if it were whole")
        except (http.client.IncompleteRead, ConnectionError):
            pass
        assert other.get("/me").status == 200


if __name__ == "__main__":
    tap.main(lambda: LongLab(users=12, peers=6), jobs=1)
