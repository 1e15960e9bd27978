# The built daemon on the wire: scripted user agents (tests/lib/ua.py) and SIPp.
include tests/sip/unit.mk
sip_tests = \
	tests/sip/test_audio.py \
	tests/sip/test_attended.py \
	tests/sip/test_call.py \
	tests/sip/test_consult.py \
	tests/sip/test_crowd.py \
	tests/sip/test_ctl.py \
	tests/sip/test_deaths.py \
	tests/sip/test_dtmf.py \
	tests/sip/test_hostile.py \
	tests/sip/test_hours.py \
	tests/sip/test_identity.py \
	tests/sip/test_join.py \
	tests/sip/test_ledger.py \
	tests/sip/test_media.py \
	tests/sip/test_media_loss.py \
	tests/sip/test_moh.py tests/sip/test_moh_loss.py \
	tests/sip/test_mutations.py \
	tests/sip/test_nodes.py \
	tests/sip/test_policy.py tests/sip/test_profiles.py \
	tests/sip/test_queue.py tests/sip/test_queue_cases.py tests/sip/test_queue_media.py \
	tests/sip/test_queue_overflow.py tests/sip/test_queue_transfer.py \
	tests/sip/test_recording.py tests/sip/test_recording_codecs.py tests/sip/test_recovery.py \
	tests/sip/test_refer.py \
	tests/sip/test_registrar.py \
	tests/sip/test_replaces.py \
	tests/sip/test_restart.py \
	tests/sip/test_rtp.py \
	tests/sip/test_rules.py \
	tests/sip/test_setup.py \
	tests/sip/test_sipp.py \
	tests/sip/test_sipp_queue.py \
	tests/sip/test_targets.py \
	tests/sip/test_together.py \
	tests/sip/test_torture.py \
	tests/sip/test_transparent.py \
	tests/sip/test_transfer.py \
	tests/sip/test_trust.py
TESTS += $(sip_tests)
EXTRA_DIST += $(sip_tests) \
	tests/lib/desk.py tests/lib/engine.py tests/lib/flows.py tests/lib/pg.py tests/lib/rtp.py \
	tests/lib/segued.py tests/lib/sipp.py tests/lib/srtp.py tests/lib/tap.py tests/lib/ua.py \
	tests/sip/scenarios/agent.xml tests/sip/scenarios/callee.xml \
	tests/sip/scenarios/caller.xml tests/sip/scenarios/customer.xml \
	tests/sip/scenarios/queued.xml tests/sip/scenarios/target.xml
# Loaded before segued, which then dies when a test wants it to; without sanitizers, which come after it.
check_DATA += tests/lib/mortal.so
EXTRA_DIST += tests/lib/mortal.c
CLEANFILES += tests/lib/mortal.so
tests/lib/mortal.so: tests/lib/mortal.c
	$(AM_V_CC)$(MKDIR_P) tests/lib && $(CC) -std=gnu11 -Wall -Wextra -Werror -O1 -fPIC -shared -o $@ \
		$(srcdir)/tests/lib/mortal.c -ldl
EXTRA_DIST += contrib/check contrib/common.sh contrib/make-announcements contrib/make-music \
	contrib/quickstart contrib/recording-to-wav contrib/demo/alice.xml \
	contrib/demo/bob.xml contrib/demo/callers.py contrib/demo/check.sql contrib/demo/customer.xml \
	contrib/demo/register.py contrib/demo/show.sql
