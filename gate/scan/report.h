/* What a refused push is told about the secrets in it: where they are and how to be rid of them,
 * never what they are. */
#ifndef GITGATE_GATE_REPORT_H
#define GITGATE_GATE_REPORT_H

#include "scan/judge.h"
#include "scan/objects.h"

struct finding {
    const char *rule, *member, *form; /* borrowed from the verdicts */
    uint64_t byte; /* of the match in the file, member or object, or of what it was decoded from */
    bool byte_known;
    char fingerprint[FINGERPRINT_LEN + 1];
    struct location at;
};

struct findings {
    struct finding *list;
    size_t n;     /* at most FINDINGS_SHOWN */
    size_t taken; /* verdicts */
    bool more;    /* there are more, or may be: no need to look on */
};

#define FINDINGS_SHOWN 20    /* who has more starts with these */
#define VERDICTS_ENOUGH 2000 /* of a push that is refused; many may be of one place */

void findings_done(struct findings *findings);

/* Adds the verdicts on places that it has not taken yet, less what the GitGate allows
 * (spec.scan.allow: a rule, a path that the blob's must match (POSIX extended), a fingerprint; all
 * that an entry names must fit), until there is enough to show. */
int findings_take(const struct judge *judge, const struct verdicts *verdicts,
                  const struct objects *objects, const struct scan_policy *policy,
                  uint64_t deadline_ns, struct findings *to, struct error *err);

/* Before they are printed: withholds what can't be told for certain, or may be a secret. */
void findings_confirm(const struct judge *judge, const struct verdicts *verdicts,
                      const struct objects *objects, struct findings *findings);

/* Lines for the client, in terminal-safe ASCII. */
void findings_print(const struct findings *findings, struct buf *to);

#endif
