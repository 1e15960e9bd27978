"""Recording by click, with a real media engine: start, pause, go on, stop; the case's record has them."""
import glob
import os
import subprocess
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import engine
import rtp
import segued
import tap
from flows import end, talk, wait
from panel import PanelLab, customer


LENGTH = 2  # seconds


@tap.case("M16 recording by click: start, pause, again, stop; each is on the timeline, the log has the sign")
def recording(lab):
    p = lab.page()
    c, a = talk(lab)
    name = customer(c)
    call = lab.login("boss").call_of(c)["id"]
    p.see("row", f"{name}: Talking")
    p.js(f"location.hash = '#/live/{call}'")
    p.see("region", f"Call of {name}")
    p.click("button", f"Record: {name}")
    p.click("button", f"Pause recording: {name}")
    p.reads("paused until the next agent")
    p.click("button", f"Record again: {name}")
    p.click("button", f"Stop recording: {name}")
    p.see("button", f"Record: {name}")
    end(c, a)
    led = lab.ledger(c)
    kinds = [t for t in led.types() if t.startswith("recording")]
    assert kinds == ["recording_on", "recording_paused", "recording_on", "recording_off"], kinds
    p.js("location.hash = '#/log'")
    p.click("link", name)
    p.see("region", "Recording")


def converted(eng):
    """What has been made of the captures that are whole."""
    subprocess.run([os.path.join(segued.SRC, "contrib", "recording-to-wav"), eng.records, eng.wavs],
                   check=True, capture_output=True)
    return glob.glob(os.path.join(eng.wavs, "*.wav"))


@tap.case("M16 a recording is played: the cursor runs through the score, and a click in the score seeks")
def player(lab):
    voices = [rtp.Rtp(tone) for tone in rtp.TONES[:2]]
    for v in voices:
        tap.at_end(v.close)
    cv, av = voices
    p = lab.page()
    c, a = talk(lab, sdp=cv.sdp(), answer=av.sdp())
    cv.follow(c)
    av.follow(a)
    boss = lab.login("boss")
    call = boss.call_of(c)["id"]
    assert boss.post(f"/calls/{call}/recording", {"action": "start"}).status < 300
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    time.sleep(LENGTH)  # what is said is recorded
    end(c, a)
    led = lab.ledger(c)
    wait("the capture has become a sound", lambda: converted(e))
    p.js(f"location.hash = '#/log/{led.conversation['id']}'")
    p.see("region", "Recording")
    sound = "document.querySelector('audio')"
    cursor = "document.querySelector('.paper .cursor')?.getBoundingClientRect().left || 0"
    p.js(f"{sound}.play().then(() => true)")
    p.wait(lambda: p.js(f"{sound}.currentTime > 0"), "it plays")
    first = p.wait(lambda: p.js(cursor), "there is a cursor")
    p.wait(lambda: p.js(cursor) > first, "the cursor runs")
    p.js(f"{sound}.pause()")
    box = p.see("group", "Score").call("const r = this.querySelector('svg').getBoundingClientRect();"
                                       "return [r.left, r.top, r.width, r.height]")
    # what was recorded is some part of the call: the click goes to its other half
    begins, lasts = [box[2] * float(x) for x in lab.cluster.psql(
        "select extract(epoch from r.started_at - c.started_at) / extract(epoch from c.ended_at - c.started_at), "
        "extract(epoch from r.ended_at - r.started_at) / extract(epoch from c.ended_at - c.started_at) "
        "from segue.conversations c join segue.recordings r on r.conversation_id = c.id "
        f"where c.id = '{led.conversation['id']}'", lab.db)[0]]
    middle = box[0] + begins + lasts / 2
    x = middle + lasts * (0.2 if p.js(cursor) < middle else -0.2)
    p.mouse(x, box[1] + box[3] - 4)
    p.wait(lambda: abs(p.js(cursor) - x) < 0.1 * lasts, "the cursor is where it was clicked")


if __name__ == "__main__":
    with engine.Engine() as e:
        tap.main(lambda: PanelLab(conf=e.conf(extra=f'recordings = "{e.wavs}";')), jobs=1)
