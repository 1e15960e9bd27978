"""The shapes of REFER, who may send it, and its subscription (E-060 .. E-079)."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import (arrived, end, final_notify, is_final, joined, refer, ring, sipfrag, talk, transfer, wait)
from segued import Lab
from ua import Sdp, Call, uri_of


def refused(lab, to, status, headers=(), raw_headers=None):
    """A REFER with that Refer-To is refused; A and C talk on; nothing rings; no NOTIFY."""
    c, a = talk(lab)
    if raw_headers is not None:
        a._do("REFER", raw_headers)
    else:
        a.refer(to, headers)
    r = a.expect(range(200, 700), method="REFER")
    assert r.status in (status if isinstance(status, tuple) else (status,)), str(r)
    a.expect_none("NOTIFY", 0.2)
    assert not a.ended and not c.ended
    end(c, a)
    return lab.ledger(c)


@tap.case("E-060 no Refer-To: 400")
def none(lab):
    refused(lab, None, 400)


@tap.case("E-060 two Refer-To: 400")
def two(lab):
    x = lab.phone()
    refused(lab, None, 400, raw_headers=[("Refer-To", lab.refer_to(x.number)),
                                         ("Refer-To", lab.refer_to(x.number))])


@tap.case("E-060 two URIs in one Refer-To: 400")
def two_in_one(lab):
    x = lab.phone()
    refused(lab, f"{lab.refer_to(x.number)}, {lab.refer_to(x.number)}", 400)


for _bad in ("<http://example.com/>", "<mailto:a@b.example>", "<urn:service:sos>"):
    tap.case(f"E-060 Refer-To {_bad}: 4xx")(
        lambda lab, bad=_bad: refused(lab, bad, 416))

for _bad in ("<sip:", "<>", "<sip:@>", "garbage", "<sip:2001@[::1>", "<sip:20%zz01@x>",
             "<sip:2001@host name>", "\"unclosed <sip:2001@x>"):
    tap.case(f"E-060 malformed Refer-To {_bad}: 400, nothing rings")(
        lambda lab, bad=_bad: refused(lab, bad, 416 if bad == "garbage" else 400))


def accepted(lab, to, headers=()):
    """A REFER with Refer-To to(number) works."""
    c, a = talk(lab)
    target = lab.phone()
    a.refer(to(target.number), headers)
    a.expect((200, 202), method="REFER")
    b = target.incoming()
    b.reply(180)
    b.answer()
    b.expect("ACK")
    joined(c, b)
    final_notify(a, 200)
    end(c, b)
    return b


@tap.case("E-060 tel: is accepted and routed")
def tel(lab):
    accepted(lab, lambda n: f"<tel:{n}>")


@tap.case("E-060 a bare address without brackets is accepted")
def bare(lab):
    accepted(lab, lambda n: f"sip:{n}@{lab.domain}")


@tap.case("E-060 compact r: works")
def compact(lab):
    c, a = talk(lab)
    target = lab.phone()
    a._do("REFER", [("r", lab.refer_to(target.number))])
    a.expect((200, 202), method="REFER")
    b = target.incoming()
    b.answer()
    b.expect("ACK")
    joined(c, b)
    end(c, b)


@tap.case("E-061 method=INVITE is fine")
def method_invite(lab):
    accepted(lab, lambda n: f"<sip:{n}@{lab.domain};method=INVITE>")


for _m in ("BYE", "SUBSCRIBE", "MESSAGE"):
    tap.case(f"E-061 R-040 method={_m} is refused")(
        lambda lab, m=_m: refused(lab, f"<sip:2001@{lab.domain};method={m}>", tuple(range(400, 700))))


@tap.case("E-062 escaped headers: allowed ones are carried, others dropped")
def escaped(lab):
    b = accepted(lab, lambda n: f"<sip:{n}@{lab.domain}?X-Case=1%262&Route=%3Csip%3Aevil%3E"
                                "&Subject=about%20it>")
    assert b.invite.get("X-Case") == "1&2", b.invite.headers
    assert not b.invite.has("Route"), b.invite.headers


@tap.case("E-062 malformed escaped headers: 400, no crash")
def escaped_bad(lab):
    refused(lab, f"<sip:2001@{lab.domain}?X-Case=%zz&=&&==>", 400)


@tap.case("E-062 a line break in an escaped header cannot inject one")
def escaped_inject(lab):
    c, a = talk(lab)
    target = lab.phone()
    a.refer(f"<sip:{target.number}@{lab.domain}?X-Case=1%0D%0AX-Evil%3A%20yes>")
    a.expect(400, method="REFER")
    target.expect_none("INVITE", 0.2)
    end(c, a)


@tap.case("E-063 Refer-To without a user part: 404")
def no_user(lab):
    refused(lab, f"<sip:{lab.domain}>", 404)


@tap.case("E-064 Refer-To with segue's own address as host: only the number matters")
def own_host(lab):
    accepted(lab, lambda n: f"<sip:{n}@{lab.ip}:{lab.port}>")


@tap.case("E-064 a foreign host is refused")
def foreign(lab):
    led = refused(lab, "<sip:2001@elsewhere.example>", 403)
    wait("there is an audit row", lambda: lab.rows(
        f"select 1 from segue.audit where who = '{led.segments[0]['who']}' and result = 'refused'"))


@tap.case("E-065 REFER without Referred-By is accepted, one is made that names the user")
def no_referred_by(lab):
    c, a = talk(lab)
    target = lab.phone()
    refer(lab, a, target.number, by=False)
    b = target.incoming()
    assert a.ua.user in b.invite.get("Referred-By") or a.ua.number in b.invite.get("Referred-By"), \
        b.invite.headers
    b.reply(486)
    final_notify(a, 486)
    end(c, a)


@tap.case("R-047 Referred-By is carried unchanged")
def referred_by(lab):
    value = '"The Agent" <sip:agent@desk.example>;x=y'
    c, a = talk(lab)
    target = lab.phone()
    refer(lab, a, target.number, headers=[("Referred-By", value)], by=False)
    b = target.incoming()
    assert b.invite.get("Referred-By") == value, b.invite.get("Referred-By")
    b.reply(486)
    final_notify(a, 486)
    end(c, a)


@tap.case("E-066 REFER without Contact is accepted")
def no_contact(lab):
    c, a = talk(lab)
    target = lab.phone()
    m = a.request("REFER", [("Refer-To", lab.refer_to(target.number))])
    m.set("Contact", None)
    a.send(m)
    a.expect((200, 202), method="REFER")
    b = target.incoming()
    b.answer()
    b.expect("ACK")
    joined(c, b)
    final_notify(a, 200)
    end(c, b)


@tap.case("E-067 a repeated REFER: the same 202 again, one transfer; a new one meanwhile: 491")
def repeated(lab):
    c, a = talk(lab)
    target = lab.phone()
    m = a.request("REFER", [("Refer-To", lab.refer_to(target.number))])
    a.send(m)
    a.expect((200, 202), method="REFER")
    a.ua.send(a.sent["REFER"], a.where())
    mine = lambda r: r.method == "REFER" and r.cseq == a.sent["REFER"].cseq
    wait("the 202 came again", lambda: a.ua.count(202, where=mine) >= 2)
    one, two = [r for way, r in a.ua.log if way == "<-" and not r.is_request and mine(r)][-2:]
    assert one.headers == two.headers, (one.headers, two.headers)
    b = target.incoming()
    b.reply(180)
    a.refer(lab.refer_to(lab.phone().number))
    a.expect(491, method="REFER")
    target.expect_none("INVITE", 0.2)
    b.answer()
    b.expect("ACK")
    final_notify(a, 200)
    end(c, b)
    assert len([t for t in lab.ledger(c).transfers if t["outcome"] == "completed"]) == 1


@tap.case("E-068 REFER in an early dialog: refused")
def early(lab):
    agent, trunk = lab.phone(), lab.trunk()
    c = trunk.invite(agent.number)
    a = agent.incoming()
    a.reply(180)
    c.expect(180)
    a.refer(lab.refer_to("2001"))
    a.expect((403, 481), method="REFER")
    a.answer()
    c.expect(200, method="INVITE")
    c.ack()
    end(c, a)


@tap.case("E-068 REFER before the caller's ACK: 491, the dialog stays; asked again it works")
def before_ack(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    a.answer()
    c.expect(200, method="INVITE")
    a.expect("ACK")
    a.refer(lab.refer_to(target.number))
    a.expect(491, method="REFER")
    c.ack()
    joined(c, a)
    arrived(c)
    b = transfer(lab, c, a, target)
    end(c, b)


@tap.case("E-068 REFER after BYE: 481")
def after_bye(lab):
    c, a = talk(lab)
    end(a, c)
    a.refer(lab.refer_to("2001"))
    a.expect(481, method="REFER")


@tap.case("E-068 REFER after our BYE, which is not answered yet: 481, nothing rings")
def after_our_bye(lab):
    c, a = talk(lab)
    target = lab.phone()
    a.manual = {"BYE"}
    c.hangup()
    bye = a.expect("BYE")
    a.refer(lab.refer_to(target.number))
    a.expect(481, method="REFER")
    a.reply(200, req=bye)
    target.expect_none("INVITE", 0.2)


@tap.case("E-070 REFER from the trunk side: 603 and a row in audit")
def trunk_refer(lab):
    c, a = talk(lab)
    target = lab.phone()
    c.refer(lab.refer_to(target.number))
    assert c.expect((603, 403), method="REFER").status == 603
    target.expect_none("INVITE", 0.2)
    end(c, a)
    wait("there is an audit row", lambda: lab.rows(
        f"select * from segue.audit where who = 'peer{c.ua.index:02d}' and result = 'refused' and "
        f"object = '{target.number}'"))


@tap.case("E-071 REFER to oneself is refused")
def self_transfer(lab):
    c, a = talk(lab)
    a.refer(lab.refer_to(a.ua.number))
    a.expect(403, method="REFER")
    a.ua.expect_none("INVITE", 0.2)
    end(c, a)
    wait("there is an audit row that says self", lambda: lab.rows(
        f"select 1 from segue.audit where who = '{a.ua.user}' and why = 'self'"))


@tap.case("E-073 both sides send REFER at once: one wins")
def both(lab):
    one, two, target = lab.phone(), lab.phone(), lab.phone()
    c = one.invite(two.number)
    a = two.incoming()
    a.reply(180)
    c.expect(180)
    a.answer()
    c.expect(200, method="INVITE")
    c.ack()
    a.expect("ACK")
    a.refer(lab.refer_to(target.number))
    c.refer(lab.refer_to(target.number))
    got = {x: x.expect(range(200, 700), method="REFER").status for x in (a, c)}
    assert sorted(got.values()) in ([200, 491], [202, 491]), got.values()
    b = target.incoming()
    b.reply(180)
    b.answer()
    b.expect("ACK")
    x, y = (a, c) if got[a] == 491 else (c, a)
    joined(x, b)
    final_notify(y, 200)
    end(x, b)


@tap.case("E-075 malformed Replaces: 400 before any 202")
def bad_replaces(lab):
    refused(lab, f"<sip:2001@{lab.domain}?Replaces=onlycallid>", 400)


for _bad in ("a%40b%3Bto-tag%3D1", "a%40b%3Bfrom-tag%3D1", "%3Bto-tag%3D1%3Bfrom-tag%3D2", "",
             "a%00b%3Bto-tag%3D1%3Bfrom-tag%3D2", "a%40b%3Bto-tag%3D1%3Bto-tag%3D2%3Bfrom-tag%3D3",
             "x%40y%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=x%40y%3Bto-tag%3D1%3Bfrom-tag%3D2",
             "a%0D%0Ab%3Bto-tag%3D1%3Bfrom-tag%3D2"):
    tap.case(f"E-075 malformed Replaces={_bad}: 400 before any 202")(
        lambda lab, bad=_bad: refused(lab, f"<sip:2001@{lab.domain}?Replaces={bad}>", 400))


@tap.case("E-076 Refer-Sub: false: echoed in the 2xx, no NOTIFY at all")
def no_sub(lab):
    c, a = talk(lab)
    target = lab.phone()
    a.refer(lab.refer_to(target.number), headers=[("Refer-Sub", "false")])
    r = a.expect((200, 202), method="REFER")
    assert r.get("Refer-Sub") == "false", r.headers
    b = target.incoming()
    b.reply(180)
    b.answer()
    b.expect("ACK")
    joined(c, b)
    a.expect("BYE")
    assert a.ua.count("NOTIFY") == 0
    end(c, b)
    assert lab.ledger(c).transfers[0]["outcome"] == "completed"


@tap.case("E-077 R-042 unsubscribe: 200, NOTIFY terminated, the transfer goes on")
def unsubscribe(lab):
    c, a = talk(lab)
    target = lab.phone()
    n = refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    a._do("SUBSCRIBE", [("Event", n.get("Event")), ("Expires", "0")])
    a.expect(200, method="SUBSCRIBE")
    a.expect("NOTIFY", where=is_final)
    told = a.ua.count("NOTIFY")
    b.answer()
    b.expect("ACK")
    joined(c, b)
    a.expect("BYE")
    assert a.ua.count("NOTIFY") == told, "a NOTIFY after the subscription had ended"
    end(c, b)
    assert lab.ledger(c).transfers[0]["outcome"] == "completed"


@tap.case("E-077 R-042 SUBSCRIBE to refer without a subscription: 403")
def subscribe_unknown(lab):
    c, a = talk(lab)
    a._do("SUBSCRIBE", [("Event", "refer;id=99"), ("Expires", "60")])
    a.expect(403, method="SUBSCRIBE")
    end(c, a)


@tap.case("E-078 REFER with another user's dialog ids, from a foreign phone: refused, nothing moves")
def hijack(lab):
    c, a = talk(lab)
    thief, target = lab.phone(), lab.phone()
    fake = Call(thief, a.call_id, a.local_uri, a.remote_uri, a.target)
    fake.local_tag, fake.remote_tag, fake.routes = a.local_tag, a.remote_tag, a.routes
    fake.cseq = a.cseq + 10
    thief.calls[fake.call_id] = fake
    fake.refer(lab.refer_to(target.number))
    fake.expect(403, method="REFER")
    target.expect_none("INVITE", 0.3)
    assert not a.ended and not c.ended
    end(c, a)
    wait("there is an audit row", lambda: lab.rows(
        f"select 1 from segue.audit where who = '{thief.user}' and result = 'refused'"))


@tap.case("R-048 REFER outside of any dialog: 403")
def out_of_dialog(lab):
    phone, target = lab.phone(), lab.phone()
    x = phone.plain("REFER", target.number, [("Refer-To", lab.refer_to(target.number))])
    x.expect(403)
    target.expect_none("INVITE", 0.2)


def outside(lab, phone, a, to, headers=(), call_id=None, local=None, remote=None, name=None):
    """A REFER outside of any dialog whose Target-Dialog names that of a, or is `name`."""
    td = name or f"{call_id or a.call_id};local-tag={local or a.remote_tag};" \
        f"remote-tag={remote or a.local_tag}"
    x = phone.call(phone.uri(a.ua.number))
    x.target = a.target
    x._do("REFER", [("Refer-To", lab.refer_to(to)), ("Target-Dialog", td)] + list(headers))
    return x


@tap.case("R-048 REFER with Target-Dialog from the owning user: the call moves, NOTIFY in its dialog")
def target_dialog(lab):
    c, a = talk(lab)
    target = lab.phone()
    assert "tdialog" in a.invite.get("Supported"), a.invite.headers
    x = outside(lab, a.ua, a, target.number)
    r = x.expect((200, 202), method="REFER")
    x.remote_tag, x.target = r.to_tag, uri_of(r.get("Contact"))
    n = x.expect("NOTIFY")
    assert sipfrag(n) == 100 and n.to_tag == x.local_tag and n.from_tag == r.to_tag, n.headers
    x._do("SUBSCRIBE", [("Event", n.get("Event")), ("Expires", "60")])
    x.expect(200, method="SUBSCRIBE")
    x.expect("NOTIFY")
    b = target.incoming()
    b.reply(180)
    b.answer()
    b.expect("ACK")
    joined(c, b)
    final_notify(x, 200)
    assert not a.holds("NOTIFY")
    a.expect("BYE")
    end(c, b)
    led = lab.ledger(c)
    assert led.transfers[0]["outcome"] == "completed" and led.transfers[0]["asker"] == a.ua.user


@tap.case("R-048 E-001 the owner hangs up after such a REFER: its dialog is ended, the call goes on")
def target_dialog_leaves(lab):
    c, a = talk(lab)
    target = lab.phone()
    x = outside(lab, a.ua, a, target.number)
    r = x.expect((200, 202), method="REFER")
    x.remote_tag, x.target = r.to_tag, uri_of(r.get("Contact"))
    x.expect("NOTIFY")
    b = target.incoming()
    b.reply(180)
    a.hangup()
    x.expect("NOTIFY", where=is_final)
    x._do("SUBSCRIBE", [("Event", "refer"), ("Expires", "60")])
    x.expect((403, 481), method="SUBSCRIBE")
    b.answer()
    b.expect("ACK")
    joined(c, b)
    end(c, b)


@tap.case("R-048 Refer-Sub: false outside of the dialog: no NOTIFY anywhere")
def target_dialog_silent(lab):
    c, a = talk(lab)
    target = lab.phone()
    x = outside(lab, a.ua, a, target.number, [("Refer-Sub", "false")])
    assert x.expect((200, 202), method="REFER").get("Refer-Sub") == "false"
    b = target.incoming()
    b.answer()
    b.expect("ACK")
    joined(c, b)
    a.expect("BYE")
    assert a.ua.count("NOTIFY") == 0
    end(c, b)


@tap.case("R-048 E-078 Target-Dialog of another user's call: 403, audit, nothing moves")
def target_dialog_thief(lab):
    c, a = talk(lab)
    thief, target = lab.phone(), lab.phone()
    outside(lab, thief, a, target.number).expect(403, method="REFER")
    target.expect_none("INVITE", 0.3)
    assert not a.ended and not c.ended
    wait("there is an audit row", lambda: lab.rows(
        f"select * from segue.audit where who = '{thief.user}' and result = 'refused' and "
        "action = 'refer'"))
    end(c, a)


for _what, _change in (("Call-ID in other case", lambda a: {"call_id": a.call_id.swapcase()}),
                       ("swapped tags", lambda a: {"local": a.local_tag, "remote": a.remote_tag}),
                       ("one wrong tag", lambda a: {"remote": "nobody"}),
                       ("no tags", lambda a: {"name": a.call_id}),
                       ("tags under the names of Replaces", lambda a: {
                           "name": f"{a.call_id};to-tag={a.remote_tag};from-tag={a.local_tag}"})):
    def _wrong(lab, change=_change):
        c, a = talk(lab)
        target = lab.phone()
        outside(lab, a.ua, a, target.number, **change(a)).expect(403, method="REFER")
        target.expect_none("INVITE", 0.2)
        end(c, a)
    tap.case(f"R-048 E-092 Target-Dialog with {_what} names no dialog: 403")(_wrong)


@tap.case("R-048 Target-Dialog from a stranger: 403 before anything is told")
def target_dialog_stranger(lab):
    c, a = talk(lab)
    outside(lab, lab.stranger(), a, "2001").expect(403, method="REFER")
    assert not a.ended and not c.ended
    end(c, a)


@tap.case("R-046 Require: norefersub and nosub are known, others are refused by name: 420")
def require(lab):
    c, a = talk(lab)
    a.refer(lab.refer_to("2001"), [("Require", "explicitsub, norefersub")])
    r = a.expect(420, method="REFER")
    assert r.get("Unsupported") == "explicitsub", r.headers
    target = lab.phone()
    a.refer(lab.refer_to(target.number), [("Require", "nosub")])
    a.expect((200, 202), method="REFER")
    target.incoming().reply(486)
    a.reinvite(a.sdp.copy())
    assert a.ua.count("NOTIFY") == 0
    end(c, a)


@tap.case("E-077 a refresh of the subscription: 200 with Expires, and a NOTIFY with the present state")
def refresh(lab):
    c, a = talk(lab)
    target = lab.phone()
    n = refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    a._do("SUBSCRIBE", [("Event", n.get("Event")), ("Expires", "60")])
    assert a.expect(200, method="SUBSCRIBE").get("Expires") == "60"
    a.expect("NOTIFY", where=lambda m: not is_final(m))
    a._do("SUBSCRIBE", [("Event", "refer;id=1"), ("Expires", "60")])
    a.expect(403, method="SUBSCRIBE")
    b.answer()
    b.expect("ACK")
    final_notify(a, 200)
    end(c, b)


@tap.case("E-079 R-043 a second REFER after a failed one works; its NOTIFY has the id")
def second(lab):
    c, a = talk(lab)
    one, two = lab.phone(), lab.phone()
    refer(lab, a, one.number)
    one.incoming().reply(486)
    final_notify(a, 486)
    n = refer(lab, a, two.number)
    assert f"id={a.sent['REFER'].cseq}" in n.get("Event"), n.get("Event")
    b = two.incoming()
    b.reply(180)
    b.answer()
    b.expect("ACK")
    joined(c, b)
    final_notify(a, 200)
    end(c, b)
    led = lab.ledger(c)
    assert [t["outcome"] for t in led.transfers] == ["failed", "completed"], led.transfers
    assert led.conversation["n_failed"] == 1 and led.conversation["n_blind"] == 1


@tap.case("R-044 after the final NOTIFY nothing more comes; NOTIFY CSeq rises, Event is the same")
def notify_order(lab):
    c, a = talk(lab)
    target = lab.phone()
    first = refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    b.answer()
    b.expect("ACK")
    last = a.expect("NOTIFY", where=is_final)
    assert last.cseq > first.cseq and last.get("Event") == first.get("Event")
    a.expect("BYE")
    assert a.ua.count("NOTIFY", where=is_final) == 1
    end(c, b)


if __name__ == "__main__":
    tap.main(lambda: Lab())
