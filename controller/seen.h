/* An object as the controller sees it in a metadata-only watch: no more than it decides by. */
#ifndef GITGATE_CONTROLLER_SEEN_H
#define GITGATE_CONTROLLER_SEEN_H

#include <stdbool.h>

#include "data/document.h"

/* On owned objects: the digest of what was applied (of a Secret: of what it was made from). */
#define ANNOTATION_APPLIED "gitgate.dev/applied"

/* One allocation; strings lie behind the structure. */
struct seen {
    const char *uid;
    const char *version; /* resourceVersion */
    const char *owner;   /* uid of the GitGate that is its controller, or "" */
    const char *applied; /* ANNOTATION_APPLIED, or "" */
    bool foreign;        /* someone else owns fields of its content */
    bool labelled;       /* it has the labels by which people and programs find it */
};

/* From a PartialObjectMetadata or a whole object, with managedFields. NULL when memory is short or
 * uid or version are missing. Free with free(). */
struct seen *seen_new(const struct node *object);

#endif
