// Passkeys: the server says what to sign, the browser's authenticator signs, a form carries it back.
(function () {
  "use strict";
  const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const toText = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  function prepared(options) {
    options.challenge = toBytes(options.challenge);
    if (options.user) options.user.id = toBytes(options.user.id);
    (options.excludeCredentials || []).concat(options.allowCredentials || []).forEach(function (key) { key.id = toBytes(key.id); });
    return { publicKey: options };
  }

  function answered(key) {
    const parts = {};
    ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"].forEach(function (name) {
      if (key.response[name]) parts[name] = toText(key.response[name]);
    });
    return JSON.stringify({ id: key.id, rawId: toText(key.rawId), type: key.type, response: parts, clientExtensionResults: {} });
  }

  async function ask(form) {
    const error = document.querySelector("[data-passkey-error]");
    error.hidden = true;
    try {
      let given = form.dataset.given;
      if (!given) {
        const answer = await fetch(form.dataset.options, { method: "POST", headers: { "X-CSRF-Token": form.elements.csrf_token.value } });
        if (!answer.ok) throw new Error(String(answer.status));
        given = await answer.text();
      }
      const told = JSON.parse(given);
      const key = await navigator.credentials[form.dataset.passkey](prepared(told.options));
      const prefix = form.dataset.prefix || "";
      form.elements[prefix + "asked"].value = told.asked;
      form.elements[prefix + "answer"].value = answered(key);
      HTMLFormElement.prototype.submit.call(form);
    } catch (problem) {
      error.hidden = false;
    }
  }

  document.querySelectorAll("form[data-passkey]").forEach(function (form) {
    if (!window.PublicKeyCredential) { form.hidden = true; return; }
    form.addEventListener("submit", function (event) { event.preventDefault(); ask(form); });
  });
})();
