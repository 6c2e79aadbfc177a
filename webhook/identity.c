#include "identity.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#define CHAIN_MAX 8 /* certificates that are sent with every handshake */

void identity_done(struct identity *identity)
{
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
    sk_X509_pop_free(identity->chain, X509_free);
    *identity = IDENTITY_INIT;
}

static void close_bio(BIO **bio)
{
    BIO_free(*bio);
}

static int read_certificates(BIO *bio, struct identity *ret)
{
    X509 *signer;

    ret->certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    ret->chain = sk_X509_new_null();
    if (!ret->certificate || !ret->chain)
        return -EINVAL;
    while ((signer = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        if (sk_X509_num(ret->chain) == CHAIN_MAX || !sk_X509_push(ret->chain, signer)) {
            X509_free(signer);
            return -EINVAL;
        }
    }
    return 0;
}

/* A key with a pass phrase would make OpenSSL ask for it at the terminal. */
static int no_pass_phrase(char *to, int size, int writing, void *data)
{
    (void)to, (void)size, (void)writing, (void)data;
    return 0;
}

static int load(const char *cert_file, const char *key_file, struct identity *ret,
                struct error *err)
{
    CLEANUP(close_bio) BIO *certificates = BIO_new_file(cert_file, "r");
    CLEANUP(close_bio) BIO *key = BIO_new_file(key_file, "r");

    if (!certificates || read_certificates(certificates, ret) < 0)
        return error_set(err, -EINVAL, "%s holds no usable certificate (PEM)", cert_file);
    ret->key = key ? PEM_read_bio_PrivateKey(key, NULL, no_pass_phrase, NULL) : NULL;
    if (!ret->key)
        return error_set(err, -EINVAL, "%s holds no usable key (PEM)", key_file);
    if (X509_check_private_key(ret->certificate, ret->key) != 1)
        return error_set(err, -EINVAL, "%s is not the key of the certificate in %s", key_file,
                         cert_file);
    return 0;
}

int identity_load(const char *cert_file, const char *key_file, struct identity *ret,
                  struct error *err)
{
    cleanup_identity struct identity identity = IDENTITY_INIT;
    int r = load(cert_file, key_file, &identity, err);

    ERR_clear_error(); /* the end of a PEM file is an error to OpenSSL */
    if (r < 0)
        return r;
    *ret = identity;
    identity = IDENTITY_INIT;
    return 0;
}

int identity_use(const struct identity *identity, SSL_CTX *context, struct error *err)
{
    if (SSL_CTX_use_cert_and_key(context, identity->certificate, identity->key, identity->chain,
                                 1) == 1)
        return 0;
    ERR_clear_error();
    return error_set(err, -EINVAL, "the certificate or its key can't be used for TLS 1.3");
}
