/* A GitGate as it is kept between two reconciles: as text, packed against a GitGate as it usually
 * is. A tree takes ten times as much as the text, and the text eight times what is new in it. */
#ifndef GITGATE_CONTROLLER_KEPT_H
#define GITGATE_CONTROLLER_KEPT_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "data/document.h"

struct kept_gate {
    json_t *selector; /* spec.podSelector, or NULL; it is asked about each pod */
    uint64_t version;
    size_t weight; /* see gitgate_weight */
    uint32_t len;  /* of the text */
    uint32_t size; /* of what is packed */
    unsigned char packed[];
};

/* For kube_watch_spec: of the metadata no more than identity and version. Nobody here asks for the
 * rest, and labels of a megabyte, which nothing forbids, would fill the memory that serves all. */
int kept_gate_add(const struct node *object, struct buf *kept);
void kept_gate_done(void *kept);
size_t kept_gate_weight(const void *kept);

/* The object, new; NULL when memory is short. */
json_t *kept_gate_object(const struct kept_gate *kept);

#endif
