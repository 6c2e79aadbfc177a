/* gitleaks over a folder of files: which of them hold a secret. Its verdict counts only when it is
 * proven to have looked: at every byte, and at a canary that is made for this run. */
#ifndef GITGATE_GATE_JUDGE_H
#define GITGATE_GATE_JUDGE_H

#include "api/gitgate.h"
#include "workdir.h"

struct verdict {
    char rule[128];
    char file[256]; /* name in the folder */
    unsigned line;
};

struct verdicts {
    struct verdict *list;
    size_t n;
};

#define cleanup_verdicts __attribute__((cleanup(verdicts_done)))

void verdicts_done(struct verdicts *verdicts);

/* Writes the canary into the folder `content` of the work folder; the number of its bytes, which
 * count as content, or negative. */
int judge_canary(const struct workdir *dir, const char *content, struct error *err);

/* Runs gitleaks with its own rules and the policy's over `content`, of which it must read exactly
 * `bytes`. Any error means that nothing is known of the content: refuse. Neither the verdicts nor
 * the error hold what was found. */
int judge_run(const struct workdir *dir, const char *content, const struct scan_policy *policy,
              uint64_t bytes, uint64_t deadline_ns, struct verdicts *ret, struct error *err);

#endif
