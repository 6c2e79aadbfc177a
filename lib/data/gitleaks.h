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

/* Reads it, as TOML; *ret is the caller's (decref). -EINVAL for what can't be used: no TOML, a rule
 * that is none, one that is continued in a file or at a URL (extend.path, extend.url). */
int gitleaks_config_read(const char *text, size_t len, json_t **ret, struct error *err);

/* extend.useDefault: gitleaks' own rules are used beside these. */
bool gitleaks_config_extends(const json_t *config);

/* What is used otherwise than it says, told in `problems` with this path: rules that can't be found
 * by Vectorscan, so that all content goes to gitleaks; extend.disabledRules, which stay. */
void gitleaks_config_look(const json_t *config, const char *path, struct problems *problems);

#endif
