/* Text where case does not count, as Go has it. Pure. */
#ifndef GITGATE_GATE_CASELESS_H
#define GITGATE_GATE_CASELESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Go takes the Kelvin sign for a k and the long s for an s. Whether one stands in [text, end), in a
 * row of text: by chance there is no end of their bytes in what is binary. They are rare, so where
 * one stands the text is looked through once more with the plain letters. */
bool caseless_odd(const char *text, const char *end);

/* Adds the text with the plain letters. */
void caseless_fold(const char *text, const char *end, struct buf *to);

/* Where the word stands first in text[from, to), or `to`; `word` is of ASCII, in lower case. */
size_t caseless_find(const char *text, size_t from, size_t to, const char *word);

#endif
