"""Recording by click, with a real media engine: start, pause, go on, stop; the case's record has them."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import engine
import tap
from flows import end, talk
from panel import PanelLab, customer


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


if __name__ == "__main__":
    with engine.Engine() as e:
        tap.main(lambda: PanelLab(conf=e.conf(extra=f'recordings = "{e.wavs}";')), jobs=1)
