"use strict";

// Draws a form for each operation of openapi.json, sends it, and shows what came back. All text goes in as text.

const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

const resolve = (api, schema) =>
  schema && schema.$ref ? api.components.schemas[schema.$ref.split("/").pop()] : schema;

const example = (api, given) => {
  const schema = resolve(api, given) || {};
  const kind = schema.type || (schema.anyOf && resolve(api, schema.anyOf[0]).type);
  if (kind === "object" && schema.properties) {
    const names = schema.required && schema.required.length ? schema.required : [];
    return Object.fromEntries(names.map((name) => [name, example(api, schema.properties[name])]));
  }
  if (kind === "array") return [example(api, schema.items)];
  return { string: "", integer: 0, number: 0, boolean: false, object: {} }[kind] ?? null;
};

const send = async (operation, method, path, fields, body, output) => {
  let address = path;
  const query = new URLSearchParams();
  for (const { parameter, input } of fields) {
    if (parameter.in === "path") {
      address = address.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    } else if (input.value !== "") {
      query.set(parameter.name, input.value);
    }
  }
  const token = document.getElementById("token").value;
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (body) headers["Content-Type"] = "application/json";
  const question = query.size ? `?${query}` : "";
  const begun = performance.now();
  try {
    const answer = await fetch(address + question, { method, headers, body: body ? body.value : undefined });
    const text = await answer.text();
    const took = Math.round(performance.now() - begun);
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* it is no JSON */ }
    output.textContent = `${answer.status} ${answer.statusText} · ${took} ms\n\n${shown}`;
  } catch (error) {
    output.textContent = String(error);
  }
};

const draw = (api, path, method, operation) => {
  const fields = (operation.parameters || []).map((parameter) => {
    const input = make("input", { value: parameter.schema.default ?? "" });
    return { parameter, input, row: make("label", {}, `${parameter.name}${parameter.required ? " *" : ""}`, input) };
  });
  const content = operation.requestBody && operation.requestBody.content["application/json"];
  const body = content && make("textarea", { value: JSON.stringify(example(api, content.schema), null, 2) });
  const output = make("pre", { hidden: true });
  const button = make("button", { type: "button", textContent: "Send" });
  button.onclick = () => {
    output.hidden = false;
    output.textContent = "…";
    send(operation, method, path, fields, body, output);
  };
  const heading = make("summary", {}, make("b", { textContent: method }), make("code", { textContent: path }));
  heading.append(" ", make("small", { textContent: operation.summary }));
  const about = make("p", {}, make("small", { textContent: operation.description || "" }));
  return make("details", {}, heading, about, ...fields.map((field) => field.row), ...(body ? [body] : []), button, output);
};

fetch("openapi.json")
  .then((answer) => answer.json())
  .then((api) => {
    const main = document.getElementById("operations");
    main.textContent = "";
    for (const { name } of api.tags) {
      main.append(make("h2", { textContent: name }));
      for (const [path, methods] of Object.entries(api.paths)) {
        for (const [method, operation] of Object.entries(methods)) {
          if (operation.tags.includes(name)) main.append(draw(api, path, method.toUpperCase(), operation));
        }
      }
    }
  });
