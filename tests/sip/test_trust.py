"""Who gets in, and what bad input does: strangers, malformed SIP and SDP, IPv6, TCP, big messages."""
import os
import socket
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import end, joined, pick_up, ring, talk, transfer, wait
from segued import Lab, free_port
from ua import Msg, Sdp, Ua


def alive(lab):
    """segued still answers."""
    lab.trunk().plain("OPTIONS").expect(200)


@tap.case("a stranger's INVITE: 403 and a log line that names him")
def stranger(lab):
    target = lab.phone()
    mark = lab.daemon.mark()
    s = lab.stranger()
    s.invite(target.number).expect(403)
    target.expect_none("INVITE", 0.2)
    lab.daemon.wait_log(s.transport.ip.replace(".", r"\."), since=mark)


@tap.case("a stranger's REFER, SUBSCRIBE, NOTIFY, BYE: refused")
def stranger_others(lab):
    s = lab.stranger()
    for method in ("REFER", "SUBSCRIBE", "NOTIFY", "BYE", "UPDATE", "INFO", "PRACK"):
        c = s.plain(method, "2001")
        assert c.expect(range(400, 700)).status in (403, 405, 481, 489, 501), method


@tap.case("a user name from the users table at a stranger's address is challenged, not believed")
def stranger_as_user(lab):
    s = lab.stranger(user="u001")
    r = s.invite("2002").expect((401, 403, 407))
    assert r.status


TOKENS = {
    "no CSeq": lambda m: m.set("CSeq", None),
    "no Call-ID": lambda m: m.set("Call-ID", None),
    "no From": lambda m: m.set("From", None),
    "no To": lambda m: m.set("To", None),
    "CSeq of another method": lambda m: m.set("CSeq", "1 BYE"),
    "CSeq that is no number": lambda m: m.set("CSeq", "abc INVITE"),
    "CSeq beyond 2^31": lambda m: m.set("CSeq", "99999999999 INVITE"),
    "From without tag (RFC 2543)": lambda m: m.set("From", "<sip:x@y>"),
    "unreadable From": lambda m: m.set("From", "<<<sip:x"),
    "unreadable Contact": lambda m: m.set("Contact", "<sip:a b@host name>"),
    "two Contacts": lambda m: m.add("Contact", "<sip:other@127.0.0.1:9>"),
    "negative Max-Forwards": lambda m: m.set("Max-Forwards", "-1"),
    "Content-Length too long": lambda m: None,
    "unknown scheme in the Request-URI": lambda m: setattr(m, "start", "INVITE foo:bar SIP/2.0"),
    "Request-URI with blanks": lambda m: setattr(m, "start", "INVITE sip:a b@c SIP/2.0"),
    "SIP/3.0": lambda m: setattr(m, "start", m.start.replace("SIP/2.0", "SIP/3.0")),
    "unknown Content-Encoding": lambda m: m.add("Content-Encoding", "rot13"),
    "NUL in a header": lambda m: m.set("Subject", "a\0b"),
    "bad UTF-8": lambda m: m.set("Subject", "\udcff"),
}


def malformed(change, name):
    def run(lab):
        trunk = lab.trunk()
        c = trunk.call("7999999")
        m = c.request("INVITE", body=str(Sdp()))
        c.invite = c.last_invite = m
        change(m)
        trunk.pending[m.branch] = (m, c)
        try:
            data = m.encode()
        except UnicodeEncodeError:
            data = "\r\n".join([m.start] + [f"{n}: {v}" for n, v in m.headers]) \
                .encode("utf-8", "surrogateescape") + b"\r\n\r\n"
        if name == "Content-Length too long":
            data = data.replace(b"Content-Length: ", b"Content-Length: 9")
        trunk.send_raw(data)
        r = c.take(range(200, 700), 1.0)
        assert r is None or r.status >= 400, str(r)
        alive(lab)
    return run


for _name, _change in TOKENS.items():
    tap.case(f"E-120 malformed INVITE: {_name}: refused or dropped, segued lives")(
        malformed(_change, _name))


@tap.case("E-120 random bytes and broken pieces of SIP")
def garbage(lab):
    trunk = lab.trunk()
    base = trunk.call("2001").request("INVITE", body=str(Sdp())).encode()
    for i in range(0, len(base), 7):
        trunk.send_raw(base[:i])
        trunk.send_raw(base[:i] + b"\xff\x00" + base[i + 2:])
    for data in (b"\0" * 100, b"\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n", b"INVITE\r\n\r\n", b"A" * 60000,
                 b"SIP/2.0 999 X\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKq\r\n\r\n"):
        trunk.send_raw(data)
    alive(lab)
    with trunk.cond:
        trunk.box.clear()


@tap.case("E-121 64 KiB datagram, 200 Via headers, 10 KiB Refer-To: refused or dropped")
def big(lab):
    c, a = talk(lab)
    trunk = lab.trunk()
    m = trunk.call("7999999").request("INVITE", body=str(Sdp()))
    many = Msg(m.start, m.headers, m.body)
    for i in range(200):
        many.headers.insert(1, ["Via", f"SIP/2.0/UDP 192.0.2.{i}:5060;branch=z9hG4bKv{i}"])
    trunk.send_raw(many.encode())
    m.add("X-Big", "x" * 60000)
    trunk.send_raw(m.encode())
    a.refer("<sip:2001@x?X-Case=" + "a" * 10000 + ">")
    a.expect(range(400, 700), method="REFER")
    alive(lab)
    end(c, a)


@tap.case("an m= line of 120 bytes that the packaged SDP parser never returns from")
def sdp_hang(lab):
    agent = lab.phone()
    body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" \
           "m=audio 5 UDP/TLS/RTP/SAVPF 111 ;\r\n"
    trunk = lab.trunk()
    c = trunk.invite(agent.number, sdp=Sdp(raw=body, port=5))
    wait("it was refused or passed", lambda: c.holds(range(101, 700)) or agent.holds("INVITE"))
    alive(lab)
    c2 = trunk.invite(agent.number, sdp=Sdp(raw=body.replace("111 ;", "\\x99 ("), port=5))
    wait("it was refused or passed", lambda: c2.holds(range(101, 700)) or agent.holds("INVITE"))
    alive(lab)


for _n, _body in {"empty": " ", "no m-line": "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\n",
                  "no v=": "o=- 1 1 IN IP4 1.1.1.1\r\nm=audio 1 RTP/AVP 0\r\n", "binary": "\x01\x02\x03",
                  "port of five digits too many": "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nt=0 0\r\n"
                  "m=audio 99999999 RTP/AVP 0\r\n"}.items():
    def _bad_sdp(lab, body=_body):
        agent = lab.phone()
        c = lab.trunk().invite(agent.number, sdp=Sdp(raw=body, port=1))
        r = c.expect(range(400, 700))
        assert r.status in (400, 415, 488), str(r)
        agent.expect_none("INVITE", 0.1)
        alive(lab)
    tap.case(f"bad SDP ({_n}) in an INVITE: 400 or 488")(_bad_sdp)


@tap.case("bad SDP in a re-INVITE: refused, the call lives")
def bad_reinvite(lab):
    c, a = talk(lab)
    req = c.do_invite(Sdp(raw="v=0\r\nnonsense\r\n", port=1))
    assert c.expect(range(400, 700), method="INVITE").cseq == req.cseq
    end(c, a)


@tap.case("a body that is not SDP: 415 with Accept")
def not_sdp(lab):
    agent, trunk = lab.phone(), lab.trunk()
    c = trunk.call(agent.number)
    m = c.request("INVITE", body="<x/>", ctype="application/xml")
    c.invite = c.last_invite = m
    c.send(m)
    r = c.expect((415, 488, 400))
    agent.expect_none("INVITE", 0.1)


@tap.case("R-015 TCP: a call of a phone on TCP, both ways, with a transfer")
def tcp(lab):
    phone, target = lab.user(transport="tcp"), lab.user(transport="tcp")
    phone.register()
    target.register()
    c, a = talk(lab, phone)
    assert a.invite.get("Via").startswith("SIP/2.0/TCP"), a.invite.get("Via")
    b = transfer(lab, c, a, target)
    end(b, c)


@tap.case("TCP: split and joined messages, CRLF keep-alive, then a framing error closes")
def tcp_pieces(lab):
    phone = lab.user(transport="tcp")
    c = phone.call(f"sip:{lab.domain}")
    m = c.request("OPTIONS")
    phone.pending[m.branch] = (m, c)
    data = m.encode()
    for i in range(0, len(data), 40):
        phone.send_raw(data[i:i + 40])
    c.expect(200, method="OPTIONS")
    phone.send_raw(b"\r\n\r\n")
    wait("the keep-alive was answered", lambda: phone.pongs)
    two = b""
    for _ in range(3):
        m = c.request("OPTIONS")
        phone.pending[m.branch] = (m, c)
        two += m.encode()
    phone.send_raw(two)
    for _ in range(3):
        c.expect(200, method="OPTIONS")
    phone.send_raw(b"INVITE sip:x SIP/2.0\r\nContent-Length: abc\r\n\r\n" + b"z" * 100)
    alive(lab)


@tap.case("TCP: the connection breaks in a call: segued lives, the other side can end it")
def tcp_break(lab):
    phone = lab.user(transport="tcp")
    phone.register()
    c, a = talk(lab, phone)
    for conn in list(phone.transport.conns.values()):
        conn.close()
    c.hangup()
    alive(lab)


@tap.case("IPv6: a phone on ::1 calls and is called by one on IPv4")
def ipv6(lab):
    phone = lab.user(ip="::1", server=("::1", lab.port6))
    phone.register()
    c, a = ring(lab.trunk(), phone.number, phone)
    assert "[::1]" in a.invite.get("Via") and "[::1]" in a.invite.get("Contact"), a.invite.headers
    pick_up(c, a, Sdp(ip="::1"))
    joined(c, a)
    end(c, a)


@tap.case("rport: responses go where the request came from")
def rport(lab):
    trunk = lab.trunk()
    c = trunk.call(f"sip:{lab.domain}")
    m = c.request("OPTIONS")
    m.set("Via", f"SIP/2.0/UDP 192.0.2.1:9;branch=z9hG4bKrp{trunk.index};rport")
    m.headers.insert(0, m.headers.pop())
    c.send(m)
    r = c.expect(200)
    assert f"rport={trunk.transport.port}" in r.get("Via") and "received=" in r.get("Via"), r.get("Via")


@tap.case("E-122 a request without the branch cookie (RFC 2543) gets its answer")
def no_cookie(lab):
    trunk = lab.trunk()
    c = trunk.call(f"sip:{lab.domain}")
    m = c.request("OPTIONS", branch=f"old{trunk.index}")
    c.send(m)
    c.expect(200)


if __name__ == "__main__":
    tap.main(lambda: Lab(ipv6=True))
