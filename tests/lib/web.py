"""web: segued with its HTTP interface, and clients of it, for tests.

    with web.WebLab() as lab:
        boss = lab.login("boss")            # a session of an admin
        r = boss.get("/calls")              # r.status, r.json
        with boss.events() as ev:           # the stream
            ev.wait("call", lambda d: d["state"] == "talking")

Promise: a client does what a browser or a program does, with a connection of its own for each
request unless told otherwise; nothing is retried behind the test's back. Every answer in JSON and every
event is held against segued's own document (schema.py).
"""
import gzip
import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
import time

import schema
import segued
import ua

WAIT = ua.WAIT
PASSWORD = "correct horse"


class Answer:
    def __init__(self, r):
        self.status, self.headers, self.body = r.status, r.headers, r.read()
        self.json = None
        packed = r.headers.get("Content-Encoding") == "gzip"
        if (r.headers.get("Content-Type") or "").startswith("application/json") and self.body:
            self.json = json.loads(gzip.decompress(self.body) if packed else self.body)

    @property
    def code(self):
        return self.json and self.json.get("error", {}).get("code")

    def __repr__(self):
        return f"{self.status} {self.body[:600]!r}"


class Client:
    """Somebody who asks: with a session, a token, or as nobody."""

    def __init__(self, lab, cookie=None, token=None, panel=True):
        self.lab, self.cookie, self.token, self.panel = lab, cookie, token, panel

    def headers(self, extra):
        h = {}
        if self.cookie:
            h["Cookie"] = f"segue_session={self.cookie}"
        if self.token:
            h["Authorization"] = f"Bearer {self.token}"
        elif self.panel:
            h["X-Segue"] = "panel"
        h.update(extra or {})
        return h

    def ask(self, method, path, body=None, headers=None, raw=None, timeout=20):
        """One request. path is under /api/v1 unless it begins with two slashes."""
        url = path[1:] if path.startswith("//") else "/api/v1" + path
        h = self.headers(headers)
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
            h.setdefault("Content-Type", "application/json")
        conn = self.lab.connection(timeout)
        try:
            conn.request(method, url, data, h)
            got = Answer(conn.getresponse())
        finally:
            conn.close()
        if got.json is not None:
            schema.check_answer(method, url, got.status, got.json)
        return got

    def get(self, path, **kw):
        return self.ask("GET", path, **kw)

    def post(self, path, body=None, **kw):
        return self.ask("POST", path, body, **kw)

    def events(self, last=None):
        return Stream(self, last)

    def call_of(self, c):
        """The row of this call of a Ua."""
        call = self.lab.conversation(c, final=False)["call"]
        got = self.get(f"/calls/{call}")
        assert got.status == 200, got
        return got.json


class Event:
    def __init__(self, name, data, id):
        self.name, self.data, self.id = name, data, id

    def __repr__(self):
        return f"{self.name} {json.dumps(self.data)[:300]}"


class Stream:
    """A listener of /api/v1/events, read by a thread."""

    def __init__(self, client, last=None):
        self.client, self.events, self.cond = client, [], threading.Condition()
        self.ended, self.wrong = False, []
        self.conn = client.lab.connection(60)
        h = client.headers({"Last-Event-ID": last} if last else None)
        self.conn.request("GET", "/api/v1/events", headers=h)
        self.sock = self.conn.sock  # the answer's from here on, as it ends with the connection
        self.answer = self.conn.getresponse()
        self.status = self.answer.status
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        name, data, id = None, [], None
        try:
            while True:
                line = self.answer.readline()
                if not line:
                    break
                line = line.decode().rstrip("\n")
                if line.startswith("id: "):
                    id = line[4:]
                elif line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    data.append(line[6:])
                elif line == "" and name:
                    self._take(Event(name, json.loads("\n".join(data)), id))
                    name, data = None, []
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass
        with self.cond:
            self.ended = True
            self.cond.notify_all()

    def _take(self, event):
        try:
            schema.check_event(event.name, event.data)
        except schema.Wrong as e:
            self.wrong.append(e)
        with self.cond:
            self.events.append(event)
            self.cond.notify_all()

    def wait(self, name, check=lambda d: True, since=0, timeout=WAIT):
        """The first event of that name, from position `since` on, whose data fits."""
        deadline = time.monotonic() + timeout
        with self.cond:
            while True:
                for e in self.events[since:]:
                    if e.name == name and check(e.data):
                        return e
                left = deadline - time.monotonic()
                if left <= 0 or self.ended:
                    raise AssertionError(f"no event {name!r} that fits in {timeout} s (ended: "
                                         f"{self.ended}); there were {self.events[since:][-12:]}")
                self.cond.wait(left)

    def wait_end(self, timeout=WAIT):
        with self.cond:
            assert self.cond.wait_for(lambda: self.ended, timeout), "the stream goes on"

    def last_id(self):
        with self.cond:
            return [e.id for e in self.events if e.id][-1]

    def mark(self):
        with self.cond:
            return len(self.events)

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(10)
        self.conn.close()
        if self.wrong:
            raise self.wrong[0]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class WebLab(segued.Lab):
    """A Lab whose segued listens for HTTP, with people who may log in: boss (admin), sup and sup2
    (supervisors of support and of sales)."""

    def __init__(self, http="", tls=None, **kw):
        super().__init__(**kw)
        self.http_extra, self.tls = http, tls
        self.passwords = set()

    def config(self):
        self.http_port = getattr(self, "http_port", None) or segued.free_port()
        tls = ""
        if self.tls:
            self.make_certificate()
            tls = f'tls_cert = "{self.dir}/cert.pem"; tls_key = "{self.dir}/key.pem";'
        return super().config() + f"""
http: {{ listen = [ "127.0.0.1:{self.http_port}" ]; sessions = "{self.dir}/sessions";
\tanswers = "{self.dir}/answers";
\taccess_copy = "{self.dir}/access"; webhook_state = "{self.dir}/webhooks"; panel_dir = "{self.dir}/panel"; {tls} {self.http_extra} }};
"""

    def make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=127.0.0.1", "-keyout", f"{self.dir}/key.pem", "-out",
                        f"{self.dir}/cert.pem"], check=True, capture_output=True)

    def _users(self):
        super()._users()
        os.makedirs(f"{self.dir}/panel", exist_ok=True)
        self.sql("""
            insert into segue.users (name, number, display_name, role) values
                ('boss', '3000', 'The Boss', 'admin'), ('sup', '3001', 'Sup Support', 'supervisor'),
                ('sup2', '3002', 'Sup Sales', 'supervisor');
            insert into segue.queues (name, number, display_name) values
                ('support', '4001', 'Support'), ('sales', '4002', 'Sales');
            insert into segue.queue_supervisors values ('support', 'sup'), ('sales', 'sup2');""")
        for user in ("boss", "sup", "sup2"):
            self.set_password(user)

    def set_password(self, user, password=PASSWORD):
        p = subprocess.run([segued.program("seguectl"), "--db", self.conninfo, "passwd", user],
                           input=password + "\n", text=True, capture_output=True, timeout=30)
        assert p.returncode == 0, p.stderr
        self.passwords.add(user)

    def connection(self, timeout=20):
        if self.tls:
            context = ssl.create_default_context(cafile=f"{self.dir}/cert.pem")
            context.check_hostname = False
            return http.client.HTTPSConnection("127.0.0.1", self.http_port, timeout=timeout,
                                               context=context)
        return http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=timeout)

    def nobody(self, **kw):
        return Client(self, **kw)

    def login(self, user, password=PASSWORD):
        """A session of that user, who gets a password first if need be."""
        if user not in self.passwords:
            mark = self.daemon.mark()
            self.set_password(user)
            self.daemon.wait_log(" directory_read ", since=mark)
        deadline = time.monotonic() + WAIT
        while True:  # the password may have missed that reading; but too many tries are refused for long
            got = self.nobody().post("/login", {"user": user, "password": password})
            if got.status == 200 or time.monotonic() > deadline:
                break
            time.sleep(1)
        assert got.status == 200, got
        cookie = got.headers["Set-Cookie"].split(";")[0].split("=", 1)[1]
        return Client(self, cookie=cookie)

    def token(self, name, scopes, user=None):
        """A new API token."""
        words = ["token", "create", name, scopes] + ([user] if user else [])
        p = subprocess.run([segued.program("seguectl"), "--db", self.conninfo, *words], text=True,
                           capture_output=True, timeout=30)
        assert p.returncode == 0, p.stderr
        client = Client(self, token=p.stdout.strip())
        deadline = time.monotonic() + WAIT
        while client.get("/me").status == 401 and time.monotonic() < deadline:
            time.sleep(0.05)
        return client
