#include "base/near.h"

#include <stdint.h>
#include <string.h>

enum { LONGEST = 63 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t mu_near_distance(const char *a, const char *b)
{
    /* Three rows of the usual table: a swap looks two rows back. */
    size_t rows[3][LONGEST + 1];
    size_t na = strlen(a), nb = strlen(b);

    if (na > LONGEST || nb > LONGEST)
        return SIZE_MAX;
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *row = rows[i % 3];
        const size_t *up = rows[(i + 2) % 3], *upup = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            row[j] = least(least(up[j], row[j - 1]) + 1, up[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], upup[j - 2] + 1);
        }
    }
    return rows[na % 3][nb];
}

void mu_near_init(struct mu_near *near, const char *word)
{
    *near = (struct mu_near){.word = word, .distance = SIZE_MAX};
}

void mu_near_try(struct mu_near *near, const char *candidate)
{
    size_t distance = mu_near_distance(near->word, candidate);
    size_t most = strlen(candidate) / 3;

    if (distance < near->distance && distance <= (most ? most : 1)) {
        near->best = candidate;
        near->distance = distance;
    }
}
