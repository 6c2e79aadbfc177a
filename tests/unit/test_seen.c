/* What is known of an object that a watch tells of, and the digest of several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "kube/store.h"
#include "seen.h"
#include "sources.h"

#define UID "7b1f0b38-6f0e-4f55-8d3b-0a8f6a1c9d20"
#define OWNER "5a0e8a4e-3d5b-4c57-9b59-0f1c3f7d2e61"

static struct seen see(const json_t *object)
{
    cleanup_free char *text = json_dumps(object, 0);
    cleanup_document struct document document = DOCUMENT_INIT;

    assert_int_equal(document_parse(text, strlen(text), &document, NULL), 0);
    return seen_of(document_root(&document));
}

/* ---- Objects -------------------------------------------------------- */

static struct seen see_managed(const char *managed_fields)
{
    json_auto_t *fields = json_loads(managed_fields, 0, NULL);
    json_auto_t *object = json_pack(
        "{s:{s:s, s:s, s:[{s:s, s:s, s:s, s:s, s:b}], s:O}}", "metadata", "uid", UID,
        "resourceVersion", "7", "ownerReferences", "apiVersion", "gitgate.dev/v1alpha1", "kind",
        "GitGate", "name", "agents", "uid", OWNER, "controller", 1, "managedFields", fields);

    return see(object);
}

static struct digest applied_of(const char *annotation)
{
    json_auto_t *object =
        json_pack("{s:{s:{s:s}}}", "metadata", "annotations", ANNOTATION_APPLIED, annotation);

    return see(object).applied;
}

static void an_edit_shows_in_the_managed_fields(void **state)
{
    static const struct {
        const char *fields;
        bool foreign;
    } cases[] = {
        {"[]", false},
        {"[{\"manager\":\"gitgate-controller\",\"operation\":\"Apply\",\"fieldsV1\":"
         "{\"f:data\":{\"f:a\":{}},\"f:metadata\":{}}}]",
         false},
        {"[{\"manager\":\"gitgate-controller\",\"operation\":\"Apply\",\"fieldsV1\":null}]",
         true}, /* as object_mend leaves what can't be read */
        {"[{\"manager\":\"kubectl-edit\",\"operation\":\"Update\",\"fieldsV1\":"
         "{\"f:data\":{\"f:a\":{}}}}]",
         true},
        /* A label or an annotation is no content. */
        {"[{\"manager\":\"kubectl-label\",\"operation\":\"Update\",\"fieldsV1\":"
         "{\"f:metadata\":{\"f:labels\":{\"f:x\":{}}}}}]",
         false},
        /* What it was created with, and once more was applied: that leaves the former alone. */
        {"[{\"manager\":\"gitgate-controller\",\"operation\":\"Update\",\"fieldsV1\":"
         "{\"f:spec\":{}}}]",
         false},
        {"[{\"manager\":\"gitgate-controller\",\"operation\":\"Apply\",\"fieldsV1\":{\"f:spec\":{}}"
         "},"
         "{\"manager\":\"gitgate-controller\",\"operation\":\"Update\",\"fieldsV1\":{\"f:spec\":{}}"
         "}]",
         true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct seen seen = see_managed(cases[i].fields);
        struct uid uid = uid_parse(UID), owner = uid_parse(OWNER);

        assert_int_equal(seen.foreign, cases[i].foreign);
        assert_true(uid_equal(&seen.uid, &uid));
        assert_true(uid_equal(&seen.owner, &owner));
        assert_int_equal(seen.version, 7);
        assert_false(digest_equal(&seen.applied, &seen.applied));
    }
}

/* What we created is as we created it as long as that is when it was last written under our name.
 */
static void a_write_under_our_name_shows_in_its_time(void **state)
{
    static const struct {
        const char *time;
        bool rewritten;
    } cases[] = {
        {"2026-01-01T00:00:59Z", false}, /* and the request ended in the next second */
        {"2026-01-01T00:01:00Z", false}, {"2026-01-01T00:00:58Z", false},
        {"2026-01-01T00:01:01Z", true},  {"2027-01-01T00:00:59Z", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_auto_t *object =
            json_pack("{s:{s:s, s:s, s:s, s:[{s:s, s:s, s:s, s:s, s:b}], s:[{s:s, s:s, s:s, "
                      "s:{s:{}}}]}}",
                      "metadata", "uid", UID, "resourceVersion", "7", "creationTimestamp",
                      "2026-01-01T00:00:59Z", "ownerReferences", "apiVersion",
                      "gitgate.dev/v1alpha1", "kind", "GitGate", "name", "agents", "uid", OWNER,
                      "controller", 1, "managedFields", "manager", "gitgate-controller",
                      "operation", "Update", "time", cases[i].time, "fieldsV1", "f:data");
        struct seen seen = see(object);

        assert_false(seen.foreign);
        assert_int_equal(seen.rewritten, cases[i].rewritten);
    }
}

/* Anybody may annotate any object, and name any owner in one of their own: what is no digest, or no
 * UUID as the API server writes it, is none, and that equals nothing. */
static void what_is_no_digest_or_uid_equals_none(void **state)
{
    static const char digest[] = "00112233445566778899aabbccddeeff";
    static const char *const others[] = {"",
                                         "0",
                                         "00112233445566778899aabbccddee",
                                         "00112233445566778899aabbccddeeffa",
                                         "00112233445566778899aabbccddeeffa.1",
                                         "00112233445566778899AABBCCDDEEFF.1",
                                         "00112233445566778899aabbccddeef .1",
                                         "00000000000000000000000000000000.1",
                                         "0011223344556677.8899aabbccddeeff"};
    static const char *const uids[] = {"",
                                       "g",
                                       "00112233-4455-6677-8899-AABBCCDDEEFF",
                                       "00112233-4455-6677-8899-aabbccddeeff0",
                                       "00112233-4455-6677-8899-aabbccddeef",
                                       "00112233_4455-6677-8899-aabbccddeeff",
                                       "0011223-34455-6677-8899-aabbccddeeff",
                                       "00000000-0000-0000-0000-000000000000"};
    struct digest applied = applied_of("00112233445566778899aabbccddeeff.2");
    char text[33];

    (void)state;
    hex_print(applied.bytes, text);
    assert_string_equal(text, digest);
    assert_true(digest_equal(&applied, &applied));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        applied = applied_of(others[i]);
        assert_false(digest_equal(&applied, &applied));
    }
    for (size_t i = 0; i < sizeof uids / sizeof *uids; i++) {
        struct uid uid = uid_parse(uids[i]);

        assert_false(uid_equal(&uid, &uid));
    }
}

static void ids_are_printed_as_they_were_read(void **state)
{
    static const char text[] = "00112233-4455-6677-8899-aabbccddeeff";
    struct uid uid = uid_parse(text);
    char again[UID_TEXT_SIZE];

    (void)state;
    uid_print(&uid, again);
    assert_string_equal(again, text);
    assert_true(version_parse("18446744073709551615") == UINT64_MAX);
    assert_int_equal(version_parse("18446744073709551616"), 0);
    assert_int_equal(version_parse("7a"), 0);
    assert_int_equal(version_parse(NULL), 0);
}

/* ---- Sources -------------------------------------------------------------------------------- */

static void the_digest_changes_with_every_source(void **state)
{
    struct gitgate gate = {.uid = "u", .generation = 1};
    struct sources sources = {.list = {{.resource = &kube_secrets, .name = "a"},
                                       {.resource = &kube_secrets, .name = "b"}},
                              .n = 2};
    struct source *source = &sources.list[0];
    struct digest digests[5];

    (void)state;
    digests[0] = sources_digest(&gate, &sources);
    source->there = true;
    source->uid = uid_parse(UID);
    digests[1] = sources_digest(&gate, &sources);
    source->version = 6;
    digests[2] = sources_digest(&gate, &sources);
    source->uid = uid_parse(OWNER);
    digests[3] = sources_digest(&gate, &sources);
    gate.generation = 2;
    digests[4] = sources_digest(&gate, &sources);
    for (size_t i = 0; i + 1 < sizeof digests / sizeof *digests; i++) {
        assert_true(digest_equal(&digests[i], &digests[i]));
        assert_false(digest_equal(&digests[i], &digests[i + 1]));
    }
}

/* ---- Room ---------------------------------------------------------------------------------- */

#define OBJECTS 1000u
#define EACH 160u /* with its key of 40 and the allocator's own */

/* There are five to a GitGate, and every Secret and ConfigMap of the cluster. (Under
 * AddressSanitizer nothing is counted.) */
static void what_is_known_of_an_object_takes_little(void **state)
{
    struct kube_store *store = kube_store_new(NULL);
    json_auto_t *object = json_pack("{s:{s:s}}", "metadata", "uid", UID);
    struct seen seen = see(object);
    size_t before = mallinfo2().uordblks;
    char name[64];

    (void)state;
    for (unsigned i = 0; i < OBJECTS; i++) {
        snprintf(name, sizeof name, "agents-%06u-gitgate-internal", i);
        assert_non_null(kube_store_put(store, "team-a", name, &seen, sizeof seen));
    }
    assert_true(mallinfo2().uordblks - before <= OBJECTS * EACH);
    kube_store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_edit_shows_in_the_managed_fields),
        cmocka_unit_test(a_write_under_our_name_shows_in_its_time),
        cmocka_unit_test(what_is_no_digest_or_uid_equals_none),
        cmocka_unit_test(ids_are_printed_as_they_were_read),
        cmocka_unit_test(the_digest_changes_with_every_source),
        cmocka_unit_test(what_is_known_of_an_object_takes_little),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
