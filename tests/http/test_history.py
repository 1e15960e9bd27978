"""History over HTTP: what PostgreSQL knows, as each role may see it; and without PostgreSQL."""
import concurrent.futures
import csv
import io
import os
import re
import struct
import subprocess
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from desk import Desk
from flows import end, joined, one_day, pick_up, talk, transfer, wait
from web import WebLab

NOBODY = "01935c0e-7c1a-7bd2-9f0e-3d1f0a9b8c77"


def past(lab, agent=None, headers=()):
    """A call that was transferred and is over: (customer's Ua, agent, target, its ledger)."""
    agent, target = agent or lab.phone(), lab.phone()
    c, a = talk(lab, agent, headers=headers)
    b = transfer(lab, c, a, target)
    end(c, b)
    return c.ua, agent, target, lab.ledger(c)


@tap.case("conversations: filters, and the segments with their intervals add up")
def conversations(lab):
    customer, agent, target, led = past(lab)
    boss = lab.login("boss")
    got = boss.get(f"/conversations?agent={agent.user}").json["conversations"]
    assert len(got) == 1, got
    row = got[0]
    assert row["id"] == led.conversation["id"] and row["transferred"] is True, row
    assert row["customer"]["number"] == customer.user, row
    assert [s["who"] for s in row["segments"]] == [agent.user, target.user], row
    for s in row["segments"]:
        talked = sum(i["ms"] for i in s["intervals"] if i["state"] == "talking")
        assert talked == s["talk_ms"], s
    for query, n in ((f"agent={agent.user}&outcome=transferred", 1),
                     (f"agent={agent.user}&outcome=answered", 1),
                     (f"agent={agent.user}&outcome=abandoned", 0),
                     (f"agent={agent.user}&to=2020-01-01", 0),
                     (f"agent={agent.user}&from=2020-01-01T00:00:00Z", 1),
                     (f"agent={agent.user}&queue=support", 0),
                     (f"agent={agent.user}&number={customer.user[-5:]}", 1),
                     (f"agent={agent.user}&contact=%2B{customer.user[1:]}", 1),
                     (f"agent={agent.user}&case={row['case']['id']}", 1)):
        got = boss.get("/conversations?" + query)
        assert got.status == 200 and len(got.json["conversations"]) == n, (query, got)


@tap.case("conversations: a page at a time, each conversation once, newest first")
def paging(lab):
    agent = lab.phone()
    ids = [past(lab, agent)[3].conversation["id"] for _ in range(3)]
    boss = lab.login("boss")
    seen, query = [], f"/conversations?agent={agent.user}&limit=2"
    page = boss.get(query).json
    seen += [c["id"] for c in page["conversations"]]
    assert len(seen) == 2 and page["next"] == seen[-1], page
    page = boss.get(query + "&cursor=" + page["next"]).json
    seen += [c["id"] for c in page["conversations"]]
    assert page["next"] is None and seen == ids[::-1], (page, seen, ids)


@tap.case("conversations: calls that come between two pages are in neither, and push nobody out of the next")
def paging_while_calls_come(lab):
    agent = lab.phone()
    ids = [past(lab, agent)[3].conversation["id"] for _ in range(3)]
    boss = lab.login("boss")
    query = f"/conversations?agent={agent.user}&limit=1"
    seen, page = [], boss.get(query).json
    while True:
        seen += [c["id"] for c in page["conversations"]]
        if page["next"] is None:
            break
        if len(seen) < 3:
            past(lab, agent)
        page = boss.get(query + "&cursor=" + page["next"]).json
    assert seen == ids[::-1], (seen, ids)


@tap.case("one conversation: segments, transfers, timeline and note; the case and the contact")
def conversation(lab):
    agent, target = lab.phone(), lab.phone()
    boss = lab.login("boss")
    c, a = talk(lab, agent)
    text = "will call back: " + "ä" * 700
    got = boss.post(f"/calls/{boss.call_of(c)['id']}/note", {"text": text})
    assert got.status == 200, got
    b = transfer(lab, c, a, target)
    end(c, b)
    led = lab.ledger(c)
    one = boss.get("/conversations/" + led.conversation["id"]).json
    assert [t["outcome"] for t in one["transfers"]] == ["completed"], one
    assert one["timeline"][0]["type"] == "conversation_started", one
    assert [e["seq"] for e in one["timeline"]] == [e["seq"] for e in led.timeline]
    assert one["remarks"][0]["text"] == text and one["remarks"][0]["author"] == "boss", one
    assert one["linked_to"] is None, one
    there = "01935c0e-7c1a-7bd2-9f0e-3d1f0a9b8c77"  # a conversation of another node
    lab.sql(f"update segue.conversations set linked_to = '{there}' where id = '{one['id']}'")
    assert boss.get("/conversations/" + one["id"]).json["linked_to"] == there
    case = boss.get("/cases/" + one["case"]["id"]).json
    assert case["owner"] == target.user, case
    assert case["conversations"][0]["id"] == one["id"], case
    assert {e["conversation"] for e in case["timeline"]} == {one["id"]}, case
    contact = boss.get("/contacts/" + c.ua.user.replace("+", "%2B")).json
    assert contact["conversations"] >= 1 and contact["cases"], contact
    assert {x["user"] for x in contact["agents"]} >= {agent.user, target.user}, contact
    old = boss.get("/transfers/" + led.transfers[0]["id"]).json
    assert old["outcome"] == "completed", old


@tap.case("an agent finds own conversations alone, a supervisor those of the departments' members")
def scopes(lab):
    member, outsider = lab.phone(), lab.phone()
    lab.sql(f"insert into segue.queue_members values ('support', '{member.user}')")
    inside, outside = past(lab, member)[3], past(lab, outsider)[3]
    mine, other = inside.conversation["id"], outside.conversation["id"]
    for who, own, foreign in (("sup", mine, other), (member.user, mine, other),
                              (outsider.user, other, mine)):
        session = lab.login(who)
        listed = [c["id"] for c in session.get("/conversations?limit=200").json["conversations"]]
        assert own in listed and foreign not in listed, (who, listed)
        assert session.get("/conversations/" + own).status == 200, who
        got = session.get("/conversations/" + foreign)
        assert got.status == 404 and got.code == "not_found", (who, got)
    sales = lab.login("sup2").get("/conversations?limit=200").json["conversations"]
    assert mine not in [c["id"] for c in sales], sales


@tap.case("conversations that came to a queue, by its name; its hour, half hour and last 15 minutes have the call")
def by_queue(lab):
    agent = lab.phone()
    desk = Desk(lab, agent)
    c = lab.trunk(trusted=True).invite(desk.number, headers=[("X-Case-ID", "Q-" + desk.name)])
    a = agent.incoming()
    pick_up(c, a)
    joined(c, a)
    end(c, a)
    led = lab.ledger(c)
    boss = lab.login("boss")
    for query in (f"queue={desk.name}", f"queue={desk.name}&agent={agent.user}",
                  "case=Q-" + desk.name, f"queue={desk.name}&case=Q-{desk.name}&outcome=answered"):
        got = boss.get("/conversations?" + query).json["conversations"]
        assert [x["id"] for x in got] == [led.conversation["id"]], (query, got)
    for query in (f"queue={desk.name}&outcome=abandoned", "queue=support&case=Q-" + desk.name):
        assert boss.get("/conversations?" + query).json["conversations"] == [], query
    for by in ("hour", "half_hour", "recent"):
        got = boss.get(f"/reports/queues?queue={desk.name}&by={by}").json["queues"]
        assert [(q["queue"], q["offered"], q["answered"], q["abandoned"]) for q in got] == \
            [(desk.name, 1, 1, 0)], got
    assert boss.get(f"/reports/queues?queue={desk.name}&to=2020-01-01").json["queues"] == []
    lab.sql(f"update segue.segments set offered_at = offered_at - interval '15 min' where who = '{desk.name}'")
    assert boss.get(f"/reports/queues?queue={desk.name}&by=recent").json["queues"] == [], "it is longer ago"


@tap.case("history waits for the database alone: while that is locked, calls, verbs and live answers go on")
def locked(_):
    with WebLab(users=4, peers=2) as lab:
        boss = lab.login("boss")
        lock = subprocess.Popen(["psql", "-X", "-q", "-d", lab.conninfo], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
        pool = concurrent.futures.ThreadPoolExecutor(6)
        try:
            lock.stdin.write("begin; lock table segue.conversations in access exclusive mode;\n\\echo held\n")
            lock.stdin.flush()
            assert any("held" in line for line in iter(lock.stdout.readline, ""))
            asked = [pool.submit(boss.get, path, timeout=60) for path in (
                "/conversations", "/conversations.csv", "/conversations/" + NOBODY, "/contacts/1",
                "/cases/none", "/reports/queues")]
            c, a = talk(lab)
            row = [x for x in boss.get("/calls").json["calls"] if x["customer"]["number"] == c.ua.user][0]
            assert boss.post(f"/calls/{row['id']}/hold").status == 200
            wait("it is held", lambda: boss.get("/calls/" + row["id"]).json["state"] == "held")
            assert boss.post(f"/calls/{row['id']}/hangup").status == 200
            a.expect("BYE")
            c.expect("BYE")
            assert not asked[0].done() or asked[0].result().status == 503, asked[0].result()
        finally:
            lock.communicate("rollback;\n\\q\n", timeout=20)
            pool.shutdown()
        got = [x.result().status for x in asked]
        assert set(got) <= {200, 404, 503}, got
        led = lab.ledger(c)
        assert boss.get("/conversations/" + led.conversation["id"]).status == 200


@tap.case("CSV: what is filtered, one line for each; a name that is a formula stays text")
def table(lab):
    customer, agent, target, led = past(lab)
    lab.sql("update segue.conversations set customer_name = '=1+1,\"x\"' "
            f"where id = '{led.conversation['id']}'")
    got = lab.login("boss").get(f"/conversations.csv?agent={agent.user}")
    assert got.status == 200 and got.headers["Content-Type"].startswith("text/csv"), got
    assert "attachment" in got.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(got.body.decode(), newline="")))
    assert len(rows) == 1 and rows[0]["id"] == led.conversation["id"], rows
    assert rows[0]["customer_name"] == "'=1+1,\"x\"", rows
    assert rows[0]["path"] == f"{agent.user} > {target.user}", rows
    assert rows[0]["talk_ms"] == str(led.conversation["talk_ms"]), rows


@tap.case("CSV: whatever a spreadsheet takes for a formula stays text; numbers stay as they are")
def formulas(lab):
    customer, agent, target, led = past(lab)
    boss = lab.login("boss")
    for name, stays in (("=1+1", False), ("+1+cmd|' /C calc'!A0", False), ("-2+3", False), ("@SUM(1)", False),
                        ("\t=1", False), (" =1", False), ("\uff1d1", False), ("+A1", False),
                        ("+49 30/1234-5", True), ("+49****0132", True), ("Kim = Lee", True), ("1-2", True)):
        quoted = name.replace("'", "''")
        lab.sql(f"update segue.conversations set customer_name = '{quoted}' "
                f"where id = '{led.conversation['id']}'")
        got = boss.get(f"/conversations.csv?agent={agent.user}")
        row, = csv.DictReader(io.StringIO(got.body.decode(), newline=""))
        assert row["customer_name"] == ("" if stays else "'") + name, (name, row)


@tap.case("CSV: what does not fit is had with the next link, each conversation once")
def pages(lab):
    customer, agent, _, _ = past(lab)
    boss = lab.login("boss")
    for _ in range(2):
        end(*talk(lab, agent))
    wait("all are on record", lambda: len(boss.get(
        f"/conversations?agent={agent.user}").json["conversations"]) == 3)
    meant = [c["id"] for c in boss.get(f"/conversations?agent={agent.user}").json["conversations"]]
    got, seen = boss.get(f"/conversations.csv?agent={agent.user}&limit=2"), []
    for _ in range(2):
        seen += [r["id"] for r in csv.DictReader(io.StringIO(got.body.decode(), newline=""))]
        link = got.headers["Link"]
        if link is None:
            break
        url = re.fullmatch(r'<(/api/v1/\S+)>; rel="next"', link)[1]
        assert f"agent={agent.user}" in url and "limit=2" in url, url
        got = boss.get("/" + url)
    assert seen == meant and link is None, (seen, meant, link)


@tap.case("reports: an agent's day has the call; the columns are those of the view")
def reports(lab):
    one_day()
    customer, agent, target, led = past(lab)
    day = lab.login("boss").get(f"/reports/agents?agent={agent.user}").json["agents"]
    assert len(day) == 1 and day[0]["answers"] == 1 and day[0]["transfers_out"] == 1, day
    assert day[0]["talk_ms"] == led.segments[0]["talk_ms"], day
    mine = lab.login(agent.user).get("/reports/agents").json["agents"]
    assert {d["user_name"] for d in mine} == {agent.user}, mine
    assert lab.login("boss").get("/reports/queues?from=2020-01-01").json["queues"] is not None


def add_recording(lab, led, body):
    path = os.path.join(lab.dir, led.conversation["id"] + ".wav")
    with open(path, "wb") as f:
        f.write(body)
    return lab.sql(
        "insert into segue.recordings (id, conversation_id, segment_id, file, started_at, outbox_id, "
        f"fact_id) values (gen_random_uuid(), '{led.conversation['id']}', '{led.segments[0]['id']}', "
        f"'{path}', now(), 1, 1) returning id")[0][0], path


@tap.case("a recording: whole, in parts by Range, 416 beyond its end, 404 without the file or the right")
def recording(lab):
    customer, agent, target, led = past(lab)
    body = struct.pack("<1000H", *range(1000))
    rec, path = add_recording(lab, led, body)
    boss = lab.login("boss")
    whole = boss.get("/recordings/" + rec)
    assert whole.status == 200 and whole.body == body, whole
    assert whole.headers["Accept-Ranges"] == "bytes"
    for header, status, part, name in (
            ("bytes=0-9", 206, body[:10], "bytes 0-9/2000"),
            ("bytes=1990-", 206, body[1990:], "bytes 1990-1999/2000"),
            ("bytes=-5", 206, body[-5:], "bytes 1995-1999/2000"),
            ("bytes=1990-99999", 206, body[1990:], "bytes 1990-1999/2000"),
            ("bytes=2000-", 416, None, "bytes */2000"),
            ("bytes=5-1", 200, body, None), ("bytes=x", 200, body, None),
            ("bytes=0-1,5-6", 200, body, None)):
        got = boss.get("/recordings/" + rec, headers={"Range": header})
        assert got.status == status and got.headers["Content-Range"] == name, (header, got)
        assert part is None or got.body == part, (header, got)
    tag, dated = whole.headers["ETag"], whole.headers["Last-Modified"]
    for header, status in (({"If-Range": tag}, 206), ({"If-Range": dated}, 206), ({"If-Range": '"x"'}, 200),
                           ({"If-Range": "W/" + tag}, 200),
                           ({"If-Range": "Sat, 01 Jan 2000 00:00:00 GMT"}, 200)):
        got = boss.get("/recordings/" + rec, headers={"Range": "bytes=0-9", **header})
        assert got.status == status and got.body == (body if status == 200 else body[:10]), (header, got)
    for given, status in ((tag, 304), (f'"x", W/{tag}', 304), ("*", 304), ('"x"', 200)):
        got = boss.get("/recordings/" + rec, headers={"If-None-Match": given})
        assert got.status == status and got.headers["ETag"] == tag, (given, got)
    with open(path, "ab") as f:  # it has been made anew: parts of the two do not fit
        f.write(b"more")
    got = boss.get("/recordings/" + rec, headers={"Range": "bytes=0-9", "If-Range": tag})
    assert got.status == 200 and got.body == body + b"more" and got.headers["ETag"] != tag, got
    assert rec in whole.headers["Content-Disposition"], whole.headers
    assert lab.login(agent.user).get("/recordings/" + rec).status == 200
    stranger = lab.phone()
    assert lab.login(stranger.user).get("/recordings/" + rec).status == 404
    os.remove(path)
    got = boss.get("/recordings/" + rec)
    assert got.status == 404 and got.code == "no_file", got


@tap.case("a value that is none is 400 and names the field, before the database is asked")
def bad_values(lab):
    boss = lab.login("boss")
    for query, field in (("from=yesterday", "from"), ("to=2026-13-45T99:99:99Z", None),
                         ("limit=0", "limit"), ("limit=x", "limit"), ("cursor=17", "cursor"),
                         ("outcome=nice", "outcome"), ("colour=red", "colour")):
        got = boss.get("/conversations?" + query)
        assert got.status == 400, (query, got)
        assert field is None or got.json["error"]["field"] == field, (query, got)
    for path in ("/conversations?number=+4930123", "/conversations?contact=+4930123", "/calls?number=+4930123",
                 "/conversations.csv?contact=+4930123", "/conversations?from=2026-11-21T14:02:11+01:00"):
        got = boss.get(path)  # a + in a query is a blank: nobody would be found
        field = path.split("?")[1].split("=")[0]
        assert got.status == 400 and got.json["error"]["field"] == field, (path, got)
        assert got.json["error"]["message"].endswith("a + is written %2B in a query"), (path, got)
        assert boss.get(path.replace("+", "%2B")).status == 200, path
    assert boss.get("/conversations/17").json["error"]["field"] == "conversation"
    got = boss.get("/conversations/01935c0e-7c1a-7bd2-9f0e-3d1f0a9b8c77")
    assert got.status == 404 and got.code == "not_found", got


if __name__ == "__main__":
    tap.main(WebLab, jobs=4)
