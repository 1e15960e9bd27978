"""seguectl against a live daemon: looking, transferring, cancelling, hanging up, tracing, reloading."""
import json
import os
import re
import subprocess
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import end, joined, pick_up, ring, talk, transfer, wait
from segued import SRC, Lab


def ask(lab, *args, ok=True):
    return json.loads(lab.seguectl("--json", *args, ok=ok))


def call_of(lab, c):
    """The daemon's id for this call of a customer, by its conversation row."""
    return lab.conversation(c, final=False)["call"]


@tap.case("calls and call: who talks with whom, the legs, the ladder, the story")
def look(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    call = call_of(lab, c)
    mine = [x for x in ask(lab, "calls")["calls"] if x["call"] == call]
    assert len(mine) == 1 and mine[0]["with"] == agent.user, mine
    assert mine[0]["customer_number"] == c.ua.user and mine[0]["can_transfer"], mine
    one = ask(lab, "call", call)
    assert len(one["legs"]) == 2, one["legs"]
    ladder = "\n".join(one["ladder"])
    assert "INVITE" in ladder and "200" in ladder and "ACK" in ladder, ladder
    assert one["story"] and one["log"], one
    text = lab.seguectl("call", call)
    assert agent.user in text, text
    assert call in lab.seguectl("calls")
    end(c, a)
    wait("the call has gone from the list",
         lambda: call not in [x["call"] for x in ask(lab, "calls")["calls"]], 45)


@tap.case("transfer: the customer hears hold while the target rings, then is joined; via ctl")
def transfer_cmd(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    lab.seguectl("transfer", call_of(lab, c), target.number)
    b = target.incoming()
    b.reply(180)
    wait("the customer is held", lambda: c.remote_sdp.dir() in ("sendonly", "inactive"))
    b.answer()
    b.expect("ACK")
    joined(c, b)
    a.expect("BYE")
    end(c, b)
    led = lab.ledger(c)
    assert led.transfers[0]["asked_via"] == "ctl" and led.transfers[0]["outcome"] == "completed"
    assert [s["who"] for s in led.segments] == [agent.user, target.user], led


@tap.case("E-046 cancel while the target rings: the agent has the customer back")
def cancel(lab):
    c, a = talk(lab)
    target = lab.phone()
    call = call_of(lab, c)
    lab.seguectl("transfer", call, target.number)
    b = target.incoming()
    b.reply(180)
    lab.seguectl("cancel", call)
    b.expect("CANCEL")
    joined(c, a)
    end(c, a)
    assert lab.ledger(c).transfers[0]["outcome"] == "cancelled"


@tap.case("E-046 cancel after the target has answered: refused, the transfer wins")
def cancel_late(lab):
    c, a = talk(lab)
    call = call_of(lab, c)
    lab.seguectl("transfer", call, (target := lab.phone()).number)
    b = target.incoming()
    wait("the customer was put on hold", lambda: c.remote_sdp.dir() != "sendrecv")
    c.manual = {"INVITE"}
    b.answer()
    b.expect("ACK")
    req = c.expect("INVITE", where=lambda m: m.sdp and m.sdp.port() == b.sdp.port)
    assert "409" in lab.seguectl("cancel", call, ok=False)
    c.manual = set()
    c.reply(200, c.fitting(req.sdp), req=req)
    joined(c, b)
    end(c, b)
    assert lab.ledger(c).transfers[0]["outcome"] == "completed"


@tap.case("a transfer to nobody, of no call, of a call that rings, an option of another command: each refused with a reason")
def refused(lab):
    c, a = talk(lab)
    call = call_of(lab, c)
    assert "404" in lab.seguectl("transfer", call, "7999999", ok=False)
    assert "nonsense" in lab.seguectl("transfer", "nonsense", "2001", ok=False)
    assert "no call" in lab.seguectl("hangup", "99.99", ok=False)
    for command in (["hangup", call, "--leg", "1.1"], ["consult", call, "2001", "--stay"],
                    ["swap", call, "--auto"], ["calls", "--peer", "peer01"]):
        said = lab.seguectl(*command, ok=False)
        option = next(w for w in command if w.startswith("--"))
        assert f"`{option}': expected {command[0]}" in said, said
    end(c, a)
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    assert lab.seguectl("transfer", call_of(lab, c), "2001", ok=False)
    a.reply(486)
    c.expect(486)


@tap.case("a second transfer while one runs: refused")
def second(lab):
    c, a = talk(lab)
    call, one, two = call_of(lab, c), lab.phone(), lab.phone()
    lab.seguectl("transfer", call, one.number)
    b = one.incoming()
    b.reply(180)
    assert lab.seguectl("transfer", call, two.number, ok=False)
    two.expect_none("INVITE", 0.2)
    b.answer()
    b.expect("ACK")
    joined(c, b)
    end(c, b)


@tap.case("hangup: both sides get BYE; ended_by command")
def hangup(lab):
    c, a = talk(lab)
    lab.seguectl("hangup", call_of(lab, c))
    c.expect("BYE")
    a.expect("BYE")
    assert lab.ledger(c).conversation["ended_by"] == "command"


@tap.case("trace: whole messages of one call, secrets masked; off again")
def trace(lab):
    agent, trunk = lab.phone(), lab.trunk()
    c, a = talk(lab, agent, trunk=trunk)
    call = call_of(lab, c)
    lab.seguectl("trace", call, "on")
    mark = lab.daemon.mark()
    a.reinvite(a.sdp.copy(dir="sendonly"))
    lab.daemon.wait_log("m=audio", since=mark)
    lab.seguectl("trace", call, "off")
    mark = lab.daemon.mark()
    a.reinvite(a.sdp.copy(dir="sendrecv", port=a.sdp.port + 4))
    assert not lab.daemon.log(f"m=audio {a.sdp.port}", since=mark)
    end(c, a)
    name = f"peer{trunk.index:02d}"
    lab.seguectl("trace", "--peer", name, "on")
    mark = lab.daemon.mark()
    other = lab.phone()
    x = other.invite(lab.outside(trunk, "555"))
    y = trunk.incoming()
    y.reply(407, headers=[("Proxy-Authenticate", 'Digest realm="c", nonce="n1", algorithm=MD5')])
    y.expect("ACK")
    y.expect("INVITE")
    secret = re.search(r'response="(\w+)"', y.invite.get("Proxy-Authorization")).group(1)
    lab.daemon.wait_log("Proxy-Authorization", since=mark)
    assert not lab.daemon.log(secret), "a digest response is in the log"
    y.reply(486)
    x.expect(486)
    lab.seguectl("trace", "--peer", name, "off")
    assert "nopeer" in lab.seguectl("trace", "--peer", "nopeer", "on", ok=False)


@tap.case("the log tells the story of a transfer: one line per step, with call and transfer ids")
def log(lab):
    mark = lab.daemon.mark()
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    call = call_of(lab, c)
    b = transfer(lab, c, a, target)
    end(c, b)
    lab.ledger(c)
    lines = [x for x in lab.daemon.log(f"call={re.escape(call)}\\b", since=mark)]
    story = "\n".join(lines)
    assert "xfer=" in story and target.user in story and agent.user in story, story
    assert not lab.daemon.log("pw-u0"), "a password is in the log"


@tap.case("registrations and status")
def status(lab):
    phone = lab.phone()
    got = ask(lab, "registrations")["registrations"]
    assert any(r["user"] == phone.user and phone.contact in r["contact"] for r in got), got
    st = ask(lab, "status")
    assert st["ledger"]["connected"] and st["ledger"]["lost"] == 0, st
    assert st["directory"]["users"] >= 100, st


@tap.case("the flight recorder writes a file")
def recorder(lab):
    path = os.path.join(lab.dir, "flight.rec")
    lab.seguectl("recorder", path)
    assert os.path.getsize(path) > 0
    sim = os.path.join(os.environ.get("SEGUE_BUILD", ""), "tests/sim/sim")
    if os.path.exists(sim):  # a daemon that was built without its tests has none
        told = subprocess.run([sim, "--replay", path], capture_output=True, text=True, timeout=60,
                              check=False)
        assert told.returncode == 0, told.stdout[-2000:] + told.stderr
        assert " events replayed" in told.stdout, told.stdout[-2000:]


@tap.case("seguectl graph: text, dot and markdown name every state of the table")
def graph(lab):
    for form in ("--text", "--dot", "--markdown"):
        out = lab.seguectl("graph", form, config=False)
        for state in ("SETUP", "TALK", "RING", "JOIN", "RESUME", "BACK", "ALONE"):
            assert state in out, (form, state)


@tap.case("db init and db upgrade twice: harmless")
def db_twice(lab):
    for cmd in ("init", "upgrade", "init"):
        lab.seguectl("db", cmd, "--db", lab.conninfo, "--sql", os.path.join(SRC, "sql"),
                     config=False)


if __name__ == "__main__":
    tap.main(Lab, jobs=4)
