'use strict';
// For each plot of the page: the value under the pointer or at the arrow
// keys, and zoom. The page says the same without it: each plot has a table.
(() => {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080, 20160, 43200, 129600, 525600];
  const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
  const two = (n) => String(n).padStart(2, '0');
  const zooms = new Map(); // by the figure's key, so that a zoom outlives a new version of the page
  const known = new WeakMap();

  function element(parent, name, attributes) {
    const e = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
    parent.append(e);
    return e;
  }

  // plotOf reads a figure once: its data, its points in order of time.
  function plotOf(figure) {
    let plot = known.get(figure);
    if (plot) return plot;
    const data = JSON.parse(figure.dataset.plot);
    const points = data.series.flatMap((s) => s.points.map(([t, v]) => ({ t, v, name: s.name })));
    points.sort((a, b) => a.t - b.t);
    plot = {
      figure, data, points, at: -1,
      from: data.from, to: data.to,
      canvas: figure.querySelector('.canvas'),
      readout: figure.querySelector('.readout'),
      reset: figure.querySelector('.reset'),
      rest: figure.querySelector('.readout').textContent,
    };
    known.set(figure, plot);
    return plot;
  }

  // local gives the date and time of an instant in the page's zone, as the
  // UTC fields of a Date.
  function local(data, t) {
    let offset = data.offsets[0][1];
    for (const [since, o] of data.offsets) if (t >= since) offset = o;
    return { date: new Date((t + offset) * 1000), offset };
  }

  function timeText(data, t) {
    const { date } = local(data, t);
    const text = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
    return data.to - data.from < 86400 ? text : `${date.getUTCDate()} ${months[date.getUTCMonth()]}, ${text}`;
  }

  function valueText(data, v) {
    if (data.unit === 'bytes' && Math.abs(v) >= 1000) {
      let prefix = '';
      for (const next of ['k', 'M', 'G', 'T', 'P']) {
        if (Math.abs(v) < 999.5) break;
        v /= 1000;
        prefix = next;
      }
      return `${v.toFixed(2)} ${prefix}B`;
    }
    return `${v.toLocaleString('en-US', { maximumFractionDigits: 6 })} ${data.unit}`.trim();
  }

  function pointText(plot, point) {
    const alarm = plot.data.alarms.some(([from, to]) => point.t >= from && (to === null || point.t <= to));
    return `${point.name ? point.name + ', ' : ''}${timeText(plot.data, point.t)}: ${valueText(plot.data, point.v)}${alarm ? ', in alarm' : ''}`;
  }

  // area is where a drawing's data lies, in the drawing's own units.
  function area(svg) {
    const inner = svg.querySelector('.data');
    const [x, y, width, height] = ['x', 'y', 'width', 'height'].map((key) => Number(inner.getAttribute(key)));
    return { inner, x, y, width, height };
  }

  function xOf(plot, a, t) { return a.x + a.width * (t - plot.from) / (plot.to - plot.from); }

  function timeUnder(plot, event) {
    for (const svg of plot.canvas.querySelectorAll('.chart')) {
      const box = svg.getBoundingClientRect();
      if (box.width === 0) continue;
      const a = area(svg);
      const x = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
      const part = Math.min(1, Math.max(0, (x - a.x) / a.width));
      return { t: plot.from + part * (plot.to - plot.from), perPixel: (plot.to - plot.from) / (a.width * box.width / svg.viewBox.baseVal.width) };
    }
    return null;
  }

  function show(plot, index) {
    plot.at = index;
    const point = plot.points[index];
    for (const svg of plot.canvas.querySelectorAll('.chart')) {
      for (const old of svg.querySelectorAll('.cursor, .dot')) old.remove();
      if (!point || point.t < plot.from || point.t > plot.to) continue;
      const a = area(svg);
      const x = xOf(plot, a, point.t);
      const y = a.y + a.height * (plot.data.max - point.v) / (plot.data.max - plot.data.min);
      element(svg, 'line', { class: 'cursor', x1: x, x2: x, y1: a.y, y2: a.y + a.height });
      element(svg, 'circle', { class: 'dot', cx: x, cy: y, r: 4 });
    }
    plot.readout.textContent = point ? pointText(plot, point) : plot.rest;
    plot.readout.classList.toggle('reading', Boolean(point));
    if (point) {
      plot.canvas.setAttribute('aria-valuenow', index);
      plot.canvas.setAttribute('aria-valuetext', plot.readout.textContent);
    }
  }

  function nearest(plot, t) {
    let best = -1;
    plot.points.forEach((p, i) => {
      if (p.t < plot.from || p.t > plot.to) return;
      if (best < 0 || Math.abs(p.t - t) < Math.abs(plot.points[best].t - t)) best = i;
    });
    return best;
  }

  // zoom shows a part of the period: the data is stretched, the times are
  // written anew.
  function zoom(plot, from, to) {
    const { data } = plot;
    const least = Math.min(600, data.to - data.from);
    if (to - from < least) {
      const middle = (from + to) / 2;
      from = middle - least / 2;
      to = middle + least / 2;
    }
    const whole = from <= data.from && to >= data.to;
    plot.from = whole ? data.from : Math.max(from, data.from);
    plot.to = whole ? data.to : Math.min(to, data.to);
    if (whole) zooms.delete(plot.figure.dataset.key);
    else zooms.set(plot.figure.dataset.key, [plot.from, plot.to]);
    if (whole && plot.reset === document.activeElement) plot.canvas.focus();
    plot.reset.hidden = whole;
    for (const svg of plot.canvas.querySelectorAll('.chart')) {
      const a = area(svg);
      const scale = a.width / (data.to - data.from);
      a.inner.setAttribute('viewBox', `${(plot.from - data.from) * scale} 0 ${(plot.to - plot.from) * scale} ${a.height}`);
      svg.classList.toggle('zoomed', !whole);
      for (const old of svg.querySelectorAll('.zoom-tick')) old.remove();
      if (whole) continue;
      const minutes = (plot.to - plot.from) / 60;
      const step = (steps.find((s) => s >= minutes / (a.width > 400 ? 8 : 4)) || steps.at(-1)) * 60;
      const { offset } = local(data, plot.from);
      for (let t = Math.ceil((plot.from + offset) / step) * step - offset; t <= plot.to; t += step) {
        const x = xOf(plot, a, t);
        const { date } = local(data, t);
        element(svg, 'line', { class: 'zoom-tick x-mark', x1: x, x2: x, y1: a.y + a.height, y2: a.y + a.height + 4 });
        element(svg, 'text', { class: 'zoom-tick x-label', x, y: a.y + a.height + 15, 'text-anchor': 'middle' }).textContent =
          step < 86400 ? `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}` : `${date.getUTCDate()} ${months[date.getUTCMonth()]}`;
      }
    }
    show(plot, plot.at);
  }

  function find(event) {
    const canvas = event.target instanceof Element && event.target.closest('.canvas');
    return canvas ? plotOf(canvas.closest('.plot')) : null;
  }

  // setup makes each plot a control: a slider over its points.
  function setup() {
    for (const figure of document.querySelectorAll('.plot')) {
      const plot = plotOf(figure);
      if (plot.points.length === 0) continue;
      plot.canvas.setAttribute('role', 'slider');
      plot.canvas.setAttribute('tabindex', '0');
      plot.canvas.setAttribute('aria-valuemin', 0);
      plot.canvas.setAttribute('aria-valuemax', plot.points.length - 1);
      plot.canvas.setAttribute('aria-valuenow', plot.points.length - 1);
      plot.canvas.setAttribute('aria-valuetext', pointText(plot, plot.points.at(-1)));
      const kept = zooms.get(figure.dataset.key);
      if (kept) zoom(plot, ...kept);
    }
  }

  let hovered = null;
  let drag = null;
  document.addEventListener('pointermove', (event) => {
    const plot = drag ? drag.plot : find(event);
    if (hovered && hovered !== plot && hovered.canvas !== document.activeElement) show(hovered, -1);
    hovered = plot;
    const under = plot && timeUnder(plot, event);
    if (!under) return;
    show(plot, nearest(plot, under.t));
    if (drag) {
      drag.to = under.t;
      for (const svg of plot.canvas.querySelectorAll('.chart')) {
        for (const old of svg.querySelectorAll('.selection')) old.remove();
        const a = area(svg);
        const x1 = xOf(plot, a, Math.min(drag.from, drag.to));
        const x2 = xOf(plot, a, Math.max(drag.from, drag.to));
        element(svg, 'rect', { class: 'selection', x: x1, y: a.y, width: x2 - x1, height: a.height });
      }
    }
  });
  document.addEventListener('pointerdown', (event) => {
    const plot = find(event);
    const under = plot && timeUnder(plot, event);
    if (!under) return;
    show(plot, nearest(plot, under.t));
    if (event.pointerType === 'mouse' && event.button === 0) {
      drag = { plot, from: under.t, to: under.t, least: 8 * under.perPixel };
      event.preventDefault();
      plot.canvas.focus({ preventScroll: true });
    }
  });
  document.addEventListener('pointerup', () => {
    if (!drag) return;
    const { plot, from, to, least } = drag;
    drag = null;
    for (const old of plot.canvas.querySelectorAll('.selection')) old.remove();
    if (Math.abs(to - from) > least) zoom(plot, Math.min(from, to), Math.max(from, to));
  });
  document.addEventListener('dblclick', (event) => {
    const plot = find(event);
    if (plot) zoom(plot, plot.data.from, plot.data.to);
  });
  document.addEventListener('click', (event) => {
    const button = event.target instanceof Element && event.target.closest('.reset');
    if (!button) return;
    const plot = plotOf(button.closest('.plot'));
    zoom(plot, plot.data.from, plot.data.to);
  });
  document.addEventListener('focusout', (event) => {
    const plot = find(event);
    if (plot && plot !== hovered) show(plot, -1);
  });
  document.addEventListener('keydown', (event) => {
    const plot = find(event);
    if (!plot || event.ctrlKey || event.metaKey || event.altKey) return;
    const shown = plot.points.map((_, i) => i).filter((i) => plot.points[i].t >= plot.from && plot.points[i].t <= plot.to);
    if (shown.length === 0) return;
    const here = plot.at < 0 ? shown.length : Math.max(0, shown.indexOf(plot.at));
    const move = (n) => show(plot, shown[Math.min(shown.length - 1, Math.max(0, n))]);
    const center = plot.at < 0 ? (plot.from + plot.to) / 2 : plot.points[plot.at].t;
    const stretch = (factor) => zoom(plot, center - (center - plot.from) * factor, center + (plot.to - center) * factor);
    const keys = {
      ArrowLeft: () => move(here - 1), ArrowDown: () => move(here - 1),
      ArrowRight: () => move(here + 1), ArrowUp: () => move(here + 1),
      PageDown: () => move(here - 10), PageUp: () => move(here + 10),
      Home: () => move(0), End: () => move(shown.length - 1),
      '+': () => stretch(0.5), '=': () => stretch(0.5), '-': () => stretch(2),
      Escape: () => zoom(plot, plot.data.from, plot.data.to),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  document.addEventListener('exchanged', setup);
  setup();
})();
