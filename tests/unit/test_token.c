#include "http/token.h"
#include "lib/test.h"

#include <stdio.h>
#include <string.h>

#include "base/name.h"

static void token_reads_back_as_the_name(void **state)
{
    static const char *const names[] = {"a@b", "ab@c", "abc@d", "nova-compute@\xc3\xa9t\xc3\xa9"};
    char binary[MU_NAME_PART_MAX + 1], host[MU_NAME_PART_MAX + 1], name[MU_NAME_TEXT];
    struct mu_buf token;

    for (size_t i = 0; i < 4; i++) {
        mu_buf_init(&token, 0);
        mu_token_write(&token, names[i]);
        assert_int_equal(mu_token_read(mu_buf_text(&token), binary, host), 0);
        snprintf(name, sizeof(name), "%s@%s", binary, host);
        assert_string_equal(name, names[i]);
        mu_buf_fini(&token);
    }
}

static void token_of_rubbish_is_none(void **state)
{
    static const char *const tokens[] = {"", "=", "a b", "YQ", "YUBiAA", "YUAv", "/+"};
    char binary[MU_NAME_PART_MAX + 1], host[MU_NAME_PART_MAX + 1], longest[2048];

    for (size_t i = 0; i < 7; i++)
        assert_int_equal(mu_token_read(tokens[i], binary, host), MU_EINVAL);
    memset(longest, 'Y', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(mu_token_read(longest, binary, host), MU_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_reads_back_as_the_name),
        cmocka_unit_test(token_of_rubbish_is_none),
    };

    return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
