"""Every verb in every state: one table of what docs/transfers.md and docs/api-shapes.md promise, asked of
the built daemon with real calls behind it. A cell is the status and the state of the call after it."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from desk import Desk
from flows import end, joined, ring, talk, wait
from web import WebLab

# No state ends by itself while a loaded machine asks its questions.
PATIENT = {"setup": 90000, "ring": 90000, "recall": 90000, "join": 60000, "resume": 60000}

COLUMNS = ("transfer", "consult", "retry", "complete", "swap", "cancel", "resume", "hold", "unhold", "hangup")

# no     refused, 409: the answer has the state of the row, and nothing has changed
# word   done, and this is the state that the call comes to
# Not in the table: a note is taken (200) until the conversation is closed (409), recording needs a media
# engine (409 that says so), and what needs a mixer is 501 in every state.
TABLE = """
state                  transfer     consult    retry        complete     swap       cancel       resume       hold hold    hangup
dialling               no           no         no           no           no         no           no           no   no      ended
ringing                no           no         no           no           no         no           no           no   no      ended
talking                transferring consulting transferring no           no         no           no           held talking ended
held                   transferring consulting transferring no           no         no           no           held talking ended
given back             transferring consulting transferring no           no         no           no           held talking ended
consulting, it rings   no           no         transferring transferring no         talking      talking      no   no      ended
consulting             no           no         transferring talking      consulting talking      talking      no   no      ended
consulting, swapped    no           no         transferring talking      consulting talking      talking      no   no      ended
transferring           no           no         transferring no           no         talking      talking      no   no      ended
transferring, alone    transferring no         transferring no           no         transferring transferring no   no      ended
transferring, stays    no           no         transferring queued       no         talking      talking      no   no      ended
queued                 transferring no         transferring no           no         no           no           no   no      ended
queued, an agent rings transferring no         transferring no           no         no           no           no   no      ended
ending                 no           no         no           no           no         no           no           no   no      ended
"""

ROWS = {line[:23].strip(): dict(zip(COLUMNS, line[23:].split())) for line in TABLE.strip().splitlines()[1:]}


def boss(lab):
    with lab.lock:
        if not hasattr(lab, "boss_session"):
            lab.boss_session = lab.login("boss")
    return lab.boss_session


class People:
    """The phones of one row; each cell has a call of its own, with them."""

    def __init__(self, lab):
        self.lab, self.trunk = lab, lab.trunk()
        self.agent, self.target, self.spare = lab.phone(), lab.phone(), lab.phone()
        self.desk = None

    def talk(self):
        c, a = talk(self.lab, self.agent, trunk=self.trunk)
        return c, a, boss(self.lab).call_of(c)["id"]


def ask(p, call, verb, number=None):
    body = None
    if verb in ("transfer", "consult", "retry"):
        body = {"number": number or p.spare.number, "kind": "consult" if verb == "consult" else "blind"}
    return boss(p.lab).post(f"/calls/{call}/{'transfer' if verb == 'consult' else verb}", body)


def row_of(p, call):
    return boss(p.lab).get("/calls/" + call)


def table_state(p, call, state):
    wait(f"its row is {state}, not {row_of(p, call)}", lambda: row_of(p, call).json["table_state"] == state)


# ---- how a call comes into each state: the call's id, and its conversation --------------------------


def dialling(p):
    number = p.lab.outside(p.trunk, "5551234")
    got = boss(p.lab).post("/calls", {"number": number, "user": p.agent.user})
    assert got.status == 201, got
    p.agent.incoming().reply(180)
    return got.json["id"]


def ringing(p):
    c, _ = ring(p.trunk, p.agent.number, p.agent)
    return boss(p.lab).call_of(c)["id"]


def talking(p):
    return p.talk()[2]


def held(p):
    call = p.talk()[2]
    assert ask(p, call, "hold").status == 200
    return call


def rings(p, call):
    """The target rings, and segue knows: what a phone has sent may be read after a question by HTTP."""
    p.target.incoming().reply(180)
    wait("it rings", lambda: row_of(p, call).json["transfer"]["stage"] == "ringing")


def transferring(p):
    call = p.talk()[2]
    assert ask(p, call, "transfer", p.target.number).status == 201
    rings(p, call)
    return call


def given_back(p):
    """The transfer has failed, the agent talks with the customer again: row BACK or TALK."""
    c, a, call = p.talk()
    assert ask(p, call, "transfer", p.target.number).status == 201
    p.target.incoming().reply(486)
    wait("they talk", lambda: row_of(p, call).json["state"] == "talking")
    return call


def alone(p):
    c, a, call = p.talk()
    assert ask(p, call, "transfer", p.target.number).status == 201
    rings(p, call)
    a.hangup()
    table_state(p, call, "ALONE")
    return call


def consult_rings(p):
    call = p.talk()[2]
    assert ask(p, call, "consult", p.target.number).status == 201
    rings(p, call)
    return call


def consulting(p):
    c, a, call = p.talk()
    assert ask(p, call, "consult", p.target.number).status == 201
    b = p.target.incoming()
    b.answer()
    b.expect("ACK")
    joined(a, b)
    table_state(p, call, "CONSULT")
    return call


def swapped(p):
    call = consulting(p)
    assert ask(p, call, "swap").status == 200
    table_state(p, call, "ASIDE")
    return call


def enough_agents(p):
    """A queue whose one agent is on a call of his own, so that it takes callers and asks nobody."""
    if p.desk is None:
        p.desk = Desk(p.lab, p.target, ring_ms=90000)
        p.busy = talk(p.lab, p.target)
    return p.desk


def stays(p):
    call = p.talk()[2]
    number = enough_agents(p).number
    got = boss(p.lab).post(f"/calls/{call}/transfer", {"number": number, "stay": True})
    assert got.status == 201, got
    table_state(p, call, "STAY_WAIT")
    return call


def queued(p):
    c = p.trunk.invite(enough_agents(p).number)
    c.expect(180, method="INVITE")
    call = boss(p.lab).call_of(c)["id"]
    table_state(p, call, "WAIT")
    return call


def offered(p):
    if p.desk is None:
        p.desk = Desk(p.lab, p.target, ring_ms=90000)
    wait("the agent is free", lambda: p.desk.look()["queue"]["agents"]["free"] == 1)
    c = p.trunk.invite(p.desk.number)
    p.target.incoming().reply(180)
    call = boss(p.lab).call_of(c)["id"]
    table_state(p, call, "WAIT")
    return call


def ending(p):
    """The customer has hung up; the agent's phone has not said yet that it knows."""
    c, a, call = p.talk()
    a.manual = {"BYE"}
    c.hangup()
    bye = a.expect("BYE")
    p.at_end = lambda: a.reply(200, req=bye)
    table_state(p, call, "END")
    return call


MAKERS = {
    "dialling": dialling, "ringing": ringing, "talking": talking, "held": held,
    "given back": given_back, "transferring": transferring, "transferring, alone": alone,
    "transferring, stays": stays, "consulting, it rings": consult_rings, "consulting": consulting,
    "consulting, swapped": swapped, "queued": queued, "queued, an agent rings": offered,
    "ending": ending,
}

# A row is called by the state that it shows, but for these.
SHOWN = {"dialling": "ringing", "given back": "talking", "ending": "ended"}


def shown(row):
    return SHOWN.get(row) or row.split(",")[0]


def come(p, state):
    """A call in that state, and its conversation."""
    p.at_end = lambda: None
    call = MAKERS[state](p)
    got = row_of(p, call)
    assert got.status == 200 and got.json["state"] == shown(state), (state, got)
    return call, got.json["conversation"]


def all_over(p, call, conversation, state):
    """Hung up from whatever state it is in: on record with sums that add up and nothing left open."""
    if row_of(p, call).status == 200:  # it may just have gone
        got = ask(p, call, "hangup")
        assert got.status in (200, 404), (state, got)
    p.at_end()
    where = f"conversation_id = '{conversation}'"
    wait(f"{state}: it is on record as ended", lambda: p.lab.rows(
        f"select 1 from segue.conversations where id = '{conversation}' and ended_at is not null"))
    for open_row in (f"segments where {where} and ended_at is null",
                     f"transfers where {where} and outcome is null",
                     f"check_ledger() where {where}"):
        assert not p.lab.rows("select * from segue." + open_row), (state, open_row)
    wait("the phones are free", lambda: not [
        c for c in boss(p.lab).get("/calls").json["calls"] if c["id"] == call])


def refused(p, state, verb, call):
    before = row_of(p, call).json
    got = ask(p, call, verb)
    assert got.status == 409 and got.code == "conflict", (state, verb, got)
    error = got.json["error"]
    assert error["state"] == shown(state) and error["call"]["id"] == call, (state, verb, got)
    assert error["message"], (state, verb, got)
    after = row_of(p, call).json
    for same in ("state", "table_state", "with", "transfer"):
        assert before[same] == after[same], (state, verb, same, before[same], after[same])


def on_record(p, conversation, verbs):
    """Each refusal, with whose it was and why (M6); a retry or a consultation is asked for as a transfer."""
    expected = {"transfer" if verb in ("consult", "retry") else verb for verb in verbs}
    wait(f"the refused {expected} are on record", lambda: expected <= {r["action"] for r in p.lab.rows(
        "select action from segue.audit where result = 'refused' and who = 'boss' and via = 'panel' and "
        f"conversation_id = '{conversation}' and why <> ''")})


def done(p, state, verb, expected):
    call, conversation = come(p, state)
    got = ask(p, call, verb)
    assert got.status == (201 if verb in ("transfer", "consult", "retry") else 200), (state, verb, got)
    if got.status == 201:
        assert got.json["call"] == call and got.json["target"]["name"] == p.spare.user, (state, verb, got)
        assert got.json["kind"] == ("consult" if verb == "consult" else "blind"), (state, verb, got)
        assert boss(p.lab).get("/" + got.headers["Location"]).json["id"] == got.json["id"]
        p.spare.incoming().reply(180)
    elif state == "transferring, alone" and verb in ("cancel", "resume"):
        p.agent.incoming().reply(180)  # the recall
    if expected != "ended":
        wait(f"{state}, {verb}: it comes to {expected}, not {row_of(p, call)}",
             lambda: row_of(p, call).json["state"] == expected)
    all_over(p, call, conversation, f"{state}, {verb}")


def row_case(state):
    @tap.case(f"{state}: every verb is done or refused as the table says, and nothing stays open")
    def _(lab):
        p = People(lab)
        row = ROWS[state]
        call, conversation = come(p, state)
        can = row_of(p, call).json["can"]
        for verb in COLUMNS:
            if row[verb] == "no":
                refused(p, state, verb, call)
                assert can.get(verb) is not True, (state, verb, can)
            elif verb in can and row[verb] != shown(state):
                moves = verb == "transfer" and can["move"] is True  # who waits is moved that way
                assert can[verb] is True or moves, (state, verb, can)
        got = boss(lab).post(f"/calls/{call}/note", {"text": "seen"})
        assert got.status == (409 if state == "ending" else 200), (state, got)
        got = boss(lab).post(f"/calls/{call}/recording", {"action": "start"})
        assert got.status == 409, (state, got)
        assert state == "ending" or "media engine" in got.json["error"]["message"], got
        for verb in ("conference", "whisper", "barge"):
            got = boss(lab).post(f"/calls/{call}/{verb}")
            assert got.status == 501 and got.code == "needs_mixer", (state, verb, got)
        wait(f"{state} is as it was, not {row_of(p, call)}",
             lambda: row_of(p, call).json["state"] == shown(state))
        all_over(p, call, conversation, state)
        on_record(p, conversation, [verb for verb in COLUMNS if row[verb] == "no"])
        for verb in COLUMNS:
            if row[verb] != "no":
                done(p, state, verb, row[verb])


@tap.case("gone: every verb is 404, and says that there is no such call")
def gone(lab):
    p = People(lab)
    c, a, call = p.talk()
    end(c, a)
    wait("it has gone", lambda: row_of(p, call).status == 404, 45)
    for verb in COLUMNS + ("note", "recording"):
        body = {"note": {"text": "x"}, "recording": {"action": "start"}}.get(verb)
        got = boss(lab).post(f"/calls/{call}/{verb}", body) if body else ask(p, call, verb)
        assert got.status == 404 and got.code == "no_call", (verb, got)


@tap.case("the table has a row for each state, and each row a way there")
def whole(_):
    assert set(ROWS) == set(MAKERS), set(ROWS) ^ set(MAKERS)
    assert all(len(row) == len(COLUMNS) for row in ROWS.values()), ROWS
    assert {shown(r) for r in ROWS} == {"ringing", "talking", "held", "consulting", "transferring",
                                        "queued", "ended"}


for name in ROWS:
    row_case(name)


if __name__ == "__main__":
    tap.main(lambda: WebLab(t=PATIENT), jobs=4)
