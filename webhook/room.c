#include "room.h"

/* So long a body that is right may take to come, and an answer to be read on. */
#define FREE_MS 1000

void room_init(struct room *room, void (*give_way)(struct holding *holding))
{
    *room = (struct room){.give_way = give_way};
    TAILQ_INIT(&room->waiting);
}

static bool waits(const struct holding *holding)
{
    return holding->kind == HOLDING_COMING || holding->kind == HOLDING_ANSWER;
}

static void begin_to_wait(struct room *room, struct holding *holding, uint64_t now_ms)
{
    holding->since_ms = now_ms;
    TAILQ_INSERT_TAIL(&room->waiting, holding, next);
}

static struct holding *largest(const struct room *room)
{
    struct holding *holding, *found = NULL;

    TAILQ_FOREACH(holding, &room->waiting, next)
    {
        if (!found || holding->size > found->size)
            found = holding;
    }
    return found;
}

/* What an API server sends and reads, it does at once, and seldom is it the largest. */
static struct holding *who_gives_way(const struct room *room, size_t size, uint64_t now_ms)
{
    struct holding *first = TAILQ_FIRST(&room->waiting), *large;

    if (first && now_ms - first->since_ms > FREE_MS)
        return first;
    large = largest(room);
    return large && large->size > size ? large : NULL;
}

bool room_enter(struct room *room, struct holding *holding, enum holding_kind kind, size_t size,
                uint64_t now_ms)
{
    if (size > ROOM_MAX)
        return false;
    while (room->held > ROOM_MAX - size) {
        struct holding *other = who_gives_way(room, size, now_ms);

        if (!other)
            return false;
        room->give_way(other);
    }
    room->held += size;
    holding->size = size;
    holding->kind = kind;
    begin_to_wait(room, holding, now_ms);
    return true;
}

void room_whole(struct room *room, struct holding *holding)
{
    if (!waits(holding))
        return;
    TAILQ_REMOVE(&room->waiting, holding, next);
    holding->kind = HOLDING_WHOLE;
}

void room_read(struct room *room, struct holding *holding, uint64_t now_ms)
{
    if (!waits(holding))
        return;
    TAILQ_REMOVE(&room->waiting, holding, next);
    begin_to_wait(room, holding, now_ms);
}

void room_leave(struct room *room, struct holding *holding)
{
    if (waits(holding))
        TAILQ_REMOVE(&room->waiting, holding, next);
    room->held -= holding->size;
    *holding = (struct holding){0};
}
