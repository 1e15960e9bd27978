# The panel: its modules under node, and all of it in a browser against the built daemon.
panel_tests = tests/panel/test_unit.sh tests/panel/test_panel.py \
	tests/panel/test_sentences.py tests/panel/test_outcomes.py tests/panel/test_score.py tests/panel/test_places.py \
	tests/panel/test_reconnect.py tests/panel/test_many.py tests/panel/test_pictures.py \
	tests/panel/test_recording.py tests/panel/test_manners.py
TESTS += $(panel_tests)
EXTRA_DIST += $(panel_tests) tests/panel/browser.py tests/panel/panel.py tests/panel/scene.py tests/panel/talking.py \
	tests/panel/unit.test.mjs docs/panel.md docs/img/live.png docs/img/transfer.png \
	docs/img/conversation.png docs/img/queues.png docs/img/following.png docs/img/log.png docs/img/phone.png
