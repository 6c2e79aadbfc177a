/* The webhook's own certificates through the years, by a clock that the test turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "authority.h"
#include "bundle.h"

#define START INT64_C(1700000000)
#define HOUR INT64_C(3600)
#define DAY (24 * HOUR)
#define HOST "gitgate-webhook.gitgate-system.svc"

static const struct authority_times times = AUTHORITY_TIMES;

/* As a client that trusts `trusted` and nothing else, at `now`. */
static bool trusts(const struct authorities *trusted, const struct identity *leaf, int64_t now)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    bool ok;

    for (size_t i = 0; i < trusted->n; i++)
        X509_STORE_add_cert(store, trusted->list[i].certificate);
    X509_STORE_CTX_init(context, store, leaf->certificate, NULL);
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context), now);
    X509_VERIFY_PARAM_set_purpose(X509_STORE_CTX_get0_param(context), X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set1_host(X509_STORE_CTX_get0_param(context), HOST, 0);
    ok = X509_verify_cert(context) == 1;
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return ok;
}

static void sign_at(const struct authorities *authorities, int64_t now, struct identity *ret)
{
    assert_int_equal(
        authority_sign(authorities_signer(authorities, &times, now), HOST, &times, now, ret, NULL),
        0);
}

/* What another replica, or an API server, last read. */
static void copy(const struct authorities *from, struct authorities *to)
{
    cleanup_buf struct buf certificates = BUF_INIT(AUTHORITIES_PEM_MAX);
    struct buf keys CLEANUP(buf_wipe) = BUF_INIT(AUTHORITIES_PEM_MAX);

    authorities_done(to);
    assert_int_equal(authorities_write(from, &certificates, &keys), 0);
    assert_int_equal(authorities_read(certificates.data, keys.data, to, NULL), 0);
    assert_int_equal(to->n, from->n);
}

static void through_five_years_every_certificate_in_use_is_trusted_by_all(void **state)
{
    cleanup_authorities struct authorities ours = AUTHORITIES_INIT, stale = AUTHORITIES_INIT;
    cleanup_identity struct identity leaf = IDENTITY_INIT;
    int made = 0;

    (void)state;
    for (int64_t now = START; now < START + 5 * 365 * DAY; now += 6 * HOUR) {
        int r = authorities_plan(&ours, &times, now, NULL);

        assert_true(r >= 0);
        assert_true(ours.n >= 1 && ours.n <= 2);
        made += r > 0;
        /* An hour later, when the signer may be another, what was trusted an hour ago holds. */
        if (!stale.n)
            copy(&ours, &stale);
        if (!leaf.certificate || now >= authority_due_at(leaf.certificate)) {
            identity_done(&leaf);
            sign_at(&ours, now, &leaf);
        }
        assert_true(trusts(&ours, &leaf, now));
        assert_true(r > 0 || trusts(&stale, &leaf, now));
        copy(&ours, &stale);
    }
    assert_true(made >= 10); /* 7 successors, and as many that went */
}

static void a_successor_signs_only_when_it_has_settled(void **state)
{
    cleanup_authorities struct authorities list = AUTHORITIES_INIT, before = AUTHORITIES_INIT;
    cleanup_identity struct identity early = IDENTITY_INIT, late = IDENTITY_INIT;
    int64_t due = START + 244 * DAY;

    (void)state;
    assert_int_equal(authorities_plan(&list, &times, START, NULL), 1);
    assert_int_equal(authorities_plan(&list, &times, START + 1, NULL), 0);
    copy(&list, &before);
    assert_int_equal(authorities_plan(&list, &times, due, NULL), 1);
    assert_int_equal(list.n, 2);
    sign_at(&list, due + HOUR - 1, &early);
    assert_true(trusts(&before, &early, due + HOUR));
    sign_at(&list, due + HOUR, &late);
    assert_false(trusts(&before, &late, due + HOUR));
    assert_true(trusts(&list, &late, due + HOUR));
    assert_int_equal(authorities_plan(&list, &times, due + 7 * DAY, NULL), 0);
    assert_int_equal(authorities_plan(&list, &times, due + 7 * DAY + HOUR, NULL), 1);
    assert_int_equal(list.n, 1);
}

/* As a Secret from a backup has it, or one of other settings. */
static void
an_authority_that_is_about_to_end_leaves_nobody_with_an_untrusted_certificate(void **state)
{
    static const int64_t rests[] = {1, 60, 30 * 60, 2 * HOUR, 3 * DAY, 8 * DAY};

    (void)state;
    for (size_t i = 0; i < sizeof rests / sizeof *rests; i++) {
        const struct authority_times brief = {(uint64_t)rests[i], 10};
        cleanup_authorities struct authorities list = AUTHORITIES_INIT;
        cleanup_identity struct identity leaf = IDENTITY_INIT;
        int64_t now = START;

        assert_int_equal(authorities_plan(&list, &brief, START, NULL), 1);
        /* Each look is when the certificate is due, an hour later at the most. */
        while (now < START + rests[i] + 10 * DAY) {
            int64_t due;

            assert_true(authorities_plan(&list, &times, now, NULL) >= 0);
            assert_true(list.n <= 2);
            identity_done(&leaf);
            sign_at(&list, now, &leaf);
            due = authority_due_at(leaf.certificate);
            now = due < now + HOUR ? due + (due == now) : now + HOUR;
            assert_true(trusts(&list, &leaf, now - 1));
        }
        assert_int_equal(list.n, 1);
    }
}

static void a_certificate_is_for_its_host_alone_and_of_a_week(void **state)
{
    cleanup_authorities struct authorities list = AUTHORITIES_INIT;
    cleanup_identity struct identity leaf = IDENTITY_INIT, other = IDENTITY_INIT;

    (void)state;
    assert_int_equal(authorities_plan(&list, &times, START, NULL), 1);
    sign_at(&list, START, &leaf);
    assert_true(trusts(&list, &leaf, START));
    assert_true(trusts(&list, &leaf, START + 7 * DAY - 1));
    assert_false(trusts(&list, &leaf, START + 7 * DAY + 1));
    assert_int_equal(authority_due_at(leaf.certificate), START + 7 * DAY / 3 * 2);
    assert_int_equal(authority_sign(&list.list[0], "10.0.0.1", &times, START, &other, NULL), 0);
    assert_int_equal(X509_check_ip_asc(other.certificate, "10.0.0.1", 0), 1);
    assert_false(trusts(&list, &other, START));
}

static void what_is_no_host_name_is_refused(void **state)
{
    static const char *const bad[] = {"", "a,DNS:b", "a b", "*", "a\nb", "DNS:a"};
    cleanup_authorities struct authorities list = AUTHORITIES_INIT;
    struct identity leaf;

    (void)state;
    assert_int_equal(authorities_plan(&list, &times, START, NULL), 1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(authority_sign(&list.list[0], bad[i], &times, START, &leaf, NULL),
                         -EINVAL);
}

static void what_holds_no_authority_is_refused(void **state)
{
    cleanup_authorities struct authorities a = AUTHORITIES_INIT, b = AUTHORITIES_INIT;
    struct authorities c;
    cleanup_buf struct buf certificates = BUF_INIT(AUTHORITIES_PEM_MAX);
    struct buf keys CLEANUP(buf_wipe) = BUF_INIT(AUTHORITIES_PEM_MAX);

    (void)state;
    assert_int_equal(authorities_plan(&a, &times, START, NULL), 1);
    assert_int_equal(authorities_plan(&b, &times, START, NULL), 1);
    assert_int_equal(authorities_write(&a, &certificates, NULL), 0);
    assert_int_equal(authorities_read(certificates.data, "", &c, NULL), -EINVAL);
    buf_reset(&certificates);
    assert_int_equal(authorities_write(&b, &certificates, &keys), 0);
    assert_int_equal(authorities_read("nonsense", keys.data, &c, NULL), -EINVAL);
    buf_reset(&certificates);
    assert_int_equal(authorities_write(&a, &certificates, NULL), 0);
    assert_int_equal(authorities_read(certificates.data, keys.data, &c, NULL), -EINVAL);
}

static void only_webhooks_with_another_bundle_are_patched(void **state)
{
    json_auto_t *configuration =
        json_pack("{s:[{s:s, s:{s:s}}, {s:s, s:{}}]}", "webhooks", "name", "a", "clientConfig",
                  "caBundle", "Q0E=", "name", "b", "clientConfig");
    json_auto_t *patch = bundle_patch(configuration, "Q0E=");
    json_auto_t *expected = json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:s}]", "op", "test", "path",
                                      "/webhooks/1/name", "value", "b", "op", "add", "path",
                                      "/webhooks/1/clientConfig/caBundle", "value", "Q0E=");
    json_auto_t *none = bundle_patch(json_object_get(configuration, "webhooks"), "Q0E=");

    (void)state;
    assert_true(json_equal(patch, expected));
    assert_int_equal(json_array_size(none), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(through_five_years_every_certificate_in_use_is_trusted_by_all),
        cmocka_unit_test(a_successor_signs_only_when_it_has_settled),
        cmocka_unit_test(
            an_authority_that_is_about_to_end_leaves_nobody_with_an_untrusted_certificate),
        cmocka_unit_test(a_certificate_is_for_its_host_alone_and_of_a_week),
        cmocka_unit_test(what_is_no_host_name_is_refused),
        cmocka_unit_test(what_holds_no_authority_is_refused),
        cmocka_unit_test(only_webhooks_with_another_bundle_are_patched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
