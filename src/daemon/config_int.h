/* config_int.h - between the files of config: config.c has the settings and what they mean, and
 * config_file.c the places they are read from. */
#ifndef MU_DAEMON_CONFIG_INT_H
#define MU_DAEMON_CONFIG_INT_H

#include "daemon/config.h"

/* A place that is read now. A later one wins; within one, only a repeatable setting may come twice.
 */
struct mu_config_place {
    struct mu_config *config;
    unsigned layer;  /* grows from place to place */
    char text[1200]; /* "/etc/muster/muster.conf:12", for errors and for --origin */
};

/* Whether there is such a section: "DEFAULT", "conductor", "log", "policy NAME". MU_EINVAL names
 * the nearest. A policy is made when it is first named. */
int mu_config_section(struct mu_config_place *place, const char *section, struct mu_err *err);

/* Sets one value from @place. MU_EINVAL, MU_ENOMEM; @err names place, setting, value and cure. */
int mu_config_set(struct mu_config_place *place, const char *section, const char *key,
                  const char *value, struct mu_err *err);

/* Reads one file, which must exist, or every conf.d/NAME.conf beside @file, if there is a conf.d.
 */
int mu_config_read_file(struct mu_config *config, unsigned *layer, const char *file,
                        struct mu_err *err);
int mu_config_read_dir(struct mu_config *config, unsigned *layer, const char *file,
                       struct mu_err *err);

#endif
