"""Holds manifests against Kubernetes' own models, as Debian's python3-kubernetes has them from its OpenAPI.

Reads [{"whole": [MANIFEST…], "parts": [PATCH…]}, …] as JSON; prints for each of these, as JSON, a list of what is wrong. No
field is taken that the model has not, and of a whole manifest no required one may be missing.
"""

import json
import re
import sys

from kubernetes import client

wrong = []
plain = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def check(kind, value, where, whole):
    if kind == "object":
        return value
    if kind in plain:
        if not isinstance(value, plain[kind]) or (isinstance(value, bool) and kind != "bool"):
            wrong.append(f"{where}: {json.dumps(value)} is no {kind}")
        return value
    if match := re.fullmatch(r"list\[(.*)\]", kind):
        if isinstance(value, list):
            return [check(match[1], item, f"{where}[{at}]", whole) for at, item in enumerate(value)]
    elif match := re.fullmatch(r"dict\(str, (.*)\)", kind):
        if isinstance(value, dict):
            return {key: check(match[1], item, f"{where}.{key}", whole) for key, item in value.items()}
    elif isinstance(value, dict):
        return model(kind, value, where, whole)
    wrong.append(f"{where}: {json.dumps(value)} is no {kind}")
    return value


def model(kind, value, where, whole):
    made = getattr(client, kind)
    names = {name: attribute for attribute, name in made.attribute_map.items()}
    for name in value.keys() - names.keys():
        wrong.append(f"{where}: {kind} has no field {name}")
    fields = {
        names[name]: check(made.openapi_types[names[name]], item, f"{where}.{name}", whole)
        for name, item in value.items()
        if name in names
    }
    if not whole:
        return fields
    try:
        return made(**fields)
    except ValueError as error:
        wrong.append(f"{where}: {error}")
        return fields


def manifest(value, whole):
    kind, where = value.get("kind", ""), f"{value.get('kind')} {value.get('metadata', {}).get('name')}"
    group, _, version = ("/" + value.get("apiVersion", "")).rpartition("/")
    version = version.capitalize()
    api = (group.strip("/").split(".")[0] or "core").capitalize() + version + "Api"
    call = re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()
    calls = dir(getattr(client, api, None))
    if f"create_namespaced_{call}" not in calls and f"create_{call}" not in calls:
        wrong.append(f"{where}: there is no such kind in {value.get('apiVersion')}")
    else:
        check(version + kind, value, where, whole)


answers = []
for given in json.load(sys.stdin):
    wrong = []
    for key in ("whole", "parts"):
        for item in given.get(key, []):
            manifest(item, key == "whole")
    answers.append(wrong)
print(json.dumps(answers))
