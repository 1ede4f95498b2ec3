#include "relay/line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lib/test.h"

static int parse(const char *text, char copy[MU_LINE_MAX + 1], struct mu_line *line,
                 struct mu_err *err)
{
    strcpy(copy, text);
    return mu_line_parse(line, copy, err);
}

static void beat_says_who_and_how_often(void **state)
{
    char copy[MU_LINE_MAX + 1];
    struct mu_line line;

    (void)state;
    assert_int_equal(parse("beat  nova-compute@cmp-1 interval=5s\tzone=b label.rack=r3 label.x= ",
                           copy, &line, NULL),
                     0);
    assert_int_equal(line.verb, MU_LINE_BEAT);
    assert_string_equal(line.binary, "nova-compute");
    assert_string_equal(line.host, "cmp-1");
    assert_int_equal(line.interval, 5 * MU_SEC);
    assert_string_equal(line.zone, "b");
    assert_int_equal(line.nlabels, 2);
    assert_string_equal(line.labels[0][0], "rack");
    assert_string_equal(line.labels[0][1], "r3");
    assert_string_equal(line.labels[1][0], "x");
    assert_string_equal(line.labels[1][1], "");
    assert_int_equal(parse("beat db", copy, &line, NULL), 0);
    assert_string_equal(line.host, "");
    assert_string_equal(line.zone, "");
    assert_int_equal(line.interval, 0);
}

static void quotes_keep_spaces(void **state)
{
    char copy[MU_LINE_MAX + 1];
    struct mu_line line;

    (void)state;
    assert_int_equal(parse("bye \"Open vSwitch agent\"@h", copy, &line, NULL), 0);
    assert_int_equal(line.verb, MU_LINE_BYE);
    assert_string_equal(line.binary, "Open vSwitch agent");
    assert_string_equal(line.host, "h");
    assert_int_equal(parse("beat \"a \\\"b\\\" \\\\ c\" zone=\"x y\"", copy, &line, NULL), 0);
    assert_string_equal(line.binary, "a \"b\" \\ c");
    assert_string_equal(line.zone, "x y");
}

static void report_is_the_rest_of_the_line(void **state)
{
    char copy[MU_LINE_MAX + 1];
    struct mu_line line;

    (void)state;
    assert_int_equal(parse("report db@h  {\"a\": \"b  c\"} ", copy, &line, NULL), 0);
    assert_int_equal(line.verb, MU_LINE_REPORT);
    assert_string_equal(line.json, "{\"a\": \"b  c\"} ");
}

static void bad_line_gets_one_clear_error(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "empty line"},
        {"   ", "empty line"},
        {"beet x", "'beet' is not known: did you mean 'beat'?"},
        {"frobnicate x", "'frobnicate' is not known: beat, report and bye are"},
        {"beat", "no name: write BINARY or BINARY@HOST"},
        {"beat \"x", "a quote is not closed"},
        {"beat x interval=5s zone=\"b", "a quote is not closed"},
        {"beat x interval", "'interval': write interval=TIME, zone=NAME or label.KEY=VALUE"},
        {"beat x interval=soon", "interval 'soon' is no time: write 10s or 500ms"},
        {"beat x interval=-1s", "interval '-1s' is no time: write 10s or 500ms"},
        {"beat x interval=0", "interval '0' is no time: write 10s or 500ms"},
        {"beat x rack=r3", "'rack' is not known: interval, zone and label.KEY are"},
        {"beat x label.=r3", "a label without a name: write label.KEY=VALUE"},
        {"report x", "a report needs its JSON after the name"},
        {"bye x y", "nothing may follow the name: 'y'"},
    };

    (void)state;
    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        char copy[MU_LINE_MAX + 1];
        struct mu_line line;
        struct mu_err err = {0};

        assert_int_equal(parse(cases[i].text, copy, &line, &err), MU_EINVAL);
        assert_string_equal(err.text, cases[i].says);
    }
}

static void names_are_held_to_the_rules(void **state)
{
    static const char *const bad[] = {"beat a/b",     "beat a@b/c",  "beat a@",    "beat @h",
                                      "beat a\x01@h", "beat \xff@h", "beat a@h@i/"};

    (void)state;
    for (size_t i = 0; i < MU_ARRAY_LEN(bad); i++) {
        char copy[MU_LINE_MAX + 1];
        struct mu_line line;
        struct mu_err err = {0};

        assert_int_equal(parse(bad[i], copy, &line, &err), MU_EINVAL);
        assert_true(err.text[0] != '\0');
    }
}

static void report_has_at_most_64_kib(void **state)
{
    static char text[MU_LINE_MAX + 1], copy[MU_LINE_MAX + 1];
    struct mu_line line;
    struct mu_err err = {0};

    (void)state;
    strcpy(text, "report x ");
    memset(text + 9, 'j', MU_PAYLOAD_MAX);
    assert_int_equal(parse(text, copy, &line, &err), 0);
    assert_int_equal(strlen(line.json), MU_PAYLOAD_MAX);
    text[9 + MU_PAYLOAD_MAX] = 'j';
    assert_int_equal(parse(text, copy, &line, &err), MU_ERANGE);
    assert_string_equal(err.text, "a report of 65537 bytes: at most 65536 are possible");
}

static void no_more_labels_than_the_wire_carries(void **state)
{
    char text[1024] = "beat x", copy[MU_LINE_MAX + 1];
    struct mu_line line;
    struct mu_err err = {0};

    (void)state;
    for (int i = 0; i < MU_LABELS_MAX; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), " label.k%d=v", i);
    assert_int_equal(parse(text, copy, &line, &err), 0);
    strcat(text, " label.last=v");
    assert_int_equal(parse(text, copy, &line, &err), MU_EINVAL);
    assert_string_equal(err.text, "more than 32 labels");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beat_says_who_and_how_often),
        cmocka_unit_test(quotes_keep_spaces),
        cmocka_unit_test(report_is_the_rest_of_the_line),
        cmocka_unit_test(bad_line_gets_one_clear_error),
        cmocka_unit_test(names_are_held_to_the_rules),
        cmocka_unit_test(report_has_at_most_64_kib),
        cmocka_unit_test(no_more_labels_than_the_wire_carries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
