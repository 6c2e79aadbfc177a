#include "scan/encodings.h"

#include <errno.h>
#include <string.h>

#include "scan/codecs.h"
#include "scan/escapes.h"
#include "scan/unpack.h"

#define RUN_MIN 16     /* characters; gitleaks' least base64 */
#define HEX_MIN 32     /* gitleaks' least hex */
#define WRAPPED_MIN 32 /* a line of a block: base64 breaks at 64 or 76, xxd -p at 60 */
#define STREAK_MIN 16  /* readable bytes in what is binary otherwise: by chance 1 in 8 million */

enum kind { BASE64, HEX_RUN, UNICODE, PERCENT }; /* by precedence, as gitleaks has it */

struct match {
    const char *from, *to;
    enum kind kind;
};

/* Where the next of each trigger stands: searched for only when it was passed. */
enum { NEXT_PERCENT, NEXT_BACKSLASH, NEXT_PLUS, NEXT_AMPERSAND, TRIGGERS };

struct finder {
    const char *text, *end;
    enum reading reading;
    const char *next[TRIGGERS];
    const char *next_run;
    const char *no_block; /* a block that covers this place was tried already */
    struct segments *out;
};

/* ---- runs of word characters ---- */

/* The first run of RUN_MIN or more, `end` when there is none. Looks at each sixteenth character of
 * a text without any. */
static const char *find_run(const char *p, const char *end)
{
    while (end - p >= RUN_MIN) {
        const char *q = p + RUN_MIN - 1;

        while (q >= p && codec_is(*q, WORD))
            q--;
        if (q < p)
            return p;
        p = q + 1;
    }
    return end;
}

static const char *skip(const char *p, const char *end, unsigned class)
{
    while (p < end && codec_is(*p, class))
        p++;
    return p;
}

/* "[0-9A-Fa-f]{32,}" or "[\w\/+-]{16,}={0,2}" at `p`, which is known to start a run. */
static struct match run_at(const struct finder *f, const char *p)
{
    struct match m = {.from = p, .to = skip(p, f->end, HEX), .kind = HEX_RUN};

    if (m.to - m.from >= HEX_MIN)
        return m;
    m.kind = BASE64;
    m.to = skip(m.to, f->end, WORD);
    for (int i = 0; i < 2 && m.to < f->end && *m.to == '='; i++)
        m.to++;
    return m;
}

static bool has(const struct match *m, unsigned class)
{
    for (const char *p = m->from; p < m->to; p++)
        if (codec_is(*p, class))
            return true;
    return false;
}

/* ---- base64 and hex ---- */

static bool all_printable(const struct buf *b, size_t at)
{
    for (size_t i = at; i < b->len; i++)
        if (!codec_printable(b->data[i]))
            return false;
    return true;
}

/* Go's base64.StdEncoding, and if that fails RawURLEncoding, take this text. */
static bool base64_well_formed(const struct match *m)
{
    bool plus = false, minus = false;
    size_t padding = 0, len = (size_t)(m->to - m->from);

    for (const char *p = m->from; p < m->to; p++) {
        plus = plus || *p == '+' || *p == '/';
        minus = minus || *p == '-' || *p == '_';
        padding += *p == '=';
    }
    if (!minus && len % 4 == 0)
        return true;
    return !plus && padding == 0 && len % 4 != 1;
}

/* As gitleaks: text that is ASCII from end to end. */
static bool add_run_strictly(struct buf *to, const struct match *m)
{
    size_t at = to->len;

    if (m->kind == HEX_RUN) {
        if ((m->to - m->from) % 2 != 0 || !has(m, DIGIT))
            return false;
        codec_add_hex(to, m->from, m->to);
    } else {
        if (!has(m, DIGIT | BASE64_SIGN) || !base64_well_formed(m))
            return false;
        codec_add_base64(to, m->from, m->to);
    }
    if (to->len > at && all_printable(to, at))
        return true;
    to->len = at;
    return false;
}

/* The longest readable part; NUL bytes don't end it: UTF-16. */
static bool has_streak(const char *data, size_t len)
{
    size_t streak = 0;

    for (size_t i = 0; i < len; i++) {
        if (codec_printable(data[i])) {
            if (++streak == STREAK_MIN)
                return true;
        } else if (data[i]) {
            streak = 0;
        }
    }
    return false;
}

/* Something of it can be read, or unpacked. */
static bool is_content(const struct buf *b, size_t at)
{
    return has_streak(b->data + at, b->len - at) || unpack_recognises(b->data + at, b->len - at);
}

static bool add_run_widely(struct buf *to, const struct match *m)
{
    size_t at = to->len;

    if (add_run_strictly(to, m))
        return true;
    if (m->kind == HEX_RUN) {
        codec_add_hex(to, m->from, m->to);
        if (is_content(to, at))
            return true;
        to->len = at;
    }
    codec_add_base64(to, m->from, m->to);
    if (is_content(to, at))
        return true;
    to->len = at;
    return false;
}

/* ---- blocks: base64 or hex broken over lines ---- */

/* Behind a line end and the indentation of the next line; NULL when no line ends at `p`. */
static const char *next_line(const struct finder *f, const char *p)
{
    if (p < f->end && *p == '\r')
        p++;
    if (p >= f->end || *p != '\n')
        return NULL;
    for (p++; p < f->end && (*p == ' ' || *p == '\t');)
        p++;
    return p;
}

/* The end of the block that starts with the run `m`: lines of nothing but the run's characters, of
 * which only the last may be short, and one that the text begins with: it may be what is left of a
 * line. m->to when it is one line. */
static const char *block_end(const struct finder *f, const struct match *m)
{
    unsigned class = m->kind == HEX_RUN ? HEX : WORD;
    const char *end = m->to, *start = m->from, *line;

    while (end - start >= (start == f->text ? RUN_MIN : WRAPPED_MIN) && end[-1] != '=' &&
           (line = next_line(f, end))) {
        const char *to = skip(line, f->end, class);

        if (to == line)
            break;
        while (m->kind == BASE64 && to < f->end && *to == '=')
            to++;
        start = line;
        end = to;
    }
    return end;
}

static bool add_block(struct finder *f, struct match *m)
{
    struct match block = *m;

    if (m->from < f->no_block)
        return false;
    block.to = f->no_block = block_end(f, m);
    if (block.to == m->to || !add_run_widely(&f->out->bytes, &block))
        return false;
    *m = block;
    return true;
}

/* ---- what stands in text ---- */

static bool in_text(const struct finder *f, const char *from, const char *to)
{
    return codec_in_text(f->text, f->end, from, to);
}

/* ---- segments ---- */

void segments_done(struct segments *segments)
{
    free(segments->list);
    buf_done(&segments->bytes);
    *segments = SEGMENTS_INIT;
}

/* text[from, to) stands for what was added to the bytes since they were `at` long. Neighbours that
 * touch are one segment. */
static int add_segment(struct finder *f, const char *from, const char *to, size_t at)
{
    struct segments *s = f->out;
    struct segment *last = s->n ? &s->list[s->n - 1] : NULL;
    uint32_t start = (uint32_t)(from - f->text);

    if (buf_error(&s->bytes))
        return buf_error(&s->bytes);
    if (last && last->to == start) {
        last->to = (uint32_t)(to - f->text);
        last->len = (uint32_t)(s->bytes.len - last->at);
        return 0;
    }
    if (s->n == s->size) {
        size_t size = s->size ? 2 * s->size : 64;
        struct segment *list = realloc(s->list, size * sizeof *list);

        if (!list)
            return -ENOMEM;
        s->list = list;
        s->size = size;
    }
    s->list[s->n++] = (struct segment){.from = start,
                                       .to = (uint32_t)(to - f->text),
                                       .at = (uint32_t)at,
                                       .len = (uint32_t)(s->bytes.len - at)};
    return 0;
}

/* ---- candidates, in the text's order ---- */

static const char *seek(const char *from, const char *end, char c)
{
    const char *p = from < end ? memchr(from, c, (size_t)(end - from)) : NULL;

    return p ? p : end;
}

/* The next place at or behind `p` where an encoded part may start. */
static const char *next_candidate(struct finder *f, const char *p)
{
    static const char triggers[TRIGGERS] = {
        [NEXT_PERCENT] = '%', [NEXT_BACKSLASH] = '\\', [NEXT_PLUS] = '+', [NEXT_AMPERSAND] = '&'};
    const char *best;

    if (f->next_run < p)
        f->next_run = find_run(p, f->end);
    best = f->next_run;
    for (int i = 0; i < TRIGGERS; i++) {
        size_t back = i == NEXT_PLUS; /* of "U+" */

        if (i == NEXT_AMPERSAND && f->reading == READ_AS_GITLEAKS)
            continue;
        while (f->next[i] < f->end && (f->next[i] < p + back || (back && f->next[i][-1] != 'U')))
            f->next[i] =
                seek(f->next[i] < p + back ? p + back : f->next[i] + 1, f->end, triggers[i]);
        if (f->next[i] < f->end && f->next[i] - back < best)
            best = f->next[i] - back;
    }
    return best;
}

/* What starts at `p`, or false. */
static bool match_at(const struct finder *f, const char *p, struct match *m)
{
    *m = (struct match){.from = p, .to = p};
    if (f->reading == READ_AS_GITLEAKS && escapes_percent_at(p, f->end) && in_text(f, p, p + 3)) {
        m->kind = PERCENT;
        m->to = escapes_percents_end(p, f->end);
        return true;
    }
    m->kind = UNICODE;
    m->to = *p == 'U'    ? escapes_code_points_end(p, f->end)
            : *p == '\\' ? escapes_unicode_end(p, f->end)
                         : p;
    if (m->to > p && in_text(f, p, m->to))
        return true;
    m->to = p;
    if (p != f->next_run)
        return false;
    *m = run_at(f, p);
    return true;
}

static int read_widely(struct finder *f)
{
    struct match m;
    int r = 0;

    for (const char *p = f->text; r == 0 && (p = next_candidate(f, p)) < f->end; p = m.to) {
        size_t at = f->out->bytes.len;
        bool decoded = true;

        if (!match_at(f, p, &m)) {
            size_t n = escapes_add_one(p, f->end, &f->out->bytes);

            decoded = n > 0 && in_text(f, p, p + n);
            f->out->bytes.len = decoded ? f->out->bytes.len : at;
            m.to = p + (n ? n : 1);
        } else if (m.kind == UNICODE) {
            escapes_add_unicode(p, m.to, &f->out->bytes);
        } else {
            decoded = add_block(f, &m) || add_run_widely(&f->out->bytes, &m);
        }
        r = decoded ? add_segment(f, p, m.to, at) : buf_error(&f->out->bytes);
    }
    return r;
}

static bool touch(const struct match *a, const struct match *b)
{
    return b->from <= a->to && b->to >= a->from;
}

/* gitleaks leaves a match for its next pass that touches one of higher precedence. */
static bool waits(const struct match *m, const struct match *neighbour)
{
    return neighbour->to && touch(m, neighbour) && neighbour->kind > m->kind;
}

static int take_strictly(struct finder *f, const struct match *m)
{
    size_t at = f->out->bytes.len;

    if (m->kind == UNICODE)
        escapes_add_unicode(m->from, m->to, &f->out->bytes);
    else if (!(m->kind == PERCENT ? escapes_add_percents(m->from, m->to, &f->out->bytes)
                                  : add_run_strictly(&f->out->bytes, m)))
        return buf_error(&f->out->bytes);
    return add_segment(f, m->from, m->to, at);
}

static int read_as_gitleaks(struct finder *f)
{
    struct match before = {0}, now = {0}, next;
    const char *p = f->text;
    int r = 0;

    do {
        next = (struct match){0};
        while ((p = next_candidate(f, p)) < f->end && !match_at(f, p, &next)) {
            next = (struct match){0};
            p++;
        }
        if (now.to && !waits(&now, &before) && !waits(&now, &next))
            r = take_strictly(f, &now);
        before = now;
        now = next;
        p = next.to ? next.to : f->end;
    } while (r == 0 && now.to);
    return r;
}

int segments_find(const char *text, size_t len, enum reading reading, struct segments *ret)
{
    struct finder f = {
        .text = text, .end = text + len, .reading = reading, .no_block = text, .out = ret};

    if (len > ENCODED_TEXT_MAX)
        return -E2BIG;
    ret->n = 0;
    buf_reset(&ret->bytes);
    for (int i = 0; i < TRIGGERS; i++)
        f.next[i] = seek(text, f.end, "%\\+&"[i]);
    f.next_run = find_run(text, f.end);
    return reading == READ_WIDELY ? read_widely(&f) : read_as_gitleaks(&f);
}
