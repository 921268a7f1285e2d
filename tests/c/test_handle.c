/* Ids with generations, and a code for every misuse. */
#include "turns.h"

static char byte;

/* What each function that takes an id says. */
static void check_all(int64_t id, int code) {
    gv_address name;

    CHECK_EQ(gv_handle_close(loop, id), code);
    CHECK_EQ(gv_handle_fileno(loop, id), code);
    CHECK_EQ(gv_stream_write(loop, id, &byte, 1), code);
    CHECK_EQ(gv_stream_lend(loop, id, &byte, 1), code);
    CHECK_EQ(gv_stream_write_eof(loop, id), code);
    CHECK_EQ(gv_stream_pending(loop, id), code);
    CHECK_EQ(gv_stream_watermarks(loop, id, 2, 1), code);
    CHECK_EQ(gv_stream_read_start(loop, id), code);
    CHECK_EQ(gv_stream_read_stop(loop, id), code);
    CHECK_EQ(gv_stream_read_into(loop, id, &byte, 1), code);
    CHECK_EQ(gv_stream_read_into(loop, id, NULL, 0), code);
    CHECK_EQ(gv_stream_deadline(loop, id, GV_DEADLINE_TOTAL, 1000), code);
    CHECK_EQ(gv_stream_close(loop, id), code);
    CHECK_EQ(gv_stream_abort(loop, id), code);
    CHECK_EQ(gv_stream_listen(loop, id, 1), code);
    CHECK_EQ(gv_stream_name(loop, id, 0, &name), code);
    CHECK_EQ(gv_tcp_bind(loop, id, "127.0.0.1", 0, 0, 0, 0), code);
    CHECK_EQ(gv_tcp_connect(loop, id, "127.0.0.1", 1, 0, 0), code);
    CHECK_EQ(gv_tcp_open(loop, id, 0), code);
    CHECK_EQ(gv_tcp_nodelay(loop, id, 1), code);
    CHECK_EQ(gv_tcp_keepalive(loop, id, 1, 1), code);
    CHECK_EQ(gv_pipe_bind(loop, id, "x", 1), code);
    CHECK_EQ(gv_pipe_connect(loop, id, "x", 1), code);
    CHECK_EQ(gv_pipe_open(loop, id, 0), code);
    CHECK_EQ(gv_poll_start(loop, id, GV_POLL_READABLE), code);
}

static void ids_that_never_were_are_refused(void) {
    static const int64_t ids[] = {
        0, 1, -1, 7, INT64_MAX, INT64_MIN, 1LL << 32, (1LL << 32) - 1, 1LL << GV_SLOT_BITS};
    size_t i;

    for (i = 0; i < sizeof(ids) / sizeof(*ids); i++)
        check_all(ids[i], UV_EBADF);
}

static void a_stale_id_is_refused_though_its_slot_is_used_again(void) {
    int64_t stale = gv_pipe_new(loop);
    int64_t id;

    abort_handle(stale);
    await(stale, GV_CLOSED);
    turn(0);
    id = gv_pipe_new(loop);
    CHECK_EQ(id & GV_SLOT_MASK, stale & GV_SLOT_MASK);
    CHECK(id != stale);
    check_all(stale, UV_EBADF);
    CHECK_EQ(gv_stream_pending(loop, id), 0);
    abort_handle(id);
}

static void a_slot_is_not_used_again_before_closed_was_taken(void) {
    int64_t id = gv_pipe_new(loop);
    int64_t other;

    abort_handle(id);
    await(id, GV_CLOSED);
    other = gv_pipe_new(loop); /* its GV_CLOSED still lies in the ring */
    CHECK((uint32_t) id != (uint32_t) other);
    abort_handle(other);
}

static void a_handle_that_closes_is_refused(void) {
    int64_t id = gv_pipe_new(loop);

    CHECK_EQ(gv_handle_close(loop, id), 0);
    CHECK_EQ(gv_handle_close(loop, id), UV_EALREADY);
    CHECK_EQ(gv_stream_close(loop, id), UV_EBADF);
    CHECK_EQ(gv_stream_abort(loop, id), UV_EBADF);
    CHECK_EQ(gv_stream_write(loop, id, &byte, 1), UV_EBADF);
    CHECK_EQ(gv_stream_read_start(loop, id), UV_EBADF);
    CHECK_EQ(gv_handle_fileno(loop, id), UV_EBADF);
    await(id, GV_CLOSED);
}

static void many_handles_have_many_ids(void) {
    enum { MANY = 3 * GV_SLOT_CHUNK };
    static int64_t ids[MANY];
    int64_t closed = 0;
    int i;

    for (i = 0; i < MANY; i++) {
        ids[i] = gv_pipe_new(loop);
        CHECK(ids[i] > 0);
        CHECK(i == 0 || ids[i] != ids[i - 1]);
    }
    CHECK_EQ(gv_loop_handles(loop), MANY);
    for (i = 0; i < MANY; i++)
        abort_handle(ids[i]);
    while (closed < MANY) {
        turn(-1);
        closed += count(0, GV_CLOSED);
    }
    turn(0);
    CHECK_EQ(gv_loop_handles(loop), 0);
    for (i = 0; i < MANY; i++)
        CHECK_EQ(gv_stream_pending(loop, ids[i]), UV_EBADF);
}

static void the_wrong_kind_of_handle_is_refused(void) {
    int64_t tcp = gv_tcp_new(loop, 0);
    int64_t pipe = gv_pipe_new(loop);
    int64_t poll;
    gv_address name;
    int fds[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    poll = gv_poll_new(loop, fds[0]);
    CHECK(poll > 0);
    CHECK_EQ(gv_tcp_bind(loop, pipe, "127.0.0.1", 0, 0, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_tcp_connect(loop, pipe, "127.0.0.1", 1, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_tcp_open(loop, pipe, fds[0]), UV_EINVAL);
    CHECK_EQ(gv_tcp_nodelay(loop, pipe, 1), UV_EINVAL);
    CHECK_EQ(gv_tcp_keepalive(loop, pipe, 1, 1), UV_EINVAL);
    CHECK_EQ(gv_pipe_bind(loop, tcp, "x", 1), UV_EINVAL);
    CHECK_EQ(gv_pipe_connect(loop, tcp, "x", 1), UV_EINVAL);
    CHECK_EQ(gv_pipe_open(loop, tcp, fds[0]), UV_EINVAL);
    CHECK_EQ(gv_poll_start(loop, tcp, GV_POLL_READABLE), UV_EINVAL);
    CHECK_EQ(gv_stream_write(loop, poll, &byte, 1), UV_EINVAL);
    CHECK_EQ(gv_stream_read_start(loop, poll), UV_EINVAL);
    CHECK_EQ(gv_stream_close(loop, poll), UV_EINVAL);
    CHECK_EQ(gv_stream_abort(loop, poll), UV_EINVAL);
    CHECK_EQ(gv_stream_listen(loop, poll, 1), UV_EINVAL);
    CHECK_EQ(gv_stream_name(loop, poll, 0, &name), UV_EINVAL);
    CHECK_EQ(gv_stream_deadline(loop, poll, GV_DEADLINE_READ, 1), UV_EINVAL);
    abort_handle(tcp);
    abort_handle(pipe);
    CHECK_EQ(gv_handle_close(loop, poll), 0);
    close(fds[0]);
    close(fds[1]);
}

static void a_stream_that_is_not_connected_neither_reads_nor_writes(void) {
    int64_t ids[2] = {gv_tcp_new(loop, AF_INET), gv_pipe_new(loop)};
    int i;

    for (i = 0; i < 2; i++) {
        CHECK_EQ(gv_stream_read_start(loop, ids[i]), UV_ENOTCONN);
        CHECK_EQ(gv_stream_read_stop(loop, ids[i]), UV_ENOTCONN);
        CHECK_EQ(gv_stream_read_into(loop, ids[i], &byte, 1), UV_ENOTCONN);
        CHECK_EQ(gv_stream_write(loop, ids[i], &byte, 1), UV_ENOTCONN);
        CHECK_EQ(gv_stream_write_eof(loop, ids[i]), UV_ENOTCONN);
        abort_handle(ids[i]);
    }
}

static void what_a_listener_is_not_made_for_is_refused(void) {
    int port;
    int64_t id = listen_tcp(&port);

    CHECK_EQ(gv_stream_listen(loop, id, 1), UV_EALREADY);
    CHECK_EQ(gv_stream_read_start(loop, id), UV_ENOTCONN);
    CHECK_EQ(gv_stream_write(loop, id, &byte, 1), UV_ENOTCONN);
    CHECK_EQ(gv_tcp_connect(loop, id, "127.0.0.1", port, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_tcp_bind(loop, id, "127.0.0.1", 0, 0, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_stream_deadline(loop, id, GV_DEADLINE_TOTAL, 1000), UV_EINVAL);
    abort_handle(id);
}

static void what_is_connected_stays_so(void) {
    int peers[2];
    int64_t tcp = open_tcp_pair(&peers[0]);
    int64_t pipe = open_pipe_pair(&peers[1]);

    CHECK_EQ(gv_tcp_connect(loop, tcp, "127.0.0.1", 1, 0, 0), UV_EISCONN);
    CHECK_EQ(gv_pipe_connect(loop, pipe, "x", 1), UV_EISCONN);
    CHECK_EQ(gv_pipe_bind(loop, pipe, "x", 1), UV_EISCONN);
    CHECK_EQ(gv_pipe_open(loop, pipe, peers[1]), UV_EISCONN);
    CHECK_EQ(gv_tcp_bind(loop, tcp, "127.0.0.1", 0, 0, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_tcp_open(loop, tcp, peers[0]), UV_EINVAL);
    CHECK_EQ(gv_stream_listen(loop, tcp, 1), UV_EINVAL);
    CHECK_EQ(gv_stream_listen(loop, pipe, 1), UV_EINVAL);
    abort_handle(tcp);
    abort_handle(pipe);
    close(peers[0]);
    close(peers[1]);
}

static void deadlines_are_checked(void) {
    int peer;
    int64_t id = open_pipe_pair(&peer);

    CHECK_EQ(gv_stream_deadline(loop, id, 3, 1000), UV_EINVAL);
    CHECK_EQ(gv_stream_deadline(loop, id, -1, 1000), UV_EINVAL);
    CHECK_EQ(gv_stream_deadline(loop, id, GV_DEADLINE_READ, -2), UV_EINVAL);
    CHECK_EQ(gv_stream_deadline(loop, id, GV_DEADLINE_READ, INT64_MAX), UV_EINVAL);
    CHECK_EQ(gv_stream_deadline(loop, id, GV_DEADLINE_READ, UINT32_MAX), UV_EINVAL);
    CHECK_EQ(gv_stream_deadline(loop, id, GV_DEADLINE_READ, UINT32_MAX - 1LL), 0);
    abort_handle(id);
    close(peer);
}

static void null_pointers_are_refused(void) {
    gv_limits limits = {1, 4096, 4096};
    int64_t tcp = gv_tcp_new(loop, AF_INET);
    int64_t pipe = gv_pipe_new(loop);
    int error = 0;

    CHECK(gv_loop_new(NULL, &error) == NULL);
    CHECK_EQ(error, UV_EINVAL);
    CHECK(gv_loop_new(&limits, NULL) == NULL);
    CHECK_EQ(gv_tcp_bind(loop, tcp, NULL, 0, 0, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_tcp_connect(loop, tcp, NULL, 1, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_pipe_bind(loop, pipe, NULL, 5), UV_EINVAL);
    CHECK_EQ(gv_pipe_connect(loop, pipe, NULL, 5), UV_EINVAL);
    CHECK_EQ(gv_stream_name(loop, tcp, 0, NULL), UV_EINVAL);
    CHECK_EQ(gv_loop_poll(NULL, 0, 0), UV_EBADF);
    CHECK_EQ(gv_loop_wake(NULL), UV_EBADF);
    CHECK_EQ(gv_loop_close(NULL, 0), UV_EBADF);
    CHECK_EQ(gv_stream_pending(NULL, tcp), UV_EBADF);
    CHECK(gv_loop_ring(NULL) == NULL && gv_loop_arena(NULL) == NULL);
    gv_loop_free(NULL);
    gv_loop_abandon(NULL);
    abort_handle(tcp);
    abort_handle(pipe);
}

int main(void) {
    open_loop(4096, PLENTY, 262144);
    ids_that_never_were_are_refused();
    a_stale_id_is_refused_though_its_slot_is_used_again();
    a_slot_is_not_used_again_before_closed_was_taken();
    a_handle_that_closes_is_refused();
    settle();
    many_handles_have_many_ids();
    the_wrong_kind_of_handle_is_refused();
    a_stream_that_is_not_connected_neither_reads_nor_writes();
    what_a_listener_is_not_made_for_is_refused();
    what_is_connected_stays_so();
    deadlines_are_checked();
    null_pointers_are_refused();
    close_loop();
    return 0;
}
