/* Short digests that tell whether something is as it was. */
#ifndef GITGATE_CONTROLLER_DIGEST_H
#define GITGATE_CONTROLLER_DIGEST_H

#include <jansson.h>
#include <stddef.h>

/* 128 bits of SHA-256 in hex; "" when it could not be made, which equals no digest. */
struct digest {
    char text[33];
};

struct digest digest_of(const void *data, size_t len);

/* Of the value's JSON text, members as they stand: what renders sets them in one order. */
struct digest digest_of_json(const json_t *value);

#endif
