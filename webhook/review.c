#include "review.h"

#include <errno.h>
#include <string.h>

#include "data/base64.h"
#include "data/json_text.h"

#define API_VERSION "admission.k8s.io/v1"
#define KIND "AdmissionReview"

static const char *string_of(const struct node *object, const char *key)
{
    const char *text = node_string(node_get(object, key));

    return text ? text : "";
}

static const struct node *object_of(const struct node *request, const char *key)
{
    const struct node *object = node_get(request, key);

    return node_is(object, NODE_OBJECT) ? object : NULL;
}

/* An object to be created by generateName has no name yet. */
static const char *name_of(const struct node *request, const struct node *object)
{
    const struct node *metadata = node_get(object, "metadata");
    const char *name = string_of(request, "name");

    if (!*name)
        name = string_of(metadata, "name");
    return *name ? name : string_of(metadata, "generateName");
}

static int check_envelope(const struct node *root, struct error *err)
{
    const struct node *request = node_get(root, "request");

    if (!node_is_text(node_get(root, "kind"), KIND) ||
        !node_is_text(node_get(root, "apiVersion"), API_VERSION))
        return error_set(err, -EINVAL,
                         "not an " KIND " of " API_VERSION
                         ": set admissionReviewVersions: [v1] in the webhook's "
                         "configuration");
    if (!node_is(request, NODE_OBJECT))
        return error_set(err, -EINVAL, "the " KIND " has no request in it");
    if (!*string_of(request, "uid"))
        return error_set(err, -EINVAL, "the " KIND "'s request has no uid");
    return 0;
}

int review_parse(char *body, size_t len, struct review *ret, struct error *err)
{
    cleanup_document struct document document = DOCUMENT_INIT;
    const struct node *request;
    int r = document_parse(body, len, &document, err);

    if (r < 0)
        return error_wrap(err, r, "the body cannot be read");
    r = check_envelope(document_root(&document), err);
    if (r < 0)
        return r;
    request = node_get(document_root(&document), "request");
    *ret = (struct review){
        .uid = string_of(request, "uid"),
        .operation = string_of(request, "operation"),
        .sub_resource = string_of(request, "subResource"),
        .kind = string_of(node_get(request, "kind"), "kind"),
        .namespace_ = string_of(request, "namespace"),
        .object = object_of(request, "object"),
        .old_object = object_of(request, "oldObject"),
    };
    ret->name = name_of(request, ret->object);
    ret->document = document;
    document = DOCUMENT_INIT;
    return 0;
}

void review_done(struct review *review)
{
    document_done(&review->document);
    *review = (struct review){0};
}

void decision_done(struct decision *decision)
{
    patch_done(&decision->patch);
    problems_done(&decision->problems);
    problems_done(&decision->warnings);
    buf_done(&decision->reason);
}

void decision_drop_patch(struct decision *decision)
{
    patch_done(&decision->patch);
    decision->patch = PATCH_INIT;
}

/* ---- The answer ---------------------------------------------------------------------------- */

static void add_refusal(const struct decision *decision, struct buf *to)
{
    buf_adds(to,
             ",\"allowed\":false,\"status\":{\"code\":403,\"reason\":\"Forbidden\",\"message\":");
    json_text_write(to, decision->reason.data, decision->reason.len);
    buf_addc(to, '}');
}

/* response.patch is a byte string: base64 in JSON. */
static void add_patch(const struct patch *patch, struct buf *to)
{
    buf_adds(to, ",\"allowed\":true");
    if (patch->n == 0)
        return;
    buf_adds(to, ",\"patchType\":\"JSONPatch\",\"patch\":\"");
    base64_encode(patch->ops.data, patch->ops.len, to);
    buf_addc(to, '"');
}

/* kubectl prints each on a line of its own. */
static void add_warnings(const struct problems *warnings, struct buf *to)
{
    if (warnings->n == 0)
        return;
    buf_adds(to, ",\"warnings\":[");
    for (size_t i = 0; i < warnings->n; i++) {
        const struct problem *warning = &warnings->list[i];
        cleanup_buf struct buf text = BUF_INIT(REASON_MAX);

        buf_addf(&text, "%s: %s", warning->path, warning->message);
        buf_adds(to, i ? "," : "");
        json_text_write(to, text.data, text.len);
    }
    buf_addc(to, ']');
}

void review_answer(const struct review *review, const struct decision *decision, struct buf *to)
{
    buf_adds(to,
             "{\"apiVersion\":\"" API_VERSION "\",\"kind\":\"" KIND "\",\"response\":{\"uid\":");
    json_text_write(to, review->uid, strlen(review->uid));
    if (decision->allowed)
        add_patch(&decision->patch, to);
    else
        add_refusal(decision, to);
    add_warnings(&decision->warnings, to);
    buf_adds(to, "}}");
}
