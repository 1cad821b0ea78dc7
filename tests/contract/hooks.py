"""What schemathesis cannot know of the API, and a record of all that was asked for.

CONTRACT_RECORD names the file for the record: a line of JSON for each analysis that was asked for.
CONTRACT_IMAGES=allowed names an image of an allowed registry in each body that is valid otherwise.
"""

import json
import os

import schemathesis

RECORD = os.environ["CONTRACT_RECORD"]
ALLOWED = os.environ.get("CONTRACT_IMAGES") == "allowed"


def creates(case):
    return case.method == "POST" and case.path.rstrip("/") == "/po"


def is_positive(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


@schemathesis.hook
def before_call(context, case, kwargs):
    """Which registries are allowed is in the node's policies, not in the document."""
    if ALLOWED and creates(case) and is_positive(case) and isinstance(case.body, dict):
        case.body["registry_url"] = "harbor.example"
        case.body["image_url"] = "harbor.example/node/analysis"


@schemathesis.hook
def after_call(context, case, response):
    if creates(case) and response.status_code == 201:
        with open(RECORD, "a") as record:
            record.write(json.dumps(case.body) + "\n")
