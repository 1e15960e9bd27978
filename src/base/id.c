/* id: see id.h. Layout, from the top: node 8 | slot 20 | generation 20 | leg 16. */
#include "base/id.h"

#include <stdlib.h>

#define LEG_BITS 16
#define GEN_SHIFT LEG_BITS
#define SLOT_SHIFT (LEG_BITS + ID_GEN_BITS)
#define NODE_SHIFT (LEG_BITS + ID_GEN_BITS + ID_SLOT_BITS)
#define MASK(bits) ((UINT64_C(1) << (bits)) - 1)

call_id id_make_call(unsigned node, uint32_t slot, uint32_t gen)
{
	return ((uint64_t)(node & 0xff) << NODE_SHIFT) |
	       ((slot & MASK(ID_SLOT_BITS)) << SLOT_SHIFT) | ((gen & MASK(ID_GEN_BITS)) << GEN_SHIFT);
}

leg_id id_make_leg(call_id call, unsigned legno)
{
	return id_call(call) | (legno & MASK(LEG_BITS));
}

call_id id_call(uint64_t id)
{
	return id & ~MASK(LEG_BITS);
}

uint32_t id_slot(uint64_t id)
{
	return (uint32_t)((id >> SLOT_SHIFT) & MASK(ID_SLOT_BITS));
}

uint32_t id_gen(uint64_t id)
{
	return (uint32_t)((id >> GEN_SHIFT) & MASK(ID_GEN_BITS));
}

unsigned id_legno(uint64_t id)
{
	return (unsigned)(id & MASK(LEG_BITS));
}

unsigned id_node(uint64_t id)
{
	return (unsigned)(id >> NODE_SHIFT);
}

/* Appends a decimal number; printed on every log line, hence by hand. Returns the end. */
static char *put_number(char *p, uint32_t v)
{
	char digits[10];
	unsigned n = 0;

	do
		digits[n++] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	while (n > 0)
		*p++ = digits[--n];
	return p;
}

const char *id_str(uint64_t id, char *buf)
{
	char *p = buf;

	if (id == ID_NONE) {
		*p++ = '-';
		*p = '\0';
		return buf;
	}
	if (id_node(id)) {
		p = put_number(p, id_node(id));
		*p++ = ':';
	}
	p = put_number(p, id_slot(id));
	*p++ = '.';
	p = put_number(p, id_gen(id));
	if (id_legno(id)) {
		*p++ = '.';
		p = put_number(p, id_legno(id));
	}
	*p = '\0';
	return buf;
}

/* One decimal number up to max at *p, with *p moved past it. */
static bool read_number(const char **p, uint64_t max, uint64_t *out)
{
	char *end;
	unsigned long long v;

	if (**p < '0' || **p > '9')
		return false;
	v = strtoull(*p, &end, 10);
	if (v > max)
		return false;
	*p = end;
	*out = v;
	return true;
}

bool id_parse(const char *text, uint64_t *id)
{
	uint64_t node = 0, slot, gen, leg = 0;

	if (!read_number(&text, MASK(ID_SLOT_BITS), &slot))
		return false;
	if (*text == ':') {
		node = slot;
		text++;
		if (node > 255 || !read_number(&text, MASK(ID_SLOT_BITS), &slot))
			return false;
	}
	if (*text++ != '.' || !read_number(&text, MASK(ID_GEN_BITS), &gen) || gen == 0)
		return false;
	if (*text == '.') {
		text++;
		if (!read_number(&text, MASK(LEG_BITS), &leg) || leg == 0)
			return false;
	}
	if (*text != '\0')
		return false;
	*id = id_make_leg(id_make_call((unsigned)node, (uint32_t)slot, (uint32_t)gen), (unsigned)leg);
	return true;
}
