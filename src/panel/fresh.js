/*
 * fresh: a list of what is on record is asked for again when a call has begun or ended, and when one's own state is
 * another.
 */
import { app } from "./ui.js";

const SOON_MS = 800, // a call is on record some tenths of a second later;
	REST_MS = 4000; // if it was not, then once more

const sum = () => [app.store.ended, app.store.calls.size, app.store.agents.get(app.me.user)?.state].join();

/*
 * `load()` asks for the list; it gives false, or a promise of it, while that would move what somebody points at.
 * Of what comes back: begun() when the list is asked for in any case, look() each time it is drawn.
 */
export function watcher(load) {
	let seen = "",
		due = 0,
		timer = 0,
		at = 0;
	return {
		begun() {
			seen = sum();
			due = 0;
			at = performance.now();
		},
		look() {
			if (seen !== sum()) due = 2;
			seen = sum();
			if (!due || timer) return;
			const wait = Math.max(SOON_MS, at + REST_MS - performance.now());
			timer = setTimeout(() => {
				timer = 0;
				at = performance.now();
				Promise.resolve(load()).then(done => {
					if (done !== false) due--;
					app.draw();
				});
			}, wait);
		},
	};
}
