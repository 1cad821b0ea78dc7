"""Holds one file of the report to what its form asks, with tools that are not ours, and prints what it found as JSON.

Usage: check.py schema SCHEMA FILE | misspelt SCHEMA FILE | objects FILE DEFINITION... | xsd SCHEMA FILE | csv FILE |
markdown FILE | pdf FILE
"""

import copy
import csv
import json
import re
import sys
from pathlib import Path

import jsonschema
import yaml
from lxml import etree
from markdown_it import MarkdownIt
from pypdf import PdfReader


def problems(schema, value):
    """Everything that a JSON Schema says against a value, formats included."""
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    found = kind(schema, format_checker=kind.FORMAT_CHECKER).iter_errors(value)
    return [f"{error.json_path}: {error.message[:500]}" for error in found]


def by_schema(schema, file):
    schema = json.loads(Path(schema).read_text())
    return {"problems": problems(schema, json.loads(Path(file).read_text()))}


def fields(value, path=()):
    """Every object of a value with its path, in which any place of a list is 0."""
    if isinstance(value, list):
        for item in value:
            yield from fields(item, (*path, 0))
    if isinstance(value, dict):
        yield path, value
        for key, member in value.items():
            yield from fields(member, (*path, key))


def misspelt(schema, file):
    """Which fields of a file the schema does not miss, and whose other spelling it takes, each tried by itself."""
    schema = json.loads(Path(schema).read_text())
    check = jsonschema.validators.validator_for(schema)(schema).is_valid
    value = json.loads(Path(file).read_text())
    tried, optional, taken = set(), [], []
    for path, found in list(fields(value)):
        for key in [key for key in found if (*path, key) not in tried]:
            tried.add((*path, key))
            name = ".".join("[]" if part == 0 else part for part in (*path, key))
            kept = copy.copy(found)
            member = found.pop(key)
            if check(value):
                optional.append(name)
            found[key + "s"] = member
            if check(value):
                taken.append(name)
            found.clear()
            found.update(kept)
    return {"problems": [], "tried": len(tried), "optional": sorted(optional), "taken": sorted(taken)}


def strict(schema):
    """The same schema, by which a field that it does not name is wrong; an API server would drop it."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if isinstance(made.get("properties"), dict) and made.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


def objects(file, *definitions):
    known = {}
    for text in definitions:
        definition = yaml.safe_load(Path(text).read_text())["spec"]
        for version in definition["versions"]:
            name = (f"{definition['group']}/{version['name']}", definition["names"]["kind"])
            known[name] = (definition["scope"], strict(version["schema"]["openAPIV3Schema"]))
    # The API before it has the same definitions without these fields, and other names.
    for (_, kind), (scope, schema) in list(known.items()):
        fields = {name: of for name, of in schema["properties"].items() if name not in ("source", "configuration")}
        older = kind.replace("Report", "PolicyReport")
        known["wgpolicyk8s.io/v1alpha2", older] = (scope, {**schema, "properties": fields})
    found, kinds = [], []
    for item in json.loads(Path(file).read_text())["items"]:
        name = (item["apiVersion"], item["kind"])
        kinds.append(name[1])
        scope, schema = known.get(name, (None, False))
        found += problems({"$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [schema]}, item)
        if (scope == "Namespaced") != ("namespace" in item["metadata"]):
            found.append(f"{item['metadata']['name']}: a {name[1]} is {scope}")
    return {"problems": found, "kinds": kinds}


def xsd(schema, file):
    schema = etree.XMLSchema(etree.parse(schema))
    try:
        # Without `huge_tree` a large report would be a broken one; entities are never read from elsewhere.
        parsed = etree.parse(file, etree.XMLParser(huge_tree=True, resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as problem:
        return {"problems": [str(problem)]}
    schema.validate(parsed)
    cases = {name: len(parsed.findall(f".//testcase/{name}")) for name in ("failure", "error", "skipped")}
    return {"problems": [str(error) for error in schema.error_log], "cases": cases}


def comma_separated(file):
    with open(file, newline="", encoding="utf-8") as text:
        try:
            rows = list(csv.reader(text, strict=True))
        except csv.Error as problem:
            return {"problems": [str(problem)]}
    head, *rows = rows
    found = [f"row {number}: {len(row)} cells of {len(head)}" for number, row in enumerate(rows) if len(row) != len(head)]
    return {"problems": found, "head": head, "rows": rows}


def markdown(file):
    """Raw HTML, links, images and code of others are problems: nothing of what they wrote is more than text."""
    tokens = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table").parse(Path(file).read_text())
    found, tables = [], []
    for token in tokens:
        for part in [token, *(token.children or [])]:
            if part.type in ("html_block", "html_inline", "link_open", "image", "code_inline", "fence", "code_block"):
                found.append(f"{part.type}: {(part.content or str(part.attrs))[:200]}")
        if token.type == "table_open":
            tables.append(0)
        if token.type == "tr_open":
            tables[-1] += 1
    # Code hosts make links of addresses and users' names wherever they stand as such in the source.
    source = Path(file).read_text()
    found += re.findall(r"(?i)\bwww\.\S*|\S*://\S*|(?<![\w&#;])@\w+", source)
    headings = [tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open"]
    # The first row of a table is its head.
    return {"problems": found, "headings": headings, "rows": [rows - 1 for rows in tables]}


def pdf(file):
    reader = PdfReader(file)
    return {"problems": [], "pages": len(reader.pages), "text": "\n".join(page.extract_text() for page in reader.pages)}


CHECKS = {
    "schema": by_schema,
    "misspelt": misspelt,
    "objects": objects,
    "xsd": xsd,
    "csv": comma_separated,
    "markdown": markdown,
    "pdf": pdf,
}
print(json.dumps(CHECKS[sys.argv[1]](*sys.argv[2:])))
