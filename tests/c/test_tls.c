/* The TLS engine alone: two of them coupled in memory. */
#include "engines.h"

#include "csrc/tls_facts.h"

enum { BYTES = 100000 };

static const int VERSIONS[] = {TLS_1_2, TLS_1_3};
static certificate ours, theirs, forged;
static gv_tls_ctx *server, *client;
static char data[BYTES + 1]; /* and a NUL */

static void open_contexts(int version) {
    server = serving(&ours);
    client = trusting(&ours);
    only(server, version);
}

static void close_contexts(void) {
    gv_tls_ctx_free(server);
    gv_tls_ctx_free(client);
    CHECK_EQ(gv_tls_live(), 0);
}

static void nothing_is_read_or_written_before_the_handshake(void) {
    pair both = couple(client, server);
    char byte = 'x';

    CHECK_EQ(clean(gv_tls_read(both.client, &byte, 1)), GV_TLS_WANT_READ);
    CHECK_EQ(clean(gv_tls_write(both.client, &byte, 1)), GV_TLS_WANT_READ);
    CHECK_EQ(clean(gv_tls_shutdown(both.client)), GV_TLS_WANT_READ);
    CHECK_EQ(gv_tls_out(both.client), 0);
    CHECK(gv_tls_version(both.client) == NULL && gv_tls_cipher(both.client) == NULL);
    connect_both(&both, WHOLE);
    CHECK(gv_tls_version(both.client) != NULL && gv_tls_cipher(both.server) != NULL);
    part(&both);
}

/* The engines cannot tell how the bytes between them are cut. */
static void bytes_come_in_pieces(size_t piece) {
    pair both = couple(client, server);
    size_t len = piece == 1 ? 20000 : BYTES;

    connect_both(&both, piece);
    write_all(both.client, data, len);
    pass_on(both.client, both.server, piece, stand);
    CHECK_EQ(read_all(both.server, data, len), GV_TLS_WANT_READ);
    write_all(both.server, data, len);
    pass_on(both.server, both.client, piece, stand);
    CHECK_EQ(read_all(both.client, data, len), GV_TLS_WANT_READ);
    CHECK_EQ(gv_tls_in(both.client) + gv_tls_in(both.server), 0);
    part(&both);
}

static void bytes_come_one_at_a_time_and_are_read_as_they_come(void) {
    pair both = couple(client, server);
    char got[300];
    int64_t len = 0;
    char byte;

    connect_both(&both, 1);
    write_all(both.client, data, sizeof(got));
    while (gv_tls_take(both.client, &byte, 1) == 1) {
        int64_t n;

        CHECK_EQ(gv_tls_feed(both.server, &byte, 1), 0);
        while ((n = clean(gv_tls_read(both.server, got + len, 7))) > 0)
            len += n;
        CHECK_EQ(n, GV_TLS_WANT_READ);
    }
    CHECK_EQ(len, sizeof(got));
    CHECK(memcmp(got, data, sizeof(got)) == 0);
    part(&both);
}

static void the_handshake_is_cut_at_random(void) {
    unsigned seed;

    for (seed = 1; seed <= 20; seed++) {
        pair both = couple(client, server);
        unsigned state = seed;
        char piece[400];
        int64_t n = 1;

        shake(both.client);
        while (n > 0) {
            state = state * 1103515245u + 12345u;
            n = gv_tls_take(both.client, piece, 1 + (state >> 16) % sizeof(piece));
            CHECK_EQ(gv_tls_feed(both.server, piece, n), 0);
            shake(both.server);
            n += pass_on(both.server, both.client, 1 + state % 50, shake);
        }
        CHECK_EQ(clean(gv_tls_handshake(both.server)), 0);
        talk(both.client, both.server, data, 1000);
        part(&both);
    }
}

static void either_says_close_notify(void) {
    pair both = couple(client, server);

    connect_both(&both, WHOLE);
    write_all(both.client, data, 100);
    CHECK_EQ(clean(gv_tls_shutdown(both.client)), 0);
    CHECK_EQ(clean(gv_tls_shutdown(both.client)), 0); /* twice is once */
    pass_on(both.client, both.server, WHOLE, stand);
    CHECK_EQ(read_all(both.server, data, 100), GV_TLS_EOF);
    CHECK_EQ(gv_tls_eof(both.server), 0);
    talk(both.server, both.client, data, 5000); /* the other way is open */
    CHECK_EQ(clean(gv_tls_shutdown(both.server)), 0);
    pass_on(both.server, both.client, WHOLE, stand);
    CHECK_EQ(read_all(both.client, data, 0), GV_TLS_EOF);
    CHECK_EQ(read_all(both.client, data, 0), GV_TLS_EOF);
    CHECK_EQ(gv_tls_eof(both.client), 0);
    part(&both);
}

static void what_comes_behind_close_notify_is_the_rest(void) {
    pair both = couple(client, server);
    char rest[20];

    connect_both(&both, WHOLE);
    CHECK_EQ(clean(gv_tls_shutdown(both.client)), 0);
    pass_on(both.client, both.server, 3, stand);
    CHECK_EQ(gv_tls_feed(both.server, "not for TLS", 11), 0);
    CHECK_EQ(read_all(both.server, data, 0), GV_TLS_EOF);
    CHECK_EQ(gv_tls_in(both.server), 11);
    CHECK_EQ(gv_tls_rest(both.server, rest, sizeof(rest)), 11);
    CHECK(memcmp(rest, "not for TLS", 11) == 0);
    CHECK_EQ(gv_tls_rest(both.server, rest, sizeof(rest)), 0);
    part(&both);
}

static void an_end_without_close_notify_is_a_truncation(void) {
    pair both = couple(client, server);
    pair early = couple(client, server);

    connect_both(&both, WHOLE);
    talk(both.client, both.server, data, 100);
    CHECK_EQ(gv_tls_eof(both.server), GV_TLS_ERROR);
    check_failed(both.server, GV_TLS_TRUNCATED, "closed without a close_notify");
    CHECK_EQ(gv_tls_eof(early.client), GV_TLS_ERROR);
    check_failed(early.client, GV_TLS_TRUNCATED, "closed during the handshake");
    part(&both);
    part(&early);
}

/* Whether the handshake is not done when its peer ends after `count` bytes. */
static bool is_cut(size_t count, bool serves) {
    pair both = couple(client, server);
    gv_tls *here = serves ? both.server : both.client;
    gv_tls *peer = serves ? both.client : both.server;
    char piece[5000];
    bool cut = false;

    CHECK(count < sizeof(piece));
    while (!cut && gv_tls_handshake(here) == GV_TLS_WANT_READ) {
        int64_t n;

        pass_on(here, peer, WHOLE, stand);
        shake(peer);
        n = gv_tls_take(peer, piece, (int64_t) count);
        count -= (size_t) n;
        CHECK_EQ(gv_tls_feed(here, piece, n), 0);
        shake(here);
        cut = count == 0 && gv_tls_out(peer) > 0;
    }
    if (cut) {
        CHECK_EQ(gv_tls_eof(here), GV_TLS_ERROR);
        check_failed(here, GV_TLS_TRUNCATED, "closed during the handshake");
    }
    part(&both);
    return cut;
}

static void a_handshake_is_cut_after_each_byte(bool serves) {
    size_t count = 0;

    while (is_cut(count, serves))
        count += 3;
    CHECK(count > 200);
}

static void fail_with(gv_tls *tls, const char *bytes, size_t len, gv_tls_why why,
                      const char *text) {
    CHECK_EQ(gv_tls_feed(tls, bytes, (int64_t) len), 0);
    CHECK_EQ(clean(gv_tls_handshake(tls)), GV_TLS_ERROR);
    check_failed(tls, why, text);
}

static void errors_say_what_they_are(void) {
    pair garbage = couple(client, server);
    pair http = couple(client, server);

    fail_with(garbage.server, "\x16\x03\x01\x00\x04\xff\xff\xff\xff", 9, GV_TLS_PROTOCOL, "");
    CHECK(gv_tls_out(garbage.server) > 0); /* the peer is told */
    fail_with(garbage.client, "garbage!", 8, GV_TLS_PROTOCOL, "wrong version number");
    fail_with(http.server, "GET / HTTP/1.1\r\n", 16, GV_TLS_HTTP, "a request in plain HTTP");
    part(&garbage);
    part(&http);
}

static void a_changed_record_is_noticed(void) {
    pair both = couple(client, server);
    char record[200];
    int64_t len;

    connect_both(&both, WHOLE);
    write_all(both.client, data, 100);
    len = gv_tls_take(both.client, record, sizeof(record));
    CHECK(len > 100);
    record[len / 2] ^= 1;
    CHECK_EQ(gv_tls_feed(both.server, record, len), 0);
    CHECK_EQ(clean(gv_tls_read(both.server, record, sizeof(record))), GV_TLS_ERROR);
    check_failed(both.server, GV_TLS_PROTOCOL, "decryption failed or bad record mac");
    part(&both);
}

/* OpenSSL keeps its errors for each thread, not for each connection. */
static void errors_do_not_leak_into_other_connections(void) {
    pair well = couple(client, server);
    pair ill = couple(client, server);
    char byte;

    connect_both(&well, WHOLE);
    fail_with(ill.server, "\x16\x03\x01\x00\x04\xff\xff\xff\xff", 9, GV_TLS_PROTOCOL, "");
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH); /* as some other library might leave it */
    CHECK_EQ(gv_tls_read(well.client, &byte, 1), GV_TLS_WANT_READ);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    CHECK_EQ(gv_tls_write(well.client, "x", 1), 1);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    CHECK_EQ(gv_tls_handshake(well.server), 0);
    pass_on(well.client, well.server, WHOLE, stand);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    CHECK_EQ(gv_tls_read(well.server, &byte, 1), 1);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    CHECK_EQ(gv_tls_shutdown(well.server), 0);
    ERR_clear_error();
    CHECK(strcmp(gv_tls_error(well.server), "") == 0);
    part(&well);
    part(&ill);
}

static void certificates_are_verified(void) {
    gv_tls_ctx *other = serving(&theirs);
    gv_tls_ctx *forger = serving(&forged);
    pair stranger = couple(client, other);
    pair forgery = couple(client, forger);
    pair wrong = {gv_tls_new(client, "elsewhere", 1, NULL, 0),
                  gv_tls_new(server, NULL, 0, NULL, 0)};
    pair address = {gv_tls_new(client, "127.0.0.1", 1, NULL, 0),
                    gv_tls_new(server, NULL, 0, NULL, 0)};

    shake_hands(&stranger, WHOLE);
    check_failed(stranger.client, GV_TLS_CERTIFICATE, "certificate verify failed: ");
    shake_hands(&forgery, WHOLE); /* where the signature's failure is the first error of all */
    check_failed(forgery.client, GV_TLS_CERTIFICATE, "certificate signature failure");
    shake_hands(&wrong, WHOLE);
    check_failed(wrong.client, GV_TLS_CERTIFICATE, "hostname mismatch");
    connect_both(&address, WHOLE);
    CHECK(gv_tls_new(client, "", 1, NULL, 0) == NULL);
    CHECK(gv_tls_new(client, ".", 1, NULL, 0) == NULL);
    CHECK(gv_tls_new(client, data + BYTES - 300, 1, NULL, 0) == NULL); /* longer than any name */
    part(&stranger);
    part(&forgery);
    part(&wrong);
    part(&address);
    gv_tls_ctx_free(other);
    gv_tls_ctx_free(forger);
}

static void check_certificate(const gv_tls *tls, const certificate *wanted) {
    unsigned char der[2000];
    int64_t len = gv_tls_certificate(tls, 0, der, sizeof(der));
    const unsigned char *at = der;
    BIO *bio = BIO_new_mem_buf(wanted->chain, (int) wanted->chain_len);
    X509 *cert = d2i_X509(NULL, &at, (long) len);
    X509 *other = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    CHECK(cert != NULL && other != NULL && X509_cmp(cert, other) == 0);
    X509_free(cert);
    X509_free(other);
    BIO_free(bio);
}

static void a_hello_is_answered_by_whom_it_asks_for(size_t piece) {
    gv_tls_ctx *asked = serving(&theirs);
    gv_tls_ctx *trusts = trusting(&ours);
    pair both;

    gv_tls_ctx_ask(asked, 1);
    both = couple(trusts, asked);
    shake_hands(&both, piece);
    CHECK(gv_tls_name(both.server) != NULL && strcmp(gv_tls_name(both.server), "localhost") == 0);
    CHECK_EQ(gv_tls_out(both.server), 0); /* it waits for us */
    CHECK_EQ(clean(gv_tls_use(both.server, server)), 0);
    connect_both(&both, piece);
    check_certificate(both.client, &ours);
    talk(both.server, both.client, data, 1000);
    part(&both);

    both.client = gv_tls_new(trusts, "127.0.0.1", 1, NULL, 0);
    both.server = gv_tls_new(asked, NULL, 0, NULL, 0);
    shake(both.client);
    pass_on(both.client, both.server, WHOLE, stand);
    CHECK_EQ(clean(gv_tls_handshake(both.server)), GV_TLS_HELLO);
    CHECK(gv_tls_name(both.server) == NULL); /* an address is no name */
    shake_hands(&both, piece);               /* and it goes on as it is */
    check_failed(both.client, GV_TLS_CERTIFICATE, "certificate verify failed: ");
    part(&both);
    gv_tls_ctx_free(asked);
    gv_tls_ctx_free(trusts);
}

static void protocols_are_agreed_on(void) {
    const unsigned char *protocol;
    pair both;

    CHECK_EQ(gv_tls_ctx_alpn(server, (const unsigned char *) "\x02h2\x04http", 8), 0);
    CHECK_EQ(gv_tls_ctx_alpn(client, (const unsigned char *) "\x04http\x04spam", 10), 0);
    both = couple(client, server);
    connect_both(&both, WHOLE);
    CHECK_EQ(gv_tls_alpn(both.client, &protocol), 4);
    CHECK(memcmp(protocol, "http", 4) == 0);
    CHECK_EQ(gv_tls_alpn(both.server, &protocol), 4);
    part(&both);
    CHECK_EQ(gv_tls_ctx_alpn(client, (const unsigned char *) "\x04spam", 5), 0);
    both = couple(client, server);
    shake_hands(&both, WHOLE);
    check_failed(both.server, GV_TLS_PROTOCOL, "no application protocol");
    check_failed(both.client, GV_TLS_PROTOCOL, "no application protocol");
    part(&both);
}

static int64_t session_of(pair *both, unsigned char *session, int64_t size) {
    int64_t len;

    talk(both->server, both->client, data, 1); /* TLS 1.3 sends it behind the handshake */
    len = gv_tls_session(both->client, session, size);
    CHECK(len > 0 && len <= size);
    CHECK_EQ(gv_tls_session(both->client, session, size), 0); /* once */
    return len;
}

static int resumes(const unsigned char *session, int64_t len, gv_tls_ctx *with) {
    pair both = {gv_tls_new(client, "localhost", 1, session, len),
                 gv_tls_new(with, NULL, 0, NULL, 0)};
    int resumed;

    connect_both(&both, WHOLE);
    resumed = gv_tls_resumed(both.client);
    CHECK_EQ(gv_tls_resumed(both.server), resumed);
    talk(both.client, both.server, data, 100);
    part(&both);
    return resumed;
}

static void sessions_are_resumed(void) {
    unsigned char session[5000];
    gv_tls_ctx *other = serving(&ours);
    pair both = couple(client, server);
    int64_t len;

    connect_both(&both, WHOLE);
    len = session_of(&both, session, sizeof(session));
    part(&both);
    CHECK_EQ(resumes(session, len, server), 1);
    CHECK_EQ(resumes(session, len, other), 0); /* which has other keys */
    CHECK_EQ(resumes((const unsigned char *) data, 100, server), 0);
    session[len - 1] ^= 1; /* whatever that is */
    resumes(session, len, server);
    gv_tls_ctx_free(other);
}

int main(void) {
    static const size_t PIECES[] = {1, 2, 3, 5, 100, 1000, WHOLE};
    size_t i, j;

    ours = make_certificate(1, "localhost");
    theirs = make_certificate(2, "localhost");
    forged = make_certificate(3, "somebody");
    for (i = 0; i < BYTES; i++)
        data[i] = (char) (i % 251 + 1);
    for (i = 0; i < 2; i++) {
        open_contexts(VERSIONS[i]);
        nothing_is_read_or_written_before_the_handshake();
        for (j = 0; j < sizeof(PIECES) / sizeof(*PIECES); j++) {
            bytes_come_in_pieces(PIECES[j]);
            a_hello_is_answered_by_whom_it_asks_for(PIECES[j]);
        }
        bytes_come_one_at_a_time_and_are_read_as_they_come();
        the_handshake_is_cut_at_random();
        either_says_close_notify();
        what_comes_behind_close_notify_is_the_rest();
        an_end_without_close_notify_is_a_truncation();
        a_handshake_is_cut_after_each_byte(true);
        a_handshake_is_cut_after_each_byte(false);
        errors_say_what_they_are();
        a_changed_record_is_noticed();
        errors_do_not_leak_into_other_connections();
        certificates_are_verified();
        sessions_are_resumed();
        protocols_are_agreed_on(); /* last: it changes the contexts */
        close_contexts();
    }
    free_certificate(&ours);
    free_certificate(&theirs);
    free_certificate(&forged);
    return 0;
}
