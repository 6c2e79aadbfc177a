#include "source.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/expression.h"
#include "data/gitleaks.h"

static int bad(struct error *err, const char *where, const char *key, const char *what)
{
    return error_set(err, -EINVAL, "%s: \"%s\" must be %s", where, key, what);
}

/* ---- fields ---- */

enum kind { TEXT, TEXTS, NUMBER, WHOLE, FLAG };

struct field {
    const char *key;
    enum kind kind;
};

static bool is_texts(const json_t *value)
{
    json_t *item;
    size_t i;

    json_array_foreach(value, i, item) {
        if (!json_is_string(item))
            return false;
    }
    return json_is_array(value);
}

static const char *fits(const json_t *value, enum kind kind)
{
    switch (kind) {
    case TEXT:
        return json_is_string(value) ? NULL : "a string";
    case TEXTS:
        return is_texts(value) ? NULL : "a list of strings";
    case NUMBER:
        return json_is_number(value) ? NULL : "a number";
    case WHOLE:
        return json_is_integer(value) ? NULL : "a whole number";
    case FLAG:
        return json_is_boolean(value) ? NULL : "true or false";
    }
    return "something else";
}

static int copy_fields(const json_t *from, const struct field *fields, size_t n, json_t *to,
                       const char *where, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        json_t *value = gitleaks_config_get(from, fields[i].key);
        const char *wanted = value ? fits(value, fields[i].kind) : NULL;

        if (wanted)
            return bad(err, where, fields[i].key, wanted);
        if (value)
            json_object_set(to, fields[i].key, value);
    }
    return 0;
}

#define COPY(from, fields, to, where, err)                                                         \
    copy_fields(from, fields, sizeof(fields) / sizeof *(fields), to, where, err)

/* ---- allow lists ---- */

static const struct field allowlist_fields[] = {
    {"condition", TEXT}, {"commits", TEXTS},    {"paths", TEXTS},
    {"regexes", TEXTS},  {"regexTarget", TEXT}, {"stopwords", TEXTS},
};

static int add_allowlist(const json_t *from, json_t *list, const char *where, struct error *err)
{
    json_t *to = json_object();
    int r = json_is_object(from) ? COPY(from, allowlist_fields, to, where, err)
                                 : bad(err, where, "allowlists", "tables");

    json_array_append_new(list, to);
    return r;
}

/* [[allowlists]], and the [allowlist] of older files: a new list. */
static json_t *allowlists_of(const json_t *from)
{
    json_t *all = json_array(), *one = gitleaks_config_get(from, "allowlist"),
           *many = gitleaks_config_get(from, "allowlists");

    if (one)
        json_array_append(all, one);
    if (many)
        json_array_extend(all, many);
    return all;
}

static int read_allowlists(const json_t *from, json_t *list, const char *where, struct error *err)
{
    json_auto_t *all = allowlists_of(from);
    const json_t *many = gitleaks_config_get(from, "allowlists"), *item;
    size_t i;
    int r = 0;

    if (many && !json_is_array(many))
        return bad(err, where, "allowlists", "tables");
    json_array_foreach(all, i, item) {
        /* For some rules only: theirs, not everybody's. */
        if (r == 0 && json_array_size(gitleaks_config_get(item, "targetRules")) == 0)
            r = add_allowlist(item, list, where, err);
    }
    return r;
}

static bool targets(const json_t *allowlist, const char *id)
{
    json_t *target;
    size_t i;

    json_array_foreach(gitleaks_config_get(allowlist, "targetRules"), i, target) {
        const char *text = json_string_value(target);

        if (text && strcmp(text, id) == 0)
            return true;
    }
    return false;
}

static int read_targeted(const json_t *config, const char *id, json_t *list, struct error *err)
{
    json_auto_t *all = allowlists_of(config);
    const json_t *item;
    size_t i;
    int r = 0;

    json_array_foreach(all, i, item) {
        if (r == 0 && targets(item, id))
            r = add_allowlist(item, list, id, err);
    }
    return r;
}

/* ---- rules ---- */

static const struct field rule_fields[] = {
    {"id", TEXT},        {"regex", TEXT},        {"path", TEXT},       {"keywords", TEXTS},
    {"entropy", NUMBER}, {"secretGroup", WHOLE}, {"skipReport", FLAG},
};

static const struct field required_fields[] = {
    {"id", TEXT}, {"withinLines", WHOLE}, {"withinColumns", WHOLE}};

static int read_required(const json_t *from, json_t *rule, const char *where, struct error *err)
{
    const json_t *list = gitleaks_config_get(from, "required"), *item;
    json_t *to = json_array();
    size_t i;
    int r = 0;

    json_object_set_new(rule, "required", to);
    json_array_foreach(list, i, item) {
        json_t *entry = json_object();

        json_array_append_new(to, entry);
        if (r == 0)
            r = COPY(item, required_fields, entry, where, err);
    }
    return r;
}

static bool is_ascii(const char *text)
{
    while (*text && !(*text & 0x80))
        text++;
    return !*text;
}

/* Keywords are compared in lower case. gitleaks knows that of all letters, what finds for it of
 * ASCII's: a rule with others is looked for without its keywords, so more is found, never less. */
static int lower_keywords(json_t *rule, struct error *err)
{
    json_t *list = json_array(), *keyword;
    size_t i;

    json_array_foreach(json_object_get(rule, "keywords"), i, keyword) {
        char *text = strdup(json_string_value(keyword));

        if (!text) {
            json_decref(list);
            return error_errno(err, -ENOMEM, "cannot read the rules");
        }
        if (!is_ascii(text)) {
            free(text);
            json_array_clear(list);
            break;
        }
        for (char *c = text; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        json_array_append_new(list, json_string(text));
        free(text);
    }
    json_object_set_new(rule, "keywords", list);
    return 0;
}

/* "^" and "$" are a line's ends here, also where "(?m)" is not said: content is judged in parts, of
 * which only the gate knows where they begin. What can't be read may have a "^", too; it stays as
 * it is but for that, and is named when it is compiled. */
static int look_at_lines(json_t *rule, struct error *err)
{
    const char *regex = json_string_value(json_object_get(rule, "regex"));
    cleanup_expression struct expression expression = EXPRESSION_INIT;
    int r = regex && *regex ? expression_parse(regex, EXPRESSION_EXACT, &expression, NULL) : 0;

    if (r == -ENOMEM)
        return error_errno(err, r, "cannot read the rules");
    if (r < 0 || expression.from_text)
        json_object_set_new(rule, "regex", json_sprintf("(?m)%s", regex));
    return 0;
}

static int read_rule(const json_t *config, const json_t *from, size_t i, json_t *rules,
                     struct error *err)
{
    json_t *rule = json_object(), *allowlists = json_array();
    const char *id;
    char where[64];
    int r;

    snprintf(where, sizeof where, "rules[%zu]", i);
    json_array_append_new(rules, rule);
    json_object_set_new(rule, "allowlists", allowlists);
    if (!json_is_object(from))
        return bad(err, "rules", where, "a table");
    r = COPY(from, rule_fields, rule, where, err);
    id = json_string_value(json_object_get(rule, "id"));
    if (r == 0 && (!id || !*id))
        r = bad(err, where, "id", "set");
    if (r == 0 && !json_object_get(rule, "regex") && !json_object_get(rule, "path"))
        r = error_set(err, -EINVAL, "%s: rule \"%.100s\" has neither a regex nor a path", where,
                      id);
    if (r == 0)
        r = read_required(from, rule, where, err);
    if (r == 0)
        r = read_allowlists(from, allowlists, where, err);
    if (r == 0)
        r = read_targeted(config, id, allowlists, err);
    if (r == 0)
        r = lower_keywords(rule, err);
    return r < 0 ? r : look_at_lines(rule, err);
}

static const struct field config_fields[] = {{"marker", TEXT}};

int source_read(const json_t *config, json_t **ret, struct error *err)
{
    json_auto_t *to = json_pack("{s:[], s:[]}", "rules", "allowlists");
    const json_t *list = gitleaks_config_get(config, "rules"), *item;
    size_t i;
    int r = 0;

    if (!to)
        return error_errno(err, -ENOMEM, "cannot read the rules");
    if (list && !json_is_array(list))
        return bad(err, "the configuration", "rules", "tables");
    json_array_foreach(list, i, item) {
        if (r == 0)
            r = read_rule(config, item, i, json_object_get(to, "rules"), err);
    }
    if (r == 0)
        r = read_allowlists(config, json_object_get(to, "allowlists"), "the configuration", err);
    if (r == 0)
        r = COPY(config, config_fields, to, "the configuration", err);
    if (r == 0)
        *ret = json_incref(to);
    return r;
}
