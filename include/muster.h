/* muster.h - report to a muster conductor that a program is alive.
 *
 * This header is the whole public interface of libmuster. It may be included from C99 and C++11.
 */
#ifndef MUSTER_H
#define MUSTER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every error of muster: name, value, text. Functions return 0 or one of these. */
#define MUSTER_ERRORS(X)                                                                           \
    X(MU_ENOMEM, -1, "out of memory")                                                              \
    X(MU_EINVAL, -2, "invalid argument")                                                           \
    X(MU_ERANGE, -3, "value out of range")                                                         \
    X(MU_ENOENT, -4, "no such agent")                                                              \
    X(MU_EEXIST, -5, "exists already")                                                             \
    X(MU_EAGAIN, -6, "not reached, or not ready: try again")                                       \
    X(MU_EBUSY, -7, "another write is pending")                                                    \
    X(MU_ECONFLICT, -8, "changed by another since it was read")                                    \
    X(MU_ETIMEDOUT, -9, "no answer in time: outcome unknown, safe to repeat")                      \
    X(MU_EFULL, -10, "a bound was reached")                                                        \
    X(MU_EPERM, -11, "denied")                                                                     \
    X(MU_EPROTO, -12, "malformed message")                                                         \
    X(MU_EVERSION, -13, "version not understood")                                                  \
    X(MU_ECORRUPT, -14, "damaged data")                                                            \
    X(MU_EIO, -15, "input or output failed")                                                       \
    X(MU_ELOCKED, -16, "in use by another process")                                                \
    X(MU_EGONE, -17, "no longer kept")                                                             \
    X(MU_ESUPERSEDED, -18, "the name was taken over by a newer process")                           \
    X(MU_EFENCED, -19, "fenced")                                                                   \
    X(MU_ECLOSED, -20, "closed")                                                                   \
    X(MU_EFORKED, -21, "opened by the parent process")                                             \
    X(MU_ENOTSUP, -22, "not supported")

enum muster_error {
#define MUSTER_ERROR_(name, value, text) name = (value),
    MUSTER_ERRORS(MUSTER_ERROR_)
#undef MUSTER_ERROR_
        MU_OK = 0
};

/* The text of error @code; "unknown error" for a value that is none. Never NULL. */
const char *muster_strerror(int code);

#ifdef __cplusplus
}
#endif

#endif
