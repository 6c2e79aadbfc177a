#include "room.h"

void room_init(struct room *room, void (*give_way)(struct holding *holding))
{
    *room = (struct room){.give_way = give_way};
    TAILQ_INIT(&room->coming);
    TAILQ_INIT(&room->whole);
    TAILQ_INIT(&room->answers);
}

static struct holdings *list_of(struct room *room, enum holding_kind kind)
{
    if (kind == HOLDING_COMING)
        return &room->coming;
    return kind == HOLDING_WHOLE ? &room->whole : &room->answers;
}

static struct holding *largest(const struct holdings *list)
{
    struct holding *holding, *found = NULL;

    TAILQ_FOREACH(holding, list, next)
    {
        if (!found || holding->size > found->size)
            found = holding;
    }
    return found;
}

/* A smaller body is likelier to be an API server's than a larger one that doesn't come; what an API
 * server asked for, it reads at once. */
static struct holding *who_gives_way(const struct room *room, size_t size)
{
    struct holding *unread = TAILQ_FIRST(&room->answers), *body;

    if (unread)
        return unread;
    body = largest(&room->coming);
    return body && body->size > size ? body : NULL;
}

bool room_enter(struct room *room, struct holding *holding, enum holding_kind kind, size_t size)
{
    if (size > ROOM_MAX)
        return false;
    while (room->held > ROOM_MAX - size) {
        struct holding *other = who_gives_way(room, size);

        if (!other)
            return false;
        room->give_way(other);
    }
    room->held += size;
    holding->size = size;
    holding->kind = kind;
    TAILQ_INSERT_TAIL(list_of(room, kind), holding, next);
    return true;
}

void room_whole(struct room *room, struct holding *holding)
{
    if (holding->kind != HOLDING_COMING)
        return;
    TAILQ_REMOVE(&room->coming, holding, next);
    TAILQ_INSERT_TAIL(&room->whole, holding, next);
    holding->kind = HOLDING_WHOLE;
}

void room_read(struct room *room, struct holding *holding)
{
    if (holding->kind != HOLDING_ANSWER)
        return;
    TAILQ_REMOVE(&room->answers, holding, next);
    TAILQ_INSERT_TAIL(&room->answers, holding, next);
}

void room_leave(struct room *room, struct holding *holding)
{
    if (holding->kind == HOLDING_NOTHING)
        return;
    TAILQ_REMOVE(list_of(room, holding->kind), holding, next);
    room->held -= holding->size;
    *holding = (struct holding){0};
}
