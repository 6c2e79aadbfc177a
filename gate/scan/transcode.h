/* Text in units wider than a byte, as UTF-8. Pure. */
#ifndef GITGATE_GATE_TRANSCODE_H
#define GITGATE_GATE_TRANSCODE_H

#include <stdbool.h>

#include "base/buf.h"

/* UTF-16 or UTF-32, either byte order, from any byte on: a byte order mark is not needed. */
struct encoding {
    unsigned width; /* 2 or 4 bytes a unit */
    bool big;       /* most significant byte first */
    unsigned offset;
};

#define ENCODINGS_MAX 12 /* two widths, two orders, each offset */

/* Which encodings a part of these bytes may be in: those of which eight units stand in a row that
 * are printable ASCII (a secret is longer). At the speed of memory where few bytes are NUL. */
size_t encodings_guess(const char *data, size_t len, struct encoding to[ENCODINGS_MAX]);

/* All of it as UTF-8 in this encoding; what is no character becomes U+FFFD, NUL is left out. */
void transcode(const struct encoding *from, const char *data, size_t len, struct buf *to);

/* A row of text that NUL bytes stand in, or at the end of. */
struct parted {
    const char *from, *to;
    size_t text; /* bytes that are not NUL */
};

/* Less text holds no secret, whatever stands around it: gitleaks' shortest rules match 10 bytes,
 * and those of them that also match across what is no text have 8 of theirs in one row. */
#define PARTED_MIN 8

/* The next row with PARTED_MIN bytes or more at or behind `at`, or false. Linear in what it passes.
 */
bool parted_next(const char *data, const char *end, const char *at, struct parted *ret);

/* The bytes without NUL: a word is whole again that NUL bytes were put into. */
void strip_nuls(const char *data, size_t len, struct buf *to);

#endif
