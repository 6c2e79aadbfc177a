/* lib/kube without a network: framing, store, URLs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "kube/config.h"
#include "kube/decoder.h"
#include "kube/object.h"
#include "kube/resource.h"
#include "kube/store.h"

/* ---- decoder ---- */

/* Two events, one with a character of three bytes, blank lines between, CR LF once. */
static const char stream[] =
    "{\"type\":\"ADDED\",\"object\":{\"name\":\"caf\xc3\xa9\xe2\x82\xac\"}}\n"
    "\n"
    "{\"type\":\"DELETED\",\"object\":{}}\r\n";

static int note(void *data, const struct node *document, struct error *err)
{
    (void)err;
    buf_addf(data, "%s;", node_string(node_get(document, "type")));
    return 0;
}

static void any_split_gives_the_same_events(void **state)
{
    size_t len = sizeof stream - 1;

    (void)state;
    for (size_t piece = 1; piece <= len; piece++) {
        cleanup_buf struct buf seen = BUF_INIT(100);
        struct kube_decoder decoder = KUBE_DECODER_INIT(200, note, &seen);
        struct error err = ERROR_INIT;

        for (size_t at = 0; at < len; at += piece) {
            size_t n = len - at < piece ? len - at : piece;
            assert_int_equal(kube_decoder_feed(&decoder, stream + at, n, &err), 0);
        }
        assert_string_equal(seen.data, "ADDED;DELETED;");
        kube_decoder_done(&decoder);
    }
}

static void an_object_cut_in_the_middle_is_forgotten(void **state)
{
    cleanup_buf struct buf seen = BUF_INIT(100);
    struct kube_decoder decoder = KUBE_DECODER_INIT(200, note, &seen);
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(kube_decoder_feed(&decoder, stream, 20, &err), 0);
    kube_decoder_reset(&decoder);
    assert_int_equal(kube_decoder_feed(&decoder, stream, sizeof stream - 1, &err), 0);
    assert_string_equal(seen.data, "ADDED;DELETED;");
    kube_decoder_done(&decoder);
}

/* Anybody who may annotate an object can send one. */
static void a_nul_character_stops_no_stream(void **state)
{
    static const char *const cases[][2] = {
        {"{\"type\":\"a\\u0000b\"}\n", "a\xef\xbf\xbd"
                                       "b;"},
        {"{\"type\":\"\\u0000\\u0000\"}\n", "\xef\xbf\xbd\xef\xbf\xbd;"},
        {"{\"type\":\"\\\\u0000\"}\n", "\\u0000;"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup_buf struct buf seen = BUF_INIT(100);
        struct kube_decoder decoder = KUBE_DECODER_INIT(200, note, &seen);
        struct error err = ERROR_INIT;

        assert_int_equal(kube_decoder_feed(&decoder, cases[i][0], strlen(cases[i][0]), &err), 0);
        assert_string_equal(seen.data, cases[i][1]);
        kube_decoder_done(&decoder);
    }
}

/* A thousand deep: the API server takes it. */
static char *deep_fields(void)
{
    static char text[8000];
    size_t at = 0;

    for (int i = 0; i < 1000; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "{\"f:\":");
    memset(text + at, '{', 1);
    memset(text + at + 1, '}', 1001);
    return text;
}

/* Anybody who may write an object can send these to all who watch it. */
static void fields_that_no_reader_takes_stop_no_stream(void **state)
{
    const char *const fields[] = {deep_fields(),
                                  "{\"f:\xff\xfe\":{}}",
                                  "{\"f:\xed\xa0\x80\":{}}",
                                  "{\"f:\\u0000\":{},\"f:\xef\xbf\xbd\":{}}",
                                  "{\"f:\\uD800\":{}}",
                                  "{\"f:\\\"}\\\\\":{\"f:\xff\":{}}}"};

    (void)state;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        cleanup_buf struct buf seen = BUF_INIT(100), line = BUF_INIT(10000);
        struct kube_decoder decoder = KUBE_DECODER_INIT(10000, note, &seen);
        struct error err = ERROR_INIT;

        buf_addf(&line, "{\"object\":{\"fieldsV1\":%s, \"fieldsV1b\":{}},\"type\":\"a\"}\n",
                 fields[i]);
        assert_int_equal(kube_decoder_feed(&decoder, line.data, line.len, &err), 0);
        assert_string_equal(seen.data, "a;");
        kube_decoder_done(&decoder);
    }
}

static void fields_that_can_be_read_stay(void **state)
{
    static const char text[] = "[{\"fieldsV1\":{\"f:caf\xc3\xa9 \\u003c\":{\".\":{}}}},"
                               "\"\\\"fieldsV1\\\":\\\"\\\\u0000\",{\"fieldsV1\":null},"
                               "{\"fieldsV1\":";
    char copy[sizeof text];

    (void)state;
    memcpy(copy, text, sizeof text);
    object_mend(copy, sizeof text - 1);
    assert_string_equal(copy, text);
}

static void what_is_no_object_or_too_long_is_an_error(void **state)
{
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"{\"type\":\n", -EBADMSG},
        {"[]\n", -EBADMSG},
        {"null\n", -EBADMSG},
        {"{\"a\":1,\"a\":2}\n", -EBADMSG},
        {"{\"type\":\"\xff\"}\n", -EBADMSG},
        {"{\"type\":\"a line of more than forty bytes, whole\"}\n", -E2BIG},
        {"{\"type\":\"a line of more than forty bytes, begun", -E2BIG},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup_buf struct buf seen = BUF_INIT(100);
        struct kube_decoder decoder = KUBE_DECODER_INIT(40, note, &seen);
        struct error err = ERROR_INIT;

        assert_int_equal(kube_decoder_feed(&decoder, cases[i].text, strlen(cases[i].text), &err),
                         cases[i].code);
        assert_int_equal(err.code, cases[i].code);
        assert_int_equal(seen.len, 0);
        kube_decoder_done(&decoder);
    }
}

/* ---- store ---- */

static bool list_key(void *data, const char *ns, const char *name, void *value)
{
    buf_addf(data, "%s/%s=%s ", ns, name, (const char *)value);
    return true;
}

static void list_gone(void *data, const char *ns, const char *name, void *value)
{
    list_key(data, ns, name, value);
}

static void put(struct kube_store *store, const char *ns, const char *name, const char *text)
{
    const char *value = kube_store_put(store, ns, name, text, strlen(text) + 1);

    assert_non_null(value);
    assert_string_equal(value, text);
    assert_string_equal(kube_store_namespace_of(value), ns);
    assert_string_equal(kube_store_name_of(value), name);
}

static void a_store_replaces_lists_and_forgets(void **state)
{
    cleanup_buf struct buf seen = BUF_INIT(1000);
    struct kube_store *store = kube_store_new(NULL);

    (void)state;
    put(store, "b", "x", "1");
    put(store, "a", "y", "2");
    put(store, "a", "x", "3");
    put(store, "a-b", "x", "4");
    put(store, "", "cluster", "5");
    put(store, "a", "x", "6");
    assert_int_equal(kube_store_size(store), 5);
    assert_string_equal(kube_store_get(store, "a", "x"), "6");
    assert_null(kube_store_get(store, "a", "z"));

    kube_store_each(store, "a", list_key, &seen);
    assert_string_equal(seen.data, "a/x=6 a/y=2 ");
    buf_reset(&seen);
    kube_store_each(store, NULL, list_key, &seen);
    assert_string_equal(seen.data, "/cluster=5 a/x=6 a/y=2 a-b/x=4 b/x=1 ");

    assert_true(kube_store_remove(store, "a", "y"));
    assert_false(kube_store_remove(store, "a", "y"));
    kube_store_free(store);
}

static void count_released(void *value)
{
    ++*(unsigned *)*(void **)value;
}

/* What a value owns is ended once, also that of one that finds no room. */
static void a_store_ends_what_its_values_own(void **state)
{
    struct kube_store *store = kube_store_new(count_released);
    unsigned released[4] = {0}, *owned[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        owned[i] = &released[i];
    assert_non_null(kube_store_put(store, "a", "replaced", &owned[0], sizeof owned[0]));
    assert_non_null(kube_store_put(store, "a", "replaced", &owned[1], sizeof owned[1]));
    assert_int_equal(released[0], 1);
    assert_int_equal(released[1], 0);
    assert_null(kube_store_put(store, "a", "replaced", &owned[2], SIZE_MAX));
    assert_int_equal(released[2], 1);
    assert_ptr_equal(*(unsigned **)kube_store_get(store, "a", "replaced"), owned[1]);
    assert_non_null(kube_store_put(store, "a", "removed", &owned[3], sizeof owned[3]));
    assert_true(kube_store_remove(store, "a", "removed"));
    assert_int_equal(released[3], 1);
    kube_store_free(store);
    assert_int_equal(released[1], 1);
}

static void what_is_made_is_found_again(void **state)
{
    struct kube_store *store = kube_store_new(NULL);
    uint64_t *made = kube_store_make(store, "a", "x", sizeof *made);

    (void)state;
    assert_int_equal(*made, 0);
    *made = 7;
    put(store, "a", "w", "another");
    assert_ptr_equal(kube_store_make(store, "a", "x", sizeof *made), made);
    assert_int_equal(*made, 7);
    assert_true(kube_store_remove(store, kube_store_namespace_of(made), kube_store_name_of(made)));
    assert_null(kube_store_get(store, "a", "x"));
    kube_store_free(store);
}

static void a_list_sweeps_out_what_it_does_not_hold(void **state)
{
    cleanup_buf struct buf seen = BUF_INIT(1000);
    struct kube_store *store = kube_store_new(NULL);

    (void)state;
    put(store, "a", "kept", "1");
    put(store, "a", "gone", "2");
    kube_store_mark(store);
    put(store, "a", "kept", "3");
    put(store, "a", "new", "4");
    kube_store_sweep(store, list_gone, &seen);
    assert_string_equal(seen.data, "a/gone=2 ");
    assert_int_equal(kube_store_size(store), 2);
    kube_store_free(store);
}

/* ---- URLs ---- */

static void paths_are_encoded(void **state)
{
    static const struct {
        const struct kube_resource *resource;
        const char *ns, *name, *subresource, *path;
    } cases[] = {
        {&kube_secrets, "a", "b", NULL, "/api/v1/namespaces/a/secrets/b"},
        {&kube_namespaces, NULL, NULL, NULL, "/api/v1/namespaces"},
        {&kube_gitgates, "a", "b", "status",
         "/apis/gitgate.dev/v1alpha1/namespaces/a/gitgates/b/status"},
        {&kube_config_maps, "a", "x/y?z#%\n\xc3\xa9", NULL,
         "/api/v1/namespaces/a/configmaps/x%2Fy%3Fz%23%25%0A%C3%A9"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup_buf struct buf path = BUF_INIT(1000);

        kube_path(cases[i].resource, cases[i].ns, cases[i].name, cases[i].subresource, &path);
        assert_string_equal(path.data, cases[i].path);
    }
}

static void queries_are_encoded(void **state)
{
    cleanup_buf struct buf query = BUF_INIT(1000);

    (void)state;
    kube_query(&query, "limit", "500");
    kube_query(&query, "continue", "a+b/c==&limit=1");
    assert_string_equal(query.data, "limit=500&continue=a%2Bb%2Fc%3D%3D%26limit%3D1");
}

/* ---- configuration ---- */

static char dir[] = "/tmp/gitgate-test-kube-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static const char *const files[] = {"config", "token", "ca.crt", "namespace"};

static const char *in_dir(const char *name)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int remove_dir(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(in_dir(files[i]));
    return rmdir(dir);
}

static void write_text(const char *name, const char *text)
{
    struct error err = ERROR_INIT;

    if (file_write(in_dir(name), text, strlen(text), 0600, &err) < 0)
        fail_msg("%s", err.msg);
}

/* A kubeconfig of this cluster and this user. */
static void write_config(const char *cluster, const char *user)
{
    cleanup_buf struct buf text = BUF_INIT(4096);

    buf_addf(&text,
             "apiVersion: v1\nkind: Config\ncurrent-context: here\n"
             "contexts: [{name: other, context: {cluster: x, user: y}},"
             " {name: here, context: {cluster: c, user: u, namespace: team-a}}]\n"
             "clusters: [{name: c, cluster: {%s}}]\nusers: [{name: u, user: {%s}}]\n",
             cluster, user);
    write_text("config", text.data);
}

static void a_kubeconfig_is_read_with_inline_data_and_files_beside_it(void **state)
{
    cleanup_kube_config struct kube_config config = KUBE_CONFIG_INIT;
    struct error err = ERROR_INIT;

    (void)state;
    write_text("token", "from-a-file\n");
    write_config("server: 'https://api.example:6443/', certificate-authority-data: Y2E=",
                 "client-certificate-data: Y2VydA==, client-key-data: a2V5, tokenFile: token");
    if (kube_config_file(in_dir("config"), &config, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(config.server, "https://api.example:6443");
    assert_string_equal(config.namespace_, "team-a");
    assert_string_equal(config.ca.data, "ca");
    assert_string_equal(config.cert.data, "cert");
    assert_string_equal(config.key.data, "key");
    assert_string_equal(config.token.data, "from-a-file");
    assert_string_equal(config.token_file, in_dir("token"));
}

static void what_a_kubeconfig_asks_for_and_we_do_not_do_is_refused_by_name(void **state)
{
    static const struct {
        const char *cluster, *user, *words;
    } cases[] = {
        {"server: 'https://a'", "exec: {command: id}", "users \"u\": exec is not supported"},
        {"server: 'https://a'", "auth-provider: {name: x}", "auth-provider is not supported"},
        {"server: 'https://a'", "username: a, password: b", "username is not supported"},
        {"server: 'https://a'", "as: root", "as is not supported"},
        {"server: 'https://a', proxy-url: 'http://p'", "", "clusters \"c\": proxy-url"},
        {"server: 'https://a', tls-server-name: b", "", "tls-server-name"},
        {"server: 'ftp://a'", "", "server must be an https:// address"},
        {"", "", "server must be an https:// address"},
        {"server: 'https://a', certificate-authority-data: '?'", "",
         "certificate-authority-data is not base64"},
        {"server: 'https://a', certificate-authority: nowhere.crt", "", "certificate-authority"},
        {"server: 'https://a'", "client-key-data: a2V5", "go together"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup_kube_config struct kube_config config = KUBE_CONFIG_INIT;
        struct error err = ERROR_INIT;

        write_config(cases[i].cluster, cases[i].user);
        assert_true(kube_config_file(in_dir("config"), &config, &err) < 0);
        if (!strstr(err.msg, cases[i].words))
            fail_msg("case %zu: %s", i, err.msg);
        assert_null(config.server);
    }
}

static void a_kubeconfig_without_its_context_or_cluster_says_which(void **state)
{
    cleanup_kube_config struct kube_config config = KUBE_CONFIG_INIT;
    struct error err = ERROR_INIT;

    (void)state;
    write_text("config", "contexts: []\n");
    assert_int_equal(kube_config_file(in_dir("config"), &config, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "current-context is not set"));
    write_text("config", "current-context: a\ncontexts: []\n");
    assert_int_equal(kube_config_file(in_dir("config"), &config, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "there is no \"a\" among its contexts"));
}

static void a_pod_uses_its_service_account(void **state)
{
    cleanup_kube_config struct kube_config config = KUBE_CONFIG_INIT;
    struct error err = ERROR_INIT;

    (void)state;
    unsetenv("KUBERNETES_SERVICE_HOST");
    assert_int_equal(kube_config_in_cluster(dir, &config, &err), -ENOENT);
    setenv("KUBERNETES_SERVICE_HOST", "2001:db8::1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    write_text("token", "of-the-pod\n");
    write_text("ca.crt", "ca");
    write_text("namespace", "gitgate-system");
    assert_int_equal(kube_config_in_cluster(dir, &config, &err), 0);
    assert_string_equal(config.server, "https://[2001:db8::1]:443");
    assert_string_equal(config.token.data, "of-the-pod");
    assert_string_equal(config.namespace_, "gitgate-system");
    assert_string_equal(config.token_file, in_dir("token"));
    unsetenv("KUBERNETES_SERVICE_HOST");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_split_gives_the_same_events),
        cmocka_unit_test(an_object_cut_in_the_middle_is_forgotten),
        cmocka_unit_test(a_nul_character_stops_no_stream),
        cmocka_unit_test(fields_that_no_reader_takes_stop_no_stream),
        cmocka_unit_test(fields_that_can_be_read_stay),
        cmocka_unit_test(what_is_no_object_or_too_long_is_an_error),
        cmocka_unit_test(a_store_replaces_lists_and_forgets),
        cmocka_unit_test(a_store_ends_what_its_values_own),
        cmocka_unit_test(what_is_made_is_found_again),
        cmocka_unit_test(a_list_sweeps_out_what_it_does_not_hold),
        cmocka_unit_test(paths_are_encoded),
        cmocka_unit_test(queries_are_encoded),
        cmocka_unit_test(a_kubeconfig_is_read_with_inline_data_and_files_beside_it),
        cmocka_unit_test(what_a_kubeconfig_asks_for_and_we_do_not_do_is_refused_by_name),
        cmocka_unit_test(a_kubeconfig_without_its_context_or_cluster_says_which),
        cmocka_unit_test(a_pod_uses_its_service_account),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
