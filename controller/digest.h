/* Short digests that tell whether something is as it was. */
#ifndef GITGATE_CONTROLLER_DIGEST_H
#define GITGATE_CONTROLLER_DIGEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* 128 bits of SHA-256. All zero: none, also one that could not be made, which equals nothing.
 * hex_print and hex_parse of ids.h make text of it, and read that. */
struct digest {
    unsigned char bytes[16];
};

struct digest digest_of(const void *data, size_t len);

/* Of the value's JSON text, members as they stand: what renders sets them in one order. */
struct digest digest_of_json(const json_t *value);

bool digest_equal(const struct digest *a, const struct digest *b);

#endif
