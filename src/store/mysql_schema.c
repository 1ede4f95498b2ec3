#include "store/mysql.h"

#include "base/mem.h"

/* MariaDB commits each of these by itself, so that a step may have been cut off in its midst: all
 * of them can be run again.
 *
 * The comment of `meta` says that the database is ours, from the first moment that there is
 * anything in it. Names compare bytewise, blanks at their end included. Texts of any length are
 * TEXT: they lie in the row like VARCHAR, but don't count against the longest row that MariaDB
 * allows. */

#define AS_OURS " ENGINE=InnoDB ROW_FORMAT=DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"

/* A time as people read it. */
#define AS_TEXT(ms)                                                                                \
    "CONCAT(LEFT(DATE_FORMAT('1970-01-01' + INTERVAL (" ms ") * 1000 MICROSECOND,"                 \
    " '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z')"
#define STATE_SINCE  AS_TEXT("b.state_since") " AS state_since"
#define JOINED_AT    AS_TEXT("a.joined_at") " AS joined_at"
#define LAST_SEEN_AT AS_TEXT("NULLIF(b.last_seen_at, 0)") " AS last_seen_at"
#define AT           AS_TEXT("at") " AS at"

/* What changes often stands in `beats`: State and when an agent was last heard. There are a hundred
 * of its rows in a page, and a page is what is written. */
static const char *const step_1[] = {
    "CREATE TABLE IF NOT EXISTS meta ("
    " `key` VARCHAR(32) PRIMARY KEY,"
    " value BIGINT NOT NULL)" AS_OURS " COMMENT='muster'",
    "INSERT IGNORE INTO meta VALUES ('schema', 0), ('epoch', 0), ('event_limit', 1),"
    " ('event_count', 0), ('next_row', 1)",
    "CREATE TABLE IF NOT EXISTS holder ("
    " one TINYINT PRIMARY KEY,"
    " connection BIGINT UNSIGNED NOT NULL,"
    " who VARCHAR(299) NOT NULL)" AS_OURS,
    "CREATE TABLE IF NOT EXISTS agents ("
    " id INT UNSIGNED PRIMARY KEY,"
    " uuid VARCHAR(36) NOT NULL,"
    " `binary` VARCHAR(255) NOT NULL,"
    " host VARCHAR(255) NOT NULL,"
    " zone TEXT NOT NULL,"
    " labels TEXT NOT NULL,"
    " version TEXT NOT NULL,"
    " status VARCHAR(16) NOT NULL,"
    " disabled_reason TEXT NOT NULL,"
    " forced_down TINYINT NOT NULL,"
    " forced_reason TEXT NOT NULL,"
    " revision INT UNSIGNED NOT NULL,"
    " joined_at BIGINT NOT NULL,"
    " start_id BIGINT UNSIGNED NOT NULL,"
    " incarnation BIGINT UNSIGNED NOT NULL,"
    " session BIGINT UNSIGNED NOT NULL,"
    " session_index INT UNSIGNED NOT NULL,"
    " report_interval_ms INT UNSIGNED NOT NULL,"
    " UNIQUE (host, `binary`))" AS_OURS,
    "CREATE TABLE IF NOT EXISTS beats ("
    " agent INT UNSIGNED PRIMARY KEY,"
    " last_seen_at BIGINT NOT NULL,"
    " report_count BIGINT UNSIGNED NOT NULL,"
    " state VARCHAR(16) NOT NULL,"
    " state_reason VARCHAR(64) NOT NULL,"
    " state_since BIGINT NOT NULL)" AS_OURS,
    "CREATE TABLE IF NOT EXISTS payloads ("
    " agent INT UNSIGNED PRIMARY KEY,"
    " bytes INT UNSIGNED NOT NULL,"
    " json MEDIUMTEXT NOT NULL)" AS_OURS,
    "CREATE TABLE IF NOT EXISTS events ("
    " seq BIGINT UNSIGNED PRIMARY KEY,"
    " at BIGINT NOT NULL,"
    " agent VARCHAR(511) NOT NULL,"
    " uuid VARCHAR(36) NOT NULL,"
    " kind VARCHAR(16) NOT NULL,"
    " `from` VARCHAR(16) NOT NULL,"
    " `to` VARCHAR(16) NOT NULL,"
    " reason TEXT NOT NULL,"
    " detail TEXT NOT NULL,"
    " KEY events_agent (agent),"
    " KEY events_kind (kind))" AS_OURS,
    "CREATE OR REPLACE SQL SECURITY INVOKER VIEW fleet AS SELECT"
    " CONCAT(a.`binary`, '@', a.host) AS agent, a.uuid, a.`binary`, a.host, a.zone, a.labels,"
    " a.version, a.status, a.disabled_reason,"
    " IF(a.forced_down, 'down', b.state) AS state,"
    " IF(a.forced_down, a.forced_reason, b.state_reason) AS state_reason,"
    " a.forced_down, " STATE_SINCE ", " JOINED_AT ", " LAST_SEEN_AT ","
    " b.report_count, a.incarnation FROM agents a JOIN beats b ON b.agent = a.id",
    "CREATE OR REPLACE SQL SECURITY INVOKER VIEW history AS SELECT seq, " AT ","
    " agent, uuid, kind, `from`, `to`, reason, detail FROM events",
    NULL,
};

const char *const *const mu_mysql_steps[] = {step_1};
const uint32_t mu_mysql_nsteps = MU_ARRAY_LEN(mu_mysql_steps);
