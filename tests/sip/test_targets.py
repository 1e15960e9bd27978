"""Where a call can go: trunks in turn, mailboxes, menus, outside numbers and who may dial them."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import a_while, end, final_notify, joined, refer, talk, transfer, wait
from segued import Lab

FIRST, SECOND, THIRD, MENUS, BOXES, WORLD, LATE, TAPES = 40, 42, 44, 46, 48, 50, 52, 54
BUSINESS = "+49895550"


def name(i):
    return f"peer{i:02d}"


def call_of(lab, c):
    return lab.conversation(c, final=False)["call"]


def trunks(lab):
    return [lab.trunk(index=i) for i in (FIRST, SECOND, THIRD)]


def fail(trunk, status):
    """An INVITE comes to the trunk and is refused. Returns it."""
    x = trunk.incoming()
    x.reply(status)
    return x


@tap.case("E-036 two trunks fail, the third reaches the person: one visit, every attempt on record")
def next_trunk(lab):
    one, two, three = trunks(lab)
    c, a = talk(lab)
    refer(lab, a, "811234")
    fail(one, 503)
    fail(two, 500)
    b = three.incoming()
    assert b.invite.uri.startswith("sip:1234@"), b.invite.uri
    b.reply(180)
    b.answer()
    b.expect("ACK")
    joined(c, b)
    final_notify(a, 200)
    a.expect("BYE")
    end(c, b)
    led = lab.ledger(c)
    assert [(s["kind"], s["outcome"]) for s in led.segments][1:] == [("external", "completed")], led
    assert led.transfers[0]["outcome"] == "completed" and len(led.transfers) == 1, led.transfers
    tried = [t["data"].get("trunk") for t in led.timeline if t["type"] == "offer_failed"]
    assert tried == [name(FIRST), name(SECOND)], led.timeline


@tap.case("E-036 E-025 busy is busy on every trunk: the next one is not asked")
def busy(lab):
    one, two, _ = trunks(lab)
    c, a = talk(lab)
    refer(lab, a, "811234")
    fail(one, 486)
    final_notify(a, 486)
    two.expect_none("INVITE", 0.3)
    end(c, a)


@tap.case("E-036 E-015 the caller leaves while a trunk fails: the next one is not asked")
def left(lab):
    one, two, _ = trunks(lab)
    c, a = talk(lab)
    refer(lab, a, "811234")
    x = one.incoming()
    c.hangup()
    x.reply(503)
    a.expect("BYE")
    two.expect_none("INVITE", 0.3)
    assert lab.ledger(c).transfers[0]["outcome"] == "abandoned"


@tap.case("R-062 R-063 each trunk is shown the caller that its policy wants, and who sent the call on")
def caller_id(lab):
    one, two, three = trunks(lab)
    c, a = talk(lab)
    refer(lab, a, "811234")
    shown = [fail(x, 503).invite for x in (one, two, three)]
    for invite, number in zip(shown, [c.ua.user, a.ua.dial, BUSINESS]):
        assert f"sip:{number}@" in invite.get("From"), invite.get("From")
        assert f"sip:{number}@" in invite.get("P-Asserted-Identity"), str(invite)
    assert "Example Ltd" in shown[2].get("From"), shown[2].get("From")
    assert f"sip:{a.ua.dial}@" in shown[2].get("Diversion"), str(shown[2])
    final_notify(a, 503)
    end(c, a)


@tap.case("a user who is busy has a mailbox: the chain leads there, and nobody talked")
def voicemail(lab):
    boxes, target = lab.trunk(index=BOXES), lab.phone()
    c, a = talk(lab)
    refer(lab, a, target.number)
    b = target.incoming()
    a.hangup()
    b.reply(486)
    box = boxes.incoming()
    assert box.invite.uri.startswith(f"sip:*97{target.dial}@"), box.invite.uri
    box.answer()
    box.expect("ACK")
    joined(c, box)
    end(c, box)
    led = lab.ledger(c)
    first, second = led.transfers
    assert first["outcome"] == "fell_back" and first["cause"] == "voicemail", first
    assert first["next_transfer_id"] == second["id"], (first, second)
    assert (second["asked_via"], second["target_kind"], second["target"], second["outcome"]) == \
        ("system", "voicemail", target.user, "completed"), second
    assert [(s["kind"], s["talk_ms"]) for s in led.segments][-1] == ("voicemail", 0), led.segments
    assert led.conversation["ivr_ms"] > 0, led.conversation


@tap.case("a user who does not answer: the chain of users says recall, and not voicemail, after that cause")
def filtered(lab):
    boxes, target = lab.trunk(index=BOXES), lab.phone()
    c, a = talk(lab)
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    a.hangup()
    b.expect("CANCEL")
    again = a.ua.incoming()
    again.answer()
    again.expect("ACK")
    joined(c, again)
    boxes.expect_none("INVITE", 0.1)
    end(c, again)
    outcomes = [(t["asked_via"], t["target_kind"], t["outcome"]) for t in lab.ledger(c).transfers]
    assert outcomes[0] == ("sip_refer", "user", "recalled"), outcomes


@tap.case("an outside number that fails has a chain of its own: the caller hears why, and the call ends with that")
def chain_of_external(lab):
    world, tapes = lab.trunk(index=WORLD), lab.trunk(index=TAPES)
    c, a = talk(lab)
    refer(lab, a, "0301234567")
    b = world.incoming()
    a.hangup()
    b.reply(486)
    tape = tapes.incoming()
    assert tape.invite.uri.startswith("sip:4712@"), tape.invite.uri
    tape.answer()
    tape.expect("ACK")
    joined(c, tape)
    tape.hangup()
    c.expect("BYE")
    first, second = lab.ledger(c).transfers
    assert (first["outcome"], first["cause"]) == ("fell_back", "announcement"), first
    assert first["next_transfer_id"] == second["id"] and second["asked_via"] == "system", second
    a.ua.expect_none("INVITE", 0.1)


@tap.case("a user who is on a call is rung all the same (ring_busy), and has two calls then")
def call_waiting(lab):
    target = lab.phone()
    c2, a2 = talk(lab, target)
    c, a = talk(lab)
    b = transfer(lab, c, a, target)
    end(c, b)
    end(c2, a2)
    assert lab.ledger(c).transfers[0]["outcome"] == "completed"


@tap.case("E-046 E-036 the transfer is cancelled while a trunk fails: the next one is not asked, A has C")
def cancelled(lab):
    one, two, _ = trunks(lab)
    c, a = talk(lab)
    call = call_of(lab, c)
    lab.seguectl("transfer", call, "811234")
    x = one.incoming()
    x.manual.add("CANCEL")
    x.reply(180)
    lab.seguectl("cancel", call)
    cancel = x.expect("CANCEL")
    x.reply(200, req=cancel)
    x.reply(503)
    joined(c, a)
    two.expect_none("INVITE", 0.3)
    end(c, a)
    led = lab.ledger(c)
    assert [t["outcome"] for t in led.transfers] == ["cancelled"], led.transfers


@tap.case("a mailbox by its number: the caller is in it, and nobody talked; no command moves him from there")
def mailbox(lab):
    boxes, target = lab.trunk(index=BOXES), lab.phone()
    c, a = talk(lab)
    refer(lab, a, f"*97{target.dial}")
    box = boxes.incoming()
    box.answer()
    box.expect("ACK")
    joined(c, box)
    final_notify(a, 200)
    a.expect("BYE")
    assert "voicemail" in lab.seguectl("transfer", call_of(lab, c), target.dial, ok=False)
    end(c, box)
    led = lab.ledger(c)
    assert [(s["kind"], s["talk_ms"]) for s in led.segments][-1] == ("voicemail", 0), led.segments


@tap.case("the mailbox of the directory comes before the prefix")
def own_mailbox(lab):
    boxes, target = lab.trunk(index=BOXES), lab.phone()
    lab.sql(f"update segue.users set voicemail = '*97777' where name = '{target.user}'")

    def reached():
        c, a = talk(lab)
        refer(lab, a, target.number)
        b = target.incoming()
        a.hangup()
        b.reply(486)
        box = boxes.incoming()
        box.answer()
        box.expect("ACK")
        joined(c, box)
        end(c, box)
        return box.invite.uri.startswith("sip:*97777@")
    wait("the directory has it", reached)


@tap.case("a menu with keys: they are pressed for the caller when he is there")
def keys(lab):
    menus = lab.trunk(index=MENUS)
    lab.sql(f"insert into segue.ivrs (name, number, peer, dial, digits) values "
            f"('orders', '7301', '{name(MENUS)}', '9', '1,2#')")

    def asked():
        c, a = talk(lab)
        a.refer(lab.refer_to("7301"))
        if a.expect(range(200, 700), method="REFER").status != 404:
            return c, a
        end(c, a)
        return None
    c, a = wait("the directory has it", asked)
    m = menus.incoming()
    assert m.invite.uri.startswith("sip:9@"), m.invite.uri
    m.manual.add("INFO")
    m.answer()
    m.expect("ACK")
    joined(c, m)
    for key in "12#":
        info = m.expect("INFO")
        assert info.get("Content-Type") == "application/dtmf-relay", str(info)
        assert info.text.splitlines()[0] == f"Signal={key}", info.text
        m.reply(200, req=info)
    a.expect("BYE")
    end(c, m)
    led = lab.ledger(c)
    assert [(s["kind"], s["talk_ms"]) for s in led.segments][-1] == ("ivr", 0), led.segments


@tap.case("any menu of a platform, with keys of the command; one that does not know INFO is not asked twice")
def keys_refused(lab):
    menus = lab.trunk(index=MENUS)
    c, a = talk(lab)
    lab.seguectl("transfer", call_of(lab, c), "451;postd=12")
    m = menus.incoming()
    m.manual.add("INFO")
    m.answer()
    m.expect("ACK")
    joined(c, m)
    m.reply(415, req=m.expect("INFO"))
    m.expect_none("INFO", 0.6)
    end(c, m)
    assert [s["kind"] for s in lab.ledger(c).segments][-1] == "ivr"


@tap.case("one route in E.164 form: a number is reached however it is written")
def e164(lab):
    world = lab.trunk(index=WORLD)
    for written in ("0301234567", "0049301234567", "+49301234567"):
        c, a = talk(lab)
        refer(lab, a, written)
        b = world.incoming()
        assert b.invite.uri.startswith("sip:+49301234567@"), b.invite.uri
        b.answer()
        b.expect("ACK")
        joined(c, b)
        final_notify(a, 200)
        a.expect("BYE")
        end(c, b)
        s = lab.ledger(c).segments[-1]
        assert s["kind"] == "external" and s["talk_ms"] > 0 and s["ended_at"], s


@tap.case("an outside number is consulted first, by command: its visit is tracked to its end, consult apart from talk")
def consulted(lab):
    world = lab.trunk(index=WORLD)
    c, a = talk(lab)
    call = call_of(lab, c)
    lab.seguectl("consult", call, "0301234567")
    b = world.incoming()
    assert b.invite.uri.startswith("sip:+49301234567@"), b.invite.uri
    b.answer()
    b.expect("ACK")
    joined(a, b)
    lab.daemon.wait_log(rf" call={call} .*consult_answered ")
    a_while()
    lab.seguectl("complete", call)
    joined(c, b)
    a.expect("BYE")
    end(c, b)
    led = lab.ledger(c)
    asked, had = led.segments[1:]
    assert (asked["kind"], asked["talk_ms"]) == ("consult", 0) and asked["consult_ms"] > 0, led.segments
    assert had["kind"] == "external" and had["talk_ms"] > 0 and had["ended_at"], led.segments
    assert [(t["kind"], t["target_kind"], t["outcome"]) for t in led.transfers] == [
        ("consult", "external", "completed")], led.transfers


@tap.case("R-034 a peer that makes the offer itself: no SDP in its INVITE, the caller's answer in the ACK")
def late_sdp(lab):
    trunk = lab.trunk(index=LATE)
    c, a = talk(lab)
    refer(lab, a, lab.outside(trunk, "555"))
    b = trunk.incoming()
    assert not b.invite.sdp, str(b.invite)
    b.answer()
    ack = b.expect("ACK")
    assert ack.sdp and ack.sdp.port() == c.sdp.port, str(ack)
    joined(c, b)
    final_notify(a, 200)
    a.expect("BYE")
    end(c, b)


@tap.case("international and premium numbers are for nobody, until a row says for whom")
def classes(lab):
    world, agent, boss = lab.trunk(index=WORLD), lab.phone(), lab.phone()

    def refused(who, number):
        c, a = talk(lab, who)
        a.refer(lab.refer_to(number))
        status = a.expect(range(200, 700), method="REFER").status
        if status == 202:
            world.incoming().reply(486)
            final_notify(a, 486)
        end(c, a)
        return status == 403
    assert refused(agent, "+442079460000") and refused(boss, "00442079460000")
    assert agent.invite("00442079460000").expect(range(300, 700), method="INVITE").status == 403
    wait("the refused call is on record", lambda: lab.rows(
        "select 1 from segue.audit where action = 'invite' and object = '00442079460000' "
        f"and who = '{agent.user}' and why = 'international'"))
    lab.sql(f"insert into segue.number_classes values ('international', '+.', '{{supervisor}}'); "
            f"insert into segue.number_classes (name, pattern) values ('premium', '+49900.'); "
            f"update segue.users set role = 'supervisor' where name = '{boss.user}'; "
            f"update segue.users set may_dial = '{{premium}}' where name = '{agent.user}'")
    wait("the supervisor may", lambda: not refused(boss, "+442079460000"))
    wait("he may not dial premium numbers", lambda: refused(boss, "0900123"))
    wait("his agent may", lambda: not refused(agent, "0900123"))
    assert refused(agent, "+442079460000")


def policy(i):
    return {LATE: "late_sdp = true;", SECOND: 'caller_id = "transferor";',
            THIRD: f'caller_id = "business"; business_number = "{BUSINESS}"; '
                   'business_name = "Example Ltd"; diversion = "diversion";'}.get(i, "")


ROUTES = f"""{{ pattern = "81X."; kind = "external"; target = "{name(FIRST)}"; strip = 2; transfer = true;
	failover = [ "{name(SECOND)}", "{name(THIRD)}" ]; }},
{{ pattern = "*97."; kind = "voicemail"; target = "{name(BOXES)}"; transfer = true; }},
{{ pattern = "4712"; kind = "external"; target = "{name(TAPES)}"; }},
{{ pattern = "45X"; kind = "ivr"; target = "{name(MENUS)}"; transfer = true; }},
{{ pattern = "+."; kind = "external"; target = "{name(WORLD)}"; transfer = true; }},
"""

if __name__ == "__main__":
    tap.main(lambda: Lab(
        routes=ROUTES, peer_conf=policy, transfer='voicemail_prefix = "*97";',
        conf='numbers: { country = "49"; };\n'
             'fallback: { user = [ "recall?no_answer", "voicemail?busy" ]; '
             'external = [ "announce:4712", "recall" ]; };'), jobs=1)
