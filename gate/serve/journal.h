/* serve's side of events: one log line for each fetch and push, and the gate's metrics. */
#ifndef GITGATE_GATE_JOURNAL_H
#define GITGATE_GATE_JOURNAL_H

#include <uv.h>

#include "gate.h"
#include "metrics/metrics.h"

struct journal {
    const struct gate *gate;
    uv_poll_t poll;
    int read_end;
    int write_end;      /* for children: connection.h, background.h */
    json_t *operations; /* session -> what is known of the connection that it is */
    struct metrics *metrics;
    struct metric *fetches, *pushes, *refreshes, *refresh_seconds, *phase_seconds, *findings;
    struct metric *connections, *connections_total, *waiting, *mirror_up, *mirror_asked;
    struct metric *mirror_bytes, *mirror_packs, *maintenance;
    void (*on_operation)(void *data, const json_t *operation); /* one has ended; may be NULL */
    void *data;
    /* a refresh has ended that asked the upstream at `asked_ns`, for the connection `session`; may
     * be NULL */
    void (*on_refreshed)(void *data, int session, const char *repo, uint64_t asked_ns);
    void (*on_received)(void *data, int session); /* a push has come; may be NULL */
    void *hooks_data;
};

int journal_open(struct journal *journal, uv_loop_t *loop, const struct gate *gate,
                 struct error *err);

/* A connection's life; `session` is its git daemon's. */
void journal_begin(struct journal *journal, int session);
void journal_end(struct journal *journal, int session, int64_t exit_code, double total_ms);

/* Clients that wait for a refresh. */
void journal_waiting(struct journal *journal, size_t n);

/* Forgets the mirror's own series of a repository that is gone. */
void journal_forget(struct journal *journal, const char *repo);

#endif
