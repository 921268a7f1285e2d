/* How TLS below a stream ends: by close_notify, without one, by an error, or to go on in plain. */
#include "tlsline.h"

static certificate cert;
static gv_tls_ctx *server, *client;
static char data[100000];

static void open_all(bool tcp) {
    open_loop(256, PLENTY, 65536);
    server = serving(&cert);
    client = trusting(&cert);
    open_line(tcp);
}

static void close_all(void) {
    close_line();
    gv_tls_ctx_free(server);
    gv_tls_ctx_free(client);
    close_loop();
    CHECK_EQ(gv_tls_live(), 0);
}

static void secure(void) {
    start_tls(client, server, true);
    UNTIL((events & GV_TLS_SECURED) && gv_tls_handshake(peer_tls) == GV_TLS_OK);
    CHECK_EQ(gv_stream_read_start(loop, line), 0);
}

static void open_secured(bool tcp) {
    open_all(tcp);
    secure();
}

static void peer_says_goodbye(void) {
    CHECK_EQ(gv_tls_shutdown(peer_tls), 0);
    peer_sends();
}

static void closing_waits_for_the_peers_goodbye(bool tcp) {
    open_secured(tcp);
    CHECK(gv_stream_write(loop, line, data, sizeof(data)) >= 0);
    CHECK(gv_stream_close(loop, line) > 0);
    UNTIL(peer_said == GV_TLS_EOF);
    CHECK_EQ((int64_t) peer_came_len, sizeof(data));
    let_pass(50);
    CHECK(!closed_came); /* LINGER is long */
    peer_writes("too late", 8);
    let_pass(50);
    CHECK(!closed_came && came_len == 0); /* what comes now is for nobody */
    peer_says_goodbye();
    UNTIL(closed_came);
    close_all();
}

static void closing_does_not_wait_for_ever(void) {
    open_all(true);
    peer_tls = gv_tls_new(client, "localhost", 1, NULL, 0);
    ours_tls = gv_tls_new(server, NULL, 0, NULL, 0);
    CHECK_EQ(gv_stream_tls_start(loop, line, ours_tls, 50), 0); /* ms */
    UNTIL((events & GV_TLS_SECURED) && gv_tls_handshake(peer_tls) == GV_TLS_OK);
    CHECK(gv_stream_close(loop, line) > 0);
    UNTIL(closed_came); /* without a word from the peer */
    close_all();
}

static void closing_in_the_handshake_does_not_wait(void) {
    open_all(true);
    CHECK_EQ(
        gv_stream_tls_start(loop, line, ours_tls = gv_tls_new(server, NULL, 0, NULL, 0), LINGER),
        0);
    CHECK(gv_stream_write(loop, line, data, 100) > 0); /* which nobody will be told */
    turn(0);
    CHECK_EQ(gv_stream_close(loop, line), 0);
    UNTIL(closed_came);
    close_all();
}

static void both_say_goodbye_at_once(void) {
    open_secured(true);
    CHECK_EQ(gv_tls_shutdown(peer_tls), 0);
    CHECK(gv_stream_close(loop, line) > 0);
    peer_sends();
    UNTIL(closed_came);
    close_all();
}

static void a_goodbye_is_eof(void) {
    open_secured(true);
    peer_writes(data, 1000);
    peer_says_goodbye();
    UNTIL(eof_came);
    CHECK_EQ((int64_t) came_len, 1000);
    CHECK(!(events & (GV_TLS_FAILED | GV_TLS_ENDED)));
    CHECK(gv_stream_write(loop, line, data, 5000) > 0); /* that was only the other half */
    UNTIL(peer_came_len == 5000);
    CHECK(gv_stream_close(loop, line) > 0);
    UNTIL(closed_came && peer_said == GV_TLS_EOF);
    close_all();
}

static void an_end_without_goodbye_is_a_failure(void) {
    open_secured(true);
    peer_writes(data, 1000);
    CHECK_EQ(shutdown(peer_fd, SHUT_WR), 0);
    UNTIL(events & GV_TLS_FAILED);
    CHECK_EQ((int64_t) came_len, 1000); /* what was whole is delivered first */
    CHECK(!eof_came);
    check_failed(ours_tls, GV_TLS_TRUNCATED, "closed without a close_notify");
    CHECK_EQ(gv_stream_write(loop, line, data, 1), GV_TLS_ERROR);
    close_all();
}

static void the_peer_ends_in_the_handshake(void) {
    open_all(true);
    start_tls(client, server, true);
    CHECK_EQ(shutdown(peer_fd, SHUT_WR), 0);
    while (!(events & GV_TLS_FAILED)) {
        turn(0);
        while (next < batch)
            note(record_at(next++));
    }
    check_failed(ours_tls, GV_TLS_TRUNCATED, "closed during the handshake");
    close_all();
}

static void a_reset_breaks_the_stream(void) {
    struct linger reset = {1, 0};

    open_secured(true);
    CHECK_EQ(setsockopt(peer_fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(peer_fd);
    peer_fd = socket(AF_INET, SOCK_STREAM, 0); /* for close_line() */
    gv_tls_free(peer_tls);
    peer_tls = NULL;
    UNTIL(broken != 0);
    CHECK_EQ(broken, UV_ECONNRESET);
    CHECK(!eof_came && !(events & GV_TLS_FAILED));
    close_all();
}

static void garbage_is_answered_by_an_alert(void) {
    open_secured(true);
    peer_writes(data, 10);
    UNTIL(came_len == 10);
    send_all(peer_fd, "\x17\x03\x03\x00\x20 this is not what they agreed on", 37);
    UNTIL(events & GV_TLS_FAILED);
    CHECK(strlen(gv_tls_error(ours_tls)) > 0);
    CHECK_EQ(gv_stream_close(loop, line), 0); /* there is nothing to wait for */
    UNTIL(closed_came && peer_said == GV_TLS_ERROR);
    CHECK_EQ((int64_t) came_len, 10);
    CHECK(strstr(gv_tls_error(peer_tls), "alert") != NULL);
    close_all();
}

/* From TLS to plain, and to TLS again, with other engines. */
static void tls_is_stopped_and_started_again(bool peer_first) {
    open_secured(true);
    CHECK_EQ(gv_stream_tls_stop(loop, line), UV_EBUSY);
    CHECK(gv_stream_write(loop, line, data, 1000) > 0);
    if (peer_first) {
        peer_says_goodbye();
        UNTIL(eof_came);
        CHECK(!(events & GV_TLS_ENDED));
    }
    CHECK_EQ(gv_stream_tls_shutdown(loop, line), 0);
    CHECK_EQ(gv_stream_write(loop, line, data, 1), UV_ESHUTDOWN);
    UNTIL(peer_said == GV_TLS_EOF);
    CHECK_EQ((int64_t) peer_came_len, 1000);
    if (!peer_first) {
        CHECK_EQ(gv_stream_tls_stop(loop, line), UV_EBUSY);
        peer_says_goodbye();
    }
    UNTIL(events & GV_TLS_ENDED);
    CHECK_EQ(gv_stream_tls_stop(loop, line), 0);
    CHECK_EQ(gv_stream_tls_stop(loop, line), UV_EINVAL);
    gv_tls_free(ours_tls);
    gv_tls_free(peer_tls);
    peer_tls = NULL;

    forget();
    CHECK_EQ(gv_stream_read_start(loop, line), 0);
    send_all(peer_fd, "plain", 5);
    CHECK(gv_stream_write(loop, line, "text", 4) > 0);
    UNTIL(came_len == 5);
    CHECK(memcmp(came, "plain", 5) == 0);
    CHECK_EQ((int64_t) receive(peer_fd, peer_came, 4), 4);
    CHECK(memcmp(peer_came, "text", 4) == 0);
    set_blocking(peer_fd, true);

    forget();
    secure();
    peer_writes(data, 1000);
    UNTIL(came_len == 1000);
    CHECK(memcmp(came, data, 1000) == 0);
    close_all();
}

/* ... is no TLS any more, and waits for who goes on. */
static void what_comes_behind_the_goodbye_is_kept(void) {
    char bytes[200];
    char rest[20];
    int64_t len;

    open_secured(true);
    CHECK_EQ(gv_tls_shutdown(peer_tls), 0);
    len = gv_tls_take(peer_tls, bytes, 100);
    memcpy(bytes + len, "in plain", 8);
    send_all(peer_fd, bytes, (size_t) len + 8); /* in one piece */
    UNTIL(eof_came);
    CHECK_EQ((int64_t) came_len, 0);
    CHECK_EQ(gv_stream_tls_shutdown(loop, line), 0);
    UNTIL(events & GV_TLS_ENDED);
    CHECK_EQ(gv_tls_rest(ours_tls, rest, sizeof(rest)), 8);
    CHECK(memcmp(rest, "in plain", 8) == 0);
    CHECK_EQ(gv_stream_tls_stop(loop, line), 0);
    close_all();
}

static void misuse_is_refused(void) {
    open_all(true);
    CHECK_EQ(gv_stream_tls_start(loop, 12345, NULL, 0), UV_EBADF);
    CHECK_EQ(gv_stream_tls_start(loop, line, NULL, 0), UV_EINVAL);
    CHECK_EQ(gv_stream_tls_continue(loop, line), UV_EINVAL);
    CHECK_EQ(gv_stream_tls_shutdown(loop, line), UV_EINVAL);
    CHECK_EQ(gv_stream_tls_stop(loop, line), UV_EINVAL);
    ours_tls = gv_tls_new(server, NULL, 0, NULL, 0);
    CHECK_EQ(gv_stream_tls_start(loop, line, ours_tls, -1), UV_EINVAL);
    CHECK_EQ(gv_stream_tls_start(loop, line, ours_tls, UINT32_MAX), UV_EINVAL);
    CHECK_EQ(gv_stream_tls_start(loop, line, ours_tls, 0), 0);
    CHECK_EQ(gv_stream_tls_start(loop, line, ours_tls, 0), UV_EINVAL);
    CHECK_EQ(gv_stream_tls_shutdown(loop, line), UV_EINVAL); /* not yet */
    CHECK_EQ(gv_stream_tls_stop(loop, line), UV_EBUSY);
    CHECK_EQ(gv_stream_write_eof(loop, line), UV_EINVAL);
    CHECK(gv_stream_close(loop, line) >= 0);
    CHECK(gv_stream_tls_stop(loop, line) < 0);
    UNTIL(closed_came);
    close_all();
}

/* A loop ends with connections in each state. */
static void aborting_leaks_nothing(void) {
    int turns;

    for (turns = 0; turns < 12; turns++) {
        open_all(true);
        start_tls(client, server, (turns & 1) != 0);
        CHECK(gv_stream_lend(loop, line, data, sizeof(data)) > 0);
        let_pass(turns);
        close_all();
    }
}

int main(void) {
    cert = make_certificate(1, "localhost");
    fill(data, sizeof(data), 7);
    closing_waits_for_the_peers_goodbye(true);
    closing_waits_for_the_peers_goodbye(false);
    closing_does_not_wait_for_ever();
    closing_in_the_handshake_does_not_wait();
    both_say_goodbye_at_once();
    a_goodbye_is_eof();
    an_end_without_goodbye_is_a_failure();
    the_peer_ends_in_the_handshake();
    a_reset_breaks_the_stream();
    garbage_is_answered_by_an_alert();
    tls_is_stopped_and_started_again(false);
    tls_is_stopped_and_started_again(true);
    what_comes_behind_the_goodbye_is_kept();
    misuse_is_refused();
    aborting_leaks_nothing();
    free_certificate(&cert);
    return 0;
}
