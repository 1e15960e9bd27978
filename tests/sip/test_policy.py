"""What the configuration decides: fallback chain, who may transfer, failover, queues, statuses."""
import os
import sys
import threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import (end, final_notify, hears, joined, pick_up, refer, ring, talk, transfer, wait)
from segued import Lab
from ua import Sdp

MAY_REFER, SILENT, ANNOUNCER, BACKUP = 57, 58, 59, 148


def alone(lab):
    """C is alone with segue: A asked for a transfer and left, the target refused. Returns C, A."""
    c, a = talk(lab)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    a.hangup()
    b.reply(486)
    return c, a


@tap.case("E-002 the chain: recall, then another user, then an announcement, each on the timeline")
def chain(lab):
    backup, announcer = lab.backup(), lab.trunk(index=ANNOUNCER)
    c, a = alone(lab)
    a.ua.incoming().reply(486)
    again = backup.incoming()
    again.reply(180)
    again.reply(603)
    tape = announcer.incoming()
    assert tape.invite.uri.startswith("sip:4711@"), tape.invite.uri
    tape.answer()
    tape.expect("ACK")
    hears(c, tape)
    tape.hangup()
    c.expect("BYE")
    led = lab.ledger(c)
    assert [s["who"] for s in led.segments[:4]][2:] == [a.ua.user, backup.user], led
    first, *later = led.transfers
    assert first["asked_via"] == "sip_refer" and first["outcome"] == "fell_back", led.transfers
    assert all(t["asked_via"] == "system" for t in later), led.transfers
    assert led.types().count("transfer_requested") == len(led.transfers), led.types()


@tap.case("E-002 the chain: the recalled transferor answers, the rest is not asked")
def chain_recall(lab):
    c, a = alone(lab)
    again = a.ua.incoming()
    assert again.invite.has("Alert-Info"), again.invite.headers
    again.reply(180)
    again.answer()
    again.expect("ACK")
    joined(c, again)
    end(c, again)
    led = lab.ledger(c)
    assert led.transfers[0]["outcome"] in ("recalled", "failed"), led.transfers


@tap.case("the chain's next user rings: the transferor, for whom a supervisor asks, has C back at once (resume)")
def chain_resumed(lab):
    backup = lab.backup()
    c, a = alone(lab)
    a.ua.incoming().reply(486)
    lost = backup.incoming()
    lost.reply(180)
    lab.seguectl("resume", lab.conversation(c, final=False)["call"])
    lost.expect("CANCEL")
    again = a.ua.incoming()
    again.answer()
    again.expect("ACK")
    joined(c, again)
    end(c, again)
    led = lab.ledger(c)
    assert led.segment(a.ua.user, 2)["talk_ms"] > 0, led.segments
    assert led.segment(backup.user)["talk_ms"] == 0, led.segments


@tap.case("the chain's next user rings: a supervisor sends C elsewhere, and the chain is over")
def chain_elsewhere(lab):
    backup, target = lab.backup(), lab.phone()
    c, a = alone(lab)
    a.ua.incoming().reply(486)
    lost = backup.incoming()
    lost.reply(180)
    lab.seguectl("transfer", lab.conversation(c, final=False)["call"], target.number)
    lost.expect("CANCEL")
    b = target.incoming()
    b.answer()
    b.expect("ACK")
    joined(c, b)
    end(c, b)
    led = lab.ledger(c)
    assert led.transfers[-1]["outcome"] == "completed" and led.transfers[-1]["asked_via"] == "ctl", \
        led.transfers
    assert all(t["outcome"] for t in led.transfers), led.transfers


@tap.case("E-015 C hangs up while A is being recalled: CANCEL, abandoned, nobody is left")
def chain_left(lab):
    c, a = alone(lab)
    again = a.ua.incoming()
    again.reply(180)
    c.hangup()
    again.expect("CANCEL")
    led = lab.ledger(c)
    assert all(t["outcome"] for t in led.transfers), led.transfers


@tap.case("R-003 C hangs up while A's phone, rung again, has sent nothing: CANCEL waits for its first 1xx")
def recall_silent(lab):
    c, a = alone(lab)
    again = a.ua.incoming()
    c.hangup()
    again.expect_none("CANCEL", 0.4)
    again.reply(180)
    again.expect("CANCEL")
    again.expect("ACK")
    nobody_talked(lab, c, a)


@tap.case("R-003 R-004 E-016 the same, and its first word is 200: ACK and BYE, nobody talked")
def recall_silent_answers(lab):
    c, a = alone(lab)
    again = a.ua.incoming()
    c.hangup()
    again.expect_none("CANCEL", 0.4)
    again.answer()
    again.expect("ACK")
    again.expect("BYE")
    assert not again.holds("CANCEL")
    nobody_talked(lab, c, a)


@tap.case("R-003 R-004 E-016 the same, 180 and then 200, which crosses the CANCEL: ACK and BYE, nobody talked")
def recall_crosses(lab):
    c, a = alone(lab)
    again = a.ua.incoming()
    again.manual.add("CANCEL")
    c.hangup()
    again.reply(180)
    cancel = again.expect("CANCEL")
    again.answer()
    again.reply(200, req=cancel)
    again.expect("ACK")
    again.expect("BYE")
    nobody_talked(lab, c, a)


def nobody_talked(lab, c, a):
    """C left while A was being rung again: abandoned, and no talk on that visit."""
    led = lab.ledger(c)
    assert led.transfers[-1]["outcome"] == "abandoned", led.transfers
    assert led.segment(a.ua.user, 1)["talk_ms"] == 0, led.segments


def refused(lab, a, to, status, cause):
    """REFER is refused, with the reason on record."""
    a.refer(lab.refer_to(to.number))
    a.expect(status, method="REFER")
    wait("there is an audit row", lambda: lab.rows(
        f"select 1 from segue.audit where who = '{a.ua.user}' and object = '{to.dial}' "
        f"and result = 'refused' and why = '{cause}'"))


@tap.case("ring_busy, ring_away, ring_unregistered = false: such a target is refused, like who is disabled")
def not_rung(lab):
    busy, away, gone = lab.phone(), lab.phone(), lab.user()
    queue(lab, "desk", "7300", away)
    c2, b = talk(lab, busy)
    c, a = talk(lab)
    refused(lab, a, busy, 486, "busy")
    refused(lab, a, gone, 480, "unregistered")
    lab.seguectl("agent", away.user, "away")
    refused(lab, a, away, 480, "away")
    call = lab.conversation(c, final=False)["call"]
    assert "The target is away" in lab.seguectl("transfer", call, away.dial, ok=False)
    lab.seguectl("agent", away.user, "available")
    end(c2, b)
    off = lab.phone()
    lab.sql(f"update segue.users set enabled = false where name = '{off.user}'")

    def is_off():
        a.refer(lab.refer_to(off.number))
        r = a.expect(range(200, 700), method="REFER")
        if r.status < 300:  # the directory has not heard of it yet
            off.incoming().reply(486)
            final_notify(a, 486)
        return r.status == 480
    wait("who is disabled is refused", is_off)
    for target in (busy, away):
        target.expect_none("INVITE", 0.1)
    b = transfer(lab, c, a, away)
    end(c, b)
    outcomes = [(t["outcome"], t["cause"]) for t in lab.ledger(c).transfers]
    assert outcomes[:4] == [("failed", "busy"), ("failed", "unregistered"), ("failed", "away"),
                            ("failed", "away")], outcomes
    assert outcomes[-2:] == [("failed", "disabled"), ("completed", None)], outcomes


@tap.case("E-069 REFER is challenged (auth_refer): it counts only with valid credentials")
def challenged(lab):
    c, a = talk(lab)
    a.ua.auth = False
    target = lab.phone()
    a.refer(lab.refer_to(target.number))
    a.expect(401, method="REFER")
    target.expect_none("INVITE", 0.2)
    a.ua.auth = True
    b = transfer(lab, c, a, target)
    end(c, b)
    assert len(lab.ledger(c).transfers) == 1


@tap.case("E-069 REFER with credentials of another user: 403")
def challenged_other(lab):
    c, a = talk(lab)
    other, target = lab.phone(), lab.phone()
    a.ua.user, a.ua.password = other.user, other.password
    a.refer(lab.refer_to(target.number))
    a.expect(403, method="REFER")
    target.expect_none("INVITE", 0.2)
    end(c, a)


@tap.case("E-070 a peer that may_refer moves its call")
def peer_refer(lab):
    agent, target = lab.phone(), lab.phone()
    trunk = lab.trunk(index=MAY_REFER)
    c, a = talk(lab, agent, trunk=trunk)
    refer(lab, c, target.number)
    b = target.incoming()
    b.reply(180)
    b.answer()
    b.expect("ACK")
    joined(a, b)
    final_notify(c, 200)
    end(a, b)


@tap.case("M5 a user who may not transfer: 603, an audit row, the call goes on")
def may_not(lab):
    agent, target = lab.phone(), lab.phone()
    lab.sql(f"update segue.users set may_transfer = false where name = '{agent.user}'")
    c, a = talk(lab, agent)
    def refused():
        a.refer(lab.refer_to(target.number))
        r = a.expect(range(200, 700), method="REFER")
        if r.status < 300:  # the directory has not heard of it yet
            target.incoming().reply(486)
            final_notify(a, 486)
        return r.status == 603
    wait("REFER is refused", refused)
    end(c, a)
    wait("there is an audit row", lambda: lab.rows(
        f"select 1 from segue.audit where who = '{agent.user}' and result = 'refused'"))


@tap.case("E-036 a peer's first address is silent: the next one is tried within its time")
def failover(lab):
    agent, trunk = lab.phone(), lab.trunk(index=SILENT)
    a = agent.invite(lab.outside(trunk, "555"))
    c = trunk.incoming()
    c.reply(180)
    a.expect(180)
    pick_up(a, c)
    joined(a, c)
    end(a, c)


@tap.case("the configured no_answer_status is told to the transferor")
def no_answer(lab):
    c, a = talk(lab)
    target = lab.phone()
    refer(lab, a, target.number)
    target.incoming().reply(180)
    final_notify(a, 408)
    end(c, a)


@tap.case("redirect = false: 3xx is not followed")
def no_redirect(lab):
    agent, other = lab.phone(), lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    a.reply(302, headers=[("Contact", f"<sip:{other.number}@{lab.domain}>")], contact=False)
    assert c.expect(range(400, 700), method="INVITE")
    other.expect_none("INVITE", 0.2)


def queue(lab, name, number, *members):
    lab.sql(f"insert into segue.queues (name, number, display_name, strategy) "
            f"values ('{name}', '{number}', 'Q', 'ring_all');"
            + "".join(f"insert into segue.queue_members values ('{name}', '{m.user}');" for m in members))

    def known():
        agents = lab.seguectl("agents")
        return all(m.user in agents for m in members)
    wait("the queue and its members are known", known)


@tap.case("a call to a queue rings its members; the first answers; the case is theirs")
def to_queue(lab):
    one, two = lab.phone(), lab.phone()
    queue(lab, "sales", "7100", one, two)
    trunk = lab.trunk()
    def offered():
        c = trunk.invite("7100")
        return c if one.take("INVITE", 1.0) else None
    c = wait("the queue is known", offered)
    b = two.incoming()
    b.reply(180)
    pick_up(c, b)
    joined(c, b)
    lab.daemon.wait_log(rf"answered actor={two.user} ")
    end(c, b)
    led = lab.ledger(c)
    assert any(s["who"] == two.user and s["talk_ms"] > 0 for s in led.segments), led


@tap.case("E-072 REFER to a queue that A itself serves: the others ring, A does not")
def own_queue(lab):
    a_phone, b_phone = lab.phone(), lab.phone()
    queue(lab, "help", "7200", a_phone, b_phone)
    c, a = talk(lab, a_phone)
    def accepted():
        a.refer(lab.refer_to("7200"))
        return a.expect(range(200, 700), method="REFER").status < 300
    wait("the queue is known", accepted)
    b = b_phone.incoming()
    b.reply(180)
    a_phone.expect_none("INVITE", 0.3)
    b.answer()
    b.expect("ACK")
    joined(c, b)
    a.expect("BYE")
    end(c, b)
    t = lab.ledger(c).transfers[-1]
    assert t["target_kind"] == "queue" and t["outcome"] == "completed", t


@tap.case("E-017 C hangs up before B has sent anything: A is released at once, B is stopped")
def left_early(lab):
    c, a = talk(lab)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    c.hangup()
    final_notify(a, 487)
    a.expect("BYE")
    assert not b.holds("CANCEL"), "that waits for the first word of B"
    b.reply(180)
    b.expect("CANCEL")
    assert lab.ledger(c).transfers[0]["outcome"] == "abandoned"


@tap.case("E-018 A holds C and talks to B in a second call; C hangs up: A and B stay connected")
def second_call(lab):
    c, a = talk(lab)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    b_phone = lab.phone()
    a2, b = ring(a.ua, b_phone.number, b_phone)
    pick_up(a2, b)
    end(c, a)
    a2.expect_none("BYE", 0.3)
    joined(a2, b)
    end(a2, b)
    assert lab.ledger(a2).conversation["talk_ms"] > 0


@tap.case("a user and a queue that a route names; a number that a route refuses")
def routes(lab):
    agent = lab.backup()
    c = lab.trunk().invite("0800123")
    a = agent.incoming()
    a.reply(486)
    wait("it was refused", lambda: c.holds(range(400, 700)))
    assert lab.trunk().invite("0900123").expect(403)


class PolicyLab(Lab):
    """The lab with a backup user that the chain and a route name."""
    one_case = threading.Lock()

    def backup(self):
        """A phone of the user that the chain names, registered while the case runs. One case at a time
        has that user: who is busy is not rung."""
        self.one_case.acquire()
        tap.at_end(self.one_case.release)
        phone = self.named(BACKUP)
        phone.register()
        tap.at_end(lambda: phone.register(expires=0))
        return phone


if __name__ == "__main__":
    tap.main(lambda: PolicyLab(
        t={"ring": 3000, "setup": 6000}, sip="auth_refer = true;",
        transfer="no_answer_status = 408; redirect = false; ring_busy = false; "
                 "ring_away = false; ring_unregistered = false;",
        fallback=["recall", f"user:u{BACKUP:03d}", f"announce:9{ANNOUNCER}4711", "hangup"],
        peer_conf=lambda i: 'refer_mode = "terminate";' if i == MAY_REFER else
        'failover = "700ms";' if i == SILENT else "", silent=(SILENT,),
        routes=f'{{ pattern = "0800X."; kind = "user"; target = "u{BACKUP:03d}"; }},\n\t'
               '{ pattern = "0900X."; kind = "none"; },\n\t'), jobs=4)
