/*
 * options: the one table of options, and how text becomes a value. Private to the config files of
 * this folder.
 */
#ifndef SEGUE_APP_OPTIONS_H
#define SEGUE_APP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
	OPT_TEXT,     /* any characters, not empty unless the default is */
	OPT_NAME,     /* letters, digits, - _ . */
	OPT_NAMES,    /* the same, or "*" for all */
	OPT_NUMBER,   /* a dialled number */
	OPT_INT,
	OPT_BOOL,
	OPT_TIME,     /* stored in units of `unit` milliseconds */
	OPT_SIZE,     /* stored in units of `unit` bytes */
	OPT_MODE,     /* file permissions */
	OPT_PATH,
	OPT_LISTEN,   /* udp:ADDRESS:PORT */
	OPT_HTTP,     /* ADDRESS:PORT */
	OPT_URL,
	OPT_FACT,     /* the name of a fact_type */
	OPT_HOST,
	OPT_ADDRESS,  /* where a peer is */
	OPT_NET,      /* address or network */
	OPT_PATTERN,  /* of the dial plan */
	OPT_KIND,     /* enum target_kind */
	OPT_ENGINE,   /* ADDRESS:PORT */
	OPT_ANCHOR,   /* enum anchoring */
	OPT_HEARS,    /* enum hears: music or ringback */
	OPT_FALLBACK, /* struct fallback */
	OPT_LOG_TARGET,
	OPT_LOG_LEVEL,
	OPT_BYE,       /* enum bye_policy */
	OPT_DTMF,      /* enum dtmf */
	OPT_REFER_PROGRESS, /* enum refer_progress */
	OPT_REFER_MODE, /* enum refer_mode */
	OPT_CALLER_ID, /* enum caller_id */
	OPT_DIVERSION, /* enum diversion */
	OPT_EXAMPLE,  /* of a route; checked, not stored */
	OPT_TYPES_
};

enum {
	OPT_RELOAD = 1,   /* SIGHUP is enough */
	OPT_REQUIRED = 2, /* must be given, and not be empty */
	OPT_SECRET = 4,   /* never quoted */
};

struct option {
	const char *section; /* "transfer"; for sections that are lists: of each group in it */
	const char *name;
	enum option_type type;
	unsigned flags;
	uint16_t list_max;   /* 0: one value, else a list of at most so many */
	size_t offset;       /* in struct app_config, or in the group's struct */
	size_t size;         /* of one value */
	size_t count_offset; /* of a list: its unsigned count */
	int64_t min, max;    /* INT; TIME in ms; SIZE in bytes */
	unsigned unit;
	const char *def;     /* as text; of a list: blank separated */
	const char *example; /* shown in conf/segue.conf when the default is empty */
	const char *meaning;
};

/* A group of options, or a list of groups. */
struct section {
	const char *name;
	uint16_t list_max;   /* 0: a group */
	size_t offset;       /* lists: of the array in struct app_config */
	size_t size;         /* of one element */
	size_t count_offset;
	const char *meaning;
};

extern const struct option options[];
extern const unsigned options_count;
extern const struct section sections[];
extern const unsigned sections_count;

const struct section *section_find(const char *name);
const struct option *option_find(const char *section, const char *name);

/* The nearest section or option to a wrong name, or NULL if none is near. */
const char *section_suggest(const char *name);
const char *option_suggest(const char *section, const char *name);

/* What the option takes, as a phrase that follows "expected": "a time from 1s to 10m". */
void option_expected(const struct option *o, char *buf, size_t size);

/* Reads text into dst, which has room for one value. 0, or EINVAL with a sentence in err. */
int option_parse(const struct option *o, const char *text, void *dst, char *err, size_t size);

/* How a value must stand in the file: CONFIG_TYPE_INT, _BOOL or _STRING. */
int option_file_type(const struct option *o);

/* Sets everything to the defaults of the table; cfg must be zeroed. */
struct app_config;
void options_default(struct app_config *cfg);
/* The same for one element of a list section. */
void options_default_element(const struct section *s, void *element);

#endif
