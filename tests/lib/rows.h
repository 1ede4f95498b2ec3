/* rows.h - agents and events to store, and a place to store them. */
#ifndef TEST_LIB_ROWS_H
#define TEST_LIB_ROWS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "event/event.h"
#include "lib/test.h"

/* nova-compute@cmp-N, its UUID made from @n. One reference is the caller's. */
static inline struct mu_ident *an_ident(uint32_t n)
{
    uint8_t uuid[16] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x47, 0x88, 0x99};
    char host[32];

    uuid[12] = (uint8_t)(n >> 24);
    uuid[13] = (uint8_t)(n >> 16);
    uuid[14] = (uint8_t)(n >> 8);
    uuid[15] = (uint8_t)n;
    snprintf(host, sizeof(host), "cmp-%u", n);
    struct mu_ident *ident = mu_ident_new(uuid, "nova-compute", host);
    assert_non_null(ident);
    return ident;
}

/* A row of @ident, which it borrows. */
static inline struct mu_row a_row(uint32_t id, struct mu_ident *ident)
{
    return (struct mu_row){
        .id = id,
        .ident = ident,
        .zone = "az1",
        .labels = "{\"rack\":\"r1\"}",
        .version = "26.2.0",
        .disabled_reason = "",
        .forced_reason = "",
        .state = MU_UP,
        .state_reason = MU_WHY_JOINED,
        .state_since = 1763838498123,
        .joined_at = 1763838498000,
        .incarnation = (UINT64_C(1) << 32) + id,
        .interval_ms = 10000,
        .last_seen = 1763838498456,
        .report_count = 1,
    };
}

/* up -> down by silence, of @who, which it borrows; at 1,000,000 + @seq ms. */
static inline struct mu_event an_event(uint64_t seq, struct mu_ident *who)
{
    struct mu_event event = {.seq = seq,
                             .at = 1000000 + (mu_wall)seq,
                             .who = who,
                             .kind = MU_KIND_STATE,
                             .reason = MU_WHY_SILENCE,
                             .from = MU_UP,
                             .to = MU_DOWN,
                             .evidence = mu_no_evidence};

    event.evidence.silence_ms = 60001;
    return event;
}

/* A folder of the test's own. */
static inline void make_scratch(char *path, size_t size)
{
    const char *base = getenv("TMPDIR");

    snprintf(path, size, "%s/muster-test-XXXXXX", base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
}

static inline void remove_scratch(const char *path)
{
    char command[600];

    assert_int_equal(chmod(path, 0700), 0);
    snprintf(command, sizeof(command), "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

#endif
