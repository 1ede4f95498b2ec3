/* err.h - errors that an operator must be able to read.
 *
 * Codes and their short texts are the table in muster.h. A function that fails for a reason worth
 * reading takes a struct mu_err * last; NULL is allowed and means that nobody will read it.
 */
#ifndef MU_BASE_ERR_H
#define MU_BASE_ERR_H

#include "muster.h"

#define MU_ERR_TEXT_MAX 1024

#define MU_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

struct mu_err {
    int code;
    char text[MU_ERR_TEXT_MAX]; /* one line of UTF-8, no full stop; cut when too long */
};

/* Stores @code and the formatted text. Returns @code, so that a caller may return the call. */
int mu_err_set(struct mu_err *err, int code, const char *fmt, ...) MU_PRINTF(3, 4);

/* Puts the formatted text and ": " before what @err says (or before the text of @code, when @err
 * says nothing yet), and stores @code. Returns @code. */
int mu_err_wrap(struct mu_err *err, int code, const char *fmt, ...) MU_PRINTF(3, 4);

#endif
