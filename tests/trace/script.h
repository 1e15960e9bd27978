/*
 * script: reads a scenario file and plays it on a stage. The language is described in
 * tests/trace/README.md.
 */
#ifndef SEGUE_TRACE_SCRIPT_H
#define SEGUE_TRACE_SCRIPT_H

#include <stdio.h>

/* Plays the scenario at path and writes its trace to out. Returns 0, or EINVAL with a sentence in
 * err that names file and line and says what is wrong. */
int script_play(const char *path, FILE *out, char *err, size_t size);

#endif
