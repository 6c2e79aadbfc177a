/* What the gate's scan says of files: the same taking apart, finding and judging as of a push.
 *
 *   scan-files STATE [RULES] < NAMES > FINDINGS
 *
 * NAMES are paths below the working folder, each with a NUL behind it; a finding is a line of JSON.
 * STATE is a folder for the scan's own files. RULES is a list as spec.scan.rules, as JSON, of rules
 * that are looked for, too. Ends with a line of figures on standard error. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lock.h"
#include "scan/dissect.h"
#include "scan/judge.h"

#define READ_AT_ONCE 65536
/* No file may go unseen because another takes long: what is asked here is what is found. */
#define DEADLINE_NS (3600ull * 1000000000u)
/* Then gitleaks is run, and the next files begin anew: a push that is larger would be refused. */
#define BATCH_FILES (JUDGED_FILES_MAX / 2)
#define BATCH_BYTES (JUDGED_BYTES_MAX / 2)

struct scan {
    struct workdir dir;
    struct rulebook book;
    struct judge *judge;
    struct find *find;
    struct dissection dissection;
    uint64_t files, refused, runs, bytes, found_bytes, judged_files, judged_bytes;
    double finding_s; /* of processor time: reading, taking apart, finding */
};

static double processor_seconds(int who)
{
    struct rusage used;

    getrusage(who, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void print(json_t *line)
{
    json_dumpf(line, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
    putchar('\n');
    json_decref(line);
}

/* Paths of the corpus need not be text. */
static json_t *text(const char *from)
{
    json_t *value = json_string(from);

    return value ? value : json_string("(not UTF-8)");
}

static void print_verdict(const struct verdict *verdict)
{
    const struct origin *origin = verdict->origin;

    print(json_pack("{s:s, s:o, s:o, s:s, s:i}", "rule", verdict->rule, "file", text(origin->path),
                    "member", text(origin->member), "form", origin->form, "line",
                    (int)verdict->line));
}

/* ---- a batch ---- */

static int begin(struct scan *s, struct error *err)
{
    int r = workdir_init(".", &s->dir, err);

    if (r == 0)
        r = judge_new(&s->dir, &s->judge, err);
    return r < 0 ? r : find_new(s->book.sets, s->book.n, judge_take, s->judge, &s->find, err);
}

static void end(struct scan *s)
{
    find_free(s->find);
    judge_free(s->judge);
    s->find = NULL;
    s->judge = NULL;
    workdir_done(&s->dir);
}

static int judge_batch(struct scan *s, struct error *err)
{
    cleanup_verdicts struct verdicts verdicts = {0};
    uint64_t deadline_ns = clock_now_ns() + DEADLINE_NS;
    int r;

    while ((r = judge_next(s->judge, &s->book, deadline_ns, &verdicts, err)) > 0)
        s->runs++;
    for (size_t i = 0; r == 0 && i < verdicts.n; i++)
        print_verdict(&verdicts.list[i]);
    s->judged_files += judge_files(s->judge);
    s->judged_bytes += judge_bytes(s->judge);
    s->found_bytes += find_bytes(s->find);
    return r;
}

/* ---- a file ---- */

static int read_file(struct scan *s, const char *path, struct spool *to, struct error *err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    char chunk[READ_AT_ONCE];
    ssize_t n = 0;
    int r = 0;

    if (fd < 0)
        return error_errno(err, -errno, "cannot read a file");
    while (r == 0 && (n = read(fd, chunk, sizeof chunk)) > 0) {
        s->bytes += (uint64_t)n;
        r = spool_add(to, chunk, (size_t)n, err);
    }
    return r == 0 && n < 0 ? error_errno(err, -errno, "cannot read a file") : r;
}

static int scan_file(struct scan *s, const char *root, const char *path, struct error *err)
{
    cleanup_spool struct spool spool = SPOOL_INIT(&s->dir);
    struct piece where = {.place = PLACE_BLOB, .object = "", .path = path, .member = ""};
    cleanup_free char *full = NULL;
    int r;

    if (asprintf(&full, "%s/%s", root, path) < 0) {
        full = NULL;
        return error_errno(err, -ENOMEM, "cannot read a file");
    }
    s->dissection = (struct dissection){.take = find_piece,
                                        .data = s->find,
                                        .dir = &s->dir,
                                        .budget = {.members = DISSECT_MEMBERS_MAX,
                                                   .bytes = DISSECT_BYTES_MAX,
                                                   .deadline_ns = clock_now_ns() + DEADLINE_NS}};
    r = read_file(s, full, &spool, err);
    if (r == 0)
        r = dissect(&s->dissection, &where, &spool, err);
    if (r != -EFBIG)
        return r;
    s->refused++;
    print(json_pack("{s:o, s:s}", "file", text(path), "refused", err->msg));
    return 0;
}

static int scan_all(struct scan *s, const char *root, json_t *rules, struct error *err)
{
    const struct gate gate = {.repos_dir = ".", .spec.scan.rules = rules};
    cleanup_free char *path = NULL;
    size_t size = 0;
    double from = processor_seconds(RUSAGE_SELF);
    int r = rulebook_open(&gate, &s->book, err);

    if (r == 0)
        r = begin(s, err);
    while (r == 0 && getdelim(&path, &size, '\0', stdin) > 0) {
        s->files++;
        r = scan_file(s, root, path, err);
        if (r == 0 &&
            (judge_files(s->judge) > BATCH_FILES || judge_bytes(s->judge) > BATCH_BYTES)) {
            r = judge_batch(s, err);
            end(s);
            if (r == 0)
                r = begin(s, err);
        }
    }
    s->finding_s = processor_seconds(RUSAGE_SELF) - from;
    return r < 0 ? r : judge_batch(s, err);
}

static void print_figures(const struct scan *s)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    fprintf(stderr,
            "{\"files\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"refused\": %" PRIu64
            ", \"looked_through\": %" PRIu64 ", \"judged\": %" PRIu64 ", \"judged_bytes\": %" PRIu64
            ", \"gitleaks_runs\": %" PRIu64
            ", \"finding_s\": %.3f, \"judging_s\": %.3f, \"peak_kib\": %ld}\n",
            s->files, s->bytes, s->refused, s->found_bytes, s->judged_files, s->judged_bytes,
            s->runs, s->finding_s, processor_seconds(RUSAGE_CHILDREN), used.ru_maxrss);
}

int main(int argc, char **argv)
{
    struct scan s = {0};
    struct error err = ERROR_INIT;
    json_auto_t *rules = argc == 3 ? json_load_file(argv[2], 0, NULL) : NULL;
    char root[PATH_MAX];
    int r;

    if (argc < 2 || (argc > 2 && !rules) || !getcwd(root, sizeof root) || chdir(argv[1]) < 0) {
        fputs("usage: scan-files STATE [RULES] < NAMES > FINDINGS\n", stderr);
        return 2;
    }
    r = scan_all(&s, root, rules, &err);
    end(&s);
    rulebook_done(&s.book);
    print_figures(&s);
    if (r < 0 || fflush(stdout) != 0) {
        fprintf(stderr, "scan-files: %s\n", err.msg);
        return 1;
    }
    return 0;
}
