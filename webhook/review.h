/* AdmissionReview, admission.k8s.io/v1: what the API server asks, and the answer.
 * (https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/) */
#ifndef GITGATE_WEBHOOK_REVIEW_H
#define GITGATE_WEBHOOK_REVIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "data/document.h"
#include "data/problems.h"
#include "patch.h"

/* The strings point into the body that was parsed, "" where the request has none. */
struct review {
    struct document document; /* owned */
    const char *uid;
    const char *operation;    /* "CREATE", "UPDATE" */
    const char *sub_resource; /* "ephemeralcontainers" */
    const char *kind;         /* "Pod" */
    const char *namespace_;
    const char *name;              /* of the object, or its generateName: for people, never a key */
    const struct node *object;     /* NULL when there is none */
    const struct node *old_object; /* NULL but for an UPDATE */
};

/* Untrusted bytes in, which it changes and which must outlive the review; -EINVAL with a sentence
 * that says what they are not. The sentence is fit for whoever sent them: it never quotes them. */
int review_parse(char *body, size_t len, struct review *ret, struct error *err);
void review_done(struct review *review);
#define cleanup_review CLEANUP(review_done)

/* A reason longer than this is cut: it is read in events and on terminals. */
#define REASON_MAX 4096

struct decision {
    bool allowed;
    bool missing;        /* refused because there is no gate of the name in `gate` (yet) */
    const char *gate;    /* borrowed from the review or the gate; "" when none was asked for */
    const char *refusal; /* one word for metrics: what kind of refusal it is; NULL when allowed */
    struct patch patch;  /* closed; of no operation when nothing is to be done */
    struct buf reason;   /* when it is refused: what to change */
    struct problems problems; /* the same field by field, where that is known */
    struct problems warnings; /* shown to who asked, whatever the decision */
    int err;                  /* -ENOMEM: there is no decision, answer with an error */
};

#define DECISION_INIT                                                                              \
    ((struct decision){.gate = "", .patch = PATCH_INIT, .reason = BUF_INIT(REASON_MAX)})
void decision_done(struct decision *decision);
#define cleanup_decision CLEANUP(decision_done)

/* Forgets the patch. */
void decision_drop_patch(struct decision *decision);

/* Appends the whole answer; buf_error(to) tells whether memory was short. */
void review_answer(const struct review *review, const struct decision *decision, struct buf *to);

#endif
