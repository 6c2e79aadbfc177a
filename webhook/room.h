/* What requests' bodies and their answers take in memory, under one cap, and who gives way to whom.
 *
 * Whoever reaches the port may announce large bodies and send nothing more, or ask for large
 * answers and read nothing of them, with no certificate: a few would keep the API server's reviews
 * out. */
#ifndef GITGATE_WEBHOOK_ROOM_H
#define GITGATE_WEBHOOK_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* It leaves room for the rest below the deployment's memory limit of 128 MiB: 20 for the program,
 * 30 for as many connections as there may be, and what one review takes until it is answered. */
#define ROOM_MAX (48u << 20)

/* Beside an answer that its client doesn't take at once: a record of it in OpenSSL and a piece in
 * libwebsockets. */
#define ROOM_UNREAD (32u << 10)

enum holding_kind {
    HOLDING_NOTHING,
    HOLDING_COMING, /* a body that isn't whole yet */
    HOLDING_WHOLE,  /* one that is: work of the webhook's own, which gives way to nobody */
    HOLDING_ANSWER, /* until its client has read it */
};

/* What one request holds. Zeroed it holds nothing. */
struct holding {
    size_t size; /* bytes */
    enum holding_kind kind;
    uint64_t since_ms; /* that its client is waited for */
    TAILQ_ENTRY(holding) next;
};

struct room {
    size_t held;                               /* bytes */
    TAILQ_HEAD(, holding) waiting;             /* for their clients, for the longest first */
    void (*give_way)(struct holding *holding); /* calls room_leave */
};

void room_init(struct room *room, void (*give_way)(struct holding *holding));

/* Takes `size` bytes for one that holds nothing, a body that comes or an answer; false when nobody
 * gives way for so much. First who has kept the webhook waiting for too long does so, then who
 * holds more than `size`. */
bool room_enter(struct room *room, struct holding *holding, enum holding_kind kind, size_t size,
                uint64_t now_ms);

/* A body has become whole. */
void room_whole(struct room *room, struct holding *holding);

/* An answer's client has read some of it. */
void room_read(struct room *room, struct holding *holding, uint64_t now_ms);

/* What holds nothing is left as it is. */
void room_leave(struct room *room, struct holding *holding);

#endif
