# Real softphones against the built daemon.
phones_tests = \
	tests/phones/test_anchored.py \
	tests/phones/test_baresip.py \
	tests/phones/test_cast.py \
	tests/phones/test_linphone.py \
	tests/phones/test_twinkle.py
TESTS += $(phones_tests)
EXTRA_DIST += $(phones_tests) tests/phones/phones.py tests/phones/scenes.py tests/phones/sound.py
