/* Writing: one call a turn, order, lent memory, watermarks, and how it ends. */
#include "syscalls.h"
#include "turns.h"

enum { BIG = 8 << 20 };

static char out[BIG];
static char in[BIG + 1];

/* A stream whose peer takes little before it has to read. */
static int64_t open_narrow_pair(int *peer) {
    int64_t id = open_pipe_pair(peer); /* TCP with a small window waits for its timers */

    set_size(gv_handle_fileno(loop, id), SO_SNDBUF, 16384);
    return id;
}

static void write_copy(int64_t id, const char *data, size_t len) {
    CHECK(gv_stream_write(loop, id, data, (int64_t) len) >= 0);
}

/* Make turns until nothing more fits. */
static void stuff(int64_t id) {
    int64_t before;

    do {
        before = gv_stream_pending(loop, id);
        turn(0);
    } while (gv_stream_pending(loop, id) != before);
}

static void small_writes_of_a_turn_leave_in_one_call(void) {
    int peer;
    int64_t id = open_tcp_pair(&peer);
    int i;

    watch(gv_handle_fileno(loop, id));
    for (i = 0; i < 1000; i++)
        CHECK_EQ(gv_stream_write(loop, id, out + 10 * i, 10), 10 * (i + 1));
    CHECK_EQ(sends, 0);
    turn(0);
    CHECK_EQ(sends, 1);
    CHECK_EQ(gv_stream_pending(loop, id), 0);
    CHECK_EQ(receive(peer, in, 10000), 10000);
    CHECK(memcmp(in, out, 10000) == 0);
    CHECK_EQ(sends, 1);
    abort_handle(id);
    close(peer);
}

static void small_and_large_ones_leave_together(void) {
    int peer;
    int64_t id = open_tcp_pair(&peer);

    watch(gv_handle_fileno(loop, id));
    CHECK_EQ(gv_stream_write(loop, id, out, 5), 5);
    CHECK_EQ(gv_stream_lend(loop, id, out + 5, 20000), 20005);
    CHECK_EQ(gv_stream_write(loop, id, out + 20005, 5), 20010);
    CHECK_EQ(gv_stream_lend(loop, id, out + 20010, 20000), 40010);
    CHECK_EQ(sends, 0);
    turn(0);
    CHECK_EQ(sends, 1);
    CHECK_EQ(count(id, GV_WRITTEN), 1);
    CHECK_EQ(record_at(0).a, 2);
    CHECK_EQ(receive(peer, in, 40010), 40010);
    CHECK(memcmp(in, out, 40010) == 0);
    abort_handle(id);
    close(peer);
}

static void a_large_write_with_nothing_before_it_leaves_at_once(void) {
    int peer;
    int64_t id = open_tcp_pair(&peer);

    watch(gv_handle_fileno(loop, id));
    CHECK_EQ(gv_stream_lend(loop, id, out, GV_TRY_SIZE), 0);
    CHECK_EQ(sends, 1);
    CHECK_EQ(gv_stream_write(loop, id, out, GV_TRY_SIZE - 1), GV_TRY_SIZE - 1);
    CHECK_EQ(sends, 1);
    CHECK_EQ(turn(0), 0); /* nothing was lent for longer than the call */
    CHECK_EQ(sends, 2);
    abort_handle(id);
    close(peer);
}

static void lent_memory_is_sent_from_where_it_is(void) {
    int peer;
    int64_t id = open_narrow_pair(&peer);

    fill(out, BIG, 1);
    CHECK(gv_stream_lend(loop, id, out, BIG) > BIG / 2);
    stuff(id);
    out[BIG - 1] = (char) ~out[BIG - 1];
    CHECK_EQ(receive(peer, in, BIG), BIG);
    CHECK(memcmp(in, out, BIG) == 0); /* the changed byte included */
    CHECK_EQ(await(id, GV_WRITTEN).a, 1);
    abort_handle(id);
    close(peer);
}

static void copied_memory_may_change_at_once(void) {
    static char data[1 << 20];
    int peer;
    int64_t id = open_narrow_pair(&peer);

    fill(data, sizeof(data), 2);
    memcpy(out, data, sizeof(data));
    CHECK(gv_stream_write(loop, id, data, sizeof(data)) > 0);
    memset(data, 'x', sizeof(data));
    CHECK_EQ(receive(peer, in, sizeof(data)), sizeof(data));
    CHECK(memcmp(in, out, sizeof(data)) == 0);
    abort_handle(id);
    close(peer);
}

static void partial_writes_go_on_in_order(void) {
    int64_t lent = 0;
    size_t at = 0;
    size_t got = 0;
    int peer;
    int64_t id = open_narrow_pair(&peer);

    fill(out, BIG, 3);
    srand(3);
    set_blocking(peer, false);
    while (got < BIG) {
        ssize_t more;
        int writes;

        for (writes = rand() % 4; writes > 0 && at < BIG; writes--) {
            int lend = rand() % 2;
            size_t len = (size_t) (lend ? 16384 + rand() % 50000 : rand() % 6000);
            int64_t queued;

            len = len < BIG - at ? len : BIG - at;
            queued = (lend ? gv_stream_lend : gv_stream_write)(loop, id, out + at, (int64_t) len);
            CHECK(queued >= 0);
            lent += lend && queued > 0 && len > 0;
            at += len;
        }
        turn(0);
        more = read(peer, in + got, (size_t) (1 + rand() % 60000));
        got += more > 0 ? (size_t) more : 0;
    }
    CHECK(memcmp(in, out, BIG) == 0);
    CHECK_EQ(gv_stream_close(loop, id), 0); /* every byte was taken */
    close(peer);
}

static void written_counts_every_lent_piece_when_the_handle_goes(void) {
    int64_t before;
    int peer;
    int64_t id = open_narrow_pair(&peer);
    record found;

    write_copy(id, out, 1);
    CHECK(gv_stream_lend(loop, id, out, BIG / 2) > 0);
    CHECK(gv_stream_lend(loop, id, out, BIG / 2) > 0);
    stuff(id);
    before = next = 0;
    abort_handle(id);
    found = await(id, GV_WRITTEN);
    CHECK_EQ(found.a, 2);
    before = next;
    await(id, GV_CLOSED);
    CHECK(next >= before); /* the same batch, and behind it */
    close(peer);
}

static void drain_comes_once_when_the_queue_falls_to_low(void) {
    int64_t drains = 0;
    int peer;
    int64_t id = open_narrow_pair(&peer);

    CHECK_EQ(gv_stream_watermarks(loop, id, 100000, 20000), 0);
    write_copy(id, out, 100);
    turn(0);
    CHECK_EQ(count(id, GV_DRAIN), 0); /* it was never above */
    set_blocking(peer, false);
    while (gv_stream_pending(loop, id) <= 1000000) {
        write_copy(id, out, 4000);
        turn(0);
        CHECK_EQ(count(id, GV_DRAIN), 0);
    }
    while (gv_stream_pending(loop, id) > 0) {
        bool above = gv_stream_pending(loop, id) > 20000;

        CHECK(read(peer, in, 5000) > 0 || errno == EAGAIN);
        turn(0);
        CHECK_EQ(count(id, GV_DRAIN), above && gv_stream_pending(loop, id) <= 20000);
        drains += count(id, GV_DRAIN);
    }
    CHECK_EQ(drains, 1);
    CHECK_EQ(gv_stream_watermarks(loop, id, 1, 2), UV_EINVAL);
    CHECK_EQ(gv_stream_watermarks(loop, id, 1, -1), UV_EINVAL);
    abort_handle(id);
    close(peer);
}

static void eof_follows_what_is_queued_and_reading_goes_on(void) {
    int peer;
    int64_t id = open_narrow_pair(&peer);

    fill(out, BIG / 4, 4);
    CHECK(gv_stream_lend(loop, id, out, BIG / 4) > 0);
    CHECK_EQ(gv_stream_write_eof(loop, id), 0);
    CHECK_EQ(gv_stream_write(loop, id, out, 1), UV_ESHUTDOWN);
    CHECK_EQ(gv_stream_write_eof(loop, id), UV_ESHUTDOWN);
    CHECK_EQ(receive(peer, in, BIG), BIG / 4);
    CHECK(memcmp(in, out, BIG / 4) == 0);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    set_blocking(peer, true);
    send_all(peer, "still", 5);
    CHECK_EQ(await(id, GV_DATA).b, 5);
    close(peer);
    await(id, GV_EOF);
    CHECK_EQ(gv_stream_close(loop, id), 0);
}

static void close_sends_what_is_queued_first(void) {
    int64_t queued;
    int peer;
    int64_t id = open_narrow_pair(&peer);

    fill(out, BIG / 4, 5);
    queued = gv_stream_lend(loop, id, out, BIG / 4);
    CHECK(queued > 0);
    CHECK_EQ(gv_stream_close(loop, id), queued);
    CHECK_EQ(gv_stream_close(loop, id), UV_EALREADY);
    CHECK_EQ(gv_stream_write(loop, id, out, 1), UV_ESHUTDOWN);
    CHECK_EQ(gv_stream_read_start(loop, id), UV_ESHUTDOWN);
    CHECK_EQ(receive(peer, in, BIG), BIG / 4);
    CHECK(memcmp(in, out, BIG / 4) == 0);
    while (gv_loop_handles(loop) > 0) /* it went by itself, and took its id along */
        turn(0);
    CHECK_EQ(gv_stream_close(loop, id), UV_EBADF);
    close(peer);
}

static void close_with_eof_queued_sends_all(void) {
    int peer;
    int64_t id = open_narrow_pair(&peer);

    fill(out, BIG / 8, 6);
    CHECK(gv_stream_lend(loop, id, out, BIG / 8) > 0);
    CHECK_EQ(gv_stream_write_eof(loop, id), 0);
    CHECK(gv_stream_close(loop, id) > 0);
    CHECK_EQ(receive(peer, in, BIG), BIG / 8);
    CHECK(memcmp(in, out, BIG / 8) == 0);
    close(peer);
}

static void abort_drops_the_queue_and_resets(void) {
    int peer;
    int64_t id = open_tcp_pair(&peer);

    CHECK(gv_stream_lend(loop, id, out, BIG) > 0);
    CHECK(gv_stream_close(loop, id) > 0); /* even while that is under way */
    abort_handle(id);
    await(id, GV_CLOSED);
    set_blocking(peer, true);
    while (read(peer, in, BIG) > 0)
        continue;
    CHECK_EQ(errno, ECONNRESET);
    close(peer);
}

static void abort_resets_also_after_write_eof(void) {
    int peer;
    int64_t id = open_tcp_pair(&peer);

    CHECK_EQ(gv_stream_write_eof(loop, id), 0);
    turn(0);
    abort_handle(id);
    await(id, GV_CLOSED);
    send(peer, "x", 1, MSG_NOSIGNAL);
    CHECK_EQ(send(peer, "x", 1, MSG_NOSIGNAL), -1);
    CHECK(errno == EPIPE || errno == ECONNRESET);
    close(peer);
}

static void a_broken_stream_says_so_once_and_stays_broken(void) {
    struct linger reset = {1, 0};
    int64_t errors = 0;
    int code = 0;
    int peer;
    int64_t id = open_tcp_pair(&peer);

    CHECK_EQ(setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(peer);
    while (errors == 0) {
        code = (int) gv_stream_write(loop, id, "x", 1);
        CHECK(code >= 0);
        turn(0);
        errors += count(id, GV_ERROR);
        if (errors > 0)
            code = (int) record_at(0).a;
    }
    CHECK(code == UV_ECONNRESET || code == UV_EPIPE);
    CHECK_EQ(gv_stream_write(loop, id, "x", 1), code);
    CHECK_EQ(gv_stream_write_eof(loop, id), code);
    CHECK_EQ(turn(0), 0);
    CHECK_EQ(gv_stream_close(loop, id), 0); /* there is nothing to wait for */
    await(id, GV_CLOSED);
}

static void close_does_not_wait_for_a_peer_that_is_gone(void) {
    struct linger reset = {1, 0};
    int peer;
    int64_t id = open_tcp_pair(&peer);

    CHECK(gv_stream_lend(loop, id, out, BIG) > 0);
    CHECK(gv_stream_close(loop, id) > 0);
    turn(0);
    CHECK_EQ(setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(peer);
    await(id, GV_CLOSED);
}

static void what_the_peer_said_last_comes_before_the_error(bool large) {
    int64_t full = 1001;
    int peer;
    int64_t id = open_tcp_pair(&peer);

    CHECK_EQ(gv_stream_watermarks(loop, id, 1000, 0), 0);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    write_copy(id, out, 10);
    turn(0);
    CHECK_EQ(send(peer, "enough", 6, 0), 6);
    close(peer); /* with what it did not read: that resets */
    if (large) {
        CHECK_EQ(gv_stream_write(loop, id, out, GV_TRY_SIZE), full);
        CHECK_EQ(gv_stream_write(loop, id, out, 10), full); /* nobody was told yet */
    } else {
        CHECK_EQ(gv_stream_write(loop, id, out, 10), 10);
    }
    CHECK_EQ(await(id, GV_DATA).b, 6);
    CHECK(memcmp(gv_loop_arena(loop) + record_at(next - 1).a, "enough", 6) == 0);
    CHECK_EQ(await(id, GV_ERROR).a, UV_ECONNRESET);
    abort_handle(id);
}

static void without_last_words_a_write_fails_at_once(void) {
    int peer;
    int64_t id = open_tcp_pair(&peer);

    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    write_copy(id, out, 10);
    turn(0);
    close(peer);
    CHECK_EQ(gv_stream_write(loop, id, out, GV_TRY_SIZE), UV_ECONNRESET);
    CHECK_EQ(gv_stream_write(loop, id, out, 10), UV_ECONNRESET);
    abort_handle(id);
}

static void lengths_are_checked(void) {
    int peer;
    int64_t id = open_tcp_pair(&peer);

    CHECK_EQ(gv_stream_write(loop, id, out, -1), UV_EINVAL);
    CHECK_EQ(gv_stream_lend(loop, id, out, INT64_MIN), UV_EINVAL);
    CHECK_EQ(gv_stream_write(loop, id, NULL, 1), UV_EINVAL);
    CHECK_EQ(gv_stream_lend(loop, id, NULL, INT64_MAX), UV_EINVAL);
    CHECK_EQ(gv_stream_write(loop, id, NULL, 0), 0);
    CHECK_EQ(gv_stream_lend(loop, id, out, 0), 0);
    abort_handle(id);
    close(peer);
}

int main(void) {
    open_loop(4096, 2 * PLENTY, 262144);
    small_writes_of_a_turn_leave_in_one_call();
    small_and_large_ones_leave_together();
    a_large_write_with_nothing_before_it_leaves_at_once();
    lent_memory_is_sent_from_where_it_is();
    copied_memory_may_change_at_once();
    partial_writes_go_on_in_order();
    written_counts_every_lent_piece_when_the_handle_goes();
    drain_comes_once_when_the_queue_falls_to_low();
    eof_follows_what_is_queued_and_reading_goes_on();
    close_sends_what_is_queued_first();
    close_with_eof_queued_sends_all();
    abort_drops_the_queue_and_resets();
    abort_resets_also_after_write_eof();
    a_broken_stream_says_so_once_and_stays_broken();
    close_does_not_wait_for_a_peer_that_is_gone();
    what_the_peer_said_last_comes_before_the_error(true);
    what_the_peer_said_last_comes_before_the_error(false);
    without_last_words_a_write_fails_at_once();
    lengths_are_checked();
    close_loop();
    return 0;
}
