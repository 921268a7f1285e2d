/* An echo server in plain C on libuv.
 *
 * Prints its port. Ends when it is killed. */
#include "server_libuv.h"

static void read_cb(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
    if (length < 0)
        uv_close((uv_handle_t *) stream, close_cb);
    if (length > 0)
        send_all(stream, buffer->base, length);
}

static void connection_cb(uv_stream_t *listener, int status) {
    check(status, "listen");
    accept_into(listener, malloc(sizeof(uv_tcp_t)), read_cb);
}

int main(void) {
    return serve(connection_cb);
}
