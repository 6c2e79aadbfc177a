/* Keeps the webhook's certificate by itself, without a leader: the authorities in one Secret, whose
 * creation and resourceVersion settle every race; a serving certificate of this process's own; and
 * the authorities' certificates in the caBundles of the two webhook configurations, put back when
 * somebody edits them. */
#ifndef GITGATE_WEBHOOK_ISSUER_H
#define GITGATE_WEBHOOK_ISSUER_H

#include "authority.h"
#include "base/log.h"
#include "kube/client.h"

#define ISSUER_SECRET "gitgate-webhook-authority"

struct issuer_spec {
    const char *namespace_;    /* of the Secret */
    const char *configuration; /* the name of both webhook configurations */
    const char *host;          /* what the API server calls the webhook */
    struct authority_times times;
    /* There is a new one, borrowed for the call. */
    void (*issued)(void *data, const struct identity *identity);
    void *data;
    const struct log *log;
};

struct issuer;

/* Begins at once. `spec` and its strings are borrowed for the issuer's life. */
int issuer_start(struct kube_client *client, const struct issuer_spec *spec, struct issuer **ret,
                 struct error *err);

/* The caBundles hold what this process's certificate is signed by. NULL: true. */
bool issuer_ready(const struct issuer *issuer);

/* Before kube_client_free; its timer closes on the loop. NULL is fine. */
void issuer_stop(struct issuer *issuer);

#endif
