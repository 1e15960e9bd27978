# panel: what a browser is given. No build step: these files are served as they are.
paneldir = $(pkgdatadir)/panel
EXTRA_DIST += src/panel/package.json
dist_panel_DATA = \
	src/panel/index.html src/panel/panel.css src/panel/places.css src/panel/transfer.css src/panel/icon.svg \
	src/panel/api.js src/panel/call.js src/panel/contacts.js src/panel/conversation.js \
	src/panel/desk.js src/panel/dial.js src/panel/dom.js src/panel/follow.js src/panel/fresh.js src/panel/goal.js \
	src/panel/icons.js src/panel/keys.js \
	src/panel/live.js src/panel/log.js src/panel/main.js src/panel/model.js \
	src/panel/names.js src/panel/pop.js src/panel/queues.js src/panel/score.js \
	src/panel/signin.js src/panel/store.js src/panel/stream.js src/panel/time.js \
	src/panel/transfer.js src/panel/ui.js src/panel/words.js
