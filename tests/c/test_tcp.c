/* TCP: connecting, binding, names, options, and descriptors from outside. */
#include "turns.h"

#include <netinet/tcp.h>

static int option(int64_t id, int level, int name) {
    int value = -1;
    socklen_t len = sizeof(value);

    CHECK_EQ(getsockopt(gv_handle_fileno(loop, id), level, name, &value, &len), 0);
    return value;
}

static void check_name(int64_t id, int peer, int family, const char *host, int port) {
    gv_address name;

    CHECK_EQ(gv_stream_name(loop, id, peer, &name), 0);
    CHECK_EQ(name.family, family);
    CHECK_EQ(name.length, (int) strlen(host));
    CHECK(memcmp(name.text, host, strlen(host)) == 0);
    CHECK_EQ(name.port, port);
}

static int64_t bound(int family, const char *host, int port, int flags) {
    int64_t id = gv_tcp_new(loop, family);

    CHECK(id > 0);
    CHECK_EQ(gv_tcp_bind(loop, id, host, port, 0, 0, flags), 0);
    return id;
}

static int port_of(int64_t id) {
    gv_address name;

    CHECK_EQ(gv_stream_name(loop, id, 0, &name), 0);
    CHECK(name.port > 0);
    return name.port;
}

/* Somebody else's listener, so that nobody has to take what it accepts. */
static int open_listener(int *port) {
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(fd, (struct sockaddr *) &addr, sizeof(addr)), 0);
    CHECK_EQ(listen(fd, 8), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *) &addr, &len), 0);
    *port = ntohs(addr.sin_port);
    return fd;
}

static void both_ends_connect(int family, const char *host) {
    int64_t listener = bound(family, host, 0, 0);
    int port = port_of(listener);
    int64_t client = gv_tcp_new(loop, 0);
    int64_t server;
    int client_port;

    CHECK_EQ(gv_stream_listen(loop, listener, 8), 0);
    CHECK_EQ(gv_tcp_connect(loop, client, host, port, 0, 0), 0);
    CHECK_EQ(gv_tcp_connect(loop, client, host, port, 0, 0), UV_EALREADY);
    CHECK_EQ(await(client, GV_CONNECTED).a, 0);
    CHECK_EQ(gv_tcp_connect(loop, client, host, port, 0, 0), UV_EISCONN);
    next = 0; /* it may have come in the same turn, or comes yet */
    server = await(listener, GV_ACCEPTED).a;
    check_name(client, 1, family, host, port);
    check_name(server, 0, family, host, port);
    client_port = port_of(client);
    check_name(server, 1, family, host, client_port);
    CHECK_EQ(gv_stream_read_start(loop, server), 0);
    CHECK_EQ(gv_stream_write(loop, client, "spam", 4), 4);
    CHECK_EQ(await(server, GV_DATA).b, 4);
    abort_handle(client);
    CHECK_EQ(await(server, GV_ERROR).a, UV_ECONNRESET);
    check_name(server, 1, family, host, client_port); /* though it is gone */
    abort_handle(server);
    abort_handle(listener);
}

static void a_refused_connect_says_so(void) {
    int64_t listener = bound(AF_INET, "127.0.0.1", 0, 0); /* bound, but nobody listens */
    int64_t client = gv_tcp_new(loop, 0);
    int port = port_of(listener);

    CHECK_EQ(gv_tcp_connect(loop, client, "127.0.0.1", port, 0, 0), 0);
    CHECK_EQ(await(client, GV_CONNECTED).a, UV_ECONNREFUSED);
    CHECK_EQ(gv_stream_write(loop, client, "x", 1), UV_ENOTCONN);
    abort_handle(client);
    abort_handle(listener);
}

static void a_connect_that_is_aborted_says_only_closed(void) {
    int64_t client = gv_tcp_new(loop, 0);
    int port;
    int listener = open_listener(&port);

    CHECK_EQ(gv_tcp_connect(loop, client, "127.0.0.1", port, 0, 0), 0);
    abort_handle(client);
    do {
        turn(-1);
        CHECK_EQ(count(client, GV_CONNECTED), 0);
    } while (count(client, GV_CLOSED) == 0);
    close(listener);
}

static void hosts_are_numeric_and_ports_have_16_bits(void) {
    static const char *const hosts[] = {"", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", ":::"};
    int64_t id = gv_tcp_new(loop, AF_INET);
    size_t i;

    for (i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
        CHECK_EQ(gv_tcp_connect(loop, id, hosts[i], 1, 0, 0), UV_EINVAL);
        CHECK_EQ(gv_tcp_bind(loop, id, hosts[i], 0, 0, 0, 0), UV_EINVAL);
    }
    CHECK_EQ(gv_tcp_connect(loop, id, "127.0.0.1", 65536, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_tcp_connect(loop, id, "127.0.0.1", -1, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_tcp_bind(loop, id, "127.0.0.1", 65536, 0, 0, 0), UV_EINVAL);
    abort_handle(id);
}

static void bind_needs_a_family_and_a_free_address(void) {
    int64_t first = bound(AF_INET, "127.0.0.1", 0, 0);
    int64_t second = gv_tcp_new(loop, AF_INET);
    int64_t none = gv_tcp_new(loop, AF_UNSPEC);

    CHECK_EQ(gv_tcp_new(loop, AF_UNIX), UV_EAFNOSUPPORT);
    CHECK_EQ(gv_tcp_new(loop, -1), UV_EAFNOSUPPORT);
    CHECK_EQ(gv_tcp_bind(loop, none, "127.0.0.1", 0, 0, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_stream_listen(loop, none, 8), UV_EINVAL);
    CHECK_EQ(gv_stream_listen(loop, first, 8), 0);
    CHECK_EQ(gv_tcp_bind(loop, second, "127.0.0.1", port_of(first), 0, 0, 0), UV_EADDRINUSE);
    CHECK(gv_tcp_bind(loop, second, "::1", 0, 0, 0, 0) < 0); /* the other family */
    abort_handle(first);
    abort_handle(second);
    abort_handle(none);
}

static void several_may_listen_on_a_port_if_all_say_so(void) {
    int64_t first = bound(AF_INET, "127.0.0.1", 0, GV_BIND_REUSEPORT);
    int64_t second = bound(AF_INET, "127.0.0.1", port_of(first), GV_BIND_REUSEPORT);
    int64_t third = gv_tcp_new(loop, AF_INET);

    CHECK_EQ(gv_stream_listen(loop, first, 8), 0);
    CHECK_EQ(gv_stream_listen(loop, second, 8), 0);
    CHECK_EQ(gv_tcp_bind(loop, third, "127.0.0.1", port_of(first), 0, 0, 0), UV_EADDRINUSE);
    abort_handle(first);
    abort_handle(second);
    abort_handle(third);
}

static void ipv6_only_leaves_the_port_to_ipv4(void) {
    int64_t six = bound(AF_INET6, "::", 0, GV_BIND_IPV6ONLY);
    int64_t four;

    CHECK_EQ(gv_stream_listen(loop, six, 8), 0);
    CHECK_EQ(option(six, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    four = bound(AF_INET, "0.0.0.0", port_of(six), 0);
    CHECK_EQ(gv_stream_listen(loop, four, 8), 0);
    abort_handle(six);
    abort_handle(four);
}

static void options_reach_the_socket(void) {
    int peer;
    int64_t id = open_tcp_pair(&peer);

    CHECK_EQ(gv_tcp_nodelay(loop, id, 0), 0);
    CHECK_EQ(option(id, IPPROTO_TCP, TCP_NODELAY), 0);
    CHECK_EQ(gv_tcp_nodelay(loop, id, 2), 0);
    CHECK_EQ(option(id, IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK_EQ(gv_tcp_keepalive(loop, id, 1, 77), 0);
    CHECK_EQ(option(id, SOL_SOCKET, SO_KEEPALIVE), 1);
    CHECK_EQ(option(id, IPPROTO_TCP, TCP_KEEPIDLE), 77);
    CHECK_EQ(gv_tcp_keepalive(loop, id, 0, 0), 0);
    CHECK_EQ(option(id, SOL_SOCKET, SO_KEEPALIVE), 0);
    CHECK(gv_tcp_keepalive(loop, id, 1, UINT32_MAX) < 0);
    abort_handle(id);
    close(peer);
}

static void an_open_socket_can_be_taken_over_and_only_once(void) {
    int port;
    int64_t listener = listen_tcp(&port);
    int fd = connect_tcp(port);
    int64_t id = gv_tcp_new(loop, 0);
    int64_t other = gv_tcp_new(loop, 0);
    int64_t server = await(listener, GV_ACCEPTED).a;

    CHECK_EQ(gv_tcp_open(loop, id, fd), 0);
    CHECK_EQ(gv_handle_fileno(loop, id), fd);
    check_name(id, 1, AF_INET, "127.0.0.1", port);
    CHECK_EQ(gv_tcp_open(loop, other, fd), UV_EEXIST);
    CHECK_EQ(gv_tcp_open(loop, other, gv_handle_fileno(loop, server)), UV_EEXIST);
    CHECK_EQ(gv_stream_write(loop, id, "x", 1), 1);
    CHECK_EQ(gv_stream_read_start(loop, server), 0);
    CHECK_EQ(await(server, GV_DATA).b, 1);
    abort_handle(id);
    abort_handle(other);
    abort_handle(server);
    abort_handle(listener);
}

static void only_tcp_sockets_are_taken_over(void) {
    int64_t id = gv_tcp_new(loop, 0);
    int64_t with_socket = gv_tcp_new(loop, AF_INET);
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    int pipes[2];
    int sockets[2];

    CHECK_EQ(pipe(pipes), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    CHECK_EQ(gv_tcp_open(loop, id, -1), UV_EBADF);
    CHECK_EQ(gv_tcp_open(loop, id, 1 << 20), UV_EBADF);
    CHECK_EQ(gv_tcp_open(loop, id, pipes[0]), UV_ENOTSOCK);
    CHECK_EQ(gv_tcp_open(loop, id, sockets[0]), UV_EINVAL);
    CHECK_EQ(gv_tcp_open(loop, id, udp), UV_EINVAL);
    CHECK_EQ(gv_tcp_open(loop, with_socket, tcp), UV_EINVAL);
    CHECK(is_blocking(udp) && is_blocking(tcp)); /* they were left alone */
    CHECK_EQ(gv_tcp_open(loop, id, tcp), 0);
    CHECK_EQ(gv_stream_write(loop, id, "x", 1), UV_ENOTCONN);
    abort_handle(id);
    abort_handle(with_socket);
    close(udp);
    close(pipes[0]);
    close(pipes[1]);
    close(sockets[0]);
    close(sockets[1]);
}

static void blocking_sockets_block_again_when_we_go(void) {
    int port;
    int64_t listener = listen_tcp(&port);
    int fd = connect_tcp(port);
    int copy = dup(fd); /* shares O_NONBLOCK, as a shell's terminal does */
    int64_t id = gv_tcp_new(loop, 0);

    CHECK_EQ(gv_tcp_open(loop, id, fd), 0);
    CHECK(!is_blocking(copy));
    CHECK_EQ(gv_stream_close(loop, id), 0);
    CHECK(is_blocking(copy));
    close(copy);

    fd = connect_tcp(port);
    copy = dup(fd);
    set_blocking(fd, false);
    id = gv_tcp_new(loop, 0);
    CHECK_EQ(gv_tcp_open(loop, id, fd), 0);
    abort_handle(id);
    CHECK(!is_blocking(copy)); /* as it was */
    close(copy);
    abort_handle(await(listener, GV_ACCEPTED).a);
    abort_handle(await(listener, GV_ACCEPTED).a);
    abort_handle(listener);
}

static void a_socket_that_was_closed_behind_us_is_an_error(void) {
    int port;
    int listener = open_listener(&port);
    int fd = connect_tcp(port);
    int64_t id = gv_tcp_new(loop, 0);

    CHECK_EQ(gv_tcp_open(loop, id, fd), 0);
    close(fd);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    CHECK_EQ(await(id, GV_ERROR).a, UV_EBADF);
    abort_handle(id);
    fd = connect_tcp(port);
    id = gv_tcp_new(loop, 0);
    CHECK_EQ(gv_tcp_open(loop, id, fd), 0);
    close(fd);
    CHECK_EQ(gv_stream_write_eof(loop, id), 0);
    CHECK_EQ(await(id, GV_ERROR).a, UV_EBADF);
    abort_handle(id);
    close(listener);
}

int main(void) {
    open_loop(64, PLENTY, 65536);
    both_ends_connect(AF_INET, "127.0.0.1");
    both_ends_connect(AF_INET6, "::1");
    a_refused_connect_says_so();
    a_connect_that_is_aborted_says_only_closed();
    hosts_are_numeric_and_ports_have_16_bits();
    bind_needs_a_family_and_a_free_address();
    several_may_listen_on_a_port_if_all_say_so();
    ipv6_only_leaves_the_port_to_ipv4();
    options_reach_the_socket();
    an_open_socket_can_be_taken_over_and_only_once();
    only_tcp_sockets_are_taken_over();
    blocking_sockets_block_again_when_we_go();
    a_socket_that_was_closed_behind_us_is_an_error();
    close_loop();
    return 0;
}
