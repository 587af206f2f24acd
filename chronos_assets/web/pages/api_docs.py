"""`/api/docs`: the routes of the API with their parameters and answers, rendered from the OpenAPI document that programs read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request, Response

from chronos_assets.web.pages.rendering import page

router = APIRouter(include_in_schema=False)


@router.get("/api/docs")
def show_routes(request: Request) -> Response:
    """All routes by resource."""
    document = request.app.openapi()
    groups: dict[str, list[dict[str, Any]]] = {}
    for operation in operations(document):
        groups.setdefault(operation["group"], []).append(operation)
    return page(request, "api_docs.html", about=document["info"]["description"], groups=groups)


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every operation with what a reader needs: `method`, `path`, `about`, `inputs`, `answers`, in the order of the document."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            inputs = [
                {
                    "name": one["name"],
                    "place": one["in"],
                    "kind": kind_of(one["schema"]),
                    "needed": one.get("required", False),
                    "default": one["schema"].get("default"),
                    "about": one.get("description") or one["schema"].get("description", ""),
                }
                for one in operation.get("parameters", ())
            ]
            yield {
                "group": operation.get("tags", ["other"])[0],
                "method": method.upper(),
                "path": path,
                "about": operation.get("description") or operation.get("summary", ""),
                "inputs": inputs + list(_body(operation)),
                "answers": [_answer(status, one) for status, one in operation["responses"].items()],
            }


def kind_of(schema: dict[str, Any]) -> str:
    """A schema in a few words: `integer`, `list of LfsRun`, `text or null`, one of its constants."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind_of(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(str(one) for one in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    name = str(schema.get("type", "any"))
    return str(schema.get("format", "text")) if name == "string" else name


def _body(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        needed = content["schema"].get("required", ())
        for name, schema in content["schema"].get("properties", {}).items():
            about, default = schema.get("description", ""), schema.get("default")
            yield {"name": name, "place": "body", "kind": kind_of(schema), "needed": name in needed, "default": default, "about": about}


def _answer(status: str, response: dict[str, Any]) -> dict[str, Any]:
    found = response.get("content", {}).items()
    kinds = [f"{kind_of(one['schema'])} ({media})" if one.get("schema") else media for media, one in found]
    return {"status": status, "about": response.get("description", ""), "kinds": kinds}
