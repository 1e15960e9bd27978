/*
 * files: the few things about paths that several parts of the daemon need.
 */
#ifndef SEGUE_APP_FILES_H
#define SEGUE_APP_FILES_H

/* Creates a directory and those above it, where they are missing. 0 or an errno. */
int files_make_directory(const char *path);
/* The same for the directory that a file is in. */
int files_make_parent(const char *path);

#endif
