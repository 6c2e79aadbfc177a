#include "scan/find.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scan/caseless.h"
#include "scan/engine.h"
#include "scan/unpack.h"

/* gitleaks asks for a rule's keywords in the chunk that it reads: 100,000 bytes and up to 25,000
 * more. So one that stands within that distance of a match may be in the match's chunk. */
#define CHUNK_MAX 125000u

#define WHOLE_MAX 4096u    /* so small a piece is a window itself */
#define WHOLE_STEP 300000u /* of a piece that is judged whole, a window begins at each so many */
#define REACH_MAX 90000u   /* of a match; with the margins below it stays within WINDOW_MAX */
#define MARGIN 256u        /* behind a hit, and before the first byte that a match can have */
#define LINE_MARGIN 1024u  /* as far a window grows to hold its first and last line whole */
#define NEAR 256u          /* windows that lie so near are one */
#define RUN_GAP 64u        /* ends of matches that follow so closely are one hit ... */
#define RUN_MAX 4096u      /* ... up to here */
#define HITS_MAX 20000u    /* of one piece; with more the whole of it is judged */
#define HITS_LOOKED_AT 8u  /* of those before, when a hit may be the same as one */
#define KEYWORDS_MAX (1u << 20)
/* Line ends behind what Vectorscan is given: where there is no better code of it (engine.h) it
 * overlooks what stands last. */
#define TAIL                                                                                       \
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"                             \
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
#define TAIL_LEN (sizeof TAIL - 1)
#define MARKERS_MAX 200 /* characters: a file name has 255 */

struct hit {
    struct rules *set;
    unsigned rule;
    size_t first, last; /* ends of matches */
};

struct span {
    size_t from, to;
    size_t hit; /* index */
};

struct find {
    struct rules *sets;
    size_t n_sets;
    window_fn *take;
    void *data;
    hs_scratch_t *scratch;
    uint64_t bytes;
    uint64_t serial; /* of the piece at hand */
    const struct piece *piece;
    struct rules *set;
    struct hit *hits;
    size_t n_hits;
    bool whole;   /* the judge has to see all of it, if there is a hit */
    bool certain; /* and even if there is none */
    bool path_decides;
    struct buf text, keywords, folded;
    char markers[MARKERS_MAX];
};

/* ---- scanning ---- */

/* The last hit of the rule, if it is among the latest few: hits come in order of their ends. */
static struct hit *last_hit(struct find *f, unsigned rule)
{
    for (size_t i = f->n_hits; i > 0 && f->n_hits - i < HITS_LOOKED_AT; i--)
        if (f->hits[i - 1].set == f->set && f->hits[i - 1].rule == rule)
            return &f->hits[i - 1];
    return NULL;
}

static int on_hit(unsigned rule, unsigned long long from, unsigned long long to, unsigned flags,
                  void *data)
{
    struct find *f = data;
    struct hit *last = last_hit(f, rule);

    (void)from;
    (void)flags;
    if (to > f->piece->len) /* in the line ends of ours */
        to = f->piece->len;
    if (last && to - last->last <= RUN_GAP && to - last->first <= RUN_MAX) {
        last->last = to;
        return 0;
    }
    if (f->n_hits == HITS_MAX) {
        f->certain = true;
        return 1;
    }
    f->hits[f->n_hits++] = (struct hit){.set = f->set, .rule = rule, .first = to, .last = to};
    return 0;
}

/* `text`, which gets its tail. */
static int scan_sets(struct find *f, struct buf *text, struct error *err)
{
    buf_add(text, TAIL, TAIL_LEN);
    if (buf_error(text))
        return error_errno(err, buf_error(text), "cannot look through a file");
    for (size_t i = 0; i < f->n_sets && !f->certain; i++) {
        hs_error_t r;

        f->set = &f->sets[i];
        f->certain = f->set->everything;
        if (!f->set->db || f->certain)
            continue;
        r = engine_scan(f->set->db, text->data, text->len, f->scratch, on_hit, f);
        if (r != HS_SUCCESS && r != HS_SCAN_TERMINATED)
            return error_set(err, -EIO, "Vectorscan failed (error %d)", r);
    }
    return 0;
}

static int scan_piece(struct find *f, struct error *err)
{
    buf_reset(&f->text);
    buf_add(&f->text, f->piece->data, f->piece->len);
    return scan_sets(f, &f->text, err);
}

static int scan_folded(struct find *f, struct error *err)
{
    size_t before = f->n_hits;
    const char *text = f->piece->data, *end = text + f->piece->len;
    int r;

    if (f->certain || !caseless_odd(text, end))
        return 0;
    buf_reset(&f->folded);
    caseless_fold(text, end, &f->folded);
    r = scan_sets(f, &f->folded, err);
    /* Their places are not those of the piece, and there are few enough such files. */
    f->certain = f->certain || f->n_hits > before;
    return r;
}

/* ---- paths ---- */

static int on_path(unsigned pattern, unsigned long long from, unsigned long long to, unsigned flags,
                   void *data)
{
    struct find *f = data;
    size_t len = strlen(f->markers);
    int n = snprintf(f->markers + len, MARKERS_MAX - len, ".%c%u", f->set->marker,
                     pattern & ~PATH_DECIDES);

    (void)from;
    (void)to;
    (void)flags;
    f->path_decides = f->path_decides || (pattern & PATH_DECIDES);
    return n >= (int)(MARKERS_MAX - len); /* too many: stop, which is an error */
}

/* The length of the path without what a compressor appended to it. */
static size_t uncompressed_len(const char *path, size_t len)
{
    static const char *const suffixes[] = {".gz", ".xz", ".bz2", ".zst"};

    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t n = strlen(suffixes[i]);

        if (len > n && strncasecmp(path + len - n, suffixes[i], n) == 0)
            return len - n;
    }
    return len;
}

/* What path patterns look at: the blob's path; inside an archive the member's; inside a compressed
 * file, which knows no name, its own as if it were uncompressed. */
static const char *path_of(const struct piece *piece, size_t *len)
{
    static const char unnamed[] = UNPACK_UNNAMED;
    const char *path = piece->path;

    *len = strlen(path);
    for (const char *at = piece->member; *at;) {
        size_t n = strcspn(at, "!");

        if (n == sizeof unnamed - 1 && memcmp(at, unnamed, n) == 0) {
            *len = uncompressed_len(path, *len);
        } else {
            path = at;
            *len = n;
        }
        at += n + (at[n] == '!');
    }
    return path;
}

static int match_path(struct find *f, const struct piece *piece, struct error *err)
{
    static const char tail[TAIL_LEN] = ""; /* NUL bytes: see EXPRESSION_PATH */
    size_t len;
    const char *path = path_of(piece, &len);
    hs_error_t r = HS_SUCCESS;

    buf_reset(&f->text);
    buf_add(&f->text, path, len);
    buf_add(&f->text, tail, sizeof tail);
    if (buf_error(&f->text))
        return error_errno(err, buf_error(&f->text), "a path can't be matched");
    f->markers[0] = '\0';
    f->path_decides = false;
    for (size_t i = 0; piece->place == PLACE_BLOB && r == HS_SUCCESS && i < f->n_sets; i++) {
        f->set = &f->sets[i];
        if (f->set->paths)
            r = engine_scan(f->set->paths, f->text.data, f->text.len, f->scratch, on_path, f);
    }
    return r == HS_SUCCESS ? 0 : error_set(err, -EIO, "a path can't be matched (error %d)", r);
}

/* ---- keywords ---- */

static const char *first_keyword(const json_t *keywords, const char *text, size_t from, size_t to,
                                 size_t *at)
{
    const char *first = NULL;
    const json_t *keyword;
    size_t i;

    *at = to;
    json_array_foreach(keywords, i, keyword) {
        const char *word = json_string_value(keyword);
        size_t found = caseless_find(text, from, *at, word);

        if (found < *at) {
            *at = found;
            first = word;
        }
    }
    return first;
}

/* A keyword of the hit's rule that may stand in one chunk with it; "" when it needs none, NULL when
 * there is none: then gitleaks would not apply the rule. Hits of a rule come in their order, so
 * what was searched for one is not searched for the next. */
static const char *near_keyword(struct find *f, const struct hit *hit)
{
    struct rule *rule = &hit->set->list[hit->rule];
    size_t from = hit->first > CHUNK_MAX ? hit->first - CHUNK_MAX : 0;
    size_t to = f->piece->len - hit->first > CHUNK_MAX ? hit->first + CHUNK_MAX : f->piece->len;

    if (json_array_size(rule->keywords) == 0)
        return "";
    if (rule->serial != f->serial) {
        rule->serial = f->serial;
        rule->searched = 0;
        rule->word = NULL;
    }
    if (rule->word && rule->word_at >= from)
        return rule->word;
    if (rule->searched < from)
        rule->searched = from;
    rule->word = first_keyword(rule->keywords, f->piece->data, rule->searched, to, &rule->word_at);
    rule->searched = rule->word ? rule->word_at + 1 : to;
    return rule->word;
}

/* ---- windows ---- */

/* The first byte that a match which ends at `to` can have. */
static size_t reach_back(const struct piece *piece, const struct reach *reach, size_t to)
{
    size_t least = to > REACH_MAX ? to - REACH_MAX : 0, at = to;
    unsigned bytes = 0, lines = 0;

    while (at > least) {
        unsigned char c = (unsigned char)piece->data[at - 1];

        if (c == '\n' && lines++ == reach->lines)
            break;
        if (!byte_set_has(&reach->runs, c) && bytes++ == reach->bytes)
            break;
        at--;
    }
    return at;
}

static size_t line_start(const struct piece *piece, size_t at)
{
    size_t least = at > LINE_MARGIN ? at - LINE_MARGIN : 0;

    while (at > least && piece->data[at - 1] != '\n')
        at--;
    return at;
}

static size_t line_end(const struct piece *piece, size_t at)
{
    size_t most = piece->len - at > LINE_MARGIN ? at + LINE_MARGIN : piece->len;

    while (at < most && piece->data[at] != '\n')
        at++;
    return at;
}

static struct span span_of(const struct find *f, size_t index)
{
    const struct hit *hit = &f->hits[index];
    size_t from = reach_back(f->piece, &hit->set->list[hit->rule].reach, hit->first);
    size_t to = f->piece->len - hit->last > MARGIN ? hit->last + MARGIN : f->piece->len;

    if (f->piece->len <= WHOLE_MAX)
        return (struct span){.from = 0, .to = f->piece->len, .hit = index};
    from = line_start(f->piece, from > MARGIN ? from - MARGIN : 0);
    return (struct span){.from = from, .to = line_end(f->piece, to), .hit = index};
}

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a, *y = b;

    return x->from < y->from ? -1 : x->from > y->from;
}

static int give(struct find *f, size_t from, size_t to, struct error *err)
{
    struct window window = {
        .from = from, .to = to, .keywords = f->keywords.data, .markers = f->markers};

    if (buf_error(&f->keywords))
        return error_set(err, -E2BIG, "too many keywords");
    return f->take(f->data, f->piece, &window, err);
}

/* The keyword that a rule needs, when the window does not hold one itself; each once, so that the
 * file stays one chunk of gitleaks', whatever hits there are. */
static void want_keyword(struct find *f, const struct hit *hit, size_t from, size_t to)
{
    const json_t *keywords = hit->set->list[hit->rule].keywords;
    const char *word = near_keyword(f, hit);
    size_t at;

    if (word && *word && !first_keyword(keywords, f->piece->data, from, to, &at) &&
        !strstr(f->keywords.data, word))
        buf_addf(&f->keywords, "%s\n", word);
}

/* Spans that lie near are one window, as long as gitleaks reads it in one. */
static int give_windows(struct find *f, struct span *spans, size_t n, struct error *err)
{
    int r = 0;

    qsort(spans, n, sizeof *spans, compare_spans);
    for (size_t i = 0, next; r == 0 && i < n; i = next) {
        size_t from = spans[i].from, to = spans[i].to;

        for (next = i + 1; next < n && spans[next].from <= to + NEAR; next++) {
            size_t end = spans[next].to > to ? spans[next].to : to;

            if (end - from > WINDOW_MAX)
                break;
            to = end;
        }
        buf_reset(&f->keywords);
        for (size_t k = i; k < next; k++)
            want_keyword(f, &f->hits[spans[k].hit], from, to);
        r = give(f, from, to, err);
    }
    return r;
}

/* All of the piece, in windows that bound what gitleaks has in one run, and overlap as far as it
 * can see. */
static int give_whole(struct find *f, struct error *err)
{
    size_t from = 0, len = f->piece->len;
    int r = 0;

    buf_reset(&f->keywords);
    for (; r == 0 && len - from > WHOLE_STEP + CHUNK_MAX; from += WHOLE_STEP)
        r = give(f, from, from + WHOLE_STEP + CHUNK_MAX, err);
    return r < 0 ? r : give(f, from, len, err);
}

/* Those of the hits whose rule gitleaks would apply. */
static size_t choose_spans(struct find *f, struct span *spans)
{
    size_t n = 0;

    for (size_t i = 0; i < f->n_hits; i++) {
        if (!near_keyword(f, &f->hits[i]))
            continue;
        spans[n++] = span_of(f, i);
        f->whole = f->whole || f->hits[i].set->list[f->hits[i].rule].whole;
    }
    return n;
}

static int give_found(struct find *f, struct error *err)
{
    struct span *spans = calloc(f->n_hits + 1, sizeof *spans);
    size_t n;
    int r;

    if (!spans)
        return error_errno(err, -ENOMEM, "cannot look through a file");
    n = choose_spans(f, spans);
    if (f->certain || (f->whole && n > 0))
        r = give_whole(f, err);
    else
        r = give_windows(f, spans, n, err);
    buf_reset(&f->keywords);
    if (r == 0 && n == 0 && !f->certain && f->path_decides)
        r = give(f, 0, f->piece->len < MARGIN ? f->piece->len : MARGIN, err);
    free(spans);
    return r;
}

/* ---- a piece ---- */

static int load_details(struct find *f, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < f->n_sets; i++)
        r = rules_detail(&f->sets[i], err);
    return r;
}

int find_piece(void *data, const struct piece *piece, struct error *err)
{
    struct find *f = data;
    int r;

    if (piece->len > PIECE_MAX)
        return error_set(err, -E2BIG, "a piece of the push is too large");
    f->piece = piece;
    f->serial++;
    f->n_hits = 0;
    f->whole = f->certain = false;
    f->bytes += piece->len;
    r = match_path(f, piece, err);
    /* The path is of the blob, not of what can be decoded from it. */
    f->path_decides = f->path_decides && piece->offset == 0 && !*piece->form;
    if (r == 0)
        r = scan_piece(f, err);
    if (r == 0)
        r = scan_folded(f, err);
    if (r < 0 || (f->n_hits == 0 && !f->certain && !f->path_decides))
        return r;
    r = load_details(f, err);
    return r < 0 ? r : give_found(f, err);
}

uint64_t find_bytes(const struct find *find)
{
    return find->bytes;
}

void find_free(struct find *f)
{
    if (!f)
        return;
    hs_free_scratch(f->scratch);
    buf_done(&f->text);
    buf_done(&f->keywords);
    buf_done(&f->folded);
    free(f->hits);
    free(f);
}

int find_new(struct rules *sets, size_t n, window_fn *take, void *data, struct find **ret,
             struct error *err)
{
    struct find *f = calloc(1, sizeof *f);
    hs_error_t r = HS_SUCCESS;

    if (!f || !(f->hits = calloc(HITS_MAX, sizeof *f->hits))) {
        find_free(f);
        return error_errno(err, -ENOMEM, "cannot scan the push");
    }
    f->sets = sets;
    f->n_sets = n;
    f->take = take;
    f->data = data;
    f->keywords = BUF_INIT(KEYWORDS_MAX);
    f->text = f->folded = BUF_INIT(PIECE_MAX + TAIL_LEN);
    for (size_t i = 0; r == HS_SUCCESS && i < n; i++) {
        if (sets[i].db)
            r = hs_alloc_scratch(sets[i].db, &f->scratch);
        if (r == HS_SUCCESS && sets[i].paths)
            r = hs_alloc_scratch(sets[i].paths, &f->scratch);
    }
    if (r != HS_SUCCESS) {
        find_free(f);
        return error_set(err, -ENOMEM, "cannot make room for Vectorscan");
    }
    *ret = f;
    return 0;
}
