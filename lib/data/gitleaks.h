/* What of a gitleaks configuration decides how it is used here. */
#ifndef GITGATE_DATA_GITLEAKS_H
#define GITGATE_DATA_GITLEAKS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"
#include "data/problems.h"

#define GITLEAKS_CONFIG_MAX (256u << 10) /* bytes; gitleaks' own has 110 kB */

/* The member of one of its tables, borrowed; NULL when there is none. gitleaks reads its
 * configuration without regard to the case of keys (it uses viper). */
json_t *gitleaks_config_get(const json_t *object, const char *key);

/* Makes `value` the only one of that key, however it was spelt. Steals `value`, and fails for NULL.
 * -1 when there is no memory. */
int gitleaks_config_set_new(json_t *object, const char *key, json_t *value);

/* Reads it, as TOML; *ret is the caller's (decref). -EINVAL for what can't be used: no TOML, a rule
 * that is none, one that is continued in a file or at a URL (extend.path, extend.url), and what
 * gitleaks takes for something else than is written: two keys of one table that are the same to it,
 * a key with a dot, a text in the place of a list. */
int gitleaks_config_read(const char *text, size_t len, json_t **ret, struct error *err);

/* extend.useDefault: gitleaks' own rules are used, too. */
bool gitleaks_config_extends(const json_t *config);

/* Whether it changes or disables (extend.disabledRules) that rule of gitleaks' own. */
bool gitleaks_config_changes(const json_t *config, const char *id);

/* The configuration with gitleaks' own rules, `base`, in it: less those that it disables; one that
 * it has too is changed by it, as gitleaks does (config/config.go, extend()): what it sets stands
 * for the base's, its keywords and allow lists are added to the base's. The caller's (decref); NULL
 * when there is no memory. */
json_t *gitleaks_config_extend(const json_t *config, const json_t *base);

/* What is used otherwise than it says, told in `problems` with this path: rules that can't be found
 * by Vectorscan, so that all content goes to gitleaks. */
void gitleaks_config_look(const json_t *config, const char *path, struct problems *problems);

#endif
