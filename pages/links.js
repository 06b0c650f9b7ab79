// A link to a page of this app, wherever it stands, is followed in the open session, as Back and Forward are.
// With a key held, or of the middle button, it is the browser's, as is every other link.
function address(event) {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return "";
  const link = event.target.closest?.("[data-testid=stMarkdownContainer] a[href]");
  return link && link.origin === location.origin && /^\/\w*$/.test(link.pathname) && !link.hash ? link.href : "";
}

function follow(to) {
  if (to !== location.href) history.pushState({}, "", to);
  dispatchEvent(new PopStateEvent("popstate"));
}

// A page that leads on by itself says where to.
let onward = "";
new MutationObserver(() => {
  const to = document.querySelector(".st-key-onward a")?.href ?? "";
  if (to && to !== onward) follow(to);
  onward = to;
}).observe(document, { childList: true, subtree: true });

// Who presses a link leaves the input in which they typed: that goes into the address first, and draws the page anew,
// maybe without the link. So what was pressed is followed, once the page is quiet.
let pressed = "";
let place = [0, 0];

addEventListener(
  "mousedown",
  (event) => {
    pressed = document.activeElement?.matches("input, textarea") ? address(event) : "";
    place = [event.clientX, event.clientY];
  },
  true,
);

addEventListener("mouseup", (event) => {
  if (Math.hypot(event.clientX - place[0], event.clientY - place[1]) > 10) pressed = "";
  if (!pressed) return;
  const app = document.querySelector("[data-testid=stApp]");
  const until = performance.now() + 3000;
  const to = pressed;
  let quiet = 6;
  (function wait() {
    if (app?.dataset.testScriptState === "running") quiet = 3;
    if (quiet-- > 0 && performance.now() < until) setTimeout(wait, 30);
    else follow(to);
  })();
});

addEventListener("click", (event) => {
  const to = address(event);
  if (to) event.preventDefault();
  if (to && !pressed) follow(to);
  pressed = "";
  // the next page of a list is read from its beginning
  if (event.target.closest?.(".st-key-pager button")) document.querySelector("[class*=st-key-rows-]")?.scrollIntoView();
});
