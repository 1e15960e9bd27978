/*
 * print: the parts of our messages that cost most, written by hand. The library prints each header of
 * each message with snprintf; what already has its text it takes as it is.
 *
 * What comes out is byte for byte what the library would have written (a unit test compares).
 */
#ifndef SEGUE_SIP_PRINT_H
#define SEGUE_SIP_PRINT_H

#include <sofia-sip/sip.h>

/* Writes the first line, CSeq, Max-Forwards and Content-Length (made if it is missing) of a message
 * that is about to be sent: none of them may change afterwards. What is unusual is left to the
 * library, and so is all of it without memory. */
void print_parts(msg_t *msg);

/* A header that is the same in many messages: prints it once, into home. */
void print_constant(su_home_t *home, void *header);
/* Adds a header that print_constant() has printed. The message points into it: it must live for as
 * long as any message may. */
void print_add_constant(msg_t *msg, const void *header);

#endif
