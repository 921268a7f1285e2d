/* Two engines, of which each is the other's peer. */
#ifndef ENGINES_H
#define ENGINES_H

#include "certificate.h"

#include <string.h>

typedef struct {
    gv_tls *client;
    gv_tls *server;
} pair;

enum { TLS_1_2 = 0x0303, TLS_1_3 = 0x0304, WHOLE = 1 << 20 };

static inline void only(gv_tls_ctx *ctx, int version) {
    CHECK_EQ(gv_tls_ctx_versions(ctx, version, version), 0);
}

/* What is said of each operation: OpenSSL's queue, which connections share, is left empty. */
static inline int64_t clean(int64_t result) {
    CHECK_EQ((int64_t) ERR_peek_error(), 0);
    return result;
}

static inline pair couple(gv_tls_ctx *client, gv_tls_ctx *server) {
    pair made = {gv_tls_new(client, "localhost", 1, NULL, 0), gv_tls_new(server, NULL, 0, NULL, 0)};

    CHECK(made.client != NULL && made.server != NULL);
    return made;
}

static inline void part(pair *both) {
    gv_tls_free(both->client);
    gv_tls_free(both->server);
}

/* Pass on what `from` has to say, at most `piece` bytes at once; `step` is taken behind each.
 * Returns how many bytes there were. */
static inline int64_t pass_on(gv_tls *from, gv_tls *to, size_t piece, void (*step)(gv_tls *)) {
    static char data[WHOLE];
    int64_t passed = 0;
    int64_t n;

    while ((n = gv_tls_take(from, data, (int64_t) piece)) > 0) {
        if (gv_tls_feed(to, data, n) < 0)
            break;
        step(to);
        passed += n;
    }
    return passed;
}

static inline void shake(gv_tls *tls) {
    clean(gv_tls_handshake(tls));
}

static inline void stand(gv_tls *tls) {
    (void) tls;
}

/* Make both shake hands for as long as one has something to say. */
static inline void shake_hands(pair *both, size_t piece) {
    shake(both->client);
    shake(both->server);
    while (pass_on(both->client, both->server, piece, shake) +
               pass_on(both->server, both->client, piece, shake) >
           0)
        ;
}

static inline void connect_both(pair *both, size_t piece) {
    shake_hands(both, piece);
    CHECK_EQ(clean(gv_tls_handshake(both->client)), 0);
    CHECK_EQ(clean(gv_tls_handshake(both->server)), 0);
}

static inline void write_all(gv_tls *tls, const char *data, size_t len) {
    while (len > 0) {
        int64_t n = clean(gv_tls_write(tls, data, (int64_t) len));

        CHECK(n > 0 && n <= (int64_t) len);
        data += n;
        len -= (size_t) n;
    }
}

/* Read what there is, and check that it is `wanted`. Returns what the engine says then. */
static inline int64_t read_all(gv_tls *tls, const char *wanted, size_t len) {
    char data[5000];
    size_t at = 0;
    int64_t n;

    while ((n = clean(gv_tls_read(tls, data, sizeof(data)))) > 0) {
        CHECK(at + (size_t) n <= len);
        CHECK(memcmp(data, wanted + at, (size_t) n) == 0);
        at += (size_t) n;
    }
    CHECK_EQ((int64_t) at, (int64_t) len);
    return n;
}

/* Send `len` bytes through both engines. */
static inline void talk(gv_tls *from, gv_tls *to, const char *data, size_t len) {
    write_all(from, data, len);
    pass_on(from, to, WHOLE, stand);
    CHECK_EQ(read_all(to, data, len), GV_TLS_WANT_READ);
}

/* It has failed, says why, and says the same for ever. */
static inline void check_failed(gv_tls *tls, gv_tls_why why, const char *text) {
    char data[10];

    CHECK_EQ(gv_tls_error_kind(tls), why);
    if (strstr(gv_tls_error(tls), text) == NULL) {
        fprintf(stderr, "\"%s\" is not in \"%s\"\n", text, gv_tls_error(tls));
        exit(1);
    }
    CHECK_EQ(clean(gv_tls_handshake(tls)), GV_TLS_ERROR);
    CHECK_EQ(clean(gv_tls_read(tls, data, sizeof(data))), GV_TLS_ERROR);
    CHECK_EQ(clean(gv_tls_write(tls, data, sizeof(data))), GV_TLS_ERROR);
    CHECK_EQ(clean(gv_tls_shutdown(tls)), GV_TLS_ERROR);
    CHECK_EQ(clean(gv_tls_feed(tls, data, sizeof(data))), GV_TLS_ERROR);
}

#endif
