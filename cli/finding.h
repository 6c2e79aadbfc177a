/* What `gitgate check` found out about one upstream, and how it is said. Pure. */
#ifndef GITGATE_CLI_FINDING_H
#define GITGATE_CLI_FINDING_H

#include <jansson.h>

#include "api/gitgate.h"
#include "api/ip.h"
#include "base/buf.h"
#include "base/proc.h"
#include "data/problems.h"
#include "reason.h"

/* Longer than any sentence of reason.c, and than a list of host keys. */
#define FINDING_TEXT_MAX 4096
#define CERTIFICATE_TEXT_MAX 256

struct finding {
    const struct upstream *upstream;
    size_t index;      /* in spec.upstreams */
    json_t *checked;   /* strings: what was right, in the order in which it was looked at */
    enum fault fault;  /* FAULT_NONE: all is well */
    struct buf what;   /* the fault in a sentence */
    struct buf detail; /* what else is known of it, or "" */
};

void finding_init(struct finding *finding, const struct upstream *upstream, size_t index);
void finding_done(struct finding *finding);

/* One more thing that is right. */
__attribute__((format(printf, 2, 3))) void finding_pass(struct finding *finding, const char *fmt,
                                                        ...);

/* The fault, in a sentence as reason_fill takes it. The first one stays. */
void finding_fail(struct finding *finding, enum fault fault, const char *sentence);

/* A problem of its credentials, in the file of that name. */
void finding_problem(struct finding *finding, const char *file, const struct problem *problem);

/* How a connection went, before any word of git's protocol. */
struct reach {
    enum fault fault;
    char address[IP_TEXT_MAX]; /* that was reached or tried; "" when it is not known */
    int seconds;               /* after which it was given up */
    /* Of the server's certificate, when that is at fault; "" when not known. */
    char issuer[CERTIFICATE_TEXT_MAX], expires[CERTIFICATE_TEXT_MAX], names[CERTIFICATE_TEXT_MAX];
};

/* What that says of the upstream. `extra`: the address is from extraHosts. */
void finding_reach(struct finding *finding, const struct reach *reach, bool extra);

/* How `ssh-keygen -y` went with the private key (what render_creds can tell of a key was said
 * before): of it the fingerprint of its public half is kept. */
void finding_key(struct finding *finding, const struct proc_result *keygen);

/* How git ended: as the gate says it, and where the gate would point at its log, git's own first
 * line. What else the other side sent is left out: it may hold what the gate sent. */
void finding_git(struct finding *finding, const struct proc_result *result);

/* How a push that was begun ended. A refusal that is not of a kind that is known is one of the
 * right to push: listing the refs went well just before. */
void finding_push(struct finding *finding, const struct proc_result *result);

/* For people: a line, and for a fault what to do about it in the next. */
void finding_print(const struct finding *finding, struct buf *to);

/* For programs: {name, url, ok, checked: [...], fault: {kind, message, detail, advice}}. New. */
json_t *finding_json(const struct finding *finding);

#endif
