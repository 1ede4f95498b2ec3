/* place.h - a database's file: where it is, whose it is. For drivers that keep one file.
 *
 * Every error names the path, what was tried, and what would help. */
#ifndef MU_STORE_PLACE_H
#define MU_STORE_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define MU_PLACE_PATH 4096

/* "cannot @what @path: ...; the cure" for the errno @no. Returns @code. */
int mu_place_fail(struct mu_err *err, int code, const char *what, const char *path, int no);

/* The real place of @text, so that two names of one file give one lock, and nothing in it looks to
 * SQLite like a URI or ":memory:". The file need not be there, its folder must. */
int mu_place_find(const char *text, char out[MU_PLACE_PATH], struct mu_err *err);

/* Takes @path.lock and writes "PID HOST" into it; closing the descriptor in *@out lets it go.
 * MU_ELOCKED names the holder. */
int mu_place_lock(const char *path, int *out, struct mu_err *err);

/* "PID HOST" of who holds @path.lock; "" = nobody. */
void mu_place_holder(const char *path, char *out, size_t size);

/* Makes an empty file with mode 0600; what is there already is kept, or MU_EEXIST where @fresh. */
int mu_place_make(const char *path, bool fresh, struct mu_err *err);

/* A new file's name is safe only when its folder is. */
int mu_place_sync_folder(const char *path, struct mu_err *err);

#endif
