#include "scan/unescape.h"

#include <errno.h>
#include <string.h>

#include "scan/codecs.h"
#include "scan/transcode.h"
#include "scan/unpack.h"

/* One text on the way down: what was found in it, and the view that is made of a part of it. */
struct level {
    const char *text;
    size_t len;
    size_t from, to;           /* where encoded parts are looked for */
    const struct spans *spans; /* back to the first text; NULL: it is that */
    struct segments found;
    struct buf view;
    struct spans view_spans;
};

#define LEVEL_INIT ((struct level){.found = SEGMENTS_INIT, .view = BUF_INIT(ENCODED_TEXT_MAX)})
#define cleanup_level CLEANUP(level_done)

static void level_done(struct level *l)
{
    segments_done(&l->found);
    buf_done(&l->view);
    free(l->view_spans.list);
}

/* ---- spans ---- */

/* The index of the span that view[pos] is in. */
static size_t span_of(const struct spans *spans, size_t pos)
{
    size_t low = 0, high = spans->n;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (spans->list[middle].at <= pos)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static size_t origin_in(const struct span *span, size_t pos)
{
    return span->from + (span->decoded ? 0 : pos - span->at);
}

size_t spans_origin(const struct spans *spans, size_t pos)
{
    return origin_in(&spans->list[span_of(spans, pos)], pos);
}

static int add_span(struct spans *s, size_t at, size_t from, bool decoded)
{
    if (s->n == s->size) {
        size_t size = s->size ? 2 * s->size : 64;
        struct span *list = realloc(s->list, size * sizeof *list);

        if (!list)
            return -ENOMEM;
        s->list = list;
        s->size = size;
    }
    s->list[s->n++] =
        (struct span){.at = (uint32_t)at, .from = (uint32_t)from & INT32_MAX, .decoded = decoded};
    return 0;
}

/* ---- views ---- */

static size_t context_end(const struct level *l, const struct segment *s)
{
    return l->len - s->to < UNESCAPE_CONTEXT ? l->len : s->to + UNESCAPE_CONTEXT;
}

static size_t context_start(const struct segment *s)
{
    return s->from < UNESCAPE_CONTEXT ? 0 : s->from - UNESCAPE_CONTEXT;
}

/* text[from, to) as it is; what it came from itself stays known. */
static void add_copy(struct level *l, size_t from, size_t to)
{
    size_t at = l->view.len;
    int r = 0;

    if (!l->spans) {
        r = add_span(&l->view_spans, at, from, false);
    } else {
        for (size_t i = span_of(l->spans, from); r == 0 && i < l->spans->n; i++) {
            const struct span *span = &l->spans->list[i];
            size_t start = span->at > from ? span->at : from;

            if (start >= to && start > from)
                break;
            r = add_span(&l->view_spans, at + (start - from), origin_in(span, start),
                         span->decoded);
        }
    }
    buf_add(&l->view, l->text + from, to - from);
    if (r < 0)
        l->view.err = r;
}

static void add_decoded(struct level *l, const struct segment *s)
{
    size_t from = l->spans ? spans_origin(l->spans, s->from) : s->from;
    int r = add_span(&l->view_spans, l->view.len, from, true);

    strip_nuls(l->found.bytes.data + s->at, s->len, &l->view); /* UTF-16 becomes ASCII */
    if (r < 0)
        l->view.err = r;
}

/* The view from segment `i` on, up to the first gap between two that is too wide for both; returns
 * the segment behind. */
static size_t make_view(struct level *l, size_t i)
{
    size_t at = context_start(&l->found.list[i]), end = at;

    buf_reset(&l->view);
    l->view_spans.n = 0;
    for (; i < l->found.n; i++) {
        const struct segment *s = &l->found.list[i];

        if (end > at && context_start(s) > end)
            break;
        end = context_end(l, s);
        add_copy(l, at, s->from);
        add_decoded(l, s);
        at = s->to;
    }
    add_copy(l, at, end);
    return i;
}

static int show_containers(const struct level *l, const struct unescaper *to, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && to->container && i < l->found.n; i++) {
        const struct segment *s = &l->found.list[i];
        const char *bytes = l->found.bytes.data + s->at;

        if (unpack_recognises(bytes, s->len))
            r = to->container(to->data, bytes, s->len,
                              l->spans ? spans_origin(l->spans, s->from) : s->from, err);
    }
    return r;
}

/* ---- what is cut off at its start ---- */

#define PHASES 4               /* characters of a group of base64; hex has two */
#define LINE_MIN (16 + PHASES) /* encodings.c looks at no less */

/* What may be the rest of an encoded part. */
struct stretch {
    size_t from, to;
};

static size_t line_of(const char *text, size_t at, size_t len)
{
    while (at < len && (codec_is(text[at], WORD) || text[at] == '='))
        at++;
    return at;
}

/* Lines of nothing but word characters; without the first one where that is too short for a block
 * to begin with what is left of it. */
static struct stretch first_stretch(const char *text, size_t len)
{
    struct stretch s = {.from = 0};
    size_t at = 0, end;

    while ((end = line_of(text, at, len)) > at) {
        s.to = end;
        if (s.from == 0 && at == 0 && end < LINE_MIN)
            s.from = end;
        at = end;
        if (at == len || (text[at] != '\n' && text[at] != '\r'))
            break;
        while (at < len && (codec_is(text[at], SPACE)))
            at++;
        if (s.from == end)
            s.from = at;
    }
    return s;
}

/* ---- depth ---- */

enum readings { BOTH, WIDELY, AS_GITLEAKS };

/* How a text is read: what of it, and how much deeper. */
struct task {
    enum readings readings;
    unsigned depth;
    bool cut; /* an encoded part may have begun before the text does */
};

static int descend(const char *text, size_t len, const struct spans *spans, struct task task,
                   const struct unescaper *to, struct error *err);

static int show_views(struct level *l, enum readings next, struct task task,
                      const struct unescaper *to, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < l->found.n;) {
        struct task deeper = {.readings = next,
                              .depth = task.depth - 1,
                              .cut = task.cut && context_start(&l->found.list[i]) == 0};

        i = make_view(l, i);
        if (buf_error(&l->view))
            return error_errno(err, buf_error(&l->view), "cannot decode a text");
        r = to->view(to->data, &l->view, &l->view_spans, err);
        if (r == 0 && task.depth > 1)
            r = descend(l->view.data, l->view.len, &l->view_spans, deeper, to, err);
    }
    return r;
}

static bool same(const struct segments *a, const struct segments *b)
{
    return a->n == b->n && a->bytes.len == b->bytes.len &&
           memcmp(a->list, b->list, a->n * sizeof *a->list) == 0 &&
           memcmp(a->bytes.data, b->bytes.data, a->bytes.len) == 0;
}

static int find(struct level *l, enum reading reading, struct error *err)
{
    int r = segments_find(l->text + l->from, l->to - l->from, reading, &l->found);

    for (size_t i = 0; r == 0 && i < l->found.n; i++) {
        l->found.list[i].from += (uint32_t)l->from;
        l->found.list[i].to += (uint32_t)l->from;
    }
    return r < 0 ? error_errno(err, r, "cannot decode a text") : 0;
}

/* Both readings as long as they find the same; gitleaks' finds nothing where ours finds nothing. */
static int read_part(const char *text, size_t len, struct stretch part, const struct spans *spans,
                     struct task task, const struct unescaper *to, struct error *err)
{
    cleanup_level struct level ours = LEVEL_INIT, theirs = LEVEL_INIT;
    int r;

    ours.text = theirs.text = text;
    ours.len = theirs.len = len;
    ours.from = theirs.from = part.from;
    ours.to = theirs.to = part.to;
    ours.spans = theirs.spans = spans;
    if (task.readings == AS_GITLEAKS) {
        r = find(&theirs, READ_AS_GITLEAKS, err);
        return r < 0 ? r : show_views(&theirs, AS_GITLEAKS, task, to, err);
    }
    r = find(&ours, READ_WIDELY, err);
    if (r < 0 || ours.found.n == 0)
        return r;
    r = show_containers(&ours, to, err);
    if (r == 0 && task.readings == BOTH)
        r = find(&theirs, READ_AS_GITLEAKS, err);
    if (r < 0)
        return r;
    if (task.readings == BOTH && same(&ours.found, &theirs.found))
        return show_views(&ours, BOTH, task, to, err);
    r = show_views(&ours, WIDELY, task, to, err);
    return r < 0 ? r : show_views(&theirs, AS_GITLEAKS, task, to, err);
}

/* What is cut off at its start is read from each place, too, at which the first whole group of it
 * may begin. */
static int descend(const char *text, size_t len, const struct spans *spans, struct task task,
                   const struct unescaper *to, struct error *err)
{
    struct stretch part = {.from = 0, .to = len};
    int r = read_part(text, len, part, spans, task, to, err);

    if (r < 0 || !task.cut || task.readings == AS_GITLEAKS)
        return r;
    task.readings = WIDELY;
    part = first_stretch(text, len);
    for (int phase = 1; r == 0 && phase < PHASES && ++part.from < part.to; phase++)
        r = read_part(text, len, part, spans, task, to, err);
    return r;
}

int unescape(const char *text, size_t len, bool cut, const struct unescaper *to, struct error *err)
{
    struct task task = {.readings = BOTH, .depth = UNESCAPE_DEPTH, .cut = cut};

    return descend(text, len, NULL, task, to, err);
}
