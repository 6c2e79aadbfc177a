#include "issuer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/gitgate.h"
#include "base/cleanup.h"
#include "bundle.h"
#include "data/base64.h"
#include "kube/apply.h"
#include "kube/object.h"
#include "kube/watch.h"

#define RETRY_MS 2000 /* after a failure, as whole pods wait for it */
#define TIMEOUT_MS 5000
/* Times are looked at this often within a serving certificate's life: an hour of a week. */
#define CHECKS_IN_LIFE 168
#define CHECK_MIN_MS 200

static const struct kube_resource configurations[] = {
    {"admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations",
     "MutatingWebhookConfiguration"},
    {"admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations",
     "ValidatingWebhookConfiguration"},
};
#define CONFIGURATIONS (sizeof configurations / sizeof *configurations)

struct issuer {
    const struct issuer_spec *spec;
    struct kube_client *client;
    struct kube_watch *watches[CONFIGURATIONS];
    char *selector; /* of the watches */
    uv_timer_t timer;
    struct kube_request *request; /* of the round that is on */
    bool again;                   /* something happened during it */
    struct authorities authorities;
    char *version;        /* the Secret's resourceVersion; NULL: it isn't there */
    struct identity leaf; /* what was issued last */
    struct buf bundle;    /* caBundle, base64 */
    size_t configuration; /* whose turn it is */
    bool ready;
};

static void read_secret(struct issuer *issuer);
static void read_configuration(struct issuer *issuer);

/* ---- Rounds -------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    struct issuer *issuer = timer->data;

    if (!issuer->request)
        read_secret(issuer);
}

static void wait_for(struct issuer *issuer, uint64_t ms)
{
    uv_timer_start(&issuer->timer, on_timer, ms, 0);
}

static void end_round(struct issuer *issuer)
{
    int64_t check = (int64_t)issuer->spec->times.leaf_s * 1000 / CHECKS_IN_LIFE;
    int64_t due = (authority_due_at(issuer->leaf.certificate) - time(NULL)) * 1000;

    if (due < check)
        check = due;
    issuer->ready = true;
    wait_for(issuer, issuer->again ? 0 : check < CHECK_MIN_MS ? CHECK_MIN_MS : (uint64_t)check);
    issuer->again = false;
}

static void fail_round(struct issuer *issuer, const char *what, const struct error *err)
{
    log_warn(issuer->spec->log, "certificate: will try again",
             json_pack("{s:s, s:s}", "step", what, "error", err->msg));
    issuer->again = false;
    wait_for(issuer, RETRY_MS);
}

static struct kube_request_spec request(struct issuer *issuer, kube_done_fn done)
{
    return (struct kube_request_spec){.timeout_ms = TIMEOUT_MS, .done = done, .data = issuer};
}

/* ---- The caBundles ------------------------------------------------------------------------- */

static void next_configuration(struct issuer *issuer)
{
    if (++issuer->configuration == CONFIGURATIONS)
        end_round(issuer);
    else
        read_configuration(issuer);
}

static void on_patched(void *data, const struct kube_response *response)
{
    struct issuer *issuer = data;

    issuer->request = NULL;
    if (response->err.code) {
        fail_round(issuer, "write the caBundle", &response->err);
        return;
    }
    log_info(issuer->spec->log, "caBundle written",
             json_pack("{s:s}", "resource", configurations[issuer->configuration].plural));
    next_configuration(issuer);
}

static void patch_configuration(struct issuer *issuer, const struct kube_response *response)
{
    struct error err = ERROR_INIT;
    json_auto_t *object = NULL;
    int r = object_read(response->body, response->len, &object, &err);
    json_auto_t *patch = r == 0 ? bundle_patch(object, issuer->bundle.data) : NULL;

    if (patch && json_array_size(patch) == 0) {
        next_configuration(issuer);
        return;
    }
    if (r == 0)
        error_set(&err, -ENOMEM, "memory is short");
    if (patch)
        issuer->request =
            kube_json_patch(issuer->client, &configurations[issuer->configuration], NULL,
                            issuer->spec->configuration, patch, on_patched, issuer, &err);
    if (!issuer->request)
        fail_round(issuer, "write the caBundle", &err);
}

/* A configuration that isn't there sends nobody here. */
static void on_configuration(void *data, const struct kube_response *response)
{
    struct issuer *issuer = data;

    issuer->request = NULL;
    if (response->status == 404)
        next_configuration(issuer);
    else if (response->err.code)
        fail_round(issuer, "read the webhook configuration", &response->err);
    else
        patch_configuration(issuer, response);
}

static void read_configuration(struct issuer *issuer)
{
    struct kube_request_spec how = request(issuer, on_configuration);
    struct error err = ERROR_INIT;

    issuer->request = kube_get(issuer->client, &configurations[issuer->configuration], NULL,
                               issuer->spec->configuration, &how, &err);
    if (!issuer->request)
        fail_round(issuer, "read the webhook configuration", &err);
}

static int encode_bundle(struct issuer *issuer)
{
    cleanup_buf struct buf pem = BUF_INIT(AUTHORITIES_PEM_MAX);
    int r = authorities_write(&issuer->authorities, &pem, NULL);

    buf_reset(&issuer->bundle);
    base64_encode(pem.data, pem.len, &issuer->bundle);
    return r < 0 ? r : buf_error(&issuer->bundle);
}

/* ---- The serving certificate --------------------------------------------------------------- */

static bool leaf_is_fine(const struct issuer *issuer, const struct authority *signer, int64_t now)
{
    return issuer->leaf.certificate && now < authority_due_at(issuer->leaf.certificate) &&
           X509_verify(issuer->leaf.certificate, signer->key) == 1;
}

static int issue(struct issuer *issuer, int64_t now, struct error *err)
{
    const struct issuer_spec *spec = issuer->spec;
    const struct authority *signer = authorities_signer(&issuer->authorities, &spec->times, now);
    struct identity leaf;
    int r;

    if (leaf_is_fine(issuer, signer, now))
        return 0;
    r = authority_sign(signer, spec->host, &spec->times, now, &leaf, err);
    if (r < 0)
        return r;
    identity_done(&issuer->leaf);
    issuer->leaf = leaf;
    spec->issued(spec->data, &issuer->leaf);
    return 0;
}

static void use_authorities(struct issuer *issuer)
{
    struct error err = ERROR_INIT;

    if (issue(issuer, time(NULL), &err) < 0) {
        fail_round(issuer, "sign a certificate", &err);
        return;
    }
    if (encode_bundle(issuer) < 0) {
        error_set(&err, -ENOMEM, "out of memory");
        fail_round(issuer, "write the caBundle", &err);
        return;
    }
    issuer->configuration = 0;
    read_configuration(issuer);
}

/* ---- The Secret ---------------------------------------------------------------------------- */

static json_t *make_secret(const struct issuer *issuer)
{
    cleanup_buf struct buf certificates = BUF_INIT(AUTHORITIES_PEM_MAX);
    struct buf keys CLEANUP(buf_wipe) = BUF_INIT(AUTHORITIES_PEM_MAX);
    json_auto_t *metadata = json_pack(
        "{s:s, s:s, s:s*, s:{s:s}}", "name", ISSUER_SECRET, "namespace", issuer->spec->namespace_,
        "resourceVersion", issuer->version, "labels", GITGATE_LABEL_MANAGED_BY, GITGATE_MANAGER);

    if (authorities_write(&issuer->authorities, &certificates, &keys) < 0)
        return NULL;
    return json_pack("{s:s, s:s, s:O, s:s, s:{s:s, s:s}}", "apiVersion", "v1", "kind", "Secret",
                     "metadata", metadata, "type", "Opaque", "stringData", "ca.crt",
                     certificates.data, "ca.key", keys.data);
}

/* Another replica was first: what it wrote counts. */
static void on_written(void *data, const struct kube_response *response)
{
    struct issuer *issuer = data;

    issuer->request = NULL;
    if (response->status == 409) {
        read_secret(issuer);
        return;
    }
    if (response->err.code) {
        fail_round(issuer, "write Secret " ISSUER_SECRET, &response->err);
        return;
    }
    log_info(issuer->spec->log, "certificate authorities written",
             json_pack("{s:i}", "authorities", (int)issuer->authorities.n));
    use_authorities(issuer);
}

static void write_secret(struct issuer *issuer)
{
    struct kube_request_spec how = request(issuer, on_written);
    json_auto_t *secret = make_secret(issuer);
    struct error err = ERROR_INIT;

    error_set(&err, -ENOMEM, "out of memory");
    if (secret)
        issuer->request = issuer->version
                              ? kube_replace(issuer->client, &kube_secrets, secret, &how, &err)
                              : kube_create(issuer->client, &kube_secrets, secret, &how, &err);
    if (!issuer->request)
        fail_round(issuer, "write Secret " ISSUER_SECRET, &err);
}

static void plan(struct issuer *issuer)
{
    struct error err = ERROR_INIT;
    int r = authorities_plan(&issuer->authorities, &issuer->spec->times, time(NULL), &err);

    if (r < 0)
        fail_round(issuer, "make an authority", &err);
    else if (r > 0 || !issuer->version)
        write_secret(issuer);
    else
        use_authorities(issuer);
}

static int decode(const json_t *data, const char *key, struct buf *to)
{
    const json_t *value = json_object_get(data, key);

    return json_is_string(value)
               ? base64_decode(json_string_value(value), json_string_length(value), to)
               : -EINVAL;
}

/* One that holds no authority (somebody edited it) is written anew. */
static void take_secret(struct issuer *issuer, const json_t *secret)
{
    const json_t *metadata = json_object_get(secret, "metadata");
    const json_t *data = json_object_get(secret, "data");
    const char *version = json_string_value(json_object_get(metadata, "resourceVersion"));
    cleanup_buf struct buf certificates = BUF_INIT(AUTHORITIES_PEM_MAX);
    struct buf keys CLEANUP(buf_wipe) = BUF_INIT(AUTHORITIES_PEM_MAX);
    struct error err = ERROR_INIT;

    issuer->version = version ? strdup(version) : NULL;
    if (decode(data, "ca.crt", &certificates) < 0 || decode(data, "ca.key", &keys) < 0)
        error_set(&err, -EINVAL, "it has no ca.crt and ca.key");
    else
        authorities_read(certificates.data, keys.data, &issuer->authorities, &err);
    if (err.code)
        log_warn(issuer->spec->log, "Secret " ISSUER_SECRET " is no use and is written anew",
                 json_pack("{s:s}", "error", err.msg));
}

static void on_secret(void *data, const struct kube_response *response)
{
    struct issuer *issuer = data;
    struct error err = response->err;
    json_auto_t *secret = NULL;
    int r = err.code;

    issuer->request = NULL;
    free(issuer->version);
    issuer->version = NULL;
    authorities_done(&issuer->authorities);
    if (response->status == 404)
        r = 0;
    else if (r == 0)
        r = object_read(response->body, response->len, &secret, &err);
    if (r < 0) {
        fail_round(issuer, "read Secret " ISSUER_SECRET, &err);
        return;
    }
    if (secret)
        take_secret(issuer, secret);
    plan(issuer);
}

static void read_secret(struct issuer *issuer)
{
    struct kube_request_spec how = request(issuer, on_secret);
    struct error err = ERROR_INIT;

    issuer->request = kube_get(issuer->client, &kube_secrets, issuer->spec->namespace_,
                               ISSUER_SECRET, &how, &err);
    if (!issuer->request)
        fail_round(issuer, "read Secret " ISSUER_SECRET, &err);
}

/* ---- Life ---------------------------------------------------------------------------------- */

/* Somebody (it may be this process) wrote a configuration. */
static void on_change(void *data, enum kube_change change, const char *namespace_, const char *name,
                      void *kept)
{
    struct issuer *issuer = data;

    (void)change, (void)namespace_, (void)name, (void)kept;
    if (issuer->request)
        issuer->again = true;
    else
        wait_for(issuer, 0);
}

static int watch(struct issuer *issuer, struct error *err)
{
    for (size_t i = 0; i < CONFIGURATIONS; i++) {
        struct kube_watch_spec spec = {.resource = &configurations[i],
                                       .field_selector = issuer->selector,
                                       .metadata_only = true,
                                       .changed = on_change,
                                       .data = issuer};
        int r =
            kube_watch_start(issuer->client, &spec, issuer->spec->log, &issuer->watches[i], err);

        if (r < 0)
            return r;
    }
    return 0;
}

int issuer_start(struct kube_client *client, const struct issuer_spec *spec, struct issuer **ret,
                 struct error *err)
{
    struct issuer *issuer = calloc(1, sizeof *issuer);
    int r;

    if (!issuer)
        return error_set(err, -ENOMEM, "out of memory");
    issuer->spec = spec;
    issuer->client = client;
    issuer->bundle = BUF_INIT(2 * AUTHORITIES_PEM_MAX);
    issuer->timer.data = issuer;
    uv_timer_init(kube_client_loop(client), &issuer->timer);
    r = asprintf(&issuer->selector, "metadata.name=%s", spec->configuration) < 0
            ? error_set(err, -ENOMEM, "out of memory")
            : watch(issuer, err);
    if (r < 0) {
        issuer_stop(issuer);
        return r;
    }
    read_secret(issuer);
    *ret = issuer;
    return 0;
}

bool issuer_ready(const struct issuer *issuer)
{
    return !issuer || issuer->ready;
}

static void on_closed(uv_handle_t *handle)
{
    struct issuer *issuer = handle->data;

    authorities_done(&issuer->authorities);
    identity_done(&issuer->leaf);
    buf_done(&issuer->bundle);
    free(issuer->selector);
    free(issuer->version);
    free(issuer);
}

void issuer_stop(struct issuer *issuer)
{
    if (!issuer)
        return;
    kube_request_cancel(issuer->request);
    for (size_t i = 0; i < CONFIGURATIONS; i++)
        kube_watch_stop(issuer->watches[i]);
    uv_close((uv_handle_t *)&issuer->timer, on_closed);
}
