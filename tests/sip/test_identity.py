"""How people are shown to others: From, P-Asserted-Identity, Privacy, Diversion, History-Info,
Referred-By, and the marks of a recall; they never contradict each other (R-047, R-062, R-063)."""
import os
import re
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import end, final_notify, joined, pick_up, refer, ring, talk, wait
from segued import Lab
from ua import uri_of

# Peers by what they want; those with even numbers are trusted.
DIVERSION, HISTORY, VERBATIM = range(40, 47), range(47, 53), range(53, 57)
BUSINESS, TRANSFEROR, PLAIN = range(30, 35), range(35, 40), range(0, 30)


def peer(lab, kind, trusted=None):
    """A peer of that kind that no other running case has."""
    return wait("a peer is free", lambda: next(
        (lab.trunk(index=i) for i in kind if i in lab.idle_peers
         and trusted in (None, i % 2 == 0)), None))


def transferred(lab, kind, headers=(), customer=None, trusted=None):
    """C-A; A transfers C to a number behind a peer of that kind, which rings. Returns C, A, B."""
    c, a = talk(lab, headers=headers, trunk=customer or peer(lab, PLAIN))
    outside = peer(lab, kind, trusted)
    refer(lab, a, lab.outside(outside, "4471"))
    b = outside.incoming()
    b.reply(180)
    return c, a, b


def answered(lab, c, a, b):
    b.answer()
    b.expect("ACK")
    joined(c, b)
    final_notify(a, 200)
    end(c, b)


def from_number(b):
    return re.search(r"sip:([^@]*)@", b.invite.get("From")).group(1)


@tap.case("R-063 Diversion names the transferor, on top of those that came; Referred-By agrees")
def diversion(lab):
    c, a, b = transferred(lab, DIVERSION, [("Diversion", "<sip:800@x>;reason=no-answer")])
    one, two = b.invite.all("Diversion")
    assert one.startswith(f'"User {a.ua.user[1:].lstrip("0") or "0"}" <sip:{a.ua.number}@'), one
    assert "reason=deflection" in one and "privacy=off" in one, one
    assert two == "<sip:800@x>;reason=no-answer", two
    assert a.ua.number in b.invite.get("Referred-By"), b.invite.headers
    assert not b.invite.has("History-Info")
    answered(lab, c, a, b)


@tap.case("R-063 History-Info: who had the call and to whom it went, after those that came")
def history(lab):
    c, a, b = transferred(lab, HISTORY, [("History-Info", "<sip:800@x>;index=1,<sip:801@x>;index=1.1")])
    got = b.invite.all("History-Info")
    assert [re.search(r";index=([\d.]+)", h).group(1) for h in got] == \
        ["1", "1.1", "1.1.1", "1.1.1.1"], got
    assert f"sip:{a.ua.number}@" in got[2] and "Reason=SIP" in got[2], got
    assert uri_of(got[3]) == b.invite.uri and "mp=1.1.1" in got[3], got
    assert not b.invite.has("Diversion")
    answered(lab, c, a, b)


@tap.case("R-063 History-Info begins with 1 where none came")
def history_first(lab):
    c, a, b = transferred(lab, HISTORY)
    got = b.invite.all("History-Info")
    assert [re.search(r";index=([\d.]+)", h).group(1) for h in got] == ["1", "1.1"], got
    answered(lab, c, a, b)


@tap.case("R-063 neither is added for a peer that did not ask for it, nor to a call of its own")
def no_diversion(lab):
    c, a, b = transferred(lab, PLAIN)
    assert not b.invite.has("Diversion") and not b.invite.has("History-Info"), b.invite.headers
    answered(lab, c, a, b)
    caller, outside = lab.phone(), peer(lab, DIVERSION)
    c, b = ring(caller, lab.outside(outside, "4472"), outside)
    assert not b.invite.has("Diversion") and not b.invite.has("Referred-By"), b.invite.headers
    pick_up(c, b)
    end(c, b)


@tap.case("R-062 a trusted peer gets the caller's asserted identity, one that is not trusted does not")
def asserted(lab):
    for told in (True, False):
        c, a, b = transferred(lab, PLAIN, [("P-Asserted-Identity", '"Ann" <sip:+491511@carrier>')],
                              peer(lab, PLAIN, True), told)
        got = b.invite.all("P-Asserted-Identity")
        assert got == (['"Ann" <sip:+491511@carrier>'] if told else []), got
        assert from_number(b) == "+491511", b.invite.get("From")
        answered(lab, c, a, b)


@tap.case("R-062 E-070 an asserted identity that an untrusted peer sends is not passed on: From is asserted")
def not_believed(lab):
    c, a, b = transferred(lab, PLAIN, [("P-Asserted-Identity", "<sip:+490000@fake>")],
                          peer(lab, PLAIN, False), True)
    got = b.invite.all("P-Asserted-Identity")
    assert len(got) == 1 and f"sip:{from_number(b)}@" in got[0] and "0000@" not in got[0], got
    answered(lab, c, a, b)


@tap.case("R-062 an anonymous caller stays anonymous when transferred; only the trusted learn who it is")
def anonymous(lab):
    headers = [("Privacy", "id"), ("P-Asserted-Identity", "<sip:+491522@carrier>")]
    for told in (True, False):
        c, a, b = transferred(lab, PLAIN, headers, peer(lab, PLAIN, True), told)
        assert "anonymous@anonymous.invalid" in b.invite.get("From"), b.invite.get("From")
        assert b.invite.has("P-Asserted-Identity") == told, b.invite.headers
        assert b.invite.get("Privacy") == ("id" if told else ""), b.invite.headers
        assert "491522" not in b.invite.get("From") + b.invite.get("Contact")
        answered(lab, c, a, b)


@tap.case("R-062 R-063 caller_id = business: From and the assertion show it, Diversion who sent the call")
def business(lab):
    for told in (True, False):
        c, a, b = transferred(lab, BUSINESS, [("P-Asserted-Identity", "<sip:+491533@carrier>")],
                              peer(lab, PLAIN, True), told)
        assert from_number(b) == "+49895550" and '"Example Ltd"' in b.invite.get("From"), \
            b.invite.get("From")
        got = b.invite.all("P-Asserted-Identity")
        assert len(got) == told and all("sip:+49895550@" in x for x in got), got
        assert f"sip:{a.ua.number}@" in b.invite.get("Diversion"), b.invite.headers
        assert "491533" not in b.invite.encode().decode(), b.invite.headers
        answered(lab, c, a, b)


@tap.case("R-062 caller_id = business hides an anonymous caller without a wish of its own left over")
def business_anonymous(lab):
    c, a, b = transferred(lab, BUSINESS, [("Privacy", "id"), ("P-Asserted-Identity",
                          "<sip:+491544@carrier>")], peer(lab, PLAIN, True), True)
    assert from_number(b) == "+49895550" and not b.invite.has("Privacy"), b.invite.headers
    assert "491544" not in b.invite.encode().decode(), b.invite.headers
    answered(lab, c, a, b)


@tap.case("R-062 caller_id = transferor: From and the assertion show the agent; a first call its caller")
def transferor(lab):
    c, a, b = transferred(lab, TRANSFEROR, trusted=True)
    assert from_number(b) == a.ua.number, b.invite.get("From")
    assert f"sip:{a.ua.number}@" in b.invite.get("P-Asserted-Identity"), b.invite.headers
    answered(lab, c, a, b)
    caller, outside = lab.phone(), peer(lab, TRANSFEROR)
    c, b = ring(caller, lab.outside(outside, "4478"), outside)
    assert from_number(b) == caller.number, b.invite.get("From")
    pick_up(c, b)
    end(c, b)


@tap.case("a recall is marked: Alert-Info, the prefix in the name, the id of the failed transfer")
def recall(lab):
    c, a = talk(lab, trunk=peer(lab, PLAIN, True), headers=[
        ("X-Segue-Transfer", "from-outside"), ("P-Asserted-Identity", "<sip:+491555@carrier>")])
    assert "+491555" in a.invite.get("P-Asserted-Identity"), a.invite.headers
    assert not a.invite.has("X-Segue-Transfer"), a.invite.headers
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    a.hangup()
    b.reply(486)
    back = a.ua.incoming(where=lambda m: m.call_id != a.call_id)
    assert "recall" in back.invite.get("Alert-Info"), back.invite.headers
    assert back.invite.get("From").startswith('"Recall'), back.invite.get("From")
    assert not back.invite.has("P-Asserted-Identity"), back.invite.headers
    back.answer()
    back.expect("ACK")
    joined(c, back)
    end(c, back)
    first = lab.ledger(c).transfers[0]
    assert back.invite.get("X-Segue-Transfer") == first["id"], (back.invite.headers, first)


@tap.case("verbatim_referral: the Refer-To is the Request-URI as it was written; Referred-By too")
def verbatim(lab):
    by = '<sip:agent@tenant.example;x-m="8:orgid:1";x-t=42>;cid="1@x"'
    c, a = talk(lab)
    outside = peer(lab, VERBATIM)
    uri = f"sip:{lab.outside(outside, '4473')}@{outside.hostport};x-m=8:orgid:%221%22;x-t=42;transport=udp"
    a.refer(f"<{uri}>", [("Referred-By", by)], by=False)
    a.expect(202, method="REFER")
    b = outside.incoming()
    assert b.invite.uri == uri, b.invite.uri
    assert b.invite.get("Referred-By") == by, b.invite.headers
    answered(lab, c, a, b)


@tap.case("verbatim_referral: a call of its own, and a transfer by its number, ask for the number")
def verbatim_number(lab):
    caller, outside = lab.phone(), peer(lab, VERBATIM)
    c, b = ring(caller, lab.outside(outside, "4474"), outside)
    assert b.invite.uri.startswith(f"sip:4474@{outside.hostport}"), b.invite.uri
    pick_up(c, b)
    end(c, b)


def conf(i):
    return 'caller_id = "business"; business_number = "+49895550"; diversion = "diversion"; ' \
        'business_name = "Example Ltd";' if i in BUSINESS else \
        'caller_id = "transferor";' if i in TRANSFEROR else \
        'diversion = "diversion";' if i in DIVERSION else \
        'diversion = "history_info";' if i in HISTORY else \
        "verbatim_referral = true;" if i in VERBATIM else ""


if __name__ == "__main__":
    tap.main(lambda: Lab(peer_conf=conf))
