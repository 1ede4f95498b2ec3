/* config.h - what the conductor is told: by file, environment and flags, checked as a whole.
 *
 * A flag wins over MUSTER_SECTION_KEY in the environment, that over conf.d/NAME.conf beside the
 * file (in the order of their names, the last wins), that over the file, that over what is built
 * in. A repeatable setting is replaced as a whole by the stronger place. Errors name the place
 * (file and line, variable, flag), the setting, the value, and what is allowed. */
#ifndef MU_DAEMON_CONFIG_H
#define MU_DAEMON_CONFIG_H

#include <stdbool.h>

#include "base/buf.h"
#include "fleet/policy.h"

#define MU_CONFIG_FILE   "/etc/muster/muster.conf"
#define MU_LISTENERS_MAX 16

struct mu_config_list {
    char at[MU_LISTENERS_MAX][256];
    size_t n;
};

struct mu_config {
    struct mu_policies policies;
    struct mu_config_list listen, http;
    bool insecure;
    char own_folder[1000]; /* where what was given no place is kept: ours to make; "" = none */
    char store[1024], secret_file[1024], token_file[1024], http_hosts[1024];
    int64_t max_agents, join_rate, max_streams, max_per_peer, max_http, max_http_per_peer,
        receive_buffer, event_max;
    mu_dur silent_for, checkpoint_interval, forget_after, event_retention;
    int log_level, log_format; /* enum mu_log_level, enum mu_log_format */

    struct mu_config_origin *origins; /* where each value came from; config.c's own */
    size_t norigins;
};

/* A setting given on the command line. Strings are borrowed for the call. */
struct mu_config_flag {
    const char *section, *key, *value;
    const char *flag; /* "--listen", for errors */
};

struct mu_config_source {
    const char *file; /* must exist; NULL = MU_CONFIG_FILE, where there is one */
    char **env;       /* environ; NULL = none */
    const struct mu_config_flag *flags;
    size_t nflags;
    void (*warn)(void *ctx, const char *line); /* may be NULL */
    void *ctx;
};

/* Reads and checks it all. Returns 0, and the caller frees *@out; or MU_EINVAL, MU_EIO, MU_ENOMEM
 * and the first thing that is wrong. */
int mu_config_load(struct mu_config **out, const struct mu_config_source *source,
                   struct mu_err *err);
void mu_config_free(struct mu_config *config); /* NULL is allowed */

/* Every value in force as a file that could be read again; with @origin, where each came from.
 * Passwords are masked. */
void mu_config_show(const struct mu_config *config, bool origin, struct mu_buf *out);

/* For a reload: writes the names of what differs and takes a restart to @out, "listen, store";
 * nothing when all may change now. */
void mu_config_restarts(const struct mu_config *old, const struct mu_config *fresh,
                        struct mu_buf *out);

/* The settings, for who makes a page or a completion from them: until @each returns non-zero. */
struct mu_setting_info {
    const char *section, *key, *type, *standard, *words, *help;
    const char *bounds; /* "100ms to 1h"; "" = none */
    bool live;
};
void mu_config_each(int (*each)(void *ctx, const struct mu_setting_info *info), void *ctx);

#endif
