# tests/lint: what can be checked by reading.
TESTS += \
	tests/lint/test_docs.py \
	tests/lint/test_functions.py \
	tests/lint/test_layers.py \
	tests/lint/test_text.py
EXTRA_DIST += tests/lint/coverage.py tests/lint/lint.py
