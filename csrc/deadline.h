/* Deadlines: three for each handle, on a coarse wheel.
 *
 * A handle stands in the bucket of its nearest deadline. Progress moves a
 * deadline without touching the wheel: when the bucket comes due, whoever is not
 * due is put into a later one. So a refresh costs one store. */
#ifndef GV_DEADLINE_H
#define GV_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

/* cdef: begin */

typedef enum {
    GV_DEADLINE_READ,  /* nothing came for so long, while we were reading */
    GV_DEADLINE_WRITE, /* data waited and nothing of it left for so long */
    GV_DEADLINE_TOTAL  /* so long after it was set, whatever happened */
} gv_deadline_kind;

/* cdef: end */

enum {
    GV_WHEEL_SLOTS = 4096,
    GV_WHEEL_SHIFT = 4 /* a slot is 16 ms, so that no deadline fires more than that late */
};

/* Times are of uv_now(), in ms. A timeout of 0 is off. */
typedef struct gv_deadline gv_deadline;
struct gv_deadline {
    gv_deadline *next;
    gv_deadline **link; /* what points here; NULL while in no bucket */
    uint64_t tick;      /* of the bucket */
    uint64_t total_at;  /* 0 is off */
    uint64_t read_at;   /* the last progress */
    uint64_t write_at;
    uint64_t write_seen; /* how much had been sent at write_at */
    uint32_t read_timeout;
    uint32_t write_timeout;
};

typedef struct {
    gv_deadline *slots[GV_WHEEL_SLOTS];
    uint64_t used[GV_WHEEL_SLOTS / 64]; /* a bit for each slot that may hold someone */
    uint64_t tick;                      /* all buckets before it have been looked at */
    uint64_t count;
} gv_wheel;

void gv_wheel_init(gv_wheel *wheel, uint64_t now);

/* Put `deadline` where `at` (ms) falls, unless it already stands there or
 * before. UINT64_MAX leaves it where it is. */
void gv_wheel_put(gv_wheel *wheel, gv_deadline *deadline, uint64_t at);

void gv_wheel_remove(gv_wheel *wheel, gv_deadline *deadline);

/* Return the ms until the next bucket comes due, or -1 if the wheel is empty. */
int64_t gv_wheel_timeout(const gv_wheel *wheel, uint64_t now);

/* Take one deadline out of a bucket that is due, or return NULL. The caller
 * fires it or puts it back. */
gv_deadline *gv_wheel_take(gv_wheel *wheel, uint64_t now);

#endif
