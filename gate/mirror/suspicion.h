/* Is a repository damaged? Judged from what git says of it (LC_ALL=C). Pure. */
#ifndef GITGATE_GATE_SUSPICION_H
#define GITGATE_GATE_SUSPICION_H

#include <stdbool.h>

/* Whether git's words complain of the repository here rather than of the upstream. Only a
 * suspicion: the upstream may have the same damage. */
bool damage_suspected(const char *said);

/* How `git fsck` ended and what it said on standard error. What older programs wrote in a way that
 * today's git finds fault with ("error in tree ...: zeroPaddedFilemode") is no damage, nor is a
 * machine that is short of something. */
bool fsck_tells_damage(int exit_code, const char *said);

/* Of damage that fsck tells: whether it may be about objects that no ref leads to, or by them, with
 * none of those that matter damaged. */
bool fsck_leaves_doubt(int exit_code, const char *said);

#endif
