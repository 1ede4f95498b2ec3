/* words.h - what an SQL store keeps as words, so that people can read it, and its numbers: codes
 * again when a row is read back. */
#ifndef MU_STORE_WORDS_H
#define MU_STORE_WORDS_H

#include "base/err.h"
#include "fleet/row.h"

struct mu_words {
    int64_t id;
    const char *uuid, *status, *state, *reason;
};

/* Sets what the words stand for in @row and @who. Returns 0, or MU_ECORRUPT with the row, the
 * column and its value. */
int mu_words_read(const struct mu_words *words, struct mu_row *row, struct mu_who *who,
                  struct mu_err *err);

#endif
