/* A loop, and turns of it as Python makes them: poll, and take every record. */
#ifndef TURNS_H
#define TURNS_H

#include "check.h"

#include "csrc/tcp.h"
#include "csrc/pipe.h"
#include "csrc/poll.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct {
    int64_t id;
    int64_t kind;
    int64_t a;
    int64_t b;
} record;

static gv_loop *loop;
static int64_t taken; /* records before those in the ring */
static int64_t batch; /* records in the ring */
static int64_t next;  /* the first of them that await() has not looked at */

#ifndef PATIENCE
#define PATIENCE 50 /* seconds */
#endif

enum { PLENTY = 1 << 20 }; /* bytes or records, where the bounds are not what is tested */

static inline void open_loop(int64_t ring_records, int64_t arena_bytes, int64_t read_limit) {
    gv_limits limits = {ring_records, arena_bytes, read_limit};
    int error = 0;

    alarm(PATIENCE); /* a test that hangs has failed */
    loop = gv_loop_new(&limits, &error);
    CHECK_EQ(error, 0);
    taken = batch = next = 0;
}

/* Make one turn; whatever the last one brought is taken. */
static inline int64_t turn(int64_t timeout_ms) {
    taken += batch;
    batch = gv_loop_poll(loop, taken, timeout_ms);
    CHECK(batch >= 0);
    next = 0;
    return batch;
}

static inline record record_at(int64_t at) {
    record found;

    CHECK(at < batch);
    memcpy(&found, gv_loop_ring(loop) + 4 * at, sizeof(found));
    return found;
}

/* Make turns until the record comes; others are dropped. */
static inline record await(int64_t id, gv_kind kind) {
    for (;;) {
        while (next < batch) {
            record found = record_at(next++);

            if (found.id == id && found.kind == (int64_t) kind)
                return found;
        }
        turn(-1);
    }
}

/* How many records of that kind this turn brought; id 0 stands for any. */
static inline int64_t count(int64_t id, gv_kind kind) {
    int64_t found = 0;
    int64_t i;

    for (i = 0; i < batch; i++)
        found += (id == 0 || record_at(i).id == id) && record_at(i).kind == (int64_t) kind;
    return found;
}

/* Take what is there without waiting, and go on until nothing more comes. */
static inline void settle(void) {
    int quiet = 0;

    while (quiet < 3)
        quiet = turn(0) == 0 ? quiet + 1 : 0;
}

/* Every handle has to be on the way out by now. */
static inline void close_loop(void) {
    while (gv_loop_handles(loop) > 0)
        turn(0);
    CHECK_EQ(gv_loop_close(loop, taken + batch), 0);
    gv_loop_free(loop);
}

static inline void abort_handle(int64_t id) {
    CHECK_EQ(gv_stream_abort(loop, id), 0);
}

/* Other ends: plain sockets. */

static inline int64_t listen_tcp(int *port) {
    int64_t id = gv_tcp_new(loop, AF_INET);
    gv_address name;

    CHECK(id > 0);
    CHECK_EQ(gv_tcp_bind(loop, id, "127.0.0.1", 0, 0, 0, 0), 0);
    CHECK_EQ(gv_stream_listen(loop, id, 1024), 0);
    CHECK_EQ(gv_stream_name(loop, id, 0, &name), 0);
    *port = name.port;
    return id;
}

static inline int connect_tcp(int port) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0);
    CHECK_EQ(connect(fd, (struct sockaddr *) &addr, sizeof(addr)), 0);
    return fd;
}

/* A stream, and the plain socket at its other end. */
static inline int64_t open_tcp_pair(int *peer) {
    int port;
    int64_t listener = listen_tcp(&port);
    int64_t id;

    *peer = connect_tcp(port);
    id = await(listener, GV_ACCEPTED).a;
    abort_handle(listener);
    await(listener, GV_CLOSED);
    return id;
}

static inline int64_t open_pipe_pair(int *peer) {
    int64_t id = gv_pipe_new(loop);
    int fds[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_EQ(gv_pipe_open(loop, id, fds[0]), 0);
    *peer = fds[1];
    return id;
}

static inline void set_size(int fd, int option, int size) {
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, option, &size, sizeof(size)), 0);
}

static inline void set_blocking(int fd, bool blocking) {
    int flags = fcntl(fd, F_GETFL);

    CHECK_EQ(fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK), 0);
}

static inline bool is_blocking(int fd) {
    return (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
}

static inline void send_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);

        CHECK(sent > 0);
        data += sent;
        len -= (size_t) sent;
    }
}

/* Read `len` bytes into `data` while the loop turns; fewer at EOF. */
static inline size_t receive(int fd, char *data, size_t len) {
    size_t at = 0;

    set_blocking(fd, false);
    while (at < len) {
        ssize_t got = read(fd, data + at, len - at);

        if (got == 0)
            break;
        if (got > 0)
            at += (size_t) got;
        else
            CHECK(errno == EAGAIN && turn(0) >= 0);
    }
    return at;
}

/* Bytes that differ wherever a piece is lost, doubled or out of place. */
static inline void fill(char *data, size_t len, unsigned seed) {
    size_t i;

    for (i = 0; i < len; i++) {
        seed = seed * 1103515245u + 12345u;
        data[i] = (char) (seed >> 16);
    }
}

#endif
