/* Why an agent is what it is: the verdict first, then the rule, the numbers, the beats, our own
 * hearing, and what would change it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/people.h"
#include "cli/print.h"

struct page {
    struct mu_buf out;
    const json_t *answer;
    enum mu_times times;
    bool color;
    mu_wall now;
};

static void put_fact(struct page *p, const char *what, const char *text)
{
    mu_buf_printf(&p->out, "  %-16s ", what);
    mu_people_clean(&p->out, text);
    mu_buf_puts(&p->out, "\n");
}

/* A key that ends in _s; @null is what nothing means there. */
static void put_span(struct page *p, const json_t *from, const char *what, const char *key,
                     const char *null)
{
    const json_t *value = json_object_get(from, key);
    char span[MU_PEOPLE_TIME];

    put_fact(p, what,
             json_is_number(value) ? mu_people_span(json_number_value(value), span) : null);
}

static double seconds_of(const json_t *from, const char *key)
{
    return json_number_value(json_object_get(from, key));
}

/* The silences that the detector has in mind now, and between which its policy lets it choose. */
static void put_silences(struct page *p)
{
    const json_t *agent = json_object_get(p->answer, "agent");
    double suspect = seconds_of(p->answer, "suspect_after_s");
    double suspect_latest = seconds_of(p->answer, "suspect_time_s");
    double down = seconds_of(p->answer, "down_after_s");
    double earliest = seconds_of(p->answer, "earliest_down_time_s");
    double latest = seconds_of(agent, "down_time_s");
    char now[MU_PEOPLE_TIME], low[MU_PEOPLE_TIME], high[MU_PEOPLE_TIME], text[128];

    mu_people_span(suspect, now);
    if (suspect < suspect_latest)
        snprintf(text, sizeof(text), "%s, at the latest %s", now,
                 mu_people_span(suspect_latest, high));
    put_fact(p, "suspect after", suspect < suspect_latest ? text : now);
    mu_people_span(down, now);
    if (earliest < latest)
        snprintf(text, sizeof(text), "%s, between %s and %s", now, mu_people_span(earliest, low),
                 mu_people_span(latest, high));
    put_fact(p, "down after", earliest < latest ? text : now);
}

/* What the detector has learned. */
static void put_numbers(struct page *p)
{
    const json_t *numbers = json_object_get(p->answer, "numbers"), *number;
    char text[64];
    size_t i;

    json_array_foreach(numbers, i, number)
    {
        double value = json_number_value(json_object_get(number, "value"));
        const char *unit = mu_ask_text(number, "unit");

        snprintf(text, sizeof(text), "%.*f%s%.20s", value == floor(value) ? 0 : 3, value,
                 *unit ? " " : "", unit);
        put_fact(p, mu_ask_text(number, "name"), text);
    }
}

static void put_verdict(struct page *p)
{
    const json_t *agent = json_object_get(p->answer, "agent");
    const char *state = mu_ask_text(agent, "state");

    mu_buf_printf(&p->out, "%s%s ", mu_people_paint(state, p->color), mu_people_sign(state));
    mu_people_clean(&p->out, mu_ask_text(agent, "binary"));
    mu_buf_puts(&p->out, "@");
    mu_people_clean(&p->out, mu_ask_text(agent, "host"));
    mu_buf_puts(&p->out, " is ");
    mu_people_clean(&p->out, mu_ask_text(p->answer, "verdict"));
    mu_buf_printf(&p->out, "%s\n\n", mu_people_plain(p->color));
}

static void put_rule(struct page *p)
{
    const json_t *agent = json_object_get(p->answer, "agent");
    char time[MU_PEOPLE_TIME], text[128];

    mu_buf_puts(&p->out, "Rule\n");
    put_fact(p, "applied", mu_ask_text(p->answer, "rule"));
    snprintf(text, sizeof(text), "%.60s, policy %.50s", mu_ask_text(p->answer, "detector"),
             mu_ask_text(p->answer, "policy"));
    put_fact(p, "detector", text);
    put_span(p, agent, "beats every", "report_interval_s", "not told");
    put_silences(p);
    put_fact(p, "status", mu_ask_text(agent, "status"));
    if (*mu_ask_text(agent, "disabled_reason"))
        put_fact(p, "disabled for", mu_ask_text(agent, "disabled_reason"));
    put_fact(p, json_is_true(json_object_get(agent, "forced_down")) ? "beneath since" : "since",
             mu_people_time(mu_ask_text(agent, "state_since"), p->times, p->now, time));

    const char *path = mu_ask_text(p->answer, "path");
    mu_buf_puts(&p->out, "\nNumbers\n");
    put_span(p, p->answer, "silent for", "silence_s", "not heard since the conductor started");
    put_span(p, p->answer, "we were deaf", "stalls_s", "-");
    put_span(p, p->answer, "suspect in", "suspect_in_s", "not by silence");
    put_span(p, p->answer, "down in", "down_in_s", "not by silence");
    put_fact(p, "last beat by", *path ? path : "-");
    put_numbers(p);
}

static void put_beats(struct page *p)
{
    const json_t *beats = json_object_get(p->answer, "beats"), *beat;
    char time[MU_PEOPLE_TIME], gap[MU_PEOPLE_TIME];
    size_t i;

    mu_buf_printf(&p->out, "\nLast beats (%zu)\n", json_array_size(beats));
    json_array_foreach(beats, i, beat)
    {
        const json_t *value = json_object_get(beat, "gap_s");
        mu_people_time(mu_ask_text(beat, "at"), p->times, p->now, time);
        if (json_is_number(value))
            snprintf(gap, sizeof(gap), "%.3f s after", json_number_value(value));
        else
            snprintf(gap, sizeof(gap), "the first known");
        mu_buf_printf(&p->out, "  %-26s %s%s\n", time, gap,
                      json_is_number(value) ? " the one before" : "");
    }
}

static void put_hearing(struct page *p)
{
    const json_t *hearing = json_object_get(p->answer, "hearing");
    const char *last = mu_ask_text(hearing, "last_stall_at");
    char time[MU_PEOPLE_TIME], text[128], span[MU_PEOPLE_TIME];

    mu_buf_puts(&p->out, "\nOur own hearing\n");
    put_fact(p, "now", mu_ask_text(hearing, "summary"));
    put_span(p, hearing, "stalled in all", "stalled_total_s", "-");
    if (*last) {
        double seconds = seconds_of(hearing, "last_stall_s");
        snprintf(text, sizeof(text), "%s, for %s", mu_people_time(last, p->times, p->now, time),
                 mu_people_span(seconds, span));
        put_fact(p, "last stall", text);
    }
    snprintf(text, sizeof(text), "%lld datagrams",
             (long long)json_integer_value(json_object_get(hearing, "drops")));
    put_fact(p, "dropped", text);
}

static void put_changes(struct page *p)
{
    const json_t *changes = json_object_get(p->answer, "changes"), *change;
    size_t i;

    if (json_array_size(changes) > 0)
        mu_buf_puts(&p->out, "\nWhat would change it\n");
    json_array_foreach(changes, i, change)
    {
        mu_buf_puts(&p->out, "  - ");
        mu_people_clean(&p->out, json_is_string(change) ? json_string_value(change) : "");
        mu_buf_puts(&p->out, "\n");
    }
}

static int print_page(const struct mu_args *args, const json_t *answer)
{
    struct page p = {.answer = answer, .now = mu_clock_wall()};

    int code = mu_people_color(args, stdout, &p.color);
    if (code != MU_EXIT_OK)
        return code;
    p.times = mu_args_has(args, "utc") ? MU_TIMES_UTC : MU_TIMES_AGO;
    mu_buf_init(&p.out, 0);
    put_verdict(&p);
    put_rule(&p);
    put_beats(&p);
    put_hearing(&p);
    put_changes(&p);
    if (p.out.failed)
        code = mu_cli_fail(args, MU_EXIT_FAILED, "out of memory");
    else
        fputs(mu_buf_text(&p.out), stdout);
    mu_buf_fini(&p.out);
    return code;
}

static int read_answer(struct mu_ask *ask, const char *text, json_t **answer, struct mu_err *err)
{
    struct mu_buf path;
    json_t *agent;

    *answer = NULL;
    int rv = mu_ask_find(ask, text, &agent, err);
    if (rv != 0)
        return rv;
    mu_buf_init(&path, 0);
    rv = mu_ask_agent_path(&path, mu_ask_text(agent, "uuid"), "explain", err);
    if (rv == 0)
        rv = mu_ask(ask, "GET", mu_buf_text(&path), NULL, 0, answer, err);
    if (rv == 0 && !json_is_object(json_object_get(*answer, "agent")))
        rv = mu_err_set(err, MU_EPROTO, "the conductor answers with no explanation");
    mu_buf_fini(&path);
    json_decref(agent);
    return rv;
}

static int explain(const struct mu_args *args, struct mu_ask *ask, const char *format)
{
    struct mu_err err;
    json_t *answer;
    int code = MU_EXIT_OK, rv = read_answer(ask, mu_args_operands(args)[0], &answer, &err);

    if (rv != 0)
        code = mu_cli_fail_err(args, &err);
    else if (strcmp(format, "text") == 0)
        code = print_page(args, answer);
    else
        rv = strcmp(format, "json") == 0 ? mu_print_json(stdout, answer)
                                         : mu_print_yaml(stdout, answer, false);
    if (code == MU_EXIT_OK && rv == MU_ENOMEM)
        code = mu_cli_fail(args, MU_EXIT_FAILED, "out of memory");
    json_decref(answer);
    return code;
}

static int run(const struct mu_args *args)
{
    const char *format = mu_args_value(args, "format"), *output = mu_args_value(args, "output");
    struct mu_ask *ask;
    struct mu_err err;

    format = output ? output : format ? format : "text";
    if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0 && strcmp(format, "yaml") != 0)
        return mu_cli_fail(args, MU_EXIT_USAGE, "unknown format \"%s\": write text, json or yaml",
                           format);
    if (mu_ask_open(&ask, args, 0, &err) != 0)
        return mu_cli_fail_err(args, &err);
    int code = explain(args, ask, format);
    mu_ask_free(ask);
    return code;
}

static const struct mu_option options[] = {
    {"format", 'f', "FORMAT", "text, json or yaml [text]", "text json yaml"},
    {"output", 'o', "FORMAT", "The same as --format", "text json yaml"},
    {"utc", 0, NULL, "Times as UTC rather than \"12 s ago\""},
    {NULL},
};

static const struct mu_example examples[] = {
    {"muster explain nova-compute@cmp-017", "why it is up, or why not"},
    {"muster explain cmp-017 -f json", "the same for a program"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_explain = {
    .name = "explain",
    .summary = "say why an agent is up, suspect or down",
    .operands = "NAME",
    .words = MU_WORDS_AGENT,
    .min = 1,
    .max = 1,
    .opts = MU_OPTS_CONDUCTOR | MU_OPTS_ASK | MU_OPTS_COLOR,
    .options = options,
    .examples = examples,
    .run = run,
};
