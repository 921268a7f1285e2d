/* Any bytes, fed to the TLS engine: by a stranger, or in place of a part of what a peer has said.
 *
 * The first byte says who is fed: a server, a client, or two engines that talk with each other. For
 * those the rest is a script: what each does, and what becomes of the bytes between them. With the
 * same input the same happens each time; for that OpenSSL is given random numbers of ours. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "tests/c/certificate.h"

#include "csrc/tls_facts.h"

#include <openssl/rand.h>
#include <string.h>

enum { ENDS = 2, PIECE = 4096 };

static gv_tls_ctx *servers[2], *clients[2]; /* TLS 1.2 and 1.3 */

/* Random numbers. */

static uint64_t state;
static bool spoiled; /* somebody has done what may end in an error */

static int give_random(unsigned char *to, int len) {
    int i;

    for (i = 0; i < len; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        to[i] = (unsigned char) (state >> 56);
    }
    return 1;
}

static int say_ready(void) {
    return 1;
}

static const RAND_METHOD RANDOM = {NULL, give_random, NULL, NULL, give_random, say_ready};

static void set_up(void) {
    certificate cert;
    int i;

    CHECK(RAND_set_rand_method(&RANDOM) == 1);
    cert = make_certificate(1, "localhost");
    for (i = 0; i < 2; i++) {
        servers[i] = serving(&cert);
        clients[i] = trusting(&cert);
        CHECK_EQ(gv_tls_ctx_versions(servers[i], 0x0303 + i, 0x0303 + i), 0);
        CHECK_EQ(gv_tls_ctx_alpn(servers[i],
                                 (const unsigned char *) "\x04spam\x04"
                                                         "eggs",
                                 10),
                 0);
        CHECK_EQ(gv_tls_ctx_alpn(clients[i],
                                 (const unsigned char *) "\x04"
                                                         "eggs",
                                 5),
                 0);
        CHECK_EQ(gv_tls_ctx_staple(servers[i], (const unsigned char *) "no response", 11), 0);
        gv_tls_ctx_ask(servers[i], 1);
    }
    free_certificate(&cert);
}

/* One end of the line, and what must hold of it. */

typedef struct {
    gv_tls *tls;
    size_t written, read; /* bytes of plaintext */
    bool over, ended, failed;
} end;

static int64_t clean(int64_t result) {
    CHECK(ERR_peek_error() == 0);
    return result;
}

/* What is said is known from where it stands. */
static char byte_at(size_t at) {
    return (char) (at % 251);
}

static void check_result(end *at, int64_t result) {
    CHECK(result > 0 || result == GV_TLS_OK || result == GV_TLS_WANT_READ ||
          result == GV_TLS_HELLO || result == GV_TLS_EOF || result == GV_TLS_ERROR);
    CHECK(!at->failed || result == GV_TLS_ERROR);
    at->failed = at->failed || result == GV_TLS_ERROR;
    CHECK(at->failed == (gv_tls_error(at->tls)[0] != '\0'));
}

static void shake(end *at) {
    int rc = gv_tls_handshake(at->tls);

    clean(0);
    check_result(at, rc);
    if (rc == GV_TLS_HELLO)
        CHECK_EQ(clean(gv_tls_use(at->tls, servers[(state >> 32) & 1])), 0);
}

static void read_some(end *at, size_t len) {
    char data[PIECE];
    int64_t n = clean(gv_tls_read(at->tls, data, (int64_t) (1 + len % PIECE)));
    int64_t i;

    check_result(at, n);
    CHECK(!at->over || n == GV_TLS_EOF || n == GV_TLS_ERROR || n == GV_TLS_WANT_READ);
    at->over = at->over || n == GV_TLS_EOF;
    for (i = 0; i < n; i++)
        CHECK(data[i] == byte_at(at->read++)); /* whatever was changed on the way */
}

static void write_some(end *at, size_t len) {
    char data[PIECE];
    size_t i;
    int64_t n;

    spoiled = spoiled || at->ended;
    for (i = 0; i < sizeof(data); i++)
        data[i] = byte_at(at->written + i);
    n = clean(gv_tls_write(at->tls, data, (int64_t) (1 + len % PIECE)));
    check_result(at, n);
    if (n > 0)
        at->written += (size_t) n;
}

static void ask(end *at) {
    unsigned char data[256];
    const unsigned char *protocol;

    gv_tls_version(at->tls);
    gv_tls_cipher(at->tls);
    gv_tls_name(at->tls);
    CHECK(clean(gv_tls_alpn(at->tls, &protocol)) <= 255);
    CHECK(clean(gv_tls_certificate(at->tls, 0, data, sizeof(data))) >= 0);
    CHECK(clean(gv_tls_session(at->tls, data, sizeof(data))) >= 0);
    CHECK(clean(gv_tls_unique(at->tls, data, sizeof(data))) >= 0);
    CHECK(clean(gv_tls_end_point(at->tls, data, sizeof(data))) >= 0);
    CHECK(clean(gv_tls_export(at->tls, "label", 5, NULL, 0, data, 32)) >= 0);
}

/* The input, as it is used up. */

typedef struct {
    const uint8_t *data;
    size_t len;
} script;

static unsigned take(script *from) {
    if (from->len == 0)
        return 0;
    from->len--;
    return *from->data++;
}

/* What is between two engines may be cut, changed, dropped, doubled, or said by somebody else. */
static void carry(end *from, end *to, unsigned how, script *rest) {
    char data[PIECE];
    int64_t len = gv_tls_take(from->tls, data, 1 + (int64_t) take(rest) * 16);
    size_t extra;

    if (len > 0 && how == 1) {
        data[take(rest) % (unsigned) len] ^= (char) take(rest);
        spoiled = true;
    } else if (how == 2 && len > 0) {
        len--;
        spoiled = true;
    } else if (how == 3) {
        extra = take(rest);
        extra = extra < rest->len ? extra : rest->len;
        CHECK(gv_tls_feed(to->tls, (const char *) rest->data, (int64_t) extra) == 0 || to->failed);
        rest->data += extra;
        rest->len -= extra;
        spoiled = true;
    }
    gv_tls_feed(to->tls, data, len);
    if (how == 4) {
        gv_tls_feed(to->tls, data, len);
        spoiled = true;
    }
}

static void step(end ends[ENDS], script *rest) {
    unsigned what = take(rest);
    end *at = &ends[what & 1];
    end *other = &ends[!(what & 1)];

    switch ((what >> 1) % 11) {
    case 0:
    case 1:
        carry(at, other, 0, rest);
        shake(other);
        break;
    case 2:
        carry(at, other, take(rest) % 5, rest);
        shake(other);
        break;
    case 3:
        write_some(at, 16 * take(rest));
        break;
    case 4:
        read_some(at, 16 * take(rest));
        break;
    case 5:
        check_result(at, clean(gv_tls_shutdown(at->tls)));
        at->ended = true;
        break;
    case 6:
        ask(at);
        break;
    case 7:
        spoiled = true;
        if (SSL_key_update(at->tls->ssl, take(rest) & 1) == 1)
            SSL_do_handshake(at->tls->ssl);
        ERR_clear_error();
        break;
    case 8:
        if (take(rest) == 0) {
            check_result(at, gv_tls_eof(at->tls));
            spoiled = true;
        }
        break;
    case 9:
        spoiled = true;
        if (SSL_new_session_ticket(at->tls->ssl) == 1)
            SSL_do_handshake(at->tls->ssl);
        ERR_clear_error();
        break;
    default:
        shake(at);
    }
}

/* What nobody has touched goes well. */
static void couple(int which, script rest) {
    end ends[ENDS] = {{.tls = gv_tls_new(clients[which], "localhost", 1, NULL, 0)},
                      {.tls = gv_tls_new(servers[which], NULL, 0, NULL, 0)}};
    int i;

    CHECK(ends[0].tls != NULL && ends[1].tls != NULL);
    shake(&ends[0]);
    while (rest.len > 0)
        step(ends, &rest);
    for (i = 0; i < ENDS; i++) {
        CHECK(ends[i].read <= ends[!i].written);
        CHECK(spoiled || !ends[i].failed);
        ask(&ends[i]);
        gv_tls_free(ends[i].tls);
    }
}

/* A stranger, who may say the same in pieces. */
static void feed(int which, bool server, size_t piece, script rest) {
    end one = {.tls = server ? gv_tls_new(servers[which], NULL, 0, NULL, 0)
                             : gv_tls_new(clients[which], "localhost", 1, NULL, 0)};

    CHECK(one.tls != NULL);
    shake(&one);
    while (rest.len > 0 && !one.failed) {
        size_t len = piece < rest.len ? piece : rest.len;

        CHECK_EQ(gv_tls_feed(one.tls, (const char *) rest.data, (int64_t) len), 0);
        rest.data += len;
        rest.len -= len;
        shake(&one);
        read_some(&one, PIECE);
    }
    ask(&one);
    gv_tls_eof(one.tls);
    gv_tls_free(one.tls);
}

static void describe(script rest) {
    char text[PIECE];
    int64_t len = (int64_t) rest.len;
    gv_tls *tls;

    CHECK(clean(gv_tls_describe(rest.data, len, text, sizeof(text))) >= 0);
    tls = gv_tls_new(clients[1], "localhost", 1, rest.data, len); /* as a session */
    CHECK(clean(gv_tls_handshake(tls)) == GV_TLS_WANT_READ || gv_tls_error(tls)[0] != '\0');
    gv_tls_free(tls);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void) argc, (void) argv;
    set_up();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    script rest = {input, size};
    unsigned first = take(&rest);
    int which = first & 1;

    state = 1;
    spoiled = false;
    if (first % 8 < 2)
        feed(which, true, 1 + take(&rest), rest);
    else if (first % 8 < 4)
        feed(which, false, 1 + take(&rest), rest);
    else if (first == 7)
        describe(rest);
    else
        couple(which, rest);
    CHECK_EQ(gv_tls_live(), 0);
    return 0;
}
