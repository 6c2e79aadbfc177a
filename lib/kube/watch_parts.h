/* What the parts of a watch share: watch.c (its life, its events), watch_list.c (how it begins:
 * with all there is), watch_put.c (what goes into the store). Nobody else includes it. */
#ifndef GITGATE_KUBE_WATCH_PARTS_H
#define GITGATE_KUBE_WATCH_PARTS_H

#include "base/buf.h"
#include "kube/decoder.h"
#include "kube/object.h"
#include "kube/watch.h"

#define LIST_TIMEOUT_MS 60000 /* the API server's own limit for a list; and a stream's silence */
/* A fifth of client-go's page: it is in memory while it is read, and several watches list at once.
 */
#define PAGE_OBJECTS 100u
/* One past it is asked for again, half as long. None of one object is: see KUBE_LINE_MAX. */
#define PAGE_BYTES_MAX (12u << 20)

#define KNOWN_MAX 4096 /* of what is known of one that can't be read */

struct kube_watch {
    struct kube_client *client;
    struct kube_watch_spec spec;
    const struct log *log;
    struct kube_store *store;
    struct kube_store *unreadable; /* those of the store, and why: a string */
    struct kube_store *shares;     /* of namespaces, see watch_put.c */
    struct kube_decoder decoder;
    struct kube_request *request;
    uv_timer_t timer;     /* backoff */
    char *version;        /* the resourceVersion to watch from; NULL: list */
    struct buf next_page; /* the list's continue token; empty: first page */
    unsigned page;        /* objects asked for */
    unsigned failures;    /* in a row */
    uint64_t started;     /* the request in hand */
    const char *why;      /* what is wrong with the object in hand; NULL: it is as it came */
    bool no_room;         /* that is what is wrong with it */
    bool relist;          /* the stream said that its version is of no use */
    bool room;            /* what had none may have it now: list anew, though not at once */
    bool pages;           /* the list in hand is not to come as a stream */
    uint64_t pages_until; /* uv_now: nor is any before that */
    bool listing;         /* what comes of the stream is the list still */
    bool synced;
};

/* ---- watch.c ---- */

/* What comes next: a page, a list as a stream, a watch. */
void watch_request(struct kube_watch *watch);

/* From which version to watch: 0 or -ENOMEM. Without one all is listed anew. */
int watch_remember_version(struct kube_watch *watch, const char *version);
void watch_forget_version(struct kube_watch *watch);

/* Says so, and goes on later. */
void watch_fail(struct kube_watch *watch, const struct error *err, uint64_t retry_after);

/* ---- watch_put.c ---- */

/* An object into the store, and told of: 0 or a negative errno. */
int watch_put(struct kube_watch *watch, const struct node *object, struct error *err);

/* Likewise what is known of one that can't be read, out of its text. -EBADMSG when that is nothing.
 */
int watch_put_unreadable(struct kube_watch *watch, struct json_span object, const char *why,
                         struct error *err);

/* One that is there no more. */
void watch_take_out(struct kube_watch *watch, const struct object_key *key);

/* A list begins, and has ended: what was not put in between is gone. */
void watch_mark(struct kube_watch *watch);
void watch_sweep(struct kube_watch *watch);

/* ---- watch_list.c ---- */

/* A page: what of the query asks for it, and its answer (a kube_done_fn). */
void list_query(const struct kube_watch *watch, struct buf *query);
void list_on_page(void *data, const struct kube_response *response);

/* A list as a stream was asked for; an event of it came, and is in the store. */
void list_begin_stream(struct kube_watch *watch);
void list_on_stream(struct kube_watch *watch, const struct node *event);

/* Whether the next list is to come as a stream. */
bool list_streams(const struct kube_watch *watch);

/* The list in hand not, for that reason; the next one is tried again: another API server may answer
 * then, or the same one after its upgrade. */
void list_in_pages(struct kube_watch *watch, const char *why);

#endif
