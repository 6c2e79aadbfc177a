#include "data/gitleaks.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

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

static bool is_set(const json_t *value)
{
    return value && !(json_is_string(value) && json_string_length(value) == 0);
}

static int check_rules(const json_t *config, struct error *err)
{
    const json_t *rules = gitleaks_config_get(config, "rules"), *rule;
    size_t i;

    if (rules && !json_is_array(rules))
        return error_set(err, -EINVAL, "\"rules\" must be tables");
    json_array_foreach(rules, i, rule) {
        const json_t *id = gitleaks_config_get(rule, "id"),
                     *regex = gitleaks_config_get(rule, "regex");

        if (!json_is_string(id) || !is_set(id) || (regex && !json_is_string(regex)) ||
            (!is_set(regex) && !is_set(gitleaks_config_get(rule, "path"))))
            return error_set(err, -EINVAL, "rules[%zu] needs an id, and a regex or a path", i);
    }
    return 0;
}

int gitleaks_config_read(const char *text, size_t len, json_t **ret, struct error *err)
{
    json_auto_t *config = NULL;
    const json_t *extend;
    int r;

    if (len > GITLEAKS_CONFIG_MAX)
        return error_set(err, -EINVAL, "is larger than %u KiB", GITLEAKS_CONFIG_MAX >> 10);
    r = toml_parse(text, len, "gitleaks.toml", &config, err);
    if (r < 0)
        return r;
    extend = gitleaks_config_get(config, "extend");
    if (is_set(gitleaks_config_get(extend, "path")) || is_set(gitleaks_config_get(extend, "url")))
        return error_set(err, -EINVAL,
                         "extend.path and extend.url lead out of the gate: write those rules here");
    r = check_rules(config, err);
    if (r == 0 && json_array_size(gitleaks_config_get(config, "rules")) == 0 &&
        !gitleaks_config_extends(config))
        r = error_set(err, -EINVAL, "has no rules, and no extend.useDefault");
    if (r == 0)
        *ret = json_incref(config);
    return r;
}

bool gitleaks_config_extends(const json_t *config)
{
    return json_is_true(gitleaks_config_get(gitleaks_config_get(config, "extend"), "useDefault"));
}

void gitleaks_config_look(const json_t *config, const char *path, struct problems *problems)
{
    const json_t *rule;
    size_t i;

    if (json_array_size(
            gitleaks_config_get(gitleaks_config_get(config, "extend"), "disabledRules")) > 0)
        problems_add(problems, path,
                     "extend.disabledRules stay: name them in spec.scan.allow instead");
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
