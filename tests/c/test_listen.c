/* Accepting: batches within the ring's room, and what happens without descriptors. */
#include "syscalls.h"
#include "turns.h"

#include <sys/resource.h>

enum { CLIENTS = 600 };

static int clients[CLIENTS];

static void connect_all(int port, int many) {
    int i;

    for (i = 0; i < many; i++)
        clients[i] = connect_tcp(port);
}

static void close_all(int many) {
    int i;

    for (i = 0; i < many; i++)
        close(clients[i]);
}

static void a_batch_is_no_larger_than_the_ring_and_none_is_lost(int64_t ring_records) {
    static int64_t ids[CLIENTS];
    int64_t listener;
    int64_t largest = 0;
    int got = 0;
    int port;
    int64_t i;

    open_loop(ring_records, PLENTY, 4096);
    listener = listen_tcp(&port);
    connect_all(port, CLIENTS);
    while (got < CLIENTS) {
        turn(-1);
        CHECK(batch <= ring_records);
        CHECK(batch <= GV_ACCEPT_BATCH);
        largest = batch > largest ? batch : largest;
        for (i = 0; i < batch; i++) {
            CHECK_EQ(record_at(i).kind, GV_ACCEPTED);
            CHECK_EQ(record_at(i).id, listener);
            ids[got++] = record_at(i).a;
        }
    }
    CHECK_EQ(largest, ring_records < GV_ACCEPT_BATCH ? ring_records : GV_ACCEPT_BATCH);
    settle();
    CHECK_EQ(count(0, GV_ACCEPTED), 0);
    for (i = 0; i < CLIENTS; i++)
        abort_handle(ids[i]);
    abort_handle(listener);
    close_all(CLIENTS);
    close_loop();
}

static void what_was_accepted_is_ready_to_use(void) {
    gv_address name;
    struct sockaddr_in own;
    socklen_t len = sizeof(own);
    int64_t listener;
    int64_t id;
    char in[8];
    int on = 0;
    int port;

    open_loop(8, PLENTY, 4096);
    listener = listen_tcp(&port);
    connect_all(port, 1);
    id = await(listener, GV_ACCEPTED).a;
    CHECK_EQ(getsockname(clients[0], (struct sockaddr *) &own, &len), 0);
    CHECK_EQ(gv_stream_name(loop, id, 1, &name), 0);
    CHECK_EQ(name.port, ntohs(own.sin_port));
    CHECK_EQ(gv_stream_name(loop, id, 0, &name), 0);
    CHECK_EQ(name.port, port);
    CHECK_EQ(gv_stream_write(loop, id, "hello", 5), 5);
    CHECK_EQ(receive(clients[0], in, 5), 5);
    len = sizeof(on);
    CHECK_EQ(getsockopt(gv_handle_fileno(loop, id), IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, &len),
             0);
    CHECK(on);
    CHECK(fcntl(gv_handle_fileno(loop, id), F_GETFD) & FD_CLOEXEC);
    close_all(1);
    abort_handle(id);
    CHECK_EQ(gv_stream_name(loop, id, 1, &name), 0); /* until GV_CLOSED was taken */
    abort_handle(listener);
    close_loop();
}

/* How many descriptors there are, if the lowest are taken, as here. */
static int lowest_free(void) {
    int fd = dup(0);

    CHECK(fd >= 0);
    close(fd);
    return fd;
}

static void set_limit(int soft) {
    struct rlimit limit;

    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t) soft;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void without_descriptors_it_pauses_says_so_once_and_goes_on(void) {
    struct rlimit before;
    int64_t paused = 0;
    int64_t accepted[8];
    int64_t listener;
    int got = 0;
    int turns = 0;
    int port;
    int64_t i;

    open_loop(64, PLENTY, 4096);
    listener = listen_tcp(&port);
    connect_all(port, 8);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    set_limit(lowest_free() + 3);
    accepts = 0;
    while (accepts < 3 + 4) { /* three that worked, and four attempts in vain */
        turn(-1);
        turns++;
        paused += count(listener, GV_PAUSED);
        for (i = 0; i < batch; i++) {
            if (record_at(i).kind == GV_ACCEPTED)
                accepted[got++] = record_at(i).a;
            else
                CHECK_EQ(record_at(i).a, UV_EMFILE);
        }
    }
    CHECK_EQ(got, 3);
    CHECK_EQ(paused, 1);
    CHECK(turns <= 2 * 4); /* it does not spin meanwhile */
    set_limit((int) before.rlim_cur);
    while (got < 8)
        accepted[got++] = await(listener, GV_ACCEPTED).a;
    settle();
    connect_all(port, 8); /* and says so again when it happens again */
    set_limit(lowest_free());
    CHECK_EQ(await(listener, GV_PAUSED).a, UV_EMFILE);
    set_limit((int) before.rlim_cur);
    for (i = 0; i < 8; i++)
        abort_handle(await(listener, GV_ACCEPTED).a);
    for (i = 0; i < 8; i++)
        abort_handle(accepted[i]);
    abort_handle(listener);
    close_all(8);
    close_loop();
}

/* Clients that come and go at the limit are no reason to say it again and again. */
static void a_shortage_is_told_once_until_it_is_over(void) {
    struct rlimit before;
    int64_t paused = 0;
    int64_t listener;
    int got = 0;
    int port;

    open_loop(64, PLENTY, 4096);
    listener = listen_tcp(&port);
    connect_all(port, 4);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    set_limit(lowest_free() + 1);
    while (got < 4) {
        turn(-1);
        paused += count(listener, GV_PAUSED);
        if (count(listener, GV_ACCEPTED) > 0) {
            abort_handle(record_at(0).a);
            got++;
        }
    }
    CHECK_EQ(paused, 1);
    set_limit((int) before.rlim_cur);
    abort_handle(listener);
    close_all(4);
    close_loop();
}

static void a_pause_ends_with_the_listener(void) {
    struct rlimit before;
    int64_t listener;
    int port;

    open_loop(64, PLENTY, 4096);
    listener = listen_tcp(&port);
    connect_all(port, 1);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    set_limit(lowest_free());
    await(listener, GV_PAUSED);
    abort_handle(listener);
    set_limit((int) before.rlim_cur);
    close_loop();
    close_all(1);
}

static void an_accepted_handle_outlives_its_listener(void) {
    int64_t listener;
    int64_t id;
    char in[8];
    int port;

    open_loop(8, PLENTY, 4096);
    listener = listen_tcp(&port);
    connect_all(port, 1);
    turn(-1);
    abort_handle(listener); /* in the batch that says GV_ACCEPTED */
    id = record_at(0).a;
    CHECK_EQ(gv_stream_write(loop, id, "still", 5), 5);
    CHECK_EQ(receive(clients[0], in, 5), 5);
    abort_handle(id);
    close_all(1);
    close_loop();
}

static void a_listening_socket_may_come_from_outside(void) {
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int64_t id;

    open_loop(8, PLENTY, 4096);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(fd, (struct sockaddr *) &addr, sizeof(addr)), 0);
    CHECK_EQ(listen(fd, 8), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *) &addr, &len), 0);
    id = gv_tcp_new(loop, 0);
    CHECK_EQ(gv_tcp_open(loop, id, fd), 0);
    CHECK_EQ(gv_stream_listen(loop, id, 8), 0);
    connect_all(ntohs(addr.sin_port), 1);
    abort_handle(await(id, GV_ACCEPTED).a);
    abort_handle(id);
    close_all(1);
    close_loop();
}

static void who_waits_can_be_accepted_and_nobody_else_comes(void) {
    int64_t listener;
    int64_t ids[3];
    struct sockaddr_in addr = {.sin_family = AF_INET};
    int late = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int got = 0;
    int port;

    open_loop(2, PLENTY, 4096);
    listener = listen_tcp(&port);
    CHECK_EQ(gv_stream_accept_rest(loop, listener), 0);
    connect_all(port, 3);
    CHECK_EQ(gv_stream_refuse(loop, listener), 0);
    addr.sin_port = htons((uint16_t) port);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(connect(late, (struct sockaddr *) &addr, sizeof(addr)), -1);
    CHECK_EQ(errno, EINPROGRESS); /* nothing answers its SYN */
    while (gv_stream_accept_rest(loop, listener) > 0) {
        int64_t i;

        turn(0);
        for (i = 0; i < batch; i++)
            if (record_at(i).kind == GV_ACCEPTED)
                ids[got++] = record_at(i).a;
    }
    CHECK_EQ(got, 3);
    abort_handle(listener);
    CHECK_EQ(gv_stream_accept_rest(loop, listener), UV_EBADF);
    CHECK_EQ(gv_stream_refuse(loop, listener), UV_EBADF);
    while (got > 0)
        abort_handle(ids[--got]);
    close(late);
    close_all(3);
    close_loop();
}

int main(void) {
    a_batch_is_no_larger_than_the_ring_and_none_is_lost(1);
    a_batch_is_no_larger_than_the_ring_and_none_is_lost(7);
    a_batch_is_no_larger_than_the_ring_and_none_is_lost(4096);
    what_was_accepted_is_ready_to_use();
    without_descriptors_it_pauses_says_so_once_and_goes_on();
    a_shortage_is_told_once_until_it_is_over();
    a_pause_ends_with_the_listener();
    an_accepted_handle_outlives_its_listener();
    a_listening_socket_may_come_from_outside();
    who_waits_can_be_accepted_and_nobody_else_comes();
    return 0;
}
