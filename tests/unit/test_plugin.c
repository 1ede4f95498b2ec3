#include "base/plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/rows.h"

struct fixture {
    char dir[256];
    struct mu_err err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    make_scratch(f->dir, sizeof(f->dir));
    setenv("MUSTER_PLUGIN_DIR", PLUGINS, 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    unsetenv("MUSTER_PLUGIN_DIR");
    remove_scratch(f->dir);
    free(f);
    return 0;
}

/* Expects that there is no such plugin, for a reason that has @word. */
static void refuse(struct fixture *f, const char *kind, const char *name, uint32_t abi, int code,
                   const char *word)
{
    const void *driver = f;

    assert_int_equal(mu_plugin_load(kind, name, abi, &driver, &f->err), code);
    if (!strstr(f->err.text, word))
        fail_msg("\"%s\" is not in: %s", word, f->err.text);
    assert_ptr_equal(driver, f);
}

static void plugin_hands_out_its_driver(void **state)
{
    struct fixture *f = *state;
    const void *driver = NULL, *again = NULL;

    if (mu_plugin_load("test", "sample", 7, &driver, &f->err))
        fail_msg("%s", f->err.text);
    assert_int_equal(*(const int *)driver, 42);
    assert_int_equal(mu_plugin_load("test", "sample", 7, &again, &f->err), 0);
    assert_ptr_equal(again, driver);
}

static void plugin_of_another_interface_is_refused_with_both_numbers(void **state)
{
    struct fixture *f = *state;

    refuse(f, "test", "sample", 8, MU_EVERSION, "is number 7");
    refuse(f, "test", "sample", 8, MU_EVERSION, "program's is 8");
}

static void plugin_that_is_missing_is_named_with_the_folder(void **state)
{
    struct fixture *f = *state;

    refuse(f, "test", "none", 7, MU_ENOENT, "muster-test-none.so is not in " PLUGINS);
    unsetenv("MUSTER_PLUGIN_DIR");
    refuse(f, "test", "none", 7, MU_ENOENT, "install it");
}

static void plugin_is_found_beside_the_program(void **state)
{
    const void *driver = NULL;

    unsetenv("MUSTER_PLUGIN_DIR");
    assert_int_equal(mu_plugin_load("test", "sample", 7, &driver, NULL), 0);
}

static void plugin_folder_is_never_relative(void **state)
{
    setenv("MUSTER_PLUGIN_DIR", ".", 1);
    refuse(*state, "test", "sample", 7, MU_EINVAL, "begins with /");
    setenv("MUSTER_PLUGIN_DIR", "", 1);
    refuse(*state, "test", "sample", 7, MU_EINVAL, "begins with /");
}

static void plugin_that_is_none_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[300];

    setenv("MUSTER_PLUGIN_DIR", f->dir, 1);
    snprintf(path, sizeof(path), "%s/muster-test-rubbish.so", f->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("rubbish", file);
    fclose(file);
    refuse(f, "test", "rubbish", 7, MU_EIO, path);

    snprintf(path, sizeof(path), "%s/muster-other-sample.so", f->dir);
    assert_int_equal(symlink(PLUGINS "/muster-test-sample.so", path), 0);
    refuse(f, "other", "sample", 7, MU_EVERSION, "of kind test, not other");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(plugin_hands_out_its_driver),
        CASE(plugin_of_another_interface_is_refused_with_both_numbers),
        CASE(plugin_that_is_missing_is_named_with_the_folder),
        CASE(plugin_is_found_beside_the_program),
        CASE(plugin_folder_is_never_relative),
        CASE(plugin_that_is_none_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
