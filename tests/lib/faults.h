/* faults.h - a case with the first, the second, the n-th allocation failing, until none is left.
 *
 *     FOR_EACH_FAULT(n) {
 *         int rv = thing_new(&thing);
 *         FAULT_CHECK(rv);
 *         if (rv == 0)
 *             thing_free(thing);
 *     }
 *
 * The last round is the one in which no allocation failed. Don't leave the loop by break. */
#ifndef TEST_LIB_FAULTS_H
#define TEST_LIB_FAULTS_H

#include "base/err.h"
#include "base/mem.h"
#include "lib/test.h"

static inline int fault_begin(unsigned long n)
{
    mu_mem_fault_at(n);
    return n > 0;
}

static inline unsigned long fault_next(unsigned long n)
{
    return mu_mem_fault_fired() ? n + 1 : 0;
}

#define FOR_EACH_FAULT(n) for (unsigned long n = 1; fault_begin(n); n = fault_next(n))

/* A call succeeds, or says that memory was out when it was. */
#define FAULT_CHECK(rv)                                                                            \
    do {                                                                                           \
        if ((rv) != 0) {                                                                           \
            assert_int_equal((rv), MU_ENOMEM);                                                     \
            assert_true(mu_mem_fault_fired());                                                     \
        }                                                                                          \
    } while (0)

#endif
