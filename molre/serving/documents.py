"""What OpenAPI says about requests and replies that are not described by a function's signature."""

from typing import Any

PAGE_HEADERS = {
    # The page is one file and talks to this server alone.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": "a zip of DICOM files, the DICOM files of one study, or one .nii or .nii.gz",
                        }
                    },
                }
            }
        },
    },
}
"""The multipart body; its schema cannot come from a signature, since the body is read as a stream."""

_FINDING: dict[str, Any] = {
    "type": "object",
    "required": ["key", "name", "group", "probability"],
    "properties": {
        "key": {"type": "string"},
        "name": {"type": "string"},
        "group": {"type": "string"},
        "probability": {"type": "number", "minimum": 0, "maximum": 1},
        "threshold": {"type": "number", "minimum": 0, "maximum": 1},
        "positive": {"type": "boolean", "description": "probability >= threshold, where there is one"},
    },
}

_LISTED: dict[str, Any] = {
    "type": "object",
    "required": ["key", "name", "group"],
    "properties": {name: _FINDING["properties"][name] for name in ("key", "name", "group", "threshold")},
}

_MODEL: dict[str, Any] = {
    "type": "object",
    "properties": {
        "bundle": {"type": "string", "description": "SHA-256 that stands for the whole bundle"},
        "backbone": {"type": "string"},
        "adapter": {"type": "string"},
        "site": {"type": "string"},
        "added_fraction": {"type": "number"},
        "grid": {"type": "string"},
        "synthetic": {"type": "boolean", "description": "trained on synthetic scans: means nothing of a patient"},
        "calibrated": {"type": "boolean", "description": "probabilities were fitted to validation data"},
        "intended_use": {"type": "string"},
    },
}

_STUDY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "format": {"type": "string", "enum": ["dicom", "nifti"]},
        "slices": {"type": "integer"},
        "repairs": {
            "type": "array",
            "items": {"type": "string"},
            "description": "what was mended",
        },
        "rejected_files": {"type": "integer"},
        "ignored_files": {"type": "integer"},
    },
}

_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


PROBE: dict[int | str, dict[str, Any]] = {
    200: _json("Yes", _object(status={"type": "string"})),
    503: _json("Not now", _ERROR),
}

FINDINGS: dict[int | str, dict[str, Any]] = {
    200: _json("The findings", _object(model=_MODEL, findings={"type": "array", "items": _LISTED})),
    401: _json("The token is missing or wrong", _ERROR),
}

PREDICT: dict[int | str, dict[str, Any]] = {
    200: _json(
        "Probabilities of the findings",
        _object(
            model=_MODEL,
            study=_STUDY,
            findings={"type": "array", "items": _FINDING},
            seconds={"type": "number"},
            stages_s={"type": "object", "additionalProperties": {"type": "number"}},
        ),
    ),
    400: _json("The upload is malformed, empty or unsafe", _ERROR),
    401: _json("The token is missing or wrong", _ERROR),
    413: _json("The upload is too large", _ERROR),
    415: _json("The request is not multipart/form-data", _ERROR),
    422: _json("There is no one study in the upload that can be read rightly", _ERROR),
    500: _json("A fault in the service", _ERROR),
    503: _json("Too many studies are waiting", _ERROR),
    504: _json("The study took too long", _ERROR),
}
