#include "scan/transcode.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "scan/codecs.h"

/* ---- guess ---- */

/* Printable units in a row: shorter than any secret. */
#define ROW 8

/* A stretch of NUL bytes, as long as it goes. */
struct nuls {
    const char *from, *to;
};

static struct nuls nuls_after(const char *p, const char *end)
{
    struct nuls n = {.from = memchr(p, '\0', (size_t)(end - p))};

    n.from = n.from ? n.from : end;
    for (n.to = n.from; n.to < end && !*n.to;)
        n.to++;
    return n;
}

/* Marks by their place (modulo the width) printable bytes with `width` - 1 NUL bytes between any
 * two, ROW in a row. */
struct row {
    unsigned width;
    size_t len;
    bool seen[4];
};

static void row_add(struct row *row, const char *start, const struct nuls *nuls, bool adjoins)
{
    bool unit = nuls->from > start && codec_printable(nuls->from[-1]) &&
                (size_t)(nuls->to - nuls->from) == row->width - 1;

    if (!unit)
        row->len = 0;
    else
        row->len = adjoins ? row->len + 1 : 1;
    /* The last of a row in which NUL comes first has none behind it: one less is enough. */
    if (row->len >= ROW - 1)
        row->seen[(size_t)(nuls->from - 1 - start) % row->width] = true;
}

/* Which order it is can't be told where all is ASCII; both read right then, and where it is not
 * ASCII one of them does. */
size_t encodings_guess(const char *data, size_t len, struct encoding to[ENCODINGS_MAX])
{
    struct row rows[] = {{.width = 2}, {.width = 4}};
    const char *end = data + len, *before = data;
    size_t n = 0;

    for (struct nuls nuls = nuls_after(data, end); nuls.from < end;
         before = nuls.to, nuls = nuls_after(nuls.to, end))
        for (size_t i = 0; i < 2; i++)
            row_add(&rows[i], data, &nuls, nuls.from - before == 1);
    for (size_t i = 0; i < 2; i++) {
        unsigned width = rows[i].width;

        for (unsigned at = 0; at < width; at++) {
            if (!rows[i].seen[at])
                continue;
            to[n++] = (struct encoding){.width = width, .offset = at};
            to[n++] = (struct encoding){.width = width, .offset = (at + 1) % width, .big = true};
        }
    }
    return n;
}

/* ---- decode ---- */

static uint32_t unit_at(const struct encoding *e, const unsigned char *p)
{
    if (e->width == 2)
        return e->big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
    return e->big ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
                  : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* A surrogate pair is two U+FFFD here: no rule looks for what lies beyond the basic plane. */
void transcode(const struct encoding *from, const char *data, size_t len, struct buf *to)
{
    const unsigned char *p = (const unsigned char *)data + from->offset;
    size_t units = len > from->offset ? (len - from->offset) / from->width : 0;
    char *out = buf_reserve(to, units * (from->width == 2 ? 3 : 4) + 1);

    if (!out)
        return;
    for (size_t i = 0; i < units; i++, p += from->width) {
        uint32_t c = unit_at(from, p);

        if (c)
            out = codec_put_rune(out, c);
    }
    to->len = (size_t)(out - to->data);
    *out = '\0';
}

bool parted_next(const char *data, const char *end, const char *at, struct parted *ret)
{
    for (const char *p = at; p < end && (p = memchr(p, '\0', (size_t)(end - p)));) {
        *ret = (struct parted){.from = p};
        while (ret->from > data && ret->from > at && codec_text(ret->from[-1]))
            ret->from--;
        ret->text = (size_t)(p - ret->from);
        for (; p < end && (!*p || codec_text(*p)); p++)
            ret->text += *p != '\0';
        ret->to = p;
        if (ret->text >= PARTED_MIN)
            return true;
    }
    return false;
}

void strip_nuls(const char *data, size_t len, struct buf *to)
{
    const char *end = data + len;

    while (data < end) {
        struct nuls nuls = nuls_after(data, end);

        buf_add(to, data, (size_t)(nuls.from - data));
        data = nuls.to;
    }
}
