/* What a GitGate becomes: credentials in their files, every URL spelling rewritten (as real git
 * reads it), policies closed by default. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/proc.h"
#include "data/base64.h"
#include "private_key.h"
#include "render/render.h"
#include "render/ssh_key.h"

#define HOST_KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
#define TEXT_MAX 65536

/* JSON with single quotes, which no GitGate may hold. */
static json_t *json(const char *text)
{
    cleanup_free char *copy = strdup(text);
    json_error_t err;
    json_t *value;

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    value = json_loads(copy, JSON_DECODE_ANY, &err);
    if (!value)
        fail_msg("%s: %s", copy, err.text);
    return value;
}

/* A gate named agents in team-a, of these upstreams and this rest of a spec. */
static void decode(const char *upstreams, const char *spec, struct gitgate *gate)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_buf struct buf out = BUF_INIT(TEXT_MAX);
    json_auto_t *object =
        json("{'apiVersion':'gitgate.dev/v1alpha1','kind':'GitGate',"
             "'metadata':{'name':'agents','namespace':'team-a','uid':'1-2-3','generation':7}}");
    json_t *rest = json(spec);

    json_object_set_new(rest, "upstreams", json(upstreams));
    json_object_set_new(object, "spec", rest);
    if (gitgate_decode(object, true, gate, &problems) < 0) {
        problems_print(&problems, NULL, &out);
        fail_msg("%s", out.data);
    }
}

static const char *at(const json_t *object, const char *key, const char *inner)
{
    return json_string_value(json_object_get(json_object_get(object, key), inner));
}

#define SSH_UPSTREAM                                                                               \
    "{'name':'app','url':'ssh://git@git.example.com:2222/team/app.git',"                           \
    "'ssh':{'secretRef':{'name':'app-key'},'knownHostKeys':['" HOST_KEY "']}}"
#define ANONYMOUS(name, url) "{'name':'" name "','url':'" url "'}"

/* ---- hooks ---- */

static void gate_json_decodes_to_the_same_gate_and_no_script_holds_its_values(void **state)
{
    static const char *const scripts[] = {"entrypoint", "access-hook", "pre-receive",
                                          "proc-receive"};
    cleanup_gitgate struct gitgate gate = {0}, again = {0};
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_auto_t *hooks = NULL, *text = NULL;

    (void)state;
    decode("[" SSH_UPSTREAM "]", "{}", &gate);
    hooks = render_hooks(&gate);
    for (size_t i = 0; i < 4; i++) {
        const char *script = at(hooks, "data", scripts[i]);

        assert_memory_equal(script, "#!/bin/sh\n", 10);
        assert_non_null(strstr(script, "gitgate-gate "));
        assert_null(strstr(script, "example.com"));
    }
    text = json_loads(at(hooks, "data", "gate.json"), 0, NULL);
    assert_int_equal(gitgate_decode(text, true, &again, &problems), 0);
    assert_string_equal(again.upstreams[0].url.host, "git.example.com");
    assert_string_equal(again.namespace_, "team-a");
    assert_true(
        json_equal(json_object_get(gate.source, "spec"), json_object_get(again.source, "spec")));
}

static void objects_carry_labels_and_their_owner(void **state)
{
    cleanup_gitgate struct gitgate gate = {0};
    json_auto_t *expected =
        json("{'name':'agents-gitgate-hooks','namespace':'team-a','labels':{"
             "'app.kubernetes.io/managed-by':'gitgate','gitgate.dev/gate':'agents'},"
             "'ownerReferences':[{'apiVersion':'gitgate.dev/v1alpha1','kind':'GitGate',"
             "'name':'agents','uid':'1-2-3','controller':true,'blockOwnerDeletion':true}]}");
    json_auto_t *hooks = NULL;

    (void)state;
    decode("[" SSH_UPSTREAM "]", "{}", &gate);
    hooks = render_hooks(&gate);
    assert_true(json_equal(json_object_get(hooks, "metadata"), expected));
}

/* ---- creds ---- */

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

/* ---- client ---- */

/* git's own answer to where it would go, with `config` included as the webhook does it. */
static void expect_rewritten(const char *config, const char *url, const char *expected)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(TEXT_MAX, TEXT_MAX);
    const char *argv[] = {"git", "ls-remote", "--get-url", url, NULL};
    cleanup_buf struct buf path = BUF_INIT(TEXT_MAX), value = BUF_INIT(TEXT_MAX);
    const char *env[6];
    struct error err = ERROR_INIT;

    buf_addf(&path, "PATH=%s", getenv("PATH"));
    buf_addf(&value, "GIT_CONFIG_VALUE_0=%s", config);
    env[0] = path.data;
    env[1] = "GIT_CONFIG_COUNT=1";
    env[2] = "GIT_CONFIG_KEY_0=include.path";
    env[3] = value.data;
    env[4] = "HOME=/nonexistent";
    env[5] = NULL;
    struct proc_spec spec = {.argv = argv, .env = env, .cwd = "/", .timeout_ms = 10000};

    if (proc_run(&spec, &result, &err) < 0)
        fail_msg("%s", err.msg);
    if (result.out.len > 0)
        result.out.data[result.out.len - 1] = '\0';
    if (strcmp(result.out.data, expected) != 0)
        fail_msg("%s became %s, not %s", url, result.out.data, expected);
}

static char *write_client(const struct gitgate *gate)
{
    json_auto_t *client = render_client(gate, "git-gate");
    const char *text = at(client, "data", "gitconfig");
    char path[] = "/tmp/gitgate-client-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    return strdup(path);
}

struct rewrite {
    const char *from, *to;
};

static void every_spelling_of_an_upstream_reaches_the_gate_and_no_other_url(void **state)
{
    static const struct rewrite rewrites[] = {
        /* port 2222: only what names it, and https */
        {"ssh://git@git.example.com:2222/team/app.git",
         "git://git-gate/git.example.com/team/app.git"},
        {"ssh://git.example.com:2222/team/app", "git://git-gate/git.example.com/team/app"},
        {"https://git.example.com/team/app", "git://git-gate/git.example.com/team/app"},
        {"https://git.example.com:443/team/app", "git://git-gate/git.example.com/team/app"},
        {"ssh://git@git.example.com:2222/team/application",
         "git://git-gate/git.example.com/team/application"},
        {"ssh://git@git.example.com/team/app", "ssh://git@git.example.com/team/app"},
        {"git@git.example.com:team/app", "git@git.example.com:team/app"},
        {"ssh://git@git.example.com:22222/team/app", "ssh://git@git.example.com:22222/team/app"},
        {"ssh://git@git.example.com:2222/teams/app", "ssh://git@git.example.com:2222/teams/app"},
        {"ssh://git@git.example.com:2222/other/app", "ssh://git@git.example.com:2222/other/app"},
        /* the default port, another user */
        {"me@hub.example:org/lib.git", "git://git-gate/hub.example/org/lib.git"},
        {"git@hub.example:org/lib.git", "git://git-gate/hub.example/org/lib.git"},
        {"hub.example:org/lib", "git://git-gate/hub.example/org/lib"},
        {"me@hub.example:/org/lib", "git://git-gate/hub.example/org/lib"},
        {"ssh://me@hub.example/org/lib", "git://git-gate/hub.example/org/lib"},
        {"ssh://git@hub.example:22/org/lib", "git://git-gate/hub.example/org/lib"},
        {"ssh://hub.example/org/lib.git/", "git://git-gate/hub.example/org/lib.git/"},
        {"https://hub.example/org/lib.git", "git://git-gate/hub.example/org/lib.git"},
        {"https://hub.example.org/org/lib", "https://hub.example.org/org/lib"},
        {"https://hub.example/organisation/lib", "https://hub.example/organisation/lib"},
        /* beside it, but no upstream: still the gate, which refuses */
        {"git@hub.example:org/unknown", "git://git-gate/hub.example/org/unknown"},
        /* no directory: the whole host */
        {"git@flat.example:tool", "git://git-gate/flat.example/tool"},
        {"flat.example:/tool.git", "git://git-gate/flat.example/tool.git"},
        {"ssh://git@flat.example/tool", "git://git-gate/flat.example/tool"},
        {"https://flat.example/tool", "git://git-gate/flat.example/tool"},
        {"https://flat.example.net/tool", "https://flat.example.net/tool"},
        /* an https upstream written as ssh, a port of its own, IPv6 */
        {"https://web.example:8443/a/b/c", "git://git-gate/web.example/a/b/c"},
        {"git@web.example:a/b/c.git", "git://git-gate/web.example/a/b/c.git"},
        {"https://web.example/a/b/c", "https://web.example/a/b/c"},
        {"ssh://git@[2001:db8::1]/x/y", "git://git-gate/2001:db8::1/x/y"},
        {"git@[2001:db8::1]:x/y", "git://git-gate/2001:db8::1/x/y"},
        /* the gate itself */
        {"git://git-gate/app.git", "git://git-gate/app.git"},
    };
    cleanup_gitgate struct gitgate gate = {0};
    cleanup_free char *config = NULL;

    (void)state;
    decode("[" SSH_UPSTREAM ",{'name':'lib','url':'me@hub.example:org/lib.git',"
           "'ssh':{'secretRef':{'name':'k'}}},"
           "{'name':'tool','url':'git@flat.example:tool','ssh':{'secretRef':{'name':'k'}}},"
           "{'name':'six','url':'ssh://[2001:db8::1]/x/y','ssh':{'secretRef':{'name':'k'}}}," //
           ANONYMOUS("web", "https://web.example:8443/a/b/c.git") "]",
           "{}", &gate);
    config = write_client(&gate);
    for (size_t i = 0; i < sizeof rewrites / sizeof *rewrites; i++)
        expect_rewritten(config, rewrites[i].from, rewrites[i].to);
    unlink(config);
}

static void upstreams_of_one_directory_share_their_rules(void **state)
{
    cleanup_gitgate struct gitgate one = {0}, two = {0};
    json_auto_t *a = NULL, *b = NULL;

    (void)state;
    decode("[" ANONYMOUS("a", "https://h.example/t/a") "]", "{}", &one);
    decode(
        "[" ANONYMOUS("a", "https://h.example/t/a") "," ANONYMOUS("b", "https://h.example/t/b") "]",
        "{}", &two);
    a = render_client(&one, "git-gate");
    b = render_client(&two, "git-gate");
    assert_string_equal(at(a, "data", "gitconfig"), at(b, "data", "gitconfig"));
}

/* ---- policies ---- */

static void expect_spec(json_t *policy, const char *expected)
{
    json_auto_t *owned = policy;
    json_auto_t *spec = json(expected);
    cleanup_free char *found = json_dumps(json_object_get(owned, "spec"), 0);

    if (!json_equal(json_object_get(owned, "spec"), spec))
        fail_msg("%s", found);
}

#define SELECTOR "'podSelector':{'matchLabels':{'gitgate.dev/gate':'agents'}}"
#define DNS                                                                                        \
    "{'to':[{'namespaceSelector':{'matchLabels':{'kubernetes.io/metadata.name':'kube-system'}},"   \
    "'podSelector':{'matchLabels':{'k8s-app':'kube-dns'}}}],"                                      \
    "'ports':[{'protocol':'UDP','port':53},{'protocol':'TCP','port':53}]}"
#define TO(cidr, port)                                                                             \
    "{'to':[{'ipBlock':{'cidr':'" cidr "'}}],'ports':[{'protocol':'TCP','port':" port "}]}"

static void no_pod_reaches_the_gates_port_and_all_others_stay_open(void **state)
{
    cleanup_gitgate struct gitgate gate = {0};

    (void)state;
    decode("[" SSH_UPSTREAM "]", "{}", &gate);
    expect_spec(render_policy_internal(&gate),
                "{" SELECTOR ",'policyTypes':['Ingress'],'ingress':[{'ports':["
                "{'protocol':'TCP','port':1,'endPort':9417},"
                "{'protocol':'TCP','port':9419,'endPort':65535},"
                "{'protocol':'UDP'},{'protocol':'SCTP'}]}]}");
}

static void pods_reach_their_upstreams_addresses_and_nothing_else(void **state)
{
    static const char *const app[] = {"100.64.0.7", "2001:db8:0::7", NULL};
    static const char *const none[] = {NULL};
    static const char *const hostile[] = {"169.254.169.254",
                                          "::ffff:169.254.169.254",
                                          "fe80::1",
                                          "fd00:ec2::254",
                                          "203.0.113.9",
                                          "rubbish",
                                          NULL};
    const struct upstream_addresses addresses[] = {{app}, {none}, {hostile}, {app}};
    cleanup_gitgate struct gitgate gate = {0};

    (void)state;
    decode(
        "[" SSH_UPSTREAM "," ANONYMOUS("b", "https://b.example/b") "," //
        ANONYMOUS("c", "https://c.example/c") "," ANONYMOUS("d", "https://git.example.com/d") "]",
        "{}", &gate);
    expect_spec(render_policy_egress(&gate, addresses),
                "{" SELECTOR ",'policyTypes':['Egress'],'egress':[" DNS ","       //
                TO("100.64.0.7/32", "2222") "," TO("2001:db8::7/128", "2222") "," //
                TO("203.0.113.9/32", "443") "," TO("100.64.0.7/32", "443") ","    //
                TO("2001:db8::7/128", "443") "]}");
    expect_spec(render_policy_egress(&gate, NULL),
                "{" SELECTOR ",'policyTypes':['Egress'],'egress':[" DNS "]}");
}

static void an_upstream_with_a_fixed_address_needs_no_resolver(void **state)
{
    static const char *const elsewhere[] = {"203.0.113.9", NULL};
    const struct upstream_addresses addresses[] = {{elsewhere}, {elsewhere}, {elsewhere}};
    cleanup_gitgate struct gitgate gate = {0};

    (void)state;
    decode("[{'name':'a','url':'https://a.example/a','extraHosts':{'b.example':'10.1.1.1'}},"
           "{'name':'b','url':'https://b.example/b','extraHosts':{'a.example':'10.2.2.2'}}," //
           ANONYMOUS("c", "https://10.3.3.3/c") "]",
           "{}", &gate);
    expect_spec(render_policy_egress(&gate, addresses),
                "{" SELECTOR ",'policyTypes':['Egress'],'egress':[" TO("10.2.2.2/32", "443") "," //
                TO("10.1.1.1/32", "443") "," TO("10.3.3.3/32", "443") "]}");
}

static void agent_egress_never_opens_the_metadata_service(void **state)
{
    cleanup_gitgate struct gitgate gate = {0};

    (void)state;
    decode("[" ANONYMOUS("c", "https://10.3.3.3/c") "]",
           "{'network':{'agentEgress':{'to':[{'cidr':'0.0.0.0/0'},{'cidr':'::/0','ports':[]},"
           "{'cidr':'10.0.0.0/8','ports':[{'port':443},{'port':8000,'endPort':8999,'protocol':'UDP'"
           "}]}]}}}",
           &gate);
    expect_spec(render_policy_egress(&gate, NULL),
                "{" SELECTOR ",'policyTypes':['Egress'],'egress':[" TO(
                    "10.3.3.3/32",
                    "443") "," //
                           "{'to':[{'ipBlock':{'cidr':'0.0.0.0/0','except':['169.254.0.0/16']}}]},"
                           "{'to':[{'ipBlock':{'cidr':'::/0','except':['fe80::/10','fd00:ec2::254/"
                           "128']}}]},"
                           "{'to':[{'ipBlock':{'cidr':'10.0.0.0/"
                           "8'}}],'ports':[{'port':443,'protocol':'TCP'},"
                           "{'port':8000,'endPort':8999,'protocol':'UDP'}]}]}");
}

/* ---- version ---- */

static struct render_version version_of(const char *upstreams, const char *spec)
{
    cleanup_gitgate struct gitgate gate = {0};

    decode(upstreams, spec, &gate);
    return render_version(&gate);
}

static void the_version_follows_what_a_pod_is_given_at_its_start(void **state)
{
    static const char *const same[] = {
        "[" ANONYMOUS("b", "https://b.example/b") "]",
        "[" ANONYMOUS("a", "https://a.example/a") "," ANONYMOUS("b", "https://b.example/b") "]",
    };
    static const char *const others[] = {
        "{'gate':{'image':'x'}}",
        "{'gate':{'cache':{'sizeLimit':'1Gi'}}}",
        "{'gate':{'resources':{'limits':{'memory':'1Gi'}}}}",
        "{'network':{'isolation':'None'}}",
        "{'network':{'agentEgress':{'dns':true}}}",
        "{'network':{'agentEgress':{'to':[{'cidr':'10.0.0.0/8'}]}}}",
    };
    const char *const a = "[" ANONYMOUS("a", "https://a.example/a") "]";
    struct render_version base = version_of(a, "{}");

    (void)state;
    assert_int_equal(strspn(base.text, "0123456789abcdef"), 16);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(version_of(same[i], "{}").text, base.text);
    assert_string_equal(version_of(a, "{'scan':{'timeout':'5s'}}").text, base.text);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_string_not_equal(version_of(a, others[i]).text, base.text);
    assert_string_not_equal(
        version_of(
            "[{'name':'a','url':'https://a.example/a','extraHosts':{'x.example':'10.0.0.1'}}]",
            "{}")
            .text,
        base.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gate_json_decodes_to_the_same_gate_and_no_script_holds_its_values),
        cmocka_unit_test(objects_carry_labels_and_their_owner),
        cmocka_unit_test(an_ssh_key_ends_its_last_line_and_comes_with_the_pinned_host),
        cmocka_unit_test(a_key_that_openssh_cannot_read_is_told_with_the_reason),
        cmocka_unit_test(a_damaged_key_is_never_quoted),
        cmocka_unit_test(known_hosts_come_from_the_secret_when_the_gate_pins_none),
        cmocka_unit_test(an_unusable_secret_is_told_by_field_and_costs_no_other_upstream),
        cmocka_unit_test(an_https_credential_is_sent_to_its_own_host_and_port_alone),
        cmocka_unit_test(a_scan_configuration_goes_with_the_credentials_or_is_said_to_be_unusable),
        cmocka_unit_test(every_spelling_of_an_upstream_reaches_the_gate_and_no_other_url),
        cmocka_unit_test(upstreams_of_one_directory_share_their_rules),
        cmocka_unit_test(no_pod_reaches_the_gates_port_and_all_others_stay_open),
        cmocka_unit_test(pods_reach_their_upstreams_addresses_and_nothing_else),
        cmocka_unit_test(an_upstream_with_a_fixed_address_needs_no_resolver),
        cmocka_unit_test(agent_egress_never_opens_the_metadata_service),
        cmocka_unit_test(the_version_follows_what_a_pod_is_given_at_its_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
