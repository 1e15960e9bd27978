"""What the SIP library below cannot stand must not reach it."""
import contextlib
import os
import signal
import socket
import struct
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
import ua
from flows import talk
from segued import STRANGER, Lab
from ua import Sdp


def request(method, branch, via, number="7999999", transport="UDP", port=5060):
    return (f"{method} sip:{number}@segue.test SIP/2.0\r\n"
            f"Via: SIP/2.0/{transport} {via.replace('BRANCH', 'branch=z9hG4bK' + branch)}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:x@segue.test>;tag=f\r\nTo: <sip:{number}@segue.test>\r\n"
            f"Call-ID: {branch}\r\nCSeq: 1 {method}\r\nContact: <sip:x@{STRANGER}:{port}>\r\n"
            "Content-Length: 0\r\n\r\n").encode()


def datagrams(ip):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((ip, 0))
    s.settimeout(10)
    return s


def silent(s):
    """Nothing has come for it, of what segued has read before it answered somebody else."""
    s.setblocking(False)
    try:
        raise AssertionError(f"{s.getsockname()} hears {s.recv(65536)!r}")
    except BlockingIOError:
        pass


def alive(lab):
    """It still answers somebody else."""
    c = lab.trunk().invite("7999999")
    c.expect(404)


VIAS = [f"{STRANGER}:0;BRANCH", f"{STRANGER}:99999;BRANCH", "255.255.255.255;BRANCH",
        f"{STRANGER};BRANCH;maddr=240.0.0.1", f"{STRANGER};BRANCH;maddr=255.255.255.255",
        f"{STRANGER};BRANCH;maddr=no.such.host.invalid", f"{STRANGER};BRANCH;comp=sigcomp",
        f"{STRANGER};BRANCH;maddr=", "[::1]:1;BRANCH;rport=0"]


@tap.case("a Via that leads nowhere, and the ACK of what could not be sent: segued lives")
def lost_answers(lab):
    s = datagrams(STRANGER)
    for i, via in enumerate(VIAS):
        for last in (["ACK"], ["CANCEL", "ACK"], ["INVITE", "ACK"]):
            branch = f"v{i}{'-'.join(last)}"
            for method in ["INVITE"] + last + ["ACK"]:
                s.sendto(request(method, branch, via), (lab.ip, lab.port))
    alive(lab)
    s.close()


@tap.case("a TCP connection that is reset before its INVITE is answered, the ACK on another one")
def lost_connection(lab):
    for i in range(20):
        for reset in (False, True):
            branch = f"t{i}{reset}"
            via = f"{STRANGER}:1;BRANCH"
            one = socket.create_connection((lab.ip, lab.port), source_address=(STRANGER, 0))
            if reset:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.sendall(request("INVITE", branch, via, transport="TCP"))
            one.close()
            two = socket.create_connection((lab.ip, lab.port), source_address=(STRANGER, 0))
            for method in ("ACK", "CANCEL", "ACK"):
                two.sendall(request(method, branch, via, transport="TCP"))
            two.close()
    alive(lab)


@contextlib.contextmanager
def paused(lab):
    """What is sent meanwhile is read in one go."""
    lab.daemon.proc.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        lab.daemon.proc.send_signal(signal.SIGCONT)


def huge(method, call_id, branch):
    """A request as long as a datagram can be: no answer to it fits into one."""
    head = (f"{method} sip:a SIP/2.0\r\nv:SIP/2.0/UDP a;branch={branch};rport\r\nf:<sip:x>;tag=f\r\n"
            f"t:<sip:y>\r\ni:{call_id}\r\nCSeq:1 {method}\r\n").encode()
    via = b"v:SIP/2.0/UDP b;x=" + b"y" * 3000 + b"\r\n"
    n = (65500 - len(head)) // len(via)
    return head + (via * n)[:-2] + b"z" * (65505 - len(head) - n * len(via)) + b"\r\n\r\n"


@tap.case("INVITEs whose answers fit into no datagram, one of them merged, and their ACKs: segued lives")
def huge_answers(lab):
    mark = lab.daemon.mark()
    with datagrams(STRANGER) as s:
        for i, (one, two) in enumerate([("z9hG4bKa", "z9hG4bKb"), ("z9hG4bK", "b"), ("", "z9hG4bKb"), ("a", "")]):
            ack = [one, two, "", "z9hG4bK", "z9hG4bK-", "-" * 8, "-" * 7, "-"]
            with paused(lab):
                for m, branch in [("INVITE", one), ("INVITE", two), ("ACK", two), ("CANCEL", two)] + \
                        [("ACK", b) for b in ack]:
                    s.sendto(huge(m, f"huge{i}", branch), (lab.ip, lab.port))
            alive(lab)
    lab.daemon.wait_log("response_unsent via=a", since=mark)


@tap.case("a message of a size that does not exist or is forbidden, alone on a TCP connection and after another: segued lives")
def sizes(lab):
    good = request("OPTIONS", "one", f"{STRANGER}:1;BRANCH", transport="TCP")
    for size in (4294967295, 4294967294, 4294967296, 2147483648, 65537, -1, 18446744073709551615):
        for method in ("OPTIONS", "INVITE", "ACK"):
            for before, body in ((b"", b""), (good, b""), (good, b"x"), (good * 3, b"")):
                m = request(method, "two", f"{STRANGER}:1;BRANCH", transport="TCP")
                m = m.replace(b"Content-Length: 0", b"Content-Length: %d" % size)
                tap.note(lambda size=size, method=method: f"{method}, Content-Length: {size}")
                with socket.create_connection((lab.ip, lab.port), source_address=(STRANGER, 0)) as s, \
                        contextlib.suppress(ConnectionError):
                    s.sendall(before + m + body)
                    s.sendall(b"y" * 1000)
                    s.shutdown(socket.SHUT_WR)
                    s.settimeout(20)
                    while s.recv(65536):
                        pass
        alive(lab)


@tap.case("a body in two pieces, and behind it more than a message may be long: all is answered, nothing is lost")
def backlog(lab):
    body, n = b"b" * 60000, 200
    first = request("OPTIONS", "first", f"{STRANGER}:1;BRANCH", transport="TCP").replace(
        b"Content-Length: 0", b"Content-Length: %d" % len(body)) + body
    rest = b"".join(request("OPTIONS", f"rest{i}", f"{STRANGER}:1;BRANCH", transport="TCP").replace(
        b"Max-Forwards", b"X-A: " + b"a" * 500 + b"\r\nMax-Forwards") for i in range(n))
    assert len(rest) > 2 * 65536
    with socket.create_connection((lab.ip, lab.port), source_address=(STRANGER, 0)) as s:
        s.settimeout(20)
        s.sendall(first[:5000])
        alive(lab)
        with paused(lab):
            s.sendall(first[5000:] + rest)
        heard = b""
        while heard.count(b"\r\nCSeq: ") < n + 1:
            got = s.recv(65536)
            assert got, f"closed after {heard.count(b'CSeq: ')} answers"
            heard += got
    alive(lab)


@tap.case("a datagram from port 0, to which nothing can be sent: the answer goes to the Via's port")
def port_zero(lab):
    with datagrams(STRANGER) as s, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
        raw.bind((STRANGER, 0))
        for method in ("INVITE", "ACK"):
            m = request(method, "zero", f"{STRANGER}:{s.getsockname()[1]};BRANCH;rport")
            raw.sendto(struct.pack("!HHHH", 0, lab.port, 8 + len(m), 0) + m, (lab.ip, 0))
        assert s.recv(65536).startswith(b"SIP/2.0 403 ")
    alive(lab)


def reliable(lab, agent, trunk):
    """Somebody who wants 100rel hears 183 with a session description, and the agent has answered since.
    Returns both calls and that 183."""
    c = trunk.invite(agent.number, headers=[("Require", "100rel")])
    a = agent.incoming()
    a.reply(183, Sdp())
    m = c.expect(183)
    a.answer()
    a.expect("ACK")
    return c, a, m


@tap.case("R-020 a 2xx that has waited for a PRACK is sent again until its ACK, like any")
def after_prack(lab):
    c, a, m = reliable(lab, lab.phone(), lab.trunk())
    alive(lab)
    c.expect_none(200, 0, method="INVITE")
    c.prack(m).expect(200, method="PRACK")
    for _ in range(3):
        c.expect(200, method="INVITE")
    c.ack()
    c.hangup()
    a.expect("BYE")


@tap.case("R-020 a CANCEL while the 2xx waits for a PRACK: 487, and whoever had answered is released")
def cancel_before_prack(lab):
    c, a, _ = reliable(lab, lab.phone(), lab.trunk())
    alive(lab)
    c.cancel().expect(200, method="CANCEL")
    c.expect(487, method="INVITE")
    a.expect("BYE")


@tap.case("R-020 a BYE while the 2xx waits for a PRACK: the INVITE is answered 487, both are released")
def bye_before_prack(lab):
    c, a, _ = reliable(lab, lab.phone(), lab.trunk())
    alive(lab)
    c.bye().expect(200, method="BYE")
    c.expect(487, method="INVITE")
    a.expect("BYE")


@tap.case("a 2xx has waited for a PRACK or gets a BYE, but its connection is gone; ACKs come by another: segued lives")
def prack_elsewhere(lab):
    agent, trunk = lab.phone(), lab.trunk()
    ip = trunk.transport.ip
    for i in range(8):
        one, two = (socket.create_connection((lab.ip, lab.port), source_address=(ip, 0)) for _ in "12")
        if i % 2:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.settimeout(20)

        def say(method, cseq, tag="", more="", body="", i=i):
            return (f"{method} sip:{agent.number}@segue.test SIP/2.0\r\nVia: SIP/2.0/TCP {ip}:1;branch=z9hG4bKp{i}"
                    f"{cseq}\r\nMax-Forwards: 70\r\nFrom: <sip:x@segue.test>;tag=f\r\nTo: <sip:y@segue.test>{tag}\r\n"
                    f"Call-ID: prack{i}\r\nCSeq: {cseq} {method}\r\nContact: <sip:x@{ip}:1;transport=tcp>\r\n{more}"
                    f"Content-Length: {len(body)}\r\n\r\n{body}").encode()
        one.sendall(say("INVITE", 1, more="Require: 100rel\r\nContent-Type: application/sdp\r\n", body=str(Sdp())))
        a = agent.incoming()
        a.reply(183, Sdp())
        heard = b""
        while b"SIP/2.0 183 " not in heard or not heard.endswith(b"\r\n"):
            heard += one.recv(65536)
        m = ua.Msg.parse(heard[heard.index(b"SIP/2.0 183 "):])
        a.answer()
        a.expect("ACK")
        alive(lab)
        with paused(lab):
            if i % 4 < 2:
                one.close()
            two.sendall(say("PRACK" if i < 4 else "BYE", 2, f";tag={m.to_tag}", f"RAck: {m.get('RSeq')} 1 INVITE\r\n") +
                        say("ACK", 1, f";tag={m.to_tag}") + say("ACK", 1))
            one.close()
        alive(lab)
        two.close()


@tap.case("broken messages leave a line in the log")
def malformed(lab):
    mark = lab.daemon.mark()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 1.2.3.4\r\n\r\n", (lab.ip, lab.port))
        lab.daemon.wait_log("malformed_messages count=", since=mark)


@tap.case("a phone answers with a status that does not exist: it counts as 500, segued lives")
def no_such_status(lab):
    agent, target = lab.phone(), lab.phone()
    for status in (700, 999):
        c = lab.trunk().invite(agent.number)
        agent.incoming().reply(status)
        c.expect(500, method="INVITE")
    c, a = talk(lab, agent)
    a.manual = {"INVITE", "NOTIFY"}
    c.do_invite(c.sdp.copy(dir="sendonly"))
    a.reply(999, req=a.expect("INVITE"))
    c.expect(500, method="INVITE")
    a.refer(lab.refer_to(target.number))
    a.reply(700, req=a.expect("NOTIFY"))
    target.incoming().reply(800)
    c.hangup()
    alive(lab)


@tap.case("a phone answers with numbers that the library's 16 bits do not hold, and again: segued lives")
def status_too_large(lab):
    agent, target = lab.phone(), lab.phone()
    for status in (65636, 98304, 4294967396, 0, 1):
        c, a = talk(lab, agent)
        a.manual = {"NOTIFY", "BYE", "INVITE"}
        a.refer(lab.refer_to(target.number))
        b = target.incoming()
        for req in (a.expect("NOTIFY"), b.invite):
            for again in (status, 200, status):
                (a if req.method == "NOTIFY" else b).reply(again, req=req)
        alive(lab)
        c.hangup()
        a.reply(200, req=a.expect("BYE"))
        alive(lab)


def unfinished(agent, req, status):
    """A response whose datagram ends with its last header: no empty line."""
    m = agent.response(req, status, tag="unfinished").encode()
    assert m.endswith(b"\r\n\r\n")
    agent.send_raw(m[:-2])


@tap.case("the same in datagrams that end without an empty line: segued lives")
def status_too_large_unfinished(lab):
    agent, target = lab.phone(), lab.phone()
    for status in (65536, 65636, 98304):
        c, a = talk(lab, agent)
        a.manual = {"NOTIFY", "BYE", "INVITE"}
        a.refer(lab.refer_to(target.number))
        b = target.incoming()
        for call, req in ((a, a.expect("NOTIFY")), (b, b.invite)):
            for again in (status, status, 200, status):
                unfinished(call.ua, req, again)
        alive(lab)
        c.hangup()
        bye = a.expect("BYE")
        for again in (status, 200):
            unfinished(a.ua, bye, again)
        alive(lab)


@tap.case("a maddr in the Via is nobody's but the sender's, with an empty line after the headers and without")
def maddr(lab):
    elsewhere = "127.0.0.99"
    with datagrams(STRANGER) as s, datagrams(elsewhere) as other:
        port = other.getsockname()[1]
        for end in (b"\r\n", b""):
            for head in ("Via: SIP/2.0/UDP", "v: SIP/2.0/UDP", "v : SIP / 2.0 / UDP"):
                m = request("OPTIONS", ua.token(8), f"{STRANGER}:{port};BRANCH;rport;maddr={elsewhere}")
                m = m.replace(b"Via: SIP/2.0/UDP", head.encode())
                assert m.endswith(b"\r\n\r\n")
                s.sendto(m[:-2] + end, (lab.ip, lab.port))
                assert s.recv(65536).startswith(b"SIP/2.0 ")
        silent(other)


def vias(port, victim, victim_port):
    """Via values that each name somebody else who could get the answer, by what they do."""
    here, there = f"{STRANGER}:{port}", f"{victim}:{victim_port}"
    return [f"SIP/2.0/UDP {here};BRANCH;received={victim};received={victim};received={victim}",
            f"SIP/2.0/UDP {here};BRANCH;maddr={victim};maddr={victim}",
            f"SIP/2.0/UDP {there};BRANCH;received={victim}", f"SIP/2.0/UDP {there}", f"SIP/2.0/UDP {there};BRANCH;rport=1",
            f"SIP/2.0/TCP {there};BRANCH;received={victim}",
            f"SIP/2.0/UDP {there};BRANCH;received={victim}, SIP/2.0/UDP {there};branch=z9hG4bKother",
            f", SIP/2.0/UDP {there};BRANCH;received={victim}",
            f"SIP/2.0/UDP\r\n {there}\r\n ;BRANCH;received={victim};maddr={victim}"]


BREAK = {"nothing": lambda m: m, "the version": lambda m: m.replace(b" SIP/2.0\r\nVia", b" SIP/3.0\r\nVia"),
         "Max-Forwards": lambda m: m.replace(b"Max-Forwards: 70", b"Max-Forwards: x"),
         "CSeq": lambda m: m.replace(b"CSeq: 1", b"CSeq: x"),
         "two CSeqs": lambda m: m.replace(b"CSeq: 1", b"CSeq: 2 OPTIONS\r\nCSeq: 1")}


@tap.case("whatever the Via says, and whatever else is broken: nobody but the sender is answered")
def answered_elsewhere(lab):
    with datagrams(STRANGER) as s, datagrams("127.0.0.99") as other:
        for via in vias(s.getsockname()[1], *other.getsockname()):
            for what, spoil in BREAK.items():
                m = request("OPTIONS", ua.token(8), "HERE;BRANCH").replace(b"SIP/2.0/UDP HERE;BRANCH", via.encode())
                m = m.replace(b"BRANCH", b"branch=z9hG4bK" + ua.token(8).encode())
                tap.note(lambda via=via, what=what: f"Via: {via}, broken: {what}")
                s.sendto(spoil(m), (lab.ip, lab.port))
        alive(lab)
        silent(other)


def of_cancel(agent, req, status):
    """A response to the CANCEL of that INVITE."""
    m = agent.response(req, status, tag="cancel")
    m.set("CSeq", f"{req.cseq} CANCEL")
    return m.encode()


@tap.case("a phone answers a CANCEL that it was not sent yet, before its 1xx and after: segued lives, CANCEL comes")
def answer_before_cancel(lab):
    agent = lab.phone()
    for status in (200, 481, 100):
        c = lab.trunk().invite(agent.number)
        a = agent.incoming()
        a.manual = {"CANCEL"}
        c.cancel()
        c.expect(487)
        for _ in range(2):
            agent.send_raw(of_cancel(agent, a.invite, status))
        alive(lab)
        a.expect_none("CANCEL", 0)
        a.reply(180)
        agent.send_raw(of_cancel(agent, a.invite, status))
        a.expect("CANCEL")
        for again in (status, 200, 481, 200):
            agent.send_raw(of_cancel(agent, a.invite, again))
        a.reply(487)
        a.expect("ACK")
        alive(lab)


def stray(lab, s, via=None, contact="<sip:b@192.0.2.7:9>", status=200, method="INVITE", to=";tag=b", more=""):
    """A response to what segued has never sent."""
    host, port = s.getsockname()
    s.sendto((f"SIP/2.0 {status} OK\r\nVia: SIP/2.0/UDP {via or f'{lab.ip}:{lab.port}'};branch=z9hG4bKnobody\r\n"
              f"{more}From: <sip:a@segue.test>;tag=gone\r\nTo: <sip:b@segue.test>{to}\r\nCall-ID: nobody@{port}\r\n"
              f"CSeq: 7 {method}\r\n" + (f"Contact: {contact}\r\n" if contact else "") +
              "Content-Length: 0\r\n\r\n").encode(), (lab.ip, lab.port))


def heard(s, n):
    """The next n messages, without those that come again."""
    got = {}
    while len(got) < n:
        m = ua.Msg.parse(s.recv(65536))
        got[m.method] = m
    return got


@tap.case("E-124 a 2xx that nobody waits for: ACK and BYE, to where it came from, whatever it says")
def answer_to_nobody(lab):
    s = datagrams(STRANGER)
    stray(lab, s, more="Record-Route: <sip:192.0.2.8;lr>\r\n")
    got = heard(s, 2)
    ack, bye = got["ACK"], got["BYE"]
    for m in (ack, bye):
        assert m.uri == "sip:b@192.0.2.7:9" and m.all("Route") == ["<sip:192.0.2.8;lr>"], str(m)
        assert (m.from_tag, m.to_tag) == ("gone", "b"), str(m)
    assert (ack.cseq, bye.cseq) == (7, 8), (ack.cseq, bye.cseq)
    lab.daemon.wait_log(f"answer_to_nobody source={STRANGER} sip_call_id=nobody@{s.getsockname()[1]}")
    s.close()


@tap.case("responses that are no 2xx to an INVITE of ours: nothing is said, segued lives")
def answers_to_nothing(lab):
    s = datagrams(STRANGER)
    for bad in (dict(contact=None), dict(contact="<tel:+49>"), dict(contact="*"), dict(contact="<sip:>"),
                dict(to=""), dict(status=180), dict(status=486), dict(method="BYE"), dict(method="CANCEL"),
                dict(via="192.0.2.1:5060"), dict(via="no.such.host.invalid"), dict(via=f"{lab.ip}:1"),
                dict(more="Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKother\r\n"),
                dict(contact="<sip:b@192.0.2.7:99999>"), dict(status=299, method="ACK")):
        stray(lab, s, **bad)
    alive(lab)  # and has read all those before
    silent(s)
    s.close()


@tap.case("E-124 a 2xx that comes again and again is acknowledged each time while its dialog lives, and not ended")
def answered_again(lab):
    c, a = talk(lab)
    answer = a.accepted[1].encode()
    for _ in range(3):
        a.ua.send_raw(answer)
        a.expect("ACK")
    c.hangup()
    a.expect("BYE")


if __name__ == "__main__":
    tap.main(Lab)
