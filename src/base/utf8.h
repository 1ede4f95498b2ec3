/* utf8.h - text of others: is it UTF-8, and may it be shown? */
#ifndef MU_BASE_UTF8_H
#define MU_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Whether @n bytes are valid UTF-8 (RFC 3629). */
int mu_utf8_valid(const char *text, size_t n);

/* Reads one character of at most @n bytes. Returns its length; 0 when there is none or it is not
 * valid, *@out untouched. */
int mu_utf8_next(const char *text, size_t n, uint32_t *out);

/* Whether character @cp may stand in a text: no control, bidi or zero-width character. */
int mu_utf8_visible(uint32_t cp);

#endif
