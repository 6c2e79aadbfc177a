#include "data/gitleaks.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "data/expression.h"
#include "data/toml.h"

json_t *gitleaks_config_get(const json_t *object, const char *key)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)object, name, value) {
        if (strcasecmp(name, key) == 0)
            return value;
    }
    return NULL;
}

int gitleaks_config_set_new(json_t *object, const char *key, json_t *value)
{
    const char *name;
    json_t *other;
    void *next;

    json_object_foreach_safe(object, next, name, other) {
        if (strcasecmp(name, key) == 0)
            json_object_del(object, name);
    }
    return json_object_set_new(object, key, value);
}

/* ---- what it means to gitleaks, or nothing ---- */

/* gitleaks takes either of two keys that are the same to it, now this one, now that; and one with a
 * dot for a table in a table ("extend.useDefault" in quotes). `seen`: those before it, of its
 * table. */
static int check_key(const char *key, json_t *seen, struct error *err)
{
    cleanup_free char *lower = strdup(key);

    for (char *c = lower; c && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    if (strchr(key, '.'))
        return error_set(err, -EINVAL,
                         "the key \"%.100s\" has a dot, which gitleaks takes for a table's: write "
                         "it without quotes",
                         key);
    if (lower && json_object_get(seen, lower))
        return error_set(err, -EINVAL,
                         "\"%.100s\" is there twice, as gitleaks does not regard the case of keys",
                         key);
    if (!lower || json_object_set_new(seen, lower, json_true()) < 0)
        return error_set(err, -ENOMEM, "memory is short");
    return 0;
}

static int check_members(const json_t *value, struct error *err);

static int check_keys(const json_t *table, struct error *err)
{
    json_auto_t *seen = json_object();
    const char *key;
    json_t *value;
    int r = 0;

    json_object_foreach((json_t *)table, key, value) {
        if (r == 0)
            r = check_key(key, seen, err);
        if (r == 0)
            r = check_members(value, err);
    }
    return r;
}

static int check_members(const json_t *value, struct error *err)
{
    const json_t *item;
    size_t i;
    int r = 0;

    if (json_is_object(value))
        return check_keys(value, err);
    json_array_foreach(value, i, item) {
        if (r == 0)
            r = check_members(item, err);
    }
    return r;
}

static bool is_set(const json_t *value)
{
    return value && !(json_is_string(value) && json_string_length(value) == 0);
}

/* gitleaks takes one text for a list of it, and "true" or 1 for true (viper). Overlooked here, they
 * would let pass what gitleaks finds. */
static int check_list(const json_t *table, const char *key, struct error *err)
{
    const json_t *list = gitleaks_config_get(table, key), *item;
    bool right = !list || json_is_array(list);
    size_t i;

    json_array_foreach(list, i, item) {
        right = right && json_is_string(item);
    }
    return right ? 0 : error_set(err, -EINVAL, "\"%s\" must be a list of strings", key);
}

static int check_extend(const json_t *config, struct error *err)
{
    const json_t *extend = gitleaks_config_get(config, "extend"),
                 *use = gitleaks_config_get(extend, "useDefault");

    if (extend && !json_is_object(extend))
        return error_set(err, -EINVAL, "\"extend\" must be a table");
    if (use && !json_is_boolean(use))
        return error_set(err, -EINVAL, "extend.useDefault must be true or false, without quotes");
    if (is_set(gitleaks_config_get(extend, "path")) || is_set(gitleaks_config_get(extend, "url")))
        return error_set(err, -EINVAL,
                         "extend.path and extend.url lead out of the gate: write those rules here");
    return check_list(extend, "disabledRules", err);
}

static int check_allowlists(const json_t *config, struct error *err)
{
    const json_t *list = gitleaks_config_get(config, "allowlists"), *item;
    int r = check_list(gitleaks_config_get(config, "allowlist"), "targetRules", err);
    size_t i;

    json_array_foreach(list, i, item) {
        if (r == 0)
            r = check_list(item, "targetRules", err);
    }
    return r;
}

/* What can't be found by Vectorscan goes to gitleaks, but this would find nothing there either. */
static int check_regex(const char *regex, size_t i, struct error *err)
{
    cleanup_expression struct expression expression = EXPRESSION_INIT;
    struct error why = ERROR_INIT;

    if (!regex || expression_parse(regex, EXPRESSION_EXACT, &expression, &why) != -ENOTSUP)
        return 0;
    return error_set(err, -EINVAL, "rules[%zu]: its regex %s", i, why.msg);
}

static int check_rules(const json_t *config, struct error *err)
{
    const json_t *rules = gitleaks_config_get(config, "rules"), *rule;
    bool extends = gitleaks_config_extends(config);
    size_t i;

    if (rules && !json_is_array(rules))
        return error_set(err, -EINVAL, "\"rules\" must be tables");
    if (json_array_size(rules) == 0 && !extends)
        return error_set(err, -EINVAL, "has no rules, and no extend.useDefault");
    json_array_foreach(rules, i, rule) {
        const json_t *id = gitleaks_config_get(rule, "id"),
                     *regex = gitleaks_config_get(rule, "regex");

        if (!json_is_string(id) || !is_set(id) || (regex && !json_is_string(regex)) ||
            (!is_set(regex) && !is_set(gitleaks_config_get(rule, "path")) &&
             !extends)) /* then it may change one of gitleaks' */
            return error_set(err, -EINVAL, "rules[%zu] needs an id, and a regex or a path", i);
        if (check_list(rule, "keywords", err) < 0)
            return error_wrap(err, -EINVAL, "rules[%zu]", i);
        if (check_regex(json_string_value(regex), i, err) < 0)
            return -EINVAL;
    }
    return 0;
}

int gitleaks_config_read(const char *text, size_t len, json_t **ret, struct error *err)
{
    json_auto_t *config = NULL;
    int r;

    if (len > GITLEAKS_CONFIG_MAX)
        return error_set(err, -EINVAL, "is larger than %u KiB", GITLEAKS_CONFIG_MAX >> 10);
    r = toml_parse(text, len, "gitleaks.toml", &config, err);
    if (r == 0)
        r = check_keys(config, err);
    if (r == 0)
        r = check_extend(config, err);
    if (r == 0)
        r = check_allowlists(config, err);
    if (r == 0)
        r = check_rules(config, err);
    if (r == 0)
        *ret = json_incref(config);
    return r;
}

bool gitleaks_config_extends(const json_t *config)
{
    return json_is_true(gitleaks_config_get(gitleaks_config_get(config, "extend"), "useDefault"));
}

/* ---- beside gitleaks' own rules ---- */

static bool disables(const json_t *config, const char *id)
{
    const json_t *list =
        gitleaks_config_get(gitleaks_config_get(config, "extend"), "disabledRules");
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item) {
        if (json_is_string(item) && strcmp(json_string_value(item), id) == 0)
            return true;
    }
    return false;
}

/* The last one of that id, as gitleaks keeps that; NULL when there is none. */
static const json_t *find_rule(const json_t *rules, const char *id)
{
    const json_t *found = NULL, *rule;
    size_t i;

    json_array_foreach(rules, i, rule) {
        const char *other = json_string_value(gitleaks_config_get(rule, "id"));

        if (other && strcmp(other, id) == 0)
            found = rule;
    }
    return found;
}

bool gitleaks_config_changes(const json_t *config, const char *id)
{
    return disables(config, id) || find_rule(gitleaks_config_get(config, "rules"), id);
}

static int set_value(json_t *rule, const char *key, json_t *value)
{
    bool set = json_is_number(value) ? json_number_value(value) != 0 : is_set(value);

    return set ? json_object_set(rule, key, value) : 0;
}

static int add_values(json_t *rule, const char *key, json_t *values)
{
    json_auto_t *all = json_array(), *before = json_incref(json_object_get(rule, key));
    int r = before ? json_array_extend(all, before) : 0;

    if (r == 0 && json_is_array(values))
        r = json_array_extend(all, values);
    else if (r == 0 && values)
        r = json_array_append(all, values); /* the older [rules.allowlist] */
    return r < 0 ? r : json_object_set(rule, key, all);
}

/* json_copy leaves out what it has no memory for. */
static json_t *copy_whole(const json_t *object)
{
    json_t *copy = json_copy((json_t *)object);

    if (json_object_size(copy) == json_object_size(object))
        return copy;
    json_decref(copy);
    return NULL;
}

/* What is set stands for the base's, lists are added to the base's. */
static json_t *change_rule(const json_t *base, const json_t *by)
{
    static const char *const values[] = {"regex", "path", "entropy", "secretGroup"};
    json_auto_t *rule = copy_whole(base);
    int r = rule ? 0 : -1;

    for (size_t i = 0; r == 0 && i < sizeof values / sizeof *values; i++)
        r = set_value(rule, values[i], gitleaks_config_get(by, values[i]));
    if (r == 0)
        r = add_values(rule, "keywords", gitleaks_config_get(by, "keywords"));
    if (r == 0)
        r = add_values(rule, "allowlists", gitleaks_config_get(by, "allowlists"));
    if (r == 0)
        r = add_values(rule, "allowlists", gitleaks_config_get(by, "allowlist"));
    return r == 0 ? json_incref(rule) : NULL;
}

static int add_base(const json_t *config, const json_t *base, json_t *to)
{
    const json_t *own = gitleaks_config_get(config, "rules"), *rule;
    size_t i;
    int r = 0;

    json_array_foreach(base, i, rule) {
        const char *id = json_string_value(json_object_get(rule, "id"));
        const json_t *by = find_rule(own, id);

        if (r == 0 && !disables(config, id))
            r = by ? json_array_append_new(to, change_rule(rule, by))
                   : json_array_append(to, (json_t *)rule);
    }
    return r;
}

static int add_own(const json_t *config, const json_t *base, json_t *to)
{
    const json_t *rule;
    size_t i;
    int r = 0;

    json_array_foreach(gitleaks_config_get(config, "rules"), i, rule) {
        const char *id = json_string_value(gitleaks_config_get(rule, "id"));

        if (r == 0 && (disables(config, id) || !find_rule(base, id)))
            r = json_array_append(to, (json_t *)rule);
    }
    return r;
}

json_t *gitleaks_config_extend(const json_t *config, const json_t *base)
{
    json_auto_t *rules = json_array(), *extended = copy_whole(config);

    if (!rules || !extended || add_base(config, base, rules) < 0 ||
        add_own(config, base, rules) < 0)
        return NULL;
    if (gitleaks_config_set_new(extended, "rules", json_incref(rules)) < 0)
        return NULL;
    return json_incref(extended);
}

/* ---- what is used otherwise ---- */

void gitleaks_config_look(const json_t *config, const char *path, struct problems *problems)
{
    const json_t *rule;
    size_t i;

    json_array_foreach(gitleaks_config_get(config, "rules"), i, rule) {
        const char *regex = json_string_value(gitleaks_config_get(rule, "regex"));
        cleanup_expression struct expression expression = EXPRESSION_INIT;
        struct error why = ERROR_INIT;

        if (regex && *regex &&
            expression_parse_rule(regex, EXPRESSION_EXACT, &expression, &why) < 0)
            problems_add(problems, path,
                         "rule \"%.100s\": its regex %s. So all that is pushed goes to gitleaks, "
                         "which is slow",
                         json_string_value(gitleaks_config_get(rule, "id")), why.msg);
    }
}
