#include "scan/caseless.h"

#include <ctype.h>
#include <string.h>

#include "scan/codecs.h"

/* ---- letters beyond ASCII ---- */

static const struct {
    const char *bytes;
    size_t len;
    char plain;
} letters[] = {{"\xe2\x84\xaa", 3, 'k'}, {"\xc5\xbf", 2, 's'}};

#define LETTERS (sizeof letters / sizeof *letters)

/* By its first byte, which is rare: glibc's memmem looks at each byte for so short a needle. */
static const char *next_letter(size_t which, const char *at, const char *end)
{
    size_t len = letters[which].len;

    while ((at = memchr(at, letters[which].bytes[0], (size_t)(end - at)))) {
        if ((size_t)(end - at) >= len && memcmp(at, letters[which].bytes, len) == 0)
            return at;
        at++;
    }
    return end;
}

bool caseless_odd(const char *text, const char *end)
{
    for (size_t i = 0; i < LETTERS; i++)
        for (const char *p = text; (p = next_letter(i, p, end)) < end; p++)
            if (codec_in_text(text, end, p, p + letters[i].len))
                return true;
    return false;
}

void caseless_fold(const char *text, const char *end, struct buf *to)
{
    const char *next[LETTERS];

    for (size_t i = 0; i < LETTERS; i++)
        next[i] = next_letter(i, text, end);
    for (const char *at = text;;) {
        size_t first = next[1] < next[0];
        const char *p = next[first];

        buf_add(to, at, (size_t)(p - at));
        if (p == end)
            return;
        buf_addc(to, letters[first].plain);
        at = p + letters[first].len;
        next[first] = next_letter(first, at, end);
    }
}

/* ---- words ---- */

/* Where the letter stands next: looked for only when that was passed. */
struct letter {
    char c;
    const char *next;
};

static const char *letter_from(struct letter *letter, const char *from, const char *end)
{
    if (!letter->next || letter->next < from) {
        const char *p = memchr(from, letter->c, (size_t)(end - from));

        letter->next = p ? p : end;
    }
    return letter->next;
}

size_t caseless_find(const char *text, size_t from, size_t to, const char *word)
{
    size_t n = strlen(word);
    const char *end = text + to;
    struct letter lower = {.c = word[0]}, upper = {.c = (char)toupper((unsigned char)word[0])};

    for (const char *p = text + from; p < end; p++) {
        const char *a = letter_from(&lower, p, end), *b = letter_from(&upper, p, end);

        p = a < b ? a : b;
        if ((size_t)(end - p) >= n && strncasecmp(p, word, n) == 0)
            return (size_t)(p - text);
    }
    return to;
}
