"""Many calls and people at once: lists are written a few rows at a time, pages and the snapshot have each row
once, and a row that is kept is never an old one."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from desk import Desk
from flows import end, talk, wait
from web import WebLab

N = 45  # more than are answered in one piece, and than one turn of the loop renders


def ids(answer):
    assert answer.status == 200, answer
    return [k["id"] for k in answer.json["calls"]]


def many_calls(lab, boss):
    """So many callers wait in a queue whose one agent's phone rings."""
    trunk, desk = lab.trunk(), Desk(lab, lab.phone(), ring_ms=90000)
    calls = [trunk.invite(desk.number) for _ in range(N)]
    wait("all are there", lambda: boss.get("/calls").json["total"] == N)
    return calls


def pages(boss, limit, between=lambda page: None):
    """The ids of each page, and what happens after each."""
    got, cursor = [], 0
    while cursor is not None:
        answer = boss.get(f"/calls?limit={limit}&cursor={cursor}")
        got.append(ids(answer))
        cursor = answer.json["next"]
        if cursor is not None:
            between(got[-1])
    return got


@tap.case("whole, in pages and in the snapshot each call is there once; what ends meanwhile shifts nobody")
def calls(_):
    with WebLab(users=30, peers=2) as lab:
        boss = lab.login("boss")
        many_calls(lab, boss)
        whole = ids(boss.get("/calls"))
        assert len(set(whole)) == len(whole) == N, whole
        for limit in (1, 10, 15, N, 1000):
            got = pages(boss, limit)
            assert sum(got, []) == whole and max(map(len, got)) <= limit, (limit, got)
        with boss.events() as one, boss.events() as two:  # two who begin at the same moment
            for ev in (one, two):
                shown = ev.wait("snapshot").data
                assert [k["id"] for k in shown["calls"]] == whole and shown["total"] == N, shown["total"]

        def last_one_leaves(page):
            assert boss.post(f"/calls/{page[-1]}/hangup").status == 200
            wait("it has gone", lambda: boss.get(f"/calls/{page[-1]}").status == 404)

        got = sum(pages(boss, 10, last_one_leaves), [])
        assert got == whole, (got, whole)
        left = ids(boss.get("/calls"))
        assert len(left) == N - 4 and set(left) < set(whole), left
        assert boss.get("/calls?limit=0").json["error"]["field"] == "limit"
        assert boss.get("/calls?cursor=x").json["error"]["field"] == "cursor"
        people = boss.get("/agents").json["agents"]
        assert len({a["user"] for a in people}) == len(people) >= 33, len(people)
        end_all(lab, boss)


def end_all(lab, boss):
    for call in ids(boss.get("/calls")):
        boss.post(f"/calls/{call}/hangup")
    wait("all have gone", lambda: boss.get("/calls").json["total"] == 0, 45)


@tap.case("a row that is kept shows what has changed: the state, a name of the directory, the next transfer")
def fresh(lab):
    boss, agent = lab.login("boss"), lab.phone()
    c, a = talk(lab, agent)
    call = boss.call_of(c)["id"]

    def row():
        return [k for k in boss.get(f"/calls?agent={agent.user}").json["calls"] if k["id"] == call][0]

    def of_snapshot():
        with boss.events() as ev:
            return [k for k in ev.wait("snapshot").data["calls"] if k["id"] == call][0]

    wait("both show the same", lambda: row()["state"] == "talking" and of_snapshot() == row())
    assert boss.post(f"/calls/{call}/hold").status == 200
    wait("it is held", lambda: row()["state"] == "held" and row()["so_far"][-1]["state"] == "holding")
    wait("the snapshot shows the same", lambda: of_snapshot() == row())
    lab.sql(f"update segue.users set display_name = 'Renamed' where name = '{agent.user}'")
    wait("the new name is shown", lambda: row()["with"]["name"] == "Renamed")
    wait("the snapshot, too", lambda: of_snapshot()["with"]["name"] == "Renamed")
    assert boss.post(f"/calls/{call}/unhold").status == 200
    target = lab.phone()
    assert boss.post(f"/calls/{call}/transfer", {"number": target.number}).status == 201
    target.incoming().reply(180)
    wait("it rings", lambda: (row()["transfer"] or {}).get("stage") == "ringing")
    wait("the snapshot shows it, too", lambda: (of_snapshot()["transfer"] or {}).get("stage") == "ringing")
    assert boss.post(f"/calls/{call}/cancel").status == 200
    wait("they talk again", lambda: row()["state"] == "talking" and row()["transfer"] is None)
    end(c, a)


@tap.case("people of a snapshot are those of GET /agents, after each kind of change")
def people(_):
    with WebLab(users=70, peers=2) as lab:  # more than one turn of the loop renders
        boss, agent = lab.login("boss"), lab.phone()
        desk = Desk(lab, agent, wrapup_ms=0)
        timeless = lambda rows: {u["user"]: {k: v for k, v in u.items() if k not in ("since", "until")} for u in rows}

        def both():
            with boss.events() as ev:
                shown = timeless(ev.wait("snapshot").data["agents"])
            return shown, timeless(boss.get("/agents").json["agents"])

        def is_shown(**what):
            def so():
                shown, listed = both()
                return shown == listed and len(shown) > 70 and all(shown[agent.user][k] == v for k, v in what.items())
            wait(f"both show {what}", so)

        is_shown(state="free", intent="available", queues=[desk.name])
        for state, reason in (("away", "lunch"), ("available", None)):
            body = {"state": state, **({"reason": reason} if reason else {})}
            assert boss.post(f"/agents/{agent.user}/state", body).status == 200
            is_shown(intent=state, reason=reason, intent_by="boss")
        c = lab.trunk().invite(desk.number)
        a = agent.incoming()
        a.reply(180)
        is_shown(state="ringing")
        a.answer()
        a.expect("ACK")
        c.expect(200, method="INVITE")
        c.ack()
        is_shown(state="talking", call=boss.call_of(c)["id"])
        end(c, a)
        is_shown(state="free", answered=1, call=None)
        for column, value, what in (("display_name", "'Renamed'", {"name": "Renamed"}),
                                    ("number", "'2999'", {"number": "2999"}),
                                    ("role", "'supervisor'", {"role": "supervisor"}),
                                    ("enabled", "false", {"enabled": False})):
            lab.sql(f"update segue.users set {column} = {value} where name = '{agent.user}'")
            is_shown(**what)
        lab.sql(f"delete from segue.queue_members where queue = '{desk.name}'; "
                f"update segue.users set enabled = true where name = '{agent.user}'")
        is_shown(enabled=True, queues=[], intent=None)
        agent.register(expires=0, contacts=["*"])
        is_shown(registered=False, state="unreachable")


if __name__ == "__main__":
    tap.main(lambda: WebLab(users=8, peers=3, t={"ring": 90000}), jobs=2)
