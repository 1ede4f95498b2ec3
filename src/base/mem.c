#include "base/mem.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static atomic_ulong fault_in; /* this many allocations from now; 0 = never */
static atomic_int fault_fired;
static atomic_ulong failures; /* not _Thread_local: libmuster would need the loader for it */

void mu_mem_fault_at(unsigned long nth)
{
    atomic_store(&fault_fired, 0);
    atomic_store(&fault_in, nth);
}

int mu_mem_fault_fired(void)
{
    return atomic_load(&fault_fired);
}

static int fault(void)
{
    if (atomic_load_explicit(&fault_in, memory_order_relaxed) == 0)
        return 0;
    if (atomic_fetch_sub(&fault_in, 1) != 1)
        return 0;
    atomic_store(&fault_fired, 1);
    return 1;
}

unsigned long mu_mem_failures(void)
{
    return atomic_load(&failures);
}

static void *counted(void *ptr)
{
    if (!ptr)
        atomic_fetch_add(&failures, 1);
    return ptr;
}

void *mu_alloc(size_t size)
{
    return mu_calloc(1, size);
}

/* Nothing is asked for as one byte, so that NULL has one meaning. */
void *mu_calloc(size_t n, size_t size)
{
    if (fault() || (size != 0 && n > SIZE_MAX / size)) /* sanitizers' calloc() would abort */
        return counted(NULL);
    return counted(n == 0 || size == 0 ? calloc(1, 1) : calloc(n, size));
}

void *mu_realloc(void *ptr, size_t n, size_t size)
{
    if (fault() || (size != 0 && n > SIZE_MAX / size))
        return counted(NULL);
    return counted(realloc(ptr, n * size != 0 ? n * size : 1));
}

void *mu_alloc_aligned(size_t align, size_t size)
{
    void *ptr = NULL;

    if (fault() || posix_memalign(&ptr, align, size) != 0)
        return counted(NULL);
    return memset(ptr, 0, size);
}

void mu_free(void *ptr)
{
    free(ptr);
}

char *mu_strdup(const char *text)
{
    return mu_strndup(text, strlen(text));
}

char *mu_strndup(const char *text, size_t n)
{
    size_t len = strnlen(text, n);
    char *copy = len == SIZE_MAX ? NULL : mu_alloc(len + 1);

    if (copy)
        memcpy(copy, text, len);
    return copy;
}
