/* Peers that send for ever what brings no data: the TLS engine gives up on them. */
#include "engines.h"

#include "csrc/tls_facts.h"

static certificate ours;
static gv_tls_ctx *server, *client;

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

static void update_keys(gv_tls *tls, int kind) {
    CHECK_EQ(SSL_key_update(tls->ssl, kind), 1);
    CHECK_EQ(SSL_do_handshake(tls->ssl), 1);
}

static int64_t read_one(gv_tls *tls) {
    char byte;

    return clean(gv_tls_read(tls, &byte, 1));
}

/* Key updates, in a row until the engine has had enough. Returns how many. */
static int count_updates(gv_tls *from, gv_tls *to, int kind) {
    int count = 0;

    while (count < 10000) {
        int64_t said;

        update_keys(from, kind);
        count++;
        pass_on(from, to, WHOLE, stand);
        said = read_one(to);
        if (said == GV_TLS_ERROR)
            break;
        CHECK_EQ(said, GV_TLS_WANT_READ);
        pass_on(to, from, WHOLE, stand);
        CHECK_EQ(read_one(from), GV_TLS_WANT_READ);
    }
    return count;
}

static void key_updates_without_data_are_bounded(void) {
    static const int KINDS[] = {SSL_KEY_UPDATE_NOT_REQUESTED, SSL_KEY_UPDATE_REQUESTED};
    int i;

    open_contexts(TLS_1_3);
    for (i = 0; i < 4; i++) {
        pair both = couple(client, server);
        gv_tls *from = i < 2 ? both.client : both.server;
        gv_tls *to = i < 2 ? both.server : both.client;

        connect_both(&both, WHOLE);
        talk(both.server, both.client, "x", 1); /* with the tickets of the handshake */
        CHECK(count_updates(from, to, KINDS[i % 2]) <= GV_TLS_IDLE_MESSAGES + 1);
        check_failed(to, GV_TLS_PROTOCOL, "too many messages without data");
        part(&both);
    }
    close_contexts();
}

static void key_updates_with_data_are_not(void) {
    pair both;
    int i;

    open_contexts(TLS_1_3);
    both = couple(client, server);
    connect_both(&both, WHOLE);
    for (i = 0; i < 1000; i++) {
        update_keys(both.client, SSL_KEY_UPDATE_REQUESTED);
        talk(both.client, both.server, "data", 4);
        talk(both.server, both.client, "more", 4);
    }
    part(&both);
    close_contexts();
}

static void answers_that_are_not_taken_are(void) {
    pair both;
    int64_t said = 1;
    int count = 0;

    open_contexts(TLS_1_3);
    both = couple(client, server);
    connect_both(&both, WHOLE);
    while (said == 1 && count < 10000) {
        update_keys(both.client, SSL_KEY_UPDATE_REQUESTED);
        CHECK_EQ(gv_tls_write(both.client, "x", 1), 1);
        pass_on(both.client, both.server, WHOLE, stand);
        said = read_one(both.server);
        count++;
    }
    CHECK(gv_tls_out(both.server) < 2 * GV_TLS_ANSWERS);
    check_failed(both.server, GV_TLS_PROTOCOL, "too many messages whose answers are not taken");
    part(&both);
    close_contexts();
}

static void tickets_are_bounded(void) {
    pair both;
    int64_t said = 0;
    int count = 0;

    open_contexts(TLS_1_3);
    both = couple(client, server);
    connect_both(&both, WHOLE);
    while (said != GV_TLS_ERROR && count < 1000) {
        CHECK_EQ(SSL_new_session_ticket(both.server->ssl), 1);
        CHECK_EQ(SSL_do_handshake(both.server->ssl), 1);
        count++;
        pass_on(both.server, both.client, WHOLE, stand);
        said = read_one(both.client);
    }
    CHECK(count <= GV_TLS_IDLE_MESSAGES);
    check_failed(both.client, GV_TLS_PROTOCOL, "too many messages without data");
    part(&both);
    close_contexts();
}

/* Each of them is answered, in TLS 1.2, by an alert that says no. */
static void hello_requests_are_bounded(void) {
    pair both;
    int64_t said = 0;
    int count = 0;

    open_contexts(TLS_1_2);
    both = couple(client, server);
    connect_both(&both, WHOLE);
    SSL_clear_options(both.server->ssl, SSL_OP_NO_RENEGOTIATION);
    while (said != GV_TLS_ERROR && count < 1000) {
        CHECK_EQ(SSL_renegotiate(both.server->ssl), 1);
        CHECK_EQ(SSL_do_handshake(both.server->ssl), 1);
        count++;
        pass_on(both.server, both.client, WHOLE, stand);
        said = read_one(both.client);
    }
    CHECK(count <= GV_TLS_IDLE_MESSAGES + 1);
    check_failed(both.client, GV_TLS_PROTOCOL, "");
    CHECK(gv_tls_out(both.client) < 4096);
    part(&both);
    close_contexts();
}

/* OpenSSL skips a HelloRequest before the ServerHello, and the next, and the next ... */
static void a_handshake_that_does_not_end_is_bounded(void) {
    static const char REQUEST[] = "\x16\x03\x03\x00\x04\x00\x00\x00\x00";
    pair both;
    int64_t said = GV_TLS_WANT_READ;
    int64_t fed = 0;

    open_contexts(TLS_1_2);
    both = couple(client, server);
    shake(both.client);
    while (said == GV_TLS_WANT_READ && fed < 4 * GV_TLS_HANDSHAKE_MAX) {
        CHECK_EQ(gv_tls_feed(both.client, REQUEST, sizeof(REQUEST) - 1), 0);
        fed += (int64_t) sizeof(REQUEST) - 1;
        said = clean(gv_tls_handshake(both.client));
    }
    check_failed(both.client, GV_TLS_PROTOCOL, "too many bytes in the handshake");
    CHECK(fed < GV_TLS_HANDSHAKE_MAX + 100);
    part(&both);
    close_contexts();
}

static int put_on_weight(SSL *ssl, void *unused) {
    static const char WEIGHT[3000];

    (void) unused;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), WEIGHT, sizeof(WEIGHT));
}

/* OpenSSL writes nothing while it has a part of a message. */
static void a_ticket_in_several_records_makes_writers_wait(void) {
    char record[600];
    pair both;

    open_contexts(TLS_1_3);
    CHECK_EQ(SSL_CTX_set_session_ticket_cb(server->ssl, put_on_weight, NULL, NULL), 1);
    CHECK_EQ(SSL_CTX_set_max_send_fragment(server->ssl, 512), 1);
    both = couple(client, server);
    while (gv_tls_handshake(both.server) != GV_TLS_OK) {
        shake(both.client);
        pass_on(both.client, both.server, WHOLE, shake);
        if (gv_tls_handshake(both.client) != GV_TLS_OK)
            pass_on(both.server, both.client, WHOLE, stand);
    }
    CHECK(gv_tls_out(both.server) > 3000);
    CHECK_EQ(gv_tls_feed(both.client, record, gv_tls_take(both.server, record, 540)), 0);
    CHECK_EQ(read_one(both.client), GV_TLS_WANT_READ);
    CHECK_EQ(clean(gv_tls_write(both.client, "x", 1)), GV_TLS_WANT_READ);
    CHECK_EQ(clean(gv_tls_shutdown(both.client)), GV_TLS_WANT_READ);
    CHECK(gv_tls_version(both.client) != NULL);
    pass_on(both.server, both.client, WHOLE, stand);
    CHECK_EQ(read_one(both.client), GV_TLS_WANT_READ);
    talk(both.client, both.server, "data", 4);
    talk(both.server, both.client, "more", 4);
    part(&both);
    close_contexts();
}

/* What has been read is not kept: of a hundred records there is one, and what was fed. */
static void memory_is_given_back(void) {
    static char data[16384];
    pair both;
    int i;

    open_contexts(TLS_1_3);
    both = couple(client, server);
    connect_both(&both, WHOLE);
    for (i = 0; i < 100; i++)
        talk(both.client, both.server, data, sizeof(data));
    CHECK(both.client->out.data == NULL && both.server->in.data == NULL);
    part(&both);
    close_contexts();
}

int main(void) {
    ours = make_certificate(1, "localhost");
    key_updates_without_data_are_bounded();
    key_updates_with_data_are_not();
    answers_that_are_not_taken_are();
    tickets_are_bounded();
    hello_requests_are_bounded();
    a_handshake_that_does_not_end_is_bounded();
    a_ticket_in_several_records_makes_writers_wait();
    memory_is_given_back();
    free_certificate(&ours);
    return 0;
}
