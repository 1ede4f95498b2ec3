#include "cli/agents.h"

#include <string.h>
#include <time.h>

#include "base/state.h"
#include "cli/people.h"

/* The first six are openstackclient's, and in its order. */
const struct mu_column mu_agent_columns[] = {
    {"binary", "Binary", 0, 20},
    {"host", "Host", 0, 20},
    {"zone", "Zone", 0, 8},
    {"status", "Status", 0, 8},
    {"state", "State", MU_COL_STATE, 9},
    {"last_seen_at", "Updated At", MU_COL_TIME, 24},
    {"state_reason", "State Reason", MU_COL_WIDE | MU_COL_CUT, 20},
    {"state_since", "State Since", MU_COL_WIDE | MU_COL_TIME, 24},
    {"disabled_reason", "Disabled Reason", MU_COL_WIDE | MU_COL_CUT, 20},
    {"forced_down", "Forced Down", MU_COL_WIDE, 11},
    {"labels", "Labels", MU_COL_WIDE | MU_COL_CUT, 20},
    {"version", "Version", MU_COL_WIDE, 8},
    {"report_interval_s", "Report Interval", MU_COL_WIDE, 15},
    {"down_time_s", "Down Time", MU_COL_WIDE, 9},
    {"report_count", "Reports", MU_COL_WIDE | MU_COL_RIGHT, 8},
    {"incarnation", "Incarnation", MU_COL_WIDE | MU_COL_RIGHT, 11},
    {"uuid", "ID", MU_COL_WIDE, 36},
    {"age_s", "Age", MU_COL_ASKED, 10},
    {"name", "Agent", MU_COL_ASKED, 36},
    {NULL},
};

const struct mu_column mu_event_columns[] = {
    {"seq", "Number", MU_COL_RIGHT, 8},
    {"at", "At", MU_COL_TIME, 24},
    {"agent", "Agent", 0, 32},
    {"kind", "Kind", 0, 9},
    {"from", "From", 0, 9},
    {"to", "To", MU_COL_STATE, 9},
    {"reason", "Reason", MU_COL_CUT, 20},
    {"uuid", "ID", MU_COL_WIDE, 36},
    {"detail", "Detail", MU_COL_WIDE | MU_COL_CUT, 30},
    {NULL},
};

int mu_table_fail(const struct mu_args *args, int code)
{
    if (code == 0 || code == MU_EIO) /* main tells of an output that cannot be written */
        return code ? MU_EXIT_FAILED : MU_EXIT_OK;
    return mu_cli_fail(args, MU_EXIT_FAILED, "%s", muster_strerror(code));
}

static void put_time(struct mu_buf *out, const char *at, bool utc)
{
    mu_wall wall;
    struct tm tm;
    char text[16];

    if (utc || mu_wall_parse(at, &wall) != 0) {
        mu_people_clean(out, at);
        return;
    }
    time_t seconds = (time_t)(wall / 1000);
    localtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%H:%M:%S", &tm);
    mu_buf_puts(out, text);
}

static bool number(const json_t *detail, const char *key, double *out)
{
    const json_t *value = json_object_get(detail, key);

    *out = json_number_value(value);
    return json_is_number(value);
}

/* The evidence that a person wants to read at once; `muster explain` has it all. */
static void put_detail(struct mu_buf *out, const json_t *detail)
{
    char span[MU_PEOPLE_TIME];
    double n, limit;

    if (number(detail, "silence_ms", &n)) {
        mu_buf_printf(out, ", %.2f s without a beat", n / 1e3);
        if (number(detail, "threshold_ms", &limit))
            mu_buf_printf(out, " (allowed: %s)", mu_people_span(limit / 1e3, span));
    }
    if (number(detail, "exit_status", &n))
        mu_buf_printf(out, ", exit status %.0f", n);
    if (number(detail, "signal", &n))
        mu_buf_printf(out, ", signal %.0f", n);
    if (number(detail, "stall_ms", &n) && n > 0)
        mu_buf_printf(out, ", %s of it not our hearing", mu_people_span(n / 1e3, span));
}

/* The same of what the conductor tells about itself. */
static void put_own_detail(struct mu_buf *out, const json_t *detail, const char *reason)
{
    bool started = strcmp(reason, mu_reason_text(MU_WHY_STARTED)) == 0;
    bool lost = strcmp(reason, mu_reason_text(MU_WHY_EVENTS_LOST)) == 0;
    char span[MU_PEOPLE_TIME];
    double n, first, last;

    if (number(detail, "count", &n))
        mu_buf_printf(out, ", %.0f%s", n, started ? " unknown" : lost ? "" : " datagrams");
    if (number(detail, "first", &first) && number(detail, "last", &last))
        mu_buf_printf(out, " from %.0f to %.0f", first, last);
    if (number(detail, "stall_ms", &n) && n > 0)
        mu_buf_printf(out, ", for %s", mu_people_span(n / 1e3, span));
}

void mu_event_line(struct mu_buf *out, const json_t *event, bool utc, bool color)
{
    const char *kind = mu_ask_text(event, "kind"), *to = mu_ask_text(event, "to");
    const char *from = mu_ask_text(event, "from"), *reason = mu_ask_text(event, "reason");
    const char *agent = mu_ask_text(event, "agent");
    bool state = *mu_people_sign(to);
    const char *word = state || *to ? to : kind;

    put_time(out, mu_ask_text(event, "at"), utc);
    mu_buf_printf(out, "  %s%s ", mu_people_paint(state ? to : "", color),
                  state ? mu_people_sign(to) : "*");
    mu_people_clean(out, word);
    mu_buf_printf(out, "%s%*s  ", mu_people_plain(color && state),
                  strlen(word) < 10 ? 10 - (int)strlen(word) : 0, "");
    mu_people_clean(out, *agent ? agent : "conductor");
    if (*from || *reason)
        mu_buf_puts(out, "  ");
    if (*from) {
        mu_buf_puts(out, "was ");
        mu_people_clean(out, from);
        mu_buf_puts(out, *reason ? ": " : "");
    }
    mu_people_clean(out, reason);
    if (*agent)
        put_detail(out, json_object_get(event, "detail"));
    else
        put_own_detail(out, json_object_get(event, "detail"), reason);
}
