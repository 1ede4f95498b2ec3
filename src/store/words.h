/* words.h - what an SQL store keeps as words, so that people can read it, and its numbers: codes
 * again when a row is read back.
 *
 * Whoever can write to a database may have damaged it. Here what comes from there is looked at,
 * once: nobody behind the store looks again. */
#ifndef MU_STORE_WORDS_H
#define MU_STORE_WORDS_H

#include "base/err.h"
#include "fleet/row.h"

struct mu_words {
    int64_t id;
    const char *uuid, *status, *state, *reason;
};

/* Sets what the words stand for in @row and @who, and checks the texts that are set in them
 * already: names, labels, what operators wrote. Returns 0, or MU_ECORRUPT with table and row, what
 * is wrong with it, and the cure. */
int mu_words_read(const struct mu_words *words, struct mu_row *row, struct mu_who *who,
                  struct mu_err *err);

/* Whether @text is a JSON object as we write them: without space, nothing in it but texts
 * (@numbers: whole numbers). */
bool mu_words_object(const char *text, bool numbers);

#endif
