/* mem.h - the one way to heap memory, and the seam where tests make the n-th allocation fail.
 *
 * All return NULL when memory is out; none aborts. Sizes that overflow are out of memory too.
 */
#ifndef MU_BASE_MEM_H
#define MU_BASE_MEM_H

#include <stddef.h>

void *mu_alloc(size_t size);            /* zeroed */
void *mu_calloc(size_t n, size_t size); /* zeroed; n * size checked */
/* As realloc(ptr, n * size), checked; what is new is not zeroed. */
void *mu_realloc(void *ptr, size_t n, size_t size);
/* Zeroed, at a multiple of @align bytes: a power of two, a pointer's size at least. */
void *mu_alloc_aligned(size_t align, size_t size);
void mu_free(void *ptr); /* NULL is allowed */
char *mu_strdup(const char *text);
char *mu_strndup(const char *text, size_t n);

/* How many allocations have failed so far, on any thread: for those of a library that does not
 * tell. */
unsigned long mu_mem_failures(void);

/* For tests, set before other threads run: the @nth allocation from now on fails (1 is the next),
 * once; 0 switches it off. mu_mem_fault_fired() says whether it has happened since. */
void mu_mem_fault_at(unsigned long nth);
int mu_mem_fault_fired(void);

#define MU_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define MU_ARRAY_LEN(array)                (sizeof(array) / sizeof((array)[0]))

#endif
