/* A stream with TLS below it, and at the other end of its socket an engine that the test drives. */
#ifndef TLSLINE_H
#define TLSLINE_H

#include "engines.h"
#include "turns.h"

#include "csrc/tls_facts.h"
#include "csrc/tls_stream.h"

enum { LINE_BYTES = 4 << 20, LINGER = 40000 };

static int64_t line; /* the stream */
static int peer_fd;
static gv_tls *ours_tls, *peer_tls;
static bool peer_reads; /* plaintext; else it only shakes hands */
static int64_t peer_said;

/* What has happened to the stream since it was opened. */
static int events; /* gv_tls_event bits */
static int drains, broken;
static int64_t written;
static bool eof_came, closed_came;
static char came[LINE_BYTES], peer_came[LINE_BYTES];
static size_t came_len, peer_came_len;

static inline void note(record found) {
    if (found.id != line)
        return;
    if (found.kind == GV_DATA) {
        CHECK(!eof_came && came_len + (size_t) found.b <= sizeof(came));
        memcpy(came + came_len, gv_loop_arena(loop) + found.a, (size_t) found.b);
        came_len += (size_t) found.b;
    }
    events |= found.kind == GV_TLS ? (int) found.a : 0;
    drains += found.kind == GV_DRAIN;
    eof_came = eof_came || found.kind == GV_EOF;
    closed_came = closed_came || found.kind == GV_CLOSED;
    if (found.kind == GV_WRITTEN)
        written = found.a;
    if (found.kind == GV_ERROR)
        broken = (int) found.a;
}

static inline void peer_reads_socket(void) {
    char piece[65536];
    ssize_t n = recv(peer_fd, piece, sizeof(piece), MSG_DONTWAIT);

    if (n > 0)
        CHECK_EQ(gv_tls_feed(peer_tls, piece, n), 0);
}

static inline void peer_reads_engine(void) {
    do {
        size_t room = sizeof(peer_came) - peer_came_len;

        peer_said = clean(gv_tls_read(peer_tls, peer_came + peer_came_len, (int64_t) room));
        if (peer_said > 0)
            peer_came_len += (size_t) peer_said;
    } while (peer_said > 0);
}

static inline void peer_sends(void) {
    char piece[16384];

    while (gv_tls_out(peer_tls) > 0) {
        char *at = piece;
        int64_t len = gv_tls_take(peer_tls, piece, sizeof(piece));

        while (len > 0) {
            ssize_t sent = send(peer_fd, at, (size_t) len, MSG_DONTWAIT | MSG_NOSIGNAL);

            CHECK(sent > 0 || errno == EAGAIN);
            if (sent > 0) {
                at += sent;
                len -= sent;
            } else {
                turn(0);
                for (next = 0; next < batch;)
                    note(record_at(next++));
            }
        }
    }
}

/* One turn of the loop, and one step of the peer. */
static inline void step_both(void) {
    turn(0);
    while (next < batch)
        note(record_at(next++));
    if (peer_tls == NULL)
        return;
    if (peer_reads || gv_tls_version(peer_tls) == NULL)
        peer_reads_socket();
    if (gv_tls_handshake(peer_tls) == GV_TLS_OK && peer_reads)
        peer_reads_engine();
    ERR_clear_error();
    peer_sends();
}

#define UNTIL(condition)                                                                           \
    while (!(condition))                                                                           \
    step_both()

/* Let them go on for as long as it takes for something to happen that must not. */
static inline void let_pass(int turns) {
    while (turns-- > 0)
        step_both();
}

static inline void forget(void) {
    events = drains = broken = 0;
    written = 0;
    eof_came = closed_came = false;
    came_len = peer_came_len = 0;
}

/* Open it over TCP or a Unix socket; it begins as plain. */
static inline void open_line(bool tcp) {
    forget();
    line = tcp ? open_tcp_pair(&peer_fd) : open_pipe_pair(&peer_fd);
    peer_tls = ours_tls = NULL;
    peer_reads = true;
}

static inline void start_tls(gv_tls_ctx *client, gv_tls_ctx *server, bool serves) {
    pair both = couple(client, server);

    ours_tls = serves ? both.server : both.client;
    peer_tls = serves ? both.client : both.server;
    CHECK_EQ(gv_stream_tls_start(loop, line, ours_tls, LINGER), 0);
}

static inline void peer_writes(const char *bytes, size_t len) {
    write_all(peer_tls, bytes, len);
    peer_sends();
}

/* Once it is closed, or is to be aborted. */
static inline void close_line(void) {
    gv_tls_free(peer_tls);
    peer_tls = NULL;
    if (!closed_came)
        abort_handle(line);
    UNTIL(closed_came);
    turn(0); /* in which the engine is given back */
    gv_tls_free(ours_tls);
    close(peer_fd);
}

#endif
