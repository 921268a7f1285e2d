/* Where records wait, and the BIO that OpenSSL sees of it. */
#include "csrc/tls.h"

#include <stdlib.h>
#include <string.h>

/* Bytes that wait. */

int gv_tls_bytes_append(gv_tls_bytes *bytes, const char *data, size_t len) {
    char *bigger;

    if (len == 0)
        return 0;
    if (bytes->at > 0 && bytes->at + bytes->len + len > bytes->size) {
        memmove(bytes->data, bytes->data + bytes->at, bytes->len);
        bytes->at = 0;
    }
    if (bytes->len + len > bytes->size) {
        size_t size = bytes->len + len > 2 * bytes->size ? bytes->len + len : 2 * bytes->size;

        bigger = realloc(bytes->data, size);
        if (bigger == NULL)
            return GV_TLS_ERROR;
        bytes->data = bigger;
        bytes->size = size;
    }
    memcpy(bytes->data + bytes->at + bytes->len, data, len);
    bytes->len += len;
    return 0;
}

void gv_tls_bytes_clear(gv_tls_bytes *bytes) {
    free(bytes->data);
    memset(bytes, 0, sizeof(*bytes));
}

/* Nothing is kept while idle. */
size_t gv_tls_bytes_take(gv_tls_bytes *bytes, char *data, size_t len) {
    if (len > bytes->len)
        len = bytes->len;
    if (len > 0)
        memcpy(data, bytes->data + bytes->at, len);
    bytes->at += len;
    bytes->len -= len;
    if (bytes->len == 0)
        gv_tls_bytes_clear(bytes);
    return len;
}

/* Our BIO: both directions of one engine. */

static int bio_read(BIO *bio, char *data, int len) {
    gv_tls *tls = BIO_get_data(bio);
    size_t room = (size_t) len;
    size_t n = gv_tls_bytes_take(&tls->in, data, room);

    BIO_clear_retry_flags(bio);
    if (n == 0 && tls->lent_len > 0) {
        n = tls->lent_len < room ? tls->lent_len : room;
        memcpy(data, tls->lent, n);
        tls->lent += n;
        tls->lent_len -= n;
    }
    if (!tls->done) {
        if (tls->handshake_bytes == 0 && n > 0)
            tls->first = data[0];
        tls->handshake_bytes += (uint32_t) n;
        tls->flooded = tls->flooded || tls->handshake_bytes > GV_TLS_HANDSHAKE_MAX;
    }
    if (tls->flooded)
        return -1;
    if (n == 0)
        BIO_set_retry_read(bio);
    return n == 0 ? -1 : (int) n;
}

static int bio_write(BIO *bio, const char *data, int len) {
    gv_tls *tls = BIO_get_data(bio);
    int rc = tls->sink == NULL ? gv_tls_bytes_append(&tls->out, data, (size_t) len)
                               : tls->sink(tls->sink_arg, data, (size_t) len);

    BIO_clear_retry_flags(bio);
    if (tls->reading) { /* what the peer makes us say, be there data between or not */
        tls->answered += (uint32_t) len;
        tls->flooded = tls->flooded || tls->answered > GV_TLS_ANSWERS;
    }
    return rc < 0 || tls->flooded ? -1 : len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *arg) {
    (void) bio, (void) number, (void) arg;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bio_create(BIO *bio) {
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *method;

static void make_method(void) {
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gruvi_cffi");
    if (method == NULL)
        return;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
    BIO_meth_set_create(method, bio_create);
}

BIO *gv_tls_bio_new(gv_tls *tls) {
    static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT; /* two threads may be the first */
    bool made = CRYPTO_THREAD_run_once(&once, make_method) == 1 && method != NULL;
    BIO *bio = made ? BIO_new(method) : NULL;

    if (bio != NULL)
        BIO_set_data(bio, tls);
    return bio;
}
