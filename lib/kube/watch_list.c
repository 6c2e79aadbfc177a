#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kube/object.h"
#include "kube/watch_parts.h"

#define METADATA_MAX 16384     /* a list's: two strings */
#define STREAM_AGAIN_MS 600000 /* one that was silent has cost a minute: not each time */
#define STREAM_ENDS "k8s.io/initial-events-end" /* an annotation */

/* ---- In pages ------------------------------------------------------------------------------- */

/* A copy of text[0..len), as a document. -EBADMSG or -E2BIG when it can't be read: `why` says so.
 */
static int read_copy(struct json_span text, struct buf *copy, struct document *ret,
                     struct error *why)
{
    buf_add(copy, text.at, text.len);
    if (buf_error(copy))
        return error_set(why, buf_error(copy), "it has more than %zu bytes", copy->max);
    return object_parse(copy->data, copy->len, ret, why);
}

/* Each by itself: one that can't be read spoils no other. */
static int read_item(struct kube_watch *watch, struct json_span text, struct error *err)
{
    cleanup_document struct document item = DOCUMENT_INIT;
    cleanup_buf struct buf copy = BUF_INIT(KUBE_LINE_MAX);
    struct error why = ERROR_INIT;
    int r = read_copy(text, &copy, &item, &why);

    if (r == -ENOMEM)
        return error_set(err, r, "memory is short");
    return r < 0 ? watch_put_unreadable(watch, text, why.msg, err)
                 : watch_put(watch, document_root(&item), err);
}

static int read_items(struct kube_watch *watch, struct json_span items, struct error *err)
{
    struct json_span item = {0};
    int r;

    if (items.at && *items.at == 'n') /* null */
        return 0;
    for (item = json_span_next(items, item); item.at; item = json_span_next(items, item)) {
        r = read_item(watch, item, err);
        if (r < 0)
            return r;
    }
    return item.whole ? 0 : error_set(err, -EBADMSG, "the API server's list has no items");
}

static void end_list(struct kube_watch *watch)
{
    watch_sweep(watch);
    if (watch->synced)
        return;
    watch->synced = true;
    if (watch->spec.synced)
        watch->spec.synced(watch->spec.data);
}

static int take_page(struct kube_watch *watch, struct json_span items, const struct node *metadata,
                     struct error *err)
{
    const char *version = node_string(node_get(metadata, "resourceVersion"));
    const char *next = node_string(node_get(metadata, "continue"));
    int r;

    if (!version || !*version)
        return error_set(err, -EBADMSG, "the API server's answer is not a list");
    if (!watch->next_page.len)
        watch_mark(watch);
    r = read_items(watch, items, err);
    if (r < 0)
        return r;
    buf_reset(&watch->next_page);
    if (next && *next) {
        buf_adds(&watch->next_page, next);
        return buf_error(&watch->next_page)
                   ? error_set(err, -E2BIG, "the list's continue token is too long")
                   : 0;
    }
    if (watch_remember_version(watch, version) < 0)
        return error_set(err, -ENOMEM, "memory is short");
    end_list(watch);
    return 0;
}

/* Also what is cut short but was reported whole fails here. */
static int read_page(struct kube_watch *watch, const struct kube_response *response,
                     struct error *err)
{
    struct json_span list = json_span_of(response->body, response->len);
    struct json_span metadata = json_span_get(list, "metadata");
    cleanup_document struct document document = DOCUMENT_INIT;
    cleanup_buf struct buf copy = BUF_INIT(METADATA_MAX);
    int r;

    if (!list.at || !list.whole)
        return error_set(err, -EBADMSG, "the API server's list is cut short");
    r = read_copy(metadata, &copy, &document, NULL);
    if (r == -ENOMEM)
        return error_set(err, r, "memory is short");
    return take_page(watch, json_span_get(list, "items"), document_root(&document), err);
}

/* A page that is too large is asked for again in smaller ones, from where the last one ended. */
static bool halve_page(struct kube_watch *watch, const struct kube_response *response)
{
    if (response->err.code != -E2BIG || watch->page == 1)
        return false;
    watch->page /= 2;
    return true;
}

static void grow_page(struct kube_watch *watch)
{
    watch->page = watch->page > PAGE_OBJECTS / 2 ? PAGE_OBJECTS : 2 * watch->page;
}

void list_on_page(void *data, const struct kube_response *response)
{
    struct kube_watch *watch = data;
    struct error err = response->err;

    watch->request = NULL;
    if (halve_page(watch, response)) {
        watch_request(watch);
        return;
    }
    if (err.code == 0)
        read_page(watch, response, &err);
    if (err.code == 0) {
        grow_page(watch);
        watch_request(watch);
        return;
    }
    watch_forget_version(watch); /* a continue token that has expired, too: from the first page */
    watch_fail(watch, &err, response->retry_after);
}

void list_query(const struct kube_watch *watch, struct buf *query)
{
    char limit[16];

    snprintf(limit, sizeof limit, "%u", watch->page);
    kube_query(query, "limit", limit);
    if (watch->next_page.len)
        kube_query(query, "continue", watch->next_page.data);
}

/* ---- As a stream ---------------------------------------------------------------------------- */

/* A watch that begins with all there is, one event an object: neither side ever holds a page
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists). */

bool list_streams(const struct kube_watch *watch)
{
    return !watch->pages && uv_now(watch->timer.loop) >= watch->pages_until;
}

/* Pages do the same. */
void list_in_pages(struct kube_watch *watch, const char *why)
{
    log_debug(watch->log, "the list comes in pages",
              json_pack("{s:s, s:s}", "resource", watch->spec.resource->plural, "why", why));
    watch->pages = true;
    watch->listing = false;
    uv_timer_stop(&watch->timer);
}

static void on_list_late(uv_timer_t *timer)
{
    struct kube_watch *watch = timer->data;

    kube_request_cancel(watch->request);
    watch->request = NULL;
    kube_decoder_reset(&watch->decoder);
    watch->pages_until = uv_now(timer->loop) + STREAM_AGAIN_MS;
    list_in_pages(watch, "the server began to stream the list and did not end it");
    watch_request(watch);
}

static void await_more(struct kube_watch *watch)
{
    uv_timer_start(&watch->timer, on_list_late, LIST_TIMEOUT_MS, 0);
}

void list_begin_stream(struct kube_watch *watch)
{
    watch->listing = true;
    watch_mark(watch);
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
void list_on_stream(struct kube_watch *watch, const struct node *event)
{
    const struct node *metadata = node_get(node_get(event, "object"), "metadata");
    const struct node *ends = node_get(node_get(metadata, "annotations"), STREAM_ENDS);

    if (node_is_text(node_get(event, "type"), "BOOKMARK") && node_is_text(ends, "true"))
        end_stream(watch);
    else
        await_more(watch);
}
