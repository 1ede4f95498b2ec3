/* json.h - writes JSON (RFC 8259) into a buffer, as it goes.
 *
 * A key is NULL in an array and at the top. Text is escaped, and what is not UTF-8 in it becomes
 * U+FFFD, so that the output is valid whatever comes in. The buffer remembers failure. */
#ifndef MU_HTTP_JSON_H
#define MU_HTTP_JSON_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/clock.h"

#define MU_JSON_DEPTH 32

struct mu_json {
    struct mu_buf *out;
    uint32_t arrays; /* bit n: level n is an array */
    unsigned depth;
    bool comma;
};

void mu_json_init(struct mu_json *json, struct mu_buf *out);
void mu_json_object(struct mu_json *json, const char *key);
void mu_json_array(struct mu_json *json, const char *key);
void mu_json_end(struct mu_json *json); /* of the innermost object or array */

void mu_json_text(struct mu_json *json, const char *key, const char *text); /* NULL is null */
void mu_json_some(struct mu_json *json, const char *key, const char *text); /* "" is null too */
void mu_json_uint(struct mu_json *json, const char *key, uint64_t value);
void mu_json_number(struct mu_json *json, const char *key, double value); /* three decimals */
void mu_json_bool(struct mu_json *json, const char *key, bool value);
void mu_json_null(struct mu_json *json, const char *key);
void mu_json_dur(struct mu_json *json, const char *key, mu_dur dur); /* seconds; MU_NEVER is null */
void mu_json_wall(struct mu_json *json, const char *key, mu_wall wall); /* RFC 3339; 0 is null */
void mu_json_raw(struct mu_json *json, const char *key, const char *value); /* JSON already */

#endif
