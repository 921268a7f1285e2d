/* Descriptors that travel: order, bounds, what becomes of those that nobody takes. */
#include "turns.h"

#include "csrc/passing.h"

#include <dlfcn.h>
#include <sys/resource.h>
#include <sys/wait.h>

static int refusals; /* that the kernel makes next */

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    static ssize_t (*real)(int, const struct msghdr *, int);

    if (real == NULL)
        *(void **) &real = dlsym(RTLD_NEXT, "sendmsg");
    if (refusals == 0)
        return real(fd, message, flags);
    refusals--;
    errno = ETOOMANYREFS;
    return -1;
}

static char folder[] = "/tmp/gvXXXXXX";
static char path[64];

/* A descriptor that knows its number. */
static int numbered(int number) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    CHECK(fd >= 0);
    CHECK_EQ(lseek(fd, number, SEEK_SET), number);
    return fd;
}

static void check_number(int fd, int number) {
    CHECK(fd >= 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), number);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
}

static int open_descriptors(void) {
    int found = 0;
    int fd;

    for (fd = 0; fd < 4096; fd++)
        found += fcntl(fd, F_GETFD) >= 0;
    return found;
}

static void pass(int64_t id, const char *data, size_t len, int number) {
    int fd = numbered(number);

    CHECK(gv_pipe_pass(loop, id, data, (int64_t) len, fd) >= (int64_t) len);
    close(fd); /* it is a duplicate that travels */
}

static int64_t passing(int fd, int limit) {
    int64_t id = gv_pipe_new(loop);

    CHECK_EQ(gv_pipe_open(loop, id, fd), 0);
    CHECK_EQ(gv_pipe_allow_passing(loop, id, limit), 0);
    return id;
}

static int64_t passing_pair(int64_t *other, int limit) {
    int fds[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    *other = passing(fds[1], limit);
    CHECK_EQ(gv_stream_read_start(loop, *other), 0);
    return passing(fds[0], limit);
}

static void drop(int64_t id) {
    abort_handle(id);
    await(id, GV_CLOSED);
}

static void a_descriptor_comes_with_its_byte(void) {
    int before = open_descriptors();
    int64_t other;
    int64_t id = passing_pair(&other, 4);

    CHECK_EQ(gv_pipe_take_passed(loop, other), UV_EAGAIN);
    pass(id, "spam", 4, 7);
    CHECK_EQ(await(other, GV_DATA).b, 4);
    check_number(gv_pipe_take_passed(loop, other), 7);
    CHECK_EQ(gv_pipe_take_passed(loop, other), UV_EAGAIN);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    pass(other, "eggs", 4, 8); /* and the other way */
    CHECK_EQ(await(id, GV_DATA).b, 4);
    check_number(gv_pipe_take_passed(loop, id), 8);
    drop(id);
    drop(other);
    CHECK_EQ(open_descriptors(), before);
}

enum { MANY = 1000 };

/* How many bytes message `i` has. */
static size_t length_of(int i) {
    return (size_t) (i * 37 % 3000) + 1;
}

static void write_many(int64_t id) {
    static char data[3001];
    int i;

    for (i = 0; i < MANY; i++) {
        memset(data, i % 256, sizeof(data));
        if (i % 3 == 1) /* some bring none */
            CHECK(gv_stream_write(loop, id, data, (int64_t) length_of(i)) > 0);
        else
            pass(id, data, length_of(i), i);
    }
}

static void many_come_in_order_with_the_data(int limit) {
    int before = open_descriptors();
    int64_t other;
    int64_t id = passing_pair(&other, limit);
    size_t left = 0;
    int i = -1;

    write_many(id);
    while (i < MANY - 1 || left > 0) {
        record data = await(other, GV_DATA);
        const char *bytes = gv_loop_arena(loop) + data.a;

        while (data.b > 0) {
            size_t len;

            if (left == 0) {
                left = length_of(++i);
                if (i % 3 != 1)
                    check_number(gv_pipe_take_passed(loop, other), i);
            }
            len = left < (size_t) data.b ? left : (size_t) data.b;
            CHECK_EQ(bytes[0], (char) (i % 256));
            CHECK_EQ(bytes[len - 1], (char) (i % 256));
            bytes += len;
            data.b -= (int64_t) len;
            left -= len;
        }
    }
    CHECK_EQ(gv_pipe_take_passed(loop, other), UV_EAGAIN);
    drop(id);
    drop(other);
    CHECK_EQ(open_descriptors(), before);
}

static void nobody_takes_them(void) {
    int before = open_descriptors();
    int64_t other;
    int64_t id = passing_pair(&other, 8);
    int told = 0;
    int i;

    for (i = 0; i < 100; i++)
        pass(id, "x", 1, i);
    for (i = 0; i < 50; i++) {
        turn(0);
        told += (int) count(other, GV_PAUSED);
    }
    CHECK_EQ(told, 1);
    for (i = 0; i < 8; i++)
        check_number(gv_pipe_take_passed(loop, other), i);
    CHECK_EQ(gv_pipe_take_passed(loop, other), UV_EAGAIN); /* the rest was not read */
    await(other, GV_PAUSED);                               /* for the next 8 */
    drop(other);
    drop(id);
    CHECK_EQ(open_descriptors(), before);
}

static void what_has_not_left_is_closed_with_the_stream(void) {
    int before = open_descriptors();
    int64_t other;
    int64_t id = passing_pair(&other, 8);

    pass(id, "x", 1, 1);
    pass(id, "x", 1, 2);
    drop(id);
    drop(other);
    CHECK_EQ(open_descriptors(), before);
}

static void closing_sends_what_is_queued(void) {
    static char data[PLENTY];
    int before = open_descriptors();
    int64_t other;
    int64_t id = passing_pair(&other, 8);
    int64_t got = 0;

    CHECK_EQ(gv_stream_watermarks(loop, id, 10, 0), 0);
    CHECK_EQ(gv_stream_write(loop, id, data, PLENTY), PLENTY);
    pass(id, "x", 1, 3);
    CHECK(gv_stream_close(loop, id) > PLENTY);
    while (got < PLENTY + 1)
        got += await(other, GV_DATA).b;
    check_number(gv_pipe_take_passed(loop, other), 3);
    await(other, GV_EOF);
    drop(other);
    settle();
    CHECK_EQ(open_descriptors(), before);
}

static void a_slow_peer_makes_it_wait(void) {
    static char data[PLENTY];
    static char got[PLENTY];
    int fds[2];
    int64_t id;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    id = passing(fds[0], 8);
    fill(data, PLENTY, 1);
    CHECK_EQ(gv_stream_watermarks(loop, id, 10, 0), 0);
    CHECK_EQ(gv_stream_lend(loop, id, data, PLENTY), PLENTY);
    settle();
    CHECK(gv_stream_pending(loop, id) > 0);
    CHECK_EQ(turn(0), 0); /* and does not spin */
    CHECK_EQ(gv_stream_write_eof(loop, id), 0);
    CHECK_EQ(receive(fds[1], got, PLENTY), PLENTY);
    CHECK(memcmp(data, got, PLENTY) == 0);
    set_blocking(fds[1], true);
    CHECK_EQ(read(fds[1], got, 1), 0); /* EOF */
    drop(id);
    close(fds[1]);
}

static void no_room_in_the_kernel_is_no_end(void) {
    int64_t other;
    int64_t id = passing_pair(&other, 8);

    refusals = 3;
    pass(id, "x", 1, 5);
    await(other, GV_DATA);
    CHECK_EQ(refusals, 0);
    check_number(gv_pipe_take_passed(loop, other), 5);
    drop(id);
    drop(other);
}

static void without_descriptors_the_receiver_breaks(void) {
    struct rlimit old, few;
    int before = open_descriptors();
    int64_t other;
    int64_t id = passing_pair(&other, 8);

    pass(id, "x", 1, 5);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = 4;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    CHECK_EQ(gv_pipe_pass(loop, id, "x", 1, 0), UV_EMFILE); /* and nothing is queued */
    CHECK_EQ(gv_stream_pending(loop, id), 1);
    await(other, GV_DATA);
    CHECK_EQ(await(other, GV_ERROR).a, UV_EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    drop(id);
    drop(other);
    CHECK_EQ(open_descriptors(), before);
}

static void the_peer_goes_away(void) {
    int fds[2];
    int64_t id;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    id = passing(fds[0], 8);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    CHECK_EQ(gv_stream_write(loop, id, "unread", 6), 6);
    settle();
    CHECK_EQ(write(fds[1], "last", 4), 4);
    close(fds[1]);
    CHECK_EQ(await(id, GV_DATA).b, 4);
    CHECK_EQ(await(id, GV_ERROR).a, UV_ECONNRESET);
    CHECK_EQ(gv_pipe_pass(loop, id, "x", 1, 0), UV_ECONNRESET);
    drop(id);
}

static void a_forked_child_lets_go(void) {
    int before = open_descriptors();
    int64_t other;
    int64_t id = passing_pair(&other, 8);
    int status;
    pid_t child;

    pass(id, "x", 1, 1);
    await(other, GV_DATA);
    pass(id, "x", 1, 2); /* one that came, one that waits */
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        gv_loop_abandon(loop);
        /* All of them, and what is the loop's own. */
        _exit(open_descriptors() < before ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    drop(id);
    drop(other);
}

static void misuse(void) {
    int64_t other;
    int64_t id = passing_pair(&other, 1);
    int64_t plain;
    int peer;

    CHECK_EQ(gv_pipe_allow_passing(loop, id, 1), UV_EALREADY);
    CHECK_EQ(gv_pipe_pass(loop, id, "x", 1, -1), UV_EBADF);
    CHECK_EQ(gv_pipe_pass(loop, id, "x", 1, 1 << 30), UV_EBADF);
    CHECK_EQ(gv_pipe_pass(loop, id, "", 0, 0), UV_EINVAL);
    CHECK_EQ(gv_pipe_pass(loop, id, NULL, 1, 0), UV_EINVAL);
    CHECK_EQ(gv_pipe_pass(loop, 77, "x", 1, 0), UV_EBADF);
    CHECK_EQ(gv_stream_pending(loop, id), 0);
    CHECK_EQ(gv_stream_write_eof(loop, id), 0);
    CHECK_EQ(gv_pipe_pass(loop, id, "x", 1, 0), UV_ESHUTDOWN);
    await(other, GV_EOF);
    drop(other);
    drop(id);
    CHECK_EQ(gv_pipe_take_passed(loop, id), UV_EBADF);
    CHECK_EQ(gv_pipe_allow_passing(loop, id, 1), UV_EBADF);

    plain = gv_pipe_new(loop);
    CHECK_EQ(gv_pipe_allow_passing(loop, plain, 1), UV_ENOTCONN);
    abort_handle(plain);
    plain = open_pipe_pair(&peer);
    CHECK_EQ(gv_pipe_take_passed(loop, plain), UV_ENOTSUP);
    CHECK_EQ(gv_pipe_pass(loop, plain, "x", 1, 0), UV_ENOTSUP);
    CHECK_EQ(gv_pipe_allow_passing(loop, plain, 0), UV_EINVAL);
    CHECK_EQ(gv_pipe_allow_passing(loop, plain, 1 << 30), UV_EINVAL);
    CHECK_EQ(gv_stream_read_start(loop, plain), 0);
    settle();
    CHECK_EQ(gv_pipe_allow_passing(loop, plain, 1), UV_EALREADY);
    abort_handle(plain);
    close(peer);
    plain = open_tcp_pair(&peer);
    CHECK_EQ(gv_pipe_allow_passing(loop, plain, 1), UV_EINVAL);
    abort_handle(plain);
    close(peer);
}

static void a_pipe_is_no_socket(void) {
    int64_t id = gv_pipe_new(loop);
    int fds[2];

    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(gv_pipe_open(loop, id, fds[0]), 0);
    CHECK_EQ(gv_pipe_allow_passing(loop, id, 1), UV_ENOTSOCK);
    abort_handle(id);
    close(fds[1]);
}

static void all(int64_t ring_records, int64_t arena_bytes) {
    int64_t other;
    int64_t id;

    open_loop(ring_records, arena_bytes, 65536);
    id = passing_pair(&other, 1); /* libuv opens /dev/null with the first, and keeps it */
    drop(id);
    drop(other);
    a_descriptor_comes_with_its_byte();
    many_come_in_order_with_the_data(1);
    many_come_in_order_with_the_data(64);
    nobody_takes_them();
    what_has_not_left_is_closed_with_the_stream();
    closing_sends_what_is_queued();
    a_slow_peer_makes_it_wait();
    no_room_in_the_kernel_is_no_end();
    without_descriptors_the_receiver_breaks();
    the_peer_goes_away();
    a_forked_child_lets_go();
    misuse();
    a_pipe_is_no_socket();
    close_loop();
}

int main(void) {
    CHECK(mkdtemp(folder) != NULL);
    CHECK(snprintf(path, sizeof(path), "%s/f", folder) > 0);
    all(64, PLENTY);
    all(1, GV_READ_MIN);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rmdir(folder), 0);
    return 0;
}
