/*
 * dom: what the page should look like, and the least change that makes it so.
 *
 * h() describes an element; patch() makes the children of a node match a list of descriptions.
 * A description that is the very same object as last time is not looked at again, so that a row of
 * a call that did not change costs nothing. Nodes that stay in the same order are never moved:
 * what has the focus keeps it. Text goes in as text; nothing here parses markup.
 */

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "g", "path", "rect", "circle", "line", "text", "title", "use"]);
const PROPERTIES = new Set(["value", "checked", "selected", "open", "indeterminate"]);
const parsed = new Map();

function parse(selector) {
	let p = parsed.get(selector);
	if (!p) {
		const [tag, ...classes] = selector.split(".");
		parsed.set(selector, (p = { tag: tag || "div", classes: classes.join(" ") }));
	}
	return p;
}

function flat(kids, out) {
	for (const k of kids) {
		if (Array.isArray(k)) flat(k, out);
		else if (k !== null && k !== undefined && k !== false && k !== true && k !== "")
			out.push(typeof k === "object" ? k : { text: String(k) });
	}
	return out;
}

/*
 * h("button.btn.wide", {key, onclick, ...}, children...). Properties: `key` (stable identity among
 * siblings), `class` (added to those of the selector), `style` (an object), `own` (true: somebody
 * else writes the children), `mount` (called once with the new element), on... (handlers);
 * everything else is an attribute: null and false leave it out, except aria-*, which are said.
 */
export function h(selector, props, ...kids) {
	return { sel: selector, props: props || {}, kids: flat(kids, []), key: props?.key };
}

function set_attribute(el, name, value) {
	if (name === "class") {
		const base = parse(el.vnode_sel).classes;
		el.setAttribute("class", value ? (base ? `${base} ${value}` : value) : base);
	} else if (name === "style") {
		for (const k in value) el.style.setProperty(k, value[k]);
	} else if (name.startsWith("on")) {
		el[name] = value || null;
	} else if (PROPERTIES.has(name)) {
		if (el[name] !== value) el[name] = value ?? (name === "value" ? "" : false);
	} else if (
		value === null ||
		value === undefined ||
		(value === false && !name.startsWith("aria-"))
	) {
		el.removeAttribute(name);
	} else {
		el.setAttribute(
			name,
			value === true && !name.startsWith("aria-") ? "" : String(value),
		);
	}
}

const SILENT = new Set(["key", "own", "mount"]);

function create(v, parent) {
	if (v.text !== undefined) return document.createTextNode(v.text);
	const { tag, classes } = parse(v.sel);
	const svg = SVG_TAGS.has(tag) && (tag === "svg" || parent.namespaceURI === SVG);
	const el = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
	el.vnode_sel = v.sel;
	if (classes) el.setAttribute("class", classes);
	if (/\bclip\b/.test(classes)) el.dir = "auto"; // what is cut off is the end, in every script
	for (const name in v.props)
		if (!SILENT.has(name) && !PROPERTIES.has(name))
			set_attribute(el, name, v.props[name]);
	if (!v.props.own) patch(el, v.kids);
	for (const name in v.props)
		// after the children: a select knows its options by now
		if (PROPERTIES.has(name)) set_attribute(el, name, v.props[name]);
	return el;
}

function update(el, old, v) {
	if (old === v) return;
	if (v.text !== undefined) {
		if (el.data !== v.text) el.data = v.text;
		return;
	}
	for (const name in old.props)
		if (!(name in v.props) && !SILENT.has(name))
			set_attribute(el, name, name === "style" ? {} : null);
	if (!v.props.own) patch(el, v.kids);
	for (const name in v.props)
		if (
			!SILENT.has(name) &&
			(old.props[name] !== v.props[name] || PROPERTIES.has(name))
		)
			set_attribute(el, name, v.props[name]);
}

const alike = (a, b) => a.sel === b.sel && a.key === b.key;

/* Which old child each new one continues: by key, else by kind in order. */
function pair(before, kids) {
	const keyed = new Map(),
		rest = [];
	for (const b of before) b.v.key !== undefined ? keyed.set(b.v.key, b) : rest.push(b);
	let next = 0;
	return kids.map(v => {
		if (v.key !== undefined) {
			const b = keyed.get(v.key);
			if (b && alike(b.v, v)) {
				keyed.delete(v.key);
				return b;
			}
			return null;
		}
		for (let i = next; i < rest.length; i++)
			if (alike(rest[i].v, v)) {
				next = i + 1;
				return rest[i];
			}
		return null;
	});
}

/* Makes the children of `parent` match `kids` (an array of h() results, strings, nulls). */
export function patch(parent, kids) {
	kids = flat(Array.isArray(kids) ? kids : [kids], []);
	const before = parent.vnodes || [];
	const found = pair(before, kids);
	const kept = new Set(found);
	for (const b of before) if (!kept.has(b)) b.el.remove();
	let at = parent.firstChild;
	parent.vnodes = kids.map((v, i) => {
		const b = found[i];
		const el = b ? b.el : create(v, parent);
		if (el === at) at = at.nextSibling;
		else parent.insertBefore(el, at);
		if (b) update(el, b.v, v);
		else if (v.props?.mount) v.props.mount(el);
		return { v, el };
	});
}

/* A cache of descriptions: the same arguments give the same object again. Keyed by `id`. */
export function memo() {
	const seen = new Map();
	return (id, deps, make) => {
		const m = seen.get(id);
		if (m && m.deps.length === deps.length && m.deps.every((d, i) => d === deps[i]))
			return m.v;
		const v = make();
		seen.set(id, { deps, v });
		if (seen.size > 4000) seen.delete(seen.keys().next().value);
		return v;
	};
}
