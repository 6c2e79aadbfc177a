/* An object as the controller sees it in a metadata-only watch: no more than it decides by. */
#ifndef GITGATE_CONTROLLER_SEEN_H
#define GITGATE_CONTROLLER_SEEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "data/document.h"
#include "digest.h"
#include "ids.h"

/* On owned objects: the digest of what was written (of a Secret: of what it was made from), a dot,
 * and how many keys of data that has. */
#define ANNOTATION_APPLIED "gitgate.dev/applied"

/* Plain bytes: it may be copied. */
struct seen {
    struct uid uid;
    struct uid owner;      /* of the GitGate that is its controller; or none */
    struct digest applied; /* in ANNOTATION_APPLIED; or none */
    uint64_t version;      /* resourceVersion */
    int creation;   /* where among its managedFields that of our creation stands; -1: nowhere */
    bool foreign;   /* there is content in it that our next apply would leave alone */
    bool lacks;     /* keys of its data were taken away */
    bool rewritten; /* what it was created with was changed under our name */
    bool labelled;  /* it has the labels by which people and programs find it */
};

/* From a PartialObjectMetadata or a whole object (NULL: nothing is known of it), with
 * managedFields. */
struct seen seen_of(const struct node *object);

/* The value of ANNOTATION_APPLIED. NULL when memory is short. */
json_t *seen_applied(const struct digest *digest, size_t keys);

#endif
