-- The openings of all queues in one question: segued asks at every change of the directory.

DROP FUNCTION segue.queue_openings(text, timestamptz, timestamptz);
CREATE FUNCTION segue.queue_openings(p_queue text, p_from timestamptz, p_until timestamptz)
RETURNS TABLE (queue text, opens timestamptz, closes timestamptz) LANGUAGE sql STABLE AS $$
	WITH exceptions AS (
		SELECT e.queue, e.day, e.opens, e.closes,
			bool_or(e.opens IS NULL) OVER (PARTITION BY e.queue, e.day) AS closed
		FROM segue.queue_exceptions e WHERE (p_queue IS NULL OR e.queue = p_queue)
			AND e.day BETWEEN p_from::date - 3 AND p_until::date + 3
	), weekly AS (
		SELECT h.queue, h.weekday, h.opens, h.closes FROM segue.queue_hours h
		WHERE p_queue IS NULL OR h.queue = p_queue
		UNION ALL -- without hours of the week every other day is whole
		SELECT q.name, weekday, '00:00', '24:00' FROM segue.queues q, generate_series(1, 7) weekday
		WHERE (q.name = p_queue
				OR p_queue IS NULL AND q.name IN (SELECT e.queue FROM segue.queue_exceptions e))
			AND q.name NOT IN (SELECT h.queue FROM segue.queue_hours h)
	), hours AS (
		SELECT w.queue, d.day, w.opens, w.closes
		FROM (SELECT p_from::date + n AS day FROM generate_series(-3, p_until::date - p_from::date + 3) n) d
			JOIN weekly w ON w.weekday = extract(isodow FROM d.day)
		WHERE (w.queue, d.day) NOT IN (SELECT e.queue, e.day FROM exceptions e)
		UNION ALL
		SELECT e.queue, e.day, e.opens, e.closes FROM exceptions e WHERE NOT e.closed
	), instants AS (
		SELECT h.queue, (h.day + h.opens) AT TIME ZONE z.name AS opens,
			(h.day + h.closes + CASE WHEN h.closes < h.opens THEN interval '1 day' ELSE '0' END)
				AT TIME ZONE z.name AS closes
		FROM hours h JOIN (SELECT q.name AS queue, coalesce(q.time_zone, (SELECT value FROM segue.settings
			WHERE key = 'time_zone'), 'UTC') AS name FROM segue.queues q) z ON z.queue = h.queue
	)
	SELECT o.queue, greatest(lower(r), p_from), least(upper(r), p_until)
	FROM (SELECT i.queue, range_agg(tstzrange(i.opens, i.closes)) AS ranges FROM instants i
		WHERE i.opens < i.closes GROUP BY i.queue) o, unnest(o.ranges) r
	WHERE lower(r) < p_until AND upper(r) > p_from ORDER BY 1, 2
$$;
COMMENT ON FUNCTION segue.queue_openings(text, timestamptz, timestamptz) IS
	'When the queue is open from one instant to another, by its hours, exceptions and time zone: in order, what meets or overlaps as one; NULL: all queues that have hours or exceptions';
