# tests/lint: what can be checked by reading.
lint_tests = \
	tests/lint/test_docs.py \
	tests/lint/test_functions.py \
	tests/lint/test_layers.py \
	tests/lint/test_text.py
TESTS += $(lint_tests)
EXTRA_DIST += $(lint_tests) tests/lint/cases.py tests/lint/coverage.py tests/lint/lint.py \
	docs/coverage.md docs/transfers.md
