/* Any bytes as an AdmissionReview, asked of both webhooks: no crash, no leak, and a pod that is
 * refused is never also patched. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "inject.h"
#include "validate.h"

static const char gate_text[] = "{\"apiVersion\":\"gitgate.dev/v1alpha1\",\"kind\":\"GitGate\","
                                "\"metadata\":{\"name\":\"agents\",\"namespace\":\"team-a\"},"
                                "\"spec\":{\"podSelector\":{},\"upstreams\":[{\"name\":\"app\","
                                "\"url\":\"https://git.example.com/team/app.git\","
                                "\"extraHosts\":{\"git.example.com\":\"100.64.0.7\"}}]}}";

static struct gate *the_gate(void)
{
    static struct gate *gate;

    if (!gate) {
        json_auto_t *object = json_loads(gate_text, 0, NULL);

        gate = gate_new(object);
    }
    if (!gate || gate->problem)
        abort();
    return gate;
}

static void ask(const struct review *review, struct gate_list gates, bool enabled,
                void (*decide)(const struct review *, struct gate_list,
                               const struct inject_options *, struct decision *))
{
    cleanup_decision struct decision decision = DECISION_INIT;
    struct inject_options options = {
        .parts.image = "gate", .random = review->document.n, .namespace_enabled = enabled};
    cleanup_buf struct buf answer = BUF_INIT(64u << 20);

    decide(review, gates, &options, &decision);
    if (!decision.allowed && decision.patch.n)
        abort();
    if (!decision.allowed && !decision.err && decision.reason.len == 0)
        abort();
    review_answer(review, &decision, &answer);
    if (buf_error(&answer))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gate *gate = the_gate();
    struct gate_list gates = {&gate, 1};
    cleanup_free char *body = malloc(size + 1);
    cleanup_review struct review review = {0};

    memcpy(body, data, size);
    if (review_parse(body, size, &review, NULL) < 0)
        return 0;
    ask(&review, gates, false, inject);
    ask(&review, gates, true, inject);
    ask(&review, gates, true, validate_pod);
    return 0;
}
