/* What a GitGate and its Secrets become in the gate's Secret: each credential in the files that git
 * and ssh read, or the reason why not, which quotes none. */
#include "gates.h"

#include <errno.h>
#include <stdio.h>

#include "data/base64.h"
#include "private_key.h"
#include "render/render.h"
#include "render/ssh_key.h"

static void set_data(json_t *secret, const char *key, const char *value)
{
    cleanup_buf struct buf text = BUF_INIT(TEXT_MAX);

    base64_encode(value, strlen(value), &text);
    json_object_set_new(json_object_get(secret, "data"), key, json_string(text.data));
}

static json_t *add_secret(json_t *secrets, const char *name, const char *type)
{
    json_t *secret = json_pack("{s:s, s:{}}", "type", type, "data");

    json_object_set_new(secrets, name, secret);
    return secret;
}

static const char *private_key(bool newline)
{
    static char text[1000];
    cleanup_buf struct buf key = BUF_INIT(sizeof text);

    add_private_key(&key, &KEY_FORM);
    snprintf(text, sizeof text, "%.*s", (int)(newline ? key.len : key.len - 1), key.data);
    return text;
}

/* A file of the rendered Secret as text; "" when it is not there. */
static char *file_of(const json_t *creds, const char *name)
{
    const char *value = at(creds, "data", name);
    cleanup_buf struct buf text = BUF_INIT(TEXT_MAX);

    if (value)
        assert_int_equal(base64_decode(value, strlen(value), &text), 0);
    return buf_take(&text);
}

static void expect_file(const json_t *creds, const char *name, const char *expected)
{
    cleanup_free char *text = file_of(creds, name);

    assert_string_equal(text, expected);
}

static void an_ssh_key_ends_its_last_line_and_comes_with_the_pinned_host(void **state)
{
    cleanup_gitgate struct gitgate gate = {0};
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_auto_t *secrets = json_object(), *creds = NULL;
    struct render_sources sources = {.secrets = secrets};

    (void)state;
    decode("[" SSH_UPSTREAM "]", "{}", &gate);
    set_data(add_secret(secrets, "app-key", "kubernetes.io/ssh-auth"), "ssh-privatekey",
             private_key(false));
    creds = render_creds(&gate, &sources, &problems);
    assert_int_equal(problems.total, 0);
    expect_file(creds, "app-key", private_key(true));
    expect_file(creds, "app-known_hosts", "[git.example.com]:2222 " HOST_KEY "\n");
    assert_int_equal(json_object_size(json_object_get(creds, "data")), 2);
    assert_string_equal(json_string_value(json_object_get(creds, "type")), "Opaque");
}

static void expect_bad_key(const char *text, const char *reason)
{
    struct error err = ERROR_INIT;

    if (ssh_key_check(text, strlen(text), &err) != -EINVAL)
        fail_msg("taken, but it %s", reason);
    if (!strstr(err.msg, reason))
        fail_msg("not \"%s\": %s", reason, err.msg);
}

static void expect_bad_form(struct key_form form, const char *reason)
{
    cleanup_buf struct buf key = BUF_INIT(2000);

    add_private_key(&key, &form);
    expect_bad_key(key.data, reason);
}

static void a_key_that_openssh_cannot_read_is_told_with_the_reason(void **state)
{
    cleanup_buf struct buf key = BUF_INIT(2000), other = BUF_INIT(4000);
    char *body;

    (void)state;
    add_private_key(&key, &KEY_FORM);
    assert_int_equal(ssh_key_check(key.data, key.len, NULL), 0);
    expect_bad_form((struct key_form){"aes256-ctr", 1, 7, "\n"}, "passphrase");
    expect_bad_form((struct key_form){"none", 1, 8, "\n"}, "changed");
    expect_bad_form((struct key_form){"none", 2, 7, "\n"}, "damaged");
    expect_bad_form((struct key_form){"none", 1, 7, "\r\n"}, "CR LF");
    buf_addf(&other, "\n%s", key.data);
    expect_bad_key(other.data, "before its first line");
    expect_bad_key("ssh-ed25519 AAAA", "no private key");

    /* Each byte that is missing at its end, and each character that is none of base64's. */
    for (size_t len = key.len - 1; strstr(key.data, "\n") < key.data + len; len--) {
        buf_reset(&other);
        buf_add(&other, key.data, len);
        expect_bad_key(other.data, "damaged");
    }
    body = strchr(key.data, '\n') + 1;
    body[5] = '!';
    expect_bad_key(key.data, "not base64");
}

/* Whatever of its bytes is changed: read within its bounds (under AddressSanitizer), and no word of
 * it in the message. */
static void a_damaged_key_is_never_quoted(void **state)
{
    cleanup_buf struct buf key = BUF_INIT(2000);

    (void)state;
    add_private_key(&key, &KEY_FORM);
    for (size_t i = 0; i < key.len; i++) {
        cleanup_free char *copy = strdup(key.data);
        struct error err = ERROR_INIT;

        copy[i] = copy[i] == 'Z' ? 'Y' : 'Z';
        ssh_key_check(copy, key.len, &err);
        assert_null(strstr(err.msg, "b3BlbnNz"));
    }
}

static void known_hosts_come_from_the_secret_when_the_gate_pins_none(void **state)
{
    cleanup_gitgate struct gitgate gate = {0};
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_auto_t *secrets = json_object(), *creds = NULL, *unpinned = NULL;
    struct render_sources sources = {.secrets = secrets};
    json_t *secret = add_secret(secrets, "k", "kubernetes.io/ssh-auth");

    (void)state;
    decode("[{'name':'app','url':'git@h.example:a','ssh':{'secretRef':{'name':'k'}}}]", "{}",
           &gate);
    set_data(secret, "ssh-privatekey", private_key(true));
    unpinned = render_creds(&gate, &sources, &problems);
    assert_int_equal(problems.n, 1);
    assert_string_equal(problems.list[0].path, "spec.upstreams[0].ssh.knownHostKeys");
    assert_null(at(unpinned, "data", "app-known_hosts"));
    assert_non_null(at(unpinned, "data", "app-key"));
    set_data(secret, "known_hosts", "h.example " HOST_KEY);
    creds = render_creds(&gate, &sources, &problems);
    assert_int_equal(problems.n, 1);
    expect_file(creds, "app-known_hosts", "h.example " HOST_KEY "\n");
}

static void an_unusable_secret_is_told_by_field_and_costs_no_other_upstream(void **state)
{
    static const char spec[] =
        "[{'name':'a','url':'git@h.example:a','ssh':{'secretRef':{'name':'missing'}}},"
        "{'name':'b','url':'git@h.example:b','ssh':{'secretRef':{'name':'opaque'}}},"
        "{'name':'c','url':'git@h.example:c','ssh':{'secretRef':{'name':'keyless'}}},"
        "{'name':'d','url':'git@h.example:d','ssh':{'secretRef':{'name':'public'}}},"
        "{'name':'e','url':'https://h.example/e','http':{'secretRef':{'name':'newline'}}},"
        "{'name':'f','url':'https://h.example/f','http':{'secretRef':{'name':'opaque'}}},"
        "{'name':'g','url':'git@h.example:g','ssh':{'secretRef':{'name':'damaged'}}}," SSH_UPSTREAM
        "]";
    static const char *const paths[] = {
        "spec.upstreams[0].ssh.secretRef.name",  "spec.upstreams[1].ssh.secretRef.name",
        "spec.upstreams[2].ssh.secretRef.name",  "spec.upstreams[3].ssh.secretRef.name",
        "spec.upstreams[4].http.secretRef.name", "spec.upstreams[5].http.secretRef.name",
        "spec.upstreams[6].ssh.secretRef.name",
    };
    cleanup_gitgate struct gitgate gate = {0};
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_auto_t *secrets = json_object(), *creds = NULL;
    struct render_sources sources = {.secrets = secrets};

    (void)state;
    decode(spec, "{}", &gate);
    add_secret(secrets, "opaque", "Opaque");
    add_secret(secrets, "keyless", "kubernetes.io/ssh-auth");
    set_data(add_secret(secrets, "public", "kubernetes.io/ssh-auth"), "ssh-privatekey", HOST_KEY);
    set_data(add_secret(secrets, "newline", "Opaque"), "token", "hunter2\n");
    json_object_set_new(
        json_object_get(add_secret(secrets, "damaged", "kubernetes.io/ssh-auth"), "data"),
        "ssh-privatekey", json_string("not base64"));
    set_data(add_secret(secrets, "app-key", "kubernetes.io/ssh-auth"), "ssh-privatekey",
             private_key(true));
    creds = render_creds(&gate, &sources, &problems);
    assert_int_equal(problems.total, 7);
    for (size_t i = 0; i < 7; i++) {
        assert_string_equal(problems.list[i].path, paths[i]);
        assert_null(strstr(problems.list[i].message, "hunter2"));
    }
    assert_int_equal(json_object_size(json_object_get(creds, "data")), 2);
    assert_non_null(at(creds, "data", "app-key"));
}

static void an_https_credential_is_sent_to_its_own_host_and_port_alone(void **state)
{
    cleanup_gitgate struct gitgate gate = {0};
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_auto_t *secrets = json_object(), *maps = NULL, *creds = NULL;
    struct render_sources sources = {.secrets = secrets};
    json_t *basic = add_secret(secrets, "basic", "kubernetes.io/basic-auth");

    (void)state;
    decode("[{'name':'a','url':'https://h.example/a','http':{'secretRef':{'name':'basic'},"
           "'caBundle':{'configMapRef':{'name':'ca'}}}},"
           "{'name':'b','url':'https://h.example:8443/b','http':{'secretRef':{'name':'token'}}},"
           "{'name':'c','url':'https://[::1]/c','http':{'secretRef':{'name':'token'}}}]",
           "{}", &gate);
    set_data(basic, "username", "me");
    set_data(basic, "password", "p\"s:#;\\");
    set_data(add_secret(secrets, "token", "Opaque"), "token", "t");
    maps = json("{'ca':{'data':{'ca.crt':'-----BEGIN CERTIFICATE-----'}}}");
    sources.config_maps = maps;
    creds = render_creds(&gate, &sources, &problems);
    assert_int_equal(problems.total, 0);
    expect_file(creds, "a-gitconfig",
                "[http \"https://h.example:443/\"]\n"
                "    extraHeader = Authorization: Basic bWU6cCJzOiM7XA==\n");
    expect_file(creds, "b-gitconfig",
                "[http \"https://h.example:8443/\"]\n"
                "    extraHeader = Authorization: Basic eC1hY2Nlc3MtdG9rZW46dA==\n");
    expect_file(creds, "c-gitconfig",
                "[http \"https://[::1]:443/\"]\n"
                "    extraHeader = Authorization: Basic eC1hY2Nlc3MtdG9rZW46dA==\n");
    expect_file(creds, "a-ca.crt", "-----BEGIN CERTIFICATE-----\n");
}

static void expect_problem(const char *maps_text, const char *expected)
{
    cleanup_gitgate struct gitgate gate = {0};
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_auto_t *secrets = json_object(), *maps = json(maps_text), *creds = NULL;
    struct render_sources sources = {.secrets = secrets, .config_maps = maps};

    decode("[{'name':'a','url':'https://h.example/a'}]",
           "{'scan':{'configMapRef':{'name':'rules','key':'r.toml'}}}", &gate);
    creds = render_creds(&gate, &sources, &problems);
    assert_non_null(creds);
    assert_int_equal(problems.total, *expected ? 1 : 0);
    if (*expected)
        assert_string_equal(problems.list[0].message, expected);
}

static void a_scan_configuration_goes_with_the_credentials_or_is_said_to_be_unusable(void **state)
{
    cleanup_gitgate struct gitgate gate = {0};
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_auto_t *secrets = json_object(), *creds = NULL;
    json_auto_t *maps = json(
        "{'rules':{'data':{'gitleaks.toml':'[[rules]]\\nid=\\\"a\\\"\\nregex=\\\"b\\\"\\n'}}}");
    struct render_sources sources = {.secrets = secrets, .config_maps = maps};

    (void)state;
    decode("[{'name':'a','url':'https://h.example/a'}]",
           "{'scan':{'configMapRef':{'name':'rules'}}}", &gate);
    creds = render_creds(&gate, &sources, &problems);
    assert_int_equal(problems.total, 0);
    expect_file(creds, "gitleaks.toml", "[[rules]]\nid=\"a\"\nregex=\"b\"\n");

    expect_problem("{}", "ConfigMap \"rules\" does not exist");
    expect_problem("{'rules':{'data':{'x':''}}}", "ConfigMap \"rules\" has no key r.toml");
    expect_problem("{'rules':{'data':{'r.toml':'[['}}}",
                   "ConfigMap \"rules\": gitleaks.toml:1: a key is expected here");
    expect_problem("{'rules':{'data':{'r.toml':'title=\\\"none\\\"'}}}",
                   "ConfigMap \"rules\": has no rules, and no extend.useDefault");
    expect_problem("{'rules':{'data':{'r.toml':'[extend]\\nuseDefault=true'}}}", "");
    expect_problem("{'rules':{'data':{'r.toml':'[extend]\\npath=\\\"/etc/passwd\\\"'}}}",
                   "ConfigMap \"rules\": extend.path and extend.url lead out of the gate: write "
                   "those rules here");
    expect_problem("{'rules':{'data':{'r.toml':'[[rules]]\\nid=\\\"slow\\\"\\nregex=\\\"a*\\\"'}}}",
                   "rule \"slow\": its regex matches the empty text, and so everything. So all "
                   "that is pushed goes to gitleaks, which is slow");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ssh_key_ends_its_last_line_and_comes_with_the_pinned_host),
        cmocka_unit_test(a_key_that_openssh_cannot_read_is_told_with_the_reason),
        cmocka_unit_test(a_damaged_key_is_never_quoted),
        cmocka_unit_test(known_hosts_come_from_the_secret_when_the_gate_pins_none),
        cmocka_unit_test(an_unusable_secret_is_told_by_field_and_costs_no_other_upstream),
        cmocka_unit_test(an_https_credential_is_sent_to_its_own_host_and_port_alone),
        cmocka_unit_test(a_scan_configuration_goes_with_the_credentials_or_is_said_to_be_unusable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
