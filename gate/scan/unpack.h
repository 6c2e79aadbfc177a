/* What is in a container: archives and compressed files, told by their content. One level; members
 * that are containers themselves are the caller's to unpack. */
#ifndef GITGATE_GATE_UNPACK_H
#define GITGATE_GATE_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* What all containers of a push together may come to. */
struct unpack_budget {
    uint64_t members; /* still allowed */
    uint64_t bytes;   /* still allowed */
    uint64_t deadline_ns;
};

/* More bytes out than this times those in are a bomb, once they are more than UNPACK_RATIO_FROM:
 * zeros compress a thousandfold with deflate; no text that is of use to somebody does. */
#define UNPACK_RATIO_MAX 1000u
#define UNPACK_RATIO_FROM (64u << 20)

#define UNPACK_NAME_MAX 4096 /* of a member; what is longer is cut where it is shown */

/* What the content of a file that is compressed and no archive is called (libarchive calls it so).
 */
#define UNPACK_UNNAMED "data"

/* Each member: begin, data any number of times, end. Negative results end the unpacking and are
 * returned. */
struct unpack_sink {
    int (*begin)(void *data, const char *name, size_t len, struct error *err);
    int (*data_in)(void *data, const char *bytes, size_t len, struct error *err);
    int (*end)(void *data, struct error *err);
    void *data;
};

/* Whether the bytes start as a zip, gzip, xz, zstd, bzip2 or tar file does. */
bool unpack_recognises(const char *data, size_t len);

/* The same, or a zip file ends there: one with something before it. */
bool unpack_may(const char *data, size_t len);

/* Unpacks what is there. What can't be read further ends it without an error: damaged files are
 * common in tests of other people's programs, and their bytes are looked at as they are.
 * -EFBIG past the budget, the ratio or the memory that a container may take, -ETIMEDOUT past the
 * deadline. */
int unpack(const char *data, size_t len, struct unpack_budget *budget,
           const struct unpack_sink *sink, struct error *err);

#endif
