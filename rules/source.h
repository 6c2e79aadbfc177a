/* gitleaks' configuration, in TOML as people write it, or the rules of a GitGate, in JSON: to one
 * form, with every field under one spelling. */
#ifndef GITGATE_RULES_SOURCE_H
#define GITGATE_RULES_SOURCE_H

#include <jansson.h>

#include "base/error.h"

/* {"rules": [{id, regex, path, keywords, entropy, secretGroup, skipReport, allowlists, required}],
 *  "allowlists": [{condition, commits, paths, regexes, regexTarget, stopwords}]}
 * and "marker", the letter of path markers, when it was given. Both lists are always there. -EINVAL
 * for what gitleaks would not read either. */
int source_read(const json_t *config, json_t **ret, struct error *err);

#endif
