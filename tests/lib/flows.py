"""flows: what happens in most calls, in one line each, for tests that are about something else.

C is the customer on a trunk, A the agent who transfers, B the target; each is a ua.Call.
"""
import re
import time

import ua

SIPFRAG = "message/sipfrag"


def ring(caller, number, callee, sdp=None, headers=(), **kw):
    """caller dials number and callee rings. Returns both calls."""
    c = caller.invite(number, sdp=sdp, headers=headers, **kw)
    a = callee.incoming()
    a.reply(180)
    c.expect(180)
    return c, a


def pick_up(c, a, sdp=None):
    """A answers C, and segue knows that they talk: C's ACK has arrived."""
    a.answer(sdp)
    c.expect(200, method="INVITE")
    c.ack()
    a.expect("ACK")
    arrived(c)


def a_while():
    """A few milliseconds pass: what lasts that long is more than nothing in the ledger."""
    time.sleep(0.005)


def one_day(seconds=90):
    """Midnight UTC is farther away than that: what is asked for a day is asked on the day when it was."""
    left = 86400 - time.time() % 86400
    if left < seconds:
        time.sleep(left + 1)


def arrived(x):
    """All that x has sent so far has arrived: this is answered after it."""
    x._do("OPTIONS").expect(200, method="OPTIONS")


def booked(lab, c, what, since=0):
    """Until that is on the timeline of C's call (hold_on, hold_off), and a while after it: messages
    and what segue makes of them are two things. Returns the log line."""
    line = lab.daemon.wait_log(rf" call={re.escape(c.segue_id)} \S+ {what} ", since=since)
    a_while()
    return line


def talk(lab, agent=None, sdp=None, answer=None, headers=(), trunk=None):
    """A customer talks with an agent, and segue counts it: C's ACK has arrived. Returns (C, A)."""
    agent = agent or lab.phone()
    mark = lab.daemon.mark()
    c, a = ring(trunk or lab.trunk(), agent.number, agent, sdp, headers)
    pick_up(c, a, answer)
    line = lab.daemon.wait_log(f" answered actor={agent.user} ", since=mark)
    c.segue_id = re.search(r" call=(\S+)", line).group(1)
    a_while()
    return c, a


def is_final(n):
    return n.get("Subscription-State").startswith("terminated")


def sipfrag(n):
    """The status in a NOTIFY."""
    assert n.get("Content-Type").startswith(SIPFRAG), n.get("Content-Type")
    line = n.text.splitlines()[0]
    assert line.startswith("SIP/2.0 "), line
    return int(line.split()[1])


def refer(lab, a, to, headers=(), by=True):
    """A sends REFER; it is accepted and the first NOTIFY says 100. Returns that NOTIFY."""
    a.refer(lab.refer_to(to), headers, by)
    a.expect((202, 200), method="REFER")
    n = a.expect("NOTIFY")
    assert sipfrag(n) == 100 and n.get("Subscription-State").startswith("active"), str(n)
    assert n.get("Event").split(";")[0].strip() == "refer", n.get("Event")
    return n


def final_notify(a, status=None, timeout=ua.WAIT):
    """The one final NOTIFY; its status."""
    n = a.expect("NOTIFY", timeout, where=is_final)
    assert "reason=noresource" in n.get("Subscription-State"), n.get("Subscription-State")
    got = sipfrag(n)
    assert status is None or got == status, f"final NOTIFY says {got}, expected {status}"
    return got


def wait(what, check, timeout=30):
    """Until check() is true; its value."""
    deadline = time.monotonic() + timeout
    while True:
        got = check()
        if got:
            return got
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout} s it is still not so that {what}")
        time.sleep(0.01)


def hears(x, y, dir="sendrecv", timeout=ua.WAIT):
    """x was told to send to y, with that direction, newest description."""
    wait(f"{x.ua.name} was told the port of {y.ua.name} ({y.sdp.port}, {dir}); it was told "
         f"{x.remote_sdp and x.remote_sdp.short()}",
         lambda: x.remote_sdp and x.remote_sdp.port() == y.sdp.port
         and x.remote_sdp.dir() == dir, timeout)


def joined(x, y, timeout=ua.WAIT):
    """Both hear each other, and segue has their answers."""
    hears(x, y, timeout=timeout)
    hears(y, x, timeout=timeout)
    arrived(x)
    arrived(y)


def transfer(lab, c, a, b_phone, sdp=None):
    """A blind transfer that succeeds: B answers, A is released. Returns B's call."""
    refer(lab, a, b_phone.number)
    b = b_phone.incoming()
    b.reply(180)
    b.answer(sdp)
    b.expect("ACK")
    joined(c, b)
    final_notify(a, 200)
    a.expect("BYE")
    return b


def end(c, *others):
    """c hangs up, after a while in which all talk; the others get BYE."""
    arrived(c)
    a_while()
    c.hangup()
    for x in others:
        x.expect("BYE")
