/* What a plain (unquoted) YAML scalar means. */
#ifndef GITGATE_DATA_YAML_SCALAR_H
#define GITGATE_DATA_YAML_SCALAR_H

#include <jansson.h>
#include <stdbool.h>

/* true, false, null, an integer or a decimal; a string for everything else, also for what only some
 * readers take for something (yes, 0777, 0x1f, 1_000, 1:30): then the decoder asks for the right
 * kind, instead of two programs reading two things. NULL without memory. */
json_t *yaml_plain_value(const char *text, size_t len);

/* Whether `text` unquoted is the same string to every YAML reader. */
bool yaml_plain_is_safe(const char *text);

#endif
