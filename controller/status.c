#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/gitgate.h"
#include "base/timestamp.h"

#define REASON_READY "Ready"

static struct condition condition_of(const char *type)
{
    return (struct condition){
        .type = type, .status = "True", .message = BUF_INIT(CONDITION_MESSAGE_MAX)};
}

void conditions_init(struct conditions *conditions)
{
    conditions->credentials_resolved = condition_of("CredentialsResolved");
    conditions->rendered = condition_of("Rendered");
    conditions->upstreams_resolved = condition_of("UpstreamsResolved");
    conditions->selector_idle = false;
}

void conditions_done(struct conditions *conditions)
{
    buf_done(&conditions->credentials_resolved.message);
    buf_done(&conditions->rendered.message);
    buf_done(&conditions->upstreams_resolved.message);
}

__attribute__((format(printf, 2, 0))) static void add_message(struct condition *condition,
                                                              const char *fmt, va_list ap)
{
    char text[CONDITION_MESSAGE_MAX];

    if (vsnprintf(text, sizeof text, fmt, ap) >= (int)sizeof text)
        cut_at_character(text);
    if (condition->message.len)
        buf_adds(&condition->message, "; ");
    buf_adds(&condition->message, text); /* past the cap: the first ones are enough */
}

void condition_fail(struct condition *condition, const char *reason, const char *fmt, ...)
{
    va_list ap;

    if (strcmp(condition->status, "False") != 0) {
        condition->status = "False";
        condition->reason = reason;
        buf_reset(&condition->message);
    }
    va_start(ap, fmt);
    add_message(condition, fmt, ap);
    va_end(ap);
}

void condition_hold(struct condition *condition, const char *reason, const char *fmt, ...)
{
    va_list ap;

    if (strcmp(condition->status, "True") != 0)
        return;
    condition->reason = reason;
    va_start(ap, fmt);
    add_message(condition, fmt, ap);
    va_end(ap);
}

void condition_unknown(struct condition *condition, const char *reason, const char *message)
{
    condition->status = "Unknown";
    condition->reason = reason;
    buf_reset(&condition->message);
    buf_adds(&condition->message, message);
}

const json_t *condition_find(const json_t *list, const char *type)
{
    size_t i;
    json_t *element;

    json_array_foreach((json_t *)list, i, element) {
        const char *text = json_string_value(json_object_get(element, "type"));

        if (text && strcmp(text, type) == 0)
            return element;
    }
    return NULL;
}

static json_t *condition_json(const struct condition *condition, const json_t *before,
                              uint64_t generation, time_t now)
{
    const json_t *old = condition_find(before, condition->type);
    const char *old_status = json_string_value(json_object_get(old, "status"));
    const char *since = json_string_value(json_object_get(old, "lastTransitionTime"));
    char text[TIMESTAMP_SIZE];

    if (!since || !old_status || strcmp(old_status, condition->status) != 0) {
        timestamp_format(&(struct timespec){.tv_sec = now}, TIMESTAMP_S, text);
        since = text;
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s}", "type", condition->type, "status",
                     condition->status, "reason", condition->reason, "message",
                     condition->message.data, "observedGeneration", (json_int_t)generation,
                     "lastTransitionTime", since);
}

/* True when all the others are; else with the reason and messages of those that stand against it.
 * What can't be said now only speaks when nothing is known to be wrong. */
static void sum_up(const struct conditions *conditions, struct condition *ready)
{
    const struct condition *parts[] = {&conditions->rendered, &conditions->credentials_resolved,
                                       &conditions->upstreams_resolved};
    const size_t n = sizeof parts / sizeof *parts;

    *ready = condition_of("Ready");
    for (size_t i = 0; i < n; i++)
        if (strcmp(parts[i]->status, "False") == 0)
            condition_fail(ready, parts[i]->reason, "%s", parts[i]->message.data);
    for (size_t i = 0; i < n && strcmp(ready->status, "True") == 0; i++)
        if (strcmp(parts[i]->status, "Unknown") == 0)
            condition_unknown(ready, parts[i]->reason, parts[i]->message.data);
    if (conditions->selector_idle)
        condition_hold(ready, REASON_SELECTOR_IDLE,
                       "pods that name this gate can use it; its podSelector counts once the "
                       "namespace has the label " GITGATE_LABEL_INJECTION "=enabled");
    else
        condition_hold(ready, REASON_READY, "pods can use this gate");
}

json_t *conditions_json(const struct conditions *conditions, const json_t *before,
                        uint64_t generation, time_t now)
{
    struct condition ready;
    json_t *list;

    sum_up(conditions, &ready);
    list = json_pack("[o, o, o, o]", condition_json(&ready, before, generation, now),
                     condition_json(&conditions->credentials_resolved, before, generation, now),
                     condition_json(&conditions->rendered, before, generation, now),
                     condition_json(&conditions->upstreams_resolved, before, generation, now));
    buf_done(&ready.message);
    return list;
}
