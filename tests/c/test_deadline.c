/* The wheel alone, on a clock that the test turns. */
#include "check.h"

#include "csrc/deadline.h"

#include <string.h>

enum { SLOT = 1 << GV_WHEEL_SHIFT, HORIZON = GV_WHEEL_SLOTS << GV_WHEEL_SHIFT, MANY = 2000 };

typedef struct {
    gv_deadline deadline; /* first, so that a pointer to it is one to all */
    uint64_t at;
    uint64_t fired; /* when, or 0 */
} timed;

/* What a loop does at `now`: fire what is due, and put back what is not. */
static int expire(gv_wheel *wheel, uint64_t now) {
    gv_deadline *deadline;
    int fired = 0;

    while ((deadline = gv_wheel_take(wheel, now)) != NULL) {
        timed *one = (timed *) deadline;

        if (one->at > now) {
            gv_wheel_put(wheel, deadline, one->at);
            continue;
        }
        CHECK_EQ(one->fired, 0);
        one->fired = now;
        fired++;
    }
    return fired;
}

static void put(gv_wheel *wheel, timed *one, uint64_t at) {
    one->at = at;
    gv_wheel_put(wheel, &one->deadline, at);
}

/* Sleep as the wheel says, until nobody is on it. Returns how often it woke. */
static int run(gv_wheel *wheel, uint64_t now) {
    int turns = 0;
    int64_t timeout;

    while ((timeout = gv_wheel_timeout(wheel, now)) >= 0) {
        now += (uint64_t) timeout;
        expire(wheel, now);
        turns++;
    }
    return turns;
}

static void an_empty_wheel_has_no_timeout(void) {
    gv_wheel wheel;

    gv_wheel_init(&wheel, 12345);
    CHECK_EQ(gv_wheel_timeout(&wheel, 12345), -1);
    CHECK(gv_wheel_take(&wheel, 99999999) == NULL);
}

static void none_fires_early_and_none_a_slot_late(void) {
    static timed all[MANY];
    gv_wheel wheel;
    uint64_t start = 1000003;
    int i;

    memset(all, 0, sizeof(all));
    gv_wheel_init(&wheel, start);
    srand(1);
    for (i = 0; i < MANY; i++)
        put(&wheel, &all[i], start + 1 + (uint64_t) rand() % (3 * HORIZON));
    run(&wheel, start);
    for (i = 0; i < MANY; i++) {
        CHECK(all[i].fired >= all[i].at);
        CHECK(all[i].fired < all[i].at + SLOT);
    }
}

static void every_millisecond_is_late_by_less_than_a_slot(void) {
    gv_wheel wheel;
    uint64_t start;
    uint64_t wait;

    for (start = 5000; start < 5000 + 2 * SLOT; start++) {
        for (wait = 1; wait < 3 * SLOT; wait++) {
            timed one = {.at = 0};

            gv_wheel_init(&wheel, start);
            CHECK_EQ(expire(&wheel, start), 0);
            put(&wheel, &one, start + wait);
            run(&wheel, start);
            CHECK(one.fired >= one.at && one.fired < one.at + SLOT);
        }
    }
}

static void a_far_one_is_looked_at_on_the_way(void) {
    timed one = {.at = 0};
    gv_wheel wheel;
    int turns;

    gv_wheel_init(&wheel, 0);
    put(&wheel, &one, 10 * HORIZON);
    CHECK(gv_wheel_timeout(&wheel, 0) < HORIZON);
    turns = run(&wheel, 0);
    CHECK_EQ(one.fired, 10 * HORIZON);
    CHECK(turns >= 10 && turns <= 12);
}

static void a_refreshed_one_moves_when_its_bucket_comes(void) {
    timed one = {.at = 0};
    gv_wheel wheel;
    uint64_t now;

    gv_wheel_init(&wheel, 0);
    put(&wheel, &one, 1000);
    one.at = 5000; /* what a refresh does: a store, and the wheel knows nothing */
    CHECK_EQ(gv_wheel_timeout(&wheel, 0), 1008);
    CHECK_EQ(expire(&wheel, 1008), 0);
    now = 1008;
    CHECK(gv_wheel_timeout(&wheel, now) > 3900);
    run(&wheel, now);
    CHECK(one.fired >= 5000 && one.fired < 5000 + SLOT);
}

static void a_nearer_deadline_moves_it_forward_and_a_later_one_does_not(void) {
    timed one = {.at = 0};
    gv_wheel wheel;

    gv_wheel_init(&wheel, 0);
    put(&wheel, &one, 8000);
    put(&wheel, &one, 160);
    CHECK_EQ(wheel.count, 1);
    CHECK_EQ(gv_wheel_timeout(&wheel, 0), 160);
    put(&wheel, &one, 9600);
    CHECK_EQ(gv_wheel_timeout(&wheel, 0), 160);
    gv_wheel_put(&wheel, &one.deadline, UINT64_MAX);
    CHECK_EQ(gv_wheel_timeout(&wheel, 0), 160);
}

static void what_is_removed_is_gone(void) {
    static timed all[100];
    gv_wheel wheel;
    int i;

    memset(all, 0, sizeof(all));
    gv_wheel_init(&wheel, 0);
    for (i = 0; i < 100; i++)
        put(&wheel, &all[i], 1600 + (uint64_t) i % 3 * SLOT);
    for (i = 0; i < 100; i += 2)
        gv_wheel_remove(&wheel, &all[i].deadline);
    gv_wheel_remove(&wheel, &all[0].deadline); /* once more does nothing */
    CHECK_EQ(wheel.count, 50);
    run(&wheel, 0);
    for (i = 0; i < 100; i++)
        CHECK_EQ(all[i].fired != 0, i % 2);
    CHECK_EQ(gv_wheel_timeout(&wheel, 0), -1);
}

static void after_a_long_sleep_all_that_is_due_fires(void) {
    static timed all[100];
    gv_wheel wheel;
    int i;

    memset(all, 0, sizeof(all));
    gv_wheel_init(&wheel, 0);
    for (i = 0; i < 100; i++)
        put(&wheel, &all[i], 1 + (uint64_t) i * HORIZON / 50);
    CHECK_EQ(expire(&wheel, 20 * HORIZON), 100);
    CHECK_EQ(wheel.count, 0);
}

static void what_is_put_late_fires_with_the_next_slot(void) {
    timed one = {.at = 0};
    gv_wheel wheel;
    uint64_t now = 160000;

    gv_wheel_init(&wheel, 0);
    CHECK_EQ(expire(&wheel, now), 0);
    put(&wheel, &one, now - 5000);
    CHECK(gv_wheel_timeout(&wheel, now) <= SLOT);
    CHECK_EQ(expire(&wheel, now + SLOT), 1);
}

int main(void) {
    an_empty_wheel_has_no_timeout();
    none_fires_early_and_none_a_slot_late();
    every_millisecond_is_late_by_less_than_a_slot();
    a_far_one_is_looked_at_on_the_way();
    a_refreshed_one_moves_when_its_bucket_comes();
    a_nearer_deadline_moves_it_forward_and_a_later_one_does_not();
    what_is_removed_is_gone();
    after_a_long_sleep_all_that_is_due_fires();
    what_is_put_late_fires_with_the_next_slot();
    return 0;
}
