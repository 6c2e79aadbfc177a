/* gitleaks over what the finder found: which of it is a secret. Its verdict counts only when it is
 * proven to have looked: at every byte, and at a canary that is made for each run.
 *
 * gitleaks gets each window as a file of its own, by rules that are ours alone (rulebook.h):
 * nothing in a push configures it, no path of a push allows anything. */
#ifndef GITGATE_GATE_JUDGE_H
#define GITGATE_GATE_JUDGE_H

#include "api/gitgate.h"
#include "scan/find.h"
#include "scan/rulebook.h"
#include "workdir.h"

/* Of one push. A push with more places that look like secrets is refused. */
#define JUDGED_FILES_MAX 50000
#define JUDGED_BYTES_MAX (512ull << 20)
#define FINDINGS_MAX 100000

/* Where a window came from. The judge's; what windows of one piece say alike is there once. */
struct origin {
    enum place place;
    const char *object, *path, *member, *form; /* as in struct piece */
    const char *markers;                       /* as in struct window */
    const char *name; /* PLACE_NAME: the name itself, which may hold the secret; or NULL */
    uint64_t offset;  /* of the window in the content */
    bool recoded;     /* as in struct piece: places in it are known by their lines alone */
    unsigned line;    /* of its first byte */
    size_t len;
    size_t lead;              /* bytes of ours before it in the judge's file */
    size_t part;              /* in which it is judged */
    struct piece_line *lines; /* as in struct piece, of this window; or NULL */
    size_t n_lines;
};

#define FINGERPRINT_LEN 16

struct verdict {
    const char *rule; /* the judge's, as is the origin */
    const struct origin *origin;
    unsigned line;   /* in the content, from 1 */
    uint64_t offset; /* in the content, of the match, or of what it was decoded from */
    size_t from, to; /* of the match, in the judge's file */
};

struct verdicts {
    struct verdict *list;
    size_t n, size;
};

#define cleanup_verdicts __attribute__((cleanup(verdicts_done)))

void verdicts_done(struct verdicts *verdicts);

struct judge; /* opaque */

/* Files go below `dir`, into folders that are made when there is something to judge. */
int judge_new(struct workdir *dir, struct judge **ret, struct error *err);
void judge_free(struct judge *judge);

/* One more window to be judged (a window_fn). */
int judge_take(void *judge, const struct piece *piece, const struct window *window,
               struct error *err);

/* How many windows, and their bytes. */
size_t judge_files(const struct judge *judge);
uint64_t judge_bytes(const struct judge *judge);

/* Runs gitleaks over the next part of them and adds its verdicts: 1, or 0 when nothing is left to
 * be judged. An ordinary push is one part; how many there are, no run has more than a part's bytes,
 * and so gitleaks' memory doesn't grow with the push. Any error means that nothing is known of the
 * content: refuse. Neither the verdicts nor the error hold what was found. */
int judge_next(struct judge *judge, struct rulebook *book, uint64_t deadline_ns,
               struct verdicts *to, struct error *err);

/* Whether all is judged. */
bool judge_done(const struct judge *judge);

/* Whether the window is the name of `path`, or of a folder above it. */
bool origin_names(const struct origin *origin, const char *path);

/* Whether a window that is not judged yet names `path`: it may hold a secret then. */
bool judge_suspects(const struct judge *judge, const char *path);

/* A hash of the rule and what matched, slow to make (5 ms), so that nobody finds the secret by it:
 * so it is only made of what is shown. */
int judge_fingerprint(const struct judge *judge, const struct verdict *verdict,
                      char to[FINGERPRINT_LEN + 1], struct error *err);

#endif
