#include "reach.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

#include "policy.h"

/* As the gate's ssh: a name, a handshake, and here TLS, over a bad line. */
#define TIMEOUT_S 10
#define HOST_TEXT_MAX (URL_HOST_MAX + 3)

struct attempt {
    CURL *curl;
    struct curl_slist *resolve;
};

static void attempt_done(struct attempt *attempt)
{
    curl_easy_cleanup(attempt->curl);
    curl_slist_free_all(attempt->resolve);
}

/* Neither proxy nor .netrc nor redirect: CONNECT_ONLY ends before a request is made. */
static int prepare(struct attempt *attempt, const struct url *url, const char *address,
                   const char *ca)
{
    bool six = strchr(url->host, ':'), https = url->scheme == URL_HTTPS;
    char host[HOST_TEXT_MAX], target[HOST_TEXT_MAX + 32], entry[2 * HOST_TEXT_MAX + IP_TEXT_MAX];
    CURL *curl = attempt->curl = curl_easy_init();

    if (!curl)
        return -ENOMEM;
    snprintf(host, sizeof host, six ? "[%s]" : "%s", url->host);
    snprintf(target, sizeof target, "%s://%s:%u/", https ? "https" : "http", host, url->port);
    if (address) {
        snprintf(entry, sizeof entry, "%s:%u:%s", host, url->port, address);
        attempt->resolve = curl_slist_append(NULL, entry);
        if (!attempt->resolve)
            return -ENOMEM;
    }
    curl_easy_setopt(curl, CURLOPT_URL, target);
    curl_easy_setopt(curl, CURLOPT_RESOLVE, attempt->resolve);
    curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)TIMEOUT_S);
    if (ca) { /* and no other, as in the gate */
        curl_easy_setopt(curl, CURLOPT_CAINFO, ca);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    return 0;
}

/* ---- what came of it ---- */

/* git's own libcurl may be built with another TLS library, whose words do not say so much. */
static enum fault certificate_fault(CURL *curl)
{
    long result = 0;

    curl_easy_getinfo(curl, CURLINFO_SSL_VERIFYRESULT, &result);
    switch (result) {
    case X509_V_OK: /* the chain is right, so it is the name: libcurl looks at that by itself, */
    case X509_V_ERR_UNSPECIFIED: /* and leaves this, with which it begins */
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return FAULT_OTHER_HOST;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return FAULT_EXPIRED;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return FAULT_AUTHORITY;
    default:
        return FAULT_CERTIFICATE;
    }
}

static enum fault connect_fault(CURL *curl)
{
    long number = 0;

    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &number);
    if (number == ECONNREFUSED)
        return FAULT_REFUSED;
    return number == ETIMEDOUT ? FAULT_SILENT : FAULT_UNREACHABLE;
}

/* The time went either before there was an address, or behind it. */
static enum fault timeout_fault(CURL *curl)
{
    curl_off_t resolved = 0;

    curl_easy_getinfo(curl, CURLINFO_NAMELOOKUP_TIME_T, &resolved);
    return resolved > 0 ? FAULT_SILENT : FAULT_NAME;
}

static enum fault fault_of(CURL *curl, CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return FAULT_NONE;
    case CURLE_COULDNT_RESOLVE_HOST:
        return FAULT_NAME;
    case CURLE_COULDNT_CONNECT:
        return connect_fault(curl);
    case CURLE_OPERATION_TIMEDOUT:
        return timeout_fault(curl);
    case CURLE_PEER_FAILED_VERIFICATION:
        return certificate_fault(curl);
    case CURLE_SSL_CACERT_BADFILE:
        return FAULT_CA_BUNDLE;
    case CURLE_SSL_CONNECT_ERROR:
        return FAULT_TLS;
    default:
        return FAULT_CONNECTION;
    }
}

/* ---- the certificate, for people ---- */

/* "Issuer:CN=x" becomes "CN=x" when the field is the one that is wanted. */
static void take_field(const char *line, const char *field, char to[CERTIFICATE_TEXT_MAX])
{
    cleanup_buf struct buf text = BUF_INIT(CERTIFICATE_TEXT_MAX - 1);
    size_t len = strlen(field);

    if (*to || strncmp(line, field, len) != 0 || line[len] != ':')
        return;
    printable(&text, line + len + 1, strnlen(line + len + 1, CERTIFICATE_TEXT_MAX - 1));
    strcpy(to, text.data);
}

/* Nothing is believed here, and nothing sent: the connection ends once the certificate was shown.
 */
static void look_at_certificate(const struct url *url, const char *address, struct reach *ret)
{
    struct attempt attempt CLEANUP(attempt_done) = {0};
    struct curl_certinfo *info = NULL;

    if (prepare(&attempt, url, address, NULL) < 0)
        return;
    curl_easy_setopt(attempt.curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(attempt.curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(attempt.curl, CURLOPT_CERTINFO, 1L);
    if (curl_easy_perform(attempt.curl) != CURLE_OK ||
        curl_easy_getinfo(attempt.curl, CURLINFO_CERTINFO, &info) != CURLE_OK || !info ||
        info->num_of_certs < 1)
        return;
    for (const struct curl_slist *line = info->certinfo[0]; line; line = line->next) {
        take_field(line->data, "Issuer", ret->issuer);
        take_field(line->data, "Expire date", ret->expires);
        take_field(line->data, "X509v3 Subject Alternative Name", ret->names);
    }
}

static bool is_of_certificate(enum fault fault)
{
    return fault == FAULT_AUTHORITY || fault == FAULT_EXPIRED || fault == FAULT_OTHER_HOST;
}

void reach(const struct url *url, const char *address, const char *ca, struct reach *ret)
{
    struct attempt attempt CLEANUP(attempt_done) = {0};
    const char *tried = NULL;

    *ret = (struct reach){.seconds = TIMEOUT_S, .fault = FAULT_GATE};
    if (prepare(&attempt, url, address, ca) < 0)
        return;
    ret->fault = fault_of(attempt.curl, curl_easy_perform(attempt.curl));
    curl_easy_getinfo(attempt.curl, CURLINFO_PRIMARY_IP, &tried);
    if (tried && *tried)
        snprintf(ret->address, sizeof ret->address, "%s", tried);
    else if (address)
        snprintf(ret->address, sizeof ret->address, "%s", address);
    if (is_of_certificate(ret->fault))
        look_at_certificate(url, address, ret);
}
