/* The TLS engine when there is no memory: each allocation fails once, and then all behind it.
 *
 * The linker puts __wrap_malloc() and the like before ours (see the Makefile), and OpenSSL is told
 * to allocate with them. */
#include "engines.h"

#include "csrc/tls_facts.h"

static bool with_openssl; /* whose allocations fail, too */
static int64_t left = -1; /* allocations until one fails; below 0 none does */
static bool for_good;
static int64_t failures;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static bool fails(void) {
    if (left < 0 || left-- > 0)
        return false;
    if (for_good)
        left = 0;
    failures++;
    return true;
}

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size) {
    return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text) {
    return fails() ? NULL : __real_strdup(text);
}

static void *ssl_malloc(size_t size, const char *file, int at) {
    (void) file, (void) at;
    return with_openssl ? __wrap_malloc(size) : __real_malloc(size);
}

static void *ssl_realloc(void *old, size_t size, const char *file, int at) {
    (void) file, (void) at;
    return with_openssl ? __wrap_realloc(old, size) : __real_realloc(old, size);
}

static void ssl_free(void *old, const char *file, int at) {
    (void) file, (void) at;
    free(old);
}

static certificate cert;

/* Each returns true if it went well. */

static bool set_up_contexts(gv_tls_ctx **server, gv_tls_ctx **client) {
    *server = gv_tls_ctx_new(1);
    *client = gv_tls_ctx_new(0);
    return *server != NULL && *client != NULL &&
           gv_tls_ctx_certificate(*server, cert.chain, cert.chain_len, cert.key, cert.key_len,
                                  NULL) == 0 &&
           gv_tls_ctx_alpn(*server, (const unsigned char *) "\x04spam", 5) == 0 &&
           gv_tls_ctx_alpn(*client, (const unsigned char *) "\x04spam", 5) == 0 &&
           gv_tls_ctx_staple(*server, (const unsigned char *) "staple", 6) == 0 &&
           gv_tls_ctx_sessions(*server, (const unsigned char *) "me", 2, NULL) == 0 &&
           gv_tls_ctx_trust(*client, cert.chain, cert.chain_len, 0) == 0 &&
           gv_tls_ctx_verify(*client, GV_TLS_VERIFY_REQUIRED) == 0;
}

static bool shake_both(pair *both) {
    int i;

    for (i = 0; i < 5; i++) {
        shake(both->client);
        pass_on(both->client, both->server, WHOLE, shake);
        pass_on(both->server, both->client, WHOLE, shake);
    }
    return gv_tls_version(both->client) != NULL && gv_tls_version(both->server) != NULL;
}

static bool say(gv_tls *from, gv_tls *to) {
    static const char TEXT[5000] = "spam";
    char got[5000];
    int64_t n = clean(gv_tls_write(from, TEXT, sizeof(TEXT)));

    pass_on(from, to, WHOLE, stand);
    if (n != sizeof(TEXT) || clean(gv_tls_read(to, got, sizeof(got))) != sizeof(got))
        return false;
    CHECK(memcmp(got, TEXT, sizeof(TEXT)) == 0); /* nothing, or what was said */
    return true;
}

static bool ask(gv_tls *client) {
    unsigned char session[5000];
    unsigned char der[2000];
    char text[3000];
    int64_t len = clean(gv_tls_certificate(client, 0, der, sizeof(der)));

    return len > 0 && clean(gv_tls_describe(der, len, text, sizeof(text))) > 0 &&
           clean(gv_tls_session(client, session, sizeof(session))) > 0;
}

/* A dead connection stays dead, and has a reason. */
static void check_dead(gv_tls *tls) {
    if (gv_tls_handshake(tls) == GV_TLS_ERROR)
        check_failed(tls, (gv_tls_why) gv_tls_error_kind(tls), "");
}

static bool connect_two(gv_tls_ctx *server, gv_tls_ctx *client) {
    pair both = {gv_tls_new(client, "localhost", 1, NULL, 0), gv_tls_new(server, NULL, 0, NULL, 0)};
    bool well = both.client != NULL && both.server != NULL;

    well = well && shake_both(&both) && say(both.client, both.server) &&
           say(both.server, both.client) && ask(both.client) &&
           clean(gv_tls_shutdown(both.client)) == 0;
    if (both.client != NULL)
        check_dead(both.client);
    if (both.server != NULL)
        check_dead(both.server);
    part(&both);
    return well;
}

static bool run(void) {
    gv_tls_ctx *server, *client;
    bool well = set_up_contexts(&server, &client);

    CHECK_EQ((int64_t) ERR_peek_error(), 0);
    if (well)
        well = connect_two(server, client);
    left = -1;
    gv_tls_ctx_free(server);
    gv_tls_ctx_free(client);
    CHECK_EQ(gv_tls_live(), 0);
    return well;
}

/* Fail each allocation in turn, until there are no more. */
static void fail_each(int64_t step) {
    int64_t at;

    for (at = 0;; at += step) {
        bool well;

        left = at;
        failures = 0;
        well = run();
        if (failures == 0) {
            CHECK(well);
            return;
        }
    }
}

static void fail_each_in_both_ways(int64_t step) {
    for_good = false;
    fail_each(step);
    for_good = true;
    fail_each(step);
}

/* OpenSSL makes 11,000 allocations here. With 1 as the argument each of them fails, which takes a
 * minute. */
int main(int argc, char **argv) {
    CHECK_EQ(CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free), 1);
    cert = make_certificate(1, "localhost");
    CHECK(run()); /* OpenSSL keeps some for ever */
    CHECK(run());
    fail_each_in_both_ways(1);
    with_openssl = true;
    fail_each_in_both_ways(argc > 1 ? atoi(argv[1]) : 101);
    free_certificate(&cert);
    return 0;
}
