#include "compile.h"

#include <errno.h>
#include <hs/hs.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "data/expression.h"
#include "judgement.h"
#include "scan/rules.h"

#define META_MAX (16u << 20)
#define REASON_MAX 400

/* What runs on a push has to be quick to load on any processor of the architecture, and is as quick
 * in scanning: measured, docs/benchmarks.md. */
static const hs_platform_info_t any_processor = {.tune = HS_TUNE_FAMILY_GENERIC};

/* Expressions on their way to Vectorscan. */
struct patterns {
    char **text, **wider; /* what matches more, for what the text is refused for; or NULL */
    unsigned *flags, *ids;
    unsigned n;
};

static void patterns_done(struct patterns *p)
{
    for (unsigned i = 0; i < p->n; i++) {
        free(p->text[i]);
        free(p->wider[i]);
    }
    free(p->text);
    free(p->wider);
    free(p->flags);
    free(p->ids);
}

#define cleanup_patterns __attribute__((cleanup(patterns_done)))

static int patterns_init(struct patterns *p, size_t max, struct error *err)
{
    *p = (struct patterns){.text = calloc(max + 1, sizeof *p->text),
                           .wider = calloc(max + 1, sizeof *p->wider),
                           .flags = calloc(max + 1, sizeof *p->flags),
                           .ids = calloc(max + 1, sizeof *p->ids)};
    return p->text && p->wider && p->flags && p->ids
               ? 0
               : error_errno(err, -ENOMEM, "cannot compile the rules");
}

static void patterns_add(struct patterns *p, struct expression *expression,
                         struct expression *wider, unsigned flags, unsigned id)
{
    p->text[p->n] = buf_take(&expression->text);
    p->wider[p->n] = wider ? buf_take(&wider->text) : NULL;
    p->flags[p->n] = flags;
    p->ids[p->n++] = id;
}

static bool patterns_widen(struct patterns *p, unsigned i)
{
    if (!p->wider[i])
        return false;
    free(p->text[i]);
    p->text[i] = p->wider[i];
    p->wider[i] = NULL;
    return true;
}

static void patterns_drop(struct patterns *p, unsigned i)
{
    free(p->text[i]);
    p->n--;
    for (; i < p->n; i++) {
        p->text[i] = p->text[i + 1];
        p->wider[i] = p->wider[i + 1];
        p->flags[i] = p->flags[i + 1];
        p->ids[i] = p->ids[i + 1];
    }
}

/* ---- what can't be compiled ---- */

struct compilation {
    const json_t *rules;
    json_t *problems, *meta_rules;
    bool everything;
};

static void complain(struct compilation *c, unsigned index, const char *reason)
{
    const json_t *rule = json_array_get(c->rules, index);

    c->everything = true;
    json_array_append_new(c->problems,
                          json_pack("{s:O, s:i, s:s}", "rule", json_object_get(rule, "id"), "index",
                                    (int)index, "reason", reason));
}

/* ---- databases ---- */

/* Compiles all that can be; drops those that can't, one after the other, telling `refused`. */
static int compile_database(struct patterns *p, struct compilation *c,
                            void (*refused)(struct compilation *, unsigned, const char *),
                            struct buf *to, struct error *err)
{
    hs_database_t *db = NULL;
    hs_compile_error_t *problem = NULL;
    char *bytes = NULL;
    size_t len = 0;

    while (p->n > 0 && !db) {
        int at;

        if (hs_compile_multi((const char *const *)p->text, p->flags, p->ids, p->n, HS_MODE_BLOCK,
                             &any_processor, &db, &problem) == HS_SUCCESS)
            break;
        at = problem->expression;
        if (at < 0 || (unsigned)at >= p->n) {
            error_set(err, -EINVAL, "Vectorscan: %.300s", problem->message);
            hs_free_compile_error(problem);
            return -EINVAL;
        }
        if (!patterns_widen(p, (unsigned)at)) {
            refused(c, p->ids[at], problem->message);
            patterns_drop(p, (unsigned)at);
        }
        hs_free_compile_error(problem);
    }
    if (!db)
        return 0;
    if (hs_serialize_database(db, &bytes, &len) == HS_SUCCESS)
        buf_add(to, bytes, len);
    hs_free_database(db);
    free(bytes);
    return len && !buf_error(to) ? 0 : error_set(err, -EIO, "cannot write the database");
}

static void refuse_regex(struct compilation *c, unsigned index, const char *reason)
{
    char text[REASON_MAX];

    snprintf(text, sizeof text, "Vectorscan refuses it: %s", reason);
    complain(c, index, text);
}

/* ---- what is known of a rule ---- */

static void describe(const json_t *rule, const struct reach *reach, bool whole, json_t *to)
{
    char runs[65];

    snprintf(runs, sizeof runs, "%016llx%016llx%016llx%016llx",
             (unsigned long long)reach->runs.word[0], (unsigned long long)reach->runs.word[1],
             (unsigned long long)reach->runs.word[2], (unsigned long long)reach->runs.word[3]);
    json_array_append_new(
        to, json_pack("{s:O, s:O, s:s, s:i, s:i, s:b}", "id", json_object_get(rule, "id"),
                      "keywords", json_object_get(rule, "keywords"), "runs", runs, "bytes",
                      (int)reach->bytes, "lines", (int)reach->lines, "whole", whole));
}

/* A composite rule, and what it is made of, look around themselves. */
static bool looks_around(const json_t *rules, const json_t *rule)
{
    const char *id = json_string_value(json_object_get(rule, "id"));
    const json_t *other, *entry;
    size_t i, j;

    if (json_array_size(json_object_get(rule, "required")) > 0)
        return true;
    json_array_foreach(rules, i, other) {
        json_array_foreach(json_object_get(other, "required"), j, entry) {
            const char *text = json_string_value(json_object_get(entry, "id"));

            if (text && strcmp(text, id) == 0)
                return true;
        }
    }
    return false;
}

static int compile_contents(struct compilation *c, struct buf *db, struct error *err)
{
    const unsigned flags = HS_FLAG_PREFILTER | HS_FLAG_ALLOWEMPTY;
    cleanup_patterns struct patterns patterns = {0};
    const json_t *rule;
    size_t i;
    int r = patterns_init(&patterns, json_array_size(c->rules), err);

    if (r < 0)
        return r;
    json_array_foreach(c->rules, i, rule) {
        const char *regex = json_string_value(json_object_get(rule, "regex"));
        cleanup_expression struct expression expression = EXPRESSION_INIT, wider = EXPRESSION_INIT;
        struct error why = ERROR_INIT;

        if (regex && (expression_parse_rule(regex, EXPRESSION_LINES, &expression, &why) < 0 ||
                      expression_parse_rule(regex, EXPRESSION_WIDENED, &wider, &why) < 0)) {
            if (why.code == -ENOMEM)
                return error_errno(err, -ENOMEM, "cannot compile the rules");
            complain(c, (unsigned)i, why.msg);
        } else if (regex)
            patterns_add(&patterns, &expression, &wider, flags, (unsigned)i);
        describe(rule, &expression.reach, looks_around(c->rules, rule), c->meta_rules);
    }
    return compile_database(&patterns, c, refuse_regex, db, err);
}

/* ---- paths ---- */

/* An allow list's pattern that can't be compiled allows nothing. A rule's leaves no safe answer. */
static void refuse_path(struct compilation *c, unsigned id, const char *reason)
{
    const json_t *path = json_array_get(c->rules, id & ~PATH_DECIDES);
    const json_t *pattern = json_object_get(path, "pattern");

    if (json_is_true(json_object_get(path, "ofRule")))
        c->everything = true;
    json_array_append_new(c->problems, json_pack("{s:O, s:s}", "path", pattern, "reason", reason));
}

static int compile_paths(const json_t *paths, json_t *problems, struct buf *db, struct error *err)
{
    struct compilation c = {.rules = paths, .problems = problems};
    cleanup_patterns struct patterns patterns = {0};
    const json_t *path;
    size_t i;
    int r = patterns_init(&patterns, json_array_size(paths), err);

    if (r < 0)
        return r;
    json_array_foreach(paths, i, path) {
        bool decides = json_is_true(json_object_get(path, "decides"));
        unsigned id = (unsigned)i | (decides ? PATH_DECIDES : 0);
        cleanup_expression struct expression expression = EXPRESSION_INIT;
        struct error why = ERROR_INIT;

        if (expression_parse(json_string_value(json_object_get(path, "pattern")), EXPRESSION_PATH,
                             &expression, &why) < 0) {
            if (why.code == -ENOMEM)
                return error_errno(err, -ENOMEM, "cannot compile the rules");
            refuse_path(&c, id, why.msg);
        } else
            patterns_add(&patterns, &expression, NULL, HS_FLAG_SINGLEMATCH | HS_FLAG_ALLOWEMPTY,
                         id);
    }
    r = compile_database(&patterns, &c, refuse_path, db, err);
    return r == 0 && c.everything
               ? error_set(err, -EINVAL, "the path of a rule can't be compiled by Vectorscan")
               : r;
}

/* ---- the block ---- */

/* All that finding and judging go by: what is remembered of an object holds for just that. */
static void hash_all(const struct buf *meta, const struct buf *db, const struct buf *paths,
                     uint8_t to[RULES_KEY_LEN])
{
    struct sha256_ctx context;

    sha256_init(&context);
    sha256_update(&context, db->len, (const uint8_t *)db->data);
    sha256_update(&context, paths->len, (const uint8_t *)paths->data);
    sha256_update(&context, meta->len, (const uint8_t *)meta->data);
    sha256_digest(&context, RULES_KEY_LEN, to);
}

static int write_block(const struct buf *meta, const struct buf *db, const struct buf *paths,
                       bool everything, char marker, struct buf *block, struct error *err)
{
    struct rules_header header = {.magic = RULES_MAGIC,
                                  .meta_len = meta->len,
                                  .db_len = db->len,
                                  .paths_len = paths->len,
                                  .everything = everything,
                                  .marker = marker};

    hash_all(meta, db, paths, header.key);
    buf_add(block, &header, sizeof header);
    buf_add(block, db->data, db->len);
    buf_add(block, paths->data, paths->len);
    buf_add(block, meta->data, meta->len);
    return buf_error(block) ? error_errno(err, buf_error(block), "cannot write the rules") : 0;
}

static int write_meta(const struct compilation *c, const struct buf *judge,
                      const struct buf *allowlists, const json_t *paths, const json_t *source,
                      struct buf *to, struct error *err)
{
    json_auto_t *meta =
        json_pack("{s:s, s:O, s:s, s:s, s:O, s:O, s:O}", "engine", hs_version(), "rules",
                  c->meta_rules, "judge", judge->data, "allowlists", allowlists->data, "paths",
                  paths, "problems", c->problems, "source", source);
    char *text = meta ? json_dumps(meta, JSON_COMPACT) : NULL;

    if (text)
        buf_adds(to, text);
    free(text);
    return to->len ? 0 : error_errno(err, -ENOMEM, "cannot write the rules");
}

int compile_rules(const json_t *source, struct buf *block, json_t **problems, struct error *err)
{
    json_auto_t *found = json_array(), *described = json_array(), *paths = json_array();
    cleanup_buf struct buf judge = BUF_INIT(META_MAX), allowlists = BUF_INIT(META_MAX),
                           db = BUF_INIT(RULES_BYTES_MAX), path_db = BUF_INIT(RULES_BYTES_MAX),
                           meta = BUF_INIT(META_MAX);
    struct compilation c = {
        .rules = json_object_get(source, "rules"), .problems = found, .meta_rules = described};
    const char *letter = json_string_value(json_object_get(source, "marker"));
    struct markers markers = {.letter = letter && *letter ? *letter : 'p', .patterns = paths};
    const json_t *rule;
    size_t i;
    int r;

    json_array_foreach(c.rules, i, rule)
        judgement_add_rule(&judge, rule, &markers);
    judgement_add_allowlists(&allowlists, "allowlists", json_object_get(source, "allowlists"),
                             &markers);
    if (buf_error(&judge) || buf_error(&allowlists) || json_array_size(paths) > PATH_PATTERNS_MAX)
        return error_set(err, -E2BIG, "too many rules, or too large ones");
    r = compile_contents(&c, &db, err);
    if (r == 0)
        r = compile_paths(paths, found, &path_db, err);
    if (r == 0)
        r = write_meta(&c, &judge, &allowlists, paths, source, &meta, err);
    if (r == 0)
        r = write_block(&meta, &db, &path_db, c.everything, markers.letter, block, err);
    if (r == 0)
        *problems = json_incref(found);
    return r;
}
