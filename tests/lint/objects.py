"""Compares Kubernetes objects in YAML files.

objects.py same CHART KUSTOMIZE       fails and says what differs
objects.py changes DEFAULT RENDERED   prints what a chart's values change, for golden files

What only helm can have is left out: its labels, the certificate that it makes (the data of a Secret,
the caBundles), the Namespace, the hooks of `helm test`.
"""

import sys

import yaml

ONLY_HELM = ("app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart",
             "helm.sh/resource-policy")


def without_helm(mapping):
    return {key: value for key, value in (mapping or {}).items() if key not in ONLY_HELM}


def comparable(thing):
    metadata = thing["metadata"]
    for field in ("labels", "annotations"):
        metadata[field] = without_helm(metadata.get(field))
    metadata["labels"].setdefault("app.kubernetes.io/name", "gitgate")
    for webhook in thing.get("webhooks", []):
        if webhook["clientConfig"].get("caBundle"):
            webhook["clientConfig"]["caBundle"] = "..."
    if thing["kind"] == "Secret":
        thing["data"] = {key: "..." for key in thing["data"]}
    return thing


def key_of(thing):
    """Of what there is one of whatever its name is, the kind alone: a new name is a change of it."""
    kind = thing["kind"]
    return kind if kind.endswith("WebhookConfiguration") else "%s %s" % (kind, thing["metadata"]["name"])


def objects(path):
    with open(path, encoding="utf-8") as file:
        things = [thing for thing in yaml.safe_load_all(file) if thing]
    return {key_of(thing): comparable(thing) for thing in things if thing["kind"] != "Namespace"
            and "helm.sh/hook" not in thing["metadata"].get("annotations", {})}


def elements(value):
    """What a mapping or list holds, by what identifies it: a list's objects by their name, its
    scalars by themselves."""
    if isinstance(value, dict):
        return {"." + key: held for key, held in value.items()}
    found = {}
    for at, held in enumerate(value):
        key = held.get("name", at) if isinstance(held, dict) else held
        found["[%s]" % key] = held if isinstance(held, dict) else True
    return found


def differences(before, after, path=""):
    """Yields "path: before -> after" for each place where they differ."""
    if before == after:
        return
    if not before or not after or type(before) is not type(after) or not isinstance(before, (dict, list)):
        yield "%s: %s -> %s" % (path.lstrip("."), text(before), text(after))
        return
    old, new = elements(before), elements(after)
    for key in old:
        yield from differences(old[key], new.get(key), path + key)
    for key in new:
        if key not in old:
            yield from differences(None, new[key], path + key)
    if old == new and list(old) != list(new):
        yield "%s: in another order" % path.lstrip(".")


def text(value):
    if value is None:
        return "none"
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).strip().removesuffix("\n...")


def changes(before, after):
    for key in sorted(set(before) | set(after)):
        if key not in after:
            yield "- %s" % key
        elif key not in before:
            yield "+ %s" % key
            for line in yaml.safe_dump(after[key]).splitlines():
                yield "  " + line
        else:
            found = list(differences(before[key], after[key]))
            if found:
                yield "~ %s" % key
                yield from ("  " + line for line in found)


def same(chart, kustomize):
    # Both have a certificate made for them, each in its own way.
    for things in (chart, kustomize):
        for key in [key for key in things if key.startswith("Secret ")]:
            del things[key]
        for thing in things.values():
            for webhook in thing.get("webhooks", []):
                webhook["clientConfig"].pop("caBundle", None)
    found = list(changes(chart, kustomize))
    if found:
        print("From the chart to manifests/:", *found, sep="\n")
    return 1 if found or not chart else 0


def main():
    verb, first, second = sys.argv[1], objects(sys.argv[2]), objects(sys.argv[3])
    if verb == "same":
        return same(first, second)
    print(*changes(first, second), sep="\n")
    return 0


sys.exit(main())
