/* TLS below a stream, over sockets: data both ways, back-pressure, and every way to end. */
#include "tlsline.h"

static certificate cert;
static gv_tls_ctx *server, *client;
static char data[LINE_BYTES];

static void open_all(int version, bool tcp) {
    open_loop(256, PLENTY, 65536);
    server = serving(&cert);
    client = trusting(&cert);
    only(server, version);
    open_line(tcp);
}

static void close_all(void) {
    close_line();
    gv_tls_ctx_free(server);
    gv_tls_ctx_free(client);
    close_loop();
    CHECK_EQ(gv_tls_live(), 0);
}

static void secure(bool serves) {
    start_tls(client, server, serves);
    UNTIL((events & GV_TLS_SECURED) && gv_tls_handshake(peer_tls) == GV_TLS_OK);
    CHECK(!(events & GV_TLS_FAILED));
}

static void open_secured(int version, bool tcp, bool serves) {
    open_all(version, tcp);
    secure(serves);
}

static bool same(const char *got, size_t got_len, size_t len) {
    return got_len == len && memcmp(got, data, len) == 0;
}

static void both_roles_talk_both_ways(int version, bool tcp, bool serves) {
    static const size_t SIZES[] = {1, 100, 16384, 16385, 100000};
    size_t i, j;

    open_secured(version, tcp, serves);
    CHECK_EQ(gv_stream_read_start(loop, line), 0);
    for (i = 0; i < sizeof(SIZES) / sizeof(*SIZES); i++) {
        came_len = peer_came_len = 0;
        peer_writes(data, SIZES[i]);
        for (j = 0; j < SIZES[i]; j += 1000) {
            size_t len = SIZES[i] - j < 1000 ? SIZES[i] - j : 1000;

            CHECK(gv_stream_write(loop, line, data + j, (int64_t) len) > 0);
        }
        UNTIL(came_len == SIZES[i] && peer_came_len == SIZES[i]);
        CHECK(same(came, came_len, SIZES[i]) && same(peer_came, peer_came_len, SIZES[i]));
    }
    close_all();
}

/* What is written before the handshake is encrypted, what was written before TLS is not. */
static void what_is_written_early_waits_for_the_handshake(void) {
    char plain[5];

    open_all(TLS_1_3, true);
    CHECK(gv_stream_write(loop, line, "plain", 5) > 0);
    start_tls(client, server, false);
    CHECK(gv_stream_write(loop, line, data, 5000) > 0);
    CHECK_EQ((int64_t) receive(peer_fd, plain, 5), 5);
    CHECK(memcmp(plain, "plain", 5) == 0);
    UNTIL(peer_came_len == 5000);
    CHECK(same(peer_came, peer_came_len, 5000));
    close_all();
}

/* Else the kernel would take megabytes. */
static void narrow(int from, int to) {
    set_size(from, SO_SNDBUF, 65536);
    set_size(to, SO_RCVBUF, 65536);
}

static void a_writer_waits_for_its_peer(void) {
    int64_t backlog;

    open_secured(TLS_1_3, true, true);
    narrow(gv_handle_fileno(loop, line), peer_fd);
    CHECK_EQ(gv_stream_watermarks(loop, line, 65536, 16384), 0);
    peer_reads = false;
    CHECK(gv_stream_lend(loop, line, data, LINE_BYTES) > 65536);
    let_pass(200);
    backlog = gv_stream_pending(loop, line);
    CHECK(backlog > 65536); /* what the kernel did not take waits with us, and is not encrypted */
    let_pass(50);
    CHECK_EQ(gv_stream_pending(loop, line), backlog);
    CHECK_EQ(drains, 0);
    CHECK_EQ(written, 0);
    peer_reads = true;
    UNTIL(peer_came_len == LINE_BYTES);
    CHECK(same(peer_came, peer_came_len, LINE_BYTES));
    UNTIL(drains > 0 && written > 0);
    CHECK_EQ(drains, 1);
    CHECK_EQ(written, 1);
    CHECK_EQ(gv_stream_pending(loop, line), 0);
    close_all();
}

static void a_large_write_with_nothing_before_it_leaves_at_once(int version) {
    int64_t small;

    open_secured(version, true, true);
    CHECK_EQ(gv_stream_lend(loop, line, data, 100000), 0);
    CHECK_EQ(gv_stream_write(loop, line, data + 100000, GV_TRY_SIZE), 0);
    small = gv_stream_write(loop, line, data + 100000 + GV_TRY_SIZE, 100);
    CHECK_EQ(small, 100);
    CHECK(gv_stream_lend(loop, line, data + 100100 + GV_TRY_SIZE, 20000) > 20000);
    UNTIL(peer_came_len == 120100 + GV_TRY_SIZE);
    CHECK(same(peer_came, peer_came_len, 120100 + GV_TRY_SIZE));
    UNTIL(written > 0);
    CHECK_EQ(written, 1); /* what was all sent at once was not lent for longer than the call */
    close_all();
}

static void what_was_encrypted_is_lent_no_more(void) {
    size_t sent = 0;

    open_secured(TLS_1_3, true, true);
    narrow(gv_handle_fileno(loop, line), peer_fd);
    CHECK_EQ(gv_stream_watermarks(loop, line, 10, 0), 0);
    peer_reads = false;
    do {
        sent += 50000;
        CHECK(sent < LINE_BYTES);
    } while (gv_stream_lend(loop, line, data + sent - 50000, 50000) == 0);
    UNTIL(written == 1); /* though the peer has not taken it */
    CHECK(gv_stream_pending(loop, line) > 0);
    CHECK_EQ(drains, 0);
    peer_reads = true;
    UNTIL(peer_came_len == sent && drains == 1);
    CHECK(same(peer_came, peer_came_len, sent));
    CHECK_EQ(written, 1);
    close_all();
}

static void what_the_peer_said_last_comes_before_the_error(void) {
    open_secured(TLS_1_3, true, true);
    CHECK_EQ(gv_stream_watermarks(loop, line, 1000, 0), 0);
    CHECK_EQ(gv_stream_read_start(loop, line), 0);
    peer_reads = false;
    CHECK(gv_stream_write(loop, line, data, 10) > 0);
    turn(0);
    peer_writes(data, 1000);
    close(peer_fd); /* with what it did not read: that resets */
    CHECK_EQ(gv_stream_lend(loop, line, data, 100000), 1001); /* nobody was told yet */
    peer_fd = -1;
    gv_tls_free(peer_tls);
    peer_tls = NULL;
    UNTIL(broken != 0);
    CHECK_EQ(broken, UV_ECONNRESET);
    CHECK(same(came, came_len, 1000));
    close_all();
}

/* Who does not read has the peer wait. */
static void a_reader_has_its_peer_wait(void) {
    size_t sent = 0;
    char bytes[20000];
    size_t before;

    open_secured(TLS_1_3, true, true);
    narrow(peer_fd, gv_handle_fileno(loop, line));
    CHECK_EQ(gv_stream_read_stop(loop, line), 0);
    let_pass(3);
    before = came_len;
    for (;;) { /* until neither kernel has room */
        int64_t len;

        write_all(peer_tls, data + sent, 1000);
        len = gv_tls_take(peer_tls, bytes, sizeof(bytes));
        if (send(peer_fd, bytes, (size_t) len, MSG_DONTWAIT | MSG_NOSIGNAL) < len)
            break; /* a part of a record may be lost, so this line is done with */
        sent += 1000;
        CHECK(sent < LINE_BYTES - 1000);
        turn(0);
        CHECK_EQ(count(line, GV_DATA), 0);
    }
    CHECK_EQ((int64_t) came_len, (int64_t) before);
    CHECK_EQ(gv_stream_read_start(loop, line), 0);
    gv_tls_free(peer_tls);
    peer_tls = NULL;
    UNTIL(came_len == sent);
    CHECK(same(came, came_len, sent));
    close_all();
}

static void much_is_sent_both_ways_at_once(int64_t ring, int64_t arena) {
    enum { PIECE = 65536 };
    size_t sent = 0;
    size_t peer_sent = 0;
    int64_t lent = 0;

    open_loop(ring, arena, 65536);
    server = serving(&cert);
    client = trusting(&cert);
    open_line(true);
    secure(true);
    CHECK_EQ(gv_stream_read_start(loop, line), 0);
    while (peer_sent < LINE_BYTES) {
        if (sent < LINE_BYTES && gv_stream_pending(loop, line) < 4 * PIECE) {
            lent += gv_stream_lend(loop, line, data + sent, PIECE) > 0;
            sent += PIECE;
        }
        peer_writes(data + peer_sent, PIECE);
        peer_sent += PIECE;
        step_both();
    }
    while (sent < LINE_BYTES) {
        lent += gv_stream_lend(loop, line, data + sent, PIECE) > 0;
        sent += PIECE;
    }
    UNTIL(came_len == LINE_BYTES && peer_came_len == LINE_BYTES);
    CHECK(same(came, came_len, LINE_BYTES) && same(peer_came, peer_came_len, LINE_BYTES));
    UNTIL(written == lent);
    close_all();
}

static void a_message_of_64_kib_takes_one_read(void) {
    open_loop(256, PLENTY, 262144);
    server = serving(&cert);
    client = trusting(&cert);
    open_line(false); /* a Unix socket takes all of it at once */
    secure(true);
    CHECK_EQ(gv_stream_read_start(loop, line), 0);
    peer_writes(data, 65536); /* four records, which are a little more */
    CHECK_EQ(await(line, GV_DATA).b, 65536);
    close_all();
}

static void a_registered_buffer_is_decrypted_into(void) {
    char into[300];
    record found;

    open_secured(TLS_1_3, true, false);
    CHECK_EQ(gv_stream_read_into(loop, line, into, sizeof(into)), 0);
    CHECK_EQ(gv_stream_read_start(loop, line), 0);
    peer_writes(data, 1000); /* one record, of which the rest waits in the engine */
    found = await(line, GV_READ_INTO);
    CHECK_EQ(found.a, sizeof(into));
    CHECK(memcmp(into, data, sizeof(into)) == 0);
    UNTIL(came_len == 700);
    CHECK(memcmp(came, data + 300, 700) == 0);
    close_all();
}

static void a_hello_is_answered_when_python_has_chosen(void) {
    open_all(TLS_1_3, true);
    gv_tls_ctx_ask(server, 1);
    start_tls(client, server, true);
    UNTIL(events & GV_TLS_ASKED);
    let_pass(50);
    CHECK(!(events & (GV_TLS_SECURED | GV_TLS_FAILED)));
    CHECK(strcmp(gv_tls_name(ours_tls), "localhost") == 0);
    CHECK_EQ(gv_tls_use(ours_tls, server), 0);
    CHECK_EQ(gv_stream_tls_continue(loop, line), 0);
    UNTIL(events & GV_TLS_SECURED);
    CHECK_EQ(gv_stream_read_start(loop, line), 0);
    UNTIL(gv_tls_handshake(peer_tls) == GV_TLS_OK);
    peer_writes(data, 100);
    UNTIL(came_len == 100);
    close_all();
}

static void tickets_are_reported(void) {
    unsigned char session[5000];

    open_secured(TLS_1_3, true, false);
    CHECK_EQ(gv_stream_read_start(loop, line), 0);
    UNTIL(events & GV_TLS_TICKETS);
    CHECK(gv_tls_session(ours_tls, session, sizeof(session)) > 0);
    close_all();
}

static int put_on_weight(SSL *ssl, void *unused) {
    (void) unused;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), data, 3000);
}

/* OpenSSL writes nothing while it has a part of a message. */
static void a_writer_waits_for_the_rest_of_a_ticket(void) {
    char bytes[8000];
    int64_t len;

    open_secured(TLS_1_3, false, false); /* a Unix socket, which delays nothing */
    CHECK_EQ(SSL_CTX_set_session_ticket_cb(server->ssl, put_on_weight, NULL, NULL), 1);
    CHECK_EQ(SSL_set_max_send_fragment(peer_tls->ssl, 512), 1);
    CHECK_EQ(gv_stream_read_start(loop, line), 0);
    CHECK_EQ(SSL_new_session_ticket(peer_tls->ssl), 1);
    CHECK_EQ(SSL_do_handshake(peer_tls->ssl), 1);
    len = gv_tls_take(peer_tls, bytes, sizeof(bytes));
    CHECK(len > 3000);
    send_all(peer_fd, bytes, 600); /* one record of several, and a part */
    let_pass(5);
    CHECK(gv_stream_write(loop, line, data, 1000) > 0);
    let_pass(5);
    CHECK_EQ((int64_t) peer_came_len, 0);
    CHECK_EQ(gv_stream_tls_shutdown(loop, line), 0);
    send_all(peer_fd, bytes + 600, (size_t) len - 600);
    UNTIL(peer_said == GV_TLS_EOF);
    CHECK(same(peer_came, peer_came_len, 1000));
    CHECK(!(events & GV_TLS_FAILED));
    close_all();
}

int main(void) {
    int i;

    cert = make_certificate(1, "localhost");
    fill(data, sizeof(data), 7);
    for (i = 0; i < 8; i++)
        both_roles_talk_both_ways(i & 1 ? TLS_1_2 : TLS_1_3, (i & 2) != 0, (i & 4) != 0);
    what_is_written_early_waits_for_the_handshake();
    a_writer_waits_for_its_peer();
    a_large_write_with_nothing_before_it_leaves_at_once(TLS_1_3);
    a_large_write_with_nothing_before_it_leaves_at_once(TLS_1_2);
    what_was_encrypted_is_lent_no_more();
    what_the_peer_said_last_comes_before_the_error();
    a_reader_has_its_peer_wait();
    much_is_sent_both_ways_at_once(256, PLENTY);
    much_is_sent_both_ways_at_once(2, 8192);
    a_message_of_64_kib_takes_one_read();
    a_registered_buffer_is_decrypted_into();
    a_hello_is_answered_when_python_has_chosen();
    tickets_are_reported();
    a_writer_waits_for_the_rest_of_a_ticket();
    free_certificate(&cert);
    return 0;
}
