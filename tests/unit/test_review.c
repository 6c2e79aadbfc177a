/* The webhook's wire: what the API server asks, and the patch that it is answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "patch.h"
#include "review.h"

static void what_is_no_admission_review_is_refused_with_what_it_lacks(void **state)
{
    static const struct {
        const char *body, *message;
    } bad[] = {
        {"", "the body cannot be read: is not JSON: byte 0"},
        {"{\"kind\":1,\"kind\":1}", "stands twice"},
        {"\"\xff\"", "is not UTF-8"},
        {"[]", "not an AdmissionReview of admission.k8s.io/v1"},
        {"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1beta1\"}",
         "admissionReviewVersions: [v1]"},
        {"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\"}",
         "has no request in it"},
        {"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{}}",
         "has no uid"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct review review = {0};
        struct error err = ERROR_INIT;
        cleanup_free char *body = strdup(bad[i].body);

        assert_int_equal(review_parse(body, strlen(body), &review, &err), -EINVAL);
        assert_non_null(strstr(err.msg, bad[i].message));
    }
}

static void ten_thousand_nested_arrays_are_refused_not_followed(void **state)
{
    char body[20001];
    struct review review = {0};

    (void)state;
    memset(body, '[', 10000);
    memset(body + 10000, ']', 10000);
    assert_int_equal(review_parse(body, 20000, &review, NULL), -EINVAL);
}

static void pointers_escape_what_would_end_a_token(void **state)
{
    struct pointer labels = pointer_to("/metadata/labels");

    (void)state;
    assert_string_equal(pointer_member(&labels, "a/b~c").text, "/metadata/labels/a~1b~0c");
    assert_string_equal(pointer_index(&labels, 12).text, "/metadata/labels/12");
    assert_string_equal(pointer_end(&labels).text, "/metadata/labels/-");
}

static void a_pointer_that_is_too_long_spoils_the_patch(void **state)
{
    char key[2 * POINTER_MAX];
    struct pointer root = pointer_to("");
    cleanup_patch struct patch patch = PATCH_INIT;

    (void)state;
    memset(key, '/', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    patch_add(&patch, pointer_member(&root, key), "true");
    assert_int_equal(patch_error(&patch), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_admission_review_is_refused_with_what_it_lacks),
        cmocka_unit_test(ten_thousand_nested_arrays_are_refused_not_followed),
        cmocka_unit_test(pointers_escape_what_would_end_a_token),
        cmocka_unit_test(a_pointer_that_is_too_long_spoils_the_patch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
