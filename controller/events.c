#include "events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/timestamp.h"
#include "controller.h"
#include "kube/apply.h"
#include "state.h"

/* client-go's: an Event's series ends six minutes after the last one; a source tells of one object
 * 25 times at once and then once in five minutes. */
#define SERIES_MS (6 * 60 * 1000u)
#define BUDGET 25u
#define REFILL_MS (5 * 60 * 1000u)

#define SOURCE GITGATE_GROUP "/controller" /* reportingController: a qualified name */

static void on_answer(void *data, const struct kube_response *response)
{
    const struct controller *controller = data;

    if (response->err.code)
        log_debug(controller->log, "an event was not written",
                  json_pack("{s:s}", "error", response->err.msg));
}

static const char *metadata_of(const json_t *gate, const char *key)
{
    const char *text = json_string_value(json_object_get(json_object_get(gate, "metadata"), key));

    return text ? text : "";
}

/* ---- Budget and memory -------------------------------------------------------------------- */

static struct events *events_of(struct gate_state *state, uint64_t now)
{
    struct events *events = state->events;

    if (!events) {
        events = state->events = calloc(1, sizeof *events);
        if (!events)
            return NULL;
        events->budget = BUDGET;
        events->refilled = now;
    }
    while (events->budget < BUDGET && now - events->refilled >= REFILL_MS) {
        events->budget++;
        events->refilled += REFILL_MS;
    }
    if (events->budget == BUDGET)
        events->refilled = now;
    return events;
}

/* The one with that key that is still new enough; or NULL. */
static struct told *find(struct events *events, const struct digest *key, uint64_t now)
{
    for (size_t i = 0; i < EVENTS_REMEMBERED; i++) {
        struct told *told = &events->told[i];

        if (digest_equal(&told->key, key) && now - told->last < SERIES_MS)
            return told;
    }
    return NULL;
}

static struct told *oldest(struct events *events)
{
    struct told *found = &events->told[0];

    for (size_t i = 1; i < EVENTS_REMEMBERED; i++)
        if (events->told[i].last < found->last)
            found = &events->told[i];
    return found;
}

/* ---- Writing ------------------------------------------------------------------------------ */

static void count_up(struct controller *controller, const char *ns, struct told *told)
{
    char now[TIMESTAMP_SIZE];
    json_auto_t *operations = NULL;

    timestamp_now(TIMESTAMP_US, now);
    told->count++;
    operations = json_pack("[{s:s, s:s, s:{s:i, s:s}}]", "op", "add", "path", "/series", "value",
                           "count", (int)told->count, "lastObservedTime", now);
    if (operations)
        kube_json_patch(controller->client, &kube_events, ns, told->name, operations, on_answer,
                        controller, NULL);
}

static void set_name(struct told *told, const char *gate)
{
    uint64_t chance = 0;

    if (getrandom(&chance, sizeof chance, 0) != sizeof chance)
        chance = uv_hrtime();
    snprintf(told->name, sizeof told->name, "%.46s.%016llx", gate, (unsigned long long)chance);
}

static void write_new(struct controller *controller, const json_t *gate, const json_t *news,
                      struct told *told)
{
    const char *ns = metadata_of(gate, "namespace"), *name = metadata_of(gate, "name");
    struct kube_request_spec how = {.done = on_answer, .data = controller};
    json_auto_t *event = NULL;
    char now[TIMESTAMP_SIZE];

    set_name(told, name);
    told->count = 1;
    timestamp_now(TIMESTAMP_US, now);
    event = json_pack(
        "{s:s, s:s, s:{s:s, s:s}, s:s, s:s, s:s, s:s, s:O, s:O, s:O, s:{s:s, s:s, s:s, s:s, s:s}}",
        "apiVersion", "events.k8s.io/v1", "kind", "Event", "metadata", "namespace", ns, "name",
        told->name, "eventTime", now, "reportingController", SOURCE, "reportingInstance",
        controller->identity, "action", "Reconcile", "type", json_object_get(news, "type"),
        "reason", json_object_get(news, "reason"), "note", json_object_get(news, "note"),
        "regarding", "apiVersion", GITGATE_API_VERSION, "kind", GITGATE_KIND, "namespace", ns,
        "name", name, "uid", metadata_of(gate, "uid"));
    if (event)
        kube_create(controller->client, &kube_events, event, &how, NULL);
}

static void tell(struct controller *controller, struct events *events, const json_t *gate,
                 const json_t *news)
{
    const char *key = json_string_value(json_object_get(news, "key"));
    struct digest digest = digest_of(key, strlen(key));
    uint64_t now = uv_now(controller->loop);
    struct told *told = find(events, &digest, now);

    if (!events->budget)
        return;
    events->budget--;
    if (told) {
        count_up(controller, metadata_of(gate, "namespace"), told);
    } else {
        told = oldest(events);
        told->key = digest;
        write_new(controller, gate, news, told);
    }
    told->last = now;
}

void events_tell(struct controller *controller, struct gate_state *state, const json_t *gate,
                 const json_t *news)
{
    struct events *events;
    json_t *one;
    size_t i;

    if (!json_array_size(news) || controller->stopping)
        return;
    events = events_of(state, uv_now(controller->loop));
    json_array_foreach((json_t *)news, i, one) {
        if (events)
            tell(controller, events, gate, one);
    }
}
