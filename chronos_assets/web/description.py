"""The OpenAPI description of an application: what FastAPI makes of the routes, said more exactly if it cannot know."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from chronos_assets.web.problems import MEDIA_TYPE


def describe(app: FastAPI) -> dict[str, Any]:
    """The document of all routes in the schema; made once per application.

    Errors are `application/problem+json`, and `fields` lists names of the entries that are answered.
    """
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, openapi_version=app.openapi_version, description=app.description, routes=app.routes
        )
        for methods in document["paths"].values():
            for operation in methods.values():
                _name_problems(operation["responses"])
                _name_texts(operation)
                _name_fields(operation, document["components"]["schemas"])
        app.openapi_schema = document
    return app.openapi_schema


def _name_problems(responses: dict[str, Any]) -> None:
    for status, response in responses.items():
        content = response.get("content", {})
        if not status.startswith("2") and "application/json" in content:
            response["content"] = {MEDIA_TYPE: content["application/json"]}


def _name_texts(operation: dict[str, Any]) -> None:
    """No store takes a zero byte in a text."""
    for parameter in operation.get("parameters", ()):
        for kind in parameter["schema"].get("anyOf", [parameter["schema"]]):
            if kind.get("type") == "string" and not {"enum", "format", "const"} & set(kind):
                kind["pattern"] = r"^[^\x00]*$"


def _name_fields(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """`fields` takes names of the answered entries, and leaves out the others: no field is required then."""
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "fields":
            answered = operation["responses"]["200"]["content"]["application/json"]["schema"]
            entry = answered["items"]["$ref"].rsplit("/", 1)[-1]
            names = "|".join(re.escape(name) for name in schemas[entry]["properties"])
            for kind in parameter["schema"]["anyOf"]:
                if kind["type"] == "string":
                    kind["pattern"] = f"^({names})(,({names}))*$"
            parameter["example"] = ",".join(list(schemas[entry]["properties"])[:2])
            part = {name: value for name, value in schemas[entry].items() if name != "required"}
            schemas[f"{entry}Part"] = {**part, "title": f"{entry}Part", "description": f"The fields of a {entry} that `fields` names."}
            answered["items"] = {"anyOf": [answered["items"], {"$ref": f"#/components/schemas/{entry}Part"}]}
