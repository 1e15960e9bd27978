# The HTTP interface of the built daemon, with scripted user agents behind it.
http_tests = tests/http/test_access.py tests/http/test_dial.py tests/http/test_export.py tests/http/test_history.py tests/http/test_hostile.py tests/http/test_leaving.py tests/http/test_lists.py tests/http/test_live.py \
	tests/http/test_schemas.py tests/http/test_table.py tests/http/test_verbs.py tests/http/test_webhooks.py
TESTS += $(http_tests)
EXTRA_DIST += $(http_tests) tests/lib/web.py tests/lib/schema.py contrib/grafana.json
