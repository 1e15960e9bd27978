"""What comes from people who want to break it, and from programs that are broken: each route and each
field of the interface's own document is tried, and every answer is one that the document names."""
import gzip
import http.client
import json
import os
import re
import socket
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import end, talk, wait
from web import PASSWORD, Client, WebLab

UUID = "01935c0e-7c1a-7bd2-9f0e-3d1f0a9b8c77"
SOME = {"call": "99.99", "transfer": UUID, "user": "nobody", "conversation": UUID, "case": "none",
        "number": "none", "recording": UUID}
JSON = {"Content-Type": "application/json"}
WRONG = (17, -1, 1.5, True, False, [], ["x"], {}, {"x": 1}, "", "x" * 5000, "\x01", "a\x00b", None)


def document(lab):
    return lab.nobody().get("/openapi.json").json


def operations(doc):
    for path, methods in doc["paths"].items():
        for method, op in methods.items():
            yield path, method.upper(), op


def url_of(path, **values):
    return "/" + re.sub(r"{(\w+)}", lambda m: {**SOME, **values}[m.group(1)], path)


def schema_of(op):
    body = op.get("requestBody", {}).get("content", {}).get("application/json", {})
    return body.get("schema", {})


def right_body(schema):
    return {name: p["enum"][0] if "enum" in p else "x" * max(1, p.get("minLength", 1))
            for name, p in schema.get("properties", {}).items()
            if name in schema.get("required", [])}


def boss(lab):
    with lab.lock:
        if not hasattr(lab, "boss_session"):
            lab.boss_session = lab.login("boss")
    return lab.boss_session


def answered(op, got, what):
    """The document names this status for the route."""
    assert str(got.status) in op["responses"], (what, got.status, sorted(op["responses"]), got)


def skips(path):
    return path.endswith(("/logout", "/events"))


@tap.case("the document is valid: what OpenAPI 3.1 asks of each part of it")
def valid(lab):
    doc = document(lab)
    assert re.fullmatch(r"3\.1\.\d+", doc["openapi"]) and doc["info"]["title"] and doc["info"]["version"]
    schemes = doc["components"]["securitySchemes"]
    for need in doc["security"]:
        assert set(need) <= set(schemes), need
    for path, method, op in operations(doc):
        assert path.startswith("/") and method in ("GET", "POST", "PUT", "PATCH", "DELETE"), path
        assert op["responses"] and all(re.fullmatch(r"[1-5]\d\d", s) and r["description"]
                                       for s, r in op["responses"].items()), (path, op["responses"])
        seen = set()
        for p in op["parameters"]:
            assert p["in"] in ("path", "query", "header") and (p["in"], p["name"]) not in seen, (path, p)
            assert p["required"] is True or p["in"] != "path", (path, p)
            seen.add((p["in"], p["name"]))
        schemas = [p["schema"] for p in op["parameters"]]
        schemas += list(schema_of(op).get("properties", {}).values())
        for s in schemas:
            assert s["type"] in ("string", "integer", "boolean"), (path, s)
            assert set(s) <= {"type", "format", "minimum", "maximum", "minLength", "maxLength",
                              "enum", "description"}, (path, s)
        for status, r in op["responses"].items():
            kinds = [x["schema"] for x in r.get("content", {}).values()]
            name = "ready" if (path, status) == ("/readyz", "503") else "error"
            wrong = {"$ref": "#/components/schemas/" + name}
            assert all(x == wrong for x in kinds) or status < "4", (path, r)
            assert status != "201" or "Location" in r["headers"], (path, r)
        if schema_of(op):
            assert method != "GET" and schema_of(op)["additionalProperties"] is False, path
            assert set(schema_of(op).get("required", [])) <= set(schema_of(op)["properties"]), path
    names = [op["operationId"] for _, _, op in operations(doc)]
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", n) for n in names) and len(set(names)) == len(names), names


@tap.case("every field of every body, with every wrong value: 400 that names it, or it is right")
def fields(lab):
    for path, method, op in operations(document(lab)):
        schema = schema_of(op)
        for name, p in schema.get("properties", {}).items():
            for value in WRONG:
                body = {**right_body(schema), name: value}
                got = boss(lab).post(url_of(path), body)
                answered(op, got, (path, name, value))
                if p["type"] == "boolean" and isinstance(value, bool):
                    continue
                fits = isinstance(value, str) and "enum" not in p and \
                    p.get("minLength", 0) <= len(value) <= p.get("maxLength", 0) and "\x00" not in value \
                    and "\x01" not in value
                optional = value in (None, "") and name not in schema.get("required", [])
                if not fits and not optional and isinstance(value, (str, type(None))) or \
                        not isinstance(value, (str, type(None))):
                    assert got.status == 400, (path, name, value, got)
                    assert got.code == "bad_json" if value == "a\x00b" else \
                        got.json["error"]["field"] == name, (path, name, value, got)


@tap.case("every parameter of every query and path: bad UTF-8, NUL, too long, nothing; never a 5xx")
def parameters(lab):
    for path, method, op in operations(document(lab)):
        if skips(path):
            continue
        ask = lambda url: boss(lab).ask(method, url, right_body(schema_of(op)) if method != "GET" else None)
        for bad in ("%ff", "%00", "%c3%28", "x" * 4000, "%ed%a0%80", "..%2f..", "%27%3b--", "%0d%0aX:1"):
            for p in op["parameters"]:
                if p["in"] == "query":
                    url = url_of(path) + f"?{p['name']}={bad}"
                else:
                    url = url_of(path, **{p["name"]: bad})
                got = ask(url)
                assert got.status < 500 or got.status == 501, (method, url[:100], got)
                if bad in ("%ff", "%00", "%c3%28", "%ed%a0%80") and p["in"] == "query":
                    assert got.status == 400 and got.json["error"]["field"] == p["name"], (url, got)
    assert boss(lab).get("/calls?" + "&".join(f"a{i}=1" for i in range(300))).status in (400, 414, 431)


@tap.case("a NUL ends no value: neither a filter nor who is meant; a parameter that is given twice is no filter")
def cut_values(lab):
    agent = lab.phone()
    for path, field in (("/calls?number=49%00", "number"), ("/agents?queue=support%00x", "queue"),
                        ("/conversations?agent=%00", "agent"), ("/calls?state=talking%00", "state"),
                        ("/calls?%00=1", None), ("/calls?state=talking&state=held", "state"),
                        ("/conversations.csv?number=1&number=2", "number")):
        got = boss(lab).get(path)
        assert got.status == 400 and field in (None, got.json["error"]["field"]), (path, got)
    got = boss(lab).post(f"/agents/{agent.user}%00x/state", {"state": "away"})
    assert got.status in (400, 404), got
    assert boss(lab).get("//index.html%00.js").status == 404
    assert boss(lab).get("//healthz%00x").status == 404


@tap.case("every route with a body that is no JSON, far too deep, or of another type")
def bodies(lab):
    deep = b'{"number":' + b"[" * 20000 + b"]" * 20000 + b"}"
    for path, method, op in operations(document(lab)):
        if method == "GET" or path.endswith("/logout"):
            continue
        for raw in (b"{", b"nonsense", deep, b"\xff\xfe\x00", b"[" * 60000, b'{"a":1}{"b":2}', b"null"):
            got = boss(lab).ask(method, url_of(path), raw=raw, headers=JSON)
            assert got.status == 400 and got.code in ("bad_json", "bad_field"), (path, raw[:20], got)
        if schema_of(op):
            got = boss(lab).ask(method, url_of(path), raw=b"<x/>", headers={"Content-Type": "text/xml"})
            assert got.status == 415, (path, got)
            answered(op, got, path)
    assert boss(lab).get("/me").status == 200


@tap.case("every route as nobody, and with a token of no use: 401, and nothing else is told")
def nobody(lab):
    for path, method, op in operations(document(lab)):
        if op.get("security") == []:
            continue
        for client in (lab.nobody(), Client(lab, token="x" * 43), Client(lab, token=""),
                       Client(lab, cookie="x" * 43), Client(lab, token="x" * 3000)):
            got = client.ask(method, url_of(path), right_body(schema_of(op)) if method != "GET" else None)
            assert got.status == 401 and set(got.json["error"]) == {"code", "message"}, (path, got)
            answered(op, got, path)


@tap.case("events: a Last-Event-ID that is no id of ours begins anew with a snapshot")
def last_event_id(lab):
    for last in ("x", "0-0", "999999999999999999999-1", "1-99999999999999999999", "-1--1", "%00",
                 "9" * 59, "é", "1-1-1", "' or 1=1"):
        with boss(lab).events(last.encode().decode("latin-1")) as ev:
            assert ev.status == 200, (last, ev.status)
            assert ev.wait("snapshot").data["calls"] is not None, last
    got = boss(lab).get("/events?last_event_id=" + "9" * 100)
    assert got.status == 400 and got.json["error"]["field"] == "last_event_id", got


@tap.case("floods of headers, and many at once that never finish: the others are served")
def floods(lab):
    with socket.create_connection(("127.0.0.1", lab.http_port)) as s:
        s.settimeout(10)
        try:
            s.sendall(b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\n" +
                      b"".join(b"X-%d: y\r\n" % i for i in range(20000)) + b"\r\n")
            assert b" 431 " in s.recv(200)
        except (ConnectionResetError, BrokenPipeError):
            pass
    idle = [socket.create_connection(("127.0.0.1", lab.http_port)) for _ in range(40)]
    try:
        for i, s in enumerate(idle):
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-%d: " % i)
        assert boss(lab).get("/me").status == 200
        assert lab.nobody().get("//healthz").status == 200
    finally:
        for s in idle:
            s.close()


@tap.case("pipelined requests are answered in their order, also those that wait for the database")
def pipelined(lab):
    head = f"Host: x\r\nX-Segue: panel\r\nCookie: segue_session={boss(lab).cookie}\r\n"
    asked = [("GET", "/conversations?limit=1", ""), ("GET", "/me", ""), ("GET", "/none", ""),
             ("POST", "/calls/99.99/note", '{"text": "x"}'), ("GET", "/conversations.csv?limit=1", ""),
             ("GET", "/queues", "")] * 4
    text = "".join(f"{method} /api/v1{path} HTTP/1.1\r\n{head}" +
                   (f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else "") +
                   f"\r\n{body}" for method, path, body in asked)
    marks = {"/conversations?limit=1": b'"conversations"', "/me": b'"permissions"', "/none": b"no_route",
             "/calls/99.99/note": b"no_call", "/conversations.csv?limit=1": b"id,started_at",
             "/queues": b'"queues"'}
    with socket.create_connection(("127.0.0.1", lab.http_port)) as s:
        s.settimeout(20)
        s.sendall(text.encode())
        for _, path, _ in asked:
            r = http.client.HTTPResponse(s)  # reads no more than its own answer
            r.fp.close()
            r.fp = s.makefile("rb", buffering=0)
            r.begin()
            body = r.read()
            assert marks[path] in body, (path, body[:200])
            assert r.status == {"/none": 404, "/calls/99.99/note": 404}.get(path, 200), (path, r.status)


@tap.case("one address has so many connections and no more; calls, and others who let go, go on")
def too_many(_):
    with WebLab(http="connections_each = 10;", users=4, peers=1) as lab:
        admin = lab.login("boss")
        c, a = talk(lab)
        held = [socket.create_connection(("127.0.0.1", lab.http_port)) for _ in range(10)]
        for s in held:
            s.settimeout(20)
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " in s.recv(2000)
        with socket.create_connection(("127.0.0.1", lab.http_port)) as s:
            s.settimeout(20)
            try:
                s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert s.recv(2000) == b""
            except ConnectionError:
                pass
        end(c, a)
        for s in held:
            s.close()

        def served():
            try:
                return admin.get("/me").status == 200
            except (ConnectionError, http.client.HTTPException):
                return False
        wait("they are served again", served)


@tap.case("a login ends when it was not used for so long, and 30 days after it began, used or not")
def expiry(_):
    day = 86400 * 1000000
    with WebLab(http='session = "2h";', users=2, peers=1) as lab:
        kept, unused, old = lab.login("boss"), lab.login("sup"), lab.login("sup2")
        lab.daemon.stop()
        with open(lab.dir + "/sessions") as f:
            rows = json.load(f)
        for row in rows:
            if row["user"] == "sup":
                row["used"] -= int(day / 12) + 1000000
            if row["user"] == "sup2":
                row["begun"] -= 30 * day
        with open(lab.dir + "/sessions", "w") as f:
            json.dump(rows, f)
        lab.restart()
        assert [x.get("/me").status for x in (kept, unused, old)] == [200, 401, 401]
        with open(lab.dir + "/sessions") as f:
            assert kept.cookie not in f.read(), "the secret itself is nowhere"


@tap.case("a login is limited for each address too, whichever users are tried")
def many_logins(lab):
    with WebLab(users=3, peers=1) as other:
        other.login("boss")
        seen = [other.nobody().post("/login", {"user": f"u{i}", "password": "x"}).status
                for i in range(40)]
        assert set(seen) == {401, 429} and seen.index(429) >= 20, seen
        got = other.nobody().post("/login", {"user": "boss", "password": PASSWORD})
        assert got.status == 429 and int(got.headers["Retry-After"]) > 0, got


@tap.case("every refusal is on record: no permission, not yours, another site, a bad token, a bad login")
def on_record(lab):
    agent, other = lab.phone(), lab.phone()
    me = lab.login(agent.user)
    c, a = talk(lab, other)
    call = boss(lab).call_of(c)["id"]
    lab.token("no-use", "metrics").post(f"/calls/{call}/hangup")
    me.post(f"/calls/{call}/hangup")
    me.post(f"/calls/{call}/hold", headers={"Origin": "https://evil.example"})
    me.post("/calls", {"number": "1", "user": other.user})
    me.post(f"/agents/{other.user}/state", {"state": "away"})
    boss(lab).post(f"/calls/{call}/transfer", {"number": "77777777"})
    Client(lab, token="y" * 43).get("/calls")
    lab.nobody().post("/login", {"user": "eve", "password": "guess"})
    wanted = {("token:no-use", "hangup"), (agent.user, "hangup"), (agent.user, "hold"),
              (agent.user, "dial"), (agent.user, "agent_state"), ("boss", "transfer"),
              ("nobody", "calls"), ("eve", "login")}
    wait(f"all of {wanted} are on record", lambda: wanted <= {
        (r["who"], r["action"]) for r in lab.rows(
            "select who, action from segue.audit where result = 'refused' and why <> ''")})
    end(c, a)


@tap.case("gzip for those who take it: long texts and pages, never short ones, streams or for others")
def packed(lab):
    page = "<!doctype html>" + "<p>the same again</p>" * 500
    with open(os.path.join(lab.dir, "panel", "index.html"), "w") as f:
        f.write(page)
    for path, text in (("//", page), ("/openapi.json", None)):
        plain = boss(lab).get(path)
        assert "Content-Encoding" not in plain.headers and plain.headers["Vary"] == "Accept-Encoding"
        for accept, packs in (("gzip", True), ("br, gzip;q=0.5", True), ("deflate, GZIP", True),
                              ("gzip;q=0", False), ("gzip; q=0.000, br", False), ("identity", False),
                              ("xgzip", False), ("*;q=0", False), (",,;;gzip", False)):
            got = boss(lab).get(path, headers={"Accept-Encoding": accept})
            assert (got.headers.get("Content-Encoding") == "gzip") == packs, (path, accept, got.headers)
            body = gzip.decompress(got.body) if packs else got.body
            assert body == plain.body and (text is None or body.decode() == text), (path, accept)
            assert not packs or len(got.body) < len(body) / 4, (path, len(got.body))
    tag = boss(lab).get("//", headers={"Accept-Encoding": "gzip"}).headers["ETag"]
    for have in (tag, f'"other", {tag}', "*"):
        got = boss(lab).get("//", headers={"If-None-Match": have, "Accept-Encoding": "gzip"})
        assert got.status == 304 and got.body == b"" and got.headers["ETag"] == tag, (have, got)
    assert boss(lab).get("//", headers={"If-None-Match": '"other"'}).status == 200
    got = boss(lab).get("/me", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in got.headers and got.json["user"] == "boss", got.headers
    with boss(lab).events() as ev:
        assert ev.answer.headers.get("Content-Encoding") is None
        ev.wait("snapshot")


if __name__ == "__main__":
    tap.main(WebLab, jobs=3)
