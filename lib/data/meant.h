/* "Did you mean": the field that somebody had in mind. */
#ifndef GITGATE_DATA_MEANT_H
#define GITGATE_DATA_MEANT_H

#include "data/decode.h"

/* The name among `fields` that `name` is a slip of (its case, or a letter in three), or NULL. */
const char *field_meant(const char *name, const struct field *fields);

#endif
