/*
 * names: an enum and its name table from one list.
 *
 *	#define COLOR_LIST(X) X(COLOR_RED, "red") X(COLOR_BLUE, "blue")
 *	ENUM_DECLARE(color, COLOR_LIST);	in the header: enum color, COLOR_COUNT_, color_name()
 *	ENUM_DEFINE(color, COLOR_LIST)		in one .c file
 *
 * color_name() never returns NULL ("?" for a value outside the list); color_parse() gives the
 * value of a name, or -1.
 */
#ifndef SEGUE_BASE_NAMES_H
#define SEGUE_BASE_NAMES_H

#include <string.h>

#define ENUM_ITEM_(id, name) id,
#define ENUM_NAME_(id, name) [id] = name,

#define ENUM_DECLARE(tag, LIST)                                                                    \
	enum tag { LIST(ENUM_ITEM_) tag##_count_ };                                                \
	const char *tag##_name(int value);                                                         \
	int tag##_parse(const char *name)

#define ENUM_DEFINE(tag, LIST)                                                                     \
	static const char *const tag##_names_[] = {LIST(ENUM_NAME_)};                              \
	const char *tag##_name(int value)                                                          \
	{                                                                                          \
		return value >= 0 && value < (int)tag##_count_ ? tag##_names_[value] : "?";        \
	}                                                                                          \
	int tag##_parse(const char *name)                                                          \
	{                                                                                          \
		for (int i = 0; i < (int)tag##_count_; i++)                                        \
			if (strcmp(tag##_names_[i], name) == 0)                                    \
				return i;                                                          \
		return -1;                                                                         \
	}

#endif
