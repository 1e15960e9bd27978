/*
 * books: keeps the accounts that the facts describe and finds every sum that does not come out.
 * It rebuilds conversations, segments and transfers from facts alone, as PostgreSQL will.
 */
#ifndef SEGUE_SIM_BOOKS_H
#define SEGUE_SIM_BOOKS_H

#include <uthash.h>

#include "core/core.h"

#define BK_RULE_MAX 48
#define BK_TEXT_MAX 500

struct bk_span { /* one talking interval, for the union */
	int64_t from, to;
};

struct bk_conv {
	uuid id;
	call_id call;
	uint64_t order;			 /* the how manieth, whatever the clock says */
	int64_t opened, closed;		 /* UTC us; closed 0: open */
	unsigned closed_step, xfer_step; /* when it was closed; when a transfer was opened last */
	int64_t seq;			 /* last timeline entry */
	int64_t nsegs, open_segs, open_xfers;
	int64_t requested, completed, failed;
	int64_t blind, consult, semi; /* of those completed */
	int64_t agent_talk;
	bool lives; /* its call was there when the process died */
	bool mixed; /* its people brought times of another clock */
	struct bk_span *talks;
	unsigned ntalks, talks_cap;
	char kind[12];
	struct bk_seg *first; /* its segments, newest first */
	UT_hash_handle hh;
};

struct bk_seg {
	struct bk_seg *next;
	uuid id, conv;
	int64_t opened, answered, closed, until; /* until: end of its last interval */
	int64_t nint;
	int64_t ring, talk, hold, held, consult, wait, limbo, other;
	char who[USER_MAX], number[NUM_MAX], kind[12], last_state[12];
	uuid transfer_in;
	unsigned opened_step, answered_step;
	UT_hash_handle hh;
};

struct bk_xfer {
	uuid id, conv;
	int64_t opened, closed, last_mark;
	int marks; /* the furthest mark so far */
	bool answered; /* the mark that says so was among them */
	unsigned rung; /* visits that came by it; the first of them was of who was asked for, */
	bool recalls;  /* or it was the transferor who is rung again */
	char kind[12];
	unsigned opened_step;
	uuid to_seg, next;
	char outcome[16];
	UT_hash_handle hh;
};

struct books {
	struct bk_conv *convs;
	struct bk_seg *segs;
	struct bk_xfer *xfers;
	struct bk_xfer *follows; /* fell back in this step: its next has to be there at the end */
	unsigned step;
	uint64_t nfacts, nconvs;
	bool failed;
	char rule[BK_RULE_MAX];
	char text[BK_TEXT_MAX];
};

void books_init(struct books *b);
void books_done(struct books *b);

/* Takes the facts of one step in. Sets b->failed when they contradict each other. */
void books_step(struct books *b, const struct core_out *out);

/* Forgets the open conversations that had a call when the process died (lives), and of which is_back() says
 * no: the ledger closes them by itself. */
void books_cut(struct books *b, bool (*is_back)(void *arg, const uuid *conv), void *arg);

/* What the facts say about a live call agrees with what the core shows of it. */
void books_compare(struct books *b, const struct call_view *v);

/* After everything is over: nothing may be open. */
void books_end(struct books *b);

struct bk_conv *books_conv(struct books *b, const uuid *id);

#endif
