// Shows the openapi.json beside the page. Calls go to where the page came from, whatever address
// the gateway believes it has.
"use strict";

const page = new URL(location.pathname.replace(/\/+$/, ""), location.origin);
const documentUrl = new URL("openapi.json", page);
const server = new URL(".", page).href.replace(/\/$/, "");
const message = document.getElementById("message");

for (const link of document.querySelectorAll('a[href="openapi.json"]')) link.href = documentUrl;

async function show(token) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let answer;
  let body;
  try {
    answer = await fetch(documentUrl, { headers });
    body = await answer.json();
  } catch (error) {
    return tell(`The document cannot be read: ${error.message}`);
  }
  if (!answer.ok) return tell(body.detail || answer.statusText);
  message.hidden = true;
  body.servers = [{ url: server }];
  const ui = SwaggerUIBundle({
    spec: body,
    domNode: document.getElementById("api"),
    presets: [SwaggerUIBundle.presets.apis],
    deepLinking: true,
    displayRequestDuration: true,
    persistAuthorization: false,
    validatorUrl: null,
    onComplete() {
      if (token) ui.preauthorizeApiKey("bearer", token);
    },
  });
}

function tell(text) {
  document.getElementById("api").replaceChildren();
  message.textContent = text;
  message.hidden = false;
}

document.getElementById("authorize").addEventListener("submit", (event) => {
  event.preventDefault();
  show(new FormData(event.target).get("token").trim());
});

document.getElementById("choose")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const workspace = new FormData(event.target).get("workspace").trim();
  location.assign(new URL(`${encodeURIComponent(workspace)}/api-docs`, page));
});

show("");
