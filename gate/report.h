/* What a refused push is told about the secrets in it: where they are and how to be rid of them,
 * never what they are. */
#ifndef GITGATE_GATE_REPORT_H
#define GITGATE_GATE_REPORT_H

#include "judge.h"
#include "objects.h"

struct finding {
    const char *rule, *member, *form; /* borrowed from the verdicts */
    uint64_t byte; /* of the match in the file, member or object, or of what it was decoded from */
    bool byte_known;
    char fingerprint[FINGERPRINT_LEN + 1];
    struct location at;
};

struct findings {
    struct finding *list;
    size_t n;  /* at most FINDINGS_SHOWN */
    bool more; /* there are more, or may be */
};

#define FINDINGS_SHOWN 20 /* who has more starts with these */

#define cleanup_findings __attribute__((cleanup(findings_done)))

void findings_done(struct findings *findings);

/* The judge's verdicts on places, less what the GitGate allows (spec.scan.allow: a rule, a path
 * that the blob's must match (POSIX extended), a fingerprint; all that an entry names must fit). */
int findings_take(const struct judge *judge, const struct verdicts *verdicts,
                  const struct objects *objects, const struct scan_policy *policy,
                  uint64_t deadline_ns, struct findings *ret, struct error *err);

/* Lines for the client, in terminal-safe ASCII. */
void findings_print(const struct findings *findings, struct buf *to);

#endif
