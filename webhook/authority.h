/* The webhook's own certificate authorities, pure but for random numbers: when one is made, which
 * signs, how long it is trusted, and what it signs.
 *
 * All replicas keep the same list and follow the same rules with the same result, so none leads:
 *
 *   - an authority gets a successor when it has lived two thirds of its time, or would end before
 *     what it signs;
 *   - the successor signs nothing before it has been known (in the caBundles) for a while;
 *   - nothing is signed for longer than its authority has;
 *   - the older one is trusted as long as anything that it signed may be in use. */
#ifndef GITGATE_WEBHOOK_AUTHORITY_H
#define GITGATE_WEBHOOK_AUTHORITY_H

#include <stdint.h>

#include "base/buf.h"
#include "identity.h"

struct authority_times {
    uint64_t authority_s; /* an authority's life */
    uint64_t leaf_s;      /* a serving certificate's */
};

/* A year and a week, as cert-manager's own webhook has. */
#define AUTHORITY_TIMES ((struct authority_times){UINT64_C(365) * 86400, UINT64_C(7) * 86400})

struct authority {
    X509 *certificate;
    EVP_PKEY *key;
};

#define AUTHORITIES_MAX 4

struct authorities {
    struct authority list[AUTHORITIES_MAX]; /* the oldest first */
    size_t n;
};

#define AUTHORITIES_INIT ((struct authorities){0})
void authorities_done(struct authorities *authorities);
#define cleanup_authorities CLEANUP(authorities_done)

#define AUTHORITIES_PEM_MAX (64u << 10)

/* Certificates and their keys in the same order, PEM. -EINVAL when they are not that. */
int authorities_read(const char *certificates, const char *keys, struct authorities *ret,
                     struct error *err);
/* The same; `keys` may be NULL, then the certificates are what caBundle is to hold. Wipe `keys`. */
int authorities_write(const struct authorities *authorities, struct buf *certificates,
                      struct buf *keys);

/* Drops what is trusted no more and adds what is due at `now` (seconds since 1970). 1 when it
 * changed something, 0, or a negative errno. Afterwards there is at least one. */
int authorities_plan(struct authorities *authorities, const struct authority_times *times,
                     int64_t now, struct error *err);

/* Which one signs at `now`; there must be one. */
const struct authority *authorities_signer(const struct authorities *authorities,
                                           const struct authority_times *times, int64_t now);

/* A serving certificate for `host`, a DNS name or an IP address. */
int authority_sign(const struct authority *authority, const char *host,
                   const struct authority_times *times, int64_t now, struct identity *ret,
                   struct error *err);

/* When two thirds of the certificate's time are over. */
int64_t authority_due_at(const X509 *certificate);

#endif
