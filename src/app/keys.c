/* keys: see keys.h. */
#include "app/keys.h"

#include "app/access.h"
#include "db/credentials.h"

#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_MIN 8
#define PASSWORD_MAX 255

static int complain(const char *why)
{
	fprintf(stderr, "seguectl: %s\n", why);
	return EXIT_FAILURE;
}

/* ---- passwords ------------------------------------------------------------------------------- */

static bool read_line(char *buf, size_t size)
{
	if (fgets(buf, (int)size, stdin) == NULL)
		return false;
	buf[strcspn(buf, "\r\n")] = '\0';
	return true;
}

/* From a terminal: asked for, and not shown. */
static bool read_password(const char *prompt, char *buf, size_t size)
{
	struct termios old, quiet;
	bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &old) == 0, ok;

	if (!terminal)
		return read_line(buf, size);
	fprintf(stderr, "%s: ", prompt);
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	ok = read_line(buf, size);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
	fputc('\n', stderr);
	return ok;
}

static int store_password(const char *conninfo, const char *user, const char *password)
{
	struct crypt_data *data = calloc(1, sizeof(*data));
	char salt[CRYPT_GENSALT_OUTPUT_SIZE], why[256] = "";
	const char *hash = NULL;
	int rc;

	if (data != NULL && crypt_gensalt_rn("$y$", 0, NULL, 0, salt, sizeof(salt)) != NULL)
		hash = crypt_r(password, salt, data);
	if (hash == NULL || hash[0] == '*') {
		free(data);
		return complain("crypt(3) of this system knows no yescrypt");
	}
	rc = credentials_set_password(conninfo, user, hash, why, sizeof(why));
	explicit_bzero(data, sizeof(*data));
	free(data);
	return rc ? complain(why) : EXIT_SUCCESS;
}

int keys_passwd(const char *conninfo, const char *user)
{
	char first[PASSWORD_MAX + 2], second[PASSWORD_MAX + 2];
	int rc;

	if (!read_password("New password", first, sizeof(first)) ||
		strlen(first) < PASSWORD_MIN || strlen(first) > PASSWORD_MAX)
		return complain("expected a password of 8 to 255 bytes");
	if (isatty(STDIN_FILENO) && (!read_password("Again", second, sizeof(second)) ||
					    !str_eq(first, second)))
		return complain("the two are not the same");
	rc = store_password(conninfo, user, first);
	explicit_bzero(first, sizeof(first));
	explicit_bzero(second, sizeof(second));
	return rc;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

/* "view,transfer" as an array; false, having said so, if a word is no scope. */
static bool parse_scopes(const char *text, char *buf, size_t size)
{
	char copy[256], *save, *w;

	str_set(copy, text);
	str_copy(buf, size, "{");
	for (w = strtok_r(copy, ",", &save); w != NULL; w = strtok_r(NULL, ",", &save)) {
		if (perm_parse(w) < 0) {
			fprintf(stderr, "seguectl: scope `%s': expected one of", w);
			for (int p = 0; p < perm_count_; p++)
				fprintf(stderr, "%s %s", p ? "," : "", perm_name(p));
			fputc('\n', stderr);
			return false;
		}
		str_append(buf, size, buf[1] ? "," : "");
		str_append(buf, size, w);
	}
	return str_append(buf, size, "}");
}

static int create_token(const char *conninfo, const char *name, const char *scopes, const char *user)
{
	char list[300], secret[TOKEN_TEXT_MAX], hex[65], why[256] = "";

	if (!parse_scopes(scopes, list, sizeof(list)))
		return 2;
	if (!access_secret(secret))
		return complain("the system has no random numbers");
	access_hash(secret, hex);
	if (credentials_add_token(conninfo, name, hex, list, user, why, sizeof(why)))
		return complain(why);
	printf("%s\n", secret);
	fprintf(stderr, "This is shown once; the database keeps its hash alone.\n");
	return EXIT_SUCCESS;
}

static void print_token(
	void *arg, const char *name, const char *scopes, const char *user, const char *expires)
{
	printf("%-20s %-12s %-12s %s\n", name, user[0] ? user : "-",
		expires[0] ? expires : "for ever", scopes);
}

int keys_token(const char *conninfo, char **word, int words)
{
	char why[256] = "";

	if (str_eq(word[0], "create") && (words == 3 || words == 4))
		return create_token(conninfo, word[1], word[2], words == 4 ? word[3] : NULL);
	if (str_eq(word[0], "list") && words == 1)
		return credentials_each_token(conninfo, print_token, NULL, why, sizeof(why))
			       ? complain(why)
			       : EXIT_SUCCESS;
	if (str_eq(word[0], "delete") && words == 2)
		return credentials_drop_token(conninfo, word[1], why, sizeof(why))
			       ? complain(why)
			       : EXIT_SUCCESS;
	fprintf(stderr, "seguectl: expected token create NAME SCOPES [USER], token list or "
			"token delete NAME\n");
	return 2;
}
