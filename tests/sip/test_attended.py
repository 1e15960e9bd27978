"""Attended and semi-attended transfer by phone: REFER with Replaces in every shape that phones send,
on either leg, in either direction (E-075, E-085 .. E-099)."""
import os
import sys
import time
from urllib.parse import quote
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import (a_while, arrived, end, final_notify, hears, is_final, joined, pick_up, ring, sipfrag,
                   talk, wait)
from segued import Lab
from ua import hostport, uri_of


# ---- steps ---------------------------------------------------------------------------------------


def hold(x):
    x.reinvite(x.sdp.copy(dir="sendonly"))


def unhold(x):
    x.reinvite(x.sdp.copy(dir="sendrecv"))


def name_of(x, lower=False, swapped=False):
    """The dialog of x as its Replaces value, percent-encoded."""
    to, by = ("from-tag", "to-tag") if swapped else ("to-tag", "from-tag")
    text = quote(f"{x.call_id};{to}={x.remote_tag};{by}={x.local_tag}", safe="")
    return "".join(c.lower() if lower and text[max(0, i - 2):i].count("%") else c
                   for i, c in enumerate(text))


def attended(x, lab, number):
    """Refer-To of an attended transfer to the other side of x."""
    return f"<sip:{number}@{lab.domain}?Replaces={name_of(x)}>"


def consult(lab, a, target, answer=True, **kw):
    """A holds its caller, calls the target and waits for its answer. A's call, the target's."""
    hold(a)
    a2, b = ring(a.ua, target.number, target, **kw)
    if answer:
        pick_up(a2, b)
        arrived(a2)
    a_while()
    return a2, b


def ask(a, refer_to, headers=(), by=True):
    """REFER, accepted; the first NOTIFY."""
    a.refer(refer_to, headers, by)
    a.expect((202, 200), method="REFER")
    n = a.expect("NOTIFY")
    assert sipfrag(n) == 100, str(n)
    return n


def done(lab, a, a2, c, b):
    """C and B talk; both dialogs of A end; the final NOTIFY says 200."""
    joined(c, b)
    final_notify(a, 200)
    for x in (a, a2):
        if not x.ended:
            x.expect("BYE")


def one_conversation(lab, c, a, target, kind="consult"):
    """The rows of a transfer that was completed."""
    led = lab.ledger(c)
    t = led.transfers[-1]
    assert (t["kind"], t["outcome"], t["asked_via"]) == (kind, "completed", "sip_refer"), t
    assert t["asker"] == a.user and led.conversation["n_" + kind] == 1, led
    who = [s["who"] for s in led.segments]
    assert who.count(a.user) == 1 and target.user in who, who
    assert led.segment(a.user)["consult_ms"] > 0 or kind == "semi", led.segments
    last = [s for s in led.segments if s["who"] == target.user][-1]
    assert last["kind"] == "agent" and last["talk_ms"] > 0, last
    merged = lab.rows("select * from segue.conversations where merged_into = "
                      f"'{led.conversation['id']}'")
    assert len(merged) == 1 and merged[0]["talk_ms"] in (0, None), merged
    return led


# ---- E-085: every shape --------------------------------------------------------------------------


SHAPES = {
    "upper-case hex, brackets (pjsua)":
        lambda lab, n, x: f"<sip:{n}@{lab.ip}:{lab.port}?Replaces={name_of(x)}>",
    "lower-case hex, from-tag first, no port, URI of the To header (linphone)":
        lambda lab, n, x: f"<sip:{n}@{lab.ip}?Replaces="
                          + quote(f"{x.call_id};from-tag={x.local_tag};to-tag={x.remote_tag}",
                                  safe="").replace("%3B", "%3b").replace("%3D", "%3d") + ">",
    "escaped at sign, lower-case hex (twinkle)":
        lambda lab, n, x: f"<sip:{n}@{lab.domain}?Replaces=" + name_of(x).replace("%3B", "%3b")
                          .replace("%3D", "%3d") + ">",
    "a bare address without brackets":
        lambda lab, n, x: f"sip:{n}@{lab.domain}?Replaces={name_of(x)}",
    "not escaped at all":
        lambda lab, n, x: f"<sip:{n}@{lab.domain}?Replaces={x.call_id};to-tag={x.remote_tag}"
                          f";from-tag={x.local_tag}>",
    "as a parameter of the URI":
        lambda lab, n, x: f"<sip:{n}@{lab.domain};transport=udp;Replaces={x.call_id}"
                          f";to-tag={x.remote_tag};from-tag={x.local_tag}>",
    "as an escaped parameter":
        lambda lab, n, x: f"<sip:{n}@{lab.domain};Replaces={name_of(x)}>",
    "behind other headers, method and display name":
        lambda lab, n, x: f'"B" <sip:{n}@{lab.domain};method=INVITE?X-Case=1&replaces={name_of(x)}'
                          "&Subject=x>;p=q",
    "the target's own contact as host, which is nobody of ours":
        lambda lab, n, x: f"<sip:{n}@192.0.2.77:5099?Replaces={name_of(x)}>",
    "a user that is no number of ours":
        lambda lab, n, x: f"<sip:whoever@{lab.domain}?Replaces={name_of(x)}>",
    "no user at all":
        lambda lab, n, x: f"<sip:{lab.domain}?Replaces={name_of(x)}>",
}

for _name, _shape in SHAPES.items():
    def _run(lab, shape=_shape):
        agent, target = lab.phone(), lab.phone()
        c, a = talk(lab, agent)
        a2, b = consult(lab, a, target)
        ask(a, shape(lab, target.number, a2), by=False)
        done(lab, a, a2, c, b)
        end(c, b)
        one_conversation(lab, c, agent, target)
    tap.case(f"E-085 R-055 Refer-To with Replaces: {_name}")(_run)


@tap.case("E-085 REFER without Content-Length, Event, Supported, Contact or Referred-By")
def bare_refer(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    m = a.request("REFER", [("Refer-To", attended(a2, lab, target.number))])
    m.set("Contact", None)
    a.ua.pending[m.branch] = (m, a)
    raw = m.encode().replace(b"Content-Length: 0\r\n", b"")
    assert b"Content-Length" not in raw
    a.ua.send_raw(raw, hostport(a.target)[:2])
    a.expect((202, 200), method="REFER")
    done(lab, a, a2, c, b)
    end(c, b)


@tap.case("E-085 A hangs up both at once with the 202 (norefersub): C and B are joined all the same")
def bye_at_once(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    a.refer(attended(a2, lab, target.number), [("Refer-Sub", "false")])
    assert a.expect((202, 200), method="REFER").get("Refer-Sub") == "false"
    a.bye()
    a2.bye()
    joined(c, b)
    assert agent.count("NOTIFY") == 0
    end(c, b)
    one_conversation(lab, c, agent, target)


@tap.case("E-085 E-007 A hangs up after the first NOTIFY")
def bye_after_notify(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    ask(a, attended(a2, lab, target.number))
    a.bye()
    joined(c, b)
    end(c, b)
    wait("A's second dialog has ended", lambda: a2.ended)


# ---- who called whom -----------------------------------------------------------------------------


@tap.case("E-085 A called the customer itself, then consults")
def agent_is_caller(lab):
    agent, target, customer = lab.phone(), lab.phone(), lab.trunk()
    a, c = ring(agent, lab.outside(customer, "4471"), customer)
    pick_up(a, c)
    a2, b = consult(lab, a, target)
    ask(a, attended(a2, lab, target.number))
    done(lab, a, a2, c, b)
    end(c, b)


@tap.case("E-085 B called A while A had C: A is the callee of both calls")
def agent_is_callee(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    hold(a)
    b, a2 = ring(target, agent.number, agent)
    pick_up(b, a2)
    ask(a, attended(a2, lab, target.number))
    done(lab, a, a2, c, b)
    end(c, b)


@tap.case("E-093 REFER on the consult dialog, naming the original: the same pair")
def other_leg(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    ask(a2, attended(a, lab, "+4930000000"))
    done(lab, a2, a, c, b)
    end(c, b)
    one_conversation(lab, c, agent, target)


@tap.case("E-095 both dialogs are of different devices of the same user: allowed")
def two_devices(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    hold(a)
    other = lab.device(agent)
    a2, b = ring(other, target.number, target)
    pick_up(a2, b)
    ask(a, attended(a2, lab, target.number))
    done(lab, a, a2, c, b)
    end(c, b)


@tap.case("E-095 E-078 the named dialog is another user's: 403, audit, nothing moves")
def somebody_elses(lab):
    agent, other, target = lab.phone(), lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    x, b = ring(other, target.number, target)
    pick_up(x, b)
    a.refer(attended(x, lab, target.number))
    a.expect(403, method="REFER")
    assert not any(y.ended for y in (a, c, x, b))
    wait("there is an audit row", lambda: lab.rows(
        f"select * from segue.audit where who = '{agent.user}' and result = 'refused'"))
    end(c, a)
    end(x, b)


@tap.case("E-094 the consulted party is an outside number: C and it are joined, its visit is on record")
def outside_number(lab):
    agent, customer, outside_line = lab.phone(), lab.trunk(), lab.trunk()
    c, a = talk(lab, agent, trunk=customer)
    hold(a)
    a2, b = ring(agent, lab.outside(outside_line, "4475"), outside_line)
    pick_up(a2, b)
    ask(a, attended(a2, lab, "4475"))
    done(lab, a, a2, c, b)
    end(c, b)
    led = lab.ledger(c)
    t = led.transfers[-1]
    assert (t["kind"], t["outcome"]) == ("consult", "completed"), t
    assert led.segments[-1]["kind"] == "external" and led.segments[-1]["talk_ms"] > 0, led.segments


@tap.case("two customers of one agent are joined: the older conversation goes on, A leaves both")
def two_customers(lab):
    agent, one, two = lab.phone(), lab.trunk(), lab.trunk()
    c, a = talk(lab, agent, trunk=one)
    hold(a)
    d, a2 = ring(two, agent.number, agent)
    pick_up(d, a2)
    a_while()
    ask(a, attended(a2, lab, "4476"))
    done(lab, a, a2, c, d)
    end(c, d)
    led = lab.ledger(c)
    assert led.transfers[-1]["outcome"] == "completed", led.transfers
    merged, = lab.rows("select id, talk_ms, agent_talk_ms from segue.conversations where merged_into = "
                       f"'{led.conversation['id']}'")
    assert merged["talk_ms"] > 0 and merged["agent_talk_ms"] == 0, merged  # its visits are C's now
    wrong = lab.cluster.psql("begin; update segue.conversations set talk_ms = talk_ms + 60000 where id = "
                             f"'{merged['id']}'; select conversation_id, rule from segue.check_ledger(); "
                             "rollback", lab.db)
    assert (merged["id"], "who merged talked no longer than their visits") in wrong, wrong


# ---- E-086: the target still rings ---------------------------------------------------------------


@tap.case("E-086 REFER while the target rings: its leg is moved, not dialled again; B answers")
def semi(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target, answer=False)
    ask(a, attended(a2, lab, target.number))
    a2.expect(range(400, 700), method="INVITE")
    assert target.count("INVITE") == 1 and not b.holds("CANCEL")
    b.answer()
    b.expect("ACK")
    joined(c, b)
    final_notify(a, 200)
    a.expect("BYE")
    assert target.count("INVITE", where=lambda m: not m.to_tag) == 1
    end(c, b)
    led = one_conversation(lab, c, agent, target, "semi")
    assert led.segment(target.user)["ring_ms"] > 0, led.segments


@tap.case("E-086 A hangs up both while the target rings: it rings on, and is joined")
def semi_leaves(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target, answer=False)
    ask(a, attended(a2, lab, target.number))
    a.bye()
    assert not b.holds("CANCEL")
    b.answer()
    b.expect("ACK")
    joined(c, b)
    end(c, b)


@tap.case("E-086 the target refuses after the REFER: A has C again, sipfrag says why")
def semi_refused(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target, answer=False)
    ask(a, attended(a2, lab, target.number))
    b.reply(486)
    final_notify(a, 486)
    unhold(a)
    joined(c, a)
    end(c, a)
    t = lab.ledger(c).transfers[-1]
    assert (t["kind"], t["outcome"], t["cause"]) == ("semi", "failed", "busy"), t


@tap.case("E-086 E-002 the target refuses when A is gone: A is rung again")
def semi_recall(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target, answer=False)
    ask(a, attended(a2, lab, target.number))
    a.bye()
    b.reply(486)
    back = agent.incoming(where=lambda m: m.call_id not in (a.call_id, a2.call_id))
    back.answer()
    back.expect("ACK")
    joined(c, back)
    end(c, back)


@tap.case("E-087 as E-086, with a proxy that recorded itself in the target's dialog")
def semi_record_route(lab):
    agent, target = lab.phone(), lab.phone()
    proxy = f"<sip:{target.hostport};lr>"
    c, a = talk(lab, agent)
    hold(a)
    a2 = agent.invite(target.number)
    b = target.incoming()
    b.reply(180, headers=[("Record-Route", proxy)])
    a2.expect(180)
    ask(a, attended(a2, lab, target.number))
    b.reply(200, b.fitting(b.invite.sdp), headers=[("Record-Route", proxy)])
    assert b.expect("ACK").get("Route") == proxy
    joined(c, b)
    assert all(m.get("Route") == proxy for d, m in target.log
               if d == "<-" and m.is_request and m.to_tag and m.call_id == b.call_id), target.log
    final_notify(a, 200)
    end(c, b)


# ---- dialogs that are not there ------------------------------------------------------------------


def not_there(lab, change, status, target_leaves=False):
    """A REFER whose Replaces finds nothing: accepted, the sipfrag says so, A still has C."""
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    if target_leaves:
        b.hangup()
        a2.expect("BYE")
    a.refer(f"<sip:{target.number}@{lab.domain}?Replaces={quote(change(a2), safe='')}>")
    a.expect((202, 200), method="REFER")
    final_notify(a, status)
    assert target.count("INVITE", where=lambda m: not m.to_tag) == 1
    unhold(a)
    joined(c, a)
    if not target_leaves:
        assert not a2.ended and not b.ended
        end(a2, b)
    end(c, a)
    t = lab.ledger(c).transfers[-1]
    assert t["outcome"] == "failed" and t["sip_status"] == status, t


def plainly(x, call_id=None, to=None, by=None):
    return f"{call_id or x.call_id};to-tag={to or x.remote_tag};from-tag={by or x.local_tag}"


@tap.case("E-088 the named dialog ended a moment ago: 603 in the final NOTIFY, C stays with A")
def ended_a_moment_ago(lab):
    not_there(lab, plainly, 603, target_leaves=True)


for _what, _change in (
        ("unknown dialog", lambda x: "nowhere@example;to-tag=1;from-tag=2"),
        ("swapped tags", lambda x: plainly(x, to=x.local_tag, by=x.remote_tag)),
        ("wrong to-tag", lambda x: plainly(x, to=x.remote_tag + "0")),
        ("wrong from-tag", lambda x: plainly(x, by="nobody")),
        ("Call-ID in other case", lambda x: plainly(x, call_id=x.call_id.swapcase()))):
    tap.case(f"E-089 E-092 {_what}: 481 in the final NOTIFY, C stays with A, nobody is dialled")(
        lambda lab, change=_change: not_there(lab, change, 481))


@tap.case("E-091 Replaces names the dialog that the REFER came in: 400, nothing moves")
def self_reference(lab):
    c, a = talk(lab)
    a.refer(attended(a, lab, "2001"))
    a.expect(400, method="REFER")
    a.expect_none("NOTIFY", 0.2)
    end(c, a)


for _bad in ("x", "x%3Bto-tag%3D1", "x%3Bto-tag%3D1%3Bfrom-tag%3D", "%00%3Bto-tag%3D1%3Bfrom-tag%3D2",
             "x%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=y%3Bto-tag%3D1%3Bfrom-tag%3D2"):
    def _malformed(lab, bad=_bad):
        c, a = talk(lab)
        a.refer(f"<sip:2001@{lab.domain}?Replaces={bad}>")
        a.expect(400, method="REFER")
        a.expect_none("NOTIFY", 0.2)
        end(c, a)
    tap.case(f"E-075 malformed Replaces {_bad[:40]}: 400 before any 202")(_malformed)


# ---- what else may happen ------------------------------------------------------------------------


@tap.case("E-018 C hangs up during the consultation: A and B talk on")
def customer_leaves(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    c.hangup()
    a.expect("BYE")
    assert not a2.ended and not b.ended
    a2.reinvite(a2.sdp.copy())
    joined(a2, b)
    end(a2, b)
    assert not lab.ledger(c).transfers


@tap.case("the consultation ends without a transfer: A has C again")
def back_out(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    end(a2, b)
    unhold(a)
    joined(c, a)
    end(c, a)
    led = lab.ledger(c)
    assert not led.transfers, led.transfers
    assert led.segment(agent.user)["consult_ms"] > 0, led.segments


@tap.case("E-097 A hangs up the original call while consulting: C is not dropped")
def onhook(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    a.hangup()
    back = agent.incoming(where=lambda m: m.call_id not in (a.call_id, a2.call_id))
    back.answer()
    back.expect("ACK")
    joined(c, back)
    end(c, back)
    end(a2, b)


@tap.case("E-098 the target holds A, then A completes: the join clears both holds")
def both_held(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    hold(b)
    ask(a, attended(a2, lab, target.number))
    joined(c, b)
    final_notify(a, 200)
    end(c, b)


@tap.case("E-099 C's media moves while it is held: the join uses the newest")
def moved(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    c.reinvite(c.sdp.copy(port=c.sdp.port + 10))
    ask(a, attended(a2, lab, target.number))
    done(lab, a, a2, c, b)
    assert b.remote_sdp.port() == c.sdp.port
    end(c, b)


@tap.case("R-048 R-055 attended by a REFER outside of both dialogs, with Target-Dialog")
def outside(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    x = agent.call(agent.uri(agent.number))
    x.target = a.target
    x._do("REFER", [("Refer-To", attended(a2, lab, target.number)), ("Target-Dialog",
                    f"{a.call_id};local-tag={a.remote_tag};remote-tag={a.local_tag}")])
    x.expect((202, 200), method="REFER")
    joined(c, b)
    x.expect("NOTIFY", where=is_final)
    for y in (a, a2):
        y.expect("BYE")
    end(c, b)


@tap.case("E-079 an attended transfer after one that failed, in the same dialog")
def again(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    a.refer(f"<sip:{target.number}@{lab.domain}?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>")
    a.expect((202, 200), method="REFER")
    final_notify(a, 481)
    ask(a, attended(a2, lab, target.number))
    done(lab, a, a2, c, b)
    end(c, b)


def no_common_media(lab, a, a2, c, b, status=488):
    """A completes, C's side refuses B's media: the final NOTIFY says why."""
    c.manual = {"INVITE"}
    ask(a, attended(a2, lab, b.ua.number))
    req = c.expect("INVITE", where=lambda m: m.sdp.port() == b.sdp.port)
    c.reply(status, req=req)
    c.expect("ACK")
    c.manual = set()
    final_notify(a, status)
    return req


@tap.case("E-047 R-035 R-036 C refuses B's media: A talks with B, holds C, and may try again")
def join_rolled_back(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    refused = no_common_media(lab, a, a2, c, b)
    joined(a2, b)  # as the agent's phone believes
    c.expect_none("INVITE", 0.1, where=lambda m: m.cseq > refused.cseq)  # it has A's hold
    for x in (c, a, a2, b):
        x.expect_none("BYE", 0.1)
    ask(a, attended(a2, lab, target.number))
    done(lab, a, a2, c, b)
    end(c, b)
    led = lab.ledger(c)
    assert [(t["outcome"], t["cause"]) for t in led.transfers] == \
        [("failed", "media_incompatible"), ("completed", None)], led
    assert [s["kind"] for s in led.segments if s["who"] == target.user] == \
        ["consult", "consult", "agent"], led
    assert [s["outcome"] for s in led.segments if s["who"] == target.user][0] == "join_failed", led
    merged = lab.rows("select * from segue.conversations where merged_into = "
                      f"'{led.conversation['id']}'")
    assert len(merged) == 2, merged


@tap.case("R-036 after a failed join A goes back to C and the consultation ends")
def join_rolled_back_and_back(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    no_common_media(lab, a, a2, c, b, 606)
    a2.hangup()
    b.expect("BYE")
    unhold(a)
    joined(c, a)
    time.sleep(0.1)
    end(c, a)
    led = lab.ledger(c)
    assert [(t["outcome"], t["sip_status"]) for t in led.transfers] == [("failed", 606)], led
    assert led.segment(agent.user)["talk_ms"] > 100, led


@tap.case("R-036 E-002 a phone that hangs up on the failed join does not lose its customer")
def join_failed_and_hung_up(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    no_common_media(lab, a, a2, c, b)
    a.hangup()
    again = agent.incoming()
    again.answer()
    again.expect("ACK")
    joined(c, again)
    end(a2, b)
    end(c, again)


def join_then_refused(c, req, *gone):
    """A hangs up before C has answered, then C refuses B's media."""
    for x in gone:
        x.hangup()
    c.reply(488, req=req)
    c.expect("ACK")
    c.manual = set()


def answered_again(lab, agent, c):
    """A's phone is rung for C, and is answered."""
    again = agent.incoming()
    again.answer()
    again.expect("ACK")
    joined(c, again)
    return again


@tap.case("E-001 R-036 A hangs up C's dialog, the join fails: A2 and B talk on, A is rung for C")
def join_failed_half_gone(lab):
    agent, target = lab.phone(), lab.phone()
    c, a, a2, b, req = meeting(lab, agent, target)
    join_then_refused(c, req, a)
    again = answered_again(lab, agent, c)
    joined(a2, b)
    for x in (a2, b):
        x.expect_none("BYE", 0.1)
    end(a2, b)
    end(c, again)
    led = lab.ledger(c)
    assert [(t["outcome"], t["cause"]) for t in led.transfers] == \
        [("recalled", "media_incompatible")], led
    assert [(s["kind"], s["outcome"]) for s in led.segments if s["who"] == target.user] == \
        [("consult", "join_failed")], led


@tap.case("E-002 R-036 A hangs up both dialogs, the join fails: B is let go, A is rung for C")
def join_failed_both_gone(lab):
    agent, target = lab.phone(), lab.phone()
    c, a, a2, b, req = meeting(lab, agent, target)
    join_then_refused(c, req, a, a2)
    b.expect("BYE")
    again = answered_again(lab, agent, c)
    end(c, again)
    assert [t["outcome"] for t in lab.ledger(c).transfers] == ["recalled"]


@tap.case("E-002 R-036 A joins two callers and hangs up both, the join fails: A is rung for each")
def two_callers_join_failed(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    hold(a)
    d, a2 = talk(lab, agent)
    c.manual = {"INVITE"}
    ask(a, attended(a2, lab, agent.number))
    req = c.expect("INVITE", where=lambda m: m.sdp.port() == d.sdp.port)
    join_then_refused(c, req, a, a2)
    again = [agent.incoming(), agent.incoming()]
    for x in again:
        x.answer()
        x.expect("ACK")
    for x in (c, d):
        x.expect_none("BYE", 0.1)
    wait("each caller is with one of the two", lambda:
         {x.sdp.port for x in again} == {x.remote_sdp.port() for x in (c, d)})
    c.hangup()
    d.hangup()
    for x in again:
        x.expect("BYE")
    assert [t["outcome"] for t in lab.ledger(c).transfers] == ["recalled"]


@tap.case("R-036 the target refuses the customer's media: the same, seen from the other side")
def join_refused_by_target(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    b.manual = {"INVITE"}
    ask(a, attended(a2, lab, target.number))
    req = b.expect("INVITE", where=lambda m: m.sdp.port() == c.sdp.port)
    b.reply(488, req=req)
    b.expect("ACK")
    b.manual = set()
    final_notify(a, 488)
    joined(a2, b)
    hears(c, a, "sendonly")
    a2.hangup()
    b.expect("BYE")
    end(c, a)


def meeting(lab, agent=None, target=None):
    """As far as the join: C has its re-INVITE and has not answered it. C, A, A2, B, that request."""
    agent, target = agent or lab.phone(), target or lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    c.manual = {"INVITE"}
    ask(a, attended(a2, lab, target.number))
    return c, a, a2, b, c.expect("INVITE", where=lambda m: m.sdp.port() == b.sdp.port)


@tap.case("E-040 C's re-INVITE of the meeting meets 491: repeated, then joined")
def glare(lab):
    c, a, a2, b, req = meeting(lab)
    c.reply(491, req=req)
    c.expect("ACK")
    again = c.expect("INVITE", where=lambda m: m.cseq > req.cseq)
    c.manual = set()
    c.reply(200, c.fitting(again.sdp), req=again)
    done(lab, a, a2, c, b)
    end(c, b)


@tap.case("E-067 another REFER while two calls meet: 491, and the first is carried out")
def second_refer(lab):
    c, a, a2, b, req = meeting(lab)
    a.refer(lab.refer_to(lab.phone().number))
    a.expect(491, method="REFER")
    c.manual = set()
    c.reply(200, c.fitting(req.sdp), req=req)
    done(lab, a, a2, c, b)
    end(c, b)


@tap.case("E-019 C hangs up at the join of two calls: everybody is released, nobody talked to nobody")
def leaves_at_join(lab):
    c, a, a2, b, req = meeting(lab)
    c.bye()
    c.reply(487, req=req)
    for x in (a, a2, b):
        x.expect("BYE")
    t = lab.ledger(c).transfers[-1]
    assert t["outcome"] == "abandoned", t


@tap.case("E-032 B hangs up at the join of two calls: A has C again")
def target_leaves_at_join(lab):
    c, a, a2, b, req = meeting(lab)
    b.hangup()
    c.manual = set()
    c.reply(200, c.fitting(req.sdp), req=req)
    assert final_notify(a) >= 400
    unhold(a)
    joined(c, a)
    end(c, a)
    t = lab.ledger(c).transfers[-1]
    assert t["outcome"] == "failed", t


# ---- what a phone may leave out, and what the configuration decides -------------------------------


@tap.case("E-085 no hold before the consultation, and none after: the two are joined all the same")
def without_hold(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = ring(agent, target.number, target)
    pick_up(a2, b)
    ask(a, attended(a2, lab, target.number))
    done(lab, a, a2, c, b)
    end(c, b)
    led = lab.ledger(c)
    assert led.transfers[-1]["kind"] == "consult" and led.conversation["n_consult"] == 1, led


@tap.case("E-085 the agent called the customer, and is called by B: both his dialogs end")
def caller_and_callee(lab):
    agent, target, trunk = lab.phone(), lab.phone(), lab.trunk()
    a, c = ring(agent, lab.outside(trunk, "300200"), trunk)
    pick_up(a, c)
    hold(a)
    b, a2 = ring(target, agent.number, agent)
    pick_up(b, a2)
    ask(a, attended(a2, lab, target.number))
    done(lab, a, a2, c, b)
    end(c, b)
    t = lab.ledger(a).transfers[-1]
    assert (t["kind"], t["outcome"]) == ("consult", "completed"), t


@tap.case("E-093 E-085 REFER on the consult dialog that B began, naming the agent's own outgoing call")
def other_leg_other_direction(lab):
    agent, target, trunk = lab.phone(), lab.phone(), lab.trunk()
    a, c = ring(agent, lab.outside(trunk, "300201"), trunk)
    pick_up(a, c)
    hold(a)
    b, a2 = ring(target, agent.number, agent)
    pick_up(b, a2)
    ask(a2, attended(a, lab, target.number))
    joined(c, b)
    final_notify(a2, 200)
    for x in (a, a2):
        if not x.ended:
            x.expect("BYE")
    end(c, b)
    assert lab.ledger(a).transfers[-1]["outcome"] == "completed"


@tap.case("E-085 the agent hangs up his consult dialog with the 202, the other a moment later")
def consult_leg_first(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    ask(a, attended(a2, lab, target.number))
    a2.hangup()
    joined(c, b)
    if not a.ended:
        a.hangup()
    end(c, b)
    assert lab.ledger(c).transfers[-1]["outcome"] == "completed"


@tap.case("E-088 the agent hangs up his consult dialog before REFER: 603, C stays with him")
def consult_leg_too_early(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    a2.hangup()
    b.expect("BYE")
    a.refer(attended(a2, lab, target.number))
    a.expect((202, 200), method="REFER")
    final_notify(a, 603)
    end(c, a)


@tap.case("R-051 E-086 early-only: 486 if the target has answered meanwhile, else its leg is moved")
def early_only(lab):
    agent, target = lab.phone(), lab.phone()
    only = lambda x: f"<sip:{target.number}@{lab.domain}?Replaces={name_of(x)}%3Bearly-only>"
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target)
    a.refer(only(a2))
    a.expect((202, 200), method="REFER")
    final_notify(a, 486)
    assert not a2.ended and not b.ended
    end(a2, b)
    a2, b = ring(agent, target.number, target)
    ask(a, only(a2))
    b.answer()
    b.expect("ACK")
    joined(c, b)
    final_notify(a, 200)
    end(c, b)
    assert [(t["outcome"], t["sip_status"]) for t in lab.ledger(c).transfers] == [
        ("failed", 486), ("completed", 200)]


@tap.case("E-070 E-089 a trunk that may not transfer names a dialog: 603, it learns nothing of it")
def trunk_names_a_dialog(lab):
    c, a = talk(lab)
    for name in ("nobody%3Bto-tag%3D1%3Bfrom-tag%3D2", name_of(a)):
        c.refer(f"<sip:2000@{lab.domain}?Replaces={name}>")
        c.expect(603, method="REFER")
    c.expect_none("NOTIFY", 0.1)
    end(c, a)
    led = lab.ledger(c)
    assert [t["cause"] for t in led.transfers] == ["not_permitted"] * 2, led.transfers


@tap.case("E-097 E-086 hung up while the target rings: it rings on for C, and is joined")
def onhook_while_it_rings(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a2, b = consult(lab, a, target, answer=False)
    a.hangup()
    b.answer()
    b.expect("ACK")
    joined(c, b)
    assert target.count("INVITE", where=lambda m: not m.to_tag) == 1
    end(c, b)
    t = lab.ledger(c).transfers[-1]
    assert (t["kind"], t["outcome"]) == ("semi", "completed"), t


@tap.case("E-097 E-089 by configuration: on-hook joins the two; who is unknown is called anew")
def decided_by_configuration(lab):
    with Lab(cluster=lab.cluster, users=12, peers=4,
             transfer="onhook_join = true; dial_unknown = true;") as own:
        agent, target = own.phone(), own.phone()
        c, a = talk(own, agent)
        a2, b = consult(own, a, target)
        a.hangup()
        joined(c, b)
        a2.expect("BYE")
        end(c, b)
        t = own.ledger(c).transfers[-1]
        assert (t["kind"], t["outcome"]) == ("consult", "completed"), t

        c, a = talk(own, agent)
        a.refer(f"<sip:{target.number}@{own.domain}?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>")
        a.expect((202, 200), method="REFER")
        b = target.incoming()
        b.answer()
        b.expect("ACK")
        joined(c, b)
        final_notify(a, 200)
        a.expect("BYE")
        end(c, b)
        t = own.ledger(c).transfers[-1]
        assert (t["kind"], t["outcome"]) == ("blind", "completed"), t


if __name__ == "__main__":
    tap.main(lambda: Lab())
