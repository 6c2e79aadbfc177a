#include "review.h"

#include <errno.h>
#include <string.h>

#include "data/base64.h"

#define API_VERSION "admission.k8s.io/v1"
#define KIND "AdmissionReview"

/* Twenty operations a container at most, for more containers than etcd's 1.5 MiB have room for. */
#define PATCH_MAX (64u << 20)

static const char *string_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static const json_t *object_of(const json_t *request, const char *key)
{
    const json_t *object = json_object_get(request, key);

    return json_is_object(object) ? object : NULL;
}

/* An object to be created by generateName has no name yet. */
static const char *name_of(const json_t *request, const json_t *object)
{
    const char *name = string_of(request, "name");

    if (!*name)
        name = string_of(json_object_get(object, "metadata"), "name");
    return *name ? name : string_of(json_object_get(object, "metadata"), "generateName");
}

static int check_envelope(const json_t *root, struct error *err)
{
    const json_t *request = json_object_get(root, "request");

    if (strcmp(string_of(root, "kind"), KIND) != 0 ||
        strcmp(string_of(root, "apiVersion"), API_VERSION) != 0)
        return error_set(err, -EINVAL,
                         "not an " KIND " of " API_VERSION
                         ": set admissionReviewVersions: [v1] in the webhook's "
                         "configuration");
    if (!json_is_object(request))
        return error_set(err, -EINVAL, "the " KIND " has no request in it");
    if (!*string_of(request, "uid"))
        return error_set(err, -EINVAL, "the " KIND "'s request has no uid");
    return 0;
}

int review_parse(const char *body, size_t len, struct review *ret, struct error *err)
{
    json_error_t where;
    /* A member that stands twice means one thing here and another there: refused. */
    json_auto_t *root = json_loadb(body, len, JSON_REJECT_DUPLICATES, &where);
    const json_t *request = json_object_get(root, "request");
    int r;

    if (!root)
        return error_set(err, -EINVAL, "the body is not JSON: byte %d, line %d, column %d",
                         where.position, where.line, where.column);
    r = check_envelope(root, err);
    if (r < 0)
        return r;
    *ret = (struct review){
        .uid = string_of(request, "uid"),
        .operation = string_of(request, "operation"),
        .sub_resource = string_of(request, "subResource"),
        .kind = string_of(json_object_get(request, "kind"), "kind"),
        .namespace_ = string_of(request, "namespace"),
        .object = object_of(request, "object"),
        .old_object = object_of(request, "oldObject"),
    };
    ret->name = name_of(request, ret->object);
    ret->root = TAKE_PTR(root);
    return 0;
}

void review_done(struct review *review)
{
    json_decref(review->root);
    *review = (struct review){0};
}

void decision_done(struct decision *decision)
{
    json_decref(decision->patch);
    decision->patch = NULL;
    buf_done(&decision->reason);
}

/* response.patch is a byte string: base64 in JSON. */
static json_t *encode_patch(const json_t *patch)
{
    cleanup_free char *text = json_dumps(patch, JSON_COMPACT);
    cleanup_buf struct buf base64 = BUF_INIT(PATCH_MAX);

    if (!text)
        return NULL;
    base64_encode(text, strlen(text), &base64);
    return buf_error(&base64) ? NULL : json_string_nocheck(base64.data);
}

/* A pod's own words stand in some reasons and may have been cut within a character. */
static json_t *message_of(const struct decision *decision)
{
    json_t *message = json_string(decision->reason.data);

    return message ? message : json_string("refused, for a reason that can't be printed");
}

static json_t *response_of(const struct review *review, const struct decision *decision)
{
    if (!decision->allowed)
        return json_pack("{s:s, s:b, s:{s:i, s:s, s:o}}", "uid", review->uid, "allowed", 0,
                         "status", "code", 403, "reason", "Forbidden", "message",
                         message_of(decision));
    if (json_array_size(decision->patch) == 0)
        return json_pack("{s:s, s:b}", "uid", review->uid, "allowed", 1);
    return json_pack("{s:s, s:b, s:s, s:o}", "uid", review->uid, "allowed", 1, "patchType",
                     "JSONPatch", "patch", encode_patch(decision->patch));
}

json_t *review_answer(const struct review *review, const struct decision *decision)
{
    return json_pack("{s:s, s:s, s:o}", "apiVersion", API_VERSION, "kind", KIND, "response",
                     response_of(review, decision));
}
