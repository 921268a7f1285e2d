/* A server in plain C on libuv and http-parser, which answers each request in
 * 13 bytes and looks at nothing but where a request ends.
 *
 * Prints its port. Ends when it is killed. */
#include "server_libuv.h"
#include <http_parser.h>

struct client {
    uv_tcp_t tcp; /* first, so that close_cb frees the whole */
    http_parser parser;
};

static char answer[] = "HTTP/1.1 200 OK\r\n"
                       "Content-Type: text/plain\r\n"
                       "Content-Length: 13\r\n"
                       "\r\n"
                       "Hello, World!";

static int message_complete_cb(http_parser *parser) {
    send_all(parser->data, answer, sizeof answer - 1);
    return 0;
}

static const http_parser_settings SETTINGS = {.on_message_complete = message_complete_cb};

static void read_cb(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
    struct client *client = (struct client *) stream;

    if (length == 0)
        return;
    if (length < 0 ||
        http_parser_execute(&client->parser, &SETTINGS, buffer->base, length) != (size_t) length)
        uv_close((uv_handle_t *) stream, close_cb);
}

static void connection_cb(uv_stream_t *listener, int status) {
    struct client *client = malloc(sizeof *client);

    check(status, "listen");
    http_parser_init(&client->parser, HTTP_REQUEST);
    client->parser.data = client;
    accept_into(listener, &client->tcp, read_cb);
}

int main(void) {
    return serve(connection_cb);
}
