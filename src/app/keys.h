/*
 * keys: seguectl's commands that make passwords and tokens for the HTTP interface.
 */
#ifndef SEGUE_APP_KEYS_H
#define SEGUE_APP_KEYS_H

/* Both return an exit status, having said what is wrong. */

/* Reads a password from the terminal (twice) or the first line of stdin, and stores its hash. */
int keys_passwd(const char *conninfo, const char *user);
/* create NAME SCOPES [USER] | list | delete NAME */
int keys_token(const char *conninfo, char **word, int words);

#endif
