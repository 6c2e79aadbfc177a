/* TOML 1.0 (https://toml.io/en/v1.0.0) to JSON: what gitleaks' configuration is written in.
 *
 * Untrusted input: bytes, depth and values are capped; duplicate keys are refused with their line.
 * Dates and times become strings, infinity and nan are refused: JSON has neither. A table that is
 * opened twice is read as one; a strict reader refuses it. */
#ifndef GITGATE_DATA_TOML_H
#define GITGATE_DATA_TOML_H

#include <jansson.h>

#include "base/error.h"

#define TOML_BYTES_MAX (4u << 20)
#define TOML_DEPTH_MAX 64
#define TOML_VALUES_MAX 200000

/* `name` is the file's name in messages ("gitleaks.toml:3: ..."). *ret is the caller's (decref). */
int toml_parse(const char *text, size_t len, const char *name, json_t **ret, struct error *err);

#endif
