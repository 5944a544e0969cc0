// A service worker that adds the headers for threads, where the server does not send them.
addEventListener("install", () => skipWaiting());
addEventListener("activate", event => event.waitUntil(clients.claim()));
addEventListener("fetch", event => {
  if (new URL(event.request.url).origin === location.origin) event.respondWith(answer(event.request));
});

async function answer(request) {
  const response = await fetch(request);
  if (request.mode === "navigate" && !await isOurs(response.clone())) {
    await registration.unregister();  // another site has this address now
    return response;
  }
  if (!response.ok || response.redirected) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  return new Response(response.body, {status: response.status, headers});
}

async function isOurs(response) {
  return (await response.text()).includes('<meta name="generator" content="enhance">');
}
