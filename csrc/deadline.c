#include "csrc/deadline.h"

#include <stddef.h>
#include <string.h>

static unsigned slot_of(uint64_t tick) {
    return (unsigned) (tick % GV_WHEEL_SLOTS);
}

static uint64_t tick_of(uint64_t at) {
    return (at + (1u << GV_WHEEL_SHIFT) - 1) >> GV_WHEEL_SHIFT; /* late, never early */
}

void gv_wheel_init(gv_wheel *wheel, uint64_t now) {
    memset(wheel, 0, sizeof(*wheel));
    wheel->tick = now >> GV_WHEEL_SHIFT;
}

void gv_wheel_remove(gv_wheel *wheel, gv_deadline *deadline) {
    unsigned slot = slot_of(deadline->tick);

    if (deadline->link == NULL)
        return;
    *deadline->link = deadline->next;
    if (deadline->next != NULL)
        deadline->next->link = deadline->link;
    deadline->link = NULL;
    if (wheel->slots[slot] == NULL)
        wheel->used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    wheel->count--;
}

void gv_wheel_put(gv_wheel *wheel, gv_deadline *deadline, uint64_t at) {
    uint64_t tick = tick_of(at);
    unsigned slot;

    if (at == UINT64_MAX)
        return;
    if (tick < wheel->tick)
        tick = wheel->tick;
    if (tick >= wheel->tick + GV_WHEEL_SLOTS) /* beyond the horizon: look again on the way */
        tick = wheel->tick + GV_WHEEL_SLOTS - 1;
    if (deadline->link != NULL) {
        if (deadline->tick <= tick)
            return;
        gv_wheel_remove(wheel, deadline);
    }
    slot = slot_of(tick);
    deadline->tick = tick;
    deadline->next = wheel->slots[slot];
    if (deadline->next != NULL)
        deadline->next->link = &deadline->next;
    deadline->link = &wheel->slots[slot];
    wheel->slots[slot] = deadline;
    wheel->used[slot / 64] |= UINT64_C(1) << (slot % 64);
    wheel->count++;
}

/* Return the first tick from wheel->tick on whose bucket holds someone. Only
 * called while somebody is on the wheel. */
static uint64_t first_used(const gv_wheel *wheel) {
    uint64_t tick = wheel->tick;
    uint64_t word;

    for (;;) {
        word = wheel->used[slot_of(tick) / 64] >> (slot_of(tick) % 64);
        if (word != 0)
            return tick + (unsigned) __builtin_ctzll(word);
        tick += 64 - slot_of(tick) % 64;
    }
}

int64_t gv_wheel_timeout(const gv_wheel *wheel, uint64_t now) {
    uint64_t at;

    if (wheel->count == 0)
        return -1;
    at = first_used(wheel) << GV_WHEEL_SHIFT;
    return at > now ? (int64_t) (at - now) : 0;
}

gv_deadline *gv_wheel_take(gv_wheel *wheel, uint64_t now) {
    uint64_t due = now >> GV_WHEEL_SHIFT;
    gv_deadline *deadline;

    if (wheel->count == 0 || first_used(wheel) > due) {
        /* Everything up to `due` has been looked at; what is put from now on
         * and is due already comes with the next tick. */
        if (wheel->tick <= due)
            wheel->tick = due + 1;
        return NULL;
    }
    /* Go on before the caller puts it back: from here the horizon lies behind this
     * bucket, or one that is due beyond it would be found in the same one for ever. */
    wheel->tick = first_used(wheel);
    deadline = wheel->slots[slot_of(wheel->tick)];
    gv_wheel_remove(wheel, deadline);
    return deadline;
}
