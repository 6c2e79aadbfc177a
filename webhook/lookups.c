#include "lookups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/cleanup.h"
#include "kube/resource.h"

#define PATH_MAX_LEN 1024

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
    uv_timer_t pause;             /* runs from a request's start */
    LIST_ENTRY(queue) next;
};

struct lookups {
    struct kube_client *client;
    size_t n; /* queues */
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

/* A review may name any namespace, and a path with ".." in it leads elsewhere: what counts is what
 * the object says. */
static bool is_asked_for(const struct queue *queue, const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const char *name = json_string_value(json_object_get(metadata, "name"));
    const char *namespace_ = json_string_value(json_object_get(metadata, "namespace"));
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

static void add_found(const struct queue *queue, const json_t *object, struct found *ret)
{
    CLEANUP(free_gate) struct gate *gate = is_asked_for(queue, object) ? gate_new(object) : NULL;
    struct gate **list =
        gate ? reallocarray((void *)ret->list, ret->n + 1, sizeof(struct gate *)) : NULL;

    if (!list)
        return;
    ret->list = list;
    list[ret->n++] = TAKE_PTR(gate);
}

/* A GitGate, or a list of them. False when it is neither, nor that there is none. */
static bool read_answer(const struct queue *queue, const struct kube_response *response,
                        struct found *ret)
{
    json_auto_t *answer =
        response->err.code ? NULL : json_loadb(response->body, response->len, 0, NULL);
    const json_t *items = json_object_get(answer, "items");
    const json_t *item;
    size_t i;

    json_array_foreach(items, i, item)
        add_found(queue, item, ret);
    if (answer && !items)
        add_found(queue, answer, ret);
    return answer || response->err.code == -ENOENT;
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
    struct kube_request_spec spec = {
        .method = "GET", .timeout_ms = LOOKUPS_TIMEOUT_MS, .done = on_answer, .data = queue};

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
