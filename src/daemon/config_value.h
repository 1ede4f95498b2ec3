/* config_value.h - one setting's value: from text into its member, and back. */
#ifndef MU_DAEMON_CONFIG_VALUE_H
#define MU_DAEMON_CONFIG_VALUE_H

#include "daemon/config.h"

enum mu_setting_type {
    MU_SET_DUR,   /* mu_dur */
    MU_SET_COUNT, /* int64_t */
    MU_SET_BYTES, /* int64_t */
    MU_SET_BOOL,  /* bool */
    MU_SET_WORD,  /* int, its place in .words */
    MU_SET_TEXT,  /* char[1024], as PATH and URL */
    MU_SET_PATH,
    MU_SET_PATTERN, /* char[256] */
    MU_SET_ADDRS,   /* struct mu_config_list */
    MU_SET_URL,
};

struct mu_setting {
    const char *section, *key;
    enum mu_setting_type type;
    size_t offset; /* in struct mu_policy for DEFAULT and policy, else in struct mu_config */
    const char *standard;
    int64_t min, max;
    const char *words; /* for WORD: those allowed; else the unit */
    bool live;
    const char *help;
};

/* Reads @value into @member; ADDRS are appended. MU_EINVAL and a text that goes on after "key =
 * value: ". */
int mu_setting_read(const struct mu_setting *s, const char *value, void *member,
                    struct mu_err *err);

/* "100ms to 1h", "1 to 16000000 agents", "64KiB to 1GiB"; "" where a number bounds nothing. Returns
 * @out. */
#define MU_SETTING_BOUNDS 96
const char *mu_setting_bounds(const struct mu_setting *s, char out[MU_SETTING_BOUNDS]);

/* Appends the value as it could be written in a file; a store's password is masked. */
void mu_setting_write(const struct mu_setting *s, const void *member, struct mu_buf *out);

#endif
