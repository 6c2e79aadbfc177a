/* What the server shows who it is: a certificate, those that signed it, and its key. */
#ifndef GITGATE_WEBHOOK_IDENTITY_H
#define GITGATE_WEBHOOK_IDENTITY_H

#include <openssl/ssl.h>

#include "base/cleanup.h"
#include "base/error.h"

struct identity {
    X509 *certificate;
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* from the certificate's signer on; may be NULL */
};

#define IDENTITY_INIT ((struct identity){0})
void identity_done(struct identity *identity);
#define cleanup_identity CLEANUP(identity_done)

/* PEM files: the certificate first, then what signed it; and the key. Both are read before either
 * is used, because a rotation may have written only one of them yet: -EINVAL says which is no use.
 */
int identity_load(const char *cert_file, const char *key_file, struct identity *ret,
                  struct error *err);

/* For new connections; those that are there keep what they have. -EINVAL when the key is not the
 * certificate's. */
int identity_use(const struct identity *identity, SSL_CTX *context, struct error *err);

#endif
