/* A process that is not run for a while wherever that hurts most: at each look at the clock. */
#include "turns.h"

#include <dlfcn.h>
#include <time.h>

static int64_t gone_ms; /* how far our clock is ahead of the system's */
static int64_t each_ms; /* how long every look at it takes */

int clock_gettime(clockid_t clock, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    int rc;

    if (real == NULL)
        *(void **) &real = dlsym(RTLD_NEXT, "clock_gettime");
    rc = real(clock, at);
    gone_ms += each_ms;
    at->tv_sec += (time_t) (gone_ms / 1000);
    at->tv_nsec += (long) (gone_ms % 1000) * 1000000;
    if (at->tv_nsec >= 1000000000) {
        at->tv_nsec -= 1000000000;
        at->tv_sec++;
    }
    return rc;
}

/* libuv runs timers before it polls, too: then nothing is left that would end the wait. */
static void a_wait_ends_though_its_time_was_over_before_it_began(void) {
    int64_t before = gone_ms;

    each_ms = 5;
    CHECK_EQ(turn(1), 0);
    each_ms = 0;
    CHECK(gone_ms > before); /* it is our clock that libuv looks at */
}

static void so_does_a_deadline(void) {
    int peer;
    int64_t id = open_pipe_pair(&peer);

    CHECK_EQ(gv_stream_deadline(loop, id, GV_DEADLINE_TOTAL, 1), 0);
    each_ms = 50;
    CHECK_EQ(await(id, GV_TIMEOUT).a, GV_DEADLINE_TOTAL);
    each_ms = 0;
    abort_handle(id);
    close(peer);
}

static void the_next_wait_takes_its_time(void) {
    uint64_t start = uv_hrtime();

    CHECK_EQ(turn(20), 0);
    CHECK(uv_hrtime() - start >= 19000000);
}

int main(void) {
    open_loop(64, PLENTY, 65536);
    a_wait_ends_though_its_time_was_over_before_it_began();
    so_does_a_deadline();
    settle();
    the_next_wait_takes_its_time();
    close_loop();
    return 0;
}
