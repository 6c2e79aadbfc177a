/* A text as it reads once what is encoded in it is decoded in place, and again what comes out of
 * that. Pure. */
#ifndef GITGATE_GATE_UNESCAPE_H
#define GITGATE_GATE_UNESCAPE_H

#include <stdbool.h>

#include "base/error.h"
#include "scan/encodings.h"

/* Base64 in hex in base64 ...: gitleaks' own default (--max-decode-depth). */
#define UNESCAPE_DEPTH 5

/* Around each decoded part this much of the text is shown with it: a rule may want a word before or
 * behind. gitleaks itself never sees more at once than 125 kB (sources/file.go: 100 kB and at most
 * 25 kB up to a safe boundary). */
#define UNESCAPE_CONTEXT (128u << 10)

/* From view[at] on stands what begins at text[from]: the same bytes, or what text[from] and some
 * behind it were decoded to. */
struct span {
    uint32_t at;
    uint32_t from : 31; /* ENCODED_TEXT_MAX */
    uint32_t decoded : 1;
};

struct spans {
    struct span *list; /* the first has at 0 */
    size_t n, size;
};

/* Where view[pos] comes from in the text; of decoded bytes where what they were begins. */
size_t spans_origin(const struct spans *spans, size_t pos);

struct unescaper {
    /* A part of the text with at least one encoded part decoded; borrowed during the call. */
    int (*view)(void *data, const struct buf *view, const struct spans *spans, struct error *err);
    /* Decoded bytes that start as a container does (unpack.h); they stand at text[from]. */
    int (*container)(void *data, const char *bytes, size_t len, size_t from, struct error *err);
    void *data;
};

/* Calls the above for all of the text; what they return below 0 ends it. `cut`: the text is a part
 * of a larger one, and may begin in the midst of something encoded: that is read from each of its
 * first characters on, as nobody knows where a group of them begins. Takes at most
 * 2 * UNESCAPE_DEPTH times the work of reading the text once, more only where what was cut decodes
 * to text that reads as encoded again; and about ten times its size in memory. */
int unescape(const char *text, size_t len, bool cut, const struct unescaper *to, struct error *err);

#endif
