'use strict';
// Keeps the page up to date: each message of the event stream says that
// something changed; the page is then read again and its main element
// exchanged. What the reader has opened, focused or zoomed stays. A page that
// nobody sees holds no connection: a browser has six for all of them.
(() => {
  const status = document.querySelector('.live');
  let wanted = false;
  let running = false;

  const say = (text) => { status.textContent = text; };
  // keyOf finds an element again in the next version of the page.
  const keyOf = (e) => e && (e.dataset.key || (e.closest('[data-key]') && `${e.closest('[data-key]').dataset.key} ${e.className}`) || e.getAttribute('href'));

  function exchange(next, bottom) {
    const main = document.querySelector('main');
    const focused = main.contains(document.activeElement) ? keyOf(document.activeElement) : null;
    const open = new Set([...main.querySelectorAll('details[open]')].map(keyOf));
    const { scrollX, scrollY } = window;
    main.replaceWith(next);
    document.querySelector('.bottom').replaceWith(bottom);
    for (const details of next.querySelectorAll('details')) if (open.has(keyOf(details))) details.open = true;
    document.dispatchEvent(new Event('exchanged'));
    if (focused) {
      const same = [...next.querySelectorAll('a, summary, button, [tabindex]')].find((e) => keyOf(e) === focused);
      if (same) same.focus({ preventScroll: true });
    }
    window.scrollTo(scrollX, scrollY);
  }

  // busy is true while the reader marks text or holds the pointer down.
  let pressed = false;
  document.addEventListener('pointerdown', () => { pressed = true; });
  document.addEventListener('pointerup', () => { pressed = false; });
  document.addEventListener('pointercancel', () => { pressed = false; });
  const busy = () => pressed || !window.getSelection().isCollapsed;

  async function refresh() {
    wanted = true;
    if (running) return;
    running = true;
    while (wanted && !document.hidden) {
      let pause = 1000;
      if (!busy()) {
        wanted = false;
        const began = performance.now();
        try {
          const answer = await fetch(location.href, { cache: 'no-store' });
          if (answer.status === 401 || answer.redirected) { // the session is over: to the login
            location.reload();
            return;
          }
          const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
          document.title = page.title;
          exchange(document.adoptNode(page.querySelector('main')), document.adoptNode(page.querySelector('.bottom')));
        } catch {
          say('not reachable');
        }
        // A page that is much work for the service is read less often.
        pause = Math.max(pause, 4 * (performance.now() - began));
      }
      await new Promise((resolve) => { setTimeout(resolve, pause); });
    }
    running = false;
  }

  let source = null;
  function follow() {
    if (source) source.close();
    source = null;
    if (document.hidden) return;
    source = new EventSource(status.dataset.events);
    source.addEventListener('open', () => {
      say('live');
      refresh(); // for what changed before the stream was open
    });
    source.addEventListener('error', () => {
      say(source.readyState === EventSource.CLOSED ? 'reload to see what is new' : 'connecting again');
    });
    source.addEventListener('message', refresh);
  }
  say('connecting');
  document.addEventListener('visibilitychange', follow);
  follow();
})();
