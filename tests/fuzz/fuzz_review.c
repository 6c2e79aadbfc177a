/* Any bytes as a body that the API server sent: what is taken for a review is answered, by JSON
 * that jansson reads, to the request that jansson sees. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "review.h"

#define FLAGS (JSON_REJECT_DUPLICATES | JSON_DECODE_ANY)

static const char *uid_of(const json_t *review, const char *member)
{
    const char *uid = json_string_value(json_object_get(json_object_get(review, member), "uid"));

    return uid ? uid : "";
}

static void check_answer(const struct review *review, const json_t *asked,
                         const struct decision *decision)
{
    cleanup_buf struct buf text = BUF_INIT(1u << 20);
    json_auto_t *answer = NULL;
    const json_t *response;

    review_answer(review, decision, &text);
    answer = buf_error(&text) ? NULL : json_loadb(text.data, text.len, FLAGS, NULL);
    response = json_object_get(answer, "response");
    if (json_is_true(json_object_get(response, "allowed")) != decision->allowed)
        abort();
    /* Numbers out of jansson's range are the one thing that the two may differ on. */
    if (asked && strcmp(uid_of(answer, "response"), uid_of(asked, "request")) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_auto_t *asked = json_loadb((const char *)data, size, FLAGS, NULL);
    cleanup_free char *body = malloc(size + 1);
    cleanup_review struct review review = {0};
    cleanup_decision struct decision refusal = DECISION_INIT, allowance = DECISION_INIT;
    struct error err = ERROR_INIT;

    if (!body)
        return 0;
    memcpy(body, data, size);
    if (review_parse(body, size, &review, &err) < 0) {
        if (!*err.msg)
            abort();
        return 0;
    }
    allowance.allowed = true;
    patch_add_string(&allowance.patch, pointer_to("/metadata/name"), review.name);
    patch_close(&allowance.patch);
    problems_add(&allowance.warnings, review.kind, "%s", review.operation);
    check_answer(&review, asked, &allowance);
    buf_adds(&refusal.reason, review.namespace_);
    check_answer(&review, asked, &refusal);
    return 0;
}
