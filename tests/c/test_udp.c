/* Datagrams: in order, within bounds, and none lost that the kernel has. */
#include "turns.h"

#include "csrc/udp.h"

static int64_t make(void) {
    int64_t id = gv_udp_new(loop, AF_INET);

    CHECK(id > 0);
    CHECK_EQ(gv_udp_bind(loop, id, "127.0.0.1", 0, 0, 0, 0), 0);
    return id;
}

static int port_of(int64_t id) {
    gv_address name;

    CHECK_EQ(gv_udp_name(loop, id, 0, &name), 0);
    return name.port;
}

static void close_handle(int64_t id) {
    CHECK_EQ(gv_handle_close(loop, id), 0);
    await(id, GV_CLOSED);
}

static void check_sender(record data, int port) {
    gv_address name;

    CHECK_EQ(gv_udp_sender(gv_loop_arena(loop) + data.a, &name), 0);
    CHECK_EQ(name.port, port);
    CHECK(strcmp(name.text, "127.0.0.1") == 0);
}

static void it_brings_what_was_sent_and_by_whom(void) {
    int64_t one = make(), two = make();
    record data;

    CHECK_EQ(gv_udp_read_start(loop, two), 0);
    CHECK_EQ(gv_udp_send(loop, one, "spam", 4, "127.0.0.1", port_of(two), 0, 0), 4);
    CHECK_EQ(gv_udp_send(loop, one, NULL, 0, "127.0.0.1", port_of(two), 0, 0), 4);
    data = await(two, GV_DATA);
    CHECK_EQ(data.b, GV_UDP_ADDRESS + 4);
    CHECK(memcmp(gv_loop_arena(loop) + data.a + GV_UDP_ADDRESS, "spam", 4) == 0);
    check_sender(data, port_of(one));
    CHECK_EQ(gv_udp_pending(loop, one), 0);
    close_handle(one);
    close_handle(two);
}

static void misuse_is_an_error(void) {
    int64_t id = make(), tcp = gv_tcp_new(loop, AF_INET), poll = gv_poll_new(loop, 0);
    char large[70000] = "";
    gv_address name;

    CHECK_EQ(gv_udp_new(loop, AF_UNIX), UV_EAFNOSUPPORT);
    CHECK_EQ(gv_udp_new(NULL, AF_INET), UV_EBADF);
    CHECK_EQ(gv_udp_send(loop, tcp, "x", 1, NULL, 0, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_udp_send(loop, id, "x", 1, NULL, 0, 0, 0), UV_EDESTADDRREQ);
    CHECK_EQ(gv_udp_send(loop, id, "x", 1, "spam", 1, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_udp_send(loop, id, "x", -1, "127.0.0.1", 1, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_udp_send(loop, id, NULL, 1, "127.0.0.1", 1, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_udp_send(loop, id, large, sizeof(large), "127.0.0.1", 1, 0, 0), UV_EMSGSIZE);
    CHECK_EQ(gv_stream_write(loop, id, "x", 1), UV_EINVAL);
    CHECK_EQ(gv_poll_start(loop, id, 1), UV_EINVAL);
    CHECK_EQ(gv_udp_name(loop, id, 1, &name), UV_ENOTCONN);
    CHECK_EQ(gv_udp_name(loop, id, 0, NULL), UV_EINVAL);
    CHECK_EQ(gv_udp_watermarks(loop, id, 1, 2), UV_EINVAL);
    CHECK_EQ(gv_udp_set(loop, id, 99, 1), UV_EINVAL);
    CHECK_EQ(gv_udp_set(loop, id, GV_UDP_TTL, -1), UV_EINVAL);
    CHECK_EQ(gv_udp_set(loop, id, GV_UDP_TTL, 256), UV_EINVAL);
    CHECK_EQ(gv_udp_member(loop, id, GV_UDP_JOIN, NULL, NULL, NULL), UV_EINVAL);
    CHECK_EQ(gv_udp_open(loop, gv_handle_fileno(loop, id)), UV_EEXIST);
    CHECK_EQ(gv_udp_open(loop, -1), UV_EBADF);
    CHECK_EQ(gv_udp_sender(NULL, &name), UV_EINVAL);
    close_handle(id);
    CHECK_EQ(gv_udp_send(loop, id, "x", 1, "127.0.0.1", 1, 0, 0), UV_EBADF);
    CHECK_EQ(gv_udp_read_start(loop, id), UV_EBADF);
    CHECK_EQ(gv_udp_close(loop, id), UV_EBADF);
    close_handle(tcp);
    if (poll > 0)
        close_handle(poll);
}

static void a_peer_that_is_not_there(void) {
    int64_t id = make(), gone = make();
    int port = port_of(gone);

    close_handle(gone);
    CHECK_EQ(gv_udp_connect(loop, id, "127.0.0.1", port, 0, 0), 0);
    CHECK_EQ(gv_udp_read_start(loop, id), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(gv_udp_send(loop, id, "x", 1, NULL, 0, 0, 0), 1);
        CHECK_EQ(await(id, GV_REFUSED).a, UV_ECONNREFUSED);
    }
    CHECK_EQ(gv_udp_send(loop, id, "x", 1, "127.0.0.1", port, 0, 0), UV_EISCONN);
    CHECK_EQ(gv_udp_connect(loop, id, NULL, 0, 0, 0), 0);
    CHECK_EQ(gv_udp_send(loop, id, "x", 1, NULL, 0, 0, 0), UV_EDESTADDRREQ);
    close_handle(id);
}

static void one_that_is_refused_holds_up_nobody(void) {
    static const char large[65536] = "";
    int64_t one = make(), two = make();

    CHECK_EQ(gv_udp_read_start(loop, two), 0);
    CHECK(gv_udp_send(loop, one, large, sizeof(large), "127.0.0.1", port_of(two), 0, 0) > 0);
    CHECK(gv_udp_send(loop, one, "x", 1, "127.0.0.1", port_of(two), 0, 0) > 0);
    turn(0);
    CHECK_EQ(await(two, GV_DATA).b, GV_UDP_ADDRESS + 1);
    close_handle(one);
    close_handle(two);
}

/* The arena has room for three, whatever their size. */
static void what_finds_no_room_comes_later(void) {
    enum { COUNT = 100, SIZE = 20000 };
    static char data[SIZE];
    int64_t one = make(), two = make();
    int got = 0;

    gv_udp_set(loop, two, GV_UDP_RECEIVE_BUFFER, 8 << 20);
    CHECK_EQ(gv_udp_connect(loop, one, "127.0.0.1", port_of(two), 0, 0), 0);
    CHECK_EQ(gv_udp_read_start(loop, two), 0);
    for (int i = 0; i < COUNT; i++) {
        data[0] = (char) i;
        CHECK(gv_udp_send(loop, one, data, SIZE, NULL, 0, 0, 0) > 0);
        if (i % 5 == 4)
            while (got <= i) {
                record got_one = await(two, GV_DATA);

                CHECK_EQ(got_one.b, GV_UDP_ADDRESS + SIZE);
                CHECK_EQ(gv_loop_arena(loop)[got_one.a + GV_UDP_ADDRESS], (char) got);
                got++;
            }
    }
    close_handle(one);
    close_handle(two);
}

static void closing_sends_what_is_queued(void) {
    int64_t one = make(), two = make();

    CHECK_EQ(gv_udp_watermarks(loop, one, 2, 1), 0);
    for (int i = 0; i < 30; i++)
        CHECK_EQ(gv_udp_send(loop, one, "x", 1, "127.0.0.1", port_of(two), 0, 0), i + 1);
    CHECK_EQ(gv_udp_close(loop, one), 30);
    CHECK_EQ(gv_udp_close(loop, one), UV_EALREADY);
    CHECK_EQ(gv_udp_send(loop, one, "x", 1, "127.0.0.1", 1, 0, 0), UV_ESHUTDOWN);
    await(one, GV_CLOSED);
    CHECK_EQ(gv_udp_read_start(loop, two), 0);
    for (int i = 0; i < 30; i++)
        await(two, GV_DATA);
    CHECK_EQ(gv_udp_close(loop, two), 0);
    await(two, GV_CLOSED);
}

int main(void) {
    open_loop(64, 1 << 18, 1 << 18); /* room for three at once */
    it_brings_what_was_sent_and_by_whom();
    misuse_is_an_error();
    a_peer_that_is_not_there();
    one_that_is_refused_holds_up_nobody();
    what_finds_no_room_comes_later();
    closing_sends_what_is_queued();
    close_loop();
    return 0;
}
