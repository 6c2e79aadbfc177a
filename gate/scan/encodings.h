/* Encoded parts of a text, base64 and the like: where they are and what they stand for. Pure.
 *
 * A text is read in two ways. READ_AS_GITLEAKS finds what detect/codec of gitleaks 8.30 finds, to
 * the byte: what gitleaks would match in its decoded text is there to be matched. READ_WIDELY finds
 * something in each text in which that finds something, and more: blocks that are broken over
 * lines, UTF-16 and binary inside of base64, \xHH, octal and HTML escapes, and percent escapes one
 * by one (gitleaks drops all of a line's when one of them is no ASCII). */
#ifndef GITGATE_GATE_ENCODINGS_H
#define GITGATE_GATE_ENCODINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Texts are at most this long: offsets have 32 bits. */
#define ENCODED_TEXT_MAX (64u << 20)

enum reading { READ_WIDELY, READ_AS_GITLEAKS };

/* text[from, to) stands for bytes[at, at + len). */
struct segment {
    uint32_t from, to;
    uint32_t at, len;
};

struct segments {
    struct segment *list; /* in the text's order, apart from each other */
    size_t n, size;
    struct buf bytes;
};

#define SEGMENTS_INIT ((struct segments){.bytes = BUF_INIT(ENCODED_TEXT_MAX)})
#define cleanup_segments CLEANUP(segments_done)

void segments_done(struct segments *segments);

/* 0, -E2BIG for a text that is too long, or -ENOMEM. Linear in `len`. */
int segments_find(const char *text, size_t len, enum reading reading, struct segments *ret);

#endif
