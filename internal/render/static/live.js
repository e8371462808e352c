'use strict';
// Keeps the page up to date: each message of the event stream says that
// something changed; the page is then read again and its main element
// exchanged. What the reader has opened, focused or zoomed stays.
(() => {
  const status = document.querySelector('.live');
  let wanted = false;
  let running = false;

  const say = (text) => { status.textContent = text; };
  // keyOf finds an element again in the next version of the page.
  const keyOf = (e) => e && (e.dataset.key || (e.closest('[data-key]') && `${e.closest('[data-key]').dataset.key} ${e.className}`) || e.getAttribute('href'));

  function exchange(next) {
    const main = document.querySelector('main');
    const focused = main.contains(document.activeElement) ? keyOf(document.activeElement) : null;
    const open = new Set([...main.querySelectorAll('details[open]')].map(keyOf));
    const { scrollX, scrollY } = window;
    main.replaceWith(next);
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
    while (wanted) {
      if (!busy()) {
        wanted = false;
        try {
          const answer = await fetch(location.href, { cache: 'no-store' });
          if (!answer.ok) throw new Error(`status ${answer.status}`);
          const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
          const next = page.querySelector('main');
          if (next) {
            document.title = page.title;
            exchange(document.adoptNode(next));
          }
        } catch {
          say('not reachable');
        }
      }
      await new Promise((resolve) => { setTimeout(resolve, 1000); });
    }
    running = false;
  }

  const source = new EventSource(status.dataset.events);
  source.addEventListener('open', () => {
    say('live');
    refresh(); // for what changed before the stream was open
  });
  source.addEventListener('error', () => {
    say('connecting again');
  });
  source.addEventListener('message', refresh);
})();
