/* What gitleaks reports of a part, as verdicts on places of the push. */
#include <errno.h>
#include <jansson.h>
#include <nettle/pbkdf2.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/parse.h"
#include "lock.h"
#include "scan/judge_impl.h"

#define KEYWORDS_ROOM (2u << 20) /* for what stands behind the text of a window */
#define RULES_MAX 2000           /* that one report names */
#define FINDING_MAX (64u << 10)  /* bytes of one in the report */
#define FINGERPRINT_ROUNDS 20000 /* about 5 ms: nothing for a refusal, much for who guesses */

void verdicts_done(struct verdicts *verdicts)
{
    free(verdicts->list);
    *verdicts = (struct verdicts){0};
}

/* ---- places ---- */

/* What gitleaks says of a match: lines from 1. Columns count from the line end before, so that the
 * first byte of a line is 2; in the first line it is 1. */
struct match {
    unsigned start_line, end_line, start_column, end_column;
};

/* What its columns of that line count from. */
static size_t line_base(const struct buf *text, unsigned line)
{
    const char *at = text->data, *end = text->data + text->len;

    for (unsigned i = 1; i < line && at; i++)
        at = memchr(at + (i > 1), '\n', (size_t)(end - at - (i > 1)));
    return at ? (size_t)(at - text->data) : text->len;
}

/* Bytes of the file that matched; none for a rule that looks at the path alone. */
static void locate_match(const struct buf *text, const struct match *match, size_t *from,
                         size_t *to)
{
    *from = line_base(text, match->start_line) + match->start_column;
    *to = line_base(text, match->end_line) + match->end_column;
    *from -= *from > 0;
    if (match->start_line == 0)
        *from = *to = LEAD_LEN;
    if (*from > text->len)
        *from = text->len;
    if (*to < *from || *to > text->len)
        *to = *from;
}

/* The line and byte of the content that the window's byte `at` is of, or was decoded from. */
static void trace(const struct origin *origin, const char *text, size_t at, struct verdict *to)
{
    const struct piece_line *last = origin->lines;

    if (!last) {
        to->line = origin->line + judge_count_lines(text, at);
        to->offset = origin->offset + at;
        return;
    }
    for (size_t i = 1; i < origin->n_lines && origin->lines[i].at <= at; i++)
        last = &origin->lines[i];
    to->line = last->line;
    to->offset = last->offset + (last->decoded ? 0 : at - last->at);
}

/* ---- the report ---- */

static unsigned number(const json_t *finding, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(finding, key));

    return n < 0 || n > INT_MAX ? 0 : (unsigned)n;
}

/* The file's text is read again rather than kept: that of a finding is seldom needed. */
static int read_text(const struct judge *j, size_t index, struct buf *to, struct error *err)
{
    char file[NAME_MAX + 1], name[2 * NAME_MAX + 2], path[PATH_MAX];
    int r;

    judge_name_file(j, index, file);
    snprintf(name, sizeof name, JUDGED_PART "/%s", j->list[index].part, file);
    workdir_path(j->dir, name, path);
    buf_reset(to);
    r = file_read(path, to, NULL);
    return r < 0 ? error_errno(err, r, "cannot read the scan's files") : 0;
}

/* One that gitleaks places in the keywords before the window counts, too, at the window's start:
 * they stand in the piece as well, and a place that can't be right is no reason to let a finding
 * go.
 */
static int take_place(const struct judge *j, const json_t *finding, size_t index, struct buf *text,
                      struct verdict *to, struct error *err)
{
    const struct origin *origin = &j->list[index];
    struct match match = {.start_line = number(finding, "StartLine"),
                          .end_line = number(finding, "EndLine"),
                          .start_column = number(finding, "StartColumn"),
                          .end_column = number(finding, "EndColumn")};
    size_t from, end;
    int r = read_text(j, index, text, err);

    if (r < 0)
        return r;
    locate_match(text, &match, &from, &end);
    to->from = from;
    to->to = end;
    /* A match may begin with line ends, of which the first one may be ours. */
    while (from < end && text->data[from] == '\n')
        from++;
    from = from > origin->lead ? from - origin->lead : 0;
    from = from < origin->len ? from : origin->len;
    to->origin = origin;
    trace(origin, text->data + origin->lead, from, to);
    return 0;
}

struct report {
    struct judge *judge;
    size_t part;
    struct buf text;   /* of the file at hand */
    bool ours, theirs; /* the canary was found by */
    struct verdicts *verdicts;
    uint64_t deadline_ns;
};

/* Few rules find all that is found. */
static const char *keep_rule(struct judge *j, const char *id)
{
    for (size_t i = 0; i < j->rules.n; i++)
        if (strcmp(j->rules.list[i], id) == 0)
            return j->rules.list[i];
    return j->rules.n < RULES_MAX ? judge_keep(&j->rules, NULL, id, strlen(id)) : NULL;
}

static int add_verdict(struct report *report, const char *rule, uint64_t index,
                       const json_t *finding, struct error *err)
{
    struct verdicts *v = report->verdicts;
    int r;

    if (v->n == FINDINGS_MAX)
        return error_set(err, -EFBIG, "the push holds more than %d places that read like a secret",
                         FINDINGS_MAX);
    if (!judge_make_room(&v->list, v->n, &v->size, sizeof *v->list))
        return error_errno(err, -ENOMEM, "cannot read gitleaks' report");
    v->list[v->n] = (struct verdict){.rule = keep_rule(report->judge, rule)};
    if (!v->list[v->n].rule)
        return error_set(err, -EIO, "gitleaks' report can't be understood");
    r = take_place(report->judge, finding, index, &report->text, &v->list[v->n], err);
    v->n += r == 0;
    return r;
}

static int take_finding(struct report *report, const json_t *finding, struct error *err)
{
    const char *rule = json_string_value(json_object_get(finding, "RuleID"));
    const char *file = json_string_value(json_object_get(finding, "File"));
    char digits[24];
    uint64_t index;

    if (!rule || !*rule || !file)
        return error_set(err, -EIO, "gitleaks' report can't be understood");
    if (strcmp(file, CANARY_FILE) == 0) {
        report->ours = report->ours || strcmp(rule, CANARY_RULE) == 0;
        report->theirs = report->theirs || strcmp(rule, CANARY_OWN_RULE) == 0;
        return 0;
    }
    if (strcmp(rule, CANARY_RULE) == 0)
        return 0;
    snprintf(digits, sizeof digits, "%.*s", (int)strcspn(file, "."), file);
    if (parse_u64(digits, UINT64_MAX, &index) < 0 || index >= report->judge->n ||
        report->judge->list[index].part != report->part)
        return error_set(err, -EIO, "gitleaks' report names a file that is not there");
    if (clock_now_ns() > report->deadline_ns)
        return error_set(err, -ETIMEDOUT, "the scan took too long (spec.scan.timeout)");
    return add_verdict(report, rule, index, finding, err);
}

/* The next character that is no white space, or EOF. */
static int next_sign(FILE *from)
{
    int c;

    do
        c = getc(from);
    while (c == ' ' || c == '\n' || c == '\r' || c == '\t');
    return c;
}

/* Hands the parser no more than a finding has. */
struct source {
    FILE *file;
    size_t left;
};

static size_t read_sign(void *to, size_t len, void *data)
{
    struct source *source = data;
    int c = len > 0 && source->left > 0 ? getc(source->file) : EOF;

    if (c == EOF)
        return 0;
    source->left--;
    *(char *)to = (char)c;
    return 1;
}

/* One finding after the other: all of them at once would be the most of a scan's memory. */
static int take_findings(struct report *report, FILE *file, struct error *err)
{
    int r = 0, sign = next_sign(file) == '[' ? next_sign(file) : EOF;

    while (r == 0 && sign != ']') {
        struct source source = {.file = file, .left = FINDING_MAX};
        json_auto_t *finding = NULL;

        if (sign == '{' && ungetc(sign, file) == sign)
            finding = json_load_callback(read_sign, &source, JSON_DISABLE_EOF_CHECK, NULL);
        if (!finding)
            return error_set(err, -EIO, "gitleaks wrote no report that can be read");
        r = take_finding(report, finding, err);
        sign = next_sign(file);
        if (sign == ',' && (sign = next_sign(file)) == ']')
            sign = EOF;
    }
    if (r == 0 && next_sign(file) != EOF)
        return error_set(err, -EIO, "gitleaks wrote no report that can be read");
    if (r == 0 && !(report->ours && report->theirs))
        return error_set(err, -EIO, "gitleaks did not find its canary");
    return r;
}

int judge_read_report(struct judge *j, size_t part, const struct rulebook *book,
                      uint64_t deadline_ns, struct verdicts *to, struct error *err)
{
    struct report report = {.judge = j,
                            .part = part,
                            .text = BUF_INIT(PIECE_MAX + KEYWORDS_ROOM),
                            .theirs = !book->own_canary,
                            .verdicts = to,
                            .deadline_ns = deadline_ns};
    char path[PATH_MAX];
    FILE *file;
    int r;

    judge_report_path(j, part, path);
    file = fopen(path, "re");
    if (!file)
        return error_errno(err, -errno, "gitleaks wrote no report that can be read");
    r = take_findings(&report, file, err);
    fclose(file);
    buf_done(&report.text);
    return r;
}

/* ---- fingerprints ---- */

int judge_fingerprint(const struct judge *j, const struct verdict *verdict,
                      char to[FINGERPRINT_LEN + 1], struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(PIECE_MAX + KEYWORDS_ROOM);
    uint8_t hash[FINGERPRINT_LEN / 2];
    int r = read_text(j, (size_t)(verdict->origin - j->list), &text, err);

    if (r < 0)
        return r;
    if (verdict->to > text.len)
        return error_set(err, -EIO, "cannot hash a finding");
    pbkdf2_hmac_sha256(verdict->to - verdict->from, (const uint8_t *)text.data + verdict->from,
                       FINGERPRINT_ROUNDS, strlen(verdict->rule), (const uint8_t *)verdict->rule,
                       sizeof hash, hash);
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(to + 2 * i, 3, "%02x", hash[i]);
    return 0;
}
