// A link to a page of this app, wherever it stands, is followed in the open session, as Back and Forward are.
// With a key held, or of the middle button, it is the browser's, as is every other link.
addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest?.("[data-testid=stMarkdownContainer] a[href]");
  if (!link || link.origin !== location.origin || !/^\/\w*$/.test(link.pathname) || link.hash) return;
  event.preventDefault();
  history.pushState({}, "", link.href);
  dispatchEvent(new PopStateEvent("popstate"));
});
