"""The registrar: digest with MD5 and SHA-256, nonces, contacts, Path, expiry (R-065, R-066)."""
import os
import sys
import threading
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import end, pick_up, ring, wait
from segued import Lab
from ua import Sdp, challenge_params, uri_of


def challenges(phone, **kw):
    """The challenges that a REGISTER without credentials gets."""
    phone.auth = False
    c = phone.register(ok=None, **kw)
    r = c.expect(401, method="REGISTER")
    return c, [challenge_params(v) for n, v in r.headers if n.lower() == "www-authenticate"]


def with_credentials(phone, c, ch, nc=None, **changes):
    """A REGISTER with an answer to challenge ch; its final response."""
    c.cseq += 1
    m = c.request("REGISTER", [("Expires", "300")], cseq=c.cseq)
    m.set("Contact", f"<{phone.contact}>")
    value = phone.credentials("REGISTER", c.target, ch, nc)
    for old, new in changes.items():
        value = value.replace(old, new)
    m.add("Authorization", value)
    c.send(m)
    return c.expect(range(200, 700), method="REGISTER")


@tap.case("R-065 the challenge offers SHA-256 first, then MD5, both with qop=auth")
def challenge(lab):
    _, chs = challenges(lab.user())
    assert [c.get("algorithm") for c in chs] == ["SHA-256", "MD5"], chs
    assert all("auth" in c["qop"] and c["realm"] == lab.domain and c["nonce"] for c in chs), chs


@tap.case("R-065 a phone that gives up on SHA-256 is asked for MD5 alone")
def md5_only(lab):
    for user_agent in ("old Digest 2", "baresip v1.0.0 (x86_64/linux)"):
        _, chs = challenges(lab.user(), headers=[("User-Agent", user_agent)])
        assert [c.get("algorithm") for c in chs] == ["MD5"], (user_agent, chs)
    _, chs = challenges(lab.user(), headers=[("User-Agent", "A phone older than Old digest")])
    assert len(chs) == 2, chs


@tap.case("R-065 a user without an MD5 hash is asked for SHA-256, whatever the phone")
def sha256_only(lab):
    phone = lab.user()
    lab.sql(f"update segue.users set ha1_md5 = null where name = '{phone.user}'")
    wait("segue has read it", lambda: [c.get("algorithm") for c in challenges(
        phone, headers=[("User-Agent", "Old digest")])[1]] == ["SHA-256"])


def algorithm(name):
    def run(lab):
        phone = lab.user()
        phone.prefer = name
        r = phone.register(expires=120)
        assert phone.contact in r.get("Contact"), r.headers
        assert "expires=" in r.get("Contact") or r.has("Expires"), r.headers
        c, a = ring(lab.trunk(), phone.number, phone)
        pick_up(c, a)
        end(c, a)
    return run


for _name in ("MD5", "SHA-256"):
    tap.case(f"R-065 registered with {_name}, and reachable")(algorithm(_name))


@tap.case("a wrong password is refused, and nothing rings")
def wrong(lab):
    phone = lab.user()
    phone.password = "nonsense"
    phone.register(ok=(401, 403))
    lab.trunk().invite(phone.number).expect((480, 404))
    phone.expect_none("INVITE", 0.1)


@tap.case("an unknown user looks the same as a wrong password")
def unknown(lab):
    phone = lab.user()
    phone.user = "nobody"
    phone.register(ok=(401, 403))


@tap.case("one cannot register for somebody else")
def other_aor(lab):
    phone, victim = lab.user(), lab.user()
    c = phone.register(ok=None)
    c.expect(200)
    c.local_uri = c.remote_uri = f"sip:{victim.user}@{lab.domain}"
    c.send(c.request("REGISTER", [("Expires", "60")]))
    assert c.expect(range(200, 700), method="REGISTER").status in (401, 403, 404)


@tap.case("R-065 a replayed Authorization (same nc) is challenged again")
def replay(lab):
    phone = lab.user()
    c, chs = challenges(phone)
    assert with_credentials(phone, c, chs[0], nc=1).status == 200
    assert with_credentials(phone, c, chs[0], nc=1).status == 401
    assert with_credentials(phone, c, chs[0], nc=2).status == 200


@tap.case("R-065 a nonce that we never gave: 401")
def forged_nonce(lab):
    phone = lab.user()
    c, chs = challenges(phone)
    r = with_credentials(phone, c, dict(chs[0], nonce="Zm9yZ2Vk"))
    assert r.status == 401, str(r)


@tap.case("R-065 nonce expiry: stale=true, and the same password works with the new one")
def stale(lab):
    phone = lab.user()
    c, chs = challenges(phone)
    assert with_credentials(phone, c, chs[0]).status == 200
    started = time.monotonic()
    def expired():
        r = with_credentials(phone, c, chs[0])
        return r if r.status == 401 else None
    r = wait("the nonce is stale", expired, 60)
    assert time.monotonic() - started > 5
    new = challenge_params(r.get("WWW-Authenticate"))
    assert new.get("stale", "").lower() == "true", r.headers
    assert with_credentials(phone, c, new).status == 200


@tap.case("two phones of one user: both listed, both ring")
def several(lab):
    one = lab.phone()
    two = lab.device(one)
    r = two.register()
    both = [uri_of(x) for x in r.all("Contact")]
    assert {one.contact, two.contact} <= set(both), both
    c = lab.trunk().invite(one.number)
    a, b = one.incoming(), two.incoming()
    a.reply(603)
    c.expect(603)
    assert b


@tap.case("REGISTER without Contact lists the bindings")
def query(lab):
    phone = lab.phone()
    r = phone.register(contacts=[])
    assert phone.contact in r.get("Contact"), r.headers


@tap.case("a repeated registration refreshes, it does not double")
def refresh(lab):
    phone = lab.phone()
    r = phone.register()
    assert len(r.all("Contact")) == 1, r.all("Contact")
    c, a = ring(lab.trunk(), phone.number, phone)
    a.reply(486)
    c.expect(486)
    phone.expect_none("INVITE", 0.2)


@tap.case("unregister one contact with expires=0, all with *")
def unregister(lab):
    one = lab.phone()
    two = lab.device(one)
    two.register()
    r = two.register(contacts=[f"<{two.contact}>;expires=0"])
    assert [uri_of(x) for x in r.all("Contact")] == [one.contact], r.headers
    r = one.register(expires=0, contacts=["*"])
    assert not r.has("Contact"), r.headers
    lab.trunk().invite(one.number).expect(480)


@tap.case("Contact: * without Expires: 0 is refused")
def star(lab):
    phone = lab.phone()
    assert phone.register(expires=60, contacts=["*"], ok=range(200, 700)).status == 400


@tap.case("Expires below the minimum: 423 with Min-Expires; above the maximum: shortened")
def expires(lab):
    phone = lab.user()
    r = phone.register(expires=3, ok=range(200, 700))
    assert r.status == 423 and int(r.get("Min-Expires")) == 10, r.headers
    r = phone.register(expires=100000)
    assert "expires=3600" in r.get("Contact"), r.headers


@tap.case("a binding expires: 480 after that")
def expiry(lab):
    phone = lab.user()
    phone.register(expires=10)
    trunk = lab.trunk()
    def gone():
        c = trunk.invite(phone.number)
        r = c.expect((180, 480))
        if r.status == 180:
            c.cancel()
            c.expect(487)
        return r.status == 480
    stop = threading.Event()
    def answer():
        while not stop.is_set():
            m = phone.take("INVITE", 0.2)
            if m:
                phone.calls[m.call_id].reply(180)
    t = threading.Thread(target=answer, daemon=True)
    t.start()
    wait("the binding is gone", gone, 60)
    stop.set()
    t.join()


@tap.case("R-066 Path: the stored route is used toward the contact")
def path(lab):
    edge, phone = lab.trunk(), lab.user()
    value = f"<sip:{edge.hostport};lr;tok=1>"
    phone.register(headers=[("Path", value), ("Supported", "path")])
    c = lab.trunk().invite(phone.number)
    m = edge.expect("INVITE")
    assert m.uri == phone.contact, m.start
    assert m.all("Route")[0] == value, m.headers
    edge.calls[m.call_id].reply(486)
    c.expect(486)


@tap.case("an older CSeq of the same registration is refused")
def cseq(lab):
    phone = lab.phone()
    c = phone._reg
    c.cseq -= 3
    r = phone.register(ok=range(200, 700))
    assert r.status >= 400, str(r)


@tap.case("malformed Authorization: refused, no crash")
def malformed(lab):
    phone = lab.user()
    phone.auth = False
    for value in ("Digest", "Digest ,,,=", 'Digest username="', "Basic YTpi", "Digest nonce=" + "A" * 3000,
                  'Digest username="u001",realm="x",nonce="y",uri="z",response="' + "0" * 31 + '"'):
        c = phone.call(f"sip:{lab.domain}")
        m = c.request("REGISTER", [("Authorization", value)])
        c.send(m)
        assert c.expect(range(400, 500)).status in (400, 401, 403), value


def ringing(trunk, dial):
    """A call that is not answered 404, or None."""
    c = trunk.invite(dial)
    return None if c.take(404, 0.5) else c


@tap.case("a user with a static contact rings without registering")
def static(lab):
    edge = lab.trunk()
    name, dial = f"static{edge.index}", f"88{edge.index:02d}"
    lab.add_user(name, dial, contact=f"sip:desk@{edge.hostport}")
    c = wait("the user is known", lambda: ringing(lab.trunk(), dial))
    m = edge.expect("INVITE")
    assert m.uri.startswith("sip:desk@"), m.start
    edge.calls[m.call_id].reply(486)
    c.expect(486)


if __name__ == "__main__":
    tap.main(lambda: Lab(sip='nonce = "10s"; expires_min = "10s";'), jobs=8)
