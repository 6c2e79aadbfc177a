/* What a GitGate becomes: every URL spelling rewritten (as real git reads it), policies closed by
 * default. Its credentials: test_creds.c. */
#include "gates.h"

#include <stdio.h>
#include <unistd.h>

#include "base/proc.h"
#include "render/render.h"

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
        /* in the GitGate's own spelling and in lower case, as nobody can list all others */
        {"git@Case.Example:o/p", "git://git-gate/case.example/o/p"},
        {"https://Case.Example/o/p", "git://git-gate/case.example/o/p"},
        {"git@case.example:o/p", "git://git-gate/case.example/o/p"},
        {"ssh://git@[2001:DB8::A]/q/r", "git://git-gate/2001:db8::a/q/r"},
        {"ssh://git@[2001:db8::a]/q/r", "git://git-gate/2001:db8::a/q/r"},
        /* the gate itself */
        {"git://git-gate/app.git", "git://git-gate/app.git"},
    };
    cleanup_gitgate struct gitgate gate = {0};
    cleanup_free char *config = NULL;

    (void)state;
    decode("[" SSH_UPSTREAM ",{'name':'lib','url':'me@hub.example:org/lib.git',"
           "'ssh':{'secretRef':{'name':'k'}}},"
           "{'name':'tool','url':'git@flat.example:tool','ssh':{'secretRef':{'name':'k'}}},"
           "{'name':'six','url':'ssh://[2001:db8::1]/x/y','ssh':{'secretRef':{'name':'k'}}},"
           "{'name':'case','url':'git@Case.Example:o/p','ssh':{'secretRef':{'name':'k'}}},"
           "{'name':'hex','url':'ssh://[2001:DB8::A]/q/"
           "r','ssh':{'secretRef':{'name':'k'}}}," ANONYMOUS(
               "web", "https://web.example:8443/a/b/c.git") "]",
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
                                          "100.100.100.200",
                                          "168.63.129.16",
                                          "64:ff9b::a9fe:a9fe",
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

#define THROUGH_NAT64                                                                              \
    "'64:ff9b::a9fe:0/112','64:ff9b::6464:64c8/128','64:ff9b::a83f:8110/128',"                     \
    "'64:ff9b::7f00:0/104'"

static void agent_egress_never_opens_the_metadata_service(void **state)
{
    cleanup_gitgate struct gitgate gate = {0};

    (void)state;
    decode("[" ANONYMOUS("c", "https://10.3.3.3/c") "]",
           "{'network':{'agentEgress':{'to':[{'cidr':'0.0.0.0/0'},{'cidr':'::/"
           "0','ports':[]},{'cidr':'64:ff9b::/96'},"
           "{'cidr':'10.0.0.0/8','ports':[{'port':443},{'port':8000,'endPort':8999,'protocol':'UDP'"
           "}]}]}}}",
           &gate);
    expect_spec(render_policy_egress(&gate, NULL),
                "{" SELECTOR ",'policyTypes':['Egress'],'egress':[" TO(
                    "10.3.3.3/32",
                    "443") "," //
                           "{'to':[{'ipBlock':{'cidr':'0.0.0.0/0','except':['169.254.0.0/"
                           "16','100.100.100.200/32','168.63.129.16/32']}}]},"
                           "{'to':[{'ipBlock':{'cidr':'::/0','except':['fe80::/10','fd00:ec2::254/"
                           "128','fd00:ec2::23/128','fd20:ce::254/128','fd00:c1::a9fe:a9fe/128',"
                           "'fd00:42::42/128','fd00:100::100:200/128'," THROUGH_NAT64 "]}}]},"
                           "{'to':[{'ipBlock':{'cidr':'64:ff9b::/96','except':[" THROUGH_NAT64
                           "]}}]},"
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
