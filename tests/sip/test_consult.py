"""Consultation by command: segue rings the target itself and connects the agent's own phone to it."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import end, hears, joined, talk, wait
from segued import Lab


def call_of(lab, c):
    return lab.conversation(c, final=False)["call"]


def consult(lab, c, a, target):
    """The agent's phone talks with the target, the customer is held. Returns the target's call."""
    lab.seguectl("consult", call_of(lab, c), target.number)
    b = target.incoming()
    b.reply(180)
    wait("the customer is held", lambda: c.remote_sdp.dir() in ("sendonly", "inactive"))
    b.answer()
    b.expect("ACK")
    joined(a, b)
    return b


@tap.case("records.md example 2: consult, complete; consult time apart from talk")
def complete(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    b = consult(lab, c, a, target)
    lab.seguectl("complete", call_of(lab, c))
    joined(c, b)
    a.expect("BYE")
    end(c, b)
    led = lab.ledger(c)
    assert [(s["who"], s["kind"]) for s in led.segments] == [
        (agent.user, "agent"), (target.user, "consult"), (target.user, "agent")], led
    assert led.segments[0]["consult_ms"] > 0 and led.segments[1]["consult_ms"] > 0, led
    assert led.segments[1]["talk_ms"] == 0 and led.segments[2]["talk_ms"] > 0, led
    t, = led.transfers
    assert (t["kind"], t["outcome"], t["to_segment_id"]) == (
        "consult", "completed", led.segments[2]["id"]), t
    assert led.conversation["n_consult"] == 1 and led.conversation["n_blind"] == 0, led


@tap.case("swap to the customer and back, then complete")
def swap(lab):
    c, a = talk(lab, lab.phone())
    target = lab.phone()
    b = consult(lab, c, a, target)
    call = call_of(lab, c)
    lab.seguectl("swap", call)
    joined(c, a)
    wait("the target waits", lambda: b.remote_sdp.dir() in ("sendonly", "inactive"))
    lab.seguectl("swap", call)
    joined(a, b)
    lab.seguectl("complete", call)
    joined(c, b)
    a.expect("BYE")
    end(c, b)
    assert lab.ledger(c).transfers[0]["outcome"] == "completed"


@tap.case("R-035 R-036 by command, and C refuses B's media: A and B talk on, then complete again")
def join_rolled_back(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    b = consult(lab, c, a, target)
    call = call_of(lab, c)
    c.manual = {"INVITE"}
    lab.seguectl("complete", call)
    req = c.expect("INVITE", where=lambda m: m.sdp.port() == b.sdp.port)
    c.reply(488, req=req)
    c.expect("ACK", where=lambda m: m.cseq == req.cseq)
    c.manual = set()
    joined(a, b)
    for x in (a, b, c):
        x.expect_none("BYE", 0.1)
    lab.seguectl("swap", call)
    joined(c, a)
    lab.seguectl("complete", call)
    joined(c, b)
    a.expect("BYE")
    end(c, b)
    led = lab.ledger(c)
    assert [t["outcome"] for t in led.transfers] == ["completed"], led
    assert "join_failed" in led.types(), led


@tap.case("records.md example 3: consult, cancel: the agent has the customer, the target only consulted")
def cancel(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    b = consult(lab, c, a, target)
    lab.seguectl("cancel", call_of(lab, c))
    b.expect("BYE")
    joined(c, a)
    end(c, a)
    led = lab.ledger(c)
    assert [s["kind"] for s in led.segments] == ["agent", "consult"], led
    assert led.transfers[0]["outcome"] == "cancelled", led


@tap.case("E-086 complete while the target rings: the agent leaves, the target rings on and is joined")
def semi(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    call = call_of(lab, c)
    lab.seguectl("consult", call, target.number)
    b = target.incoming()
    b.reply(180)
    lab.seguectl("complete", call)
    a.expect("BYE")
    b.answer()
    b.expect("ACK")
    joined(c, b)
    end(c, b)
    led = lab.ledger(c)
    assert led.transfers[0]["kind"] == "semi" and led.transfers[0]["outcome"] == "completed", led
    assert [s["kind"] for s in led.segments] == ["agent", "agent"], led


@tap.case("E-025 the target is busy: the agent has the customer back")
def busy(lab):
    c, a = talk(lab, lab.phone())
    target = lab.phone()
    lab.seguectl("consult", call_of(lab, c), target.number)
    b = target.incoming()
    b.reply(486)
    wait("the customer hears the agent", lambda: c.remote_sdp.dir() == "sendrecv")
    joined(c, a)
    end(c, a)
    assert lab.ledger(c).transfers[0]["cause"] == "busy"


@tap.case("E-018 the customer hangs up in mid-consult: agent and target talk on")
def customer_leaves(lab):
    c, a = talk(lab, lab.phone())
    b = consult(lab, c, a, lab.phone())
    c.hangup()
    led = lab.ledger(c)
    assert led.transfers[0]["outcome"] == "abandoned", led
    joined(a, b)
    end(a, b)


@tap.case("hold, unhold, and a refusal that names the state")
def hold(lab):
    c, a = talk(lab, lab.phone())
    call = call_of(lab, c)
    lab.seguectl("hold", call)
    wait("the customer is held", lambda: c.remote_sdp.dir() in ("sendonly", "inactive"))
    said = lab.seguectl("complete", call, ok=False)
    assert "TALK" in said, said
    lab.seguectl("unhold", call)
    joined(c, a)
    end(c, a)
    assert lab.ledger(c).segments[0]["hold_ms"] > 0


@tap.case("resume: a transferor who has left is rung again, while the target rings")
def resume(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    call = call_of(lab, c)
    lab.seguectl("transfer", call, target.number)
    b = target.incoming()
    b.reply(180)
    a.hangup()
    lab.seguectl("resume", call)
    back = agent.incoming()
    back.answer()
    back.expect("ACK")
    joined(c, back)
    end(c, back)
    led = lab.ledger(c)
    assert led.transfers[0]["outcome"] == "recalled", led


if __name__ == "__main__":
    tap.main(lambda: Lab(users=60, peers=20, t={"ring": 20000}))  # a command is asked for while it rings
