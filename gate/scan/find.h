/* Finds, at memory speed, what gitleaks has to look at: the rules' expressions in Vectorscan's
 * prefilter mode match all that gitleaks would match, and more. What has no hit is clean.
 *
 * What hit is given on as a window: wide enough that the rule's match lies in it whole
 * (expression.h says how far one can reach), with the lines around it, and small enough that
 * gitleaks reads it in one piece. */
#ifndef GITGATE_GATE_FIND_H
#define GITGATE_GATE_FIND_H

#include "base/buf.h"
#include "scan/piece.h"
#include "scan/rules.h"

/* gitleaks reads 100,000 bytes at once, and what stands in the next ones it sees apart. */
#define WINDOW_MAX 96000u

/* A part of a piece for the judge. */
struct window {
    size_t from, to; /* in piece->data */
    /* Words that gitleaks asks for before it applies a rule, that stand in the piece but not in the
     * window: a line each. */
    const char *keywords;
    const char *markers; /* ".p7.p12" : the path patterns that match (rules/judgement.h); or "" */
};

/* Takes what is to be judged; negative ends the search. */
typedef int window_fn(void *data, const struct piece *piece, const struct window *window,
                      struct error *err);

struct find; /* opaque */

/* `sets` stay the caller's, and must outlive it; markers of the second set follow those of the
 * first. */
int find_new(struct rules *sets, size_t n, window_fn *take, void *data, struct find **ret,
             struct error *err);
void find_free(struct find *find);

/* Looks through a piece (a piece_fn). */
int find_piece(void *find, const struct piece *piece, struct error *err);

/* How many bytes have been looked through. */
uint64_t find_bytes(const struct find *find);

#endif
