#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "kube/object.h"
#include "kube/watch_parts.h"

#define WATCH_MIN_S 300u     /* client-go's 5 to 10 minutes: watches of many clients */
#define WATCH_SPREAD_S 300u  /* end at different times */
#define WATCH_GRACE_MS 30000 /* past its timeoutSeconds a watch is dead */
#define WATCH_SHORT_MS 1000  /* one that ends sooner has failed: don't spin */
#define BACKOFF_MIN_MS 200u  /* client-go starts at 800: one controller is no herd */
#define BACKOFF_MAX_MS 10000u
#define CONTINUE_MAX 4096
#define QUERY_MAX 8192

#define ACCEPT_OBJECTS "application/json"
/* https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches */
#define ACCEPT_METADATA_LIST "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

/* ---- When to go on ------------------------------------------------------------------------ */

int watch_remember_version(struct kube_watch *watch, const char *version)
{
    char *copy = strdup(version);

    if (!copy)
        return -ENOMEM;
    free(watch->version);
    watch->version = copy;
    return 0;
}

void watch_forget_version(struct kube_watch *watch)
{
    free(watch->version);
    watch->version = NULL;
    watch->pages = false;
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
    watch_request(timer->data);
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

void watch_fail(struct kube_watch *watch, const struct error *err, uint64_t retry_after)
{
    log_warn(watch->log, "watch failed, will try again",
             json_pack("{s:s, s:s, s:i}", "resource", watch->spec.resource->plural, "error",
                       err->msg, "failures", (int)watch->failures + 1));
    go_on_later(watch, retry_after);
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
        r = watch_put(watch, object, err);
    } else if (node_is_text(type, "DELETED")) {
        r = object_key_of(object, &key, err);
        if (r == 0)
            watch_take_out(watch, &key);
    } else if (!node_is_text(type, "BOOKMARK")) {
        r = error_set(err, -EBADMSG, "the watch holds an event of an unknown type");
    }
    if (r == 0 && watch->listing)
        list_on_stream(watch, event);
    /* Of a list that is not whole there is nothing to go on from. */
    if (r == 0 && !watch->listing && watch_remember_version(watch, version) < 0)
        r = error_set(err, -ENOMEM, "memory is short");
    return r;
}

/* As an event of what is known of its object. */
static int on_broken(void *data, char *text, size_t len, const struct error *why, struct error *err)
{
    struct kube_watch *watch = data;
    cleanup_document struct document event = DOCUMENT_INIT;
    cleanup_buf struct buf known = BUF_INIT(KNOWN_MAX);
    struct json_span line = json_span_of(text, len);
    char type[16] = "";
    int r;

    json_span_text(json_span_get(line, "type"), type, sizeof type);
    buf_addf(&known, "{\"type\":\"%s\",\"object\":", type);
    object_write_known(&known, json_span_get(line, "object"));
    buf_addc(&known, '}');
    if (document_parse(known.data, known.len, &event, NULL) < 0)
        return error_set(err, why->code, "%s", why->msg);
    watch->why = why->msg;
    r = on_event(watch, document_root(&event), err);
    watch->why = NULL;
    return r;
}

static int on_bytes(void *data, const char *bytes, size_t len, struct error *err)
{
    struct kube_watch *watch = data;
    int r = kube_decoder_feed(&watch->decoder, bytes, len, err);

    if (r < 0)
        watch->relist = true; /* what was not understood may be a change that we miss */
    return r;
}

/* Ended in order, cut, or never begun: as long as the version is good, on from there. */
static void on_watch_end(void *data, const struct kube_response *response)
{
    struct kube_watch *watch = data;
    uint64_t life = uv_now(watch->timer.loop) - watch->started;
    bool gone = response->err.code == -ESTALE;
    bool refused = response->status >= 400 && response->status != 429;
    bool unknown = watch->listing && (response->status == 400 || response->status == 422);

    watch->request = NULL;
    kube_decoder_reset(&watch->decoder);
    watch->listing = false;
    uv_timer_stop(&watch->timer);
    if (watch->relist || refused || watch->room)
        watch_forget_version(watch);
    if (unknown)
        list_in_pages(watch, response->err.msg);
    watch->relist = false;
    if (life >=
        BACKOFF_MAX_MS) /* not by its first bytes: those are what the next one fails at, too */
        watch->failures = 0;
    if (unknown || (gone && watch->failures++ == 0))
        watch_request(watch);
    else if (response->err.code)
        watch_fail(watch, &response->err, response->retry_after);
    else if (life >= WATCH_SHORT_MS)
        watch_request(watch);
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

void watch_request(struct kube_watch *watch)
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
    if (watch->version || list_streams(watch)) {
        spec.timeout_ms = watch_query(watch, &query) * 1000ull + WATCH_GRACE_MS;
        spec.accept = metadata ? KUBE_ACCEPT_METADATA : ACCEPT_OBJECTS;
        spec.stream = on_bytes;
        spec.done = on_watch_end;
    } else {
        list_query(watch, &query);
        spec.timeout_ms = LIST_TIMEOUT_MS;
        spec.max_response = PAGE_BYTES_MAX;
        spec.accept = metadata ? ACCEPT_METADATA_LIST : ACCEPT_OBJECTS;
        spec.done = list_on_page;
    }
    spec.path = path.data;
    spec.query = query.data;
    watch->started = uv_now(watch->timer.loop);
    if (buf_error(&path) || buf_error(&query))
        error_set(&err, -E2BIG, "the watch's query is too long");
    else
        watch->request = kube_request_start(watch->client, &spec, &err);
    if (err.code)
        watch_fail(watch, &err, 0);
    else if (!watch->version && list_streams(watch))
        list_begin_stream(watch);
}

static void free_stores(struct kube_watch *watch)
{
    kube_store_free(watch->store);
    kube_store_free(watch->unreadable);
    kube_store_free(watch->shares);
}

static void free_watch(uv_handle_t *timer)
{
    struct kube_watch *watch = timer->data;

    free_stores(watch);
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
    watch->decoder = KUBE_DECODER_INIT(KUBE_LINE_MAX, on_event, watch);
    watch->decoder.broken = on_broken;
    watch->next_page = BUF_INIT(CONTINUE_MAX);
    watch->page = PAGE_OBJECTS;
    watch->store = kube_store_new(watch->spec.release);
    watch->unreadable = kube_store_new(NULL);
    watch->shares = kube_store_new(NULL);
    if (!watch->store || !watch->unreadable || !watch->shares) {
        free_stores(watch);
        free(watch);
        return error_set(err, -ENOMEM, "memory is short");
    }
    uv_timer_init(kube_client_loop(client), &watch->timer);
    watch->timer.data = watch;
    watch_request(watch);
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

int kube_watch_wrote(struct kube_watch *watch, const char *namespace_, const char *name,
                     const void *kept, size_t size)
{
    if (kept)
        return kube_store_put(watch->store, namespace_, name, kept, size) ? 0 : -ENOMEM;
    kube_store_remove(watch->store, namespace_, name);
    return 0;
}

const char *kube_watch_unreadable(const struct kube_watch *watch, const char *namespace_,
                                  const char *name)
{
    return kube_store_get(watch->unreadable, namespace_, name);
}

const struct kube_store *kube_watch_store(const struct kube_watch *watch)
{
    return watch->store;
}

bool kube_watch_synced(const struct kube_watch *watch)
{
    return watch->synced;
}
