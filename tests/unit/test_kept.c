/* GitGates as they are kept: what goes in comes out, and it takes little room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "kept.h"

#define KEPT_MAX (8u << 20)

/* Steals `object`. */
static int keep(json_t *object, struct buf *kept)
{
    cleanup_free char *text = json_dumps(object, 0);
    cleanup_document struct document document = DOCUMENT_INIT;

    json_decref(object);
    assert_int_equal(document_parse(text, strlen(text), &document, NULL), 0);
    return kept_gate_add(document_root(&document), kept);
}

static struct kept_gate *kept_of(struct buf *kept)
{
    return (void *)kept->data;
}

/* Without what nobody asks for; steals `object`. */
static void assert_comes_out(json_t *object)
{
    cleanup_buf struct buf kept = BUF_INIT(KEPT_MAX);
    json_auto_t *wanted = NULL, *got = NULL;
    json_t *metadata = json_object_get(object, "metadata");

    json_object_del(metadata, "creationTimestamp");
    wanted = json_deep_copy(object);

    json_object_set_new(metadata, "managedFields", json_pack("[{s:s}]", "manager", "kubectl"));
    json_object_set_new(metadata, "annotations", json_pack("{s:s}", "any", "text"));
    json_object_set_new(metadata, "labels", json_pack("{s:s}", "any", "text"));
    json_object_set_new(metadata, "finalizers", json_pack("[s]", "any/text"));
    assert_int_equal(keep(object, &kept), 0);
    assert_int_equal(kept.len, sizeof(struct kept_gate) + kept_of(&kept)->size);
    got = kept_gate_object(kept_of(&kept));
    assert_true(json_equal(got, wanted));
    kept_gate_done(kept_of(&kept));
}

static void every_golden_gate_comes_out_as_it_went_in(void **state)
{
    glob_t found;

    (void)state;
    assert_int_equal(glob("reconcile/*/in.json", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        json_auto_t *in = json_load_file(found.gl_pathv[i], 0, NULL);

        assert_comes_out(json_deep_copy(json_object_get(in, "gitgate")));
    }
    globfree(&found);
}

static json_t *gate_with(const char *text)
{
    return json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:{s:{s:s}}}}", "apiVersion",
                     "gitgate.dev/v1alpha1", "kind", "GitGate", "metadata", "name", "a",
                     "resourceVersion", "5", "spec", "text", text, "podSelector", "matchLabels",
                     "app", "agent");
}

/* Steals `object`. */
static size_t weight_of(json_t *object)
{
    cleanup_buf struct buf kept = BUF_INIT(KEPT_MAX);
    size_t weight;

    assert_int_equal(keep(object, &kept), 0);
    weight = kept_gate_weight(kept.data);
    kept_gate_done(kept.data);
    return weight;
}

static void usual_gitgates_take_nothing_of_their_namespaces_share(void **state)
{
    glob_t found;

    (void)state;
    assert_int_equal(glob("reconcile/*/in.json", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        json_auto_t *in = json_load_file(found.gl_pathv[i], 0, NULL);

        assert_int_equal(weight_of(json_deep_copy(json_object_get(in, "gitgate"))), 0);
    }
    globfree(&found);
}

static void a_large_gitgate_takes_its_size_of_its_namespaces_share(void **state)
{
    static char text[100001];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    assert_in_range(weight_of(gate_with(text)), 95000, 105000);
}

/* What looks like nothing known, and what is far larger than the window. */
static void any_text_comes_out(void **state)
{
    static char noise[300001], same[1000001];

    (void)state;
    srand(1);
    for (size_t i = 0; i < sizeof noise - 1; i++)
        noise[i] = (char)(' ' + rand() % 90);
    memset(same, 'x', sizeof same - 1);
    assert_comes_out(gate_with(""));
    assert_comes_out(gate_with(noise));
    assert_comes_out(gate_with(same));
}

static void a_usual_gate_takes_a_fifth_of_its_text(void **state)
{
    json_auto_t *in = json_load_file("reconcile/nothing-to-do/in.json", 0, NULL);
    cleanup_buf struct buf kept = BUF_INIT(KEPT_MAX);

    (void)state;
    assert_int_equal(keep(json_deep_copy(json_object_get(in, "gitgate")), &kept), 0);
    assert_true(kept_of(&kept)->len > 1000);
    assert_true(kept.len < kept_of(&kept)->len / 5 + sizeof(struct kept_gate));
}

/* Nothing bounds them but the object's own size, and whoever makes many GitGates must not fill the
 * memory that serves all. */
static void labels_take_no_room(void **state)
{
    json_auto_t *in = json_load_file("reconcile/nothing-to-do/in.json", 0, NULL);
    json_t *gate = json_object_get(in, "gitgate"), *labels = json_object();
    cleanup_buf struct buf before = BUF_INIT(KEPT_MAX), after = BUF_INIT(KEPT_MAX);
    char key[32];

    (void)state;
    assert_int_equal(keep(json_deep_copy(gate), &before), 0);
    srand(1);
    for (int i = 0; i < 10000; i++) {
        snprintf(key, sizeof key, "%d.%d", i, rand());
        json_object_set_new(labels, key, json_sprintf("%d-%d-%d", rand(), rand(), rand()));
    }
    json_object_set_new(json_object_get(gate, "metadata"), "labels", labels);
    assert_int_equal(keep(json_deep_copy(gate), &after), 0);
    assert_int_equal(after.len, before.len);
    kept_gate_done(kept_of(&before));
    kept_gate_done(kept_of(&after));
}

static void the_selector_is_at_hand(void **state)
{
    cleanup_buf struct buf kept = BUF_INIT(KEPT_MAX);
    json_auto_t *selector = json_pack("{s:{s:s}}", "matchLabels", "app", "agent");

    (void)state;
    assert_int_equal(keep(gate_with(""), &kept), 0);
    assert_true(json_equal(kept_of(&kept)->selector, selector));
    assert_int_equal(kept_of(&kept)->version, 5);
    kept_gate_done(kept_of(&kept));
}

static void a_gate_without_a_version_is_none(void **state)
{
    cleanup_buf struct buf kept = BUF_INIT(KEPT_MAX);

    (void)state;
    assert_int_equal(keep(json_pack("{s:{s:s}}", "metadata", "name", "a"), &kept), -EBADMSG);
    assert_int_equal(kept.len, 0);
}

/* Memory that was written over is no GitGate. */
static void what_is_damaged_does_not_come_out(void **state)
{
    cleanup_buf struct buf kept = BUF_INIT(KEPT_MAX);

    (void)state;
    assert_int_equal(keep(gate_with("text"), &kept), 0);
    kept_gate_done(kept_of(&kept));
    kept_of(&kept)->len--;
    assert_null(kept_gate_object(kept_of(&kept)));
    kept_of(&kept)->len += 2;
    assert_null(kept_gate_object(kept_of(&kept)));
    kept_of(&kept)->len--;
    kept_of(&kept)->size--;
    assert_null(kept_gate_object(kept_of(&kept)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_golden_gate_comes_out_as_it_went_in),
        cmocka_unit_test(usual_gitgates_take_nothing_of_their_namespaces_share),
        cmocka_unit_test(a_large_gitgate_takes_its_size_of_its_namespaces_share),
        cmocka_unit_test(any_text_comes_out),
        cmocka_unit_test(a_usual_gate_takes_a_fifth_of_its_text),
        cmocka_unit_test(labels_take_no_room),
        cmocka_unit_test(the_selector_is_at_hand),
        cmocka_unit_test(a_gate_without_a_version_is_none),
        cmocka_unit_test(what_is_damaged_does_not_come_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
