/* AdmissionReview, admission.k8s.io/v1: what the API server asks, and the answer.
 * (https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/) */
#ifndef GITGATE_WEBHOOK_REVIEW_H
#define GITGATE_WEBHOOK_REVIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

/* The strings are borrowed from `root`, "" where the request has none. */
struct review {
    json_t *root; /* owned */
    const char *uid;
    const char *operation;    /* "CREATE", "UPDATE" */
    const char *sub_resource; /* "ephemeralcontainers" */
    const char *kind;         /* "Pod" */
    const char *namespace_;
    const char *name;         /* of the object, or its generateName: for people, never a key */
    const json_t *object;     /* NULL when there is none */
    const json_t *old_object; /* NULL but for an UPDATE */
};

/* Untrusted bytes in; -EINVAL with a sentence that says what they are not. The sentence is fit for
 * whoever sent them: it never quotes them. */
int review_parse(const char *body, size_t len, struct review *ret, struct error *err);
void review_done(struct review *review);
#define cleanup_review CLEANUP(review_done)

/* A reason longer than this is cut: it is read in events and on terminals. */
#define REASON_MAX 4096

struct decision {
    bool allowed;
    bool missing;      /* refused because there is no gate of the name in `gate` (yet) */
    const char *gate;  /* borrowed from the review or the gate; "" when none was asked for */
    json_t *patch;     /* owned: an array of operations, or NULL for none */
    struct buf reason; /* when it is refused: what to change */
    int err;           /* -ENOMEM: there is no decision, answer with an error */
};

#define DECISION_INIT ((struct decision){.gate = "", .reason = BUF_INIT(REASON_MAX)})
void decision_done(struct decision *decision);
#define cleanup_decision CLEANUP(decision_done)

/* The whole answer, or NULL when memory is short. */
json_t *review_answer(const struct review *review, const struct decision *decision);

#endif
