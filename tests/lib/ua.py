"""ua: a SIP user agent for tests, scripted line by line, over raw sockets on loopback.

Promise: it does by itself what every phone does (ACK of refusals, answers to retransmissions,
digest, 200 to BYE/NOTIFY/OPTIONS/INFO, an answer to a re-INVITE) unless the script takes a method
over, and it can misbehave in every way that a script asks for. Nothing sleeps: expect() waits
for a message and says, when none comes, what did.

    alice = Ua("alice", server=("127.0.0.1", 5060), user="alice", password="secret")
    alice.register()
    call = alice.invite("1002", sdp=Sdp())
    call.expect(180); call.expect(200); call.ack()
    call.bye().expect(200)

    bob = ...; call = bob.incoming(); call.reply(180); call.answer(); call.expect("ACK")
"""
import hashlib
import os
import queue
import random
import re
import secrets
import socket
import threading
import time
import traceback

WAIT = 20.0  # seconds an expectation waits unless told otherwise
REPEAT = 2.0  # seconds after which a 2xx is repeated for whom its ACK is waited for

_COMPACT = {"v": "Via", "f": "From", "t": "To", "i": "Call-ID", "m": "Contact", "l": "Content-Length",
            "c": "Content-Type", "s": "Subject", "k": "Supported", "r": "Refer-To",
            "b": "Referred-By", "o": "Event", "x": "Session-Expires", "e": "Content-Encoding"}
_REASON = {100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 183: "Session Progress",
           200: "OK", 202: "Accepted", 302: "Moved Temporarily", 401: "Unauthorized",
           403: "Forbidden", 404: "Not Found", 407: "Proxy Authentication Required",
           408: "Request Timeout", 420: "Bad Extension", 422: "Session Interval Too Small",
           480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist",
           486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here",
           491: "Request Pending", 500: "Server Internal Error", 503: "Service Unavailable",
           600: "Busy Everywhere", 603: "Decline"}
ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, REFER, NOTIFY, INFO, MESSAGE"


def token(n=8):
    return secrets.token_hex(n // 2)


# ---- messages -------------------------------------------------------------------------------


class Msg:
    """A SIP message: start line, headers in order, body. src is who sent it; at is when it came, or was
    about to be sent (time.monotonic(); a script that looks at a clock itself may be late)."""

    def __init__(self, start, headers=(), body=b"", src=None):
        self.start, self.headers = start, [list(h) for h in headers]
        self.body = body.encode() if isinstance(body, str) else body
        self.src = src
        self.raw, self.at = None, None

    @classmethod
    def parse(cls, data, src=None):
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("utf-8", "replace").split("\r\n")
        headers = []
        for line in lines[1:]:
            if line[:1] in " \t" and headers:
                headers[-1][1] += " " + line.strip()
                continue
            name, _, value = line.partition(":")
            name = name.strip()
            headers.append([_COMPACT.get(name.lower(), name), value.strip()])
        m = cls(lines[0], headers, body, src)
        m.raw = data
        return m

    def get(self, name, default=""):
        return next((v for n, v in self.headers if n.lower() == name.lower()), default)

    def all(self, name):
        """All values, comma-separated ones split (not inside quotes or angle brackets)."""
        out = []
        for n, v in self.headers:
            if n.lower() == name.lower():
                out += [p.strip() for p in re.findall(r'(?:[^,"<]|"[^"]*"|<[^>]*>)+', v)]
        return out

    def has(self, name):
        return any(n.lower() == name.lower() for n, _ in self.headers)

    def set(self, name, value):
        """Replaces all occurrences by one; None removes."""
        self.headers = [h for h in self.headers if h[0].lower() != name.lower()]
        if value is not None:
            self.headers.append([name, value])

    def add(self, name, value):
        self.headers.append([name, value])

    @property
    def is_request(self):
        return not self.start.startswith("SIP/2.0 ")

    @property
    def method(self):
        """Of a request, or of the request that a response answers."""
        return self.start.split(" ", 1)[0] if self.is_request else self.get("CSeq").split()[-1]

    @property
    def status(self):
        return 0 if self.is_request else int(self.start.split(" ")[1])

    @property
    def uri(self):
        return self.start.split(" ")[1]

    @property
    def cseq(self):
        return int(self.get("CSeq", "0 X").split()[0])

    @property
    def branch(self):
        m = re.search(r";\s*branch=([^;,\s]*)", self.get("Via"))
        return m.group(1) if m else ""

    @property
    def call_id(self):
        return self.get("Call-ID")

    @property
    def from_tag(self):
        return tag_of(self.get("From"))

    @property
    def to_tag(self):
        return tag_of(self.get("To"))

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def sdp(self):
        """The session description, or None."""
        return SdpView(self.text) if "application/sdp" in self.get("Content-Type") else None

    def encode(self):
        h = [x for x in self.headers if x[0].lower() != "content-length"]
        h.append(["Content-Length", str(len(self.body))])
        return ("\r\n".join([self.start] + [f"{n}: {v}" for n, v in h]) + "\r\n\r\n").encode() \
            + self.body

    def __str__(self):
        extra = "".join(f" {k}={self.get(k)!r}" for k in ("CSeq", "Event", "Subscription-State",
                                                           "Refer-To", "Reason") if self.has(k))
        if "sipfrag" in self.get("Content-Type"):
            extra += f" sipfrag={self.text.splitlines()[0] if self.text else ''!r}"
        if self.sdp:
            extra += f" sdp={self.sdp.short()}"
        return self.start + extra


def tag_of(value):
    m = re.search(r">?[^>]*;\s*tag=([^;,\s>]*)", value)
    return m.group(1) if m else ""


def uri_of(value):
    m = re.search(r"<([^>]*)>", value)
    return m.group(1) if m else value.split(";")[0].strip()


def hostport(uri):
    """(host, port, is TCP) of a SIP URI."""
    m = re.match(r"sips?:(?:[^@]*@)?(\[[^\]]+\]|[^;:?>]+)(?::(\d+))?", uri)
    if not m:
        raise ValueError(f"not a SIP URI: {uri!r}")
    return m.group(1).strip("[]"), int(m.group(2) or 5060), "transport=tcp" in uri.lower()


# ---- session descriptions --------------------------------------------------------------------


class Sdp:
    """A session description to send. The origin's id stays, its version rises with bump()."""

    def __init__(self, port=None, dir="sendrecv", audio="0 8 101", extra=(), ip="127.0.0.1",
                 video=None, raw=None):
        self.id, self.version = random.randrange(1, 1 << 30), 1
        self.port = random.randrange(10000, 30000) * 2 if port is None else port
        self.dir, self.audio, self.extra, self.ip = dir, audio, list(extra), ip
        self.video, self.raw = video, raw

    def copy(self, **changes):
        """The next version with some fields changed."""
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        new.version += 1
        new.__dict__.update(changes)
        return new

    def media(self):
        lines = [f"m=audio {self.port} RTP/AVP {self.audio}"]
        names = {"0": "PCMU/8000", "8": "PCMA/8000", "101": "telephone-event/8000",
                 "96": "telephone-event/8000"}
        lines += [f"a=rtpmap:{p} {names[p]}" for p in self.audio.split() if p in names]
        lines += [f"a={self.dir}"] + self.extra
        if self.video is not None:
            lines += [f"m=video {self.video} RTP/AVP 34", f"a={self.dir}"]
        return lines

    def __str__(self):
        if self.raw is not None:
            return self.raw
        v = "IP6" if ":" in self.ip else "IP4"
        return "\r\n".join(["v=0", f"o=ua {self.id} {self.version} IN {v} {self.ip}", "s=-",
                            f"c=IN {v} {self.ip}", "t=0 0"] + self.media()) + "\r\n"


class SdpView:
    """What a received session description says."""

    def __init__(self, text):
        self.text = text
        self.session, self.streams = [], []
        for line in text.replace("\r", "").split("\n"):
            if line.startswith("m="):
                self.streams.append([line])
            elif self.streams:
                self.streams[-1].append(line)
            else:
                self.session.append(line)

    def _dir(self, lines):
        for line in lines:
            if line[2:] in ("sendrecv", "sendonly", "recvonly", "inactive"):
                return line[2:]
        return None

    def dir(self, n=0):
        return self._dir(self.streams[n]) or self._dir(self.session) or "sendrecv"

    def port(self, n=0):
        return int(self.streams[n][0].split()[1].split("/")[0])

    def address(self, n=0):
        """Where that stream wants its media."""
        return next(x for x in self.streams[n] + self.session if x.startswith("c=")).split()[2]

    def kinds(self):
        return [s[0][2:].split()[0] for s in self.streams]

    def formats(self, n=0):
        return self.streams[n][0].split()[3:]

    @property
    def origin(self):
        """(session id, version, address) of the o= line."""
        o = next(x for x in self.session if x.startswith("o=")).split()
        return o[1], int(o[2]), o[5]

    def short(self):
        try:
            return "+".join(f"{k}:{self.port(i)}:{self.dir(i)}"
                            for i, k in enumerate(self.kinds())) + f" o={self.origin[1]}"
        except (ValueError, IndexError, StopIteration):
            return "(odd)"


# ---- the ladder, for failures ----------------------------------------------------------------


class Ladder:
    """Every message of the user agents that share it, in order."""

    def __init__(self):
        self.lines, self.lock, self.t0 = [], threading.Lock(), time.monotonic()

    def add(self, ua, arrow, msg):
        with self.lock:
            self.lines.append((time.monotonic() - self.t0, ua, arrow, msg))

    def __str__(self):
        with self.lock:
            return "\n".join(f"{t:8.3f} {u:>10} {a} {m} [{getattr(m, 'call_id', '')[:8]}]"
                             for t, u, a, m in self.lines[-120:])


# ---- transports -------------------------------------------------------------------------------


class Late:
    """A transport that sends everything so many ms later, in order. For SEGUE_LATE_MS: what a script has
    sent may be read by segue after its next question by HTTP or SQL, and a test that trusts its luck there
    fails one time in a thousand; with this it fails each time."""

    def __init__(self, transport, ms):
        self.below, self.later = transport, ms / 1000
        self.letters = queue.SimpleQueue()
        self.carrier = threading.Thread(target=self._run, daemon=True)
        self.carrier.start()

    def __getattr__(self, name):
        return getattr(self.below, name)

    def _run(self):
        for due, data, dest in iter(self.letters.get, None):
            time.sleep(max(0, due - time.monotonic()))
            try:
                self.below.send(data, dest)
            except OSError as e:
                if not self.below.over:
                    self.below.ua.errors.append(str(e))

    def send(self, data, dest):
        self.letters.put((time.monotonic() + self.later, data, dest))

    def close(self):
        self.letters.put(None)
        self.carrier.join()
        self.below.close()


def punctual(transport):
    """The transport; a late one where SEGUE_LATE_MS asks for it."""
    ms = float(os.environ.get("SEGUE_LATE_MS", 0))
    return Late(transport, ms) if ms else transport


class Udp:
    name = "UDP"

    def __init__(self, ua, ip, port=0):
        self.ua, self.over = ua, False
        self.sock = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET,
                                  socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.bind((ip, port))
        self.ip, self.port = self.sock.getsockname()[:2]

    def start(self):
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                data, src = self.sock.recvfrom(65536)
            except OSError as e:
                if self.over:
                    return
                self.ua.errors.append(str(e))
                continue
            if data.strip():
                self.ua.hear(data, src[:2])

    def send(self, data, dest):
        try:
            self.sock.sendto(data, dest[:2])
        except OSError:
            if not self.over:  # not closed by the script
                raise

    def close(self):
        self.over = True
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class Tcp:
    """Listens, and connects where no connection exists. Frames by Content-Length."""
    name = "TCP"

    def __init__(self, ua, ip, port=0):
        self.ua, self.conns, self.lock = ua, {}, threading.Lock()
        self.over = False  # close() was called: what cannot be sent any more is no fault
        self.family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        self.sock = socket.socket(self.family, socket.SOCK_STREAM)
        self.sock.bind((ip, port))
        self.sock.listen(20)
        self.ip, self.port = self.sock.getsockname()[:2]

    def start(self):
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                conn, src = self.sock.accept()
            except OSError:
                return
            self._serve(conn, src[:2])

    def _serve(self, conn, peer):
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.conns[peer] = conn
        threading.Thread(target=self._run, args=(conn, peer), daemon=True).start()

    def _run(self, conn, peer):
        buf = b""
        while True:
            try:
                data = conn.recv(65536)
            except OSError:
                data = b""
            if not data:
                self.ua.closed_connections += 1
                with self.lock:
                    self.conns.pop(peer, None)
                return
            self.ua.pongs += not data.strip()
            buf = (buf + data).lstrip(b"\r\n")
            while b"\r\n\r\n" in buf:
                head, _, rest = buf.partition(b"\r\n\r\n")
                m = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", head)
                n = int(m.group(1)) if m else 0
                if len(rest) < n:
                    break
                whole, buf = buf[:len(head) + 4 + n], rest[n:].lstrip(b"\r\n")
                self.ua.hear(whole, peer)

    def send(self, data, dest):
        dest = dest[:2]
        with self.lock:
            conn = self.conns.get(dest)
        if conn is None:
            conn = socket.socket(self.family, socket.SOCK_STREAM)
            conn.bind((self.ip, 0))
            conn.settimeout(5)
            conn.connect(dest)
            conn.settimeout(None)
            self._serve(conn, dest)
        conn.sendall(data)

    def close(self):
        self.over = True
        with self.lock:
            conns = list(self.conns.values())
        for s in [self.sock] + conns:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


# ---- digest (RFC 7616, RFC 8760) ---------------------------------------------------------------


def challenge_params(value):
    return {k.lower(): v.strip('"') for k, v in
            re.findall(r'(\w+)\s*=\s*("[^"]*"|[^,\s]+)', value.partition(" ")[2])}


def digest_response(user, password, method, uri, ch, nc=1, cnonce=None):
    """The value of an Authorization header that answers the challenge ch."""
    h = (lambda s: hashlib.sha256(s.encode()).hexdigest()) \
        if ch.get("algorithm", "MD5").upper().startswith("SHA-256") \
        else (lambda s: hashlib.md5(s.encode()).hexdigest())
    ha1, ha2 = h(f"{user}:{ch['realm']}:{password}"), h(f"{method}:{uri}")
    out = [f'username="{user}"', f'realm="{ch["realm"]}"', f'nonce="{ch["nonce"]}"', f'uri="{uri}"']
    if "qop" in ch:
        cnonce = cnonce or token(16)
        resp = h(f"{ha1}:{ch['nonce']}:{nc:08x}:{cnonce}:auth:{ha2}")
        out += ["qop=auth", f"nc={nc:08x}", f'cnonce="{cnonce}"']
    else:
        resp = h(f"{ha1}:{ch['nonce']}:{ha2}")
    out.append(f'response="{resp}"')
    if "algorithm" in ch:
        out.append(f'algorithm={ch["algorithm"]}')
    if "opaque" in ch:
        out.append(f'opaque="{ch["opaque"]}"')
    return "Digest " + ", ".join(out)


# ---- calls -------------------------------------------------------------------------------------


class Inbox:
    """Messages that no expect() has taken yet."""

    def __init__(self, ua):
        self.ua, self.box = ua, []

    def put(self, msg):
        with self.ua.cond:
            self.box.append(msg)
            self.ua.cond.notify_all()

    def _match(self, m, what, method, where):
        if isinstance(what, (tuple, list, range)):
            return any(self._match(m, w, method, where) for w in what)
        if isinstance(what, str):
            ok = m.is_request and m.method == what
        else:
            ok = not m.is_request and m.status == what and method in (None, m.method)
        return ok and (where is None or where(m))

    def take(self, what, timeout, method=None, where=None):
        """The first waiting message that matches, or None after timeout seconds."""
        deadline = time.monotonic() + timeout
        with self.ua.cond:
            while True:
                for i, m in enumerate(self.box):
                    if self._match(m, what, method, where):
                        return self.box.pop(i)
                left = deadline - time.monotonic()
                if left <= 0 or not self.ua.cond.wait(left):
                    if time.monotonic() >= deadline:
                        return None

    def expect(self, what, timeout=WAIT, method=None, where=None):
        """Waits for a request (by method) or a response (by status, or several in a tuple)."""
        m = self.take(what, timeout, method, where)
        if m is None:
            with self.ua.cond:
                seen = "\n".join(f"    {x}" for x in self.box) or "    nothing"
            raise AssertionError(f"{self.ua.name} waited {timeout} s for {what}"
                                 f"{' to ' + method if method else ''}; it holds:\n{seen}")
        return m

    def expect_none(self, what, within=0.4, method=None, where=None):
        """Fails if such a message comes within that time."""
        m = self.take(what, within, method, where)
        if m is not None:
            raise AssertionError(f"{self.ua.name} did not expect {m}")

    def holds(self, what):
        """How many such messages wait."""
        with self.ua.cond:
            return sum(self._match(m, what, None, None) for m in self.box)


class Call(Inbox):
    """One dialog, or one about to be."""

    def __init__(self, ua, call_id, local_uri, remote_uri, target):
        super().__init__(ua)
        self.call_id, self.local_uri, self.remote_uri = call_id, local_uri, remote_uri
        self.local_tag, self.remote_tag = token(), ""
        self.cseq, self.routes, self.target = random.randrange(1, 5000), [], target
        self.invite = None       # the INVITE that made it, ours or theirs
        self.remote_sdp = None   # the newest SdpView from the other side
        self.sdp = None          # the newest Sdp we sent
        self.keeps_hold = False  # our user holds the other side: an offer does not change that
        self.manual = set()      # methods that the script answers
        self.mine = None         # or a function: True for requests that the script answers
        self.acks = {}           # our ACKs by CSeq, for repeated 2xx
        self.ended = False
        self.sent = {}           # the newest request we sent, by method
        self.dest = None         # where to send, if not where the target says
        self.accepted = None     # the INVITE that we have answered 2xx last, and that answer

    def take(self, what, timeout, method=None, where=None):
        """As of any inbox. A 2xx over UDP whose ACK stays away is sent again, and so is a request that has no
        response, as phones do (RFC 3261 sections 13.3.1.4 and 17.1.2.2): datagrams get lost, even here."""
        deadline = time.monotonic() + timeout
        while self.ua.transport.name == "UDP" and self._may_repeat(what, method) \
                and time.monotonic() + REPEAT < deadline:
            got = super().take(what, REPEAT, method, where)
            if got is not None:
                return got
            self._repeat(what, method)
        return super().take(what, max(0, deadline - time.monotonic()), method, where)

    def _may_repeat(self, what, method):
        if what == "ACK":
            return self.accepted is not None
        req = None if isinstance(what, str) or method == "INVITE" else self.sent.get(method)
        return req is not None and req.branch not in self.ua.responded

    def _repeat(self, what, method):
        if what == "ACK":
            self.ua.reply(*self.accepted)
        elif self._may_repeat(what, method):
            self.ua.send(self.sent[method], self.where())

    # -- sending ---------------------------------------------------------------------------

    def request(self, method, headers=(), body=b"", ctype=None, cseq=None, tag=None, uri=None,
                branch=None):
        """Builds a request of this dialog; send() puts it on the wire."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        to = f"<{self.remote_uri}>"
        rtag = self.remote_tag if tag is None else tag
        m = Msg(f"{method} {uri or self.target} SIP/2.0")
        m.add("Via", self.ua.via(branch))
        m.add("Max-Forwards", "70")
        m.add("From", f"{self.ua.display}<{self.local_uri}>;tag={self.local_tag}")
        m.add("To", to + (f";tag={rtag}" if rtag else ""))
        m.add("Call-ID", self.call_id)
        m.add("CSeq", f"{cseq} {method}")
        for r in self.routes:
            m.add("Route", r)
        if method not in ("BYE", "CANCEL", "ACK", "PRACK"):
            m.add("Contact", f"<{self.ua.contact}>")
        for n, v in headers:
            m.add(n, v)
        if body:
            m.add("Content-Type", ctype or "application/sdp")
            m.body = str(body).encode() if not isinstance(body, bytes) else body
        return m

    def where(self):
        if self.dest:
            return self.dest
        if self.routes:
            return hostport(uri_of(self.routes[0]))
        return hostport(self.target) if self.remote_tag and self.target else self.ua.server

    def send(self, msg):
        if msg.is_request and msg.method != "ACK":
            self.sent[msg.method] = msg
            self.ua.pending[msg.branch] = (msg, self)
        self.ua.send(msg, self.where())
        return msg

    def _do(self, method, headers=(), body=b"", ctype=None, **kw):
        self.send(self.request(method, headers, body, ctype, **kw))
        return self

    def do_invite(self, sdp=None, headers=()):
        """(Re-)INVITE. sdp None: without an offer."""
        if sdp is not None:
            self.sdp = sdp
        h = [("Allow", self.ua.allow), ("Supported", "replaces, timer, 100rel")] + list(headers)
        m = self.request("INVITE", h, str(sdp) if sdp is not None else b"")
        if self.invite is None:
            self.invite = m
        self.last_invite = m
        return self.send(m)

    def reinvite(self, sdp=None, headers=()):
        """Re-INVITE; returns the 2xx after having ACKed it."""
        req = self.do_invite(sdp, headers)
        ok = self.expect(200, method="INVITE")
        self.ack(cseq=req.cseq)
        return ok

    def ack(self, sdp=None, cseq=None):
        if sdp is not None:
            self.sdp = sdp
        cseq = cseq or self.last_invite.cseq
        m = self.request("ACK", body=str(sdp) if sdp is not None else b"", cseq=cseq)
        for n in ("Authorization", "Proxy-Authorization"):
            if self.last_invite.has(n):
                m.add(n, self.last_invite.get(n))
        with self.ua.cond:  # what was repeated until now has been acknowledged by this
            self.acks[cseq] = m
            self.box = [x for x in self.box if x.is_request or x.method != "INVITE" or x.cseq != cseq
                        or not 200 <= x.status < 300 or x.to_tag != self.remote_tag]
        return self.send(m)

    def cancel(self, headers=()):
        inv = self.last_invite
        m = Msg(f"CANCEL {inv.uri} SIP/2.0", [["Via", inv.get("Via")], ["Max-Forwards", "70"],
                ["From", inv.get("From")], ["To", inv.get("To")], ["Call-ID", self.call_id],
                ["CSeq", f"{inv.cseq} CANCEL"]] + [list(h) for h in headers])
        for r in inv.all("Route"):
            m.add("Route", r)
        self.ua.pending[m.branch + "/CANCEL"] = (m, self)
        self.ua.send(m, self.where())
        return self

    def bye(self, headers=()):
        self.ended = True
        return self._do("BYE", headers)

    def hangup(self):
        """BYE and its 200."""
        self.bye().expect((200, 481), method="BYE")

    def refer(self, to, headers=(), by=True):
        h = [("Refer-To", to)] if to is not None else []
        if by:
            h.append(("Referred-By", f"<{self.local_uri}>"))
        return self._do("REFER", h + list(headers))

    def update(self, sdp=None, headers=()):
        if sdp is not None:
            self.sdp = sdp
        return self._do("UPDATE", headers, str(sdp) if sdp is not None else b"")

    def prack(self, response):
        return self._do("PRACK", [("RAck", f"{response.get('RSeq')} {response.get('CSeq')}")])

    # -- answering ---------------------------------------------------------------------------

    def reply(self, status, sdp=None, headers=(), req=None, reason=None, body=None, ctype=None,
              tag=None, contact=True):
        """Answers req, or the INVITE that made this call."""
        req = req or self.invite
        if sdp is not None:
            self.sdp = sdp
            body, ctype = str(sdp), "application/sdp"
        m = self.ua.response(req, status, reason, self.local_tag if tag is None else tag)
        if contact and status < 400 and req.method in ("INVITE", "UPDATE", "REFER") \
                and not any(n.lower() == "contact" for n, _ in headers):
            m.add("Contact", f"<{self.ua.contact}>")
        if req.method in ("INVITE", "UPDATE") and status < 300:
            m.add("Allow", self.ua.allow)
            m.add("Supported", "replaces, timer")
        for n, v in headers:
            m.add(n, v)
        if body:
            m.add("Content-Type", ctype)
            m.body = body.encode() if isinstance(body, str) else body
        if req.method == "INVITE" and 200 <= status < 300:
            self.accepted = req, m
        self.ua.reply(req, m)
        return m

    def answer(self, sdp=None, headers=(), status=200):
        """2xx with a session description: the given one, or one that fits the offer."""
        return self.reply(status, sdp or self.fitting(self.invite.sdp), headers)

    def fitting(self, offer):
        """Our session description as an answer to that offer (RFC 3264 section 6)."""
        base = self.sdp or Sdp(ip=self.ua.transport.ip)
        want = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"} \
            .get(offer.dir() if offer and offer.streams else "sendrecv", "sendrecv")
        if self.keeps_hold:
            want = {"sendrecv": "sendonly", "recvonly": "inactive"}.get(want, want)
        return base if base.dir == want or base.raw else base.copy(dir=want)

    # -- input, on the receiving thread --------------------------------------------------------

    def _learn(self, m):
        """Takes from a response to our INVITE what makes the dialog."""
        if not self.remote_tag or (m.status < 300 and self.invite and m.cseq == self.invite.cseq
                                   and not getattr(self, "confirmed", False)):
            self.remote_tag = m.to_tag or self.remote_tag
            if m.has("Record-Route"):
                self.routes = list(reversed(m.all("Record-Route")))
        if m.status < 300:
            if m.has("Contact"):
                self.target = uri_of(m.get("Contact"))
            if m.status >= 200:
                self.confirmed = True

    def _response(self, m, req):
        if m.sdp:
            self.remote_sdp = m.sdp
        if req.method != "INVITE":
            if req.method == "UPDATE" and m.status < 300 and m.has("Contact"):
                self.target = uri_of(m.get("Contact"))
            self.put(m)
            return
        if m.status < 300 and m.to_tag:
            self._learn(m)
        with self.ua.cond:
            known = 200 <= m.status < 300 and m.cseq in self.acks and m.to_tag == self.remote_tag
            if not known and m.status < 300:
                self.put(m)
        if known:
            self.ua.repeats += 1
            self.ua.send(self.acks[m.cseq], self.where())
        if m.status >= 300:
            self._ack_refusal(m, req)
            if not self.ua.repeated(m):
                self.put(m)

    def _ack_refusal(self, m, req):
        a = Msg(f"ACK {req.uri} SIP/2.0", [["Via", req.get("Via")], ["Max-Forwards", "70"],
                ["From", req.get("From")], ["To", m.get("To")], ["Call-ID", self.call_id],
                ["CSeq", f"{m.cseq} ACK"]])
        for r in req.all("Route"):
            a.add("Route", r)
        self.ua.send(a, self.where())

    def _request(self, m):
        """Who sees the message, or what it has changed, knows that our own answer is on its way."""
        if m.method in ("INVITE", "UPDATE") and m.has("Contact"):
            self.target = uri_of(m.get("Contact"))
        try:
            self._reply(m)
        finally:
            if m.sdp and not self._has_refused(m):
                self.remote_sdp = m.sdp
            if m.method == "BYE":
                self.ended = True
            self.put(m)

    def _has_refused(self, m):
        answer = self.ua.done.get((m.method, m.branch, m.cseq, m.call_id))
        return answer is not None and answer.status >= 300

    def _reply(self, m):
        """What every phone answers by itself, unless the script does it."""
        if m.method in self.manual or m.method in ("ACK", "REFER") or \
                (self.mine and self.mine(m)):
            return
        if m.method == "INVITE" and not m.to_tag:  # the INVITE again, after a challenge
            self.invite = m
            return
        if m.method in ("INVITE", "UPDATE"):
            sdp = None if m.method == "UPDATE" and not m.sdp else self.fitting(m.sdp)
            self.reply(200, sdp, req=m)
        elif m.method == "CANCEL":
            self.reply(200, req=m)
            if not self.ua.answered(self.invite):
                self.reply(487)
        else:
            self.reply(200, req=m)


# ---- the user agent -----------------------------------------------------------------------------


class Ua(Inbox):
    """One phone, trunk or PBX, with a socket of its own."""

    def __init__(self, name, server, ip="127.0.0.1", port=0, transport="udp", user=None,
                 password=None, domain=None, ladder=None, display=""):
        self.cond = threading.Condition(threading.RLock())
        self.allow = ALLOW
        super().__init__(self)
        self.name, self.server, self.user, self.password = name, server, user or name, password
        self.display = f'"{display}" ' if display else ""
        self.ladder = ladder or Ladder()
        self.calls, self.pending, self.done = {}, {}, {}
        self.log, self.errors = [], []
        self.repeats = self.closed_connections = self.pongs = 0
        self.challenged = set()  # branches of our requests that were sent again with credentials
        self.responded = set()  # branches of our requests to which anything has come
        self.auth = True           # answer 401/407 by ourselves
        self.auto_calls = True     # requests of unknown dialogs get 481
        self.drop = None           # a function: True for received messages to lose
        self.nc = {}
        self.dial = None
        self.prefer = None         # digest algorithm to pick, None: the first that is offered
        self.transport = punctual((Tcp if transport == "tcp" else Udp)(self, ip, port))
        host = f"[{ip}]" if ":" in ip else ip
        self.hostport = f"{host}:{self.transport.port}"
        self.contact = f"sip:{self.user}@{self.hostport}" + \
            (";transport=tcp" if transport == "tcp" else "")
        self.domain = domain or (f"[{server[0]}]" if ":" in server[0] else server[0])
        self.transport.start()  # not before: what was meant for who had this port last may come at once

    @property
    def number(self):
        """What others dial to reach it."""
        return self.dial or self.user

    def close(self):
        self.transport.close()

    # -- sending -----------------------------------------------------------------------------

    def via(self, branch=None):
        return f"SIP/2.0/{self.transport.name} {self.hostport};" \
               f"branch={branch or 'z9hG4bK' + token(16)};rport"

    def send(self, msg, dest=None):
        self.ladder.add(self.name, "->", msg)
        with self.cond:
            self.log.append(("->", msg))
        msg.at = time.monotonic()
        self.transport.send(msg.encode(), dest or self.server)

    def send_raw(self, data, dest=None):
        """Bytes as they are."""
        self.ladder.add(self.name, "->", f"raw {data[:60]!r}")
        self.transport.send(data, dest or self.server)

    def response(self, req, status, reason=None, tag=None):
        m = Msg(f"SIP/2.0 {status} {reason or _REASON.get(status, 'Whatever')}")
        for n, v in req.headers:
            if n.lower() in ("via", "from", "call-id", "cseq", "timestamp"):
                m.add(n, v)
            elif n.lower() == "record-route" and status < 300:
                m.add(n, v)
            elif n.lower() == "to":
                m.add(n, v if tag_of(v) or status == 100 or not tag else f"{v};tag={tag}")
        return m

    def reply(self, req, m):
        """Sends a response and keeps it for repeated requests."""
        with self.cond:
            self.done[(req.method, req.branch, req.cseq, req.call_id)] = m
        if self.transport.name == "UDP":
            via = req.get("Via")
            host, port = re.match(r"SIP/2.0/UDP\s+(\[[^\]]+\]|[^;:\s]+)(?::(\d+))?", via).groups()
            dest = req.src if "rport" in via and req.src else (host.strip("[]"), int(port or 5060))
        else:
            dest = req.src
        self.send(m, dest)

    def answered(self, req):
        m = self.done.get((req.method, req.branch, req.cseq, req.call_id))
        return m is not None and m.status >= 200

    def uri(self, to):
        return to if to.startswith(("sip:", "sips:", "tel:")) else f"sip:{to}@{self.domain}"

    def call(self, to, call_id=None, from_uri=None):
        """A call that has not been sent yet."""
        target = self.uri(to)
        c = Call(self, call_id or f"a{token(11)}@{self.transport.ip}",
                 from_uri or f"sip:{self.user}@{self.domain}", target, target)
        self.calls[c.call_id] = c
        return c

    def invite(self, to, sdp=None, headers=(), late=False, **kw):
        """INVITE with an offer, or late=True: without."""
        c = self.call(to, **kw)
        c.do_invite(None if late else (sdp or Sdp(ip=self.transport.ip)), headers)
        return c

    def plain(self, method, to=None, headers=(), body=b"", ctype=None):
        """A request outside of any dialog; its responses are for expect() on the returned call."""
        c = self.call(to or f"sip:{self.domain}")
        c.send(c.request(method, headers, body, ctype))
        return c

    def register(self, expires=300, contacts=None, headers=(), ok=200, timeout=WAIT):
        """Registers and returns the final response."""
        c = getattr(self, "_reg", None)
        if c is None:
            aor = f"sip:{self.user}@{self.domain}"
            c = self._reg = Call(self, token(12), aor, aor, f"sip:{self.domain}")
            self.calls[c.call_id] = c
        h = [("Expires", str(expires))] + list(headers)
        m = c.request("REGISTER", h)
        m.set("Contact", None)
        for x in contacts if contacts is not None else [f"<{self.contact}>"]:
            m.add("Contact", x)
        c.send(m)
        if ok is None:
            return c
        deadline = time.monotonic() + timeout
        while self.transport.name == "UDP" and time.monotonic() + 1 < deadline:
            got = c.take(ok, 1, method="REGISTER")  # datagrams get lost, even here; a phone sends again
            if got is not None:
                return got
            self.send(c.sent["REGISTER"])
        return c.expect(ok, max(0, deadline - time.monotonic()), method="REGISTER")

    def incoming(self, timeout=WAIT, where=None):
        """The next new call."""
        m = self.expect("INVITE", timeout, where=where)
        return self.calls[m.call_id]

    # -- input ---------------------------------------------------------------------------------

    def hear(self, data, src):
        """Takes what has come; whatever that does, the next message is heard as well."""
        try:
            self._input(data, src)
        except Exception:
            if not self.transport.over:
                traceback.print_exc()

    def _stray(self, m):
        """A new call for another of the lab's phones, who had this port before."""
        to = re.match(r"sip:(u\d{3})@", m.uri) if m.is_request and not m.to_tag else None
        return to is not None and self.user != to.group(1) and re.fullmatch(r"u\d{3}", self.user)

    def _input(self, data, src):
        at = time.monotonic()
        if data[0] >= 0x80 and src != tuple(self.server[:2]):
            return  # somebody's RTP or RTCP, for who had this port before
        try:
            m = Msg.parse(data, src)
            m.at = at
            m.status if not m.is_request else m.method
        except (ValueError, IndexError, UnicodeError) as e:
            self.errors.append(f"unreadable: {e}: {data[:80]!r}")
            return
        if self._stray(m) or self.drop and self.drop(m):
            self.ladder.add(self.name, "x-", m)
            return
        self.ladder.add(self.name, "<-", m)
        with self.cond:
            self.log.append(("<-", m))
        try:
            self._request(m) if m.is_request else self._response(m)
        except Exception as e:
            self.errors.append(f"{type(e).__name__}: {e} on {m}")
            raise

    def _response(self, m):
        key = m.branch + ("/CANCEL" if m.method == "CANCEL" else "")
        req, call = self.pending.get(key, (None, None))
        if req is None:
            self.errors.append(f"response to nothing: {m}")
            return
        self.responded.add(m.branch)
        if m.status == 100:
            return
        if m.status in (401, 407) and self.auth and self.password:
            if m.branch in self.challenged:  # our ACK of it was late; it has been answered
                call._ack_refusal(m, req) if req.method == "INVITE" else None
                return
            if self._again(m, req, call):
                return
        if m.status >= 200 and m.method != "INVITE" and self.repeated(m, key):
            return
        call._response(m, req)

    def repeated(self, m, key=None):
        """A final response that came before is counted, and is no news."""
        with self.cond:
            again = (key or m.branch, m.status) in self.done
            self.repeats += again
            self.done[(key or m.branch, m.status)] = True
            return again

    def _again(self, m, req, call):
        """Repeats a challenged request with credentials; once."""
        name, answer = ("WWW-Authenticate", "Authorization") if m.status == 401 else \
            ("Proxy-Authenticate", "Proxy-Authorization")
        chs = [challenge_params(v) for n, v in m.headers if n.lower() == name.lower()]
        ch = next((c for c in chs if self.prefer in (None, c.get("algorithm", "MD5"))), None)
        old = req.get(answer)
        if ch is None or (old and ch.get("stale", "").lower() != "true"):
            return False
        self.challenged.add(m.branch)
        if req.method == "INVITE":
            call._ack_refusal(m, req)
        call.cseq += 1
        new = Msg(req.start, req.headers, req.body)
        new.set("Via", self.via())
        new.set("CSeq", f"{call.cseq} {req.method}")
        new.set(answer, self.credentials(req.method, req.uri, ch))
        new.headers.insert(0, new.headers.pop(next(
            i for i, h in enumerate(new.headers) if h[0] == "Via")))
        if req.method == "INVITE":
            if call.invite is req:
                call.invite = new
            call.last_invite = new
        call.sent[req.method] = new
        call.send(new)
        return True

    def credentials(self, method, uri, ch, nc=None):
        self.nc[ch["nonce"]] = nc or self.nc.get(ch["nonce"], 0) + 1
        return digest_response(self.user, self.password, method, uri, ch, self.nc[ch["nonce"]])

    def _request(self, m):
        key = (m.method, m.branch, m.cseq, m.call_id)
        with self.cond:
            if m.method != "ACK" and key in self.done:
                self.repeats += 1
                old = self.done[key]
            else:
                old = False
                if m.method != "ACK":
                    self.done[key] = None
        if old is not False:
            if old is not None:
                self.send(old, m.src)
            return
        call = self.calls.get(m.call_id)
        if m.method == "INVITE" and not m.to_tag and call is None:
            self._new_call(m)
        elif call is not None:
            call._request(m)
        elif m.method == "ACK":
            pass
        else:
            self.put(m)
            if self.auto_calls:
                self.reply(m, self.response(m, 200 if m.method == "OPTIONS" else 481, tag=token()))

    def _new_call(self, m):
        c = Call(self, m.call_id, uri_of(m.get("To")), uri_of(m.get("From")),
                 uri_of(m.get("Contact")))
        c.remote_tag, c.invite, c.remote_sdp = m.from_tag, m, m.sdp
        c.routes = m.all("Record-Route")
        self.calls[m.call_id] = c
        self.put(m)

    def count(self, what, arrow="<-", where=None):
        """How many such messages went that way, repeats included."""
        with self.cond:
            return sum(1 for a, m in self.log if a == arrow and self._match(m, what, None, where))
