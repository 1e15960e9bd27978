-- When queues are open: hours of the week, days that are otherwise, and the time zone in which both are
-- meant. segued is told the openings of the next two weeks in UTC; it knows no calendar itself.

-- ---- time zones -------------------------------------------------------------------------------

CREATE FUNCTION segue.is_time_zone(p_name text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
	IF p_name !~ '^(UTC|Etc/(GMT|UTC)([+-][0-9]{1,2})?|[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_-]+){1,2})$' THEN
		RETURN false; -- PostgreSQL would take many a misspelling for a zone in the way of POSIX
	END IF;
	PERFORM now() AT TIME ZONE p_name;
	RETURN true;
EXCEPTION WHEN invalid_parameter_value THEN
	RETURN false;
END $$;
COMMENT ON FUNCTION segue.is_time_zone(text) IS
	'Is this UTC, or the name of a time zone of the IANA, such as Europe/Berlin, that this PostgreSQL knows?';

INSERT INTO segue.settings (key, value) VALUES ('time_zone', 'UTC');
ALTER TABLE segue.settings ADD CONSTRAINT settings_time_zone_is_an_iana_name_such_as_europe_berlin
	CHECK (key <> 'time_zone' OR segue.is_time_zone(value));
COMMENT ON COLUMN segue.settings.key IS
	'realm: SIP digest realm of all passwords; service_level_ms: a queue call answered within this counts as in time; time_zone: of the opening hours of queues that have none of their own (UTC until it is changed)';

ALTER TABLE segue.queues
	ADD COLUMN time_zone text,
	ADD CONSTRAINT queues_time_zone_is_an_iana_name_such_as_europe_berlin
		CHECK (segue.is_time_zone(time_zone));
COMMENT ON COLUMN segue.queues.time_zone IS
	'Time zone of the opening hours, as the IANA calls it, such as Europe/Berlin; NULL: settings.time_zone';

-- ---- hours ------------------------------------------------------------------------------------

CREATE TABLE segue.queue_hours (
	queue   text NOT NULL,
	weekday integer NOT NULL,
	opens   time NOT NULL,
	closes  time NOT NULL,
	CONSTRAINT queue_hours_unique PRIMARY KEY (queue, weekday, opens),
	CONSTRAINT queue_hours_queue_exists FOREIGN KEY (queue)
		REFERENCES segue.queues ON UPDATE CASCADE ON DELETE CASCADE,
	CONSTRAINT queue_hours_weekday_from_1_monday_to_7_sunday CHECK (weekday BETWEEN 1 AND 7),
	CONSTRAINT queue_hours_opens_before_24_00 CHECK (opens < '24:00'),
	CONSTRAINT queue_hours_closes_at_another_time CHECK (closes <> opens)
);
COMMENT ON TABLE segue.queue_hours IS
	'When a queue is open in every week, one row for each opening; who comes at another time overflows at once, who waits already stays. A queue without any row is always open';
COMMENT ON COLUMN segue.queue_hours.queue IS 'Name of the queue';
COMMENT ON COLUMN segue.queue_hours.weekday IS 'Day on which it opens: 1 Monday to 7 Sunday';
COMMENT ON COLUMN segue.queue_hours.opens IS
	'When, in the time zone of the queue; a time that is left out when clocks go forward is as much later, of one that comes twice when they go back the second is meant';
COMMENT ON COLUMN segue.queue_hours.closes IS
	'When it closes again, up to 24:00; a time before opens: on the next day';

CREATE TABLE segue.queue_exceptions (
	queue  text NOT NULL,
	day    date NOT NULL,
	opens  time,
	closes time,
	CONSTRAINT queue_exceptions_queue_exists FOREIGN KEY (queue)
		REFERENCES segue.queues ON UPDATE CASCADE ON DELETE CASCADE,
	CONSTRAINT queue_exceptions_opens_before_24_00 CHECK (opens < '24:00'),
	CONSTRAINT queue_exceptions_closes_at_another_time CHECK (closes <> opens),
	CONSTRAINT queue_exceptions_opens_and_closes_or_neither CHECK ((opens IS NULL) = (closes IS NULL))
);
CREATE UNIQUE INDEX queue_exceptions_unique ON segue.queue_exceptions
	(queue, day, coalesce(opens, '24:00'));
COMMENT ON TABLE segue.queue_exceptions IS
	'Days on which a queue is open at other times than queue_hours says, or not at all. What began on the day before goes on';
COMMENT ON COLUMN segue.queue_exceptions.queue IS 'Name of the queue';
COMMENT ON COLUMN segue.queue_exceptions.day IS 'The day; its hours of the week do not hold';
COMMENT ON COLUMN segue.queue_exceptions.opens IS
	'When it opens on that day, as in queue_hours; NULL: closed all day, whatever other rows of that day say';
COMMENT ON COLUMN segue.queue_exceptions.closes IS 'When it closes again, as in queue_hours; NULL with opens';

CREATE FUNCTION segue.queue_openings(p_queue text, p_from timestamptz, p_until timestamptz)
RETURNS TABLE (opens timestamptz, closes timestamptz) LANGUAGE sql STABLE AS $$
	WITH zone AS (
		SELECT coalesce(q.time_zone, (SELECT value FROM segue.settings WHERE key = 'time_zone'), 'UTC')
			AS name FROM segue.queues q WHERE q.name = p_queue
	), days AS (
		SELECT d::date AS day, zone.name AS zone FROM zone, generate_series(
			(p_from AT TIME ZONE zone.name)::date::timestamp - interval '1 day',
			(p_until AT TIME ZONE zone.name)::date::timestamp, interval '1 day') d
	), hours AS (
		SELECT d.day, d.zone, h.opens, h.closes FROM days d JOIN segue.queue_hours h
			ON h.queue = p_queue AND h.weekday = extract(isodow FROM d.day)
			WHERE NOT EXISTS (SELECT FROM segue.queue_exceptions e
				WHERE e.queue = p_queue AND e.day = d.day)
		UNION ALL -- without hours of the week every other day is whole
		SELECT d.day, d.zone, '00:00', '24:00' FROM days d
			WHERE NOT EXISTS (SELECT FROM segue.queue_hours h WHERE h.queue = p_queue)
			AND NOT EXISTS (SELECT FROM segue.queue_exceptions e
				WHERE e.queue = p_queue AND e.day = d.day)
		UNION ALL
		SELECT d.day, d.zone, e.opens, e.closes FROM days d JOIN segue.queue_exceptions e
			ON e.queue = p_queue AND e.day = d.day AND e.opens IS NOT NULL
			WHERE NOT EXISTS (SELECT FROM segue.queue_exceptions c
				WHERE c.queue = p_queue AND c.day = d.day AND c.opens IS NULL)
	), instants AS (
		SELECT (day + opens) AT TIME ZONE zone AS opens,
			(day + closes + CASE WHEN closes < opens THEN interval '1 day' ELSE '0' END)
				AT TIME ZONE zone AS closes FROM hours
	)
	SELECT greatest(lower(r), p_from), least(upper(r), p_until)
	FROM unnest((SELECT range_agg(tstzrange(i.opens, i.closes)) FROM instants i
		WHERE i.opens < i.closes)) r
	WHERE lower(r) < p_until AND upper(r) > p_from ORDER BY 1
$$;
COMMENT ON FUNCTION segue.queue_openings(text, timestamptz, timestamptz) IS
	'When the queue is open from one instant to another, by its hours, exceptions and time zone: in order, what meets or overlaps as one';

CREATE TRIGGER queue_hours_notify AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON segue.queue_hours
	FOR EACH STATEMENT EXECUTE FUNCTION segue.notify_directory();
CREATE TRIGGER queue_exceptions_notify
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON segue.queue_exceptions
	FOR EACH STATEMENT EXECUTE FUNCTION segue.notify_directory();

-- ---- reports ----------------------------------------------------------------------------------

-- Who came to a closed queue was never for its agents to answer: no goal is missed by that.

CREATE OR REPLACE VIEW segue.queue_recent AS
WITH visits AS (
	SELECT s.who AS queue, s.outcome, s.wait_ms, q.service_goal,
		s.outcome = 'answered' AND s.wait_ms <= coalesce(q.service_ms, (SELECT value::bigint
			FROM segue.settings WHERE key = 'service_level_ms')) AS in_time
	FROM segue.queues q JOIN segue.segments s ON s.who = q.name AND s.kind = 'queue'
		AND s.offered_at > now() - interval '15 min' AND s.outcome IS DISTINCT FROM 'closed'
)
SELECT queue, count(*) AS offered, count(*) FILTER (WHERE outcome = 'answered') AS answered,
	count(*) FILTER (WHERE outcome = 'abandoned') AS abandoned,
	count(*) FILTER (WHERE in_time) AS answered_in_time,
	round(100.0 * count(*) FILTER (WHERE in_time)
		/ nullif(count(outcome), 0), 1) AS service_level,
	count(*) FILTER (WHERE outcome IS NULL) AS waiting, max(service_goal) AS service_goal
FROM visits GROUP BY queue;
COMMENT ON VIEW segue.queue_recent IS
	'Per queue: what became of the callers who came in the last 15 minutes, while it was open; no row: nobody came';

CREATE OR REPLACE VIEW segue.queue_half_hour AS
WITH visits AS (
	SELECT s.who AS queue, date_bin('30 min', s.offered_at, 'epoch') AS half_hour, s.outcome,
		s.outcome = 'answered' AND s.wait_ms <= coalesce(q.service_ms, (SELECT value::bigint
			FROM segue.settings WHERE key = 'service_level_ms')) AS in_time
	FROM segue.segments s LEFT JOIN segue.queues q ON q.name = s.who WHERE s.kind = 'queue'
)
SELECT queue, half_hour, count(*) FILTER (WHERE outcome IS DISTINCT FROM 'closed') AS offered,
	count(*) FILTER (WHERE outcome = 'answered') AS answered,
	count(*) FILTER (WHERE outcome = 'abandoned') AS abandoned,
	count(*) FILTER (WHERE in_time) AS answered_in_time,
	count(*) FILTER (WHERE outcome IS NULL) AS waiting,
	count(*) FILTER (WHERE outcome = 'closed') AS closed
FROM visits GROUP BY queue, half_hour;
COMMENT ON COLUMN segue.queue_half_hour.offered IS 'Callers who came while it was open';
COMMENT ON COLUMN segue.queue_half_hour.closed IS 'Callers who found it closed; in no other figure';

CREATE OR REPLACE VIEW segue.queue_hour AS
WITH visits AS (
	SELECT s.who AS queue, date_trunc('hour', s.offered_at) AS hour, s.outcome,
		CASE WHEN s.outcome = 'closed' THEN NULL ELSE s.wait_ms END AS wait_ms,
		q.service_goal, s.outcome = 'answered' AND s.wait_ms <= coalesce(q.service_ms, (SELECT value::bigint
			FROM segue.settings WHERE key = 'service_level_ms')) AS in_time
	FROM segue.segments s LEFT JOIN segue.queues q ON q.name = s.who WHERE s.kind = 'queue'
)
SELECT queue, hour, count(*) FILTER (WHERE outcome IS DISTINCT FROM 'closed') AS offered,
	count(*) FILTER (WHERE outcome = 'answered') AS answered,
	count(*) FILTER (WHERE outcome = 'abandoned') AS abandoned,
	count(*) FILTER (WHERE in_time) AS answered_in_time,
	round(100.0 * count(*) FILTER (WHERE in_time)
		/ nullif(count(*) FILTER (WHERE outcome <> 'closed'), 0), 1) AS service_level,
	coalesce(avg(wait_ms), 0)::bigint AS avg_wait_ms,
	count(*) FILTER (WHERE outcome NOT IN ('answered', 'abandoned', 'closed')) AS overflowed,
	count(*) FILTER (WHERE outcome IS NULL) AS waiting,
	avg(wait_ms) FILTER (WHERE outcome = 'answered')::bigint AS speed_of_answer_ms,
	avg(wait_ms) FILTER (WHERE outcome = 'abandoned')::bigint AS abandoned_after_ms,
	max(wait_ms) AS longest_wait_ms, max(service_goal) AS service_goal,
	count(*) FILTER (WHERE outcome = 'closed') AS closed
FROM visits GROUP BY queue, hour;
COMMENT ON COLUMN segue.queue_hour.offered IS 'Callers who came while it was open';
COMMENT ON COLUMN segue.queue_hour.closed IS 'Callers who found it closed; in no other figure';
