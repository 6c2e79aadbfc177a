/* Rules to what the finder loads: expressions through Vectorscan, and all that is known of them. */
#ifndef GITGATE_RULES_COMPILE_H
#define GITGATE_RULES_COMPILE_H

#include <jansson.h>

#include "base/buf.h"
#include "base/error.h"

/* `source` as source_read gives it. Rules whose expression can't be compiled are named in
 * `problems` (an array of {"rule": id, "index": n, "reason": text}, made here) and mark the block:
 * with them all content has to be judged. */
int compile_rules(const json_t *source, struct buf *block, json_t **problems, struct error *err);

#endif
