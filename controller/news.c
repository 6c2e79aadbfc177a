#include "news.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "status.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static bool is_same(const json_t *a, const json_t *b, const char *key)
{
    return strcmp(text_of(a, key), text_of(b, key)) == 0;
}

/* Steals nothing; a note that is too long is cut at a character. `key` NULL: the note itself. */
static void tell(json_t *news, bool warn, const char *reason, const char *note, const char *key)
{
    char cut[NEWS_NOTE_MAX + 1];

    if (snprintf(cut, sizeof cut, "%s", note) >= (int)sizeof cut)
        cut_at_character(cut);
    json_array_append_new(news,
                          json_pack("{s:s, s:s, s:s, s:s}", "type", warn ? "Warning" : "Normal",
                                    "reason", reason, "note", cut, "key", key ? key : cut));
}

/* ---- Conditions --------------------------------------------------------------------------- */

static bool is_true(const json_t *condition)
{
    return strcmp(text_of(condition, "status"), "True") == 0;
}

/* What is wrong is told by the condition that says so; that all is well again, by Ready, which sums
 * them up. One that holds for another reason than before (addresses that are kept) is told too. */
static void tell_condition(json_t *news, const json_t *old, const json_t *condition)
{
    bool is_ready = strcmp(text_of(condition, "type"), "Ready") == 0;
    bool changed = !is_same(old, condition, "status") || !is_same(old, condition, "reason") ||
                   !is_same(old, condition, "message");

    if (!changed)
        return;
    if (is_ready && is_true(condition) && old && !is_true(old))
        tell(news, false, text_of(condition, "reason"), text_of(condition, "message"), NULL);
    else if (!is_ready && !is_true(condition))
        tell(news, true, text_of(condition, "reason"), text_of(condition, "message"), NULL);
    else if (!is_ready && old && is_true(old) && !is_same(old, condition, "reason"))
        tell(news, strcmp(text_of(condition, "reason"), REASON_KEPT) == 0,
             text_of(condition, "reason"), text_of(condition, "message"), NULL);
}

static void tell_conditions(json_t *news, const json_t *before, const json_t *after)
{
    const json_t *old = json_object_get(before, "conditions");
    json_t *condition;
    size_t i;

    json_array_foreach(json_object_get(after, "conditions"), i, condition) {
        tell_condition(news, condition_find(old, text_of(condition, "type")), condition);
    }
}

/* ---- Pods --------------------------------------------------------------------------------- */

static json_int_t count_in(const json_t *status, const char *key)
{
    return json_integer_value(json_object_get(json_object_get(status, "pods"), key));
}

/* Only more of them are news. The key is the reason: a rollout that changes the number with each
 * pod is one Event, with the names that it began with. */
static void tell_group(json_t *news, const json_t *before, const json_t *after, const char *key,
                       const struct pod_group *group, const char *reason, const char *what)
{
    char note[NEWS_NOTE_MAX + 1];

    if (!group->n || count_in(after, key) <= count_in(before, key))
        return;
    snprintf(note, sizeof note, "%zu pod%s %s: %s%s", group->n, group->n == 1 ? "" : "s", what,
             group->names, group->n > CENSUS_NAMES ? ", ..." : "");
    tell(news, true, reason, note, reason);
}

json_t *news_of(const json_t *before, const json_t *after, const struct census *census)
{
    json_t *news = json_array();

    if (!news)
        return NULL;
    tell_conditions(news, before, after);
    if (!census)
        return news;
    tell_group(news, before, after, "outdated", &census->outdated, "PodsOutdated",
               "made for an earlier version of this gate; make anew to have the present one");
    tell_group(news, before, after, "missing", &census->missing, "PodsMissing",
               "selected by this gate but without it, since not made through the webhook; "
               "make anew");
    return news;
}
