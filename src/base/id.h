/*
 * id: names of calls and legs that cross layers.
 *
 * An id is 64 bits of plain data: node | slot | generation | leg number. The slot finds the call
 * in O(1), the generation tells a stale id from a live one, and a leg's id contains its call's.
 * Ids cross layers, pointers never do. 0 is "none".
 */
#ifndef SEGUE_BASE_ID_H
#define SEGUE_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t call_id; /* leg number 0 */
typedef uint64_t leg_id;  /* leg number 1..65535, unique within its call */

#define ID_NONE 0
#define ID_SLOT_BITS 20
#define ID_GEN_BITS 20
#define ID_SLOTS_MAX (1u << ID_SLOT_BITS)
#define ID_STRLEN 40

/* Builds the id of a call; gen wraps within 20 bits and never is 0. */
call_id id_make_call(unsigned node, uint32_t slot, uint32_t gen);
leg_id id_make_leg(call_id call, unsigned legno);

/* The call that a leg belongs to (a call id is returned unchanged). */
call_id id_call(uint64_t id);
uint32_t id_slot(uint64_t id);
uint32_t id_gen(uint64_t id);
unsigned id_legno(uint64_t id);
unsigned id_node(uint64_t id);

/* Writes "slot.gen" for a call, "slot.gen.leg" for a leg ("node:" in front when not 0), "-" for
 * none, into buf (at least ID_STRLEN bytes) and returns buf. */
const char *id_str(uint64_t id, char *buf);

/* Reads what id_str() wrote. Returns false, and leaves *id alone, on anything else. */
bool id_parse(const char *text, uint64_t *id);

#endif
