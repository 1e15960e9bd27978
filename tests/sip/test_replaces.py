"""INVITE with Replaces (RFC 3891): another phone takes over a leg of a call (R-050 .. R-054, E-096)."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import end, joined, pick_up, ring, talk, transfer, wait
from segued import Lab
from ua import Sdp

MAY_REPLACE = range(55, 60)  # peers


def name_of(x, **k):
    """The dialog of x as others name it to segue."""
    return f"{k.get('id', x.call_id)};to-tag={k.get('to', x.remote_tag)}" \
           f";from-tag={k.get('by', x.local_tag)}{k.get('more', '')}"


def replace(phone, name, headers=(), **kw):
    """An INVITE in the place of that dialog."""
    return phone.invite(phone.dial or "2000", headers=[("Replaces", name), ("Require", "replaces")]
                        + list(headers), **kw)


def answered(d):
    """The INVITE with Replaces is accepted."""
    d.expect(200, method="INVITE")
    d.ack()


def untouched(lab, status, name, who=None, headers=()):
    """Refused with that status; C and A talk on. name: of A's dialog."""
    c, a = talk(lab)
    d = replace((who or (lambda x: lab.device(x.ua)))(a), name(a), headers)
    d.expect(status, method="INVITE")
    assert not a.ended and not c.ended
    c.reinvite(c.sdp.copy(port=c.sdp.port + 2))
    joined(c, a)
    end(c, a)
    return a


# ---- taken over ----------------------------------------------------------------------------------


@tap.case("E-096 R-052 a ringing leg is picked up by another phone of the user: CANCEL, completed elsewhere")
def early(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    d = replace(lab.device(agent), name_of(a))
    answered(d)
    c.expect(200, method="INVITE")
    c.ack()
    cancel = a.expect("CANCEL")
    assert "cause=200" in cancel.get("Reason") and "elsewhere" in cancel.get("Reason"), str(cancel)
    joined(c, d)
    end(c, d)
    led = lab.ledger(c)
    assert led.segments[-1]["who"] == agent.user and led.segments[-1]["talk_ms"] > 0, led.segments


@tap.case("E-096 an early-only Replaces of a ringing leg is a pickup like any other")
def early_only(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    d = replace(lab.device(agent), name_of(a, more=";early-only"))
    answered(d)
    c.expect(200, method="INVITE")
    c.ack()
    a.expect("CANCEL")
    joined(c, d)
    end(c, d)


@tap.case("R-052 E-049 an answered leg is taken over by another phone of the user: 200, old leg BYE, no hold left")
def confirmed(lab):
    c, a = talk(lab)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    d = replace(lab.device(a.ua), name_of(a))
    answered(d)
    a.expect("BYE")
    joined(c, d)
    end(c, d)


@tap.case("R-051 a peer with may_replace takes over a leg")
def trusted_peer(lab):
    c, a = talk(lab)
    d = replace(lab.trunk(index=MAY_REPLACE[0]), name_of(a))
    answered(d)
    a.expect("BYE")
    joined(c, d)
    end(c, d)


@tap.case("E-096 the leg of a transfer target that rings is picked up: the transfer is completed")
def target_rings(lab):
    c, a = talk(lab)
    target = lab.phone()
    a.refer(lab.refer_to(target.number))
    a.expect(202, method="REFER")
    b = target.incoming()
    b.reply(180)
    d = replace(lab.device(target), name_of(b))
    answered(d)
    b.expect("CANCEL")
    joined(c, d)
    a.expect("BYE")
    end(c, d)


@tap.case("R-052 the new phone's media do not meet: refused or hung up, the old leg keeps the caller")
def no_media(lab):
    c, a = talk(lab)
    d = replace(lab.device(a.ua), name_of(a), sdp=Sdp(port=0))
    r = d.expect(range(200, 700), method="INVITE")
    if r.status < 300:
        d.ack()
        d.expect("BYE")
    assert not a.ended and not c.ended
    c.reinvite(c.sdp.copy(port=c.sdp.port + 2))
    joined(c, a)
    end(c, a)


# ---- refused -------------------------------------------------------------------------------------


@tap.case("R-051 early-only, but the leg is answered: 486, untouched")
def early_only_confirmed(lab):
    untouched(lab, 486, lambda a: name_of(a, more=";early-only"))


@tap.case("E-096 R-051 another user's phone: 403, untouched, on record")
def unauthorised(lab):
    thief = lab.user()
    a = untouched(lab, 403, name_of, who=lambda a: thief)
    wait("there is an audit row", lambda: lab.rows(
        f"select * from segue.audit where who = '{thief.user}' and result = 'refused'"))


@tap.case("R-051 a peer without may_replace: 403, untouched, on record")
def peer_may_not(lab):
    peer = lab.trunk(index=40)
    untouched(lab, 403, name_of, who=lambda a: peer)
    wait("there is an audit row", lambda: lab.rows(
        "select * from segue.audit where who = 'peer40' and result = 'refused'"))


@tap.case("R-051 wrong credentials never see whether the dialog exists: 401")
def wrong_password(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    liar = lab.device(agent)
    liar.password = "wrong"
    replace(liar, name_of(a)).expect(401, method="INVITE")
    replace(liar, "nowhere;to-tag=1;from-tag=2").expect(401, method="INVITE")
    end(c, a)


for _what, _status, _name in (
        ("no such dialog", 481, lambda a: "nowhere@example;to-tag=1;from-tag=2"),
        ("the right Call-ID, one wrong tag", 481, lambda a: name_of(a, by="x")),
        ("swapped tags", 481, lambda a: name_of(a, to=a.local_tag, by=a.remote_tag)),
        ("Call-ID in other case", 481, lambda a: name_of(a, id=a.call_id.swapcase())),
        ("no tags", 400, lambda a: a.call_id),
        ("an empty value", 400, lambda a: ""),
        ("a doubled tag", 400, lambda a: name_of(a, more=";to-tag=2"))):
    tap.case(f"R-050 R-051 {_what}: {_status}, untouched")(
        lambda lab, s=_status, n=_name: untouched(lab, s, n))


@tap.case("R-051 two Replaces: 400, untouched")
def two(lab):
    c, a = talk(lab)
    d = replace(lab.device(a.ua), name_of(a), [("Replaces", name_of(a))])
    d.expect(400, method="INVITE")
    d = lab.device(a.ua).invite(a.ua.number, headers=[("Replaces", name_of(a) + "," + name_of(a))])
    d.expect(400, method="INVITE")
    assert not a.ended
    end(c, a)


@tap.case("R-051 Replaces together with Join: 400, untouched")
def join(lab):
    untouched(lab, 400, name_of, headers=[("Join", "x;to-tag=1;from-tag=2")])


@tap.case("R-051 the leg has ended a moment ago: 603")
def ended(lab):
    c, a = talk(lab)
    end(c, a)
    replace(lab.device(a.ua), name_of(a)).expect(603, method="INVITE")


@tap.case("R-051 the leg is being ended: 603")
def ending(lab):
    c, a = talk(lab)
    a.manual = {"BYE"}
    c.hangup()
    bye = a.expect("BYE")
    replace(lab.device(a.ua), name_of(a)).expect(603, method="INVITE")
    a.reply(200, req=bye)


@tap.case("R-051 an early dialog that we did not begin (the user calls, nobody answered): 481, untouched")
def not_ours(lab):
    agent, target = lab.phone(), lab.phone()
    a, b = ring(agent, target.number, target)
    replace(lab.device(agent), name_of(a)).expect(481, method="INVITE")
    pick_up(a, b)
    joined(a, b)
    end(a, b)


@tap.case("R-051 Replaces in a request that is no INVITE: 400")
def no_invite(lab):
    c, a = talk(lab)
    agent = lab.device(a.ua)
    agent.plain("OPTIONS", headers=[("Replaces", name_of(a))]).expect(400)
    a.refer(lab.refer_to("2001"), [("Replaces", name_of(a))])
    a.expect(400, method="REFER")
    end(c, a)


@tap.case("R-054 Replaces inside a dialog: 488, the session stays")
def in_dialog(lab):
    c, a = talk(lab)
    a.do_invite(a.sdp.copy(), [("Replaces", name_of(c))])
    a.expect(488, method="INVITE")
    joined(c, a)
    end(c, a)


@tap.case("R-053 Supported says replaces in every INVITE and 2xx, after a transfer too")
def supported(lab):
    c, a = talk(lab)
    b = transfer(lab, c, a, lab.phone())
    for m in (a.invite, b.invite):
        assert "replaces" in m.get("Supported"), m.headers
    ok = c.reinvite(c.sdp.copy())
    assert "replaces" in ok.get("Supported"), ok.headers
    end(c, b)


if __name__ == "__main__":
    tap.main(lambda: Lab(peer_conf=lambda i: "may_replace = true;" if i in MAY_REPLACE else ""))
