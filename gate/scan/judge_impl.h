/* What judge.c, gitleaks.c and verdict.c share. */
#ifndef GITGATE_GATE_JUDGE_IMPL_H
#define GITGATE_GATE_JUDGE_IMPL_H

#include <limits.h>

#include "scan/judge.h"

/* Windows come in parts, each a folder for a run of gitleaks: it keeps all that it found to its
 * end, and in so much text no more than takes it 20 MB. Pushes that are not made for it have one.
 */
#define PART_MAX (448u << 10) /* bytes; one window may be larger */

/* Each file starts with a line end of ours: gitleaks skips what looks like a program or an archive
 * by its first bytes. */
#define LEAD "\n"
#define LEAD_LEN 1u

#define JUDGED_PART "judged.%zu" /* folder of a part; its report has ".json" behind */

#define CANARY_FILE "canary"
#define CANARY_RULE "gitgate-canary"

struct strings {
    char **list;
    size_t n, size;
};

struct part {
    uint64_t bytes; /* of its files, as gitleaks counts */
};

struct judge {
    struct workdir *dir;
    int fd; /* of the last part's folder; -1: none yet */
    struct origin *list;
    size_t n, size;
    struct part *parts;
    size_t n_parts, parts_size;
    size_t judged;          /* parts that are */
    struct strings strings; /* the origins' */
    struct strings rules;   /* the verdicts' */
    uint64_t bytes;         /* of windows */
};

/* A list has room for one more: `*list` grows by doubling. */
bool judge_make_room(void *list, size_t n, size_t *size, size_t each);

/* `known` where it says the same, else a copy that is kept; NULL: there is no memory. */
const char *judge_keep(struct strings *s, const char *known, const char *text, size_t len);

void judge_part_path(const struct judge *j, size_t part, char to[PATH_MAX]);
void judge_report_path(const struct judge *j, size_t part, char to[PATH_MAX]);

unsigned judge_count_lines(const char *text, size_t len);

/* The name of a window's file in its part's folder. */
void judge_name_file(const struct judge *j, size_t index, char to[NAME_MAX + 1]);

/* gitleaks.c: one run over a part, with a canary; what it reports is at judge_report_path. */
int judge_run_gitleaks(struct judge *j, size_t part, struct rulebook *book, uint64_t deadline_ns,
                       struct error *err);

/* verdict.c: adds what the part's report says. */
int judge_read_report(struct judge *j, size_t part, const struct rulebook *book,
                      uint64_t deadline_ns, struct verdicts *to, struct error *err);

#endif
