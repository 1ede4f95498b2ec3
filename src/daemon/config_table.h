/* config_table.h - every setting, one row each: the source of the parser, of `muster config show`,
 * of MUSTER_SECTION_KEY and of the page muster.conf(5).
 *
 * X(section, key, type, struct, member, default, min, max, unit or words, live, sentence).
 * `member` is in struct mu_policy or struct mu_config. Durations are ns. A default of "" is worked
 * out from other values, as the sentence says. What is not `live` takes a restart to change. */
#ifndef MU_DAEMON_CONFIG_TABLE_H
#define MU_DAEMON_CONFIG_TABLE_H

#define MU_SETTINGS_OF_TIMES_(X, section, interval_, down_, detector_, phi_, inherits, own)        \
    X(section, report_interval, DUR, policy, times.interval, interval_, 100 * MU_MS,               \
      3600 * MU_SEC, "", 1,                                                                        \
      "How often an agent reports, unless it asks for another interval." inherits)                 \
    X(section, suspect_time, DUR, policy, times.suspect, "", 100 * MU_MS, 30 * MU_DAY_, "", 1,     \
      "Silence after which an agent is suspect. If not set: 2.5 times the interval, at most 0.8 "  \
      "of service_down_time" own)                                                                  \
    X(section, service_down_time, DUR, policy, times.down, down_, 100 * MU_MS, 30 * MU_DAY_, "",   \
      1, "Silence after which an agent is down." inherits)                                         \
    X(section, detector, WORD, policy, detector, detector_, 0, 0, MU_DETECT_WORDS, 1,              \
      "Who judges a silence. deadline goes by suspect_time and service_down_time alone; the "      \
      "others learn from an agent's beats and take these as the latest moments: two-window goes "  \
      "by how late beats came, phi by their mean gap." inherits)                                   \
    X(section, earliest_down_time, DUR, policy, times.floor, "", 100 * MU_MS, 30 * MU_DAY_, "", 1, \
      "Silence before which an agent is not down, whatever two-window or phi thinks, and for "     \
      "which a lease holds. With deadline: service_down_time. If not set: 3.5 times the "          \
      "interval, at least suspect_time, at most service_down_time" own)                            \
    X(section, phi_threshold, COUNT, policy, times.phi, phi_, 1, 100, "", 1,                       \
      "For phi: how large it is when an agent is down, one for each 2.3 mean gaps of "             \
      "silence." inherits)

#define MU_DAY_ (24 * 3600 * MU_SEC)

#define MU_SETTINGS(X)                                                                             \
    MU_SETTINGS_OF_TIMES_(X, "DEFAULT", "10s", "60s", "deadline", "8", "", ".")                    \
    X("policy", binary, PATTERN, policy, binary, "*", 0, 0, "", 1,                                 \
      "The binaries this policy is for: a pattern of *, ? and [a-z].")                             \
    X("policy", zone, PATTERN, policy, zone, "*", 0, 0, "", 1, "The zones this policy is for.")    \
    MU_SETTINGS_OF_TIMES_(X, "policy", "", "", "", "", " If not set: as in [DEFAULT].",            \
                          ", by this policy's values: that of [DEFAULT] is not taken.")            \
    X("conductor", listen, ADDRS, config, listen, "127.0.0.1:4680", 0, 0, "", 0,                   \
      "Where agents are heard, TCP and UDP: A.B.C.D:PORT, [V6]:PORT, or the path of a Unix "       \
      "socket, whose rights the umask gives. May be given several times.")                         \
    X("conductor", http, ADDRS, config, http, "127.0.0.1:4681", 0, 0, "", 0,                       \
      "Where the HTTP API answers. May be given several times. It knows no users and asks for no " \
      "token: whoever can connect there may read, beat for any agent and write. Only web pages "   \
      "of others are kept out, by Host and Origin.")                                               \
    X("conductor", http_hosts, TEXT, config, http_hosts, "", 0, 0, "", 0,                          \
      "Names, with commas, that a request's Host may have besides this machine's: those of a "     \
      "proxy before it.")                                                                          \
    X("conductor", insecure, BOOL, config, insecure, "false", 0, 0, "", 0,                         \
      "Allows listeners that other machines can reach, without encryption: whoever can send "      \
      "there can read and write everything, and pretend to be any agent.")                         \
    X("conductor", store, URL, config, store, "", 0, 0, "", 0,                                     \
      "The database: sqlite:PATH, postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "                 \
      "mysql://USER:PASSWORD@HOST:PORT/DATABASE, or memory: which forgets. If not set: "           \
      "sqlite:/var/lib/muster/muster.db for root, else sqlite:$XDG_STATE_HOME/muster/muster.db.")  \
    X("conductor", secret_file, PATH, config, secret_file, "", 0, 0, "", 0,                        \
      "The fleet secret, from which the keys of sessions are made. Made at the first start. If "   \
      "not set: the path of the database and .secret; with a database on a server, "               \
      "muster.secret in /var/lib/muster or $XDG_STATE_HOME/muster.")                               \
    X("conductor", token_file, PATH, config, token_file, "", 0, 0, "", 0,                          \
      "A file with a word that agents must present when they join by `listen`. If not set: none "  \
      "is asked. `http` never asks for it.")                                                       \
    X("conductor", max_agents, COUNT, config, max_agents, "1000000", 1, 16000000, "agents", 0,     \
      "Agents known at once; a join beyond it is answered `full`.")                                \
    X("conductor", join_rate, COUNT, config, join_rate, "20000", 1, 10000000, "joins/s", 0,        \
      "Joins admitted in a second; the others are told when to come again.")                       \
    X("conductor", max_streams, COUNT, config, max_streams, "0", 0, 10000000, "streams", 0,        \
      "Agents' connections at once; agents beyond it live by datagrams alone. 0: as many as the "  \
      "limit of open files leaves.")                                                               \
    X("conductor", max_streams_per_peer, COUNT, config, max_per_peer, "0", 0, 10000000, "streams", \
      0, "Agents' connections from one address, loopback apart. 0: no bound.")                     \
    X("conductor", silent_stream_time, DUR, config, silent_for, "10s", 100 * MU_MS, 3600 * MU_SEC, \
      "", 0,                                                                                       \
      "A connection that has said nothing whole for so long after it was opened is closed.")       \
    X("conductor", max_http, COUNT, config, max_http, "1000", 4, 1000000, "connections", 0,        \
      "HTTP connections at once; at most a quarter of the limit of open files.")                   \
    X("conductor", max_http_per_peer, COUNT, config, max_http_per_peer, "256", 1, 1000000,         \
      "connections", 0,                                                                            \
      "HTTP connections from one address, loopback apart: a proxy may need more.")                 \
    X("conductor", receive_buffer, BYTES, config, receive_buffer, "128MiB", 65536, 1 << 30, "", 0, \
      "What a datagram socket holds while nobody reads: 128MiB are 3.2 s of 100,000 beats/s. "     \
      "Without CAP_NET_ADMIN or a socket of systemd's it takes as much in the sysctl "             \
      "net.core.rmem_max; what was got is logged at the start.")                                   \
    X("conductor", checkpoint_interval, DUR, config, checkpoint_interval, "30s", 100 * MU_MS,      \
      3600 * MU_SEC, "", 0,                                                                        \
      "How often last_seen_at and report_count are written; longer where there are more than "     \
      "5,000 agents for each second of it.")                                                       \
    X("conductor", forget_after, DUR, config, forget_after, "0", 0, 3650 * MU_DAY_, "", 0,         \
      "An agent that was `left` or `down` for so long is deleted, but not before the conductor "   \
      "has run for its service_down_time. 0: never.")                                              \
    X("conductor", event_retention, DUR, config, event_retention, "30d", MU_SEC, 3650 * MU_DAY_,   \
      "", 0,                                                                                       \
      "How long events are kept. Older ones are deleted a minute after the start, then hourly.")   \
    X("conductor", event_max, COUNT, config, event_max, "10000000", 100, 1000000000, "events", 0,  \
      "How many events are kept, the newest. The others are deleted a minute after the start, "    \
      "then hourly.")                                                                              \
    X("log", level, WORD, config, log_level, "info", 0, 0, "error warn info debug", 1,             \
      "The least important lines that are written.")                                               \
    X("log", format, WORD, config, log_format, "auto", 0, 0, "auto text journald json", 1,         \
      "With auto: journald where standard error leads to it, otherwise text.")

#endif
