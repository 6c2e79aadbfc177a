#include "lookups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/cleanup.h"
#include "kube/object.h"
#include "kube/resource.h"

#define PATH_MAX_LEN 1024
#define KNOWN_MAX 2048 /* of object_write_known */

struct waiter {
    const char *name; /* of the gate */
    lookups_done_fn *done;
    void *data;
    STAILQ_ENTRY(waiter) next;
};

STAILQ_HEAD(waiters, waiter);

/* A namespace in which somebody waits, or did a moment ago. */
struct queue {
    struct lookups *lookups;
    char *namespace_;
    struct waiters waiting;       /* for the next request */
    struct waiters asking;        /* for the one under way */
    struct kube_request *request; /* NULL: none is under way */
    struct buf answer;            /* what has come of its answer */
    uv_timer_t pause;             /* runs from a request's start */
    LIST_ENTRY(queue) next;
};

struct lookups {
    struct kube_client *client;
    size_t n;     /* queues */
    size_t bytes; /* of all their answers */
    LIST_HEAD(, queue) queues;
};

static void free_gate(struct gate **gate)
{
    gate_free(*gate);
}

/* ---- Queues -------------------------------------------------------------------------------- */

static void drop(struct waiters *waiters)
{
    struct waiter *waiter;

    while ((waiter = STAILQ_FIRST(waiters))) {
        STAILQ_REMOVE_HEAD(waiters, next);
        free(waiter);
    }
}

static void drop_answer(struct queue *queue)
{
    queue->lookups->bytes -= queue->answer.len;
    buf_done(&queue->answer);
}

static void on_closed(uv_handle_t *handle)
{
    struct queue *queue = handle->data;

    free(queue->namespace_);
    free(queue);
}

static void remove_queue(struct queue *queue)
{
    drop(&queue->waiting);
    drop(&queue->asking);
    kube_request_cancel(queue->request);
    drop_answer(queue);
    LIST_REMOVE(queue, next);
    queue->lookups->n--;
    uv_close((uv_handle_t *)&queue->pause, on_closed);
}

static struct queue *add_queue(struct lookups *lookups, const char *namespace_)
{
    struct queue *queue = calloc(1, sizeof *queue);

    if (!queue)
        return NULL;
    queue->namespace_ = strdup(namespace_);
    if (!queue->namespace_) {
        free(queue);
        return NULL;
    }
    queue->lookups = lookups;
    queue->answer = BUF_INIT(KUBE_RESPONSE_MAX);
    STAILQ_INIT(&queue->waiting);
    STAILQ_INIT(&queue->asking);
    queue->pause.data = queue;
    uv_timer_init(kube_client_loop(lookups->client), &queue->pause);
    LIST_INSERT_HEAD(&lookups->queues, queue, next);
    lookups->n++;
    return queue;
}

static struct queue *find_queue(struct lookups *lookups, const char *namespace_)
{
    struct queue *queue;

    LIST_FOREACH(queue, &lookups->queues, next)
        if (strcmp(queue->namespace_, namespace_) == 0)
            return queue;
    return lookups->n < LOOKUPS_NAMESPACES_MAX ? add_queue(lookups, namespace_) : NULL;
}

struct lookups *lookups_new(struct kube_client *client)
{
    struct lookups *lookups = calloc(1, sizeof *lookups);

    if (lookups)
        lookups->client = client;
    return lookups;
}

void lookups_free(struct lookups *lookups)
{
    if (!lookups)
        return;
    while (!LIST_EMPTY(&lookups->queues))
        remove_queue(LIST_FIRST(&lookups->queues));
    free(lookups);
}

/* ---- Requests ------------------------------------------------------------------------------ */

/* The gate's name when all ask for the same one, else NULL. */
static const char *only_name(const struct waiters *waiters)
{
    const struct waiter *first = STAILQ_FIRST(waiters), *waiter;

    STAILQ_FOREACH(waiter, waiters, next)
        if (strcmp(waiter->name, first->name) != 0)
            return NULL;
    return first->name;
}

/* A small answer has room always, a larger one while all together are not too large. */
static int take_bytes(void *data, const char *bytes, size_t len, struct error *err)
{
    struct queue *queue = data;
    struct lookups *lookups = queue->lookups;
    bool small = queue->answer.len + len <= LOOKUPS_SMALL;

    if (!small && lookups->bytes + len > LOOKUPS_ROOM)
        return error_set(err, -E2BIG, "the answers of all lookups are too large");
    buf_add(&queue->answer, bytes, len);
    if (buf_error(&queue->answer))
        return error_set(err, buf_error(&queue->answer), "the answer is too large");
    lookups->bytes += len;
    return 0;
}

/* A review may name any namespace, and a path with ".." in it leads elsewhere: what counts is what
 * the object says. */
static bool is_asked_for(const struct queue *queue, const struct node *object)
{
    const struct node *metadata = node_get(object, "metadata");
    const char *name = node_string(node_get(metadata, "name"));
    const char *namespace_ = node_string(node_get(metadata, "namespace"));
    const struct waiter *waiter;

    if (!name || !namespace_ || strcmp(namespace_, queue->namespace_) != 0)
        return false;
    STAILQ_FOREACH(waiter, &queue->asking, next)
        if (strcmp(waiter->name, name) == 0)
            return true;
    return false;
}

struct found {
    struct gate **list;
    size_t n;
};

static void found_done(struct found *found)
{
    for (size_t i = 0; i < found->n; i++)
        gate_free(found->list[i]);
    free((void *)found->list);
}

static void add_found(const struct queue *queue, const struct node *object, struct found *ret)
{
    json_auto_t *copy = is_asked_for(queue, object) ? object_to_json(object, &kube_gitgates) : NULL;
    CLEANUP(free_gate) struct gate *gate = copy ? gate_new(copy) : NULL;
    struct gate **list =
        gate ? reallocarray((void *)ret->list, ret->n + 1, sizeof(struct gate *)) : NULL;

    if (!list)
        return;
    ret->list = list;
    list[ret->n++] = TAKE_PTR(gate);
}

/* Each by itself: one that can't be read spoils no other, and refuses its pods, as the watch has
 * it. */
static void read_object(const struct queue *queue, struct json_span text, struct found *ret)
{
    cleanup_document struct document document = DOCUMENT_INIT;
    cleanup_buf struct buf known = BUF_INIT(KNOWN_MAX);
    int r;

    object_write_known(&known, text); /* before the text is changed */
    r = object_parse(text.at, text.len, &document, NULL);
    if (r == -EBADMSG)
        r = object_parse(known.data, known.len, &document, NULL);
    if (r == 0)
        add_found(queue, document_root(&document), ret);
}

/* False when it is no list that is whole. */
static bool read_list(const struct queue *queue, struct json_span items, struct found *ret)
{
    struct json_span item = json_span_next(items, (struct json_span){0}), behind;

    if (*items.at == 'n') /* null */
        return true;
    for (; item.at; item = behind) {
        behind = json_span_next(items, item);
        read_object(queue, item, ret);
    }
    return item.whole;
}

/* A GitGate, or a list of them. False when it is neither, nor that there is none. */
static bool read_answer(const struct queue *queue, const struct kube_response *response,
                        struct found *ret)
{
    struct json_span answer = json_span_of(queue->answer.data, queue->answer.len);
    struct json_span items = json_span_get(answer, "items");

    if (response->err.code || !answer.whole || *answer.at != '{')
        return response->err.code == -ENOENT;
    if (items.at)
        return read_list(queue, items, ret);
    read_object(queue, answer, ret);
    return true;
}

static void go_on(struct queue *queue);

/* Those that have come meanwhile are asked for when the pause is over, too. */
static void on_answer(void *data, const struct kube_response *response)
{
    struct queue *queue = data;
    CLEANUP(found_done) struct found found = {0};
    struct waiters answered = STAILQ_HEAD_INITIALIZER(answered);
    struct waiter *waiter;
    bool told;

    queue->request = NULL;
    told = read_answer(queue, response, &found);
    drop_answer(queue);
    STAILQ_CONCAT(&answered, &queue->asking);
    go_on(queue);
    STAILQ_FOREACH(waiter, &answered, next)
        waiter->done(waiter->data, (struct gate_list){found.list, found.n}, told);
    drop(&answered);
}

static void on_pause_over(uv_timer_t *timer)
{
    go_on(timer->data);
}

static bool start_request(struct queue *queue)
{
    cleanup_buf struct buf path = BUF_INIT(PATH_MAX_LEN);
    struct kube_request_spec spec = {.method = "GET",
                                     .timeout_ms = LOOKUPS_TIMEOUT_MS,
                                     .stream = take_bytes,
                                     .done = on_answer,
                                     .data = queue};

    kube_path(&kube_gitgates, queue->namespace_, only_name(&queue->asking), NULL, &path);
    spec.path = path.data;
    queue->request =
        buf_error(&path) ? NULL : kube_request_start(queue->lookups->client, &spec, NULL);
    return queue->request != NULL;
}

/* A request that can't be made is tried again a pause later. */
static void begin(struct queue *queue)
{
    uv_timer_start(&queue->pause, on_pause_over, LOOKUPS_PAUSE_MS, 0);
    STAILQ_CONCAT(&queue->asking, &queue->waiting);
    if (!start_request(queue))
        STAILQ_CONCAT(&queue->waiting, &queue->asking);
}

static void go_on(struct queue *queue)
{
    if (queue->request || uv_is_active((uv_handle_t *)&queue->pause))
        return;
    if (STAILQ_EMPTY(&queue->waiting))
        remove_queue(queue);
    else
        begin(queue);
}

bool lookups_ask(struct lookups *lookups, const char *namespace_, const char *name,
                 lookups_done_fn *done, void *data)
{
    struct waiter *waiter = malloc(sizeof *waiter);
    struct queue *queue = waiter ? find_queue(lookups, namespace_) : NULL;

    if (!queue) {
        free(waiter);
        return false;
    }
    *waiter = (struct waiter){.name = name, .done = done, .data = data};
    STAILQ_INSERT_TAIL(&queue->waiting, waiter, next);
    go_on(queue);
    return true;
}
