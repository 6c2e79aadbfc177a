/* Escapes of characters in a text, [p, end): how far they go, and what they stand for. Pure. */
#ifndef GITGATE_GATE_ESCAPES_H
#define GITGATE_GATE_ESCAPES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* ---- as detect/codec of gitleaks 8.30 has them ---- */

/* The end of the code points ("U+0041 U+0042") or escapes ("\u0041\u0042") that start at `p`, `p`
 * when none does. */
const char *escapes_code_points_end(const char *p, const char *end);
const char *escapes_unicode_end(const char *p, const char *end);

/* Adds what either of these stands for, as UTF-8. */
void escapes_add_unicode(const char *from, const char *end, struct buf *to);

/* "%41" */
bool escapes_percent_at(const char *p, const char *end);

/* Where `p` starts one: the end of the last one on its line. */
const char *escapes_percents_end(const char *p, const char *end);

/* Adds the text with what its percent escapes stand for; false, and nothing is added, when one of
 * them is no printable ASCII. */
bool escapes_add_percents(const char *from, const char *end, struct buf *to);

/* ---- and more ---- */

/* One of "\xHH", "\OOO", "\u{H...}", "%HH", "&#N;", "&#xH;" at `p`: its length, or 0; the byte or
 * character is added. */
size_t escapes_add_one(const char *p, const char *end, struct buf *to);

#endif
