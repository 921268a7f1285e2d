/* What servers in plain C on libuv share. They are the floor: what another
 * server costs above one is what its language and library add. */
#ifndef BENCHMARKS_SERVER_LIBUV_H
#define BENCHMARKS_SERVER_LIBUV_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

struct copy {
    uv_write_t request;
    char data[];
};

static char slab[64 * 1024]; /* shared: what is read has left it when read_cb returns */

static void check(int code, const char *doing) {
    if (code >= 0)
        return;
    fprintf(stderr, "could not %s: %s\n", doing, uv_strerror(code));
    exit(1);
}

static void alloc_cb(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void) handle;
    (void) suggested;
    *buffer = uv_buf_init(slab, sizeof slab);
}

static void close_cb(uv_handle_t *handle) {
    free(handle);
}

static void write_cb(uv_write_t *request, int status) {
    uv_handle_t *handle = (uv_handle_t *) request->handle;

    if (status < 0 && !uv_is_closing(handle))
        uv_close(handle, close_cb);
    free(request);
}

static void write_later(uv_stream_t *stream, const char *data, size_t length) {
    struct copy *copy = malloc(sizeof *copy + length);
    uv_buf_t buffer = {.base = copy->data, .len = length};

    memcpy(copy->data, data, length);
    check(uv_write(&copy->request, stream, &buffer, 1, write_cb), "write");
}

static void send_all(uv_stream_t *stream, char *data, size_t length) {
    uv_buf_t buffer = {.base = data, .len = length};
    int sent = uv_try_write(stream, &buffer, 1);

    if (sent < 0)
        sent = 0; /* UV_EAGAIN, or an error that the write below meets again */
    if ((size_t) sent < length)
        write_later(stream, data + sent, length - sent);
}

/* Accept one into `client`, which is its own memory, and read from it. */
static void accept_into(uv_stream_t *listener, uv_tcp_t *client, uv_read_cb read_cb) {
    check(uv_tcp_init(listener->loop, client), "make a handle");
    check(uv_accept(listener, (uv_stream_t *) client), "accept");
    check(uv_tcp_nodelay(client, 1), "set TCP_NODELAY");
    check(uv_read_start((uv_stream_t *) client, alloc_cb, read_cb), "read");
}

/* Listen, print the port, and serve until killed. */
static int serve(uv_connection_cb connection_cb) {
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;
    struct sockaddr_in address;
    int length = sizeof address;

#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* end with who has started it */
#endif
    check(uv_ip4_addr("127.0.0.1", 0, &address), "make an address");
    check(uv_tcp_init(loop, &listener), "make a handle");
    check(uv_tcp_bind(&listener, (struct sockaddr *) &address, 0), "bind");
    check(uv_listen((uv_stream_t *) &listener, 1024, connection_cb), "listen");
    check(uv_tcp_getsockname(&listener, (struct sockaddr *) &address, &length), "see the port");
    printf("%d\n", (address.sin_port & 0xff) << 8 | address.sin_port >> 8);
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}

#endif
