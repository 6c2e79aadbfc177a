#include "kube/lease.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"
#include "kube/apply.h"
#include "kube/object.h"

#define REQUEST_MS (KUBE_LEASE_RENEW_MS / 2) /* so that a renewal can be tried twice */
#define RELEASED_DURATION_S 1 /* client-go's: who sees it may take it, however its clock goes */

struct kube_lease {
    struct kube_client *client;
    struct kube_lease_spec spec;
    const struct log *log;
    uv_timer_t retry, deadline;
    struct kube_request *request;
    json_t *object;      /* as it was last seen; NULL: not known, ask */
    uint64_t seen_at;    /* when it was first seen like that */
    uint64_t sent_at;    /* the write on its way */
    uint64_t renewed_at; /* the last write of ours that arrived was sent then */
    bool leading;
    bool releasing;
    unsigned closing;
};

/* Milliseconds that go on while the machine is suspended, and that nobody can set. */
static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static const json_t *spec_of(const json_t *object)
{
    return json_object_get(object, "spec");
}

static const char *holder_of(const json_t *object)
{
    const char *holder = json_string_value(json_object_get(spec_of(object), "holderIdentity"));

    return holder ? holder : "";
}

static bool is_ours(const struct kube_lease *lease)
{
    return strcmp(holder_of(lease->object), lease->spec.identity) == 0;
}

bool kube_lease_held(const struct kube_lease *lease)
{
    return lease && lease->leading && clock_ms() - lease->renewed_at < KUBE_LEASE_RENEW_MS;
}

uint64_t kube_lease_time_to_write(const struct kube_lease *lease)
{
    return kube_lease_held(lease) ? KUBE_LEASE_DURATION_MS - (clock_ms() - lease->renewed_at) : 0;
}

/* ---- Holding and losing ------------------------------------------------------------------- */

static void lose(struct kube_lease *lease)
{
    if (!lease->leading)
        return;
    lease->leading = false;
    uv_timer_stop(&lease->deadline);
    log_warn(
        lease->log, "the lease is lost",
        json_pack("{s:s, s:s}", "lease", lease->spec.name, "holder", holder_of(lease->object)));
    lease->spec.lost(lease->spec.data);
}

static void on_deadline(uv_timer_t *timer)
{
    lose(timer->data);
}

static void hold(struct kube_lease *lease)
{
    uint64_t age = clock_ms() - lease->sent_at;

    /* The machine slept: the deadline's timer did too, and what was told meanwhile was not taken
     * up. */
    if (lease->leading && !kube_lease_held(lease))
        lose(lease);
    if (age >= KUBE_LEASE_RENEW_MS) /* it slept after that was sent: the next renewal tells */
        return;
    lease->renewed_at = lease->sent_at;
    uv_timer_start(&lease->deadline, on_deadline, KUBE_LEASE_RENEW_MS - age, 0);
    if (lease->leading)
        return;
    lease->leading = true;
    log_info(lease->log, "the lease is ours",
             json_pack("{s:s, s:s}", "lease", lease->spec.name, "holder", lease->spec.identity));
    lease->spec.acquired(lease->spec.data);
}

/* Steals `object`. */
static void see(struct kube_lease *lease, json_t *object)
{
    const json_t *before = spec_of(lease->object);

    if (!before || !json_equal(before, spec_of(object)))
        lease->seen_at = clock_ms();
    json_decref(lease->object);
    lease->object = object;
}

static void forget(struct kube_lease *lease)
{
    json_decref(lease->object);
    lease->object = NULL;
}

/* ---- The Lease object --------------------------------------------------------------------- */

static json_t *micro_time(void)
{
    char now[TIMESTAMP_SIZE];

    timestamp_now(TIMESTAMP_US, now);
    return json_string(now);
}

/* The object to write: what is there, with our hold (or, on release, nobody's) in it. */
static json_t *next_object(const struct kube_lease *lease)
{
    bool ours = is_ours(lease), free_it = lease->releasing;
    json_int_t transitions =
        json_integer_value(json_object_get(spec_of(lease->object), "leaseTransitions"));
    json_t *acquired = json_object_get(spec_of(lease->object), "acquireTime");
    json_t *object = lease->object
                         ? json_deep_copy(lease->object)
                         : json_pack("{s:s, s:s, s:{s:s, s:s}}", "apiVersion",
                                     "coordination.k8s.io/v1", "kind", "Lease", "metadata", "name",
                                     lease->spec.name, "namespace", lease->spec.namespace_);
    json_t *spec = json_pack(
        "{s:s, s:i, s:o, s:o, s:I}", "holderIdentity", free_it ? "" : lease->spec.identity,
        "leaseDurationSeconds",
        free_it ? RELEASED_DURATION_S : (int)(KUBE_LEASE_DURATION_MS / 1000), "renewTime",
        micro_time(), "acquireTime", ours && acquired ? json_incref(acquired) : micro_time(),
        "leaseTransitions", ours || !lease->object ? transitions : transitions + 1);

    if (json_object_set_new(object, "spec", spec) == 0)
        return object;
    json_decref(object);
    return NULL;
}

/* Its holder has not moved for as long as it asked to be trusted. */
static bool is_free(const struct kube_lease *lease)
{
    json_int_t seconds =
        json_integer_value(json_object_get(spec_of(lease->object), "leaseDurationSeconds"));
    uint64_t duration = seconds > 0 ? (uint64_t)seconds * 1000 : KUBE_LEASE_DURATION_MS;

    return !*holder_of(lease->object) || clock_ms() - lease->seen_at >= duration;
}

/* ---- Asking and writing ------------------------------------------------------------------- */

static void on_retry(uv_timer_t *timer);

static void try_again_in(struct kube_lease *lease, uint64_t ms)
{
    uv_timer_start(&lease->retry, on_retry, ms, 0);
}

static void end_release(struct kube_lease *lease)
{
    lease->releasing = false;
    lease->leading = false;
    uv_timer_stop(&lease->retry);
    uv_timer_stop(&lease->deadline);
    lease->spec.released(lease->spec.data);
}

static void note_failure(const struct kube_lease *lease, const struct error *err)
{
    log_warn(lease->log, "the lease was not renewed or taken, will try again",
             json_pack("{s:s, s:s}", "lease", lease->spec.name, "error", err->msg));
}

static void write_lease(struct kube_lease *lease);

/* Negative, and why, when it was not told. */
static int read_lease(const struct kube_response *response, json_t **ret, struct error *err)
{
    *err = response->err;
    if (err->code || object_read(response->body, response->len, ret, err) == 0)
        return err->code;
    return error_wrap(err, err->code, "the API server's answer");
}

static void on_written(void *data, const struct kube_response *response)
{
    struct kube_lease *lease = data;
    json_t *object = NULL;
    struct error err = ERROR_INIT;

    read_lease(response, &object, &err);
    lease->request = NULL;
    if (object) {
        see(lease, object);
        if (!lease->releasing)
            hold(lease);
        else if (is_ours(lease)) /* a renewal that was on its way */
            write_lease(lease);
        else
            end_release(lease);
        return;
    }
    forget(lease); /* somebody else wrote, or nobody knows: look before the next write */
    if (lease->releasing)
        end_release(lease);
    else if (response->status == 409)
        try_again_in(lease, 0);
    else
        note_failure(lease, &err);
}

static void write_lease(struct kube_lease *lease)
{
    struct error err = ERROR_INIT;
    json_auto_t *object = next_object(lease);
    bool known = json_object_get(json_object_get(lease->object, "metadata"), "resourceVersion");
    struct kube_request_spec how = {
        .timeout_ms = REQUEST_MS, .unguarded = true, .done = on_written, .data = lease};

    lease->sent_at = clock_ms();
    if (object && known)
        lease->request = kube_replace(lease->client, &kube_leases, object, &how, &err);
    else if (object)
        lease->request = kube_create(lease->client, &kube_leases, object, &how, &err);
    if (!lease->request)
        note_failure(lease, &err);
    if (!lease->request && lease->releasing)
        end_release(lease);
}

static void decide(struct kube_lease *lease)
{
    if (!is_ours(lease) && lease->leading)
        lose(lease);
    if (is_ours(lease) || is_free(lease))
        write_lease(lease);
}

static void on_asked(void *data, const struct kube_response *response)
{
    struct kube_lease *lease = data;
    json_t *object = NULL;
    struct error err = ERROR_INIT;
    int r = read_lease(response, &object, &err);

    lease->request = NULL;
    if (lease->releasing) {
        json_decref(object);
        end_release(lease);
    } else if (object) {
        see(lease, object);
        decide(lease);
    } else if (r == -ENOENT) {
        write_lease(lease);
    } else {
        note_failure(lease, &err);
    }
}

/* A holder knows what is there: it writes without a look, and a conflict tells if it was wrong. */
static void on_retry(uv_timer_t *timer)
{
    struct kube_lease *lease = timer->data;
    struct kube_request_spec how = {.timeout_ms = REQUEST_MS, .done = on_asked, .data = lease};
    struct error err = ERROR_INIT;

    try_again_in(lease, KUBE_LEASE_RETRY_MS);
    if (lease->request)
        return;
    if (lease->object && is_ours(lease)) {
        write_lease(lease);
        return;
    }
    lease->request =
        kube_get(lease->client, &kube_leases, lease->spec.namespace_, lease->spec.name, &how, &err);
    if (!lease->request)
        note_failure(lease, &err);
}

/* ---- Beginning and end -------------------------------------------------------------------- */

int kube_lease_start(struct kube_client *client, const struct kube_lease_spec *spec,
                     const struct log *log, struct kube_lease **ret, struct error *err)
{
    struct kube_lease *lease = calloc(1, sizeof *lease);

    if (!lease)
        return error_set(err, -ENOMEM, "memory is short");
    lease->client = client;
    lease->spec = *spec;
    lease->log = log;
    uv_timer_init(kube_client_loop(client), &lease->retry);
    uv_timer_init(kube_client_loop(client), &lease->deadline);
    lease->retry.data = lease->deadline.data = lease;
    try_again_in(lease, 0);
    *ret = lease;
    return 0;
}

void kube_lease_release(struct kube_lease *lease)
{
    uv_timer_stop(&lease->retry);
    lease->releasing = true;
    if (lease->request) /* whatever it brings decides */
        return;
    if (kube_lease_held(lease) && lease->object)
        write_lease(lease);
    else
        end_release(lease);
}

static void on_closed(uv_handle_t *timer)
{
    struct kube_lease *lease = timer->data;

    if (++lease->closing < 2)
        return;
    forget(lease);
    free(lease);
}

void kube_lease_stop(struct kube_lease *lease)
{
    if (!lease)
        return;
    kube_request_cancel(lease->request);
    lease->request = NULL;
    uv_close((uv_handle_t *)&lease->retry, on_closed);
    uv_close((uv_handle_t *)&lease->deadline, on_closed);
}
