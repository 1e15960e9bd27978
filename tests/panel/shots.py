"""shots: the pictures of README and docs, of the built daemon with scripted calls.

    SEGUE_BUILD=build python3 tests/panel/shots.py DIRECTORY
"""
import os
import shutil
import subprocess
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import pick_up, ring
from panel import PanelLab

NAMES = {"u000": "Alice", "u001": "Bob", "u002": "Carol"}
CUSTOMERS = [("Harbour Dental", "+12025550143"), ("Okafor and Sons", "+12025550109"),
             ("Northgate Clinic", "+12025550133")]


class ShotLab(PanelLab):
    def _users(self):
        super()._users()
        self.sql("update segue.users set display_name = 'Support lead' where name = 'sup'")
        for user, name in NAMES.items():
            self.sql(f"update segue.users set display_name = '{name}' where name = '{user}'; "
                     f"insert into segue.queue_members (queue, user_name) values ('support', '{user}')")


def rings(lab, who, phone):
    """That customer rings at the phone."""
    trunk, (name, number) = lab.trunk(trusted=True), who
    trunk.display = f'"{name}" '
    return ring(trunk, phone.number, phone, from_uri=f"sip:{number}@{trunk.domain}")


def conversation(lab, alice, bob, who):
    """Talk, a try that is declined, talk, a transfer: the drawn page of the docs."""
    c, a = rings(lab, who, alice)
    time.sleep(1.5)
    pick_up(c, a)
    time.sleep(4)
    boss = lab.login("boss")
    call = boss.call_of(c)["id"]
    boss.post(f"/calls/{call}/transfer", {"number": bob.number})
    b = bob.incoming()
    b.reply(180)
    time.sleep(2)
    b.reply(603)
    time.sleep(3)
    boss.post(f"/calls/{call}/transfer", {"number": bob.number})
    b = bob.incoming()
    b.reply(180)
    time.sleep(2)
    b.answer()
    a.expect("BYE")
    time.sleep(6)
    boss.post(f"/calls/{call}/note", {"text": "Wants the spring price list."})
    c.hangup()
    lab.conversation(c)


def take(p, directory, name):
    p.away()
    time.sleep(1)
    path = os.path.join(directory, name + ".png")
    p.shot(path)
    if shutil.which("pngquant"):  # a quarter of the size
        subprocess.run(["pngquant", "--force", "--output", path, "64", path], check=True)


def main(directory):
    tap._local.notes, tap._local.ends = [], []
    with ShotLab(users=5) as lab:
        alice, bob, carol = (lab.phone() for _ in NAMES)
        conversation(lab, alice, bob, CUSTOMERS[0])
        live = []
        for phone, who in ((alice, CUSTOMERS[0]), (carol, CUSTOMERS[1])):
            c, a = rings(lab, who, phone)
            pick_up(c, a)
            live.append((c, a))
        waiting = lab.trunk(trusted=True)
        waiting.display = '"Northgate Clinic" '
        w = waiting.invite("4001", from_uri=f"sip:{CUSTOMERS[2][1]}@{waiting.domain}")
        bob.incoming().reply(180)
        p = lab.page("sup", width=1280, height=760)
        p.see("row", "Harbour Dental")
        p.see("row", "Northgate Clinic")
        take(p, directory, "live")
        p.click("button", "Transfer Harbour Dental", exact=True)
        p.see("option", "Support")
        take(p, directory, "transfer")
        p.press("Escape")
        p.js("location.hash = '#/log'")
        p.see("table", "Call log")
        p.js("[...document.querySelectorAll('.calls.log a')].at(-1).click()")
        p.see("group", "Score")
        take(p, directory, "conversation")
        p.scheme(True)
        p.js("location.hash = '#/queues'")
        p.see("region", "Support")
        take(p, directory, "queues")
        w.cancel()
        for c, a in live:
            c.hangup()
        for end in reversed(tap._local.ends):
            end()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.makedirs(sys.argv[1], exist_ok=True)
    main(sys.argv[1])
