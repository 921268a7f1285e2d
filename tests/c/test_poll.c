/* Watching a descriptor that stays the caller's. */
#include "turns.h"

#include <dirent.h>

static int pair[2];

static int64_t watch(int fd, int events) {
    int64_t id = gv_poll_new(loop, fd);

    CHECK(id > 0);
    CHECK_EQ(gv_poll_start(loop, id, events), 0);
    return id;
}

static void open_pair(void) {
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
}

static void close_pair(void) {
    close(pair[0]);
    close(pair[1]);
}

static void close_handle(int64_t id) {
    CHECK_EQ(gv_handle_close(loop, id), 0);
    await(id, GV_CLOSED);
}

static void it_tells_what_the_descriptor_is_ready_for(void) {
    int64_t id;

    open_pair();
    id = watch(pair[0], GV_POLL_READABLE | GV_POLL_WRITABLE);
    CHECK_EQ(await(id, GV_READY).a, GV_POLL_WRITABLE);
    send_all(pair[1], "x", 1);
    while (await(id, GV_READY).a != (GV_POLL_READABLE | GV_POLL_WRITABLE))
        ;
    CHECK_EQ(gv_poll_start(loop, id, GV_POLL_READABLE), 0);
    turn(0);
    CHECK_EQ(await(id, GV_READY).a, GV_POLL_READABLE);
    close_handle(id);
    close_pair();
}

static void once_a_turn_for_as_long_as_it_is_ready(void) {
    int64_t id;
    char byte;
    int i;

    open_pair();
    id = watch(pair[0], GV_POLL_READABLE);
    CHECK_EQ(turn(0), 0);
    send_all(pair[1], "x", 1);
    for (i = 0; i < 3; i++) {
        turn(-1);
        CHECK_EQ(count(id, GV_READY), 1);
    }
    CHECK_EQ(read(pair[0], &byte, 1), 1);
    settle();
    close_handle(id);
    close_pair();
}

static void the_end_of_the_other_side_is_readable(void) {
    int64_t id;

    open_pair();
    id = watch(pair[0], GV_POLL_READABLE);
    close(pair[1]);
    CHECK(await(id, GV_READY).a & GV_POLL_READABLE);
    close_handle(id);
    close(pair[0]);
}

static void nought_stops_and_it_can_start_again(void) {
    int64_t id;

    open_pair();
    id = watch(pair[0], GV_POLL_WRITABLE);
    await(id, GV_READY);
    CHECK_EQ(gv_poll_start(loop, id, 0), 0);
    settle();
    CHECK_EQ(gv_poll_start(loop, id, GV_POLL_WRITABLE), 0);
    await(id, GV_READY);
    close_handle(id);
    close_pair();
}

static void two_may_watch_one_descriptor(void) {
    int64_t reader;
    int64_t writer;

    open_pair();
    reader = watch(pair[0], GV_POLL_READABLE);
    writer = watch(pair[0], GV_POLL_WRITABLE);
    CHECK_EQ(await(writer, GV_READY).a, GV_POLL_WRITABLE);
    close_handle(writer);
    send_all(pair[1], "x", 1);
    CHECK_EQ(await(reader, GV_READY).a, GV_POLL_READABLE);
    close_handle(reader);
    close_pair();
}

static void the_caller_may_close_it_first(void) {
    int64_t id;

    open_pair();
    id = watch(pair[0], GV_POLL_READABLE);
    close(pair[0]);
    send_all(pair[1], "x", 1);
    await(id, GV_READY); /* ours is a copy */
    close_handle(id);
    close(pair[1]);
}

static int open_fds(void) {
    DIR *dir = opendir("/dev/fd");
    int found = 0;

    CHECK(dir != NULL);
    while (readdir(dir) != NULL)
        found++;
    closedir(dir);
    return found;
}

static void the_copy_goes_and_the_flags_stay(void) {
    int before;
    int64_t id;

    open_pair();
    set_blocking(pair[0], true);
    before = open_fds();
    id = watch(pair[0], GV_POLL_WRITABLE);
    CHECK_EQ(open_fds(), before + 1);
    await(id, GV_READY);
    close_handle(id);
    CHECK_EQ(open_fds(), before);
    CHECK(is_blocking(pair[0]));
    CHECK_EQ((int) send(pair[0], "x", 1, 0), 1); /* it is open still */
    close_pair();
}

static void misuse_is_an_error(void) {
    int file = open("/dev/null", O_RDONLY);
    int64_t stream = gv_pipe_new(loop);
    int64_t id;

    open_pair();
    CHECK(gv_poll_new(loop, -1) < 0);
    CHECK_EQ(gv_poll_new(loop, 1 << 20), UV_EBADF);
    CHECK_EQ(gv_poll_new(loop, file), UV_EPERM);
    id = gv_poll_new(loop, pair[0]);
    CHECK_EQ(gv_poll_start(loop, id, 4), UV_EINVAL);
    CHECK_EQ(gv_poll_start(loop, id, -1), UV_EINVAL);
    CHECK_EQ(gv_poll_start(loop, stream, GV_POLL_READABLE), UV_EINVAL);
    CHECK(gv_stream_write(loop, id, "x", 1) < 0);
    CHECK(gv_stream_read_start(loop, id) < 0);
    CHECK_EQ(gv_handle_close(loop, id), 0);
    CHECK_EQ(gv_poll_start(loop, id, GV_POLL_READABLE), UV_EBADF);
    await(id, GV_CLOSED);
    CHECK_EQ(gv_poll_start(loop, id, GV_POLL_READABLE), UV_EBADF);
    abort_handle(stream);
    close(file);
    close_pair();
}

int main(void) {
    open_loop(64, PLENTY, 65536);
    it_tells_what_the_descriptor_is_ready_for();
    once_a_turn_for_as_long_as_it_is_ready();
    the_end_of_the_other_side_is_readable();
    nought_stops_and_it_can_start_again();
    two_may_watch_one_descriptor();
    the_caller_may_close_it_first();
    the_copy_goes_and_the_flags_stay();
    misuse_is_an_error();
    close_loop();
    return 0;
}
