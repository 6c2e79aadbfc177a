#include "judge.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/file.h"
#include "base/parse.h"
#include "git.h"
#include "lock.h"
#include "policy.h"

#define CONTENT_DIR "judged"
#define CONFIG_FILE "gitleaks.toml"
#define REPORT_FILE "report.json"
#define CANARY_FILE "canary"
#define CANARY_RULE "gitgate-canary"
#define CANARY_LEN 36 /* what a GitHub token has behind its prefix */

/* Each file starts with a line end of ours: gitleaks skips what looks like a program or an archive
 * by its first bytes. */
#define LEAD "\n"
#define LEAD_LEN 1u
/* Between a window and the keywords behind it: wider than any rule reaches over white space. */
#define GAP "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"

#define KEYWORDS_ROOM (2u << 20) /* for what stands behind the text of a window */
#define CONFIG_MAX (16u << 20)
#define RULES_MAX 2000          /* that one report names */
#define FINDING_MAX (64u << 10) /* bytes of one in the report; what matched is not in it */
#define SAID_MAX (256u << 10)
#define SAID_SHOWN 400
#define CODE_FOUND 77 /* what we make gitleaks exit with: 1 is also its general failure */
#define CODE_TEXT "77"
#define DECODE_DEPTH "5"         /* base64 in hex in base64 ...: gitleaks' own default */
#define FINGERPRINT_ROUNDS 20000 /* about 5 ms: nothing for a refusal, much for who guesses */

struct strings {
    char **list;
    size_t n, size;
};

struct judge {
    const struct workdir *dir;
    int fd; /* of CONTENT_DIR; -1: not there yet */
    struct origin *list;
    size_t n, size;
    struct strings strings;  /* the origins' */
    struct strings rules;    /* the verdicts' */
    uint64_t bytes, counted; /* of windows; of whole files, as gitleaks counts */
};

void verdicts_done(struct verdicts *verdicts)
{
    free(verdicts->list);
    *verdicts = (struct verdicts){0};
}

/* ---- texts that are kept ---- */

static void strings_done(struct strings *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->list[i]);
    free(s->list);
}

/* A list has room for one more: `*list` grows by doubling. */
static bool make_room(void *list, size_t n, size_t *size, size_t each)
{
    size_t wanted = *size ? 2 * *size : 64;
    void **at = list, *grown;

    if (n < *size)
        return true;
    grown = realloc(*at, wanted * each);
    if (!grown)
        return false;
    *at = grown;
    *size = wanted;
    return true;
}

/* `known` where it says the same, else a copy that is kept; NULL: there is no memory. */
static const char *keep(struct strings *s, const char *known, const char *text, size_t len)
{
    if (len == 0)
        return "";
    if (known && strncmp(known, text, len) == 0 && known[len] == '\0')
        return known;
    if (!make_room(&s->list, s->n, &s->size, sizeof *s->list) ||
        !(s->list[s->n] = strndup(text, len)))
        return NULL;
    return s->list[s->n++];
}

/* ---- what is to be judged ---- */

int judge_new(const struct workdir *dir, struct judge **ret, struct error *err)
{
    struct judge *j = calloc(1, sizeof *j);

    if (!j)
        return error_errno(err, -ENOMEM, "cannot scan the push");
    j->dir = dir;
    j->fd = -1;
    *ret = j;
    return 0;
}

void judge_free(struct judge *j)
{
    if (!j)
        return;
    for (size_t i = 0; i < j->n; i++)
        free(j->list[i].lines);
    free(j->list);
    strings_done(&j->strings);
    strings_done(&j->rules);
    cleanup_close_(&j->fd);
    free(j);
}

size_t judge_files(const struct judge *j)
{
    return j->n;
}

uint64_t judge_bytes(const struct judge *j)
{
    return j->bytes;
}

static int open_content(struct judge *j, struct error *err)
{
    char path[PATH_MAX];

    if (j->fd >= 0)
        return 0;
    workdir_path(j->dir, CONTENT_DIR, path);
    if (mkdir(path, 0700) < 0 || (j->fd = open(path, O_DIRECTORY | O_CLOEXEC)) < 0)
        return error_errno(err, -errno, "cannot make a folder for the scan");
    return 0;
}

static int write_file(struct judge *j, const char *name, struct iovec *parts, int n,
                      struct error *err)
{
    cleanup_close int fd =
        openat(j->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return error_errno(err, -errno, "cannot write the scan's files");
    while (n > 0) {
        ssize_t written = writev(fd, parts, n);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return error_errno(err, -errno, "cannot write the scan's files");
        j->counted += (uint64_t)written;
        for (; n > 0 && (size_t)written >= parts->iov_len; n--, parts++)
            written -= (ssize_t)parts->iov_len;
        if (n > 0) {
            parts->iov_base = (char *)parts->iov_base + written;
            parts->iov_len -= (size_t)written;
        }
    }
    return 0;
}

static void name_file(const struct judge *j, size_t index, char to[NAME_MAX + 1])
{
    snprintf(to, NAME_MAX + 1, "%zu%s.x", index, j->list[index].markers);
}

static unsigned count_lines(const char *text, size_t len)
{
    unsigned n = 0;

    for (const char *end = text + len; (text = memchr(text, '\n', (size_t)(end - text))); text++)
        n++;
    return n;
}

/* The decoder's lines that begin in the window, and the one that it begins in. */
static int copy_lines(const struct piece *piece, const struct window *window, struct origin *to)
{
    size_t first = 0, end;

    while (first + 1 < piece->n_lines && piece->lines[first + 1].at <= window->from)
        first++;
    for (end = first; end < piece->n_lines && piece->lines[end].at < window->to; end++)
        ;
    to->lines = calloc(end - first + 1, sizeof *to->lines);
    if (!to->lines)
        return -ENOMEM;
    for (size_t i = first; i < end; i++) {
        struct piece_line line = piece->lines[i];
        size_t before = window->from > line.at ? window->from - line.at : 0;

        line.offset += line.decoded ? 0 : before;
        line.at = before ? 0 : line.at - (uint32_t)window->from;
        to->lines[to->n_lines++] = line;
    }
    return 0;
}

static const char *keep_text(struct judge *j, const char *known, const char *text)
{
    return keep(&j->strings, known, text, strlen(text));
}

/* The origin behind the last one: windows that follow one another have most in common. */
static int fill_in(struct judge *j, const struct piece *piece, const struct window *window)
{
    static const struct origin none = {0};
    struct origin *to = &j->list[j->n];
    const struct origin *last = j->n > 0 ? to - 1 : &none;

    *to = (struct origin){.place = piece->place,
                          .object = keep_text(j, last->object, piece->object),
                          .path = keep_text(j, last->path, piece->path),
                          .member = keep_text(j, last->member, piece->member),
                          .form = keep_text(j, last->form, piece->form),
                          .markers = keep_text(j, last->markers, window->markers),
                          .offset = piece->offset + window->from,
                          .recoded = piece->recoded,
                          .line = piece->line,
                          .len = window->to - window->from};
    if (piece->place == PLACE_NAME)
        to->name = keep(&j->strings, last->name, piece->data, piece->len);
    if (!to->object || !to->path || !to->member || !to->form || !to->markers ||
        (piece->place == PLACE_NAME && !to->name))
        return -ENOMEM;
    if (piece->lines)
        return copy_lines(piece, window, to);
    to->line += count_lines(piece->data, window->from);
    return 0;
}

int judge_take(void *data, const struct piece *piece, const struct window *window,
               struct error *err)
{
    struct judge *j = data;
    struct iovec parts[] = {
        {(char *)LEAD, LEAD_LEN},
        {(char *)piece->data + window->from, window->to - window->from},
        {(char *)GAP, strlen(GAP)},
        {(char *)window->keywords, strlen(window->keywords)},
    };
    char name[NAME_MAX + 1];
    int r = open_content(j, err);

    if (r < 0)
        return r;
    if (j->n == JUDGED_FILES_MAX || j->bytes + parts[1].iov_len > JUDGED_BYTES_MAX)
        return error_set(err, -EFBIG,
                         "the push holds too much that may be a secret for the gate to look at; "
                         "push it in parts");
    r = make_room(&j->list, j->n, &j->size, sizeof *j->list) ? fill_in(j, piece, window) : -ENOMEM;
    if (r < 0)
        return error_errno(err, r, "cannot scan the push");
    j->bytes += parts[1].iov_len;
    name_file(j, j->n++, name);
    return write_file(j, name, parts, *window->keywords ? 4 : 2, err);
}

/* ---- the canary ---- */

/* Consonants and digits: no word that gitleaks allows ("false", "example") comes out of it. */
static int random_word(char to[CANARY_LEN + 1])
{
    static const char alphabet[] = "0123456789bcdfghjkmnpqrstvwxzBCD"; /* 32: no bias */
    unsigned char bytes[CANARY_LEN];

    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return -EIO;
    for (size_t i = 0; i < CANARY_LEN; i++)
        to[i] = alphabet[bytes[i] % 32];
    to[CANARY_LEN] = '\0';
    return 0;
}

static int write_canary(struct judge *j, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(1024);
    char ours[CANARY_LEN + 1], theirs[CANARY_LEN + 1];

    if (random_word(ours) < 0 || random_word(theirs) < 0)
        return error_set(err, -EIO, "no random numbers");
    buf_addf(&text, CANARY_RULE "-%s\n%s_%s\n", ours, "ghp", theirs);
    return write_file(j, CANARY_FILE, &(struct iovec){text.data, text.len}, 1, err);
}

/* ---- the run ---- */

static int write_config(const struct judge *j, struct rulebook *book, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(CONFIG_MAX);
    int r = 0;

    buf_adds(&text, "title = \"gitgate\"\n\n[[rules]]\nid = \"" CANARY_RULE "\"\n"
                    "regex = '''" CANARY_RULE "-[0-9a-zA-Z]{36}'''\n"
                    "keywords = [\"" CANARY_RULE "\"]\n");
    for (size_t i = 0; r == 0 && i < book->n; i++) {
        r = rules_detail(&book->sets[i], err);
        buf_adds(&text, rules_judge(&book->sets[i]));
        if (r == 0 && &book->sets[i] == book->config)
            buf_adds(&text, rules_allowlists(&book->sets[i]));
    }
    if (r < 0)
        return r;
    if (buf_error(&text))
        return error_errno(err, buf_error(&text), "cannot write gitleaks' configuration");
    return workdir_write(j->dir, CONFIG_FILE, text.data, text.len, err);
}

static int check_end(const struct proc_spec *spec, const struct proc_result *result,
                     struct error *err)
{
    cleanup_buf struct buf said = BUF_INIT(SAID_SHOWN), how = BUF_INIT(256);
    size_t len = result->err.len < SAID_SHOWN ? result->err.len : SAID_SHOWN;

    if (!result->timed_out && result->exit_code == CODE_FOUND)
        return 0; /* nothing else will do: the canary is there to be found */
    if (!result->timed_out && result->exit_code == 0)
        return error_set(err, -EIO, "gitleaks did not find its canary");
    if (result->timed_out)
        return error_set(err, -ETIMEDOUT, "gitleaks took too long (spec.scan.timeout)");
    proc_describe(spec, result, &how);
    printable(&said, result->err.data, len);
    return error_set(err, -EIO, "gitleaks: %s: %s", how.data, said.data);
}

/* "scanned ~1234 bytes": what was skipped, for whatever reason, is not in that number. */
static int check_bytes(const struct proc_result *result, uint64_t bytes, struct error *err)
{
    static const char mark[] = "scanned ~";
    const char *at = strstr(result->err.data, mark);
    char digits[24];
    uint64_t read = 0;
    size_t len;

    at = at ? at + sizeof mark - 1 : "";
    len = strspn(at, "0123456789");
    if (len == 0 || len >= sizeof digits)
        return error_set(err, -EIO, "gitleaks does not say how much it has read");
    memcpy(digits, at, len);
    digits[len] = '\0';
    if (parse_u64(digits, UINT64_MAX, &read) < 0 || read != bytes)
        return error_set(err, -EIO, "gitleaks has read %s bytes of %" PRIu64, digits, bytes);
    return 0;
}

static uint64_t ms_until(uint64_t deadline_ns)
{
    uint64_t now = clock_now_ns();

    return deadline_ns > now ? (deadline_ns - now) / 1000000u + 1 : 1;
}

static int run_gitleaks(const struct judge *j, uint64_t deadline_ns, struct error *err)
{
    static const char *const argv[] = {"gitleaks",
                                       "dir",
                                       "--no-banner",
                                       "--no-color",
                                       "--log-level=info",
                                       "--config=../" CONFIG_FILE,
                                       "--report-format=json",
                                       "--report-path=../" REPORT_FILE,
                                       "--redact=100",
                                       "--exit-code=" CODE_TEXT,
                                       "--ignore-gitleaks-allow",
                                       "--max-decode-depth=" DECODE_DEPTH,
                                       ".",
                                       NULL};
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(SAID_MAX, SAID_MAX);
    cleanup_child_env struct child_env env = CHILD_ENV_INIT;
    struct proc_spec spec = {.argv = argv, .timeout_ms = ms_until(deadline_ns)};
    char cwd[PATH_MAX];
    int r = child_env_base(&env);

    if (r < 0)
        return error_errno(err, r, "cannot run gitleaks");
    workdir_path(j->dir, CONTENT_DIR, cwd);
    spec.cwd = cwd;
    spec.env = (const char *const *)env.list;
    r = proc_run(&spec, &result, err);
    if (r == 0)
        r = check_end(&spec, &result, err);
    return r < 0 ? r : check_bytes(&result, j->counted, err);
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
        to->line = origin->line + count_lines(text, at);
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
    char file[NAME_MAX + 1], name[NAME_MAX + 32], path[PATH_MAX];
    int r;

    name_file(j, index, file);
    snprintf(name, sizeof name, CONTENT_DIR "/%s", file);
    workdir_path(j->dir, name, path);
    buf_reset(to);
    r = file_read(path, to, NULL);
    return r < 0 ? error_errno(err, r, "cannot read the scan's files") : 0;
}

/* One that gitleaks places in the keywords behind the window counts, too, at the window's end: they
 * stand in the piece as well, and a place that can't be right is no reason to let a finding go. */
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
    from = from > LEAD_LEN ? from - LEAD_LEN : 0;
    from = from < origin->len ? from : origin->len;
    to->origin = origin;
    trace(origin, text->data + LEAD_LEN, from, to);
    return 0;
}

struct report {
    struct judge *judge;
    struct buf text;   /* of the file at hand */
    bool ours, theirs; /* the canary was found by */
    struct verdicts verdicts;
    uint64_t deadline_ns;
};

/* Few rules find all that is found. */
static const char *keep_rule(struct judge *j, const char *id)
{
    for (size_t i = 0; i < j->rules.n; i++)
        if (strcmp(j->rules.list[i], id) == 0)
            return j->rules.list[i];
    return j->rules.n < RULES_MAX ? keep(&j->rules, NULL, id, strlen(id)) : NULL;
}

static int add_verdict(struct report *report, const char *rule, uint64_t index,
                       const json_t *finding, struct error *err)
{
    struct verdicts *v = &report->verdicts;
    int r;

    if (v->n == FINDINGS_MAX)
        return error_set(err, -EFBIG, "the push holds more than %d places that read like a secret",
                         FINDINGS_MAX);
    if (!make_room(&v->list, v->n, &v->size, sizeof *v->list))
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
    if (parse_u64(digits, UINT64_MAX, &index) < 0 || index >= report->judge->n)
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

static int read_report(struct judge *j, const struct rulebook *book, uint64_t deadline_ns,
                       struct verdicts *ret, struct error *err)
{
    struct report report = {.judge = j,
                            .text = BUF_INIT(PIECE_MAX + KEYWORDS_ROOM),
                            .theirs = !book->own_canary,
                            .deadline_ns = deadline_ns};
    char path[PATH_MAX];
    FILE *file;
    int r;

    workdir_path(j->dir, REPORT_FILE, path);
    file = fopen(path, "re");
    if (!file)
        return error_errno(err, -errno, "gitleaks wrote no report that can be read");
    r = take_findings(&report, file, err);
    fclose(file);
    buf_done(&report.text);
    if (r < 0)
        verdicts_done(&report.verdicts);
    else
        *ret = report.verdicts;
    return r;
}

int judge_run(struct judge *j, struct rulebook *book, uint64_t deadline_ns, struct verdicts *ret,
              struct error *err)
{
    int r;

    *ret = (struct verdicts){0};
    if (j->n == 0)
        return 0;
    r = write_canary(j, err);
    if (r == 0)
        r = write_config(j, book, err);
    if (r == 0)
        r = run_gitleaks(j, deadline_ns, err);
    return r < 0 ? r : read_report(j, book, deadline_ns, ret, err);
}

/* ---- fingerprints ---- */

int judge_fingerprint(const struct judge *j, const struct verdict *verdict,
                      char to[FINGERPRINT_LEN + 1], struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(PIECE_MAX + KEYWORDS_ROOM);
    unsigned char hash[FINGERPRINT_LEN / 2];
    int r = read_text(j, (size_t)(verdict->origin - j->list), &text, err);

    if (r < 0)
        return r;
    if (verdict->to > text.len ||
        PKCS5_PBKDF2_HMAC(text.data + verdict->from, (int)(verdict->to - verdict->from),
                          (const unsigned char *)verdict->rule, (int)strlen(verdict->rule),
                          FINGERPRINT_ROUNDS, EVP_sha256(), sizeof hash, hash) != 1)
        return error_set(err, -EIO, "cannot hash a finding");
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(to + 2 * i, 3, "%02x", hash[i]);
    return 0;
}
