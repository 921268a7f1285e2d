/* The three deadlines of a stream, on the real clock. No test demands that something
 * is quick: only what must not be early, and in which order things come. */
#include "turns.h"

enum { BIG = 4 << 20 };

static char out[BIG];
static char in[BIG];

static int64_t now_ms(void) {
    return (int64_t) (uv_hrtime() / 1000000);
}

static void set(int64_t id, gv_deadline_kind which, int64_t timeout_ms) {
    CHECK_EQ(gv_stream_deadline(loop, id, (int) which, timeout_ms), 0);
}

/* Make turns for so long; nothing may come. */
static void nothing_comes_for(int64_t ms) {
    int64_t end = now_ms() + ms;

    while (now_ms() < end)
        CHECK_EQ(turn(5), 0);
}

static void each_says_which_and_none_is_early(void) {
    int peer;
    int64_t id = open_pipe_pair(&peer);
    int64_t start;

    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    set_size(gv_handle_fileno(loop, id), SO_SNDBUF, 4096);
    CHECK(gv_stream_write(loop, id, out, BIG) > 0);
    start = now_ms();
    set(id, GV_DEADLINE_WRITE, 40);
    set(id, GV_DEADLINE_READ, 80);
    set(id, GV_DEADLINE_TOTAL, 120);
    CHECK_EQ(await(id, GV_TIMEOUT).a, GV_DEADLINE_WRITE);
    CHECK(now_ms() - start >= 39);
    CHECK_EQ(await(id, GV_TIMEOUT).a, GV_DEADLINE_READ);
    CHECK(now_ms() - start >= 79);
    CHECK_EQ(await(id, GV_TIMEOUT).a, GV_DEADLINE_TOTAL);
    CHECK(now_ms() - start >= 119);
    nothing_comes_for(100); /* each once */
    abort_handle(id);
    close(peer);
}

static void read_idle_counts_from_the_last_data(void) {
    int peer;
    int64_t id = open_pipe_pair(&peer);
    int64_t last = 0;
    int i;

    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    set(id, GV_DEADLINE_READ, 200);
    for (i = 0; i < 20; i++) {
        CHECK(turn(30) == 0); /* 600 ms in all */
        send_all(peer, "x", 1);
        last = now_ms();
        CHECK_EQ(await(id, GV_DATA).b, 1);
        CHECK_EQ(count(id, GV_TIMEOUT), 0);
    }
    CHECK_EQ(await(id, GV_TIMEOUT).a, GV_DEADLINE_READ);
    CHECK(now_ms() - last >= 199);
    abort_handle(id);
    close(peer);
}

static void read_idle_counts_only_while_we_read(void) {
    int peer;
    int64_t id = open_pipe_pair(&peer);

    set(id, GV_DEADLINE_READ, 30);
    nothing_comes_for(80);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    CHECK_EQ(turn(0), 0); /* from here on */
    CHECK_EQ(gv_stream_read_stop(loop, id), 0);
    nothing_comes_for(80);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    CHECK_EQ(await(id, GV_TIMEOUT).a, GV_DEADLINE_READ);
    abort_handle(id);
    close(peer);
}

static void data_that_was_there_in_time_counts(void) {
    int peer;
    int64_t id = open_pipe_pair(&peer);

    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    set(id, GV_DEADLINE_READ, 50);
    CHECK_EQ(turn(0), 0);
    send_all(peer, "x", 1);
    usleep(100000); /* Python is busy */
    CHECK_EQ(turn(0), 1);
    CHECK_EQ(record_at(0).kind, GV_DATA);
    abort_handle(id);
    close(peer);
}

/* Those for whom the ring has no room were not idle either. */
static void whoever_was_sent_away_was_not_idle(void) {
    int64_t ids[8];
    int peers[8];
    int served = 0;
    int i;

    close_loop();
    open_loop(1, PLENTY, 4096);
    for (i = 0; i < 8; i++) {
        ids[i] = open_pipe_pair(&peers[i]);
        CHECK_EQ(gv_stream_read_start(loop, ids[i]), 0);
        set(ids[i], GV_DEADLINE_READ, 50);
    }
    CHECK_EQ(turn(0), 0);
    for (i = 0; i < 8; i++)
        send_all(peers[i], "x", 1);
    usleep(100000);
    while (served < 8) {
        turn(0);
        CHECK_EQ(count(0, GV_TIMEOUT), 0);
        served += (int) count(0, GV_DATA);
    }
    for (i = 0; i < 8; i++) {
        abort_handle(ids[i]);
        close(peers[i]);
    }
    close_loop();
    open_loop(256, PLENTY, 65536);
}

static void write_stall_starts_when_something_waits(void) {
    int peer;
    int64_t id = open_pipe_pair(&peer);
    int64_t start;

    set(id, GV_DEADLINE_WRITE, 30);
    nothing_comes_for(80);
    CHECK_EQ(gv_stream_write(loop, id, "x", 1), 1); /* which goes out at once */
    nothing_comes_for(80);
    set_size(gv_handle_fileno(loop, id), SO_SNDBUF, 4096);
    start = now_ms();
    CHECK(gv_stream_write(loop, id, out, BIG) > 0);
    CHECK_EQ(await(id, GV_TIMEOUT).a, GV_DEADLINE_WRITE);
    CHECK(now_ms() - start >= 29);
    abort_handle(id);
    close(peer);
}

/* One large piece that leaves byte by byte is progress all the same. */
static void write_stall_counts_from_the_last_progress(void) {
    int peer;
    int64_t id = open_pipe_pair(&peer);
    int64_t start;
    int64_t last = 0;
    ssize_t got;

    set_size(gv_handle_fileno(loop, id), SO_SNDBUF, 4096);
    CHECK(gv_stream_lend(loop, id, out, BIG) > 0);
    set(id, GV_DEADLINE_WRITE, 250);
    start = now_ms();
    while (now_ms() - start < 900) {
        CHECK_EQ(turn(20), 0);
        if (now_ms() - last < 100)
            continue;
        got = recv(peer, in, sizeof(in), MSG_DONTWAIT);
        if (got > 0)
            last = now_ms();
    }
    CHECK(gv_stream_pending(loop, id) > 0);
    CHECK_EQ(await(id, GV_TIMEOUT).a, GV_DEADLINE_WRITE);
    CHECK(now_ms() - last >= 230); /* 250, and what the last recv() let out came a turn later */
    abort_handle(id);
    close(peer);
}

static void total_does_not_care_about_progress(void) {
    int peer;
    int64_t id = open_pipe_pair(&peer);
    int64_t start = now_ms();

    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    set(id, GV_DEADLINE_TOTAL, 60);
    for (;;) {
        send_all(peer, "x", 1);
        turn(5);
        if (count(id, GV_TIMEOUT) > 0)
            break;
    }
    CHECK_EQ(record_at(batch - 1).a, GV_DEADLINE_TOTAL);
    CHECK(now_ms() - start >= 59);
    abort_handle(id);
    close(peer);
}

static void what_is_switched_off_does_not_come(void) {
    int peer;
    int64_t id = open_pipe_pair(&peer);

    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    set(id, GV_DEADLINE_READ, 30);
    set(id, GV_DEADLINE_TOTAL, 30);
    set(id, GV_DEADLINE_READ, -1);
    set(id, GV_DEADLINE_TOTAL, -1);
    nothing_comes_for(80);
    set(id, GV_DEADLINE_TOTAL, 5000); /* and what is moved away comes later */
    set(id, GV_DEADLINE_TOTAL, 10);
    set(id, GV_DEADLINE_TOTAL, 120);
    nothing_comes_for(60);
    CHECK_EQ(await(id, GV_TIMEOUT).a, GV_DEADLINE_TOTAL);
    abort_handle(id);
    close(peer);
}

static void nought_is_at_once(void) {
    int peer;
    int64_t id = open_pipe_pair(&peer);

    set(id, GV_DEADLINE_TOTAL, 0);
    CHECK_EQ(await(id, GV_TIMEOUT).a, GV_DEADLINE_TOTAL);
    abort_handle(id);
    close(peer);
}

static void deadlines_stay_in_force_while_close_flushes(void) {
    int peer;
    int64_t id = open_pipe_pair(&peer);

    set_size(gv_handle_fileno(loop, id), SO_SNDBUF, 4096);
    CHECK(gv_stream_write(loop, id, out, BIG) > 0);
    set(id, GV_DEADLINE_WRITE, 50);
    CHECK(gv_stream_close(loop, id) > 0);
    CHECK_EQ(await(id, GV_TIMEOUT).a, GV_DEADLINE_WRITE);
    abort_handle(id);
    await(id, GV_CLOSED);
    close(peer);
}

static void a_closed_handle_has_none(void) {
    int peer;
    int64_t id = open_pipe_pair(&peer);

    set(id, GV_DEADLINE_TOTAL, 20);
    abort_handle(id);
    await(id, GV_CLOSED);
    nothing_comes_for(60);
    close(peer);
}

/* libuv counts from when it last looked at the clock. */
static void time_spent_in_python_does_not_shorten_it(void) {
    int peer;
    int64_t id = open_pipe_pair(&peer);
    int64_t start;

    CHECK_EQ(turn(0), 0);
    usleep(150000);
    start = now_ms();
    set(id, GV_DEADLINE_TOTAL, 100);
    CHECK_EQ(await(id, GV_TIMEOUT).a, GV_DEADLINE_TOTAL);
    CHECK(now_ms() - start >= 99);
    abort_handle(id);
    close(peer);
}

int main(void) {
    open_loop(256, PLENTY, 65536);
    each_says_which_and_none_is_early();
    settle();
    read_idle_counts_from_the_last_data();
    settle();
    read_idle_counts_only_while_we_read();
    settle();
    data_that_was_there_in_time_counts();
    settle();
    whoever_was_sent_away_was_not_idle();
    write_stall_starts_when_something_waits();
    settle();
    write_stall_counts_from_the_last_progress();
    settle();
    total_does_not_care_about_progress();
    settle();
    what_is_switched_off_does_not_come();
    settle();
    nought_is_at_once();
    settle();
    deadlines_stay_in_force_while_close_flushes();
    settle();
    a_closed_handle_has_none();
    settle();
    time_spent_in_python_does_not_shorten_it();
    close_loop();
    return 0;
}
