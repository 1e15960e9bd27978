"""Who may do what over HTTP, and what happens to those who try something else."""
import concurrent.futures
import gzip
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import quote
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import end, joined, talk, wait
from segued import Daemon, program
from web import PASSWORD, Client, WebLab

SCOPES = "view transfer hangup dial control agents history recordings metrics".split()
NONE = {"call": "99.99", "transfer": "01935c0e-7c1a-7bd2-9f0e-3d1f0a9b8c77", "user": "nobody",
        "conversation": "01935c0e-7c1a-7bd2-9f0e-3d1f0a9b8c77", "case": "none", "number": "none",
        "recording": "01935c0e-7c1a-7bd2-9f0e-3d1f0a9b8c77"}


def routes(lab):
    """(method, path, permission or None, is open, body) of every route, from the running server."""
    doc = lab.nobody().get("/openapi.json").json
    for path, methods in doc["paths"].items():
        for method, op in methods.items():
            schema = op.get("requestBody", {}).get("content", {}).get("application/json", {})
            body = {}
            for name, prop in schema.get("schema", {}).get("properties", {}).items():
                if name in schema["schema"].get("required", []):
                    body[name] = prop["enum"][0] if "enum" in prop else \
                        1 if prop["type"] == "integer" else True if prop["type"] == "boolean" \
                        else "x" * prop["minLength"]
            url = "/" + re.sub(r"{(\w+)}", lambda m: NONE[m.group(1)], path)
            yield (method.upper(), url, op.get("x-permission"), op.get("security") == [],
                   body if schema else None)


def reach(lab, client, route):
    """The status of a route for a client; a stream is left at once."""
    method, url, _, _, body = route
    conn = lab.connection()
    try:
        h = client.headers({"Content-Type": "application/json"} if body is not None else None)
        conn.request(method, url[1:], json.dumps(body) if body is not None else None, h)
        return conn.getresponse().status
    finally:
        conn.close()


def logs_out(route):
    return route[1].endswith("/logout")


@tap.case("nobody reaches nothing but login, health and the document")
def nobody(lab):
    for route in routes(lab):
        got = reach(lab, lab.nobody(), route)
        if route[3]:
            assert got != 401 or route[1].endswith("/login"), (route, got)
        else:
            assert got == 401, (route, got)


@tap.case("a token reaches the routes of its scopes and no others: every scope against every route")
def scopes(lab):
    table = list(routes(lab))
    assert {r[2] for r in table} - {None} <= set(SCOPES), table
    for scope in SCOPES:
        token = lab.token("only-" + scope, scope)
        for route in table:
            got = reach(lab, token, route)
            allowed = route[2] in (None, scope)
            assert (got == 403) != allowed, (scope, route, got)


@tap.case("a session reaches what its role may: agent, supervisor and admin against every route")
def roles(lab):
    agent = lab.phone()
    for user, lacking in ((agent.user, {"metrics"}), ("sup", {"metrics"}),
                          ("boss", set())):
        session = lab.login(user)
        for route in routes(lab):
            if logs_out(route):
                continue
            got = reach(lab, session, route)
            refused = route[2] in lacking
            assert (got == 403) == refused, (user, route, got)


@tap.case("a 403 names the permission that is missing, and is on record")
def named(lab):
    token = lab.token("weak", "view")
    got = token.post("/calls/99.99/hangup")
    assert got.status == 403 and got.json["error"]["permission"] == "hangup", got
    wait("it is on record", lambda: lab.rows(
        "select * from segue.audit where who = 'token:weak' and action = 'hangup' "
        "and result = 'refused' and via = 'api'"))


@tap.case("every route that needs a permission: without it 403 that names it, to a token and to a session")
def named_everywhere(lab):
    agent = lab.phone()
    session = lab.login(agent.user)
    lab.sql(f"update segue.users set may_transfer = false where name = '{agent.user}'")
    wait("the permission is gone", lambda: "transfer" not in session.get("/me").json["permissions"])
    lacking = {"transfer", "metrics"}
    weak = {p: lab.token("all-but-" + p, ",".join(s for s in SCOPES if s != p)) for p in SCOPES}
    asked = set()
    for method, url, permission, _, body in routes(lab):
        if permission is None:
            continue
        asked.add(permission)
        for client, word in [(weak[permission], "This token")] + \
                ([(session, "Your role")] if permission in lacking else []):
            got = client.ask(method, url, body)
            assert got.status == 403 and got.code == "not_permitted", (method, url, got)
            error = got.json["error"]
            assert error["permission"] == permission, (method, url, error)
            assert error["message"] == f'{word} may not do this: the permission "{permission}" is missing', error
    assert asked == set(SCOPES), asked


@tap.case("a token that stands for a user sees and may no more than that user; a deleted one is 401")
def token_of_user(lab):
    mine, other = lab.phone(), lab.phone()
    token = lab.token("for-" + mine.user, "view,hangup", mine.user)
    c, a = talk(lab, mine)
    c2, a2 = talk(lab, other)
    boss = lab.login("boss")
    own, foreign = boss.call_of(c)["id"], boss.call_of(c2)["id"]
    assert [x["id"] for x in token.get("/calls").json["calls"]] == [own]
    assert token.get("/calls/" + foreign).status == 403
    got = token.post(f"/calls/{foreign}/hangup")
    assert got.status == 403 and got.code == "not_yours", got
    assert token.get("/me").json["user"] == mine.user
    end(c, a)
    end(c2, a2)
    subprocess.run([program("seguectl"), "--db", lab.conninfo, "token", "delete",
                    "for-" + mine.user], check=True)
    wait("it is refused", lambda: token.get("/me").status == 401)


def own_targets(lab, phone, call):
    return lab.login(phone.user).get(f"/calls/{call}/targets").json["targets"]


@tap.case("E-128 agents see and move own calls, supervisors those of their departments, others 403")
def whose(lab):
    member, outsider, target = lab.phone(), lab.phone(), lab.phone()
    lab.sql(f"insert into segue.queue_members (queue, user_name) values ('support', '{member.user}')")
    sup = lab.login("sup")
    wait("the department has the member", lambda: "support" in [
        x for x in sup.get("/agents").json["agents"] if x["user"] == member.user][0]["queues"])
    c, a = talk(lab, member)
    row = lab.login("boss").call_of(c)
    call, name = row["id"], row["with"]["name"]
    for who in (outsider.user, "sup2"):
        session = lab.login(who)
        assert call not in [x["id"] for x in session.get("/calls").json["calls"]], who
        for verb in ("transfer", "hangup", "hold", "note"):
            body = {"transfer": {"number": target.number}, "note": {"text": "x"}}.get(verb)
            got = session.post(f"/calls/{call}/{verb}", body)
            assert got.status == 403 and got.code == "not_yours", (who, verb, got)
            assert got.json["error"]["message"] == (
                f"{name}'s call belongs to Support; you supervise Sales" if who == "sup2"
                else f"{call} is not yours"), got
    by = {t.get("user") or t.get("queue"): t
          for t in sup.get(f"/calls/{call}/targets").json["targets"]}
    assert (by[outsider.user]["reason"], by[outsider.user]["selectable"]) == ("outside", True)
    assert by["support"]["reason"] != "outside" and by[target.user]["reason"] == "outside", by
    by = {t.get("user"): t for t in own_targets(lab, member, call)}
    assert by[outsider.user]["reason"] is None, by[outsider.user]
    own = lab.login(member.user)
    assert [x["id"] for x in own.get("/calls").json["calls"]] == [call]
    with own.events() as mine, lab.login(outsider.user).events() as theirs:
        assert [x["id"] for x in mine.wait("snapshot").data["calls"]] == [call]
        assert theirs.wait("snapshot").data["calls"] == []
        got = sup.post(f"/calls/{call}/transfer", {"number": target.number})
        assert got.status == 201, got
        b = target.incoming()
        b.answer()
        b.expect("ACK")
        joined(c, b)
        a.expect("BYE")
        mine.wait("call_gone", lambda d: d["id"] == call and d["why"] == "left")
        assert not [e for e in theirs.events if e.name in ("call", "transfer", "timeline")], \
            theirs.events
    assert own.get("/calls/" + call).status == 403
    end(c, b)


@tap.case("users.may_transfer false: the permission is missing, for the panel as for the phone")
def may_not_transfer(lab):
    agent = lab.phone()
    lab.sql(f"update segue.users set may_transfer = false where name = '{agent.user}'")
    session = lab.login(agent.user)
    c, a = talk(lab, agent)
    call = lab.login("boss").call_of(c)["id"]
    wait("it is missing", lambda: "transfer" not in session.get("/me").json["permissions"])
    got = session.post(f"/calls/{call}/transfer", {"number": "2000"})
    assert got.status == 403 and got.json["error"]["permission"] == "transfer", got
    end(c, a)


@tap.case("numbers are masked for the roles that the configuration names, in calls and in history")
def masked(lab):
    agent = lab.phone()
    with WebLab(http="mask_agents = true;", users=4, peers=2) as other:
        agent = other.phone()
        c, a = talk(other, agent)
        boss, session = other.login("boss"), other.login(agent.user)
        call = boss.call_of(c)
        number = c.ua.user
        assert call["customer"]["number"] == number
        hidden = number[:3] + "****" + number[-4:]
        mine = session.get("/calls/" + call["id"]).json
        assert mine["customer"]["number"] == hidden, mine
        assert number not in json.dumps(mine), mine
        with session.events() as ev:
            assert number not in json.dumps(ev.wait("snapshot").data)
            boss.post(f"/calls/{call['id']}/hold")
            got = ev.wait("call", lambda d: d["state"] == "held").data
            assert got["customer"]["number"] == hidden and number not in json.dumps(got), got
            boss.post(f"/calls/{call['id']}/unhold")
            joined(c, a)
            end(c, a)
        led = other.ledger(c)
        for path in ("/conversations", "/conversations/" + led.conversation["id"],
                     "/conversations.csv"):
            text = session.get(path).body.decode()
            assert hidden in text and number not in text, (path, text)


@tap.case("masked: no GET of the route table tells an agent an outside number, of a live call or a past one")
def masked_everywhere(_):
    with WebLab(http="mask_agents = true;", users=5, peers=3) as lab:
        mine, target, trunk = lab.phone(), lab.phone(), lab.trunk()
        boss, me = lab.login("boss"), lab.login(mine.user)
        ev = me.events()
        tap.at_end(ev.close)
        ev.wait("snapshot")
        c, a = talk(lab, mine)
        number = c.ua.user
        past = boss.call_of(c)
        assert boss.post(f"/calls/{past['id']}/transfer", {"number": lab.outside(trunk, "5557788")}).status \
            == 201
        trunk.incoming().reply(486)
        wait("they talk", lambda: boss.get("/calls/" + past["id"]).json["state"] == "talking")
        end(c, a)
        led = lab.ledger(c)
        c, a = talk(lab, mine, trunk=c.ua)
        call = boss.call_of(c)
        boss.post(f"/calls/{call['id']}/transfer", {"number": lab.outside(trunk, "5557788")})
        trunk.incoming().reply(486)
        wait("they talk", lambda: boss.get("/calls/" + call["id"]).json["state"] == "talking")
        got = boss.post(f"/calls/{call['id']}/transfer", {"number": target.number})
        assert got.status == 201, got
        real = {"call": call["id"], "transfer": got.json["id"], "user": mine.user,
                "conversation": led.conversation["id"], "case": str(led.conversation["case_id"]),
                "number": "%2B1", "recording": NONE["recording"]}
        b = target.incoming()
        b.reply(180)
        seen = 0
        for path, methods in lab.nobody().get("/openapi.json").json["paths"].items():
            if "get" not in methods or path.endswith(("/events", "/metrics")):
                continue
            got = me.get("//" + re.sub(r"{(\w+)}", lambda m: real[m.group(1)], path)[1:]
                         if path.startswith("/") else path)
            text = gzip.decompress(got.body) if got.headers.get("Content-Encoding") else got.body
            for told in (number[3:], "5557788"):
                at = text.decode().find(told)
                assert at < 0, (path, text.decode()[max(0, at - 200):at + 40])
            seen += got.status == 200
        assert seen >= 10, seen
        assert "5557788" in boss.get("/calls/" + call["id"]).body.decode()
        assert boss.post(f"/calls/{call['id']}/hangup").status == 200
        b.expect("CANCEL")
        ev.wait("call_gone", lambda d: d["id"] == call["id"], timeout=45)
        told = json.dumps([e.data for e in ev.events])
        assert number[3:] not in told and "5557788" not in told, told
        assert "transfer_failed" in told, told


@tap.case("an agent is told no number of another's call: by no route of the table, with no filter, and not as "
          "it happens")
def foreign_everywhere(_):
    with WebLab(users=5, peers=3) as lab:
        mine, other, target, trunk = lab.phone(), lab.phone(), lab.phone(), lab.trunk()
        boss, me = lab.login("boss"), lab.login(mine.user)
        ev = me.events()
        tap.at_end(ev.close)
        ev.wait("snapshot")
        c, a = talk(lab, other)
        number, outside = c.ua.user, "5557788"

        def fails_outside(call):
            got = boss.post(f"/calls/{call}/transfer", {"number": lab.outside(trunk, outside)})
            assert got.status == 201, got
            trunk.incoming().reply(486)
            wait("they talk", lambda: boss.get("/calls/" + call).json["state"] == "talking")

        fails_outside(boss.call_of(c)["id"])
        end(c, a)
        led = lab.ledger(c)
        c, a = talk(lab, other, trunk=c.ua)
        call = boss.call_of(c)["id"]
        fails_outside(call)
        got = boss.post(f"/calls/{call}/transfer", {"number": target.number})
        b = target.incoming()
        b.reply(180)
        never = "+498887654321"
        real = {"call": call, "transfer": got.json["id"], "user": other.user, "number": number,
                "conversation": led.conversation["id"], "case": str(led.conversation["case_id"]),
                "recording": NONE["recording"], "agent": other.user, "contact": number}
        asked = []

        def ask(client, method, path, words, body=None):
            url = re.sub(r"{(\w+)}", lambda m: quote(words[m.group(1)]), path)
            got = client.ask(method, "//" + url[1:], body)
            packed = got.headers.get("Content-Encoding")
            asked.append((method, url, got.status))
            return got.status, (gzip.decompress(got.body) if packed else got.body).decode()

        def is_silent(told, what):
            for word in (number[1:], outside):
                at = told.find(word)
                assert at < 0, (what, told[max(0, at - 200):at + 40])

        def same(path, name):
            """What is asked for a number of somebody else's call is answered as for one that nobody has."""
            answers = []
            for word in (number, never):
                status, text = ask(me, "GET", path, {**real, "number": word, "contact": word})
                for hidden in (word, quote(word)):
                    text = text.replace(hidden, "N")
                answers.append((status, re.sub(r'"at":"[^"]*"', "", text)))
            assert answers[0] == answers[1], (path, name, answers)

        doc = lab.nobody().get("/openapi.json").json
        for path, methods in doc["paths"].items():
            for method, op in methods.items():
                fields = {p["name"]: p for p in op.get("parameters", [])}
                if path.endswith(("/events", "/metrics", "/login", "/logout")):
                    continue
                if method == "get" and "{number}" not in path:
                    is_silent(ask(me, "GET", path, real)[1], path)
                elif method == "get":
                    same(path, "number")
                elif "{call}" in path:
                    schema = op.get("requestBody", {}).get("content", {}).get("application/json", {})
                    known = schema.get("schema", {}).get("properties", {})
                    body = {"number": target.number, "text": "x", "action": "stop"}
                    body = {k: v for k, v in body.items() if k in known}
                    status, text = ask(me, "POST", path, real, body or None)
                    assert status == (501 if op["responses"].keys() & {"501"} else 403), (path, status, text)
                    is_silent(text, path)
                for name in {"number", "contact"} & fields.keys():
                    if method == "get" and fields[name]["in"] == "query" and "{call}" not in path:
                        same(f"{path}?{name}={{{name}}}", name)
                for name in {"agent", "case", "queue"} & fields.keys():
                    if method == "get" and fields[name]["in"] == "query":
                        words = {**real, "queue": "support"}
                        is_silent(ask(me, "GET", f"{path}?{name}={{{name}}}", words)[1], path)
        assert sum(s == 200 for _, _, s in asked) >= 15 and sum(s == 403 for _, _, s in asked) >= 10, asked
        assert number in ask(boss, "GET", "/api/v1/calls/{call}", real)[1]
        assert number in ask(boss, "GET", "/api/v1/conversations/{conversation}", real)[1]
        assert boss.post(f"/calls/{call}/hangup").status == 200
        b.expect("CANCEL")
        c.expect("BYE")
        mark = ev.mark()
        boss.post(f"/agents/{mine.user}/state", {"state": "available"})
        wait("the call has gone", lambda: boss.get("/calls/" + call).status == 404, 45)
        ev.wait("ping", since=mark, timeout=45)
        told = [e for e in ev.events if e.name in ("call", "call_gone", "transfer", "timeline")]
        assert not told, told
        is_silent(json.dumps([e.data for e in ev.events]), "events")


@tap.case("masked: no filter and no look-up tells whether a guessed number is right; what is shown is found")
def masked_guesses(_):
    route = '{ pattern = "00Z."; kind = "external"; target = "peer00"; strip = 2; prefix = "+"; transfer = true; },\n\t'
    with WebLab(http="mask_agents = true;", users=4, peers=2, routes=route) as lab:
        mine, trunk = lab.phone(), lab.trunk()
        lab.sql("insert into segue.number_classes values ('international', '+.', '{agent,supervisor}')")
        boss, me = lab.login("boss"), lab.login(mine.user)
        c, a = talk(lab, mine, trunk=trunk)
        number, name = c.ua.user, "Kim"
        middle, shown = number[3:-4], number[:3] + "****" + number[-4:]
        assert len(middle) >= 2, number
        call = boss.call_of(c)["id"]

        def live(client, part):
            got = client.get("/calls?number=" + quote(part))
            assert got.status == 200, got
            return [x["id"] for x in got.json["calls"]]

        def past(client, part, form="conversations"):
            got = client.get(f"/{form}?number=" + quote(part))
            assert got.status == 200, got
            return led.conversation["id"] in got.body.decode()

        for part in (number, middle, number[2:5], number[-5:], number[1:]):
            assert call in live(boss, part) and live(me, part) == [], part
        for part in (number[:3], number[-4:], shown, shown[1:]):
            assert call in live(me, part), part
        for client, want in ((me, (True, None, None)), (boss, (False, "already_party",
                                                              "The target is on this call already"))):
            def judged():  # the class has been read
                one, = client.get(f"/calls/{call}/targets?number=00{number[1:]}").json["targets"]
                return (one["selectable"], one["reason"], one["text"]) == want
            wait(f"{number} is judged so: {want}", judged)
        for kind in ("blind", "consult"):  # as to a number that cannot be reached; nobody is rung
            got = me.post(f"/calls/{call}/transfer", {"number": "00" + number[1:], "kind": kind})
            assert got.status == 201, got
            asked = got.json["id"]

            def over():
                now = me.get("/transfers/" + asked)
                return now.json if now.status == 200 and now.json["stage"] == "ended" else None
            got = wait("the transfer has ended", over)
            assert (got["outcome"], got["cause"], got["sip_status"]) == ("failed", "unreachable", 480), got
            assert number not in json.dumps(got), got
        trunk.expect_none("INVITE", 0.2)
        got = boss.post(f"/calls/{call}/transfer", {"number": "00" + number[1:]})
        assert (got.status, got.code) == (403, "refused"), got
        end(c, a)
        led = lab.ledger(c)
        lab.sql(f"update segue.conversations set customer_name = '{number} {name}' where id = "
                f"'{led.conversation['id']}'")
        for form in ("conversations", "conversations.csv"):
            for part in (number, middle, number[2:5], number[-5:], number[1:], name):
                assert past(boss, part, form) and not past(me, part, form), (form, part)
            for part in (number[:3], number[-4:], shown, shown[1:]):
                assert past(me, part, form), (form, part)
        lab.sql(f"update segue.conversations set customer_name = '{name} 2' where id = "
                f"'{led.conversation['id']}'")
        assert past(me, name)
        for path, field in (("/conversations?contact=" + quote(number), "contact"),
                            ("/conversations.csv?contact=" + quote(number), "contact"),
                            ("/conversations?contact=%2B4912345678", "contact"),
                            ("/contacts/" + quote(number), "number"), ("/contacts/none", "number")):
            got = me.get(path)
            assert (got.status, got.code, got.json["error"]["field"]) == (403, "masked", field), (path, got)
        assert boss.get("/contacts/" + quote(number)).status == 200
        wait("it is on record", lambda: lab.rows(
            f"select * from segue.audit where who = '{mine.user}' and object = '{number}' "
            "and result = 'refused'"))


# ---- logging in -------------------------------------------------------------------------------

@tap.case("a login has a session of its own, whatever cookie it came with; the old one is not given away")
def fixation(lab):
    for cookie in ("A" * 43, "evil", lab.login("boss").cookie):
        got = Client(lab, cookie=cookie).post("/login", {"user": "sup", "password": PASSWORD})
        assert got.status == 200, got
        fresh = got.headers["Set-Cookie"].split(";")[0].split("=", 1)[1]
        assert fresh != cookie and Client(lab, cookie=fresh).get("/me").json["user"] == "sup", got
        was = Client(lab, cookie=cookie).get("/me")
        assert was.status == 401 or was.json["user"] == "boss", was



@tap.case("login: the cookie is HttpOnly and SameSite=Strict; logout ends the session and its stream")
def login(lab):
    got = lab.nobody().post("/login", {"user": "boss", "password": PASSWORD})
    cookie = got.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie, cookie
    assert "Secure" not in cookie and got.json["role"] == "admin", got
    assert set(got.json["permissions"]) == set(SCOPES), got
    session = Client(lab, cookie=cookie.split(";")[0].split("=", 1)[1])
    with open(os.path.join(lab.dir, "sessions")) as f:
        assert session.cookie not in f.read()
    agent, other = lab.phone(), lab.login("boss")
    with session.events() as ev, other.events() as still:
        ev.wait("snapshot")
        still.wait("snapshot")
        out = session.post("/logout")
        assert out.status == 204 and "Max-Age=0" in out.headers["Set-Cookie"], out
        assert session.get("/me").status == 401
        mark = ev.mark()
        agent.register(expires=0, contacts=["*"])
        still.wait("agent", lambda d: d["user"] == agent.user and not d["registered"])
        ev.wait_end()
        told = [e for e in ev.events[mark:] if e.name == "agent" and e.data["user"] == agent.user]
        assert not told, told  # nothing of what happened since


@tap.case("login: wrong ones are 401 alike, five of them 429 for that user, and all are on record")
def guessing(lab):
    agent = lab.phone()
    lab.login(agent.user)
    for user in (agent.user, "nobody-at-all"):
        got = lab.nobody().post("/login", {"user": user, "password": "wrong"})
        assert got.status == 401 and got.code == "bad_login", got
    for _ in range(4):  # the lab's own login may have tried before the password was known
        got = lab.nobody().post("/login", {"user": agent.user, "password": "x"})
        assert got.status in (401, 429), got
    got = lab.nobody().post("/login", {"user": agent.user, "password": PASSWORD})
    assert got.status == 429 and 0 < int(got.headers["Retry-After"]) <= 301, got
    assert lab.nobody().post("/login", {"user": "boss", "password": PASSWORD}).status == 200
    wait("they are on record", lambda: len(lab.rows(
        f"select * from segue.audit where who = '{agent.user}' and action = 'login'")) >= 5)


@tap.case("a flood of refusals: 600 of a minute are on record, and the log says that more are not")
def flood(_):
    with WebLab(users=3, peers=1) as lab:
        weak = lab.token("weak", "view")
        conn, refused, deadline = lab.connection(), 0, time.monotonic() + 240
        while not lab.daemon.log("warn refusals_not_on_record a_minute=600 who=token:weak .*/hangup"):
            assert time.monotonic() < deadline, refused
            for _ in range(100):
                conn.request("POST", "/api/v1/calls/1.1/hangup", headers=weak.headers({}))
                got = conn.getresponse()
                assert got.status == 403, got.read()
                got.read()
                refused += 1
        conn.close()
        wait("those are on record", lambda: lab.rows("select count(*) as n from segue.audit")[0]["n"] >= 600)
        assert lab.rows("select count(*) as n from segue.audit where who = 'token:weak'")[0]["n"] < refused
        text = lab.token("m", "metrics").get("//metrics").body.decode()
        assert samples(text)["segue_http_refused_total"] >= refused


@tap.case("a user who is disabled is out at once")
def disabled(lab):
    agent = lab.phone()
    session = lab.login(agent.user)
    lab.sql(f"update segue.users set enabled = false where name = '{agent.user}'")
    wait("the session is over", lambda: session.get("/me").status == 401)
    got = lab.nobody().post("/login", {"user": agent.user, "password": PASSWORD})
    assert got.status == 401, got


@tap.case("a request of another site is refused: without our header, or with a foreign Origin")
def cross_site(lab):
    session = lab.login("sup")
    bare = Client(lab, cookie=session.cookie, panel=False)
    assert bare.get("/me").status == 200
    got = bare.post("/calls/1.1/hangup")
    assert got.status == 403 and got.code == "cross_site" and got.json["error"]["field"] == "X-Segue", got
    got = session.post("/calls/1.1/hangup", headers={"Origin": "https://evil.example"})
    assert got.status == 403 and got.code == "cross_site" and got.json["error"]["field"] == "Origin", got
    assert "`https://evil.example': expected this site, 127.0.0.1:" in got.json["error"]["message"], got
    here = f"http://127.0.0.1:{lab.http_port}"
    assert session.post("/calls/1.1/hangup", headers={"Origin": here}).status == 404
    got = bare.post("/login", {"user": "sup", "password": PASSWORD})
    assert got.status == 403 and got.json["error"]["field"] == "X-Segue", got
    assert "a login, need the header X-Segue" in got.json["error"]["message"], got


@tap.case("every answer has the headers that keep a browser from running anything else")
def headers(lab):
    for path in ("/me", "//", "//nothing.js", "/openapi.json", "//healthz"):
        got = lab.nobody().get(path)
        csp = got.headers["Content-Security-Policy"]
        assert "default-src 'none'" in csp and "unsafe" not in csp, csp
        assert "frame-ancestors 'none'" in csp and "script-src 'self'" in csp, csp
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        assert got.headers["X-Frame-Options"] == "DENY"
        assert got.headers["Referrer-Policy"] == "no-referrer"
        assert "Access-Control-Allow-Origin" not in got.headers
        assert got.headers["Cache-Control"], path


# ---- bad input --------------------------------------------------------------------------------

@tap.case("bodies that are no JSON, no object, of the wrong type or with the wrong fields: 400, 415")
def bodies(lab):
    boss = lab.login("boss")
    json_type = {"Content-Type": "application/json"}
    for raw, code in ((b"{", "bad_json"), (b"[1]", "bad_json"), (b'"x"', "bad_json"),
                      (b'{"number": "1", "number": "2"}', "bad_json"), (b"\xff\xfe", "bad_json"),
                      (b'{"number": "a\\u0000b"}', "bad_json"), (b"[" * 5000, "bad_json")):
        got = boss.ask("POST", "/calls/1.1/transfer", raw=raw, headers=json_type)
        assert got.status == 400 and got.code == code, (raw[:40], got)
    for body, field in (({}, "number"), ({"number": ""}, "number"), ({"number": 17}, "number"),
                        ({"number": None}, "number"), ({"number": "1" * 64}, "number"),
                        ({"number": "1\x01"}, "number"), ({"number": "1", "kind": "x"}, "kind"),
                        ({"number": "1", "extra": True}, "extra")):
        got = boss.post("/calls/1.1/transfer", body)
        assert got.status == 400 and got.json["error"]["field"] == field, (body, got)
    got = boss.ask("POST", "/calls/1.1/transfer", raw=b"number=1",
                   headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert got.status == 415, got
    for path, status in (("/calls/xyz", 400), ("/calls/", 404), ("/nothing", 404),
                         ("/calls/1.1/fly", 404), ("//../etc/passwd", 404)):
        assert boss.get(path).status == status, path
    got = boss.post("/me")
    assert got.status == 405 and got.headers["Allow"] == "GET, HEAD", got.headers
    got = boss.ask("PUT", "/calls")
    assert got.status == 405 and got.headers["Allow"] == "GET, HEAD, POST", got.headers


@tap.case("a body that is too large is 413, announced or not; the server goes on")
def large(lab):
    boss = lab.login("boss")
    got = boss.ask("POST", "/calls/1.1/note", raw=b'{"text": "' + b"x" * 100000 + b'"}',
                   headers={"Content-Type": "application/json"})
    assert got.status == 413 and got.code == "too_large", got
    conn = lab.connection()
    conn.putrequest("POST", "/api/v1/login")
    conn.putheader("Transfer-Encoding", "chunked")
    conn.putheader("X-Segue", "panel")
    conn.endheaders()
    for _ in range(20):
        conn.send(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
    conn.send(b"0\r\n\r\n")
    assert conn.getresponse().status == 413
    conn.close()
    with socket.create_connection(("127.0.0.1", lab.http_port)) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200000 + b"\r\n\r\n")
        s.settimeout(10)
        try:
            assert b" 431 " in s.recv(200)
        except ConnectionResetError:
            pass
    assert boss.get("/me").status == 200


@tap.case("slow clients are cut off, half a request and half a body; others do not wait for them")
def slow(lab):
    with WebLab(http='request = "1s"; idle = "2s";', users=3, peers=1) as other:
        boss = other.login("boss")
        for text in (b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\n",
                     b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nX-Segue: panel\r\n"
                     b"Content-Length: 50\r\n\r\n{"):
            with socket.create_connection(("127.0.0.1", other.http_port)) as s:
                s.settimeout(0.2)
                s.sendall(text)
                started = time.monotonic()
                while True:  # a byte now and then keeps no connection alive
                    try:
                        if s.recv(100) == b"":
                            break
                    except socket.timeout:
                        s.sendall(b"x")
                    except ConnectionError:
                        break
                    assert time.monotonic() - started < 20, "still open"
                assert boss.get("/me").status == 200


@tap.case("bytes that are no HTTP do no harm")
def garbage(lab):
    for data in (b"\x16\x03\x01\x02\x00" + os.urandom(500), b"GET\r\n\r\n", b"\r\n\r\n\r\n",
                 b"GET / HTTP/9.9\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                 b"GET /%00%ff%2e%2e/ HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(4000),
                 b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
        with socket.create_connection(("127.0.0.1", lab.http_port)) as s:
            s.settimeout(0.5)
            s.sendall(data)
            try:
                while s.recv(4096):
                    pass
            except (ConnectionError, socket.timeout):
                pass
    assert lab.nobody().get("//healthz").status == 200


# ---- files ------------------------------------------------------------------------------------

@tap.case("files: types, ETag and 304, places of the panel; nothing outside of the directory")
def files(lab):
    panel = os.path.join(lab.dir, "panel")
    for name, text in (("index.html", "<!doctype html>"), ("a.js", "1"), (".secret", "x"),
                       ("b.css", "x")):
        with open(os.path.join(panel, name), "w") as f:
            f.write(text)
    os.symlink(os.path.join(lab.dir, "segue.conf"), os.path.join(panel, "link.js"))
    web = lab.nobody()
    for path, type in (("//", "text/html"), ("//live/17.2", "text/html"), ("//a.js", "text/javascript"),
                       ("//b.css", "text/css")):
        got = web.get(path)
        assert got.status == 200 and got.headers["Content-Type"].startswith(type), (path, got)
        again = web.get(path, headers={"If-None-Match": got.headers["ETag"]})
        assert again.status == 304 and again.body == b"", again
    head = web.ask("HEAD", "//a.js")
    assert head.status == 200 and head.headers["Content-Length"] == "1" and head.body == b""
    for path in ("//.secret", "//link.js", "//../segue.conf", "//%2e%2e/segue.conf", "//none.js",
                 "//..%2fsegue.conf", "//a.js/", "//a%00.js", "//.secret.js"):
        got = web.get(path)
        assert got.status in (404, 400) or b"doctype" in got.body, (path, got)
        assert b"database" not in got.body, path
    assert web.post("//a.js").status in (404, 405)


# ---- the document -----------------------------------------------------------------------------

@tap.case("the OpenAPI document is what segued prints, and its references are whole")
def document(lab):
    served = lab.nobody().get("/openapi.json").json
    p = subprocess.run([program("segued"), "--print-openapi"], capture_output=True, text=True)
    assert p.returncode == 0 and json.loads(p.stdout) == served
    assert served["openapi"].startswith("3.1"), served
    for path, methods in served["paths"].items():
        for method, op in methods.items():
            named = re.findall(r"{(\w+)}", path)
            declared = [x["name"] for x in op["parameters"] if x["in"] == "path"]
            assert named == declared, (path, declared)
            assert op["summary"] and "400" in op["responses"], path


def keys(value):
    """Names of fields, nested."""
    return {k: keys(v) if isinstance(v, dict) else None for k, v in value.items()}


@tap.case("docs/api-shapes.md: the examples have the fields that the answers have")
def shapes(lab):
    with open(os.path.join(os.environ["SEGUE_SRC"], "docs", "api-shapes.md")) as f:
        text = f.read()
    examples = {}
    for name, body in re.findall(r"```json (\w+)\n(.*?)```", text, re.S):
        body = re.sub(r"\[[A-Z_]+\]", "[]", body)
        examples[name] = json.loads(body)
    agent, target = lab.phone(), lab.phone()
    boss = lab.login("boss")
    c, a = talk(lab, agent)
    row = boss.call_of(c)
    detail = {"segments", "story", "sip_call_id"}
    assert set(row) - detail == set(examples["call"]), set(row) ^ set(examples["call"])
    assert set(row["can"]) == set(examples["call"]["can"]), row["can"]
    assert set(row["parties"][0]) == set(examples["call"]["parties"][0]), row["parties"]
    assert set(row["segments"][0]) == set(examples["segment"]), row["segments"]
    assert keys(boss.get("/me").json) == keys(examples["me"])
    got = boss.post(f"/calls/{row['id']}/transfer", {"number": target.number})
    assert keys(got.json) == keys(examples["transfer"]), got
    one = [x for x in boss.get("/agents").json["agents"] if x["user"] == agent.user][0]
    assert set(one) == set(examples["agent"]), one
    one = boss.get("/queues").json["queues"][0]
    assert keys(one) == keys(examples["queue"]), one
    b = target.incoming()
    b.answer()
    b.expect("ACK")
    joined(c, b)
    a.expect("BYE")
    end(c, b)
    led = lab.ledger(c)
    got = boss.get(f"/conversations?agent={agent.user}").json["conversations"][0]
    assert keys(got) == keys(examples["conversation"]), set(got) ^ set(examples["conversation"])
    bad = boss.post("/calls/1.1/transfer", {"number": ""})
    assert keys(bad.json) == keys(examples["error"]), bad


# ---- the daemon -------------------------------------------------------------------------------

@tap.case("metrics: what happened is counted; healthz and readyz are for anybody")
def metrics(lab):
    token = lab.token("prometheus", "metrics")
    got = token.get("//metrics")
    assert got.status == 200 and got.headers["Content-Type"].startswith("text/plain"), got
    text = got.body.decode()
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) segue_\w+ .+|segue_\w+(\{[^}]*\})? [-+0-9.e]+', line), line
    for name in ("calls_live", "transfers_total", "transfer_join_seconds_bucket", "queue_waiting",
                 "outbox_facts", "database_lag_seconds", "calls_stuck", "http_listeners"):
        assert f"segue_{name}" in text, name
    assert "segue_calls_stuck 0\n" in text, text
    assert lab.nobody().get("//healthz").json["ok"] is True
    ready = lab.nobody().get("//readyz")
    assert ready.status == 200 and ready.json["directory"] is True, ready


def samples(text):
    """Name and labels to value, of a text that is right to the letter (Prometheus text format 0.0.4)."""
    kind, got, last = {}, {}, None
    assert text.endswith("\n") and "\n\n" not in text, text
    for line in text.splitlines():
        if line.startswith("# HELP "):
            last = line.split()[2]
            assert last not in kind and len(line.split(" ", 3)[3]) > 3, line
        elif line.startswith("# TYPE "):
            _, _, name, kind[last] = line.split(" ")
            assert name == last and kind[last] in ("counter", "gauge", "histogram"), line
        else:
            m = re.fullmatch(r'(segue_[a-z_0-9]+)(\{(?:[a-z_]+="(?:[^"\\]|\\[\\"n])*",?)+\})? '
                             r'([-+]?[0-9.]+(?:e[-+]?[0-9]+)?)', line)
            assert m, line
            family = re.sub("_(bucket|sum|count)$", "", m[1]) if kind[last] == "histogram" else m[1]
            assert family == last, f"{line} is not under its own # TYPE but under that of {last}"
            assert kind[last] != "counter" or m[1].endswith("_total"), line
            assert kind[last] != "counter" or float(m[3]) >= 0, line
            key = m[1] + (m[2] or "")
            assert key not in got, f"{key} twice"
            got[key] = float(m[3])
    for name in [n for n, k in kind.items() if k == "histogram"]:
        buckets = [v for k, v in got.items() if k.startswith(name + "_bucket{")]
        assert buckets == sorted(buckets) and buckets[-1] == got[name + "_count"], (name, buckets)
    return got


@tap.case("metrics: the format is right to the letter, and every figure of the calls moves with them")
def metrics_move(_):
    with WebLab(users=8, peers=4) as lab:
        token, boss = lab.token("prometheus", "metrics"), lab.login("boss")
        look = lambda: samples(token.get("//metrics").body.decode())
        one = lab.phone()
        lab.sql(f"insert into segue.queue_members (queue, user_name) values ('sales', '{one.user}')")
        wait("the agent is free", lambda: look()['segue_queue_agents{queue="sales",state="free"}'] == 1)
        first = look()
        c, a = talk(lab)
        call = boss.call_of(c)["id"]
        assert look()['segue_calls_live{state="talking"}'] == 1
        target, third = lab.phone(), lab.phone()
        boss.post(f"/calls/{call}/transfer", {"number": target.number})
        target.incoming().reply(486)
        wait("they talk", lambda: boss.get("/calls/" + call).json["state"] == "talking")
        boss.post(f"/calls/{call}/transfer", {"number": third.number, "kind": "consult"})
        b = third.incoming()
        b.answer()
        b.expect("ACK")
        wait("they talk", lambda: boss.get("/calls/" + call).json["can"]["swap"] is True)
        assert look()['segue_calls_live{state="consulting"}'] == 1
        boss.post(f"/calls/{call}/complete")
        joined(c, b)
        a.expect("BYE")
        end(c, b)
        lab.ledger(c)
        c = lab.trunk().invite("4002")
        x = one.incoming()
        x.reply(180)
        wait("one waits", lambda: look()['segue_queue_waiting{queue="sales"}'] == 1)
        assert look()['segue_queue_longest_wait_seconds{queue="sales"}'] >= 0
        x.answer()
        c.expect(200, method="INVITE")
        c.ack()
        x.expect("ACK")
        end(c, x)
        lab.ledger(c)
        grown = lambda key, now: now.get(key, 0) - first.get(key, 0)
        for key in ('segue_transfers_total{kind="blind",outcome="busy"}',
                    'segue_transfers_total{kind="consult",outcome="completed"}',
                    "segue_transfer_join_seconds_count", "segue_queue_wait_seconds_count"):
            wait(key + " has grown by one", lambda: grown(key, look()) == 1)
        now = look()
        for key in ("segue_facts_total", "segue_events_total", "segue_invites_total",
                    'segue_http_requests_total{code="2xx"}', "segue_transfer_join_seconds_sum"):
            assert grown(key, now) > 0, (key, first, now)
        wait("all is shipped", lambda: look()["segue_outbox_facts"] == 0)
        assert look()["segue_database_lag_seconds"] == 0 and look()["segue_calls_stuck"] == 0
        lab.cluster.psql(f"alter database {lab.db} allow_connections false", "postgres")
        lab.cluster.psql("select pg_terminate_backend(pid) from pg_stat_activity where datname = "
                         f"'{lab.db}'", "postgres")
        try:
            boss.post(f"/agents/{one.user}/state", {"state": "away"})
            wait("facts wait for the database", lambda: look()["segue_outbox_facts"] > 0
                 and look()["segue_database_lag_seconds"] > 0, 60)
            wait("it says so", lambda: look()["segue_database_connected"] == 0)
        finally:
            lab.cluster.psql(f"alter database {lab.db} allow_connections true", "postgres")
        wait("all is shipped", lambda: look()["segue_outbox_facts"] == 0, 60)


@tap.case("contrib/grafana.json asks for figures that there are")
def dashboard(lab):
    text = lab.token("grafana", "metrics").get("//metrics").body.decode()
    have = set(re.findall(r"^# TYPE (segue_\w+)", text, re.M))
    with open(os.path.join(os.environ["SEGUE_SRC"], "contrib", "grafana.json")) as f:
        doc = json.load(f)
    asked = {name for p in doc["panels"] for t in p["targets"]
             for name in re.findall(r"segue_\w+", t["expr"])}
    assert {re.sub("_bucket$", "", n) for n in asked} <= have, asked - have


@tap.case("TLS: the certificate of the configuration, a Secure cookie, HSTS; a bad one stops the start")
def tls(lab):
    with WebLab(tls=True, users=3, peers=1) as other:
        right = {"user": "boss", "password": PASSWORD}
        wait("logins are read", lambda: other.nobody().post("/login", right).status != 503)
        got = other.nobody().post("/login", right)
        assert got.status == 200 and "; Secure" in got.headers["Set-Cookie"], got
        assert got.headers["Strict-Transport-Security"], got
        with other.login("boss").events() as ev:
            ev.wait("snapshot")
    with WebLab(users=3, peers=1) as other:
        other.daemon.stop()
        with open(other.conf) as f:
            text = f.read()
        with open(other.conf, "w") as f:
            f.write(text.replace("panel_dir", 'tls_cert = "/nowhere.pem"; panel_dir'))
        p = subprocess.run([program("segued"), "-c", other.conf], capture_output=True, text=True,
                           timeout=30)
        assert p.returncode == 1 and "http.tls_cert=/nowhere.pem" in p.stderr, p.stderr
        with open(other.conf, "w") as f:
            f.write(text)
        other.restart()


@tap.case("behind a proxy that is trusted, its word about address and TLS counts; of others it does not")
def proxy(lab):
    with WebLab(http='proxies = [ "127.0.0.0/8" ];', users=3, peers=1) as other:
        said = {"X-Forwarded-For": "10.9.9.9, 192.0.2.7", "X-Forwarded-Proto": "https"}

        def logged_in():
            got = other.nobody().post("/login", {"user": "boss", "password": PASSWORD}, headers=said)
            return got if got.status == 200 else None
        got = wait("the directory is there", logged_in)
        assert "; Secure" in got.headers["Set-Cookie"], got
        other.daemon.wait_log("login user=boss from=192.0.2.7")
    got = lab.nobody().post("/login", {"user": "boss", "password": PASSWORD},
                            headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.8"})
    assert "Secure" not in got.headers["Set-Cookie"]
    assert not lab.daemon.log("login user=boss from=192.0.2.8")


@tap.case("E-124 kill -9: sessions live on, an old Last-Event-ID gets a snapshot with the call that lives on")
def restart(lab):
    with WebLab(users=6, peers=2) as other:
        boss = other.login("boss")
        agent, target = other.phone(), other.phone()
        c, a = talk(other, agent)
        with boss.events() as ev:
            ev.wait("snapshot")
            call = boss.call_of(c)["id"]
            assert boss.post(f"/calls/{call}/transfer", {"number": target.number}).status == 201
            b = target.incoming()
            b.reply(180)
            ev.wait("transfer", lambda d: d["stage"] == "ringing")
            last = ev.last_id()
            other.daemon.kill()
            ev.wait_end()
        other.restart()
        assert boss.get("/me").json["user"] == "boss"
        with boss.events(last) as ev:
            assert [x["id"] for x in ev.wait("snapshot").data["calls"]] == [call]
        row = wait("its transfer is over", lambda: other.rows(
            "select * from segue.transfers where ended_at is not null"))[0]
        assert row["outcome"] == "failed", row
        assert boss.get("/transfers/" + row["id"]).json["id"] == row["id"]
        joined(c, a)
        wait("they talk", lambda: boss.get("/calls/" + call).json["state"] == "talking")
        end(c, a)


@tap.case("without the database people log in and move calls; history says it is away")
def no_database(lab):
    with WebLab(users=6, peers=2) as other:
        agent, target = other.phone(), other.phone()
        other.login("boss")
        other.daemon.stop()
        with open(other.conf) as f:
            text = f.read()
        with open(other.conf, "w") as f:
            f.write(re.sub(r'database = "[^"]*"', 'database = "host=/nowhere dbname=x"', text))
        other.daemon = Daemon(other.dir, other.conf)
        other.daemon.start()
        other.daemon.wait_log("directory_read from=file")
        boss = wait("somebody can log in", lambda: login_without(other))
        agent.register()
        target.register()
        c, a = talk(other, agent)
        call = boss.get("/calls").json["calls"][0]["id"]
        assert boss.post(f"/calls/{call}/transfer", {"number": target.number}).status == 201
        b = target.incoming()
        b.answer()
        b.expect("ACK")
        a.expect("BYE")
        joined(c, b)
        end(c, b)
        got = boss.get("/conversations")
        assert got.status == 503 and got.code == "away", got
        assert other.nobody().get("//readyz").json["database"] is False


class PatientLab(WebLab):
    """Waits for as long as it may until its calls have ended."""

    def config(self):
        return super().config().replace('drain = "3s"', 'drain = "1m"')


def probed(lab):
    """The statuses of /healthz and /readyz, and what the latter says; None while nobody listens there."""
    try:
        ready = lab.nobody().get("//readyz")
        return lab.nobody().get("//healthz").status, ready.status, ready.json
    except OSError:
        return None


@tap.case("readyz is 503 while segued stops, and before the directory has been read once; healthz stays 200")
def readiness(_):
    with PatientLab(users=4, peers=2) as other:
        c, a = talk(other)
        assert probed(other)[:2] == (200, 200)
        a.manual.add("BYE")
        other.daemon.proc.send_signal(signal.SIGTERM)
        bye = a.expect("BYE")
        wait("it says that it is stopping", lambda: probed(other)[2]["stopping"])
        assert probed(other)[:2] == (200, 503) and probed(other)[2]["ok"] is False
        a.reply(200, req=bye)
        other.daemon.stop()
        with open(other.conf) as f:
            there = f.read()
        with open(other.conf, "w") as f:
            f.write(re.sub(r'database = "[^"]*"', 'database = "host=/nowhere dbname=x"', there))
        for name in os.listdir(other.dir):
            if name.startswith(("directory", "access")):
                os.remove(os.path.join(other.dir, name))
        other.start()
        wait("it listens", lambda: probed(other))
        health, status, ready = probed(other)
        assert (health, status) == (200, 503), (health, status)
        assert not ready["ok"] and not ready["directory"] and not ready["stopping"] and not ready["database"], ready
        other.daemon.stop()
        with open(other.conf, "w") as f:
            f.write(there)
        other.restart()
        wait("it is ready", lambda: (probed(other) or (0, 0))[1] == 200)


def login_without(lab):
    try:
        got = lab.nobody().post("/login", {"user": "boss", "password": PASSWORD})
    except OSError:
        return None
    return Client(lab, cookie=got.headers["Set-Cookie"].split(";")[0].split("=", 1)[1]) \
        if got.status == 200 else None


@tap.case("seguectl passwd and token: what is wrong is said, what is stored is a hash")
def keys_of_seguectl(lab):
    def ctl(*args, input=""):
        p = subprocess.run([program("seguectl"), "--db", lab.conninfo, *args], input=input,
                           capture_output=True, text=True, timeout=30)
        return p.returncode, p.stdout, p.stderr

    assert ctl("passwd", "boss", input="short\n") == \
        (1, "", "seguectl: expected a password of 8 to 255 bytes\n")
    rc, _, err = ctl("passwd", "ghost", input="long enough\n")
    assert rc == 1 and "user `ghost' does not exist" in err, err
    rc, _, err = ctl("token", "create", "t1", "view,fly")
    assert rc == 2 and "scope `fly': expected one of view, transfer" in err, err
    rc, secret, _ = ctl("token", "create", "t1", "view,hangup")
    assert rc == 0 and len(secret.strip()) == 43, secret
    rc, out, _ = ctl("token", "list")
    assert rc == 0 and re.search(r"^t1 +- +for ever +view,hangup$", out, re.M), out
    stored = lab.rows("select * from segue.api_tokens where name = 't1'")[0]
    assert secret.strip() not in json.dumps(stored), stored
    assert lab.rows("select password from segue.users where name = 'boss'")[0]["password"] \
        .startswith("$y$")
    assert ctl("token", "create", "t1", "view")[0] == 1
    assert ctl("token", "delete", "t1")[0] == 0
    rc, _, err = ctl("token", "delete", "t1")
    assert rc == 1 and "token `t1' does not exist" in err, err


if __name__ == "__main__":
    tap.main(WebLab, jobs=4)
