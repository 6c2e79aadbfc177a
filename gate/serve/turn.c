#include "serve/turn.h"

#define CROWD_MIN 2 /* a single one gains nothing by waiting */

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void turn_arrive(struct turn *turn, uint64_t now_ns)
{
    turn->waiting++;
    turn->latest_ns = now_ns;
}

void turn_leave(struct turn *turn)
{
    turn->waiting--;
}

uint64_t turn_due(const struct turn *turn)
{
    uint64_t gather_ns = smaller(TURN_GATHER_TIMES * turn->took_ns, TURN_GATHER_MAX_NS);

    if (turn->waiting == 0)
        return UINT64_MAX;
    if (turn->asking)
        return turn->began_ns + TURN_MAX_NS;
    if (turn->waiting < CROWD_MIN || turn->ended_ns == 0)
        return turn->latest_ns;
    return smaller(turn->latest_ns + gather_ns / TURN_QUIET_PART, turn->ended_ns + gather_ns);
}

void turn_begin(struct turn *turn, uint64_t now_ns)
{
    turn->asking = true;
    turn->began_ns = now_ns;
}

void turn_end(struct turn *turn, uint64_t now_ns)
{
    if (!turn->asking)
        return;
    turn->asking = false;
    turn->ended_ns = now_ns;
    turn->took_ns = now_ns - turn->began_ns;
}
