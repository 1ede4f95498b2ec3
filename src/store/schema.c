#include "store/schema.h"

#include "base/mem.h"
#include "base/rng.h"

/* `agents` is wide and changes with verdicts and operators, `beats` narrow and rewritten by every
 * checkpoint. Both have the row's id as rowid, so that a checkpoint in row order walks the pages in
 * order. Events of kind state are nearly all there are; the index of the other kinds is small. */
static const char sqlite_1[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO meta VALUES ('epoch', 0), ('event_limit', 1), ('event_count', 0), ('next_row', 1);"
    "CREATE TABLE agents ("
    "  id INTEGER PRIMARY KEY,"
    "  uuid TEXT NOT NULL,"
    "  binary TEXT NOT NULL,"
    "  host TEXT NOT NULL,"
    "  zone TEXT NOT NULL,"
    "  labels TEXT NOT NULL,"
    "  version TEXT NOT NULL,"
    "  status TEXT NOT NULL,"
    "  disabled_reason TEXT NOT NULL,"
    "  forced_down INTEGER NOT NULL,"
    "  forced_reason TEXT NOT NULL,"
    "  revision INTEGER NOT NULL,"
    "  state TEXT NOT NULL,"
    "  state_reason TEXT NOT NULL,"
    "  state_since INTEGER NOT NULL,"
    "  joined_at INTEGER NOT NULL,"
    "  start_id INTEGER NOT NULL,"
    "  incarnation INTEGER NOT NULL,"
    "  session INTEGER NOT NULL,"
    "  session_index INTEGER NOT NULL,"
    "  report_interval_ms INTEGER NOT NULL,"
    "  UNIQUE (host, binary));"
    "CREATE TABLE beats ("
    "  agent INTEGER PRIMARY KEY,"
    "  last_seen_at INTEGER NOT NULL,"
    "  report_count INTEGER NOT NULL);"
    "CREATE TABLE payloads ("
    "  agent INTEGER PRIMARY KEY,"
    "  bytes INTEGER NOT NULL,"
    "  json TEXT NOT NULL);"
    "CREATE TABLE events ("
    "  seq INTEGER PRIMARY KEY,"
    "  at INTEGER NOT NULL,"
    "  agent TEXT NOT NULL,"
    "  uuid TEXT NOT NULL,"
    "  kind TEXT NOT NULL,"
    "  \"from\" TEXT NOT NULL,"
    "  \"to\" TEXT NOT NULL,"
    "  reason TEXT NOT NULL,"
    "  detail TEXT NOT NULL);"
    "CREATE INDEX events_agent ON events (agent) WHERE agent <> '';"
    "CREATE INDEX events_kind ON events (kind) WHERE kind <> 'state';"
    "CREATE VIEW fleet AS SELECT"
    "  a.binary || '@' || a.host AS agent, a.uuid, a.binary, a.host, a.zone, a.labels, a.version,"
    "  a.status, a.disabled_reason,"
    "  CASE WHEN a.forced_down THEN 'down' ELSE a.state END AS state,"
    "  CASE WHEN a.forced_down THEN a.forced_reason ELSE a.state_reason END AS state_reason,"
    "  a.forced_down,"
    "  strftime('%Y-%m-%dT%H:%M:%fZ', a.state_since / 1000.0, 'unixepoch') AS state_since,"
    "  strftime('%Y-%m-%dT%H:%M:%fZ', a.joined_at / 1000.0, 'unixepoch') AS joined_at,"
    "  strftime('%Y-%m-%dT%H:%M:%fZ', nullif(b.last_seen_at, 0) / 1000.0, 'unixepoch')"
    "    AS last_seen_at,"
    "  b.report_count, a.incarnation"
    "  FROM agents a JOIN beats b ON b.agent = a.id;"
    "CREATE VIEW history AS SELECT"
    "  seq, strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS at, agent, uuid, kind,"
    "  \"from\", \"to\", reason, detail FROM events;";

/* State moves to `beats`: a verdict touches a narrow row, of which there are a hundred a page,
 * where one of `agents` has sixteen neighbours. An index by agent alone has a million places, and
 * each event goes to another page; by piece of 65,536 numbers first, all that is new goes to a few
 * pages, however many events are kept. Who looks for an agent asks each piece in turn. */
static const char sqlite_2[] =
    "DROP VIEW fleet;"
    "CREATE TABLE beats_2 ("
    "  agent INTEGER PRIMARY KEY,"
    "  last_seen_at INTEGER NOT NULL,"
    "  report_count INTEGER NOT NULL,"
    "  state TEXT NOT NULL,"
    "  state_reason TEXT NOT NULL,"
    "  state_since INTEGER NOT NULL);"
    "INSERT INTO beats_2 SELECT a.id, b.last_seen_at, b.report_count, a.state, a.state_reason,"
    "  a.state_since FROM agents a JOIN beats b ON b.agent = a.id ORDER BY a.id;"
    "DROP TABLE beats;"
    "ALTER TABLE beats_2 RENAME TO beats;"
    "ALTER TABLE agents DROP COLUMN state;"
    "ALTER TABLE agents DROP COLUMN state_reason;"
    "ALTER TABLE agents DROP COLUMN state_since;"
    "CREATE VIEW fleet AS SELECT"
    "  a.binary || '@' || a.host AS agent, a.uuid, a.binary, a.host, a.zone, a.labels, a.version,"
    "  a.status, a.disabled_reason,"
    "  CASE WHEN a.forced_down THEN 'down' ELSE b.state END AS state,"
    "  CASE WHEN a.forced_down THEN a.forced_reason ELSE b.state_reason END AS state_reason,"
    "  a.forced_down,"
    "  strftime('%Y-%m-%dT%H:%M:%fZ', b.state_since / 1000.0, 'unixepoch') AS state_since,"
    "  strftime('%Y-%m-%dT%H:%M:%fZ', a.joined_at / 1000.0, 'unixepoch') AS joined_at,"
    "  strftime('%Y-%m-%dT%H:%M:%fZ', nullif(b.last_seen_at, 0) / 1000.0, 'unixepoch')"
    "    AS last_seen_at,"
    "  b.report_count, a.incarnation"
    "  FROM agents a JOIN beats b ON b.agent = a.id;"
    "DROP INDEX events_agent;"
    "CREATE INDEX events_agent ON events (seq >> 16, agent) WHERE agent <> '';";

/* The same tables, as of sqlite_2. Texts that are looked for compare byte by byte, which is fast
 * and the same everywhere. Pages keep room for new versions of their rows, so that a row that
 * changes touches no index. */
static const char postgresql_1[] =
    "CREATE TABLE meta (key text COLLATE \"C\" PRIMARY KEY, value bigint NOT NULL)"
    "  WITH (fillfactor = 50);"
    "INSERT INTO meta VALUES ('schema', 0), ('epoch', 0), ('event_limit', 1), ('event_count', 0),"
    "  ('next_row', 1);"
    "CREATE TABLE agents ("
    "  id bigint PRIMARY KEY,"
    "  uuid text NOT NULL,"
    "  \"binary\" text COLLATE \"C\" NOT NULL,"
    "  host text COLLATE \"C\" NOT NULL,"
    "  zone text NOT NULL,"
    "  labels text NOT NULL,"
    "  version text NOT NULL,"
    "  status text NOT NULL,"
    "  disabled_reason text NOT NULL,"
    "  forced_down boolean NOT NULL,"
    "  forced_reason text NOT NULL,"
    "  revision bigint NOT NULL,"
    "  joined_at bigint NOT NULL,"
    "  start_id bigint NOT NULL,"
    "  incarnation bigint NOT NULL,"
    "  session bigint NOT NULL,"
    "  session_index bigint NOT NULL,"
    "  report_interval_ms bigint NOT NULL,"
    "  UNIQUE (host, \"binary\")) WITH (fillfactor = 80);"
    "CREATE TABLE beats ("
    "  agent bigint PRIMARY KEY,"
    "  last_seen_at bigint NOT NULL,"
    "  report_count bigint NOT NULL,"
    "  state text NOT NULL,"
    "  state_reason text NOT NULL,"
    "  state_since bigint NOT NULL) WITH (fillfactor = 50);"
    "CREATE TABLE payloads ("
    "  agent bigint PRIMARY KEY,"
    "  bytes bigint NOT NULL,"
    "  json text NOT NULL) WITH (fillfactor = 70);"
    "CREATE TABLE events ("
    "  seq bigint PRIMARY KEY,"
    "  at bigint NOT NULL,"
    "  agent text COLLATE \"C\" NOT NULL,"
    "  uuid text NOT NULL,"
    "  kind text COLLATE \"C\" NOT NULL,"
    "  \"from\" text NOT NULL,"
    "  \"to\" text NOT NULL,"
    "  reason text NOT NULL,"
    "  detail text NOT NULL);"
    "CREATE INDEX events_agent ON events ((seq >> 16), agent) WHERE agent <> '';"
    "CREATE INDEX events_kind ON events (kind, seq) WHERE kind <> 'state';"
    "CREATE VIEW fleet AS SELECT"
    "  a.binary || '@' || a.host AS agent, a.uuid, a.binary, a.host, a.zone, a.labels, a.version,"
    "  a.status, a.disabled_reason,"
    "  CASE WHEN a.forced_down THEN 'down' ELSE b.state END AS state,"
    "  CASE WHEN a.forced_down THEN a.forced_reason ELSE b.state_reason END AS state_reason,"
    "  a.forced_down,"
    "  to_timestamp(b.state_since / 1000.0) AS state_since,"
    "  to_timestamp(a.joined_at / 1000.0) AS joined_at,"
    "  to_timestamp(nullif(b.last_seen_at, 0) / 1000.0) AS last_seen_at,"
    "  b.report_count, a.incarnation"
    "  FROM agents a JOIN beats b ON b.agent = a.id;"
    "CREATE VIEW history AS SELECT"
    "  seq, to_timestamp(at / 1000.0) AS at, agent, uuid, kind, \"from\", \"to\", reason, detail"
    "  FROM events;";

const char *const mu_schema_sqlite[] = {sqlite_1, sqlite_2};
const uint32_t mu_schema_sqlite_n = MU_ARRAY_LEN(mu_schema_sqlite);
const char *const mu_schema_postgresql[] = {postgresql_1};
const uint32_t mu_schema_postgresql_n = MU_ARRAY_LEN(mu_schema_postgresql);

int mu_schema_check(uint32_t schema, uint32_t ours, bool may_migrate, const char *url,
                    struct mu_err *err)
{
    if (schema > ours)
        return mu_err_set(err, MU_EVERSION,
                          "its schema is number %u, newer than this program's, number %u; use the"
                          " newer muster, or restore a backup",
                          schema, ours);
    if (schema && schema < ours && !may_migrate)
        return mu_err_set(err, MU_EVERSION,
                          "its schema is number %u, older than this program's, number %u; back it"
                          " up, then run `muster db upgrade --store '%s'`",
                          schema, ours, url);
    return 0;
}

int mu_schema_draw_fleet(int64_t *out, struct mu_err *err)
{
    uint64_t drawn;

    if (mu_rng_secret(&drawn, sizeof(drawn)))
        return mu_err_set(err, MU_EIO, "the kernel gives no random bytes");
    *out = (int64_t)(drawn >> 1 | 1);
    return 0;
}

#define EVENTS_MAX ((int64_t)1 << 53) /* a number that every reader of JSON keeps whole */

int mu_schema_boot(const struct mu_schema_meta *meta, struct mu_boot *out, struct mu_err *err)
{
    const struct {
        const char *key;
        int64_t value, least, most;
    } numbers[] = {
        {"epoch", meta->epoch, 1, UINT32_MAX},
        {"event_limit", meta->event_limit, MU_STORE_GRANT + 1, EVENTS_MAX},
        {"next_row", meta->next_row, 1, UINT32_MAX},
        {"fleet", meta->fleet, 1, INT64_MAX},
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(numbers); i++)
        if (numbers[i].value < numbers[i].least || numbers[i].value > numbers[i].most)
            return mu_err_set(err, MU_ECORRUPT,
                              "the row '%s' of meta is gone or damaged; restore a backup",
                              numbers[i].key);
    *out = (struct mu_boot){.epoch = (uint32_t)meta->epoch,
                            .seq = (uint64_t)meta->event_limit - MU_STORE_GRANT,
                            .seq_end = (uint64_t)meta->event_limit,
                            .row = (uint32_t)meta->next_row,
                            .fleet = (uint64_t)meta->fleet};
    return 0;
}
