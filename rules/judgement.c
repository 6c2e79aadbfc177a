#include "judgement.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* A JSON string is a TOML basic string, except that TOML wants DEL escaped. */
static void add_string(struct buf *to, const char *text)
{
    json_auto_t *value = json_string(text);
    char *quoted = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;

    if (!quoted)
        to->err = to->err ? to->err : -ENOMEM;
    for (const char *c = quoted; c && *c; c++)
        if (*c == 0x7f)
            buf_adds(to, "\\u007F");
        else
            buf_addc(to, *c);
    free(quoted);
}

static void add_text(struct buf *to, const char *key, const json_t *value)
{
    if (!value)
        return;
    buf_addf(to, "%s = ", key);
    add_string(to, json_string_value(value));
    buf_addc(to, '\n');
}

static void add_texts(struct buf *to, const char *key, const json_t *list)
{
    const json_t *item;
    size_t i;

    if (json_array_size(list) == 0)
        return;
    buf_addf(to, "%s = [", key);
    json_array_foreach(list, i, item) {
        buf_adds(to, i ? ", " : "");
        add_string(to, json_string_value(item));
    }
    buf_adds(to, "]\n");
}

static void add_scalar(struct buf *to, const char *key, const json_t *value)
{
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;

    if (text)
        buf_addf(to, "%s = %s\n", key, text);
    free(text);
}

/* ---- paths ---- */

static void add_marker(struct buf *to, const json_t *pattern, bool of_rule, bool decides,
                       const struct markers *markers)
{
    buf_addf(to, "'''\\.%c%zu\\.'''", markers->letter, json_array_size(markers->patterns));
    json_array_append_new(markers->patterns, json_pack("{s:O, s:b, s:b}", "pattern", pattern,
                                                       "ofRule", of_rule, "decides", decides));
}

static void add_markers(struct buf *to, const json_t *patterns, const struct markers *markers)
{
    const json_t *pattern;
    size_t i;

    if (json_array_size(patterns) == 0)
        return;
    buf_adds(to, "paths = [");
    json_array_foreach(patterns, i, pattern) {
        buf_adds(to, i ? ", " : "");
        add_marker(to, pattern, false, false, markers);
    }
    buf_adds(to, "]\n");
}

/* ---- tables ---- */

void judgement_add_allowlists(struct buf *to, const char *table, const json_t *allowlists,
                              const struct markers *markers)
{
    const json_t *list;
    size_t i;

    json_array_foreach(allowlists, i, list) {
        buf_addf(to, "[[%s]]\n", table);
        add_text(to, "condition", json_object_get(list, "condition"));
        add_text(to, "regexTarget", json_object_get(list, "regexTarget"));
        add_texts(to, "commits", json_object_get(list, "commits"));
        add_texts(to, "regexes", json_object_get(list, "regexes"));
        add_texts(to, "stopwords", json_object_get(list, "stopwords"));
        add_markers(to, json_object_get(list, "paths"), markers);
    }
}

static void add_required(struct buf *to, const json_t *required)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(required, i, entry) {
        buf_adds(to, "[[rules.required]]\n");
        add_text(to, "id", json_object_get(entry, "id"));
        add_scalar(to, "withinLines", json_object_get(entry, "withinLines"));
        add_scalar(to, "withinColumns", json_object_get(entry, "withinColumns"));
    }
}

void judgement_add_rule(struct buf *to, const json_t *rule, const struct markers *markers)
{
    const json_t *path = json_object_get(rule, "path");

    buf_adds(to, "\n[[rules]]\n");
    add_text(to, "id", json_object_get(rule, "id"));
    add_text(to, "regex", json_object_get(rule, "regex"));
    if (path && *json_string_value(path)) {
        buf_adds(to, "path = ");
        add_marker(to, path, true, !json_object_get(rule, "regex"), markers);
        buf_addc(to, '\n');
    }
    add_texts(to, "keywords", json_object_get(rule, "keywords"));
    add_scalar(to, "entropy", json_object_get(rule, "entropy"));
    add_scalar(to, "secretGroup", json_object_get(rule, "secretGroup"));
    add_scalar(to, "skipReport", json_object_get(rule, "skipReport"));
    judgement_add_allowlists(to, "rules.allowlists", json_object_get(rule, "allowlists"), markers);
    add_required(to, json_object_get(rule, "required"));
}
