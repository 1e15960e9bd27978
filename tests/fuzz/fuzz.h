/*
 * fuzz: what the targets share. Each target is one function over bytes. Built with libFuzzer
 * (configure --enable-fuzzers CC=clang) it searches; linked with corpus.c it replays
 * tests/fuzz/corpus/NAME in make check, where every input that ever failed stays.
 */
#ifndef SEGUE_TESTS_FUZZ_H
#define SEGUE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert() never compiled out. */
#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The next line of the input as a string of its own, so that reading behind it is noticed. Moves
 * *data. NULL at the end. The caller frees. */
static inline char *fuzz_line(const uint8_t **data, size_t *size)
{
	const uint8_t *lf = *size ? memchr(*data, '\n', *size) : NULL;
	size_t n = lf ? (size_t)(lf - *data) : *size;
	char *line;

	if (*size == 0)
		return NULL;
	line = malloc(n + 1);
	must(line);
	memcpy(line, *data, n);
	line[n] = '\0';
	*data += lf ? n + 1 : n;
	*size -= lf ? n + 1 : n;
	return line;
}

#endif
