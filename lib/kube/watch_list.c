#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kube/object.h"
#include "kube/watch_parts.h"

#define STREAM_AGAIN_MS 600000 /* one that was silent has cost a minute: not each time */
#define STREAM_ENDS "k8s.io/initial-events-end" /* an annotation */

/* ---- In pages ------------------------------------------------------------------------------- */

static int read_items(struct kube_watch *watch, const struct node *list, struct error *err)
{
    const struct node *items = node_get(list, "items"), *item;
    int r;

    if (!node_is(items, NODE_ARRAY) && !node_is(items, NODE_NULL))
        return error_set(err, -EBADMSG, "the API server's list has no items");
    node_each(items, item)
    {
        r = watch_put(watch, item, err);
        if (r < 0)
            return r;
    }
    return 0;
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
    if (watch_remember_version(watch, version) < 0)
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

void list_on_page(void *data, const struct kube_response *response)
{
    struct kube_watch *watch = data;
    struct error err = response->err;

    watch->request = NULL;
    if (err.code == 0)
        read_page(watch, response, &err);
    if (err.code == 0) {
        watch->failures = 0;
        watch_request(watch);
        return;
    }
    watch_forget_version(watch); /* a continue token that has expired, too: from the first page */
    if (err.code == -E2BIG && watch->page > 1)
        watch->page /= 2;
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
void list_on_stream(struct kube_watch *watch, const struct node *event)
{
    const struct node *metadata = node_get(node_get(event, "object"), "metadata");
    const struct node *ends = node_get(node_get(metadata, "annotations"), STREAM_ENDS);

    if (node_is_text(node_get(event, "type"), "BOOKMARK") && node_is_text(ends, "true"))
        end_stream(watch);
    else
        await_more(watch);
}
