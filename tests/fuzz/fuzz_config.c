/* Configuration files: what is accepted is shown as a file that is accepted, and shown the same. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/utf8.h"
#include "daemon/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int load(struct mu_config **out, const void *text, size_t size, struct mu_err *err)
{
    struct mu_config_source source = {0};
    char path[64];
    int rv, fd = memfd_create("config", MFD_CLOEXEC);

    assert(fd >= 0 && write(fd, text, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    source.file = path;
    rv = mu_config_load(out, &source, err);
    close(fd);
    return rv;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mu_buf first, second;
    struct mu_config *config;
    struct mu_err err = {0};

    if (load(&config, data, size, &err) != 0) {
        assert(err.text[0] && mu_utf8_valid(err.text, strlen(err.text)));
        return 0;
    }
    mu_buf_init(&first, 0);
    mu_buf_init(&second, 0);
    mu_config_show(config, false, &first);
    mu_config_free(config);
    if (load(&config, first.data, first.len, &err) == 0) {
        mu_config_show(config, false, &second);
        mu_config_free(config);
        assert(strcmp(mu_buf_text(&first), mu_buf_text(&second)) == 0);
    } else { /* "key:value" is shown as "key = value" */
        assert(strstr(err.text, "the line is longer than"));
    }
    mu_buf_fini(&first);
    mu_buf_fini(&second);
    return 0;
}
