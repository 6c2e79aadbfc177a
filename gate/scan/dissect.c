#include "scan/dissect.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lock.h"
#include "scan/transcode.h"
#include "scan/unescape.h"

/* New bytes of a window. Well below PIECE_MAX: UTF-16 becomes up to half as much again in UTF-8,
 * and several forms of a window are in memory at once. */
#define STRIDE (1u << 20)

#define PARTED_LONG                                                                                \
    16 /* bytes of text in a row with NUL bytes; gitleaks' rules match 18 and more,                \
          but for five */
#define PARTED_CONTEXT 2048 /* shown around a shorter row */

#define FORM_MAX 48
#define LINES_MAX (1u << 18) /* of a piece, in memory; behind the last all is of the last line */

struct content {
    struct dissection *d;
    const struct piece *where;
    unsigned depth; /* containers may still be opened */
};

/* A text that is shown, and what is decoded of it. */
struct text {
    const struct content *content;
    struct piece piece;
};

static int take_content(const struct content *c, struct spool *spool, const char *data, size_t len,
                        struct error *err);

static int take(const struct content *c, const struct piece *piece, struct error *err)
{
    if (clock_now_ns() > c->d->budget.deadline_ns)
        return error_set(err, -ETIMEDOUT, "the scan took too long (spec.scan.timeout)");
    return c->d->take(c->d->data, piece, err);
}

static unsigned lines_in(const char *from, const char *to)
{
    unsigned n = 0;

    while (from < to && (from = memchr(from, '\n', (size_t)(to - from)))) {
        n++;
        from++;
    }
    return n;
}

/* ---- containers ---- */

struct member {
    const struct content *outer;
    struct spool spool;
    char name[PATH_MAX]; /* "outer!inner"; what is longer is cut */
};

static void member_done(struct member *m)
{
    spool_done(&m->spool);
}

static int begin_member(void *data, const char *name, size_t len, struct error *err)
{
    struct member *m = data;
    const char *outer = m->outer->where->member;

    (void)err;
    snprintf(m->name, sizeof m->name, "%.*s%s%.*s", PATH_MAX / 2, outer, *outer ? "!" : "",
             (int)(len < PATH_MAX / 2 ? len : PATH_MAX / 2 - 1), len ? name : "?");
    return 0;
}

static int add_to_member(void *data, const char *bytes, size_t len, struct error *err)
{
    struct member *m = data;

    return spool_add(&m->spool, bytes, len, err);
}

static int end_member(void *data, struct error *err)
{
    struct member *m = data;
    struct piece where = *m->outer->where;
    struct content content = {.d = m->outer->d, .where = &where, .depth = m->outer->depth - 1};
    const char *bytes;
    size_t len;
    int r = spool_view(&m->spool, &bytes, &len, err);

    where.member = m->name;
    where.offset = 0;
    if (r == 0)
        r = take_content(&content, &m->spool, bytes, len, err);
    spool_done(&m->spool);
    return r;
}

static int open_container(const struct content *c, const char *data, size_t len, struct error *err)
{
    struct member m CLEANUP(member_done) = {.outer = c, .spool = SPOOL_INIT(c->d->dir)};
    struct unpack_sink sink = {
        .begin = begin_member, .data_in = add_to_member, .end = end_member, .data = &m};

    if (c->depth == 0)
        return error_set(err, -EFBIG,
                         "the push holds archives in archives, more than %d deep, which the gate "
                         "doesn't open",
                         DISSECT_DEPTH);
    return unpack(data, len, &c->d->budget, &sink, err);
}

/* ---- decoded text ---- */

struct lines {
    struct piece_line *list;
    size_t n, size;
};

static void lines_done(struct lines *lines)
{
    free(lines->list);
}

static int add_line(struct lines *lines, struct piece_line line)
{
    if (lines->n == LINES_MAX)
        return 0;
    if (lines->n == lines->size) {
        size_t size = lines->size ? 2 * lines->size : 256;
        struct piece_line *list = realloc(lines->list, size * sizeof *list);

        if (!list)
            return -ENOMEM;
        lines->list = list;
        lines->size = size;
    }
    lines->list[lines->n++] = line;
    return 0;
}

/* Which line and byte of the text each part of the view is of. */
static int find_lines(const struct text *text, const struct buf *view, const struct spans *spans,
                      struct lines *ret)
{
    const char *at = text->piece.data;
    unsigned line = text->piece.line;
    int r = 0;

    for (size_t i = 0; r == 0 && i < spans->n; i++) {
        const struct span *span = &spans->list[i];
        const char *p = view->data + span->at;
        const char *end = view->data + (i + 1 < spans->n ? spans->list[i + 1].at : view->len);

        struct piece_line next = {
            .at = span->at, .offset = text->piece.offset + span->from, .decoded = span->decoded};

        next.line = line += lines_in(at, text->piece.data + span->from);
        at = text->piece.data + span->from;
        r = add_line(ret, next);
        while (r == 0 && !span->decoded && p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
            p++;
            next.offset += (size_t)(p - view->data) - next.at;
            next.at = (uint32_t)(p - view->data);
            next.line++;
            r = add_line(ret, next);
        }
    }
    return r;
}

static int take_view(void *data, const struct buf *view, const struct spans *spans,
                     struct error *err)
{
    const struct text *text = data;
    struct piece piece = text->piece;
    struct lines lines CLEANUP(lines_done) = {0};
    char form[FORM_MAX];

    if (find_lines(text, view, spans, &lines) < 0)
        return error_errno(err, -ENOMEM, "cannot scan the push");
    snprintf(form, sizeof form, "%s%sdecoded", piece.form, *piece.form ? ", " : "");
    piece.form = form;
    piece.data = view->data;
    piece.len = view->len;
    piece.offset = text->piece.offset + spans->list[0].from;
    piece.line = lines.list[0].line;
    piece.lines = lines.list;
    piece.n_lines = lines.n;
    return take(text->content, &piece, err);
}

static int take_encoded(void *data, const char *bytes, size_t len, size_t from, struct error *err)
{
    const struct text *text = data;

    (void)from;
    return open_container(text->content, bytes, len, err);
}

static int take_text(const struct content *c, const struct piece *piece, struct error *err)
{
    struct text text = {.content = c, .piece = *piece};
    struct unescaper to = {.view = take_view, .container = take_encoded, .data = &text};
    int r = take(c, piece, err);

    return r < 0 ? r
                 : unescape(piece->data, piece->len, piece->offset > c->where->offset, &to, err);
}

/* ---- windows ---- */

static int take_form(const struct content *c, const struct piece *raw, const char *form,
                     const struct buf *text, struct error *err)
{
    struct piece piece = *raw;

    if (buf_error(text))
        return error_errno(err, buf_error(text), "cannot scan the push");
    piece.form = form;
    piece.data = text->data;
    piece.len = text->len;
    piece.recoded = true;
    return take_text(c, &piece, err);
}

static int take_wide(const struct content *c, const struct piece *raw, struct error *err)
{
    struct encoding guessed[ENCODINGS_MAX];
    size_t n = encodings_guess(raw->data, raw->len, guessed);
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        cleanup_buf struct buf text = BUF_INIT(PIECE_MAX);

        transcode(&guessed[i], raw->data, raw->len, &text);
        r = take_form(c, raw, guessed[i].width == 2 ? "UTF-16" : "UTF-32", &text, err);
    }
    return r;
}

static int take_without_nuls(const struct content *c, const struct piece *raw, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(PIECE_MAX);

    strip_nuls(raw->data, raw->len, &text);
    return take_form(c, raw, "without NUL bytes", &text, err);
}

/* Part of the text without its NUL bytes. A long row has all of the window shown, as a rule may
 * want a word that stands far from it. Of short rows, which in what is binary chance makes one in
 * every 100 kB, what is near is. */
static int take_parted(const struct content *c, const struct piece *raw, struct error *err)
{
    const char *end = raw->data + raw->len, *at = raw->data;
    struct piece near = *raw;
    struct parted row;
    int r = 0;

    while (parted_next(raw->data, end, at, &row)) {
        if (row.text > PARTED_LONG)
            return take_without_nuls(c, raw, err);
        at = row.to;
    }
    at = raw->data;
    while (r == 0 && parted_next(raw->data, end, at, &row)) {
        const char *from = row.from - at > PARTED_CONTEXT ? row.from - PARTED_CONTEXT : at;

        for (at = row.to; parted_next(raw->data, end, at, &row) && row.from - at <= PARTED_CONTEXT;)
            at = row.to;
        at = end - at > PARTED_CONTEXT ? at + PARTED_CONTEXT : end;
        near.line += lines_in(near.data, from);
        near.offset += (size_t)(from - near.data);
        near.data = from;
        near.len = (size_t)(at - from);
        r = take_without_nuls(c, &near, err);
    }
    return r;
}

static int take_window(const struct content *c, const struct piece *raw, struct error *err)
{
    int r = take_text(c, raw, err);

    if (r < 0 || !memchr(raw->data, '\0', raw->len))
        return r;
    r = take_wide(c, raw, err);
    return r < 0 ? r : take_parted(c, raw, err);
}

static int take_windows(const struct content *c, struct spool *spool, const char *data, size_t len,
                        struct error *err)
{
    struct piece piece = *c->where;
    int r = 0;

    piece.form = "";
    piece.line = 1;
    piece.lines = NULL;
    for (size_t at = 0; r == 0 && at < len; at += STRIDE) {
        size_t overlap = at < PIECE_OVERLAP ? at : PIECE_OVERLAP;

        piece.data = data + at - overlap;
        piece.len = overlap + (len - at < STRIDE ? len - at : STRIDE);
        piece.offset = c->where->offset + at - overlap;
        r = take_window(c, &piece, err);
        if (len - at <= STRIDE)
            break;
        piece.line += lines_in(piece.data, data + at + STRIDE - PIECE_OVERLAP);
        if (spool)
            spool_forget(spool, at + STRIDE - PIECE_OVERLAP);
    }
    return r;
}

static int take_content(const struct content *c, struct spool *spool, const char *data, size_t len,
                        struct error *err)
{
    int r = take_windows(c, spool, data, len, err);

    if (r == 0 && unpack_may(data, len))
        r = open_container(c, data, len, err);
    return r;
}

int dissect_bytes(struct dissection *d, const struct piece *where, const char *data, size_t len,
                  struct error *err)
{
    struct content content = {.d = d, .where = where, .depth = DISSECT_DEPTH};

    return take_content(&content, NULL, data, len, err);
}

int dissect(struct dissection *d, const struct piece *where, struct spool *bytes, struct error *err)
{
    struct content content = {.d = d, .where = where, .depth = DISSECT_DEPTH};
    const char *data;
    size_t len;
    int r = spool_view(bytes, &data, &len, err);

    return r < 0 ? r : take_content(&content, bytes, data, len, err);
}
