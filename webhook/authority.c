#include "authority.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NAME "gitgate-webhook-ca"

/* Clocks of nodes differ: a certificate is valid from a bit before it was made. */
#define SKEW_S 300

/* For how long a successor is only trusted: within it every replica has seen it and put it into the
 * caBundles, and every API server has seen these. */
#define SETTLE_MAX_S 3600
#define SETTLE_SHARE 24 /* of an authority's life, when that is short */

#define HOST_MAX 253

/* ---- Memory -------------------------------------------------------------------------------- */

static void authority_done(struct authority *authority)
{
    X509_free(authority->certificate);
    EVP_PKEY_free(authority->key);
    *authority = (struct authority){0};
}

void authorities_done(struct authorities *authorities)
{
    for (size_t i = 0; i < authorities->n; i++)
        authority_done(&authorities->list[i]);
    *authorities = AUTHORITIES_INIT;
}

static void drop_oldest(struct authorities *authorities)
{
    authority_done(&authorities->list[0]);
    authorities->n--;
    memmove(authorities->list, authorities->list + 1, authorities->n * sizeof *authorities->list);
}

static void close_bio(BIO **bio)
{
    BIO_free(*bio);
}

/* ---- Times --------------------------------------------------------------------------------- */

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm tm;

    return ASN1_TIME_to_tm(time, &tm) == 1 ? timegm(&tm) : 0;
}

static int64_t made_at(const X509 *certificate)
{
    return seconds_of(X509_get0_notBefore(certificate)) + SKEW_S;
}

static int64_t ends_at(const X509 *certificate)
{
    return seconds_of(X509_get0_notAfter(certificate));
}

int64_t authority_due_at(const X509 *certificate)
{
    int64_t from = made_at(certificate), to = ends_at(certificate);

    return from + (to - from) / 3 * 2;
}

static int64_t settle_s(const struct authority_times *times)
{
    int64_t share = (int64_t)times->authority_s / SETTLE_SHARE;

    return share < SETTLE_MAX_S ? share : SETTLE_MAX_S;
}

/* From when on the authority at `i` signs. A predecessor that was about to end when it was made
 * leaves it less time to settle. */
static int64_t signs_from(const struct authorities *authorities, size_t i,
                          const struct authority_times *times)
{
    int64_t made = made_at(authorities->list[i].certificate);
    int64_t rest = ends_at(authorities->list[i - 1].certificate) - made;

    return made + (rest / 2 < settle_s(times) ? rest / 2 : settle_s(times));
}

/* Whether the newest one has to have a successor. One that others made, or that comes from a
 * backup, may end long before two thirds of a usual life: there has to be time for the successor to
 * settle, and for what the older signed before. */
static bool needs_successor(const struct authority *newest, const struct authority_times *times,
                            int64_t now)
{
    int64_t in_use = settle_s(times) + (int64_t)times->leaf_s;
    int64_t third = (int64_t)times->authority_s / 3; /* any new one has more than that */

    return now >= authority_due_at(newest->certificate) ||
           ends_at(newest->certificate) - now < (in_use < third ? in_use : third);
}

/* ---- Certificates -------------------------------------------------------------------------- */

static int fail(struct error *err, const char *what)
{
    ERR_clear_error();
    return error_set(err, -EIO, "cannot make %s: OpenSSL fails", what);
}

static bool set_serial(X509 *certificate)
{
    unsigned char bytes[16]; /* unguessable, and positive (RFC 5280, section 4.1.2.2) */
    bool done = false;

    if (RAND_bytes(bytes, sizeof bytes) == 1) {
        BIGNUM *number;

        bytes[0] = (bytes[0] & 0x7f) | 1;
        number = BN_bin2bn(bytes, sizeof bytes, NULL);
        done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
        BN_free(number);
    }
    return done;
}

static bool set_name(X509 *certificate, const char *name)
{
    return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                                      (const unsigned char *)name, -1, -1, 0) == 1;
}

static bool extend(X509 *certificate, X509 *issuer, int what, const char *value)
{
    X509_EXTENSION *extension;
    X509V3_CTX context;
    bool done;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, what, value);
    done = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return done;
}

/* With a key of its own, not signed yet. */
static bool begin(const char *name, int64_t now, int64_t life, struct identity *ret)
{
    ret->key = EVP_EC_gen("P-256");
    ret->certificate = X509_new();
    return ret->key && ret->certificate &&
           X509_set_version(ret->certificate, X509_VERSION_3) == 1 &&
           set_serial(ret->certificate) && set_name(ret->certificate, name) &&
           ASN1_TIME_set(X509_getm_notBefore(ret->certificate), now - SKEW_S) &&
           ASN1_TIME_set(X509_getm_notAfter(ret->certificate), now + life) &&
           X509_set_pubkey(ret->certificate, ret->key) == 1;
}

static bool sign(X509 *certificate, X509 *issuer, EVP_PKEY *key)
{
    return X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
           X509_sign(certificate, key, EVP_sha256()) > 0;
}

static int make_authority(const struct authority_times *times, int64_t now, struct authority *ret,
                          struct error *err)
{
    cleanup_identity struct identity own = IDENTITY_INIT;

    if (!begin(NAME, now, (int64_t)times->authority_s, &own) ||
        !extend(own.certificate, own.certificate, NID_basic_constraints,
                "critical,CA:TRUE,pathlen:0") ||
        !extend(own.certificate, own.certificate, NID_key_usage, "critical,keyCertSign") ||
        !extend(own.certificate, own.certificate, NID_subject_key_identifier, "hash") ||
        !sign(own.certificate, own.certificate, own.key))
        return fail(err, "a certificate authority");
    *ret = (struct authority){own.certificate, own.key};
    own = IDENTITY_INIT;
    return 0;
}

/* In OpenSSL's configuration syntax, where a comma would begin another name. */
static int subject_of(const char *host, char *to, size_t size, struct error *err)
{
    unsigned char address[16];
    bool ip = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;

    for (const char *c = host; !ip && *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '.' && *c != '-')
            return error_set(err, -EINVAL, "\"%s\" is no host name", host);
    if (!*host || strlen(host) > HOST_MAX)
        return error_set(err, -EINVAL, "a host name has 1 to %d characters", HOST_MAX);
    snprintf(to, size, "%s:%s", ip ? "IP" : "DNS", host);
    return 0;
}

int authority_sign(const struct authority *authority, const char *host,
                   const struct authority_times *times, int64_t now, struct identity *ret,
                   struct error *err)
{
    cleanup_identity struct identity leaf = IDENTITY_INIT;
    X509 *issuer = authority->certificate;
    int64_t rest = ends_at(issuer) - now, life = (int64_t)times->leaf_s;
    char subject[HOST_MAX + 8];
    int r = subject_of(host, subject, sizeof subject, err);

    if (r < 0)
        return r;
    if (!begin("gitgate-webhook", now, life < rest ? life : rest, &leaf) ||
        !extend(leaf.certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
        !extend(leaf.certificate, issuer, NID_key_usage, "critical,digitalSignature") ||
        !extend(leaf.certificate, issuer, NID_ext_key_usage, "serverAuth") ||
        !extend(leaf.certificate, issuer, NID_authority_key_identifier, "keyid") ||
        !extend(leaf.certificate, issuer, NID_subject_alt_name, subject) ||
        !sign(leaf.certificate, issuer, authority->key))
        return fail(err, "a serving certificate");
    *ret = leaf;
    leaf = IDENTITY_INIT;
    return 0;
}

/* ---- The list ------------------------------------------------------------------------------ */

int authorities_plan(struct authorities *authorities, const struct authority_times *times,
                     int64_t now, struct error *err)
{
    int64_t in_use = settle_s(times) + (int64_t)times->leaf_s;
    bool changed = false;
    int r;

    while (authorities->n > 0 && now >= ends_at(authorities->list[0].certificate)) {
        drop_oldest(authorities);
        changed = true;
    }
    while (authorities->n > 1 && now >= made_at(authorities->list[1].certificate) + in_use) {
        drop_oldest(authorities);
        changed = true;
    }
    if (authorities->n == AUTHORITIES_MAX ||
        (authorities->n > 0 &&
         !needs_successor(&authorities->list[authorities->n - 1], times, now)))
        return changed;
    r = make_authority(times, now, &authorities->list[authorities->n], err);
    if (r < 0)
        return r;
    authorities->n++;
    return 1;
}

const struct authority *authorities_signer(const struct authorities *authorities,
                                           const struct authority_times *times, int64_t now)
{
    for (size_t i = authorities->n; i > 1; i--)
        if (now >= signs_from(authorities, i - 1, times))
            return &authorities->list[i - 1];
    return &authorities->list[0];
}

/* ---- PEM ----------------------------------------------------------------------------------- */

static int no_pass_phrase(char *to, int size, int writing, void *data)
{
    (void)to, (void)size, (void)writing, (void)data;
    return 0;
}

static int read_one(BIO *certificates, BIO *keys, struct authorities *ret)
{
    struct authority *authority = &ret->list[ret->n];

    authority->certificate = PEM_read_bio_X509(certificates, NULL, NULL, NULL);
    if (!authority->certificate)
        return 0;
    ret->n++;
    authority->key = PEM_read_bio_PrivateKey(keys, NULL, no_pass_phrase, NULL);
    return authority->key && X509_check_private_key(authority->certificate, authority->key) == 1
               ? 1
               : -EINVAL;
}

int authorities_read(const char *certificates, const char *keys, struct authorities *ret,
                     struct error *err)
{
    cleanup_authorities struct authorities read = AUTHORITIES_INIT;
    CLEANUP(close_bio) BIO *certificates_bio = BIO_new_mem_buf(certificates, -1);
    CLEANUP(close_bio) BIO *keys_bio = BIO_new_mem_buf(keys, -1);
    int r = certificates_bio && keys_bio ? 1 : -ENOMEM;

    while (r > 0 && read.n < AUTHORITIES_MAX)
        r = read_one(certificates_bio, keys_bio, &read);
    ERR_clear_error();
    if (r < 0 || read.n == 0)
        return error_set(err, -EINVAL,
                         "ca.crt and ca.key are not certificates (PEM) with a key each");
    *ret = read;
    read = AUTHORITIES_INIT;
    return 0;
}

static int take(BIO *bio, struct buf *to)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);

    buf_add(to, data, (size_t)len);
    return buf_error(to);
}

int authorities_write(const struct authorities *authorities, struct buf *certificates,
                      struct buf *keys)
{
    CLEANUP(close_bio) BIO *certificates_bio = BIO_new(BIO_s_mem());
    CLEANUP(close_bio) BIO *keys_bio = BIO_new(BIO_s_secmem());

    if (!certificates_bio || !keys_bio)
        return -ENOMEM;
    for (size_t i = 0; i < authorities->n; i++) {
        const struct authority *authority = &authorities->list[i];

        if (PEM_write_bio_X509(certificates_bio, authority->certificate) != 1 ||
            (keys && PEM_write_bio_PKCS8PrivateKey(keys_bio, authority->key, NULL, NULL, 0, NULL,
                                                   NULL) != 1))
            return -EIO;
    }
    take(certificates_bio, certificates);
    return keys ? take(keys_bio, keys) : buf_error(certificates);
}
