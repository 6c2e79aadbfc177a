#include "kube/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "kube/decoder.h"
#include "kube/object.h"

#define PAGE_OBJECTS 500u          /* client-go's page */
#define PAGE_BYTES_MAX (64u << 20) /* a page past it is asked for again, half as long */
#define LIST_TIMEOUT_MS 60000 /* the API server's own limit for a list; and a stream's silence */
#define WATCH_MIN_S 300u      /* client-go's 5 to 10 minutes: watches of many clients */
#define WATCH_SPREAD_S 300u   /* end at different times */
#define WATCH_GRACE_MS 30000  /* past its timeoutSeconds a watch is dead */
#define WATCH_SHORT_MS 1000   /* one that ends sooner has failed: don't spin */
#define BACKOFF_MIN_MS 200u   /* client-go starts at 800: one controller is no herd */
#define BACKOFF_MAX_MS 10000u
#define CONTINUE_MAX 4096
#define QUERY_MAX 8192

#define ACCEPT_OBJECTS "application/json"
/* https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches */
#define ACCEPT_METADATA_LIST "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

#define STREAM_ENDS "k8s.io/initial-events-end" /* an annotation */

struct kube_watch {
    struct kube_client *client;
    struct kube_watch_spec spec;
    const struct log *log;
    struct kube_store *store;
    struct kube_decoder decoder;
    struct kube_request *request;
    uv_timer_t timer;     /* backoff */
    char *version;        /* the resourceVersion to watch from; NULL: list */
    struct buf next_page; /* the list's continue token; empty: first page */
    unsigned page;        /* objects asked for */
    unsigned failures;    /* in a row */
    uint64_t started;     /* the request in hand */
    bool relist;          /* the stream said that its version is of no use */
    bool streams;         /* the server has streaming lists, as far as is known */
    bool listing;         /* what comes of the stream is the list still */
    bool synced;
};

static void start_request(struct kube_watch *watch);

/* ---- Objects into the store --------------------------------------------------------------- */

static void release_whole(void *kept)
{
    json_decref(kept);
}

static void *keep(const struct kube_watch *watch, const struct node *object)
{
    if (watch->spec.keep)
        return watch->spec.keep(object);
    return object_to_json(object, watch->spec.resource);
}

static void tell(const struct kube_watch *watch, enum kube_change change, const char *ns,
                 const char *name, void *kept)
{
    if (watch->spec.changed)
        watch->spec.changed(watch->spec.data, change, ns, name, kept);
}

static void tell_replaced(const struct kube_watch *watch, const struct object_key *key)
{
    const void *kept =
        watch->spec.replaced ? kube_store_get(watch->store, key->ns, key->name) : NULL;

    if (kept)
        watch->spec.replaced(watch->spec.data, key->ns, key->name, kept);
}

static int put(struct kube_watch *watch, const struct node *object, struct error *err)
{
    struct object_key key;
    void *kept;
    int r = object_key_of(object, &key, err);

    if (r < 0)
        return r;
    kept = keep(watch, object);
    if (!kept)
        return error_set(err, -ENOMEM, "memory is short");
    tell_replaced(watch, &key);
    r = kube_store_put(watch->store, key.ns, key.name, kept);
    if (r < 0)
        return error_set(err, r, "memory is short");
    tell(watch, r ? KUBE_MODIFIED : KUBE_ADDED, key.ns, key.name, kept);
    return 0;
}

static void take_out(struct kube_watch *watch, const struct object_key *key)
{
    void *kept = kube_store_get(watch->store, key->ns, key->name);

    if (!kept)
        return;
    tell(watch, KUBE_DELETED, key->ns, key->name, kept);
    kube_store_remove(watch->store, key->ns, key->name);
}

static void tell_gone(void *data, const char *ns, const char *name, void *kept)
{
    tell(data, KUBE_DELETED, ns, name, kept);
}

/* ---- When to go on ------------------------------------------------------------------------ */

static int remember_version(struct kube_watch *watch, const char *version)
{
    char *copy = strdup(version);

    if (!copy)
        return -ENOMEM;
    free(watch->version);
    watch->version = copy;
    return 0;
}

static void forget_version(struct kube_watch *watch)
{
    free(watch->version);
    watch->version = NULL;
    buf_reset(&watch->next_page);
}

static unsigned random_below(unsigned n)
{
    unsigned value = 0;

    if (getrandom(&value, sizeof value, 0) != sizeof value)
        return 0;
    return value % n;
}

static void on_timer(uv_timer_t *timer)
{
    start_request(timer->data);
}

/* Half of the delay is fixed, half is chance: many clients don't come back in step. */
static void go_on_later(struct kube_watch *watch, uint64_t at_least)
{
    unsigned delay = BACKOFF_MIN_MS;

    for (unsigned i = 0; i < watch->failures && delay < BACKOFF_MAX_MS; i++)
        delay *= 2;
    if (delay > BACKOFF_MAX_MS)
        delay = BACKOFF_MAX_MS;
    watch->failures++;
    delay = delay / 2 + random_below(delay / 2 + 1);
    uv_timer_start(&watch->timer, on_timer, at_least > delay ? at_least : delay, 0);
}

/* Pages do the same. */
static void no_more_streams(struct kube_watch *watch, const char *why)
{
    log_debug(watch->log, "lists come in pages",
              json_pack("{s:s, s:s}", "resource", watch->spec.resource->plural, "why", why));
    watch->streams = watch->listing = false;
    uv_timer_stop(&watch->timer);
}

static void fail(struct kube_watch *watch, const struct error *err, uint64_t retry_after)
{
    log_warn(watch->log, "watch failed, will try again",
             json_pack("{s:s, s:s, s:i}", "resource", watch->spec.resource->plural, "error",
                       err->msg, "failures", (int)watch->failures + 1));
    go_on_later(watch, retry_after);
}

/* ---- List --------------------------------------------------------------------------------- */

static int read_items(struct kube_watch *watch, const struct node *list, struct error *err)
{
    const struct node *items = node_get(list, "items"), *item;
    int r;

    if (!node_is(items, NODE_ARRAY) && !node_is(items, NODE_NULL))
        return error_set(err, -EBADMSG, "the API server's list has no items");
    node_each(items, item)
    {
        r = put(watch, item, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static void end_list(struct kube_watch *watch)
{
    kube_store_sweep(watch->store, tell_gone, watch);
    if (watch->synced)
        return;
    watch->synced = true;
    if (watch->spec.synced)
        watch->spec.synced(watch->spec.data);
}

static int take_page(struct kube_watch *watch, const struct node *list, struct error *err)
{
    const struct node *metadata = node_get(list, "metadata");
    const char *version = node_string(node_get(metadata, "resourceVersion"));
    const char *next = node_string(node_get(metadata, "continue"));
    int r;

    if (!version || !*version)
        return error_set(err, -EBADMSG, "the API server's answer is not a list");
    if (!watch->next_page.len)
        kube_store_mark(watch->store);
    r = read_items(watch, list, err);
    if (r < 0)
        return r;
    buf_reset(&watch->next_page);
    if (next && *next) {
        buf_adds(&watch->next_page, next);
        return buf_error(&watch->next_page)
                   ? error_set(err, -E2BIG, "the list's continue token is too long")
                   : 0;
    }
    if (remember_version(watch, version) < 0)
        return error_set(err, -ENOMEM, "memory is short");
    end_list(watch);
    return 0;
}

/* Also what is cut short but was reported whole fails here: it is no JSON. A page of more values
 * than a document may hold is asked for again in smaller ones, as one of too many bytes. */
static int read_page(struct kube_watch *watch, const struct kube_response *response,
                     struct error *err)
{
    cleanup_document struct document list = DOCUMENT_INIT;
    struct error why = ERROR_INIT;
    int r;

    object_mend(response->body, response->len);
    r = document_parse(response->body, response->len, &list, &why);
    if (r == -ENOMEM)
        return error_set(err, r, "memory is short");
    if (r == -E2BIG)
        return error_set(err, r, "a page of the list %s", why.msg);
    if (r < 0)
        return error_set(err, -EBADMSG, "the API server's list %s", why.msg);
    return take_page(watch, document_root(&list), err);
}

static void on_page(void *data, const struct kube_response *response)
{
    struct kube_watch *watch = data;
    struct error err = response->err;

    watch->request = NULL;
    if (err.code == 0)
        read_page(watch, response, &err);
    if (err.code == 0) {
        watch->failures = 0;
        start_request(watch);
        return;
    }
    forget_version(watch); /* a continue token that has expired, too: from the first page */
    if (err.code == -E2BIG && watch->page > 1)
        watch->page /= 2;
    fail(watch, &err, response->retry_after);
}

static void list_query(const struct kube_watch *watch, struct buf *query)
{
    char limit[16];

    snprintf(limit, sizeof limit, "%u", watch->page);
    kube_query(query, "limit", limit);
    if (watch->next_page.len)
        kube_query(query, "continue", watch->next_page.data);
}

/* ---- List as a stream --------------------------------------------------------------------- */

/* A watch that begins with all there is, one event an object: neither side ever holds a page
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists). */

static void on_list_late(uv_timer_t *timer)
{
    struct kube_watch *watch = timer->data;

    kube_request_cancel(watch->request);
    watch->request = NULL;
    kube_decoder_reset(&watch->decoder);
    no_more_streams(watch, "the server began to stream the list and did not end it");
    start_request(watch);
}

static void await_more(struct kube_watch *watch)
{
    uv_timer_start(&watch->timer, on_list_late, LIST_TIMEOUT_MS, 0);
}

static void begin_stream(struct kube_watch *watch)
{
    watch->listing = true;
    kube_store_mark(watch->store);
    await_more(watch);
}

/* What is behind it are changes. */
static void end_stream(struct kube_watch *watch)
{
    watch->listing = false;
    uv_timer_stop(&watch->timer);
    end_list(watch);
}

/* Something came: the list goes on. */
static void on_stream(struct kube_watch *watch, const struct node *event)
{
    const struct node *metadata = node_get(node_get(event, "object"), "metadata");
    const struct node *ends = node_get(node_get(metadata, "annotations"), STREAM_ENDS);

    if (node_is_text(node_get(event, "type"), "BOOKMARK") && node_is_text(ends, "true"))
        end_stream(watch);
    else
        await_more(watch);
}

/* ---- Watch -------------------------------------------------------------------------------- */

/* ERROR events carry a Status; 410 Gone says that the version is too old to go on from. */
static int read_error_event(struct kube_watch *watch, const struct node *status, struct error *err)
{
    const char *message = node_string(node_get(status, "message"));
    bool gone = node_is_number(node_get(status, "code"), 410);

    watch->relist = true;
    return error_set(err, gone ? -ESTALE : -EIO, "%s",
                     message ? message : "the API server ended the watch without a reason");
}

static int on_event(void *data, const struct node *event, struct error *err)
{
    struct kube_watch *watch = data;
    const struct node *type = node_get(event, "type"), *object = node_get(event, "object");
    const char *version = node_string(node_get(node_get(object, "metadata"), "resourceVersion"));
    struct object_key key;
    int r = 0;

    if (node_is_text(type, "ERROR"))
        return read_error_event(watch, object, err);
    if (!version)
        return error_set(err, -EBADMSG, "the watch holds an event without type or version");
    if (node_is_text(type, "ADDED") || node_is_text(type, "MODIFIED")) {
        r = put(watch, object, err);
    } else if (node_is_text(type, "DELETED")) {
        r = object_key_of(object, &key, err);
        if (r == 0)
            take_out(watch, &key);
    } else if (!node_is_text(type, "BOOKMARK")) {
        r = error_set(err, -EBADMSG, "the watch holds an event of an unknown type");
    }
    if (r == 0 && watch->listing)
        on_stream(watch, event);
    /* Of a list that is not whole there is nothing to go on from. */
    if (r == 0 && !watch->listing && remember_version(watch, version) < 0)
        r = error_set(err, -ENOMEM, "memory is short");
    return r;
}

static int on_bytes(void *data, const char *bytes, size_t len, struct error *err)
{
    struct kube_watch *watch = data;
    int r = kube_decoder_feed(&watch->decoder, bytes, len, err);

    if (r == 0)
        watch->failures = 0;
    else
        watch->relist = true; /* what was not understood may be a change that we miss */
    return r;
}

/* Ended in order, cut, or never begun: as long as the version is good, on from there. */
static void on_watch_end(void *data, const struct kube_response *response)
{
    struct kube_watch *watch = data;
    bool lived = uv_now(watch->timer.loop) - watch->started >= WATCH_SHORT_MS;
    bool refused = response->status >= 400 && response->status != 429;
    bool unknown = watch->listing && (response->status == 400 || response->status == 422);

    watch->request = NULL;
    kube_decoder_reset(&watch->decoder);
    watch->listing = false;
    uv_timer_stop(&watch->timer);
    if (unknown)
        no_more_streams(watch, response->err.msg);
    if (watch->relist || refused)
        forget_version(watch);
    watch->relist = false;
    if (response->err.code == -ESTALE || unknown)
        start_request(watch);
    else if (response->err.code)
        fail(watch, &response->err, response->retry_after);
    else if (lived)
        start_request(watch);
    else
        go_on_later(watch, 0);
}

static unsigned watch_query(const struct kube_watch *watch, struct buf *query)
{
    unsigned seconds = WATCH_MIN_S + random_below(WATCH_SPREAD_S);
    char text[16];

    snprintf(text, sizeof text, "%u", seconds);
    kube_query(query, "watch", "true");
    kube_query(query, "allowWatchBookmarks", "true");
    if (watch->version) {
        kube_query(query, "resourceVersion", watch->version);
    } else {
        kube_query(query, "sendInitialEvents", "true");
        kube_query(query, "resourceVersionMatch", "NotOlderThan");
    }
    kube_query(query, "timeoutSeconds", text);
    return seconds;
}

/* ---- Requests ----------------------------------------------------------------------------- */

static void start_request(struct kube_watch *watch)
{
    cleanup_buf struct buf path = BUF_INIT(QUERY_MAX), query = BUF_INIT(QUERY_MAX);
    struct kube_request_spec spec = {.method = "GET", .data = watch};
    bool metadata = watch->spec.metadata_only;
    struct error err = ERROR_INIT;

    kube_path(watch->spec.resource, watch->spec.namespace_, NULL, NULL, &path);
    if (watch->spec.label_selector)
        kube_query(&query, "labelSelector", watch->spec.label_selector);
    if (watch->spec.field_selector)
        kube_query(&query, "fieldSelector", watch->spec.field_selector);
    if (watch->version || watch->streams) {
        spec.timeout_ms = watch_query(watch, &query) * 1000ull + WATCH_GRACE_MS;
        spec.accept = metadata ? KUBE_ACCEPT_METADATA : ACCEPT_OBJECTS;
        spec.stream = on_bytes;
        spec.done = on_watch_end;
    } else {
        list_query(watch, &query);
        spec.timeout_ms = LIST_TIMEOUT_MS;
        spec.max_response = PAGE_BYTES_MAX;
        spec.accept = metadata ? ACCEPT_METADATA_LIST : ACCEPT_OBJECTS;
        spec.done = on_page;
    }
    spec.path = path.data;
    spec.query = query.data;
    watch->started = uv_now(watch->timer.loop);
    if (buf_error(&path) || buf_error(&query))
        error_set(&err, -E2BIG, "the watch's query is too long");
    else
        watch->request = kube_request_start(watch->client, &spec, &err);
    if (err.code)
        fail(watch, &err, 0);
    else if (!watch->version && watch->streams)
        begin_stream(watch);
}

static void free_watch(uv_handle_t *timer)
{
    struct kube_watch *watch = timer->data;

    kube_store_free(watch->store);
    kube_decoder_done(&watch->decoder);
    buf_done(&watch->next_page);
    free(watch->version);
    free(watch);
}

int kube_watch_start(struct kube_client *client, const struct kube_watch_spec *spec,
                     const struct log *log, struct kube_watch **ret, struct error *err)
{
    struct kube_watch *watch = calloc(1, sizeof *watch);

    if (!watch)
        return error_set(err, -ENOMEM, "memory is short");
    watch->client = client;
    watch->spec = *spec;
    watch->log = log;
    if (!watch->spec.keep)
        watch->spec.release = release_whole;
    watch->decoder = KUBE_DECODER_INIT(KUBE_LINE_MAX, on_event, watch);
    watch->next_page = BUF_INIT(CONTINUE_MAX);
    watch->page = PAGE_OBJECTS;
    watch->streams = true;
    watch->store = kube_store_new(watch->spec.release);
    if (!watch->store) {
        free(watch);
        return error_set(err, -ENOMEM, "memory is short");
    }
    uv_timer_init(kube_client_loop(client), &watch->timer);
    watch->timer.data = watch;
    start_request(watch);
    *ret = watch;
    return 0;
}

void kube_watch_stop(struct kube_watch *watch)
{
    if (!watch)
        return;
    kube_request_cancel(watch->request);
    watch->request = NULL;
    uv_close((uv_handle_t *)&watch->timer, free_watch);
}

int kube_watch_wrote(struct kube_watch *watch, const char *namespace_, const char *name, void *kept)
{
    int r = 0;

    if (kept)
        r = kube_store_put(watch->store, namespace_, name, kept);
    else
        kube_store_remove(watch->store, namespace_, name);
    return r < 0 ? r : 0;
}

const struct kube_store *kube_watch_store(const struct kube_watch *watch)
{
    return watch->store;
}

bool kube_watch_synced(const struct kube_watch *watch)
{
    return watch->synced;
}
