"""Phones and trunks whose every message comes with broken copies of it: thousands of requests and
responses that are almost right, over UDP and TCP, before, in and after calls and transfers. The
seeds are fixed. Promise: segued lives and complains to no sanitizer, a call that nobody disturbs
stays whole, what the others leave behind ends, and the ledger adds up."""
import os
import random
import re
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import end, joined, talk, transfer, wait
from segued import Lab
from ua import Sdp, token

SEEDS = int(os.environ.get("SEGUE_TEST_SEEDS", 12))  # sessions of each case
FIRST = int(os.environ.get("SEGUE_TEST_SEED", 1))
COPIES = 6                                            # broken ones of each message:
AFTER = 2                                             # so many after it, the others before
OLD = 30                                              # messages that may come once more

NUMBERS = [b"0", b"-1", b"1", b"255", b"65536", b"2147483648", b"4294967295", b"4294967296",
           b"99999999999999999999", b"1e9", b"0x10", b""]
VALUES = [b"", b"*", b"<>", b"<sip:>", b"sip:", b"<sip:x@[::1>", b"\"", b"\"\\", b"<sip:x@y>;tag",
          b";;;;", b",,,", b"\x00", b"\xff\xfe", b"%s%n%d", b"%00", b"a" * 3000, b"<sip:" + b"%41" * 300 + b"@h>",
          b"sip:x@h;maddr=0.0.0.0;ttl=999", b"tel:+1;phone-context=", b"<sip:x@h?Replaces=a;b>",
          b"refer;id=4294967296", b"terminated;reason=", b"100rel, replaces, frobnicate", b"Digest",
          b"Digest username=\"\", realm=\"", b"1 INVITE", b"0 REFER", b"SIP/2.0/UDP 127.0.0.1;branch="]
NAMES = [b"Via", b"From", b"To", b"Call-ID", b"CSeq", b"Contact", b"Record-Route", b"Route", b"Require",
         b"Supported", b"RSeq", b"RAck", b"Refer-To", b"r", b"Referred-By", b"Replaces", b"Event",
         b"Subscription-State", b"Session-Expires", b"Min-SE", b"Expires", b"Max-Forwards", b"Reason",
         b"Content-Length", b"Content-Type", b"Content-Encoding", b"P-Asserted-Identity", b"Diversion",
         b"History-Info", b"Session-ID", b"Target-Dialog", b"Refer-Sub", b"User-to-User", b"X-Case-ID",
         b"Authorization", b"WWW-Authenticate", b"Path", b"Unsupported", b"Retry-After", b"Warning"]


def flip(rng, m):
    m = bytearray(m)
    for _ in range(rng.randrange(1, 6)):
        m[rng.randrange(len(m))] = rng.randrange(256)
    return bytes(m)


def cut(rng, m):
    a = rng.randrange(len(m))
    return m[:a] + m[a + rng.randrange(1, 40):]


def stop_short(rng, m):
    return m[:rng.randrange(1, len(m) + 1)]


def number(rng, m):
    found = list(re.finditer(rb"\d+", m))
    if not found:
        return m
    x = rng.choice(found)
    return m[:x.start()] + rng.choice(NUMBERS) + m[x.end():]


def line_of(rng, m):
    lines = m.split(b"\r\n")
    return lines, rng.randrange(len(lines))


def double(rng, m):
    lines, i = line_of(rng, m)
    return b"\r\n".join(lines[:i + 1] + [lines[i]] * rng.choice((1, 1, 30)) + lines[i + 1:])


def drop(rng, m):
    lines, i = line_of(rng, m)
    return b"\r\n".join(lines[:i] + lines[i + 1:])


def swap(rng, m):
    lines, i = line_of(rng, m)
    j = rng.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]
    return b"\r\n".join(lines)


def value(rng, m):
    lines, i = line_of(rng, m)
    name = lines[i].partition(b":")[0] if b":" in lines[i] else rng.choice(NAMES)
    lines[i] = name + b": " + rng.choice(VALUES)
    return b"\r\n".join(lines)


def header(rng, m):
    lines, _ = line_of(rng, m)
    at = rng.randrange(1, max(2, lines.index(b"") if b"" in lines else 2))
    lines.insert(at, rng.choice(NAMES) + b": " + rng.choice(VALUES + NUMBERS))
    return b"\r\n".join(lines)


def ends(rng, m):
    return m.replace(b"\r\n", rng.choice((b"\n", b"\r", b"\r\n ", b"\n\n")), rng.randrange(1, 20))


def renamed(rng, m):
    """Another Call-ID or branch: a message of its own."""
    return re.sub(rb"(?im)^(call-id:\s*)\S+", rb"\g<1>" + token(8).encode(), m) if rng.random() < .5 \
        else re.sub(rb"branch=z9hG4bK\w+", b"branch=z9hG4bK" + token(8).encode(), m)


def method(rng, m):
    new = rng.choice((b"INVITE", b"ACK", b"BYE", b"CANCEL", b"REFER", b"NOTIFY", b"UPDATE", b"PRACK",
                      b"SUBSCRIBE", b"INFO", b"OPTIONS", b"MESSAGE", b"REGISTER", b"PUBLISH", b"X"))
    old = m.partition(b" ")[0]
    return m if old.startswith(b"SIP/") else m.replace(old, new)


def status(rng, m):
    return re.sub(rb"^SIP/2.0 \d+", b"SIP/2.0 " + rng.choice(
        (b"100", b"180", b"183", b"199", b"200", b"202", b"299", b"300", b"302", b"401", b"407", b"408",
         b"420", b"422", b"481", b"487", b"491", b"503", b"600", b"699", b"700", b"99", b"0", b"65536", b"65636")), m)


def tag(rng, m):
    """From another fork, or out of another dialog, or of none."""
    return re.sub(rb"(?im)^((?:to|from|t|f)\s*:[^\r\n]*?);tag=[^;\r\n]*", rb"\g<1>" + rng.choice(
        (b"", b";tag=" + token(6).encode(), b";tag=", b";tag=a;tag=b")), m, count=rng.choice((1, 2)))


def other_method(rng, m):
    """What answers another request: a CANCEL that was never sent, an ACK."""
    return re.sub(rb"(?im)^(cseq:\s*\d+\s+)\w+", rb"\g<1>" + rng.choice(
        (b"CANCEL", b"ACK", b"INVITE", b"BYE", b"PRACK", b"NOTIFY", b"cancel", b"X")), m)


def via(rng, m):
    """A Via that wants something."""
    more = rng.choice((b";received=127.0.0.99", b";received=127.0.0.99;received=127.0.0.99", b";maddr=127.0.0.99",
                       b";maddr=127.0.0.99;maddr=127.0.0.99", b";rport=1;rport", b";branch=", b";branch=x", b";ttl=0",
                       b";comp=sigcomp", b", SIP/2.0/UDP 127.0.0.99", b";rport=0"))
    if rng.random() < .3:
        m = re.sub(rb";branch=[^;\r\n]*", b"", m, count=1)
    return re.sub(rb"(?im)^(via:[^\r\n]*)", lambda x: x.group(1) + more, m, count=1)


def version(rng, m):
    return m.replace(b"SIP/2.0", rng.choice((b"SIP/3.0", b"sip/2.0", b"SIP/2.0.0", b"SIP/", b"HTTP/1.1")), 1)


def unfinished(rng, m):
    """Without the empty line after the headers, as the end of a datagram allows."""
    return m.partition(b"\r\n\r\n")[0] + rng.choice((b"\r\n", b"\r\n", b"\n", b"\r", b""))


WAYS = [flip, cut, stop_short, number, number, double, drop, swap, value, value, header, header, ends,
        renamed, method, status, status, unfinished, unfinished, tag, other_method, via, version]


def broken(rng, m):
    for _ in range(rng.choice((1, 1, 2, 4))):
        m = rng.choice(WAYS)(rng, m) or b"\r\n"
    return m[:60000]


def framed(rng, m):
    """The same with a length that fits, so that what follows it on the connection is heard; mostly."""
    if rng.random() < .1:
        return m
    head, _, body = m.partition(b"\r\n\r\n")
    lines = [x for x in head.split(b"\r\n") if x and not re.match(rb"(?i)(content-length|l)\s*:", x)]
    return b"\r\n".join(lines + [b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body


class Noise:
    """Before each message of that user agent come broken copies of it, some after it, and some of older ones."""

    def __init__(self, agent, rng):
        self.agent, self.rng, self.send = agent, rng, agent.transport.send
        self.sent, self.old = 0, []
        agent.transport.send = self
        self.input = agent._input
        agent._input = self.quiet

    def quiet(self, data, src):
        """What answers a broken message may be broken too: it says again what it was told."""
        attempt(self.input, data, src)

    def __call__(self, data, dest):
        self.old = self.old[-OLD:] + [(data, dest)]
        some = [self._bad(*self.rng.choice(self.old) if self.rng.random() < .2 else (data, dest))
                for _ in range(COPIES)]
        some.insert(COPIES - AFTER, (data, dest))
        if self.agent.transport.name == "TCP" and self.rng.random() < .3:  # read at once
            some = [(b"".join(m for m, _ in some), dest)]
        for m, to in some:
            self._try(m, to)

    def _bad(self, m, dest):
        bad = broken(self.rng, m)
        return framed(self.rng, bad) if self.agent.transport.name == "TCP" else bad, dest

    def _try(self, data, dest):
        try:
            self.send(data, dest)
            self.sent += 1
        except OSError:  # segued has closed the connection: the next message opens another
            self.agent.transport.conns.pop(dest[:2], None)

    def end(self):
        self.agent.transport.send = self.send  # answers may come for a while


def attempt(fn, *args, **kw):
    """What a phone of no good does; whether it leads anywhere is not asked."""
    try:
        return fn(*args, **kw)
    except (AssertionError, OSError, AttributeError, ValueError, IndexError):
        return None


def rung(phone):
    m = phone.take("INVITE", 0.4)
    return phone.calls.get(m.call_id) if m else None


def deeds(lab, rng, call, number):
    """What can be done in a call, in any order."""
    sdp = call.sdp or Sdp()
    return rng.sample([
        lambda: call.update(sdp.copy(dir="sendonly")), lambda: call.update(),
        lambda: call.do_invite(sdp.copy()), lambda: call.do_invite(None), lambda: call.ack(),
        lambda: call._do("INFO", [], "Signal=1\r\n", "application/dtmf-relay"),
        lambda: call._do("OPTIONS"), lambda: call._do("SUBSCRIBE", [("Event", "refer")]),
        lambda: call._do("NOTIFY", [("Event", "refer"), ("Subscription-State", "active")]),
        lambda: call.refer(lab.refer_to(number)),
        lambda: call.refer(f"<sip:{number}@{lab.domain}?Replaces={call.call_id}%3Bto-tag%3D"
                           f"{call.remote_tag}%3Bfrom-tag%3D{call.local_tag}&X-A=b>"),
        lambda: call._do("PRACK", [("RAck", "1 1 INVITE")]), lambda: call.cancel(),
    ], 5)


def session(lab, rng, trunk, agent, target):
    """A call, some of what can happen in it, a transfer, its end."""
    c = trunk.invite(agent.number, headers=[("Session-Expires", "180"), ("X-Case-ID", "7")])
    calls = [c]
    a = rung(agent)
    if a:
        calls.append(a)
        attempt(a.reply, 183, Sdp(), headers=[("Require", "100rel"), ("RSeq", "1")])
        attempt(a.reply, 180)
        attempt(a.answer, headers=[("Session-Expires", "180;refresher=uac")])
        if c.take(200, 0.4, method="INVITE"):
            attempt(c.ack)
        for call in (c, a):
            for deed in deeds(lab, rng, call, target.number):
                attempt(deed)
        attempt(a.refer, lab.refer_to(target.number))
        b = rung(target)
        if b:
            calls.append(b)
            attempt(b.reply, 180)
            attempt(b.answer)
            attempt(rng.choice(deeds(lab, rng, b, agent.number)))
    for call in calls:
        attempt(call.bye)


def calls_left(lab):
    return [x.split()[0] for x in lab.seguectl("calls").splitlines() if re.match(r"\d+\.\d+", x)]


def storm(transport):
    def run(lab):
        c, a = talk(lab)
        before = set(calls_left(lab))
        sent = 0
        for seed in range(FIRST, FIRST + SEEDS):
            rng = random.Random(f"{transport}{seed}")
            tap.note(lambda seed=seed: f"SEGUE_TEST_SEED={seed} SEGUE_TEST_SEEDS=1 repeats this")
            trunk = lab.trunk()
            phones = [lab.phone(transport=transport) for _ in range(2)]
            noises = [Noise(x, rng) for x in [trunk] + phones]
            attempt(phones[0].register, ok=None)
            session(lab, rng, trunk, *phones)
            for n in noises:
                n.end()
                sent += n.sent
            assert lab.daemon.proc.poll() is None, f"segued died; seed {seed}"
            trunk.drop = None
        joined(c, a)
        b = transfer(lab, c, a, lab.phone())
        end(c, b)
        lab.ledger(c)
        assert sent > SEEDS * 50, f"only {sent} messages were sent"
        tap.say(f"{transport}: {sent} messages")
        for call in calls_left(lab):
            if call not in before:
                lab.seguectl("hangup", call, ok=False)
        wait("nothing is left of the broken calls",
             lambda: not set(calls_left(lab)) - before, timeout=45)
    return run


for _transport in ("udp", "tcp"):
    tap.case(f"messages and broken copies of them over {_transport.upper()}: segued lives, a call "
             "beside stays whole, nothing is left")(storm(_transport))


class StormLab(Lab):
    def __exit__(self, *exc, **kw):
        if not exc[0] and self.daemon.proc.poll() is None:
            wait("every conversation is final", lambda: not self.rows(
                "select id from segue.conversations where ended_at is null"), timeout=60)
            wrong = self.rows("select * from segue.check_ledger()")
            assert not wrong, wrong
        super().__exit__(*exc, **kw)


if __name__ == "__main__":
    tap.main(lambda: StormLab(t={"setup": 6000, "ring": 3000, "resume": 2000}), jobs=1)
