#include "data/byte_set.h"

#include <ctype.h>

void byte_set_add(struct byte_set *set, unsigned from, unsigned to)
{
    for (unsigned c = from; c <= to && c < 256; c++)
        set->word[c / 64] |= UINT64_C(1) << (c % 64);
}

void byte_set_union(struct byte_set *set, const struct byte_set *more)
{
    for (int i = 0; i < 4; i++)
        set->word[i] |= more->word[i];
}

void byte_set_invert(struct byte_set *set)
{
    for (int i = 0; i < 4; i++)
        set->word[i] = ~set->word[i];
}

void byte_set_fold(struct byte_set *set)
{
    for (unsigned c = 'a'; c <= 'z'; c++)
        if (byte_set_has(set, (unsigned char)c) ||
            byte_set_has(set, (unsigned char)toupper((int)c))) {
            byte_set_add(set, c, c);
            byte_set_add(set, (unsigned)toupper((int)c), (unsigned)toupper((int)c));
        }
}

void byte_set_print(struct buf *to, const struct byte_set *set)
{
    buf_addc(to, '[');
    for (unsigned c = 0; c < 256; c++) {
        unsigned first = c;

        if (!byte_set_has(set, (unsigned char)c))
            continue;
        while (c < 255 && byte_set_has(set, (unsigned char)(c + 1)))
            c++;
        buf_addf(to, first == c ? "\\x%02x" : "\\x%02x-\\x%02x", first, c);
    }
    buf_addc(to, ']');
}
