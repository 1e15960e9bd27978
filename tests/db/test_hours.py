"""Opening hours of queues: from hours of the week, exceptions and a time zone to instants, also on the
days on which the clocks change; and what is refused."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dbtest  # noqa: E402
from dbtest import tap  # noqa: E402


def queue(lab, zone="Europe/Berlin", hours="", exceptions=""):
    """A database with a queue; hours are "weekday opens closes", exceptions "day [opens closes]"."""
    db = lab.database()
    zone = f"'{zone}'" if zone else "null"
    db.rows(f"insert into segue.queues (name, time_zone) values ('support', {zone})")
    for table, lines in (("queue_hours", hours), ("queue_exceptions", exceptions)):
        for line in filter(None, lines.split(",")):
            values = (line.split() + ["null", "null"])[:3]
            values = ", ".join(v if v == "null" else f"'{v}'" for v in values)
            db.rows(f"insert into segue.{table} values ('support', {values})")
    return db


def openings(db, start, end):
    """What is open between two days (UTC), as "day hour:minute-[day ]hour:minute", in UTC."""
    rows = db.rows(f"""
        select to_char(opens at time zone 'UTC', 'DD HH24:MI'), to_char(closes at time zone 'UTC', 'DD HH24:MI')
        from segue.queue_openings('support', '{start} 00:00+00', '{end} 00:00+00')""")
    return [a + "-" + (b[3:] if a[:2] == b[:2] else b) for a, b in rows]


@tap.case("several openings a day, over midnight, a whole day; what meets or overlaps is one opening")
def week(lab):
    # 2026-06-01 is a Monday, and Berlin is two hours before UTC
    db = queue(lab, hours="1 08:00 12:00,1 13:00 18:00,2 20:00 06:00,3 06:00 07:30,3 07:00 08:00,"
                          "4 00:00 24:00,5 00:00 01:00,7 22:00 00:00")
    assert openings(db, "2026-06-01", "2026-06-08") == [
        "01 06:00-10:00", "01 11:00-16:00", "02 18:00-03 06:00", "03 22:00-04 23:00", "07 20:00-22:00"]
    assert openings(db, "2026-06-03", "2026-06-04") == ["03 00:00-06:00", "03 22:00-04 00:00"], \
        "what began before, and what goes on after, is cut to what was asked for"


@tap.case("clocks go forward in Berlin: an hour less in that night, and hours of the day in summer time")
def forward(lab):
    # Sunday 2026-03-29: 02:00 is 03:00
    db = queue(lab, hours="6 08:00 09:00,6 22:00 06:00,7 08:00 12:00,1 08:00 12:00")
    assert openings(db, "2026-03-28", "2026-03-31") == [
        "28 07:00-08:00", "28 21:00-29 04:00", "29 06:00-10:00", "30 06:00-10:00"]
    assert db.value("select sum(closes - opens) from segue.queue_openings('support', "
                    "'2026-03-28 12:00+00', '2026-03-29 05:00+00')") == "07:00:00"
    db = queue(lab, hours="7 02:30 04:00,7 05:00 02:15")
    assert openings(db, "2026-03-29", "2026-03-30") == ["29 01:30-02:00", "29 03:00-30 00:00"], \
        "02:30 is not there that day: 03:30"
    db = queue(lab, hours="7 02:30 03:00,7 04:00 05:00")
    assert openings(db, "2026-03-29", "2026-03-30") == ["29 02:00-03:00"], "it would close before it opened"


@tap.case("clocks go back in Berlin: an hour more in that night, and hours of the day in winter time")
def back(lab):
    # Sunday 2026-10-25: 03:00 is 02:00 again
    db = queue(lab, hours="6 08:00 09:00,6 22:00 06:00,7 08:00 12:00,1 08:00 12:00")
    assert openings(db, "2026-10-24", "2026-10-27") == [
        "24 06:00-07:00", "24 20:00-25 05:00", "25 07:00-11:00", "26 07:00-11:00"]
    assert db.value("select sum(closes - opens) from segue.queue_openings('support', "
                    "'2026-10-24 12:00+00', '2026-10-25 06:00+00')") == "09:00:00"
    db = queue(lab, hours="7 02:30 04:00")
    assert openings(db, "2026-10-25", "2026-10-26") == ["25 01:30-03:00"], "the second 02:30 is meant"


@tap.case("a day of its own: closed, other hours, several of them; the night before goes on into it")
def exceptions(lab):
    db = queue(lab, hours="1 20:00 06:00,2 08:00 18:00,3 08:00 18:00,4 08:00 18:00,5 08:00 18:00",
               exceptions="2026-06-02,2026-06-03 10:00 11:00,2026-06-03 15:00 16:00,2026-06-04 09:00 10:00,"
                          "2026-06-04,2026-06-06 23:00 01:00")
    assert openings(db, "2026-06-01", "2026-06-08") == [
        "01 18:00-02 04:00",                   # and on Tuesday itself nothing
        "03 08:00-09:00", "03 13:00-14:00",
        "05 06:00-16:00",                      # Thursday is closed all day, whatever the other row says
        "06 21:00-23:00"]                      # a Saturday, which has no hours
    db = queue(lab, exceptions="2026-06-03,2026-06-05 10:00 12:00")
    assert openings(db, "2026-06-02", "2026-06-06") == [
        "02 00:00-22:00", "03 22:00-04 22:00", "05 08:00-10:00", "05 22:00-06 00:00"], \
        "without hours of the week it is open on all other days"


@tap.case("the zone is the queue's own, else that of settings, which is UTC; every other hour of the world works")
def zones(lab):
    day = ("2026-06-01", "2026-06-02")
    db = queue(lab, zone=None, hours="1 08:00 12:00,7 08:00 12:00,2 08:00 12:00")
    assert openings(db, *day) == ["01 08:00-12:00"]
    db.rows("update segue.settings set value = 'America/New_York' where key = 'time_zone'")
    assert openings(db, *day) == ["01 12:00-16:00"]
    for zone, want in (("Asia/Kathmandu", ["01 02:15-06:15"]), ("Pacific/Auckland", ["01 20:00-02 00:00"]),
                       ("Etc/GMT+12", ["01 20:00-02 00:00"]), ("UTC", ["01 08:00-12:00"]),
                       ("America/Argentina/Buenos_Aires", ["01 11:00-15:00"])):
        db.rows(f"update segue.queues set time_zone = '{zone}'")
        assert openings(db, *day) == want, (zone, openings(db, *day))


@tap.case("hours and zones that make no sense are refused by name of the rule")
def refused(lab):
    db = queue(lab)
    for sql, rule in [
            ("insert into segue.queue_hours values ('sales', 1, '08:00', '12:00')", "queue_hours_queue_exists"),
            ("insert into segue.queue_hours values ('support', 0, '08:00', '12:00')",
             "queue_hours_weekday_from_1_monday_to_7_sunday"),
            ("insert into segue.queue_hours values ('support', 8, '08:00', '12:00')",
             "queue_hours_weekday_from_1_monday_to_7_sunday"),
            ("insert into segue.queue_hours values ('support', 1, '24:00', '12:00')",
             "queue_hours_opens_before_24_00"),
            ("insert into segue.queue_hours values ('support', 1, '08:00', '08:00')",
             "queue_hours_closes_at_another_time"),
            ("insert into segue.queue_hours values ('support', 1, '08:00', null)", 'null value in column "closes"'),
            ("insert into segue.queue_hours values ('support', 1, '25:00', '08:00')", "out of range"),
            ("insert into segue.queue_hours values ('support', 1, '08:00', '12:00'), "
             "('support', 1, '08:00', '13:00')", "queue_hours_unique"),
            ("insert into segue.queue_exceptions values ('sales', '2026-06-01')", "queue_exceptions_queue_exists"),
            ("insert into segue.queue_exceptions values ('support', '2026-06-01', '08:00')",
             "queue_exceptions_opens_and_closes_or_neither"),
            ("insert into segue.queue_exceptions values ('support', '2026-06-01', '24:00', '08:00')",
             "queue_exceptions_opens_before_24_00"),
            ("insert into segue.queue_exceptions values ('support', '2026-06-01', '08:00', '08:00')",
             "queue_exceptions_closes_at_another_time"),
            ("insert into segue.queue_exceptions values ('support', '2026-02-30')", "out of range"),
            ("insert into segue.queue_exceptions values ('support', '2026-06-01'), ('support', '2026-06-01')",
             "queue_exceptions_unique"),
            *[(f"update segue.queues set time_zone = '{zone}'",
               "queues_time_zone_is_an_iana_name_such_as_europe_berlin")
              for zone in ("", "Berlin", "Europe/Berln", "Europe/Berln+3", "CET", "CET-1CEST", "+02:00",
                           "europe/berlin", "Europe/Berlin; drop")],
            ("update segue.settings set value = 'Mars/Olympus' where key = 'time_zone'",
             "settings_time_zone_is_an_iana_name_such_as_europe_berlin")]:
        db.fails(sql, rule)
    db.rows("update segue.settings set value = 'Europe/Berlin' where key = 'time_zone'")


tap.main(dbtest.Lab)
