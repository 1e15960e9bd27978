/*
 * config_print: the option table as a commented configuration, as a manual page and as markdown.
 * `make check` compares the three with the files that are shipped.
 */
#include "app/config.h"
#include "app/options.h"

#include <libconfig.h>
#include <stdlib.h>

/* ---- values as they stand in a file ------------------------------------------------------- */

static void put_scalar(FILE *out, const struct option *o, const char *text)
{
	const char *quote = option_file_type(o) == CONFIG_TYPE_STRING ? "\"" : "";

	fprintf(out, "%s%s%s", quote, text, quote);
}

static void put_value(FILE *out, const struct option *o, const char *text)
{
	char copy[256], *save, *word;
	const char *comma = "";

	if (o->list_max == 0) {
		put_scalar(out, o, text);
		return;
	}
	str_set(copy, text);
	fputs("[", out);
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		fputs(comma, out);
		put_scalar(out, o, word);
		comma = ", ";
	}
	fputs("]", out);
}

static const char *shown(const struct option *o)
{
	return o->def[0] == '\0' && o->example != NULL ? o->example : o->def;
}

/* Writes text with `lead` in front of each of its lines. */
static void put_lines(FILE *out, const char *lead, const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		fprintf(out, "%s%.*s\n", lead, (int)n, text);
		text += n + (text[n] == '\n');
	}
}

/* "A time such as 20s from 1s to 10m. Restart needed." */
static void describe(const struct option *o, char *buf, size_t size)
{
	char what[192];

	option_expected(o, what, sizeof(what));
	if (o->list_max)
		snprintf(buf, size, "A list of at most %u, each %s.", o->list_max, what);
	else
		snprintf(buf, size, "%c%s.", what[0] - ('a' <= what[0] && what[0] <= 'z' ? 32 : 0),
			what + 1);
	if (o->flags & OPT_REQUIRED && o->def[0] == '\0')
		str_append(buf, size, " Must be given.");
	if (!(o->flags & OPT_RELOAD))
		str_append(buf, size, " Takes a restart.");
}

/* ---- segue.conf ---------------------------------------------------------------------------- */

static void conf_option(FILE *out, const struct option *o, const char *lead)
{
	char about[320], comment[16];

	snprintf(comment, sizeof(comment), "%s# ", lead);
	describe(o, about, sizeof(about));
	put_lines(out, comment, o->meaning);
	put_lines(out, comment, about);
	if (o->def[0] == '\0' && !(o->flags & OPT_REQUIRED))
		fprintf(out, "%sDefault: %s.\n", comment, o->list_max ? "none" : "\"\"");
	if (o->def[0] != '\0' && o->example != NULL && section_find(o->section)->list_max == 0) {
		fprintf(out, "%sExample: ", comment);
		put_value(out, o, o->example);
		fputc('\n', out);
	}
}

static void conf_group(FILE *out, const struct section *sec)
{
	fputc('\n', out);
	put_lines(out, "# ", sec->meaning);
	fprintf(out, "%s: {\n", sec->name);
	for (unsigned i = 0; i < options_count; i++) {
		if (!str_eq(options[i].section, sec->name))
			continue;
		if (i > 0 && str_eq(options[i - 1].section, sec->name))
			fputc('\n', out);
		conf_option(out, &options[i], "\t");
		fprintf(out, "\t#%s = ", options[i].name);
		put_value(out, &options[i], shown(&options[i]));
		fputs(";\n", out);
	}
	fputs("};\n", out);
}

static void conf_list(FILE *out, const struct section *sec)
{
	fputc('\n', out);
	put_lines(out, "# ", sec->meaning);
	fprintf(out,
		"# At most %u. One group { } for each; SIGHUP is enough for a change. Shown as an "
		"example.\n",
		sec->list_max);
	fprintf(out, "#%s: (\n#\t{\n", sec->name);
	for (unsigned i = 0; i < options_count; i++) {
		if (!str_eq(options[i].section, sec->name))
			continue;
		if (i > 0 && str_eq(options[i - 1].section, sec->name))
			fputs("#\n", out);
		conf_option(out, &options[i], "#\t\t");
		fprintf(out, "#\t\t%s = ", options[i].name);
		put_value(
			out, &options[i], options[i].example ? options[i].example : options[i].def);
		fputs(";\n", out);
	}
	fprintf(out, "#\t}\n#);\n");
}

void config_print_conf(FILE *out)
{
	fputs("# segue.conf: every option with its default, as `segued --print-config` prints it.\n"
	      "# A line that is commented out shows the default, or an example where the default "
	      "is\n"
	      "# nothing. `segued --check -c FILE` tells everything that is wrong in a file. What "
	      "does\n"
	      "# not take a restart is read again on SIGHUP or `seguectl reload`. See "
	      "segue.conf(5).\n",
		out);
	for (unsigned i = 0; i < sections_count; i++)
		if (sections[i].list_max)
			conf_list(out, &sections[i]);
		else
			conf_group(out, &sections[i]);
}

/* ---- segue.conf(5) ------------------------------------------------------------------------- */

/* One line of text with everything escaped that means something to roff. */
static void roff_text(FILE *out, const char *text)
{
	for (const char *s = text; *s != '\0'; s++) {
		bool line_start = s == text || s[-1] == '\n';

		if (line_start && (*s == '.' || *s == '\''))
			fputs("\\&", out);
		if (*s == '\\')
			fputs("\\e", out);
		else if (*s == '-')
			fputs("\\-", out);
		else
			fputc(*s, out);
	}
}

static void roff_value(FILE *out, const struct option *o, const char *text)
{
	char *line = NULL;
	size_t len;
	FILE *mem = open_memstream(&line, &len);

	if (mem == NULL)
		return;
	put_value(mem, o, text);
	fclose(mem);
	roff_text(out, line);
	free(line);
}

static void man_option(FILE *out, const struct option *o, const struct section *sec)
{
	char about[320];

	fprintf(out, ".TP\n.B ");
	roff_text(out, o->name);
	fputc('\n', out);
	roff_text(out, o->meaning);
	fputc('\n', out);
	describe(o, about, sizeof(about));
	roff_text(out, about);
	fputc('\n', out);
	if (!(o->flags & OPT_REQUIRED) || sec->list_max == 0) {
		fputs("Default: ", out);
		roff_value(out, o, o->def);
		fputs(".\n", out);
	}
	if (o->example != NULL) {
		fputs("Example: ", out);
		roff_value(out, o, o->example);
		fputs(".\n", out);
	}
}

static void man_section(FILE *out, const struct section *sec)
{
	fprintf(out, ".SS \"%s%s\"\n", sec->name, sec->list_max ? " (a list of groups)" : "");
	roff_text(out, sec->meaning);
	fputc('\n', out);
	for (unsigned i = 0; i < options_count; i++)
		if (str_eq(options[i].section, sec->name))
			man_option(out, &options[i], sec);
}

void config_print_man(FILE *out)
{
	fputs(".\\\" Printed by `segued --print-man' from the table of options.\n"
	      ".TH SEGUE.CONF 5 \"\" \"segue\" \"segue\"\n"
	      ".SH NAME\nsegue.conf \\- configuration of the SIP back-to-back user agent segued\n"
	      ".SH DESCRIPTION\n"
	      "The file is read by\n.BR segued (8)\nat start and again on SIGHUP. It holds groups\n"
	      ".IR \"name\" : \" { \" option \" = \" value ; \" } ;\"\n"
	      "and lists of groups. Text, times, sizes and addresses stand in double quotes; "
	      "numbers\n"
	      "and true and false do not. A list of values stands in [ ], a list of groups in ( "
	      ").\n"
	      "Comments begin with #. Other files are drawn in with\n.BR @include .\n"
	      ".PP\n.B segued \\-\\-check\n"
	      "tells every problem with file, line, the offending value and what was expected.\n"
	      "An option that does not exist is a problem, too.\n"
	      ".SH OPTIONS\n",
		out);
	for (unsigned i = 0; i < sections_count; i++)
		man_section(out, &sections[i]);
	fputs(".SH FILES\n.I /etc/segue/segue.conf\n"
	      ".SH SEE ALSO\n.BR segued (8),\n.BR seguectl (1)\n",
		out);
}

/* ---- docs/options.md ----------------------------------------------------------------------- */

static void md_text(FILE *out, const char *text)
{
	for (const char *s = text; *s != '\0'; s++)
		if (*s == '\n')
			fputc(' ', out);
		else if (*s == '|')
			fputs("\\|", out);
		else
			fputc(*s, out);
}

static void md_option(FILE *out, const struct option *o, const struct section *sec)
{
	char what[192];

	option_expected(o, what, sizeof(what));
	fprintf(out, "| `%s` | ", o->name);
	if (sec->list_max && (o->flags & OPT_REQUIRED)) {
		fputs("must be given", out);
	} else {
		fputc('`', out);
		put_value(out, o, o->def);
		fputc('`', out);
	}
	fputs(" | ", out);
	if (o->list_max)
		fprintf(out, "list of %u at most, each ", o->list_max);
	md_text(out, what);
	fprintf(out, " | %s | ", o->flags & OPT_RELOAD ? "reload" : "restart");
	md_text(out, o->meaning);
	fputs(" |\n", out);
}

void config_print_markdown(FILE *out)
{
	fputs("# Options of segue.conf\n\n"
	      "Printed by `segued --print-markdown` from the table of options in "
	      "`src/app/options.c`; `make check` compares.\n",
		out);
	for (unsigned i = 0; i < sections_count; i++) {
		const struct section *sec = &sections[i];

		fprintf(out, "\n## %s%s\n\n", sec->name,
			sec->list_max ? " (a list of groups)" : "");
		md_text(out, sec->meaning);
		fputs("\n\n| Option | Default | Takes | Change by | Meaning "
		      "|\n|---|---|---|---|---|\n",
			out);
		for (unsigned k = 0; k < options_count; k++)
			if (str_eq(options[k].section, sec->name))
				md_option(out, &options[k], sec);
	}
}
