/* headers: the policy table and its index. */
#include "sip/headers.h"

#include <pthread.h>
#include <strings.h>

#include "sip/slice.h"

ENUM_DEFINE(header_class, HEADER_CLASS_LIST)
ENUM_DEFINE(header_trip, HEADER_TRIP_LIST)

#define CALL (1u << HEADER_TRIP_CALL)
#define MOVE (1u << HEADER_TRIP_TRANSFER)
#define TALK (1u << HEADER_TRIP_DIALOG)
#define REFER (1u << HEADER_TRIP_REFERTO)
#define ALL (CALL | MOVE | TALK | REFER)

/* Sorted by class, then by name. The last two stand for all that has no row of its own. */
static const struct header_rule rules[] = {
	{"Accept-Language", NULL, HEADER_PASS, CALL | MOVE,
		"The caller's language matters to whoever answers."},
	{"Alert-Info", NULL, HEADER_PASS, CALL | REFER,
		"Ring tones are chosen for one target; a transfer target or a recall gets its own."},
	{"Answer-Mode", NULL, HEADER_PASS, CALL | REFER,
		"Intercom calls ask for it; a transferred customer must not be answered unseen."},
	{"Call-Info", NULL, HEADER_PASS, CALL | MOVE | TALK,
		"Pictures and links about the caller stay true whoever talks with him."},
	{"Content-Disposition", NULL, HEADER_PASS, TALK, "Belongs to the body of a relayed INFO."},
	{"Content-Language", NULL, HEADER_PASS, TALK, "Belongs to the body of a relayed INFO."},
	{"Error-Info", NULL, HEADER_PASS, TALK, "Explains a refusal to the caller."},
	{"Geolocation", NULL, HEADER_PASS, CALL | MOVE,
		"Emergency and dispatch calls need the place (RFC 6442)."},
	{"Geolocation-Routing", NULL, HEADER_PASS, CALL | MOVE, "Goes with Geolocation."},
	{"Info-Package", NULL, HEADER_PASS, TALK, "Names the content of a relayed INFO (RFC 6086)."},
	{"Organization", NULL, HEADER_PASS, CALL | MOVE, "Says for whom the caller calls."},
	{"Priority", NULL, HEADER_PASS, CALL | MOVE | REFER, "Urgent calls stay urgent."},
	{"Reason", NULL, HEADER_PASS, TALK,
		"Why a call ended travels with BYE and refusals (RFC 3326); segue's own goes first."},
	{"Resource-Priority", NULL, HEADER_PASS, CALL | MOVE, "Priority of a call (RFC 4412)."},
	{"Session-ID", NULL, HEADER_PASS, CALL | MOVE | TALK,
		"Names the session across systems (RFC 7989); the remote half follows a join."},
	{"Subject", "s", HEADER_PASS, CALL | MOVE | REFER, "What the call is about."},
	{"User-to-User", NULL, HEADER_PASS, ALL,
		"Application data from end to end (RFC 7433), needed by every contact centre."},
	{"X-*", NULL, HEADER_PASS, ALL,
		"Private headers are why people put a B2BUA between systems they own."},

	{"P-Access-Network-Info", NULL, HEADER_TRUSTED, CALL | MOVE,
		"Tells the caller's place; for trusted networks only (RFC 7315)."},
	{"P-Asserted-Identity", NULL, HEADER_TRUSTED, CALL | MOVE | TALK,
		"An assertion is worth what its source is (RFC 3325); inside a call it updates the "
		"connected line (RFC 5876)."},
	{"P-Called-Party-ID", NULL, HEADER_TRUSTED, CALL,
		"What was dialled first; a transfer dials something else."},
	{"P-Charging-Vector", NULL, HEADER_TRUSTED, CALL | TALK,
		"Bills one dialog between two trusted networks; a transferred leg gets its own."},
	{"P-Early-Media", NULL, HEADER_TRUSTED, CALL | TALK,
		"Authorises early media inside one network (RFC 5009)."},
	{"Privacy", NULL, HEADER_TRUSTED, CALL | MOVE | TALK,
		"Binds those who may see the identity (RFC 3323); the rest never see it."},
	{"Remote-Party-ID", NULL, HEADER_TRUSTED, CALL | MOVE | TALK,
		"The older form of P-Asserted-Identity."},

	{"X-Case-ID", NULL, HEADER_CASE, CALL | MOVE,
		"Opens the customer's case; only peers that are believed may name or see it."},

	{"Diversion", NULL, HEADER_APPEND, CALL | MOVE,
		"Stays whole and in order (RFC 5806); a transfer adds one on top where the peer "
		"wants it."},
	{"History-Info", NULL, HEADER_APPEND, CALL | MOVE,
		"Stays whole and in order (RFC 7044); a transfer adds entries where the peer wants "
		"them."},

	{"Accept", NULL, HEADER_OWN, 0, "What segue understands."},
	{"Allow", NULL, HEADER_OWN, 0, "Every leg must show REFER, NOTIFY, UPDATE, PRACK, INFO."},
	{"CSeq", NULL, HEADER_OWN, 0, "Each leg counts for itself."},
	{"Call-ID", "i", HEADER_OWN, 0, "Each leg is a dialog of its own."},
	{"Contact", "m", HEADER_OWN, 0, "Each leg has segue as its target."},
	{"Content-Length", "l", HEADER_OWN, 0, "Follows the body that is sent."},
	{"Content-Type", "c", HEADER_OWN, 0, "Follows the body that is sent."},
	{"From", "f", HEADER_OWN, 0, "Shows the kept party, with the leg's own tag."},
	{"Max-Forwards", NULL, HEADER_OWN, 0,
		"One less than received, on transfer legs too, so that loops end (RFC 7332)."},
	{"Min-SE", NULL, HEADER_OWN, 0, "Each leg negotiates its session timer (RFC 4028)."},
	{"Referred-By", "b", HEADER_OWN, 0,
		"Names the latest transferor only, unchanged from the REFER (RFC 3892)."},
	{"Require", NULL, HEADER_OWN, 0, "Extensions are agreed leg by leg."},
	{"Server", NULL, HEADER_OWN, 0, "Names segue."},
	{"Session-Expires", "x", HEADER_OWN, 0, "Each leg negotiates its session timer (RFC 4028)."},
	{"Supported", "k", HEADER_OWN, 0,
		"Extensions are agreed leg by leg; replaces is always shown."},
	{"Timestamp", NULL, HEADER_OWN, 0, "Echoed to who sent it."},
	{"To", "t", HEADER_OWN, 0, "Shows the target, with the leg's own tag."},
	{"User-Agent", NULL, HEADER_OWN, 0, "Names segue."},
	{"Via", "v", HEADER_OWN, 0, "Each request starts here; the path behind stays private."},
	{"X-Segue-Conversation", NULL, HEADER_OWN, 0,
		"Names the conversation on another segued; only from one of its nodes it means "
		"anything."},
	{"X-Segue-Transfer", NULL, HEADER_OWN, 0,
		"Names the transfer that failed before a recall; from outside it means nothing."},

	{"Accept-Contact", "a", HEADER_NEVER, 0, "Chooses among devices that segue has chosen."},
	{"Allow-Events", "u", HEADER_NEVER, 0, "Subscriptions end at segue."},
	{"Authentication-Info", NULL, HEADER_NEVER, 0, "Credentials belong to one hop."},
	{"Authorization", NULL, HEADER_NEVER, 0, "Credentials belong to one hop."},
	{"Content-Encoding", "e", HEADER_NEVER, 0, "Encoded bodies are refused."},
	{"Date", NULL, HEADER_NEVER, 0, "Only signatures need it, and they end here."},
	{"Event", "o", HEADER_NEVER, 0, "Subscriptions end at segue."},
	{"Expires", NULL, HEADER_NEVER, 0, "How long a target rings is decided here."},
	{"Feature-Caps", NULL, HEADER_NEVER, 0, "Describes one dialog (RFC 6809)."},
	{"Flow-Timer", NULL, HEADER_NEVER, 0, "Belongs to one registration flow (RFC 5626)."},
	{"Identity", "y", HEADER_NEVER, 0,
		"Signs From, To and Date of one request, which all change (RFC 8224)."},
	{"In-Reply-To", NULL, HEADER_NEVER, 0, "Names dialogs that the next side does not know."},
	{"Join", NULL, HEADER_NEVER, 0, "Names a dialog with segue (RFC 3911)."},
	{"MIME-Version", NULL, HEADER_NEVER, 0, "Multipart bodies are taken apart here."},
	{"Min-Expires", NULL, HEADER_NEVER, 0, "Belongs to registrations."},
	{"P-Asserted-Service", NULL, HEADER_NEVER, 0, "Means something in one network only."},
	{"P-Preferred-Identity", NULL, HEADER_NEVER, 0,
		"A wish to segue itself: it becomes the asserted identity or nothing (RFC 3325)."},
	{"Path", NULL, HEADER_NEVER, 0, "Belongs to registrations (RFC 3327)."},
	{"Proxy-Authenticate", NULL, HEADER_NEVER, 0, "Challenges are answered here."},
	{"Proxy-Authorization", NULL, HEADER_NEVER, 0, "Credentials belong to one hop."},
	{"Proxy-Require", NULL, HEADER_NEVER, 0, "Was meant for proxies before segue."},
	{"RAck", NULL, HEADER_NEVER, 0, "Reliable responses are acknowledged leg by leg."},
	{"RSeq", NULL, HEADER_NEVER, 0, "Reliable responses are numbered leg by leg."},
	{"Record-Route", NULL, HEADER_NEVER, 0, "Each leg has its own route set."},
	{"Recv-Info", NULL, HEADER_NEVER, 0, "INFO packages are offered leg by leg (RFC 6086)."},
	{"Refer-Sub", NULL, HEADER_NEVER, 0, "The refer subscription ends at segue (RFC 4488)."},
	{"Refer-To", "r", HEADER_NEVER, 0, "Transfers are carried out here, never passed on."},
	{"Reject-Contact", "j", HEADER_NEVER, 0, "Chooses among devices that segue has chosen."},
	{"Replaces", NULL, HEADER_NEVER, 0,
		"Names a dialog with segue; elsewhere it would match nothing, or worse, something."},
	{"Request-Disposition", "d", HEADER_NEVER, 0, "Directs proxies before segue."},
	{"Retry-After", NULL, HEADER_NEVER, 0, "segue says itself when to come back."},
	{"Route", NULL, HEADER_NEVER, 0, "Each leg has its own route set."},
	{"SIP-ETag", NULL, HEADER_NEVER, 0, "Belongs to PUBLISH."},
	{"SIP-If-Match", NULL, HEADER_NEVER, 0, "Belongs to PUBLISH."},
	{"Security-Client", NULL, HEADER_NEVER, 0, "Agreed hop by hop (RFC 3329)."},
	{"Security-Server", NULL, HEADER_NEVER, 0, "Agreed hop by hop (RFC 3329)."},
	{"Security-Verify", NULL, HEADER_NEVER, 0, "Agreed hop by hop (RFC 3329)."},
	{"Service-Route", NULL, HEADER_NEVER, 0, "Belongs to registrations (RFC 3608)."},
	{"Subscription-State", NULL, HEADER_NEVER, 0, "Subscriptions end at segue."},
	{"Target-Dialog", NULL, HEADER_NEVER, 0, "Names a dialog with segue (RFC 4538)."},
	{"Unsupported", NULL, HEADER_NEVER, 0, "Extensions are agreed leg by leg."},
	{"WWW-Authenticate", NULL, HEADER_NEVER, 0, "Challenges are answered here."},
	{"Warning", NULL, HEADER_NEVER, 0, "Speaks of an SDP that was rewritten."},
	{"*", NULL, HEADER_NEVER, 0,
		"What is not known here may speak of the dialog it came in, so it stays there."},
};

#define RULES (sizeof(rules) / sizeof(rules[0]))
#define INDEX_SIZE 1024u /* about a tenth full: a probe or two */

/* Index of the table by name and compact name, built once. 0: empty, else number of rule + 1. */
static uint8_t index_of[INDEX_SIZE];
static const struct header_rule *rule_x, *rule_other;
static pthread_once_t index_once = PTHREAD_ONCE_INIT;

_Static_assert(RULES < 255, "index_of holds one byte for each rule");

static unsigned hash(const char *name, size_t len)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		h = (h ^ ((unsigned char)name[i] | 0x20u)) * 16777619u;
	return (h ^ h >> 15) & (INDEX_SIZE - 1);
}

static void index_add(const char *name, size_t rule)
{
	unsigned at = hash(name, strlen(name));

	while (index_of[at])
		at = (at + 1) & (INDEX_SIZE - 1);
	index_of[at] = (uint8_t)(rule + 1);
}

static void index_build(void)
{
	for (size_t i = 0; i < RULES; i++) {
		if (str_eq(rules[i].name, "X-*"))
			rule_x = &rules[i];
		else if (str_eq(rules[i].name, "*"))
			rule_other = &rules[i];
		else
			index_add(rules[i].name, i);
		if (rules[i].compact)
			index_add(rules[i].compact, i);
	}
}

static int is_name(const struct header_rule *rule, struct slice name)
{
	return slice_iis(name, rule->name) || (rule->compact && slice_iis(name, rule->compact));
}

const struct header_rule *headers_find(const char *name, size_t len)
{
	struct slice text = {name, len};

	pthread_once(&index_once, index_build);
	for (unsigned at = hash(name, len); index_of[at]; at = (at + 1) & (INDEX_SIZE - 1)) {
		const struct header_rule *rule = &rules[index_of[at] - 1];

		if (is_name(rule, text))
			return rule;
	}
	return len > 2 && strncasecmp(name, "X-", 2) == 0 ? rule_x : rule_other;
}

int headers_may_pass(const char *name, enum header_trip trip, unsigned trust)
{
	const struct header_rule *rule = headers_find(name, strlen(name));

	if (!(rule->trips & 1u << trip))
		return 0;
	switch (rule->class) {
	case HEADER_PASS:
	case HEADER_APPEND:
		return 1;
	case HEADER_TRUSTED:
		return (trust & HEADER_TRUST_IDENTITY) != 0;
	case HEADER_CASE:
		return (trust & HEADER_TRUST_CASE) != 0;
	default:
		return 0;
	}
}

unsigned headers_count(void)
{
	return RULES;
}

const struct header_rule *headers_at(unsigned i)
{
	return &rules[i];
}

/* ---- docs/headers.md ----------------------------------------------------------------------- */

static void print_row(FILE *out, const struct header_rule *rule)
{
	fprintf(out, "| `%s`", rule->name);
	if (rule->compact)
		fprintf(out, " (`%s`)", rule->compact);
	fputs(" |", out);
	for (int trip = 0; trip < (int)header_trip_count_; trip++)
		fputs(rule->trips & 1u << trip ? " yes |" : " |", out);
	fprintf(out, " %s |\n", rule->why);
}

static void print_class(FILE *out, enum header_class class)
{
	fprintf(out, "\n## %s\n\n", header_class_name((int)class));
	fputs("| Header | call | transfer | dialog | refer-to | Why |\n"
	      "|---|---|---|---|---|---|\n",
		out);
	for (size_t i = 0; i < RULES; i++)
		if (rules[i].class == class)
			print_row(out, &rules[i]);
}

void headers_print_markdown(FILE *out)
{
	fputs("# Which headers pass\n"
	      "\n"
	      "segue ends every dialog it is part of and begins new ones, so a header field passes\n"
	      "only where this table says so. It is printed from the table in the code that decides.\n"
	      "\n"
	      "- **call**: the first INVITE, towards its first target\n"
	      "- **transfer**: the INVITE to a transfer target, with the headers of the kept party\n"
	      "- **dialog**: requests and responses inside a call\n"
	      "- **refer-to**: may be written by the transferor into the Refer-To URI\n"
	      "\n"
	      "*Passes if trusted*: both sides are peers with `trusted`, or the receiver is a "
	      "user's\n"
	      "phone. *Passes if believed*: both sides are peers with `trust_case_id`.\n",
		out);
	for (int class = 0; class < (int)header_class_count_; class++)
		print_class(out, (enum header_class)class);
}
