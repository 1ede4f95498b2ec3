/* body.h - a JSON body: bounded in size and depth, an object, with no unknown and no repeated key.
 */
#ifndef MU_HTTP_BODY_H
#define MU_HTTP_BODY_H

#include <jansson.h>

#include "base/err.h"

#define MU_BODY_DEPTH 8

/* @keys are those allowed, comma-separated. Returns 0, and the caller owns *@out (json_decref());
 * or MU_EINVAL and which rule was broken in @err. */
int mu_body_parse(const void *data, size_t n, const char *keys, json_t **out, struct mu_err *err);

/* Whether @name is one of the comma-separated @names; "label.*" there stands for all with that
 * beginning and something behind it. */
int mu_names_have(const char *names, const char *name);

#endif
