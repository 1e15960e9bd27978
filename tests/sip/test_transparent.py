"""refer_mode = "transparent": a REFER is passed on to the other side of the call, and what comes of it
is passed back (R-043, R-045, R-046, R-047, R-056, E-070; RFC 5589 section 7.4)."""
import os
import sys
from urllib.parse import quote, unquote
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import end, final_notify, is_final, joined, pick_up, refer, ring, sipfrag, talk
from segued import Lab
from ua import hostport, uri_of

TRANSPARENT = range(0, 16)  # peers with that profile
TERMINATE = 17


def trunk(lab):
    return lab.trunk(index=next(i for i in TRANSPARENT if i in lab.idle_peers))


def tell(c, req, status, state="active;expires=60", **kw):
    """C sends a NOTIFY about the REFER that it got; expects its answer."""
    event = kw.get("event", f"refer;id={req.cseq}")
    c._do("NOTIFY", [("Event", event), ("Subscription-State", state)],
          f"SIP/2.0 {status} Whatever\r\n", "message/sipfrag;version=2.0")
    c.expect(kw.get("expect", 200), method="NOTIFY")


def passed(c, status=202):
    """C gets the REFER and answers it."""
    req = c.expect("REFER")
    c.reply(status, req=req)
    return req


@tap.case("R-056 records.md example 6: the trunk carries it out: rewritten Refer-To, NOTIFYs back, path released")
def passed_on(lab):
    agent, peer = lab.phone(), trunk(lab)
    c, a = talk(lab, agent, trunk=peer)
    by = f'"Agent A" <sip:{agent.user}@{lab.domain}>;cid="x.y@z"'
    a.refer(f"<sip:{lab.outside(peer, '0891234')}@{lab.domain}?X-Case=K7>", [("Referred-By", by)],
            by=False)
    a.expect(202, method="REFER")
    assert sipfrag(a.expect("NOTIFY")) == 100
    req = passed(c)
    assert uri_of(req.get("Refer-To")).split("?")[0] == f"sip:0891234@{peer.hostport}", str(req)
    assert "?X-Case=K7" in req.get("Refer-To"), str(req)
    assert req.get("Referred-By") == by and req.has("Contact"), str(req)
    assert int(req.get("Max-Forwards")) == 69, str(req)
    tell(c, req, 100)
    tell(c, req, 180)
    n = a.expect("NOTIFY")
    assert sipfrag(n) == 180 and n.get("Event") == f"refer;id={a.sent['REFER'].cseq}", str(n)
    tell(c, req, 200, "terminated;reason=noresource")
    final_notify(a, 200)
    c.expect("BYE")
    a.hangup()
    led = lab.ledger(c)
    t = led.transfers[0]
    assert (t["outcome"], t["target_kind"], t["kind"]) == ("completed", "external", "blind"), led
    seg = led.segments[-1]
    assert (seg["kind"], seg["outcome"], seg["tracking"]) == ("external", "path_released", "lost")
    assert all(seg[k] is None for k in seg if k.endswith("_ms")), seg
    assert t["to_segment_id"] == seg["id"], led
    assert led.segment(agent.user)["outcome"] == "transferred", led
    assert led.conversation["n_blind"] == 1 and led.conversation["ended_by"] == "transfer", led


for _status in (405, 501, 420):
    def _unable(lab, status=_status):
        agent, target, peer = lab.phone(), lab.phone(), trunk(lab)
        c, a = talk(lab, agent, trunk=peer)
        refer(lab, a, target.number)
        passed(c, status)
        b = target.incoming()
        b.answer()
        b.expect("ACK")
        joined(c, b)
        final_notify(a, 200)
        end(c, b)
        led = lab.ledger(c)
        assert led.transfers[0]["outcome"] == "completed" and led.segment(target.user), led
    tap.case(f"R-056 RFC 5589 7.4: the other side answers REFER {_status}: segue does it")(_unable)


@tap.case("R-056 RFC 5589 7.4: its Allow names no REFER: it is not even asked")
def allow_without(lab):
    agent, target, peer = lab.phone(), lab.phone(), trunk(lab)
    peer.allow = "INVITE, ACK, CANCEL, BYE, OPTIONS"
    tap.at_end(lambda: setattr(peer, "allow", agent.allow))
    c, a = talk(lab, agent, trunk=peer)
    refer(lab, a, target.number)
    b = target.incoming()
    b.answer()
    b.expect("ACK")
    joined(c, b)
    final_notify(a, 200)
    assert not c.holds("REFER")
    end(c, b)


@tap.case("R-056 the other side refuses (603), or its call fails (486): told, and the agent has the caller")
def fails(lab):
    agent, peer = lab.phone(), trunk(lab)
    c, a = talk(lab, agent, trunk=peer)
    number = lab.outside(peer, "0891234")
    refer(lab, a, number)
    passed(c, 603)
    final_notify(a, 603)
    refer(lab, a, number)
    req = passed(c)
    tell(c, req, 486, "terminated;reason=noresource")
    n = a.expect("NOTIFY", where=is_final)
    assert sipfrag(n) == 486 and n.get("Event") == f"refer;id={a.sent['REFER'].cseq}", str(n)
    end(c, a)
    assert [t["cause"] for t in lab.ledger(c).transfers] == ["declined", "busy"]


@tap.case("R-042 R-043 NOTIFY before the 202 counts, one with another id is answered 481 and changes nothing")
def early_notify(lab):
    agent, peer = lab.phone(), trunk(lab)
    c, a = talk(lab, agent, trunk=peer)
    refer(lab, a, lab.outside(peer, "0891234"))
    req = c.expect("REFER")
    tell(c, req, 180)
    assert sipfrag(a.expect("NOTIFY")) == 180
    c.reply(202, req=req)
    tell(c, req, 200, "terminated;reason=noresource", event=f"refer;id={req.cseq + 7}", expect=481)
    tell(c, req, 200, "terminated;reason=noresource", event="presence", expect=481)
    a.expect_none("NOTIFY", 0.2, where=is_final)
    tell(c, req, 200, "terminated;reason=noresource", event="refer")  # without id: the only one
    final_notify(a, 200)
    c.expect("BYE")
    a.hangup()


@tap.case("R-045 our BYE to C is unanswered, and C's NOTIFY that crosses it is answered 200")
def notify_crosses_bye(lab):
    agent, peer = lab.phone(), trunk(lab)
    c, a = talk(lab, agent, trunk=peer)
    refer(lab, a, lab.outside(peer, "0891234"))
    req = passed(c)
    c.manual = {"BYE"}
    lab.seguectl("hangup", c.segue_id)
    bye = c.expect("BYE")
    tell(c, req, 180)
    tell(c, req, 200, "terminated;reason=noresource")
    c.reply(200, req=bye)
    assert final_notify(a) == 487
    a.expect("BYE")
    assert lab.ledger(c).transfers[0]["outcome"] == "cancelled"


@tap.case("R-045 C hangs up while it calls the target: what it says of that later is answered 481 and changes nothing")
def notify_after_bye(lab):
    agent, peer = lab.phone(), trunk(lab)
    c, a = talk(lab, agent, trunk=peer)
    refer(lab, a, lab.outside(peer, "0891234"))
    req = passed(c)
    tell(c, req, 180)
    assert sipfrag(a.expect("NOTIFY")) == 180
    c.hangup()
    assert final_notify(a) == 487
    a.expect("BYE")
    tell(c, req, 200, "terminated;reason=noresource", expect=481)
    assert lab.ledger(c).transfers[0]["outcome"] == "abandoned"


@tap.case("R-046 E-076 E-001 Refer-Sub false, and A hangs up at once: C stays until its side has the target")
def no_subscription(lab):
    agent, peer = lab.phone(), trunk(lab)
    c, a = talk(lab, agent, trunk=peer)
    a.refer(lab.refer_to(lab.outside(peer, "0891234")), [("Refer-Sub", "false")])
    r = a.expect(202, method="REFER")
    assert r.get("Refer-Sub") == "false", str(r)
    req = passed(c)
    assert not req.has("Refer-Sub"), str(req)  # we have to know how it ends
    a.hangup()
    c.expect_none("BYE", 0.2)
    tell(c, req, 200, "terminated;reason=noresource")
    c.expect("BYE")
    assert not a.holds("NOTIFY")
    led = lab.ledger(c)
    assert led.transfers[0]["outcome"] == "completed", led


@tap.case("R-056 E-002 the same, and the call of the other side fails: the agent is rung again")
def left_and_failed(lab):
    agent, peer = lab.phone(), trunk(lab)
    c, a = talk(lab, agent, trunk=peer)
    refer(lab, a, lab.outside(peer, "0891234"))
    req = passed(c)
    a.hangup()
    tell(c, req, 480, "terminated;reason=noresource")
    again = agent.incoming()
    again.answer()
    again.expect("ACK")
    joined(c, again)
    end(c, again)
    assert lab.ledger(c).transfers[0]["outcome"] == "recalled"


@tap.case("R-056 a target of ours: the other side is sent back to us, as to a new call")
def to_us(lab):
    agent, target, peer = lab.phone(), lab.phone(), trunk(lab)
    c, a = talk(lab, agent, trunk=peer)
    refer(lab, a, target.number)
    req = passed(c)
    uri = uri_of(req.get("Refer-To"))
    assert uri == f"sip:{target.number}@{lab.ip}:{lab.port}", uri
    c2, b = ring(peer, target.number, target)
    pick_up(c2, b)
    tell(c, req, 200, "terminated;reason=noresource")
    final_notify(a, 200)
    c.expect("BYE")
    a.hangup()
    end(c2, b)
    assert lab.ledger(c).segments[-1]["kind"] == "agent"


def both_at_one_pbx(lab):
    """A talks with C and consults B, both behind one PBX. C, A, A2, B."""
    agent, peer = lab.phone(), trunk(lab)
    c, a = talk(lab, agent, trunk=peer)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    a2, b = ring(agent, lab.outside(peer, "0777"), peer)
    pick_up(a2, b)
    return c, a, a2, b


def attended(lab, a, a2):
    name = quote(f"{a2.call_id};to-tag={a2.remote_tag};from-tag={a2.local_tag}", safe="")
    a.refer(f"<sip:0777@{lab.domain}?Replaces={name}>")
    a.expect(202, method="REFER")
    assert sipfrag(a.expect("NOTIFY")) == 100


@tap.case("R-056 attended, both at one PBX: Replaces names the dialog as the PBX knows it, the URI is its Contact")
def replaces_rewritten(lab):
    c, a, a2, b = both_at_one_pbx(lab)
    attended(lab, a, a2)
    req = passed(c)
    uri = uri_of(req.get("Refer-To"))
    name = unquote(uri.split("Replaces=")[1])
    assert hostport(uri.split("?")[0])[:2] == hostport(b.ua.contact)[:2], uri
    parts = dict(p.split("=") for p in name.split(";")[1:])
    assert name.split(";")[0] == b.call_id, name
    assert parts == {"to-tag": b.local_tag, "from-tag": b.remote_tag}, (parts, b.local_tag)
    tell(c, req, 200, "terminated;reason=noresource")
    final_notify(a, 200)
    c.expect("BYE")
    b.hangup()  # replaced by the PBX
    a2.expect("BYE")
    a.hangup()
    led = lab.ledger(c)
    t = led.transfers[0]
    assert (t["kind"], t["outcome"]) == ("consult", "completed"), led


@tap.case("R-056 RFC 5589 7.4 attended, and the PBX knows no Replaces (420): segue joins the two by re-INVITE")
def replaces_unknown(lab):
    c, a, a2, b = both_at_one_pbx(lab)
    attended(lab, a, a2)
    passed(c, 420)
    joined(c, b)
    final_notify(a, 200)
    a2.expect("BYE")
    end(c, b)


@tap.case("R-056 attended, and B is a phone of ours that the PBX cannot reach: never passed on, joined here")
def replaces_ours(lab):
    agent, target, peer = lab.phone(), lab.phone(), trunk(lab)
    c, a = talk(lab, agent, trunk=peer)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    a2, b = ring(agent, target.number, target)
    pick_up(a2, b)
    attended(lab, a, a2)
    joined(c, b)
    final_notify(a, 200)
    assert not c.holds("REFER")
    end(c, b)


@tap.case("E-070 both sides are the same peer: its REFER is never passed back to it")
def never_back(lab):
    target, peer = lab.phone(), trunk(lab)
    c, b = ring(peer, lab.outside(peer, "0777"), peer)
    pick_up(c, b)
    refer(lab, c, target.number)
    t = target.incoming()
    t.answer()
    t.expect("ACK")
    joined(b, t)
    assert not b.holds("REFER")
    final_notify(c, 200)
    end(b, t)


@tap.case("E-070 R-001 a REFER that has come a long way (Max-Forwards 0) is not passed on: 483")
def max_forwards(lab):
    agent, peer = lab.phone(), trunk(lab)
    c, a = talk(lab, agent, trunk=peer)
    m = a.request("REFER", [("Refer-To", lab.refer_to(lab.outside(peer, "0891234")))])
    m.set("Max-Forwards", "0")
    a.send(m)
    a.expect(202, method="REFER")
    final_notify(a, 483)
    assert not c.holds("REFER")
    end(c, a)


@tap.case("E-070 a transparent peer's own REFER goes to the agent's phone, as it was written")
def to_the_phone(lab):
    agent, peer = lab.phone(), trunk(lab)
    c, a = talk(lab, agent, trunk=peer)
    c.refer("<sip:5555@pbx.example.org;x=y>")
    c.expect(202, method="REFER")
    assert sipfrag(c.expect("NOTIFY")) == 100
    req = passed(a)
    assert req.get("Refer-To") == "<sip:5555@pbx.example.org;x=y>", str(req)
    tell(a, req, 603, "terminated;reason=noresource")
    final_notify(c, 603)
    end(c, a)


@tap.case("a peer with refer_mode reject or terminate gets no REFER, whoever sends one")
def other_modes(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent, trunk=lab.trunk(index=TERMINATE))
    refer(lab, a, target.number)
    b = target.incoming()
    b.answer()
    b.expect("ACK")
    joined(c, b)
    assert not c.holds("REFER")
    end(c, b)


if __name__ == "__main__":
    tap.main(lambda: Lab(peers=20, peer_conf=lambda i:
                         'refer_mode = "transparent";' if i in TRANSPARENT else
                         'refer_mode = "terminate";' if i == TERMINATE else ""), jobs=4)
