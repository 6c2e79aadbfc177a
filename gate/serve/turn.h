/* Whose turn it is to ask the upstream of one repository. Pure.
 *
 * One client at a time is let through, and its access hook refreshes the mirror. Who came before
 * the upstream was asked follows it, for that refresh is theirs, too; who came later waits for the
 * next one. So of any number that are there when a refresh starts, all share it, and none of them
 * has a process before it needs one. */
#ifndef GITGATE_GATE_TURN_H
#define GITGATE_GATE_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who was let through may have to wait, for a push that holds the repository or a first mirror. The
 * others then do so one by one, beside it: nobody's word is needed for them to go on. */
#define TURN_MAX_NS 10000000000u
/* While several wait and more keep coming, the next refresh holds back for them, so that a crowd
 * that takes longer to arrive than a refresh takes doesn't cost one refresh after the other: until
 * nobody has come for half of what the last one took, and never longer than twice that. So a client
 * in a crowd waits twice as long at most as if it had been for nothing. */
#define TURN_GATHER_MAX_NS 2000000000u
#define TURN_GATHER_TIMES 2
#define TURN_QUIET_PART 4 /* of what is gathered for */

struct turn {
    size_t waiting;
    uint64_t latest_ns; /* when the last of those came */
    bool asking;        /* somebody was let through, and has not come to an end */
    uint64_t began_ns;  /* when that was */
    uint64_t ended_ns;  /* when the last one ended; 0: none has */
    uint64_t took_ns;   /* how long it took */
};

void turn_arrive(struct turn *turn, uint64_t now_ns);

/* One of those that wait does so no longer. */
void turn_leave(struct turn *turn);

/* When the next is to be let through; UINT64_MAX: nobody, for now. */
uint64_t turn_due(const struct turn *turn);

/* Somebody is let through. */
void turn_begin(struct turn *turn, uint64_t now_ns);

/* The refresh of who was let through has come to its end, whatever that was. */
void turn_end(struct turn *turn, uint64_t now_ns);

#endif
