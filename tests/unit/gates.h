/* GitGates for tests, written as JSON with single quotes. */
#ifndef GITGATE_TESTS_UNIT_GATES_H
#define GITGATE_TESTS_UNIT_GATES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "api/gitgate.h"
#include "base/cleanup.h"

#define HOST_KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
#define TEXT_MAX 65536

#define SSH_UPSTREAM                                                                               \
    "{'name':'app','url':'ssh://git@git.example.com:2222/team/app.git',"                           \
    "'ssh':{'secretRef':{'name':'app-key'},'knownHostKeys':['" HOST_KEY "']}}"
#define ANONYMOUS(name, url) "{'name':'" name "','url':'" url "'}"

/* JSON with single quotes, which no GitGate may hold. */
static inline json_t *json(const char *text)
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
static inline void decode(const char *upstreams, const char *spec, struct gitgate *gate)
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

static inline const char *at(const json_t *object, const char *key, const char *inner)
{
    return json_string_value(json_object_get(json_object_get(object, key), inner));
}

#endif
