/* Whether there is room on the disk. */
#ifndef GITGATE_GATE_SPACE_H
#define GITGATE_GATE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

/* Less than a tenth of the file system that `dir` lies on is free; or, where a quota that it does
 * not tell of allows less, not as much more as a tenth of `bytes`, which lie there. */
bool space_is_short(const char *dir, uint64_t bytes);

#endif
