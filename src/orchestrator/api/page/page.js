// Shows what the OpenAPI document says, and asks the API as it is told. Texts are put in as texts, never as markup.
"use strict";

// Where the API begins: the page may be served below a path.
const root = new URL("..", new URL(".", location.href)).pathname.replace(/\/$/, "");

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// A schema with what it points to.
function resolved(schema, all) {
  const name = schema.$ref?.split("/").pop();
  return name ? resolved(all.components.schemas[name], all) : schema;
}

// A field of a form for a value of that schema.
function field(name, schema, required, example) {
  let input;
  if (schema.enum) {
    input = element("select", {}, ...(required ? [] : [element("option", { value: "" })]), ...schema.enum.map((value) => element("option", {}, value)));
  } else {
    const whole = [schema.type].flat().includes("integer");
    const hidden = schema.format === "password";
    const type = hidden ? "password" : whole ? "number" : "text";
    input = element("input", { type, autocomplete: "off", spellcheck: "false" });
    if (!hidden && example !== undefined) input.placeholder = String(example);
  }
  input.name = name;
  input.required = required;
  const label = element("label", {}, element("span", {}, required ? name : `${name} (optional)`), input);
  if (schema.description) label.append(element("small", {}, schema.description));
  const read = () => {
    if (input.value === "" && !required) return undefined;
    return [schema.type].flat().includes("integer") ? Number(input.value) : input.value;
  };
  return { label, read };
}

// The fields of a request: what stands in braces in its path, and what its body has.
function fields(operation, all) {
  const inPath = (operation.parameters ?? []).map((parameter) => {
    const schema = resolved(parameter.schema, all);
    return { name: parameter.name, ...field(parameter.name, schema, true, schema.examples?.[0]) };
  });
  const sent = operation.requestBody?.content["application/json"].schema;
  const schema = sent ? resolved(sent, all) : { properties: {} };
  const example = schema.examples?.[0] ?? {};
  const inBody = Object.entries(schema.properties).map(([name, inner]) => {
    const required = (schema.required ?? []).includes(name);
    return { name, ...field(name, resolved(inner, all), required, example[name]) };
  });
  return { inPath, inBody, hasBody: Boolean(sent) };
}

async function ask(method, path, { inPath, inBody, hasBody }) {
  const filled = inPath.reduce((text, { name, read }) => text.replace(`{${name}}`, encodeURIComponent(read())), path);
  const headers = {};
  const token = document.getElementById("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  let body;
  if (hasBody) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(Object.fromEntries(inBody.map(({ name, read }) => [name, read()])));
  }
  const answer = await fetch(root + filled, { method: method.toUpperCase(), headers, body, credentials: "omit", cache: "no-store" });
  const text = await answer.text();
  let shown = text;
  try {
    shown = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // Not JSON: shown as it came.
  }
  return { status: `${answer.status} ${answer.statusText}`, good: answer.ok, shown };
}

function shown(method, path, operation, all) {
  const asks = fields(operation, all);
  const result = element("div", { "aria-live": "polite" });
  const form = element("form", {}, ...[...asks.inPath, ...asks.inBody].map(({ label }) => label), element("button", { type: "submit" }, "Send"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    result.replaceChildren("…");
    try {
      const { status, good, shown } = await ask(method, path, asks);
      result.replaceChildren(element("strong", { class: good ? "good" : "bad" }, status), element("pre", {}, shown));
    } catch (problem) {
      result.replaceChildren(element("strong", { class: "bad" }, `no answer: ${problem.message}`));
    }
  });
  const open = operation.security?.length === 0;
  const answers = Object.entries(operation.responses).map(([status, { description }]) =>
    element("tr", {}, element("td", {}, element("code", {}, status)), element("td", {}, description)));
  return element("details", { id: operation.operationId },
    element("summary", {}, element("code", {}, element("span", { class: "method" }, method.toUpperCase()), ` ${path} `),
      element("span", { class: "lock" }, open ? "no token" : ""), ` ${operation.summary}`),
    form, result, element("table", {}, ...answers));
}

async function load() {
  const place = document.getElementById("operations");
  try {
    const all = await (await fetch(document.getElementById("document").href, { credentials: "omit" })).json();
    document.getElementById("title").textContent = `${all.info.title} ${all.info.version}`;
    document.getElementById("description").textContent = all.info.description;
    const each = Object.entries(all.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => shown(method, path, operation, all)));
    place.replaceChildren(...each);
  } catch (problem) {
    place.replaceChildren(element("p", { class: "bad" }, `The document cannot be read: ${problem.message}`));
  }
}

load();
