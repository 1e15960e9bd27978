"""schema: holds answers of segued against its own OpenAPI document, strictly: what an answer has and the
document does not is as wrong as what it lacks.

    schema.check_answer("GET", "/api/v1/calls", 200, json)     # raises Wrong
    schema.check_event("call", data)
    schema.seen     # what has been held against it

Programs pass over fields that they do not know; these tests do not, so that the document stays whole.
"""
import datetime
import functools
import json
import re
import subprocess

import segued

KNOWN = {"$ref", "type", "description", "enum", "anyOf", "properties", "required", "additionalProperties",
         "items", "format"}
TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict,
         "array": list, "null": type(None)}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Wrong(AssertionError):
    pass


@functools.lru_cache(None)
def document():
    p = subprocess.run([segued.program("segued"), "--print-openapi"], capture_output=True, text=True,
                       timeout=30)
    assert p.returncode == 0, p.stderr
    return json.loads(p.stdout)


def is_type(value, name):
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, TYPES[name])


def is_time(value):
    return TIME.fullmatch(value) and datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))


FORMATS = {"uuid": UUID.fullmatch, "date-time": is_time, "date": datetime.date.fromisoformat}


def fits(check, value):
    try:
        return bool(check(value))
    except ValueError:
        return False


def same(a, b):
    return type(a) is type(b) and a == b


def check(doc, schema, value, at="answer"):
    """Raises Wrong, which says where."""
    strange = set(schema) - KNOWN
    if strange:
        raise Wrong(f"{at}: the schema has {strange}, which this test cannot judge")
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        check(doc, doc["components"]["schemas"][name], value, f"{at}<{name}>")
    if "anyOf" in schema:
        check_choice(doc, schema["anyOf"], value, at)
    names = schema.get("type", [])
    names = [names] if isinstance(names, str) else names
    if names and not any(is_type(value, n) for n in names):
        raise Wrong(f"{at}: {value!r} is no {' or '.join(names)}")
    if "enum" in schema and not any(same(value, x) for x in schema["enum"]):
        raise Wrong(f"{at}: {value!r} is none of {schema['enum']}")
    if value is not None and "format" in schema and not fits(FORMATS[schema["format"]], value):
        raise Wrong(f"{at}: {value!r} is no {schema['format']}")
    if isinstance(value, dict) and names:
        check_object(doc, schema, value, at)
    if isinstance(value, list) and "items" in schema:
        for i, x in enumerate(value):
            check(doc, schema["items"], x, f"{at}[{i}]")


def check_choice(doc, choices, value, at):
    complaints = []
    for c in choices:
        try:
            return check(doc, c, value, at)
        except Wrong as e:
            complaints.append(str(e))
    raise Wrong(f"{at}: none of the choices: " + " | ".join(complaints))


def check_object(doc, schema, value, at):
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    lacks = set(schema.get("required", [])) - set(value)
    if lacks:
        raise Wrong(f"{at}: lacks {sorted(lacks)}: {str(value)[:300]}")
    for name, x in value.items():
        if name in properties:
            check(doc, properties[name], x, f"{at}.{name}")
        elif others:
            check(doc, others, x, f"{at}.{name}")
        else:
            raise Wrong(f"{at}: the document knows no {name!r} (it is {x!r})")


def operation(doc, method, url):
    """(path of the document, operation) for a request, or None."""
    path = url.split("?")[0]
    exact = doc["paths"].get(path, {}).get(method.lower())
    if exact:
        return path, exact
    for pattern, methods in doc["paths"].items():
        rx = "".join("[^/]+" if part.startswith("{") else re.escape(part)
                     for part in re.split(r"({\w+})", pattern))
        if re.fullmatch(rx, path) and method.lower() in methods:
            return pattern, methods[method.lower()]
    return None


seen = set()  # (method, path of the document, status), (event,)


def check_answer(method, url, status, value, doc=None):
    doc = doc or document()
    found = operation(doc, method, url)
    if found is None or status in (404, 405) and value["error"]["code"] in ("no_route", "bad_method"):
        return check(doc, {"$ref": "#/components/schemas/error"}, value, f"{method} {url} {status}")
    path, op = found
    seen.add((method, path, status))
    if str(status) not in op["responses"]:
        raise Wrong(f"{method} {path}: the document does not name {status}, only {sorted(op['responses'])}")
    content = op["responses"][str(status)].get("content", {}).get("application/json")
    if content is None:
        raise Wrong(f"{method} {path}: JSON with {status}, the document has none: {str(value)[:200]}")
    return check(doc, content["schema"], value, f"{method} {path} {status}")


def event_schemas(doc):
    answer = doc["paths"]["/api/v1/events"]["get"]["responses"]["200"]
    return answer["content"]["text/event-stream"]["x-events"]


def check_event(name, data, doc=None):
    doc = doc or document()
    seen.add((name,))
    if name not in event_schemas(doc):
        raise Wrong(f"the document knows no event {name!r}")
    check(doc, event_schemas(doc)[name], data, f"event {name}")


def check_webhook(value, doc=None):
    doc = doc or document()
    post = doc["webhooks"]["facts"]["post"]
    check(doc, post["requestBody"]["content"]["application/json"]["schema"], value, "webhook")
