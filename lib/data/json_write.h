/* Values as compact JSON text: members in the order in which they stand. Several times quicker than
 * jansson's own writer, which goes character by character. */
#ifndef GITGATE_DATA_JSON_WRITE_H
#define GITGATE_DATA_JSON_WRITE_H

#include <jansson.h>

#include "base/buf.h"
#include "data/document.h"

/* NULL sets the buffer's error to -ENOMEM: it is what failed to be made. */
void json_write(struct buf *to, const json_t *value);
void node_write(struct buf *to, const struct node *node);

/* The name of a member, with its colon; and the comma before it unless it is the first. */
void json_write_key(struct buf *to, const char *key, size_t len);

#endif
