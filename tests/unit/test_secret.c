#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/test.h"

#include "daemon/secret.h"

struct fixture {
    char dir[64], path[96];
    struct mu_err err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->dir, "/tmp/muster-secret-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/secret", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int rv;

    unlink(f->path);
    rv = rmdir(f->dir); /* fails where anything was left behind */
    free(f);
    return rv;
}

static void put(struct fixture *f, const char *text, size_t n, mode_t mode)
{
    FILE *file = fopen(f->path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(f->path, mode), 0);
}

static void secret_is_made_once_for_its_owner_alone(void **state)
{
    struct fixture *f = *state;
    uint8_t first[16], again[16], zero[16] = {0};
    struct stat st;

    assert_int_equal(mu_secret_load(f->path, first, &f->err), 0);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(mu_secret_load(f->path, again, &f->err), 0);
    assert_memory_equal(first, again, 16);
    assert_memory_not_equal(first, zero, 16);
}

static void secret_of_many_makers_is_one(void **state)
{
    struct fixture *f = *state;
    int ends[2];
    uint8_t first[16], other[16];

    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < 8; i++) {
        if (fork() == 0) {
            uint8_t mine[16];
            int failed = mu_secret_load(f->path, mine, NULL) || write(ends[1], mine, 16) != 16;
            _exit(failed);
        }
    }
    for (int i = 0; i < 8; i++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
        assert_int_equal(read(ends[0], i ? other : first, 16), 16);
        if (i)
            assert_memory_equal(first, other, 16);
    }
    close(ends[0]);
    close(ends[1]);
}

static void secret_without_a_file_is_another_each_time(void **state)
{
    uint8_t first[16], second[16];

    assert_int_equal(mu_secret_load("", first, NULL), 0);
    assert_int_equal(mu_secret_load("", second, NULL), 0);
    assert_memory_not_equal(first, second, 16);
}

static void secret_that_others_can_reach_is_refused(void **state)
{
    static const mode_t modes[] = {0604, 0602, 0620, 0601};
    struct fixture *f = *state;
    uint8_t out[16];

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        put(f, "00112233445566778899aabbccddeeff\n", 33, modes[i]);
        assert_int_equal(mu_secret_load(f->path, out, &f->err), MU_EPERM);
        assert_non_null(strstr(f->err.text, "chmod 600"));
        assert_null(strstr(f->err.text, "001122"));
    }
    assert_int_equal(chmod(f->path, 0640), 0); /* its group may read it */
    assert_int_equal(mu_secret_load(f->path, out, &f->err), 0);
    assert_int_equal(out[1], 0x11);
    assert_int_equal(out[15], 0xff);
}

static void secret_that_is_none_is_refused_and_kept(void **state)
{
    static const char *const texts[] = {"", "\n", "0011", "00112233445566778899aabbccddeefg\n",
                                        "00112233445566778899aabbccddeeff00\n"};
    struct fixture *f = *state;
    uint8_t out[16];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct stat st;

        put(f, texts[i], strlen(texts[i]), 0600);
        assert_int_equal(mu_secret_load(f->path, out, &f->err), MU_ECORRUPT);
        assert_int_equal(stat(f->path, &st), 0);
        assert_int_equal(st.st_size, strlen(texts[i]));
    }
}

static void secret_is_a_file_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    uint8_t out[16];

    assert_int_equal(mu_secret_load(f->dir, out, &f->err), MU_EPERM);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_int_equal(mu_secret_load(f->path, out, &f->err), MU_EPERM);
    assert_int_equal(mu_secret_load("/proc/none/secret", out, &f->err), MU_EIO);
}

static void check_makes_nothing_and_refuses_what_a_start_would(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mu_secret_check("", &f->err), 0);
    assert_int_equal(mu_secret_check(f->path, &f->err), 0);
    assert_int_equal(access(f->path, F_OK), -1);
    assert_int_equal(mu_secret_check_token(f->path, 16, &f->err), MU_EINVAL);
    put(f, "0011", 4, 0600);
    assert_int_equal(mu_secret_check(f->path, &f->err), MU_ECORRUPT);
    assert_non_null(strstr(f->err.text, "secret_file"));
    assert_int_equal(mu_secret_check_token(f->path, 16, &f->err), 0);
    assert_int_equal(mu_secret_check_token(f->path, 4, &f->err), MU_ECORRUPT);
    assert_int_equal(chmod(f->path, 0644), 0);
    assert_int_equal(mu_secret_check(f->path, &f->err), MU_EPERM);
    assert_int_equal(mu_secret_check_token(f->path, 16, &f->err), MU_EPERM);
}

static void token_is_read_without_its_newline(void **state)
{
    struct fixture *f = *state;
    char out[16];

    put(f, "sesame\n", 7, 0600);
    assert_int_equal(mu_secret_token(f->path, out, sizeof(out), &f->err), 0);
    assert_string_equal(out, "sesame");
}

static void token_that_is_none_is_refused_and_not_told(void **state)
{
    static const struct {
        const char *text;
        size_t n;
    } bad[] = {{"", 0}, {"\n", 1}, {"two words", 9}, {"0123456789abcdef", 16}, {"a\0b", 3}};
    struct fixture *f = *state;
    char out[16] = "as it was";

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put(f, bad[i].text, bad[i].n, 0600);
        assert_int_equal(mu_secret_token(f->path, out, sizeof(out), &f->err), MU_ECORRUPT);
        assert_null(strstr(f->err.text, "words"));
        assert_string_equal(out, "as it was");
    }
    put(f, "sesame", 6, 0644);
    assert_int_equal(mu_secret_token(f->path, out, sizeof(out), &f->err), MU_EPERM);
    unlink(f->path);
    assert_int_equal(mu_secret_token(f->path, out, sizeof(out), &f->err), MU_EINVAL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(secret_is_made_once_for_its_owner_alone),
        CASE(secret_of_many_makers_is_one),
        CASE(secret_without_a_file_is_another_each_time),
        CASE(secret_that_others_can_reach_is_refused),
        CASE(secret_that_is_none_is_refused_and_kept),
        CASE(secret_is_a_file_and_nothing_else),
        CASE(check_makes_nothing_and_refuses_what_a_start_would),
        CASE(token_is_read_without_its_newline),
        CASE(token_that_is_none_is_refused_and_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
