/* stat_table.h - every metric without labels: id, name, kind, what it counts. Names follow
 * prometheus.io/docs/practices/naming. Rooms add their rows here. */
#ifndef MU_BASE_STAT_TABLE_H
#define MU_BASE_STAT_TABLE_H

/* kinds: COUNTER, GAUGE, SECONDS (a histogram of seconds, 1 us to 1000 s, 3 buckets a decade) */
#define MU_STAT_TABLE(X)                                                                           \
    X(MU_STAT_BEATS, "muster_beats_total", COUNTER, "Beats of agents that counted.")               \
    X(MU_STAT_DATAGRAMS, "muster_datagrams_total", COUNTER, "Datagrams received.")                 \
    X(MU_STAT_DATAGRAMS_BAD, "muster_datagrams_invalid_total", COUNTER,                            \
      "Datagrams dropped: malformed, wrong version, unknown session or bad tag.")                  \
    X(MU_STAT_DATAGRAMS_OLD, "muster_datagrams_replayed_total", COUNTER,                           \
      "Datagrams dropped: old or repeated sequence number.")                                       \
    X(MU_STAT_DATAGRAMS_DROPPED, "muster_datagrams_dropped_total", COUNTER,                        \
      "Datagrams that the kernel dropped since the receive buffer was full.")                      \
    X(MU_STAT_RECEIVE_BUFFER, "muster_receive_buffer_bytes", GAUGE,                                \
      "The receive buffer that the datagram socket got, as it is asked for.")                      \
    X(MU_STAT_RESYNCS, "muster_resyncs_total", COUNTER, "Resyncs answered to an older epoch.")     \
    X(MU_STAT_FRAMES, "muster_frames_total", COUNTER, "Frames received on streams.")               \
    X(MU_STAT_FRAMES_BAD, "muster_frames_invalid_total", COUNTER,                                  \
      "Streams closed for a malformed or unexpected frame.")                                       \
    X(MU_STAT_JOINS, "muster_joins_total", COUNTER, "Joins answered with an identity.")            \
    X(MU_STAT_JOINS_RETRY, "muster_joins_deferred_total", COUNTER,                                 \
      "Joins answered with retry after.")                                                          \
    X(MU_STAT_EVENTS_LOST, "muster_events_lost_total", COUNTER,                                    \
      "Events dropped because the store was away for too long.")                                   \
    X(MU_STAT_EVENTS_STORED, "muster_events_stored_total", COUNTER, "Events that are stored.")     \
    X(MU_STAT_COMMIT, "muster_store_commit_seconds", SECONDS,                                      \
      "Time the store took for a transaction of changes.")                                         \
    X(MU_STAT_CHECKPOINT, "muster_store_checkpoint_seconds", SECONDS,                              \
      "Time the store took for a piece of a checkpoint.")                                          \
    X(MU_STAT_TRIM, "muster_store_trim_seconds", SECONDS,                                          \
      "Time the store took to delete a slice of old events.")                                      \
    X(MU_STAT_CHECKPOINTS, "muster_checkpoints_total", COUNTER,                                    \
      "Checkpoints of the whole fleet that came through.")                                         \
    X(MU_STAT_CHECKPOINT_ROWS, "muster_checkpoint_rows_total", COUNTER,                            \
      "Agents that checkpoints have written.")                                                     \
    X(MU_STAT_HTTP_REQUESTS, "muster_http_requests_total", COUNTER, "Requests to the HTTP API.")   \
    X(MU_STAT_HTTP_ERRORS, "muster_http_errors_total", COUNTER,                                    \
      "Requests to the HTTP API that were answered with a problem.")                               \
    X(MU_STAT_HTTP_REFUSED, "muster_http_connections_refused_total", COUNTER,                      \
      "Connections to the HTTP API beyond a bound, refused, or closed to make room for others.")   \
    X(MU_STAT_HTTP_CONNS, "muster_http_connections", GAUGE, "Connections to the HTTP API now.")    \
    X(MU_STAT_HTTP_WATCHERS, "muster_http_watchers", GAUGE, "Event streams and long polls now.")   \
    X(MU_STAT_LAG, "muster_loop_lag_seconds", SECONDS,                                             \
      "How long the conductor's loop was away from its sockets, turn by turn.")                    \
    X(MU_STAT_STALL, "muster_stall_seconds", SECONDS, "Stalls of the conductor's own loop.")       \
    X(MU_STAT_SWEEP, "muster_sweep_seconds", SECONDS, "Time a sweep of all agents took.")

#endif
