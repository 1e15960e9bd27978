"""scenes: what real phones do with calls, judged by what the customer was told, by who hears whom, and
by the ledger.

The customer is a scripted Ua on a trunk, the agents are real phones. Each scene is a function of the
lab and the phones that play in it, so that every brand plays every role.
"""
import time

import rtp
import tap
import ua
from flows import arrived, wait

WAIT = 40.0
TALK = 0.05  # seconds of talk, so that the ledger has something to count


def begin(*phones):
    """Nothing said before counts; what is said is shown if the case fails."""
    for p in phones:
        p.forget()
        tap.note(p.story)


def voice(ip):
    """A tone and an ear for the customer."""
    v = rtp.Rtp(rtp.TONES[0], ip)
    tap.at_end(v.close)
    return v


def joined(c, phone, *others):
    """The customer and that phone were told each other's media, hear each other, and the others
    hear nothing."""
    told(c, phone, "sendrecv")
    rtp.wait_heard({c.voice: {phone.tone}, phone: {c.voice.tone}, **{p: () for p in others}}, WAIT)


def held(c, phone):
    """The customer was told that he is held by that phone, which does not hear him. He hears what the
    phone plays to whom it holds, or our music if there is an engine for it."""
    told(c, phone, "sendonly")
    rtp.wait_heard({phone: (), **(waiting(c) if c.music else {})}, WAIT)


def waiting(c):
    """What a customer hears who is with nobody: our music, or nothing."""
    return {c.voice: {c.music} if c.music else ()}


def told(c, phone, dir):
    """The customer was told to send to that phone (or to an engine), with that direction."""
    wait(f"{c.ua.name} sends to {phone.name} ({dir})",
         lambda: c.remote_sdp and phone.owns(c.remote_sdp.port()) != bool(c.music)
         and c.remote_sdp.dir() == dir, WAIT)


def called(lab, phone):
    """A customer calls and the phone answers. Returns the customer's side."""
    trunk = lab.trunk()
    v = voice(trunk.transport.ip)
    c = trunk.invite(phone.number, sdp=v.sdp())
    c.voice, c.music = v, lab.music
    v.follow(c)
    c.expect(180, WAIT)
    phone.rings()
    phone.answer()
    c.expect(200, WAIT, method="INVITE")
    c.ack()
    joined(c, phone)
    time.sleep(TALK)
    return c


def leave(c, *phones):
    """The customer hangs up; the phones that were still there hear it."""
    arrived(c)
    time.sleep(TALK)
    c.bye().expect(200, WAIT, method="BYE")
    for p in phones:
        p.ended()


def rows(lab, c, *who):
    """The rows of the conversation: who had it, in this order, all having talked."""
    led = lab.ledger(c, timeout=WAIT)
    assert [s["who"] for s in led.segments] == [p.user for p in who], led.segments
    assert all(s["talk_ms"] > 0 for s in led.segments), led.segments
    assert led.conversation["outcome"] == "answered", led.conversation
    return led


def transferred(lab, c, led, by, to):
    """The one transfer of the ledger is complete, and the case went with it."""
    t, = led.transfers
    assert (t["outcome"], t["kind"], t["asked_via"]) == ("completed", "blind", "sip_refer"), t
    assert (t["asker"], t["target"]) == (by.user, to.user), t
    assert t["from_segment_id"] == led.segments[-2]["id"], t
    assert t["to_segment_id"] == led.segments[-1]["id"], t
    assert led.segments[-2]["outcome"] == "transferred", led.segments
    owner, = lab.rows("select owner from segue.cases where id = "
                      f"'{led.conversation['case_id']}'")
    assert owner["owner"] == to.user, owner


def consulting(c, agent, target):
    """The agent and the target talk, the customer waits."""
    told(c, agent, "sendonly")
    rtp.wait_heard({agent: {target.tone}, target: {agent.tone},
                    **(waiting(c) if c.music else {})}, WAIT)
    time.sleep(TALK)


def consulted(lab, call, by, to):
    """One conversation: who transferred talked, held and consulted; who was consulted has a segment
    for that, and one that began with the join (E-085)."""
    led = lab.ledger(call, timeout=WAIT)
    t, = led.transfers
    assert (t["outcome"], t["kind"], t["asked_via"]) == ("completed", "consult", "sip_refer"), t
    assert (t["asker"], t["target"]) == (by.user, to.user), t
    assert [(s["who"], s["kind"]) for s in led.segments] == [
        (by.user, "agent"), (to.user, "consult"), (to.user, "agent")], led.segments
    first, aside, last = led.segments
    assert first["talk_ms"] > 0 and first["consult_ms"] >= TALK * 1000, first
    assert aside["talk_ms"] == 0 and aside["consult_ms"] >= TALK * 1000, aside
    assert last["talk_ms"] > 0 and last["ring_ms"] == 0 == last["consult_ms"], last
    assert led.conversation["n_consult"] == 1 and led.conversation["n_blind"] == 0, led.conversation
    assert led.conversation["consult_ms"] >= TALK * 1000, led.conversation
    merged, = lab.rows("select source, kind from segue.conversations where merged_into = "
                       f"'{led.conversation['id']}'")
    assert merged["source"] == by.user, merged


# ---- the scenes ----------------------------------------------------------------------------------


def hold_and_resume(lab, phone):
    begin(phone)
    c = called(lab, phone)
    phone.hold()
    held(c, phone)
    time.sleep(TALK)
    phone.resume()
    joined(c, phone)
    leave(c, phone)
    led = rows(lab, c, phone)
    assert led.segments[0]["hold_ms"] >= TALK * 1000, led.segments
    assert led.types().count("hold_on") == led.types().count("hold_off") == 1, led.types()
    assert led.conversation["ended_by"] == "customer", led.conversation


def phone_hangs_up(lab, phone):
    begin(phone)
    c = called(lab, phone)
    phone.hangup()
    c.expect("BYE", WAIT)
    led = rows(lab, c, phone)
    assert led.conversation["ended_by"] == "agent", led.conversation


def caller_gives_up(lab, phone):
    begin(phone)
    c = lab.trunk().invite(phone.number)
    c.expect(180, WAIT)
    phone.rings()
    c.cancel()
    c.expect(487, WAIT, method="INVITE")
    phone.ended()
    led = lab.ledger(c, timeout=WAIT)
    assert led.conversation["outcome"] == "abandoned", led.conversation


def blind(lab, agent, target):
    """The main job: the agent's phone transfers the customer to a phone of another brand."""
    begin(agent, target)
    c = called(lab, agent)
    agent.transfer(target.number)
    target.rings()
    joined(c, agent, target)
    target.answer()
    agent.ended()
    joined(c, target, agent)
    c.expect_none("BYE", 0.1)
    leave(c, target)
    led = rows(lab, c, agent, target)
    transferred(lab, c, led, agent, target)
    for x in ("transfer_requested", "transfer_target_ringing", "transfer_completed", "case_assigned",
              "customer_left"):
        assert x in led.types(), led.types()


def blind_from_hold(lab, agent, target):
    """As most people do it: hold, then transfer. The customer hears the target both ways (E-049)."""
    begin(agent, target)
    c = called(lab, agent)
    agent.hold()
    held(c, agent)
    agent.transfer(target.number)
    target.rings()
    held(c, agent)
    target.answer()
    agent.ended()
    joined(c, target, agent)
    time.sleep(TALK)
    target.hangup()
    c.expect("BYE", WAIT)
    led = rows(lab, c, agent, target)
    transferred(lab, c, led, agent, target)
    assert led.conversation["ended_by"] == "agent", led.conversation


def leaves_early(lab, agent, target):
    """The agent hangs up while the target rings: the customer is not lost (E-001)."""
    begin(agent, target)
    c = called(lab, agent)
    agent.transfer(target.number)
    target.rings()
    agent.hangup()
    rtp.wait_heard({agent: (), target: (), **waiting(c)}, WAIT)
    c.expect_none("BYE", 0)
    target.answer()
    joined(c, target, agent)
    leave(c, target)
    led = rows(lab, c, agent, target)
    transferred(lab, c, led, agent, target)
    assert led.conversation["limbo_ms"] > 0, led.conversation


def there_and_back(lab, one, two):
    """One transfers to two, two transfers back: two transfers, three segments (E-074)."""
    begin(one, two)
    c = called(lab, one)
    for a, b in ((one, two), (two, one)):
        a.transfer(b.number)
        b.rings()
        b.answer()
        a.ended()
        joined(c, b, a)
        time.sleep(TALK)
    leave(c, one)
    led = rows(lab, c, one, two, one)
    assert [(t["asker"], t["target"], t["outcome"]) for t in led.transfers] == [
        (one.user, two.user, "completed"), (two.user, one.user, "completed")], led.transfers


def calls_out(lab, phone):
    """The phone calls a customer. Returns the customer's side."""
    trunk, since = lab.trunk(), now(lab)
    phone.call(lab.outside(trunk, "555"))
    c = trunk.incoming(WAIT)
    c.voice, c.music, c.since = voice(trunk.transport.ip), lab.music, since
    c.voice.follow(c)
    c.reply(180)
    c.answer(c.voice.sdp())
    c.expect("ACK", WAIT)
    phone.connected()
    joined(c, phone)
    time.sleep(TALK)
    return c


def outbound(lab, phone, target):
    """The phone calls out, and transfers whom it called."""
    begin(phone, target)
    c = calls_out(lab, phone)
    phone.transfer(target.number)
    target.rings()
    target.answer()
    phone.ended()
    joined(c, target, phone)
    leave(c, target)
    led = rows(lab, conversation_of(lab, phone, "outbound", c.since)["sip_call_id"], phone, target)
    transferred(lab, c, led, phone, target)


def dialled_for(lab, phone):
    """Click-to-dial: the phone rings and makes the offer (an INVITE without SDP); it hears what the number
    plays before it answers, then they talk; the phone hangs up."""
    begin(phone)
    trunk, since = lab.trunk(), now(lab)
    lab.seguectl("dial", phone.user, lab.outside(trunk, "555"))
    phone.rings()
    phone.answer()
    c = trunk.incoming(WAIT)
    c.voice, c.music = voice(trunk.transport.ip), lab.music
    c.reply(183, c.voice.sdp())
    c.voice.follow(c)
    rtp.wait_heard({phone: {c.voice.tone}}, WAIT)
    c.answer()
    c.expect("ACK", WAIT)
    joined(c, phone)
    time.sleep(TALK)
    phone.hangup()
    c.expect("BYE", WAIT)
    row = conversation_of(lab, phone, "outbound", since)
    assert row["outcome"] == "answered" and row["ended_by"] == "agent" and row["talk_ms"] > 0, row


def now(lab):
    return lab.rows("select clock_timestamp() as t")[0]["t"]


def conversation_of(lab, phone, kind, since):
    """The row of the call of that kind that the phone has made since, when it has ended."""
    return wait("the conversation is final", lambda: lab.rows(
        "select * from segue.conversations where ended_at is not null and merged_into is null and "
        f"source = '{phone.user}' and kind = '{kind}' and started_at >= '{since}'"), WAIT)[0]


def internal(lab, caller, callee):
    """One phone calls the other; the callee hangs up, then the caller."""
    begin(caller, callee)
    for last in (callee, caller):
        since = now(lab)
        caller.call(callee.number)
        callee.rings()
        callee.answer()
        caller.connected()
        rtp.wait_heard({caller: {callee.tone}, callee: {caller.tone}}, WAIT)
        last.hangup()
        (caller if last is callee else callee).ended()
        conv = conversation_of(lab, caller, "internal", since)
        led = lab.ledger(conv["sip_call_id"], timeout=WAIT)
        assert sorted(s["who"] for s in led.segments) == sorted((caller.user, callee.user)), led
        assert conv["outcome"] == "answered" and conv["talk_ms"] > 0, conv


def attended(lab, agent, target):
    """Hold, a second call, and the two others are connected (E-085)."""
    begin(agent, target)
    c = called(lab, agent)
    consult_and_complete(c, agent, target)
    consulted(lab, c, agent, target)


def attended_outbound(lab, agent, target):
    """The same when it was the agent's phone that called the customer."""
    begin(agent, target)
    c = calls_out(lab, agent)
    consult_and_complete(c, agent, target)
    conv = conversation_of(lab, agent, "outbound", c.since)
    consulted(lab, conv["sip_call_id"], agent, target)


def consult_and_complete(c, agent, target):
    agent.consult(target.number)
    target.rings()
    target.answer()
    agent.connected()
    consulting(c, agent, target)
    agent.complete()
    agent.is_out()
    joined(c, target, agent)
    c.expect_none("BYE", 0.1)
    leave(c, target)


def attended_early(lab, agent, target):
    """The agent connects them while the target still rings: it rings on, for the customer (E-086)."""
    begin(agent, target)
    c = called(lab, agent)
    agent.consult(target.number)
    target.rings()
    agent.hears_ringing()
    agent.complete()
    target.answer()
    agent.is_out()
    joined(c, target, agent)
    leave(c, target)
    led = lab.ledger(c, timeout=WAIT)
    t, = led.transfers
    assert (t["outcome"], t["kind"], t["asked_via"]) == ("completed", "semi", "sip_refer"), t
    assert led.conversation["n_semi"] == 1, led.conversation
    assert [s["who"] for s in led.segments if s["talk_ms"]] == [agent.user, target.user], led


def backed_out(lab, agent, target):
    """The agent consults and then takes the customer back: no transfer, and the time apart."""
    begin(agent, target)
    c = called(lab, agent)
    agent.consult(target.number)
    target.rings()
    target.answer()
    agent.connected()
    consulting(c, agent, target)
    agent.back()
    target.ended()
    joined(c, agent, target)
    leave(c, agent)
    led = lab.ledger(c, timeout=WAIT)
    assert not led.transfers, led.transfers
    first = led.segment(agent.user)
    assert first["talk_ms"] > 0 and first["consult_ms"] >= TALK * 1000, first
    assert not [s for s in led.segments if s["who"] == target.user and s["talk_ms"]], led.segments


def busy(lab, agent, begins=called):
    """A target that is busy. Returns the customer and the target's user agent."""
    begin(agent)
    target = lab.phone()
    c = begins(lab, agent)
    agent.transfer(target.number)
    b = target.incoming(WAIT)
    b.reply(180)
    b.reply(486)
    b.expect("ACK", WAIT)
    return c, target


def busy_stays(lab, agent, other):
    """The target is busy and the phone stays: they talk on, and a second try works (E-025, E-079)."""
    c, target = busy(lab, agent)
    agent.transfer_failed()
    c.expect_none("BYE", 0.2)
    joined(c, agent)
    begin(other)
    agent.transfer(other.number)
    other.rings()
    other.answer()
    agent.ended()
    joined(c, other, agent)
    leave(c, other)
    led = lab.ledger(c, timeout=WAIT)
    assert [t["outcome"] for t in led.transfers] == ["failed", "completed"], led.transfers
    assert led.transfers[0]["cause"] == "busy" and led.transfers[0]["sip_status"] == 486, led


def busy_is_hung_up(lab, agent):
    """The target is busy and the phone hangs up on that: the agent is recalled (E-002)."""
    c, target = busy(lab, agent)
    recalled(c, agent)
    brought_back(lab.ledger(c, timeout=WAIT), agent, target)


def busy_is_hung_up_outbound(lab, agent):
    """The same when it was the agent's phone that called the customer (E-002)."""
    c, target = busy(lab, agent, calls_out)
    recalled(c, agent)
    conv = conversation_of(lab, agent, "outbound", c.since)
    brought_back(lab.ledger(conv["sip_call_id"], timeout=WAIT), agent, target)


def recalled(c, agent):
    agent.transfer_failed()
    agent.rings()
    c.expect_none("BYE", 0)
    agent.answer()
    joined(c, agent)
    leave(c, agent)


def brought_back(led, agent, target):
    assert [s["who"] for s in led.segments] == [agent.user, target.user, agent.user], led
    assert led.segments[2]["talk_ms"] > 0, led
    assert led.conversation["outcome"] == "answered", led
    assert led.conversation["ended_by"] == "customer", led
