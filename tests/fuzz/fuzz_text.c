/* What people and programs write as text: names, addresses, times, UUIDs, words. Each is printed
 * again where it can be, and must read back as the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/name.h"
#include "base/rng.h"
#include "base/state.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *text, size_t size)
{
    char binary[MU_NAME_PART_MAX + 1], host[MU_NAME_PART_MAX + 1];
    struct mu_err err = {0};

    if (mu_name_parse(text, binary, host, &err) == 0) {
        assert(strlen(binary) + 1 + strlen(host) == strlen(text));
        assert(mu_utf8_valid(text, strlen(text)));
    } else {
        assert(err.code == MU_EINVAL && mu_utf8_valid(err.text, strlen(err.text)));
    }
    if (mu_text_check(text, size, 64, "text", NULL) == 0)
        assert(mu_utf8_valid(text, size) && size <= 64);
}

static void check_addr(const char *text)
{
    char again[256];
    struct sockaddr_storage sa;
    struct mu_addr addr, same;
    socklen_t len;

    if (mu_addr_parse(&addr, text, NULL) != 0)
        return;
    assert(addr.port >= -1 && addr.port <= 65535);
    (void)mu_addr_is_loopback(&addr);
    if (mu_addr_sockaddr(&addr, &sa, &len, NULL) != 0)
        return;
    mu_addr_text_of((struct sockaddr *)&sa, len, again, sizeof(again));
    assert(mu_addr_parse(&same, again, NULL) == 0);
    assert(same.port == addr.port);
}

static void check_times(const char *text)
{
    char again[MU_DUR_TEXT];
    mu_wall wall;
    mu_dur dur, same;

    if (mu_dur_parse(text, &dur) == 0)
        assert(mu_dur_parse(mu_dur_text(dur, again), &same) == 0 && same == dur);
    if (mu_wall_parse(text, &wall) == 0 && wall != 0) {
        mu_wall back = 0;
        /* an offset may lead out of the four digits of a year */
        assert(mu_wall_parse(mu_wall_text(wall, again), &back) != 0 || back == wall);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char uuid_text[MU_UUID_TEXT], *text = malloc(size + 1);
    uint8_t uuid[16];

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    check_name(text, size);
    check_addr(text);
    check_times(text);
    if (mu_uuid_parse(text, uuid) == 0)
        assert(strcasecmp(mu_uuid_text(uuid, uuid_text), text) == 0);
    if (mu_reason_parse(text) >= 0)
        assert(strcmp(mu_reason_text((enum mu_reason)mu_reason_parse(text)), text) == 0);
    free(text);
    return 0;
}
