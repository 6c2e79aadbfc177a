#include "mirror/upkeep.h"

static bool collect_due(const struct upkeep_seen *seen)
{
    if (seen->collected_s < UPKEEP_COLLECT_SHORT_S)
        return false;
    return seen->room_short || seen->collected_s >= UPKEEP_COLLECT_S ||
           seen->bytes >= 2 * seen->collected_bytes + UPKEEP_GROWTH_MIN;
}

struct upkeep_need upkeep_judge(const struct upkeep_seen *seen)
{
    return (struct upkeep_need){
        .sweep = seen->debris > 0,
        .roll = seen->packs > UPKEEP_PACKS_MAX || seen->loose_objects > UPKEEP_LOOSE_MAX,
        .pack_refs = seen->loose_refs > UPKEEP_REFS_MAX,
        .collect = collect_due(seen),
    };
}
